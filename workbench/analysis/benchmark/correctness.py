"""Every engine against the specification, on the device at hand: what a timing is worth nothing without."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import recurrence
from ...errors import ParameterError
from ...recurrence.activation import ACTIVATIONS
from .timing import Row

_SHAPES = ((1, 1, 1), (33, 3, 7), (784, 5, 40), (100, 32, 128), (2048, 1, 130), (50, 3, 2001))  # (T, B, N)
_ROUNDINGS = {torch.float64: 200, torch.float32: 200, torch.bfloat16: 4, torch.float16: 4}  # of the largest number
_NAMES = ("h", "grad a", "grad u", "grad h0")


def correctness(device: str = "cpu") -> list[Row]:
    """A row an engine, activation and dtype: the largest error of h and the gradients of a, u and h0 over odd shapes.

    `error` in roundings of the largest number in sight, against the loop in float32 for half precision; `exact`: which
    of the four were equal bit for bit everywhere; `ok`: below what `allowed` says.
    """
    rows: list[Row] = []
    for engine in ("auto", *recurrence.available()[1:]):
        for activation in ACTIVATIONS:
            if engine == "auto" or recurrence.refuses(engine, activation) is None:
                rows += [_checked(engine, activation, dtype, device) for dtype in _ROUNDINGS]
    return [row for row in rows if row["error"] is not None]


def _checked(engine: str, activation: str, dtype: torch.dtype, device: str) -> Row:
    worst, exact = 0.0, set(_NAMES)
    row: Row = {"table": "correctness", "what": engine, "activation": activation, "dtype": str(dtype), "device": device}
    for T, B, N in _SHAPES:
        inputs, g = _drawn(T, B, N, dtype, device)
        try:
            ours = _outcome(engine, activation, inputs, g)
        except ParameterError as refused:  # a dtype that the engine does not take
            return row | {"error": None, "refused": str(refused)}
        wide = dtype if dtype.itemsize >= 4 else torch.float32
        theirs = _outcome("loop", activation, [v.to(wide) for v in inputs], g.to(wide))
        for name, x, y in zip(_NAMES, ours, theirs, strict=True):
            scale = torch.finfo(dtype).eps * (1 + float(y.abs().max()))
            worst = max(worst, float((x.to(y.dtype) - y).abs().max()) / scale)
            if not torch.equal(x.to(y.dtype), y):
                exact.discard(name)
    allowed = _ROUNDINGS[dtype]
    return row | {"error": worst, "allowed": allowed, "exact": sorted(exact), "ok": worst <= allowed}


def _drawn(T: int, B: int, N: int, dtype: torch.dtype, device: str) -> tuple[list[Tensor], Tensor]:
    """a, u, h0 and the gradient of h; in half precision away from the kink, where rounding would decide a gradient."""
    chance = torch.Generator().manual_seed(0)
    a, h0, g = (torch.randn(*s, generator=chance, dtype=torch.float64) for s in ((T, B, N), (B, N), (T, B, N)))
    u = 2 * torch.rand(N, generator=chance, dtype=torch.float64) - 1
    if dtype.itemsize < 4:
        a, u, h0 = a.abs() + 1.5, 0.9 * u, h0.abs()
    return [v.to(device, dtype) for v in (a, u, h0)], g.to(device, dtype)


def _outcome(engine: str, activation: str, inputs: list[Tensor], g: Tensor) -> list[Tensor]:
    """h and the gradients of a, u and h0."""
    leaves = [v.clone().requires_grad_() for v in inputs]
    h = recurrence.recur(*leaves, activation=activation, backend=engine)
    return [h.detach(), *torch.autograd.grad(h, leaves, g)]
