"""The tasks, one file each, behind one contract. To add one: a file here, a config in config.py, a line in `load`."""

from __future__ import annotations

from .. import config
from . import adding, pixels
from .contract import Batch as Batch
from .contract import Spec as Spec
from .contract import Task as Task

__all__ = ["Batch", "Spec", "Task", "data_hashes", "load", "spec"]


def load(task: config.Adding | config.Pixels, seed: int, batch_size: int) -> Task:
    """A task under a seed, its data found and verified. Raises DataError where they cannot be had."""
    if isinstance(task, config.Adding):
        return adding.AddingTask(task, seed, batch_size)
    return pixels.PixelsTask(task, seed, batch_size)


def spec(task: config.Adding | config.Pixels) -> Spec:
    """The task seen from a net, without its data."""
    return adding.spec(task) if isinstance(task, config.Adding) else pixels.spec(task)


def data_hashes(task: config.Adding | config.Pixels) -> dict[str, str]:
    """The known hashes of the data a task reads (reading verifies them); {} for a task that makes its own."""
    return {} if isinstance(task, config.Adding) else pixels.hashes(task)
