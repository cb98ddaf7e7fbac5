"""Memory that a run needs and that there is, so that one that cannot fit says so and takes nobody with it."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

from .. import tasks
from ..config import Config
from ..errors import RunError

LEANEST = {"lstm": 48}  # bytes a step, sequence, unit and layer that training must keep; 8 (two float32) for the others


class OutOfMemory(RunError):
    """The run does not fit into the memory there is."""


def needed(config: Config) -> int:
    """A lower bound, in bytes, on what training holds: activations of all steps, weights, moments and the best copy.

    The leanest engine keeps 8 bytes a step, sequence, unit and layer (measured; torch's LSTM 60); others up to 40.
    """
    spec, model = tasks.spec(config.task), config.model
    states = spec.steps * config.train.batch * model.hidden * model.depth
    gates = 4 if model.kind == "lstm" else 1
    weights = gates * model.hidden * (spec.inputs + model.hidden * (model.depth - (model.kind != "lstm")))
    return states * LEANEST.get(model.kind, 8) + 7 * 4 * weights


def available(device: str) -> int:
    """Bytes that a process of this machine may still take."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info()[0])
    rooms = (psutil.virtual_memory().available, _of_container(), _of_process())
    return min(room for room in rooms if room is not None)


def check(config: Config, device: str, label: str) -> None:
    """OutOfMemory, before anything is started, where even the leanest estimate does not fit."""
    room = available(device)
    if needed(config) > room:
        raise refusal(config, label, f"has {_gb(room)}")


def check_bytes(size: int, device: str, label: str) -> None:
    """OutOfMemory where so many bytes cannot be had."""
    room = available(device)
    if size > room:
        raise OutOfMemory(f"{label}: out of memory: needs at least {_gb(size)}, has {_gb(room)}")


def refusal(config: Config, label: str, why: str) -> OutOfMemory:
    """`LABEL: failed: out of memory (T 784, B 32, N 128, depth 6: needs at least 0.4 GB, has 0.2 GB)`."""
    T, B, model = tasks.spec(config.task).steps, config.train.batch, config.model
    shape = f"T {T:,}, B {B:,}, N {model.hidden:,}, depth {model.depth:,}"
    return OutOfMemory(f"{label}: failed: out of memory ({shape}: needs at least {_gb(needed(config))}, {why})")


def is_exhaustion(error: BaseException) -> bool:
    """Say whether an error of torch or Python says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    signs = ("can't allocate memory", "out of memory", "bad_alloc")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def _of_container() -> int | None:
    """Memory in bytes that the control group leaves; files that are only cached do not count."""
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = int((group / "memory.max").read_text()), int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return limit - used + int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return None


def _of_process() -> int | None:
    """Memory in bytes that RLIMIT_AS leaves."""
    if not hasattr(psutil, "RLIMIT_AS"):  # Linux alone
        return None
    process = psutil.Process()
    limit, _ = process.rlimit(psutil.RLIMIT_AS)
    return None if limit == psutil.RLIM_INFINITY else int(limit - process.memory_info().vms)


def _gb(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
