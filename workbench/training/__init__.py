"""Training: one loop for every task, the schedules of its rates, its steps as recorded graphs, its gradients."""

from __future__ import annotations

from ..models.build import weights_sha256 as weights_sha256
from .optimizer import optimizer as optimizer
from .resumable import FIRST as FIRST
from .resumable import Diverged as Diverged
from .scored import CLEAN_BATCHES as CLEAN_BATCHES
from .scored import Interrupted as Interrupted
from .trainer import Trainer as Trainer
