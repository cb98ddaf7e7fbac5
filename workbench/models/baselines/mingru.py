"""The minimal GRU of Feng, Tung, Ahmed, Bengio and Hajimirsadeghi (2024), arXiv:2410.01201, section 3.1.

    z_t = sigmoid(W_z x_t + b_z)
    h_t = (1 - z_t) * h_{t-1} + z_t * (W_h x_t + b_h)

Like an IndRNN's, its neurons remember themselves alone; unlike them they are linear in the past, and how much they keep
of it the input says. u changes from step to step, so `recur` does not fit: `walk` goes through time, one small
operation a step forward and one back, which is the exact recurrence and needs no logarithms.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor
from torch.autograd.function import once_differentiable

from ..layer import Linear
from .lru import Block

HOLD = 1.0  # b_z starts at minus this: a neuron keeps most of its past, as the LSTM's here, whose forget bias is 1


class MinGRU(Block):
    """The LRU's block about their recurrence, S = N, with an FC in the place of gelu and GLU."""

    def __init__(self, inputs: int, hidden: int, generator: Generator | None = None):
        super().__init__(inputs, hidden, generator)
        self.products = Linear(hidden, 2 * hidden, init="glorot", generator=generator)  # of the gate, of the candidate
        with torch.no_grad():
            self.products.bias[:hidden] = -HOLD
        self.mix = Linear(hidden, hidden, init="glorot", generator=generator)

    def recurrence(self, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        gate, candidate = self.products(x).chunk(2, -1)
        before = x.new_zeros(x.shape[1:]) if h0 is None else h0[0]
        h = walk(torch.sigmoid(-gate), torch.sigmoid(gate) * candidate, before)
        return h, h[-1:].clone()

    def leave(self, y: Tensor) -> Tensor:
        out: Tensor = self.mix(y)
        return out


def walk(f: Tensor, b: Tensor, h0: Tensor) -> Tensor:
    """h_t = f_t * h_{t-1} + b_t: f, b (T, B, N), h0 (B, N) -> h (T, B, N)."""
    return _Walk.apply(f, b, h0)  # type: ignore[no-any-return, no-untyped-call]


class _Walk(torch.autograd.Function):
    """`walk`. Back: the gradients d that arrive at h obey d_t = g_t + f_{t+1} * d_{t+1}."""

    @staticmethod
    def forward(ctx: Any, f: Tensor, b: Tensor, h0: Tensor) -> Tensor:
        h, before = torch.empty_like(b, memory_format=torch.contiguous_format), h0
        for f_t, b_t, h_t in zip(f, b, h, strict=True):
            before = torch.addcmul(b_t, f_t, before, out=h_t)
        ctx.save_for_backward(f, h0, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        f, h0, h = ctx.saved_tensors
        d = g.clone(memory_format=torch.contiguous_format)
        steps = list(zip(d, f, strict=True))
        for (d_t, _), (later, f_later) in zip(steps[-2::-1], steps[:0:-1], strict=True):
            d_t.addcmul_(later, f_later)
        return d * torch.cat([h0[None], h[:-1]]), d, d[0] * f[0]
