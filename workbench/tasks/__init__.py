"""The tasks, one file each, behind one contract. To add one: a file here, a config in config/task.py, a line in `ALL`.

Each file has `spec(config)`, `hashes(config)` and `task(config, seed, batch_size)`.
"""

from __future__ import annotations

from typing import Protocol

from .. import config
from . import adding, pixels, skeletons, speech, treebank
from .contract import Batch as Batch
from .contract import Spec as Spec
from .contract import Task as Task

__all__ = ["ALL", "Batch", "Spec", "Task", "data_hashes", "load", "spec"]


class _Module(Protocol):
    def spec(self, config: config.Task, /) -> Spec: ...
    def hashes(self, config: config.Task, /) -> dict[str, str]: ...
    def task(self, config: config.Task, seed: int, batch_size: int, /) -> Task: ...


ALL: dict[str, _Module] = {  # each takes its own config
    "adding": adding,  # type: ignore[dict-item]
    "pixels": pixels,  # type: ignore[dict-item]
    "skeletons": skeletons,  # type: ignore[dict-item]
    "speech": speech,  # type: ignore[dict-item]
    "treebank": treebank,  # type: ignore[dict-item]
}


def load(task: config.Task, seed: int, batch_size: int) -> Task:
    """A task under a seed, its data found and verified. Raises DataError where they cannot be had."""
    return ALL[task.name].task(task, seed, batch_size)


def spec(task: config.Task) -> Spec:
    """The task seen from a net, without its data."""
    return ALL[task.name].spec(task)


def data_hashes(task: config.Task) -> dict[str, str]:
    """The known hashes of the data a task reads (reading verifies them); {} for a task that makes its own."""
    return ALL[task.name].hashes(task)
