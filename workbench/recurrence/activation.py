"""The activations a recurrence may have, each with its derivative written in its own output.

Every engine keeps only h, never the pre-activation: `derivative` needs nothing else. At exactly zero the
derivative of relu is 0 and that of leaky_relu its slope, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SLOPE = 0.01  # leaky_relu's slope below zero, torch.nn.functional's default


@dataclass(frozen=True)
class Activation:
    """h = value(z); dh/dz = derivative(h); `value_` works in place; `pull_(g, h)` multiplies g by dh/dz in place."""

    value: Callable[[Tensor], Tensor]
    value_: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    pull_: Callable[[Tensor, Tensor], Tensor]


def _relu_pull_(g: Tensor, h: Tensor) -> Tensor:
    return torch.ops.aten.threshold_backward.grad_input(g, h, 0, grad_input=g)  # type: ignore[no-any-return]


def _tanh_pull_(g: Tensor, h: Tensor) -> Tensor:
    return torch.ops.aten.tanh_backward.grad_input(g, h, grad_input=g)  # type: ignore[no-any-return]


def _leaky_pull_(g: Tensor, h: Tensor) -> Tensor:
    return torch.ops.aten.leaky_relu_backward.grad_input(g, h, SLOPE, True, grad_input=g)  # type: ignore[no-any-return]


ACTIVATIONS = {
    "relu": Activation(torch.relu, torch.relu_, lambda h: (h > 0).to(h.dtype), _relu_pull_),
    "tanh": Activation(torch.tanh, torch.tanh_, lambda h: 1 - h * h, _tanh_pull_),
    "identity": Activation(lambda z: z, lambda z: z, torch.ones_like, lambda g, h: g),
    "leaky_relu": Activation(
        lambda z: torch.nn.functional.leaky_relu(z, SLOPE),
        lambda z: torch.nn.functional.leaky_relu_(z, SLOPE),
        lambda h: torch.where(h > 0, torch.ones_like(h), SLOPE),
        _leaky_pull_,
    ),
}
