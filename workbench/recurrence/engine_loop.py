"""Engine `loop`: the specification. The shortest correct code, never optimised; every other engine answers to it.

    h_t = f(a_t + u * h_{t-1})        Li et al. 2018 (arXiv:1803.04831), eq. (2); a_t holds W x_t + b

Autograd differentiates it, so it also gives second derivatives and works on any device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .activation import ACTIVATIONS
from .autograd import SUMMED, Gradients, gradients

NAME = "loop"


def recur(a: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N); in half precision the state and all sums over time are float32."""
    wide = torch.promote_types(a.dtype, torch.float32)
    if a.dtype != wide or u.dtype != wide:
        return recur(a.to(wide), u.to(wide), h0.to(wide), activation).to(a.dtype)
    f = ACTIVATIONS[activation].value
    h, states = h0, []
    for t, a_t in enumerate(a.unbind(0)):
        if t % SUMMED == 0:
            few = u.view_as(u)  # so that autograd adds up its gradient by itself
        h = f(a_t + few * h)
        states.append(h)
    return torch.stack(states)


def forward(a: Tensor, u: Tensor, h0: Tensor, activation: str, over: bool) -> Tensor:
    """The same by the name that other engines have; never over a."""
    return recur(a, u, h0, activation)


def backward(g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Gradients:
    """From the gradients g of h (T, B, N): those of a (T, B, N), u (N,) and h0 (B, N)."""
    return gradients(g, h, u, h0, activation)
