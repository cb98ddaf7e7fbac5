"""The engines: which there are, which of them run here, and which one `auto` means."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from ..errors import ParameterError, choices
from . import engine_loop, engine_scan, engine_torch, engine_triton
from .autograd import Engine
from .cpu import engine as cpu

ENGINES: dict[str, ModuleType] = {
    "loop": engine_loop,
    "torch": engine_torch,
    "cpu": cpu,
    "scan": engine_scan,
    "triton": engine_triton,
}


def unavailable(backend: str) -> str | None:
    """Reason why an engine cannot run on this machine, or None if it can: those made of PyTorch alone always can."""
    if backend not in tuple(ENGINES):
        raise ParameterError(f"backend: {backend!r} is not an engine; choose one of {choices(['auto', *ENGINES])}")
    says = getattr(ENGINES[backend], "unavailable", None)
    reason: str | None = None if says is None else says()
    return reason


def refuses(backend: str, activation: str) -> str | None:
    """Reason why an engine cannot run an activation, or None if it can: most can run all."""
    says = getattr(ENGINES[backend], "refuses", None)
    reason: str | None = None if says is None else says(activation)
    return reason


def available() -> list[str]:
    """The engines that work on this machine, the specification first."""
    return [name for name in ENGINES if unavailable(name) is None]


def chosen(backend: str, device: torch.device, dtype: torch.dtype = torch.float32) -> str:
    """The name of the engine that `auto` (or a name) means on a device, for a record of what computed it."""
    engine = _named(torch.empty(2, 1, 1, device=device, dtype=dtype), "relu", backend)
    return next(name for name, module in ENGINES.items() if module is engine)


def choose(a: Tensor, activation: str, backend: str) -> Engine:
    """The engine for pre-activations a (T, B, N); a ParameterError where the one that is named cannot do it.

    Where Triton takes the tensor, `scan` runs in its kernels, in chunks.
    """
    chosen = _named(a, activation, backend)
    return engine_triton.IN_CHUNKS if chosen is engine_scan and engine_triton.takes(a) else chosen


def _named(a: Tensor, activation: str, backend: str) -> ModuleType:
    if backend == "auto":
        if a.device.type == "cpu" and cpu.ready(a.dtype, activation):
            return cpu
        if engine_scan.is_long_and_thin(a) and engine_scan.refuses(activation) is None:
            return engine_scan
        return engine_triton if a.is_cuda and engine_triton.takes(a) else engine_torch
    reason = unavailable(backend)
    if reason is not None:
        raise ParameterError(f"backend: {backend!r} cannot run here: {reason}; available: {choices(available())}")
    reason = refuses(backend, activation)
    if reason is not None:
        able = choices(name for name in available() if refuses(name, activation) is None)
        raise ParameterError(
            f"backend: {backend!r} cannot run activation {activation!r}: {reason}; choose one of {able}"
        )
    if backend == "cpu" and a.device.type not in ("cpu", "meta"):
        raise ParameterError(f"backend: 'cpu' reads the memory of the CPU; a tensor on {a.device} received")
    return ENGINES[backend]
