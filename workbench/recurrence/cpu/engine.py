"""Engine `cpu`: C, compiled on first use, called through ctypes; no extension of PyTorch, so no version to match.

Float32 and float64 give h, grad a and grad h0 bit for bit as `loop` does, except tanh: in float32 it is within one
unit in the last place of the exact value, in float64 the C library's. bfloat16 is read and written as such around a
float32 state and u: the result is that of `loop` in float32, rounded once a step.
The gradient of u is summed per chain, then over the batch in order: the same for every number of threads.

A whole layer, x to h, alternates the matrix products with the recurrence while values are in cache: `layer_fused`
does it in C where the weights fit there too, `layer_large` leaves large products to PyTorch, `layer_narrow` needs none
for one or two inputs. Batch norm and dropout after it (`batchnorm`) cost three passes over memory more, forward and
backward together; layer norm or RMS norm (`featurenorm`) two.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...errors import ParameterError, choices
from .. import engine_loop
from ..autograd import Gradients, fits, returned
from ..observers import plain
from . import batchnorm, compiler, featurenorm, layer_fused, layer_large, layer_narrow, states
from .batchnorm import Map, Norm
from .featurenorm import FeatureNorm
from .memory import empty
from .structs import Made

NAME = "cpu"
DTYPES = tuple(states.STATE)  # what `recur` takes
LARGE = 512  # inputs and neurons from which matrix products are left to PyTorch's library (scripts/crossovers.py)


def unavailable() -> str | None:
    """Reason why this engine cannot run here, or None; a compiler that has not been needed yet is only looked for."""
    if torch.compiler.is_compiling():
        return "torch.compile cannot look into C"
    return compiler.missing() or compiler.failure(states.SOURCE)


def ready(dtype: torch.dtype, activation: str) -> bool:
    """Can this engine run these? Compiles them if need be; a failure is remembered and answers False."""
    return dtype in DTYPES and not torch.compiler.is_compiling() and compiler.works(states.library, dtype, activation)


def fuses(x: Tensor, weight: Tensor, activation: str) -> bool:
    """Can it run a whole layer of these? Compiles it if need be."""
    if not (x.device.type == "cpu" and states.STATE.get(x.dtype) == x.dtype) or torch.compiler.is_compiling():
        return False
    _begin(x.dtype, activation)
    return compiler.works(_way(x, weight).library, x.dtype, activation)


def normalizes(dtype: torch.dtype, features: bool = False) -> bool:
    """Has batch norm, or a norm over `features`, a kernel of its own in this dtype? Compiles it if need be."""
    way = featurenorm if features else batchnorm
    return states.STATE.get(dtype) == dtype and not torch.compiler.is_compiling() and compiler.works(way.library, dtype)


def forward(a: Tensor, u: Tensor, h0: Tensor, activation: str, over: bool) -> Tensor:
    """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N), written over a contiguous `a` if nobody else reads it."""
    if a.dtype not in DTYPES:
        raise ParameterError(f"a: {a.dtype} received; engine 'cpu' takes {choices(DTYPES)}")
    a = a.contiguous()
    h = a if over else empty(a.shape, a.dtype)
    states.forward(a, u, h0.contiguous(), h, activation)
    return h


def backward(g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Gradients:
    """From the gradients g of h (T, B, N): those of a (T, B, N), u (N,) and h0 (B, N)."""
    h0 = h0.contiguous()
    d, grad_h0 = empty(h.shape, h.dtype), torch.zeros_like(h0)
    grad_u = states.backward(g.contiguous(), h, u, h0, activation, d, grad_h0)
    return d, grad_u, grad_h0


def layer(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    u: Tensor,
    h0: Tensor,
    activation: str,
    norm: Norm | FeatureNorm | None,
) -> tuple[Tensor, Tensor | None]:
    """x (T, B, M), weight (N, M), bias (N,) or None, u (N,), h0 (B, N) -> h (T, B, N), or what a norm makes of it.

    The second is h's mean and variance (2, N), if batch norm had to take them.
    """
    x, u, h0, bias = x.contiguous(), u.contiguous(), h0.contiguous(), None if bias is None else bias.contiguous()
    scale, shift = (None, None) if norm is None else norm[:2]
    learned = (v for v in (x, weight, bias, u, h0, scale, shift) if v is not None)
    plan = _Plan(_way(x, weight), activation, torch.is_grad_enabled() and any(v.requires_grad for v in learned))
    return _Layer.apply(x, weight, bias, u, h0, scale, shift, norm, plan)  # type: ignore[no-any-return, no-untyped-call]


def normalize(h: Tensor, norm: Norm | FeatureNorm) -> tuple[Tensor, Tensor | None]:
    """A norm and dropout on their own: h (T, B, N) -> y (T, B, N), and h's mean and variance (2, N) if taken."""
    return _Normalize.apply(h.contiguous(), *norm[:2], norm)  # type: ignore[no-any-return, no-untyped-call]


