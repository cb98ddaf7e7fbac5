"""Engine `cpu`: C, compiled on first use, called through ctypes; no extension of PyTorch, so no version to match.

Float32 and float64 give h, grad a and grad h0 bit for bit as `loop` does, except tanh: in float32 it is within one
unit in the last place of the exact value, in float64 the C library's. bfloat16 is read and written as such around a
float32 state and u: the result is that of `loop` in float32, rounded once a step.
The gradient of u is summed per chain, then over the batch in order: the same for every number of threads.

A whole layer, x to h, alternates the matrix products with the recurrence while values are in cache: `fused` does it
in C where the weights fit there too, `chunked` leaves large products to PyTorch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..errors import ParameterError, choices
from . import chains, chunked, compiler, fused

DTYPES = tuple(chains.STATE)  # what `recur` takes
_LARGE = 700  # inputs and neurons from which a matrix product is better left to PyTorch's library


def unavailable() -> str | None:
    """Why this engine cannot run here, or None; a compiler that has not been needed yet is only looked for."""
    if torch.compiler.is_compiling():
        return "torch.compile cannot look into C"
    return compiler.missing() or compiler.failure(chains.SOURCE)


def ready(dtype: torch.dtype) -> bool:
    """Can this engine take the dtype? Compiles it if need be; a failure is remembered and answers False."""
    return dtype in DTYPES and unavailable() is None and compiler.works(chains.library, dtype)


def fuses(dtype: torch.dtype) -> bool:
    """Has a whole layer a kernel of its own in this dtype? Compiles it if need be."""
    return chains.STATE.get(dtype) == dtype and compiler.works(fused.library, dtype)


def recur(a: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N), in memory of its own."""
    return _Recur.apply(a, u, h0, activation, False)  # type: ignore[no-any-return, no-untyped-call]


def recur_(a: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """The same, written over `a`: for an `a` that nobody else reads, such as a matrix product made for it."""
    return _Recur.apply(a, u, h0, activation, a.is_contiguous())  # type: ignore[no-any-return, no-untyped-call]


def layer(x: Tensor, weight: Tensor, bias: Tensor | None, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """x (T, B, M), weight (N, M), bias (N,) or None, u (N,), h0 (B, N) -> h (T, B, N)."""
    return _Layer.apply(x, weight, bias, u, h0, activation)  # type: ignore[no-any-return, no-untyped-call]


class _Recur(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, u: Tensor, h0: Tensor, activation: str, in_place: bool) -> Tensor:
        if a.dtype not in DTYPES:
            raise ParameterError(f"a: {a.dtype} received; engine 'cpu' takes {choices(DTYPES)}")
        a, h0 = a.contiguous(), h0.contiguous()
        h = a if in_place else torch.empty_like(a)
        if in_place:
            ctx.mark_dirty(a)
        chains.forward(a, u, h0, h, activation)
        ctx.save_for_backward(h, u, h0)
        ctx.activation = activation
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        h, u, h0 = ctx.saved_tensors
        d, grad_h0 = torch.empty_like(h), torch.zeros_like(h0)
        grad_u = chains.backward(g.contiguous(), h, u, h0, ctx.activation, d, grad_h0)
        return d, grad_u, grad_h0, None, None


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, u: Tensor, h0: Tensor, activation: str
    ) -> Tensor:
        x, u, h0 = x.contiguous(), u.contiguous(), h0.contiguous()
        bias = u.new_zeros(u.shape) if bias is None else bias.contiguous()
        ctx.way = chunked if min(weight.shape) >= _LARGE else fused
        ctx.activation = activation
        h: Tensor = ctx.way.forward(x, weight, bias, u, h0, activation)
        ctx.save_for_backward(x, weight, u, h0, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        for_x, for_w, for_bias, *_ = ctx.needs_input_grad
        grads = ctx.way.backward(g.contiguous(), *ctx.saved_tensors, ctx.activation, for_x, for_w)
        grad_x, grad_w, grad_bias, grad_u, grad_h0 = grads
        return grad_x, grad_w, grad_bias if for_bias else None, grad_u, grad_h0, None
