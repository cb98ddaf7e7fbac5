"""Engine `loop`: the specification. The shortest correct code, never optimised; every other engine answers to it.

    h_t = f(a_t + u * h_{t-1})        Li et al. 2018 (arXiv:1803.04831), eq. (2); a_t holds W x_t + b

Autograd differentiates it, so it also gives second derivatives and works on any device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .activation import ACTIVATIONS


def unavailable() -> str | None:
    """Why this engine cannot run here: never."""
    return None


def recur(a: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N)."""
    f = ACTIVATIONS[activation].value
    h, states = h0, []
    for a_t in a.unbind(0):
        h = f(a_t + u * h)
        states.append(h)
    return torch.stack(states)
