"""A whole layer with large matrices: PyTorch's products and the recurrence in C alternate, some steps at a time.

The product goes straight into the output, and the recurrence runs in place there before it leaves the cache.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import batchnorm, states
from .memory import empty
from .structs import Gradients, Made, Pull

library = states.library
_ROWS = 4096  # rows (steps times sequences) of a product: enough for its full speed on all threads


def forward(x: Tensor, weight: Tensor, bias: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """x (T, B, M), weight (N, M), bias (N,), u (N,), h0 (B, N) -> the states h (T, B, N)."""
    (T, B, _), N = x.shape, len(weight)
    h = empty((T, B, N), x.dtype)
    steps = max(1, _ROWS // max(B, 1))
    for x_s, h_s in zip(torch.split(x, steps), torch.split(h, steps), strict=True):
        torch.addmm(bias, x_s.flatten(0, 1), weight.t(), out=h_s.view(-1, N))
        states.forward(h_s, u, h0, h_s, activation)
        h0 = h_s[-1]
    return h


def backward(made: Made, g: Tensor, pull: Pull | None, for_x: bool, for_w: bool) -> Gradients:
    """The gradients of what the layer was made of, from that of its states; see `structs.Gradients`."""
    x, weight, u, h0, h, activation = made
    (_, B, M), N = x.shape, len(weight)
    steps = max(1, _ROWS // max(B, 1))
    grad_x = empty(x.shape, x.dtype) if for_x else None
    grad_w = torch.zeros_like(weight) if for_w else None
    grad_bias, grad_u, grad_h0 = torch.zeros_like(u), torch.zeros_like(u), torch.zeros_like(h0)
    chunk = torch.empty_like(g[:steps])
    for first in reversed(range(0, len(x), steps)):
        x_s, g_s, h_s = (whole[first : first + steps] for whole in (x, g, h))
        d = chunk[: len(g_s)]
        if pull is not None:
            batchnorm.backward(g_s, h_s, pull, d)
            g_s = d
        grad_u += states.backward(g_s, h_s, u, h[first - 1] if first else h0, activation, d, grad_h0)
        d = d.view(-1, N)
        grad_bias += d.sum(0)
        if grad_x is not None:
            torch.mm(d, weight, out=grad_x[first : first + steps].view(-1, M))
        if grad_w is not None:
            grad_w.addmm_(d.t(), x_s.flatten(0, 1))
    return grad_x, grad_w, grad_bias, grad_u, grad_h0
