"""Engine `torch`: pure PyTorch, in place, backward written by hand; it needs no compiler and runs on any device.

Two kernels a step forward and three backward, on views made once (`unbind`): indexing h[t] under autograd costs
O(T^2) in the backward pass. The backward pass is the one of the official kernel:

    d_t = f'(h_t) * (g_t + u * d_{t+1});   grad a = d;   grad u = sum_t,b d_t h_{t-1};   grad h0 = u * d_1
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .activation import ACTIVATIONS


def unavailable() -> str | None:
    """Why this engine cannot run here: never."""
    return None


def recur(a: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N), in memory of its own."""
    return _Recur.apply(a, u, h0, activation, False)  # type: ignore[no-any-return, no-untyped-call]


def recur_(a: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """The same, written over `a`: for an `a` that nobody else reads, such as a matrix product made for it."""
    return _Recur.apply(a, u, h0, activation, True)  # type: ignore[no-any-return, no-untyped-call]


def forward_(h: Tensor, u: Tensor, h0: Tensor, activation: str) -> None:
    """Overwrite the pre-activations in h (T, B, N) by the states."""
    value_ = ACTIVATIONS[activation].value_
    before = h0
    for h_t in h.unbind(0):
        value_(h_t.addcmul_(u, before))
        before = h_t


def backward_(d: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """Overwrite the gradients of h in d (T, B, N) by those of a; return those of u (N,) and h0 (B, N)."""
    pull_ = ACTIVATIONS[activation].pull_
    per_chain = torch.zeros_like(h0)  # grad u of each (sample, neuron), summed over the batch once, at the end
    after: Tensor | None = None
    states = (h0, *h.unbind(0))
    for d_t, h_t, before in zip(reversed(d.unbind(0)), reversed(states), reversed(states[:-1]), strict=False):
        if after is not None:
            d_t.addcmul_(u, after)
        pull_(d_t, h_t)
        per_chain.addcmul_(d_t, before)
        after = d_t
    return per_chain.sum(0), u * d[0]


class _Recur(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, u: Tensor, h0: Tensor, activation: str, in_place: bool) -> Tensor:
        h = a if in_place else a.clone(memory_format=torch.contiguous_format)
        if in_place:
            ctx.mark_dirty(a)
        forward_(h, u, h0, activation)
        ctx.save_for_backward(h, u, h0)
        ctx.activation = activation
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        h, u, h0 = ctx.saved_tensors
        d = g.clone(memory_format=torch.contiguous_format)
        grad_u, grad_h0 = backward_(d, h, u, h0, ctx.activation)
        return d, grad_u, grad_h0, None, None
