"""Check the arguments once, choose the engine, call it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from ..errors import ParameterError, choices
from . import cpu, eager, gpu, loop, scan
from .activation import ACTIVATIONS

ENGINES: dict[str, ModuleType] = {"loop": loop, "torch": eager, "cpu": cpu, "scan": scan, "triton": gpu}


def unavailable(backend: str) -> str | None:
    """Why an engine cannot run on this machine, or None if it can."""
    if backend not in tuple(ENGINES):
        raise ParameterError(f"backend: {backend!r} is not an engine; choose one of {choices(['auto', *ENGINES])}")
    reason: str | None = ENGINES[backend].unavailable()
    return reason


def refuses(backend: str, activation: str) -> str | None:
    """Why an engine cannot run an activation, or None if it can: most can run all."""
    says = getattr(ENGINES[backend], "refuses", None)
    reason: str | None = None if says is None else says(activation)
    return reason


def available() -> list[str]:
    """The engines that work on this machine, the specification first."""
    return [name for name in ENGINES if unavailable(name) is None]


def chosen(backend: str, device: torch.device, dtype: torch.dtype = torch.float32) -> str:
    """The name of the engine that `auto` (or a name) means on a device, for a record of what computed it."""
    engine = _choose(torch.empty(2, 1, 1, device=device, dtype=dtype), "relu", backend)
    return next(name for name, module in ENGINES.items() if module is engine)


def recur(a: Tensor, u: Tensor, h0: Tensor | None = None, *, activation: str = "relu", backend: str = "auto") -> Tensor:
    """Run the neurons of one IndRNN layer through time.

        h_t = f(a_t + u * h_{t-1})        Li et al. 2018, eq. (2); a holds W x_t + b

    a (T, B, N)   u (N,)   h0 (B, N), zeros if None   ->   h (T, B, N), the state after each step

    Differentiable in a, u and h0. `activation` f: relu, tanh, identity, leaky_relu. `backend`: auto, or an engine
    of `available()`; all give the same values and gradients. Raises ParameterError for shapes, dtypes or devices
    that do not fit, and for an engine that cannot run here, saying why.
    """
    engine, h0 = _prepare(a, u, h0, activation, backend)
    return _run(engine, engine.recur, a, u, h0, activation)


def layer(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    u: Tensor,
    h0: Tensor | None = None,
    *,
    activation: str = "relu",
    backend: str = "auto",
) -> Tensor:
    """One IndRNN layer: the input's matrix product for all steps at once, then the recurrence.

        h_t = f(W x_t + b + u * h_{t-1})        Li et al. 2018, eq. (2)

    x (T, B, M)   weight (N, M)   bias (N,) or None   u (N,)   h0 (B, N), zeros if None   ->   h (T, B, N)

    An engine may fuse the two (its own `layer`); otherwise the states are written over the product.
    """
    if _alike(x, weight, bias, u):
        shape = x.new_empty(()).expand(*x.shape[:2], len(weight))  # what the product would be, without computing it
        engine, h0 = _prepare(shape, u, h0, activation, backend)
        if hasattr(engine, "layer") and engine.fuses(x.dtype):
            h: Tensor = engine.layer(x, weight, bias, u, h0, activation)
            return h
    a = torch.nn.functional.linear(x, weight, bias)
    if h0 is not None and torch.is_autocast_enabled(x.device.type):
        h0 = h0.to(a.dtype)
    engine, h0 = _prepare(a, u, h0, activation, backend)
    return _run(engine, getattr(engine, "recur_", engine.recur), a, u, h0, activation)


def _alike(x: Tensor, weight: Tensor, bias: Tensor | None, u: Tensor) -> bool:
    """Can a product and recurrence in one dtype be fused: does everything fit, without PyTorch's casts?"""
    if not (x.ndim == 3 and weight.ndim == 2 and x.shape[2] == weight.shape[1]) or x.numel() == 0:
        return False
    if bias is not None and tuple(bias.shape) != (len(weight),):
        return False
    others = (weight, u) if bias is None else (weight, u, bias)
    same = all(other.dtype == x.dtype and other.device == x.device for other in others)
    return same and not torch.is_autocast_enabled(x.device.type)


def _run(engine: ModuleType, step: Callable[..., Tensor], a: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """Run an engine's step; one that does not know a float32 u beside a bfloat16 a works in float32."""
    if u.dtype != a.dtype and engine in (loop, eager):
        return step(a.to(u.dtype), u, h0.to(u.dtype), activation).to(a.dtype)
    return step(a, u, h0, activation)


def _prepare(a: Tensor, u: Tensor, h0: Tensor | None, activation: str, backend: str) -> tuple[ModuleType, Tensor]:
    if activation not in tuple(ACTIVATIONS):
        raise ParameterError(f"activation: {activation!r} is unknown; choose one of {choices(ACTIVATIONS)}")
    if not isinstance(a, Tensor) or a.ndim != 3:
        got = f"shape {tuple(a.shape)}" if isinstance(a, Tensor) else type(a).__name__
        raise ParameterError(f"a: {got} received; a tensor of shape (T, B, N) is needed")
    if a.shape[0] == 0:
        raise ParameterError(f"a: shape {tuple(a.shape)} has no time step; T must be at least 1")
    if not a.is_floating_point():
        raise ParameterError(f"a: dtype {a.dtype} received; a floating-point dtype is needed")
    _, B, N = a.shape
    if h0 is None:
        h0 = a.new_zeros(B, N)
    for name, value, shape in (("u", u, (N,)), ("h0", h0, (B, N))):
        if not isinstance(value, Tensor) or tuple(value.shape) != shape:
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ParameterError(f"{name}: {got} received; {shape} is needed for a of shape {tuple(a.shape)}")
        mixed = name == "u" and a.dtype == torch.bfloat16 and value.dtype == torch.float32
        if (value.dtype != a.dtype and not mixed) or value.device != a.device:
            raise ParameterError(
                f"{name}: {value.dtype} on {value.device} received; a is {a.dtype} on {a.device}, both must agree"
            )
    return _choose(a, activation, backend), h0


def _choose(a: Tensor, activation: str, backend: str) -> ModuleType:
    if backend == "auto":
        if a.device.type == "cpu" and cpu.ready(a.dtype):
            return cpu
        if scan.is_long_and_thin(a) and scan.refuses(activation) is None:
            return scan
        return gpu if a.is_cuda and gpu.takes(a) else eager
    reason = unavailable(backend)
    if reason is not None:
        raise ParameterError(f"backend: {backend!r} cannot run here: {reason}; available: {choices(available())}")
    reason = refuses(backend, activation)
    if reason is not None:
        able = choices(name for name in available() if refuses(name, activation) is None)
        raise ParameterError(
            f"backend: {backend!r} cannot run activation {activation!r}: {reason}; choose one of {able}"
        )
    return ENGINES[backend]
