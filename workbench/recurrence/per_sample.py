"""Each sequence's own gradient of the weights, for torch.nn.utils' `call_for_per_sample_grads`.

grad_sample of W (B, N, M), b (B, N) and u (B, N): the sums over time alone
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor

from ..errors import ParameterError

_IMPL = "torch.nn.utils._expanded_weights.expanded_weights_impl"


def expanded(*tensors: Tensor | None) -> bool:
    """Is one of them a weight whose gradient is wanted example by example?"""
    module = sys.modules.get(_IMPL)
    return module is not None and any(isinstance(tensor, module.ExpandedWeight) for tensor in tensors)


def recur(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, u: Tensor, h0: Tensor | None, activation: str, backend: str
) -> Tensor:
    """The states h (T, B, N) of a layer; without a weight, x (T, B, N) are its pre-activations."""
    if expanded(x, h0):
        raise ParameterError("h0: a weight by example received; only W, b and u can have a gradient an example")
    if h0 is None:
        h0 = x.new_zeros(x.shape[1], len(u) if weight is None else weight.shape[0])
    return _PerSample.apply(x, weight, bias, u, h0, activation, backend)  # type: ignore[no-any-return, no-untyped-call]


class _PerSample(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        u: Tensor,
        h0: Tensor,
        activation: str,
        backend: str,
    ) -> Tensor:
        own = [getattr(v, "orig_weight", v) for v in (weight, bias, u)]
        a = x if own[0] is None else torch.nn.functional.linear(x, own[0], own[1])
        h: Tensor = torch.ops.indrnn.recur(a, own[2], h0, activation, backend)
        ctx.save_for_backward(x, h, h0)
        ctx.weights, ctx.own, ctx.settings = (weight, bias, u), own, (activation, backend)
        return h

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        from torch.nn.utils._expanded_weights.expanded_weights_utils import set_grad_sample_if_exists

        x, h, h0 = ctx.saved_tensors
        weight, bias, u = ctx.weights
        d, _, grad_h0 = torch.ops.indrnn.recur_backward(g, h, ctx.own[2].detach(), h0, *ctx.settings)
        set_grad_sample_if_exists(u, lambda _: (d * torch.cat((h0[None], h[:-1]))).sum(0))
        set_grad_sample_if_exists(weight, lambda _: torch.einsum("tbn,tbm->bnm", d, x))
        set_grad_sample_if_exists(bias, lambda _: d.sum(0))
        grad_x = d if ctx.own[0] is None else d @ ctx.own[0].detach()
        return grad_x, None, None, None, grad_h0, None, None
