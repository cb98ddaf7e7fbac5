"""The recurrence in TorchScript: what torch.jit.trace writes down, to be loaded where there is nothing but torch.

The loop stays a loop, so that a traced net takes sequences of any length; half precision has a float32 state.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor


def steps(a: Tensor, u: Tensor, h0: Tensor, activation: str, slope: float) -> Tensor:
    """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N)."""
    wide = torch.float64 if a.dtype == torch.float64 else torch.float32
    weight, h = u.to(wide), h0.to(wide)
    states: list[Tensor] = []
    for a_t in a.to(wide).unbind(0):
        z = a_t + weight * h
        if activation == "relu":
            h = torch.relu(z)
        elif activation == "tanh":
            h = torch.tanh(z)
        elif activation == "leaky_relu":
            h = torch.nn.functional.leaky_relu(z, slope)
        else:
            h = z
        states.append(h)
    return torch.stack(states).to(a.dtype)


@cache
def compiled() -> Any:
    """`steps`, compiled once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of TorchScript: who traces has chosen it
        return torch.jit.script(steps)
