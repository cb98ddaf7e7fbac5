"""Many runs and notebooks: what is missing is planned, trained in child processes, here or on a cluster, and kept."""

from __future__ import annotations

from .batch import DEFAULT_STUDY as DEFAULT_STUDY
from .batch import Means as Means
from .batch import carry_out as carry_out
from .batch import plan as plan
from .batch import reproduce as reproduce
from .batch import sweep as sweep
