"""The tasks, one file each, behind one contract; the file's name is the task's. To add one: a file here.

Each file has `spec(config)`, `hashes(config)` and `task(config, seed, batch_size)`. The config of one that is added
stands in its file, a `config.Task` with a `name: Literal[...]`; those of the paper are in config/task.py.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch

from .. import config, files
from .contract import Batch as Batch
from .contract import Resident
from .contract import Scaler as Scaler
from .contract import Spec as Spec
from .contract import Task as Task


class _Module(Protocol):
    def spec(self, config: config.Task, /) -> Spec: ...
    def hashes(self, config: config.Task, /) -> dict[str, str]: ...
    def task(self, config: config.Task, seed: int, batch_size: int, /) -> Task: ...


ALL: dict[str, _Module] = {  # each takes its own config
    name: cast(_Module, module) for name, module in files.modules("tasks") if hasattr(module, "task")
}


def load(task: config.Task, seed: int, batch_size: int) -> Task:
    """A task under a seed, its data found and verified. Raises DataError where they cannot be had."""
    return ALL[task.name].task(task, seed, batch_size)


def laid(task: Task, device: torch.device) -> Task:
    """A task whose training batches are cut on the device, from data that are laid there; else the task itself."""
    lay = None if device.type == "cpu" else getattr(task, "laid", None)
    return task if lay is None else cast(Task, lay(device))


def resident(task: Task, device: torch.device) -> Resident | None:
    """A task's training examples laid on a device; None for a task whose batches are drawn, or made on the CPU."""
    laid = getattr(task, "resident", None)
    return None if laid is None else cast(Resident, laid(device))


def spec(task: config.Task) -> Spec:
    """The task seen from a net, without its data."""
    return ALL[task.name].spec(task)


def data_hashes(task: config.Task) -> dict[str, str]:
    """The known hashes of the data a task reads (reading verifies them); {} for a task that makes its own."""
    return ALL[task.name].hashes(task)