class _Plan(NamedTuple):
    """Plan of a layer's run: the implementation, and whether a backward pass will want what it has seen."""

    way: ModuleType
    activation: str
    learns: bool


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        u: Tensor,
        h0: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        norm: Norm | FeatureNorm | None,
        plan: _Plan,
    ) -> tuple[Tensor, Tensor | None]:
        ctx.plan, ctx.norm = plan, None
        b = u.new_zeros(u.shape) if bias is None else bias
        h: Tensor = plan.way.forward(x, weight, b, u, h0, plan.activation)
        if norm is None:
            ctx.save_for_backward(x, weight, bias, u, h0, None, None, h)
            return h, None
        y = empty(h.shape, h.dtype) if plan.learns else h
        done, found = _map(ctx, h, y, norm)
        ctx.save_for_backward(x, weight, bias, u, h0, scale, shift, h, *done)
        return y, found

    @staticmethod
    def backward(ctx: Any, g: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight, bias, u, h0, scale, shift, h, *done = ctx.saved_tensors
        x, weight, u, h0, h = _restored(g, x, weight, u, h0, h)
        norm = ctx.norm
        if norm is not None:
            scale, shift, *done = _restored_norm(g, scale, shift, *done)
            norm = norm._replace(scale=scale, shift=shift)
        if torch.is_grad_enabled() or not plain(g, x, weight, u, h0, h):

            def specification(x: Tensor, w: Tensor, b: Tensor | None, u: Tensor, h0: Tensor, *pair: Any) -> Tensor:
                h = engine_loop.recur(torch.nn.functional.linear(x, w, b), u, h0, ctx.plan.activation)
                return h if norm is None else _in_torch(h, norm._replace(scale=pair[0], shift=pair[1]))

            return *batchnorm.differentiable(specification, g, x, weight, bias, u, h0, scale, shift), None, None
        for_x, for_w, for_bias, *_ = ctx.needs_input_grad
        g, pull, grad_scale, grad_shift = g.contiguous(), None, None, None
        if norm is not None:
            g, pull, grad_scale, grad_shift = _pull(g, h, norm, done)
        made = Made(x, weight, u, h0, h, ctx.plan.activation)
        grad_x, grad_w, grad_bias, grad_u, grad_h0 = ctx.plan.way.backward(made, g, pull, for_x, for_w)
        grad_bias = grad_bias if for_bias else None
        return grad_x, grad_w, grad_bias, grad_u, grad_h0, grad_scale, grad_shift, None, None


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, h: Tensor, scale: Tensor | None, shift: Tensor | None, norm: Norm | FeatureNorm
    ) -> tuple[Tensor, Tensor | None]:
        y = empty(h.shape, h.dtype)
        done, found = _map(ctx, h, y, norm)
        ctx.save_for_backward(h, scale, shift, *done)
        return y, found

    @staticmethod
    def backward(ctx: Any, g: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        h, scale, shift, *done = ctx.saved_tensors
        h, (scale, shift, *done) = returned("h", h, g.shape, g), _restored_norm(g, scale, shift, *done)
        norm = ctx.norm._replace(scale=scale, shift=shift)
        if torch.is_grad_enabled() or not plain(g, h):

            def in_torch(h: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
                return _in_torch(h, norm._replace(scale=scale, shift=shift))

            return *batchnorm.differentiable(in_torch, g, h, scale, shift), None
        d, pull, grad_scale, grad_shift = _pull(g.contiguous(), h, norm, done)
        if pull is not None:
            g, d = d, empty(h.shape, h.dtype)
            batchnorm.backward(g, h, pull, d)
        return d, grad_scale, grad_shift, None


def _restored(g: Tensor, *saved: Tensor) -> tuple[Tensor, ...]:
    """Bring x, weight, u, h0 and h that autograd kept into C's layout: hooks may bring them back in another one."""
    (T, B, N), M = g.shape, saved[1].shape[-1]
    shapes = (T, B, M), (N, M), (N,), (B, N), (T, B, N)
    if all(fits(v, shape, g) for v, shape in zip(saved, shapes, strict=True)):
        return saved
    names = "x", "weight", "u", "h0", "h"
    return tuple(returned(*it, g) for it in zip(names, saved, shapes, strict=True))


def _restored_norm(g: Tensor, scale: Tensor | None, shift: Tensor | None, *done: Tensor | None) -> tuple[Any, ...]:
    """Likewise for a norm: scale and shift (N,), and what batch norm has done, a `Map`."""
    _, B, N = g.shape
    names, shapes = ("scale", "shift", "map", "inverse"), ((N,), (N,), (3, B, N), (N,))
    dtypes = g.dtype, g.dtype, g.dtype, torch.float64
    return tuple(
        None if v is None else returned(name, v, shape, g, dtype)
        for name, v, shape, dtype in zip(names, (scale, shift, *done), shapes, dtypes, strict=False)
    )


def _map(ctx: Any, h: Tensor, y: Tensor, norm: Norm | FeatureNorm) -> tuple[tuple[Tensor | None, ...], Tensor | None]:
    """Write y; return what is kept of what was done, and the statistics if they had to be taken."""
    ctx.norm = norm._replace(scale=None, shift=None)  # autograd keeps those
    if isinstance(norm, FeatureNorm):
        featurenorm.forward(h, y, norm)
        return (), None
    if not norm.takes:
        return batchnorm.forward(h, y, norm), None
    found = batchnorm.statistics(h)
    ctx.mark_non_differentiable(found)
    return batchnorm.forward(h, y, norm._replace(statistics=found)), found


def _pull(g: Tensor, h: Tensor, norm: Norm | FeatureNorm, done: Any) -> tuple[Any, ...]:
    """From the gradient g of y: that of h, or g and the `Pull` that gives it; and those of scale and shift."""
    if isinstance(norm, FeatureNorm):
        d = empty(h.shape, h.dtype)
        return d, None, *featurenorm.backward(g, h, norm, d)
    return g, *batchnorm.pull(g, h, norm, Map(*done))


def _in_torch(h: Tensor, norm: Norm | FeatureNorm) -> Tensor:
    return featurenorm.in_torch(h, norm) if isinstance(norm, FeatureNorm) else batchnorm.in_torch(h, norm)


@cache
def _begin(dtype: torch.dtype, activation: str) -> None:
    """The first layer of a net is seldom its last: all that the others may want is compiled beside it."""
    if compiler.missing() is None:
        for way in (layer_fused, states, layer_narrow):
            compiler.start(way.library, dtype, activation)
        compiler.start(batchnorm.library, dtype)


def _way(x: Tensor, weight: Tensor) -> ModuleType:
    """The implementation of a layer for its sizes."""
    if weight.shape[1] <= layer_narrow.INPUTS and not (x.requires_grad and torch.is_grad_enabled()):
        return layer_narrow
    return layer_large if min(weight.shape) >= LARGE else layer_fused
