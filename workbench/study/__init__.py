"""One run, and many by name: from an experiment to its record; reuse what is recorded, resume what was begun."""

from __future__ import annotations

from .study import check_count as check_count
from .study import check_device as check_device
from .study import check_time_limit as check_time_limit
from .study import pinned_threads as pinned_threads
from .study import reached as reached
from .study import resolve as resolve
from .study import run as run
from .study import substitute as substitute
