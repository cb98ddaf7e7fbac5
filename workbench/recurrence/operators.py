"""The recurrence as one operator, `torch.ops.indrnn.recur`, for torch.compile and torch.export.

A compiler would unroll the loop over time, 73 seconds for 200 steps. To it this operator is one opaque step, and
whichever engine `auto` means runs inside.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .engines import choose


@torch.library.custom_op("indrnn::recur", mutates_args=())
def recur(a: Tensor, u: Tensor, h0: Tensor, activation: str, backend: str) -> Tensor:
    """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N)."""
    h: Tensor = choose(a, activation, backend).forward(a, u, h0, activation, False)
    return h


@torch.library.custom_op("indrnn::recur_backward", mutates_args=())
def recur_backward(
    g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str, backend: str
) -> tuple[Tensor, Tensor, Tensor]:
    """From the gradient g of h (T, B, N): those of a (T, B, N), u (N,) and h0 (B, N)."""
    d, grad_u, grad_h0 = choose(h, activation, backend).backward(g, h, u, h0, activation)
    return d, grad_u, grad_h0


@recur.register_fake
def _(a: Tensor, u: Tensor, h0: Tensor, activation: str, backend: str) -> Tensor:
    return torch.empty_like(a, memory_format=torch.contiguous_format)


@recur_backward.register_fake
def _(g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str, backend: str) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(h), torch.empty_like(u), torch.empty_like(h0)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, u, h0, ctx.activation, ctx.backend = inputs
    ctx.save_for_backward(output, u, h0)


def _gradients(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    h, u, h0 = ctx.saved_tensors
    return *recur_backward(g, h, u, h0, ctx.activation, ctx.backend), None, None


recur.register_autograd(_gradients, setup_context=_keep)
