"""Check the arguments once, choose the engine, call it."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from ..errors import ParameterError, choices
from . import eager, loop
from .activation import ACTIVATIONS

ENGINES: dict[str, ModuleType] = {"loop": loop, "torch": eager}


def unavailable(backend: str) -> str | None:
    """Why an engine cannot run on this machine, or None if it can."""
    if backend not in ENGINES:
        raise ParameterError(f"backend: {backend!r} is not an engine; choose one of {choices(['auto', *ENGINES])}")
    reason: str | None = ENGINES[backend].unavailable()
    return reason


def available() -> list[str]:
    """The engines that work on this machine, the specification first."""
    return [name for name in ENGINES if unavailable(name) is None]


def recur(
    a: Tensor, u: Tensor, h0: Tensor | None = None, *, activation: str = "relu", backend: str = "auto"
) -> Tensor:
    """Run the neurons of one IndRNN layer through time.

        h_t = f(a_t + u * h_{t-1})        Li et al. 2018, eq. (2); a holds W x_t + b

    a (T, B, N)   u (N,)   h0 (B, N), zeros if None   ->   h (T, B, N), the state after each step

    Differentiable in a, u and h0. `activation` f: relu, tanh, identity, leaky_relu. `backend`: auto, or an engine
    of `available()`; all give the same values and gradients. Raises ParameterError for shapes, dtypes or devices
    that do not fit, and for an engine that cannot run here, saying why.
    """
    engine, h0 = _prepare(a, u, h0, activation, backend)
    h: Tensor = engine.recur(a, u, h0, activation)
    return h


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
    a = torch.nn.functional.linear(x, weight, bias)
    engine, h0 = _prepare(a, u, h0, activation, backend)
    h: Tensor = getattr(engine, "recur_", engine.recur)(a, u, h0, activation)
    return h


def _prepare(
    a: Tensor, u: Tensor, h0: Tensor | None, activation: str, backend: str
) -> tuple[ModuleType, Tensor]:
    if activation not in ACTIVATIONS:
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
        if value.dtype != a.dtype or value.device != a.device:
            raise ParameterError(
                f"{name}: {value.dtype} on {value.device} received; a is {a.dtype} on {a.device}, both must agree"
            )
    return _choose(a, backend), h0


def _choose(a: Tensor, backend: str) -> ModuleType:
    if backend == "auto":
        return eager
    reason = unavailable(backend)
    if reason is not None:
        raise ParameterError(f"backend: {backend!r} cannot run here: {reason}; available: {choices(available())}")
    return ENGINES[backend]
