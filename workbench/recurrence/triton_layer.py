"""A whole layer on a CUDA device: product, recurrence, batch norm, dropout, and what their gradient needs.

    forward    product; states and their sums; y                                    reads x, a, h; writes a, h, y
    backward   sums of the gradient; its way through norm, dropout and time; two products

The bias's gradient is summed by the way. As in engine `cpu`, batch norm costs three passes over memory in place of
torch's eight, and no tensor but h, y and the gradients has the size of the states.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from . import engine_loop, engine_triton
from .cpu import batchnorm
from .cpu.batchnorm import Norm
from .engine_triton import Behind, few, gradients, launch, settings, wide, wide_of
from .observers import plain

BLOCK, UNROLL, PROGRAMS = 256, 8, 1024  # of the pass that makes y: chains a program, steps at once, programs at least


class Plan(NamedTuple):
    """Settings beside the tensors: the activation, the module whose running statistics move, may `a` be lost?"""

    activation: str
    norm: nn.BatchNorm1d | None
    over: bool


def fuses(norm: nn.BatchNorm1d | None, mask: Tensor | None, like: Tensor) -> bool:
    """Test whether batch norm and mask can be done by these kernels: with statistics of the batch and a momentum."""
    given = [] if norm is None else [norm.weight, norm.bias, norm.running_mean, norm.running_var]
    if norm is not None and not (norm.training and norm.momentum is not None and norm.num_batches_tracked is not None):
        return False
    dtype = wide_of(like.dtype)
    alike = all(v is not None and v.dtype == dtype and v.device == like.device and plain(v) for v in given)
    return alike and (mask is None or (mask.device == like.device and plain(mask) and not mask.requires_grad))


def layer(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    u: Tensor,
    h0: Tensor | None,
    activation: str,
    norm: nn.BatchNorm1d | None,
    mask: Tensor | None,
) -> Tensor:
    """x (T, B, M), weight (N, M), bias (N,) or None, u (N,), h0 (B, N) or None -> y (T, B, N).

    Without a weight x are the pre-activations. `norm` and `mask` (B, N) as in `functional.layer`; both may be None.
    """
    scale, shift = (None, None) if norm is None else (norm.weight, norm.bias)
    plan = Plan(activation, norm, weight is not None)
    return _Layer.apply(x, weight, bias, u, h0, scale, shift, mask, plan)  # type: ignore[no-any-return, no-untyped-call]


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        u: Tensor,
        h0: Tensor | None,
        scale: Tensor | None,
        shift: Tensor | None,
        mask: Tensor | None,
        plan: Plan,
    ) -> Tensor:
        mask = None if mask is None else mask.contiguous()
        a = x if weight is None else linear(x.flatten(0, 1), weight, bias).view(*x.shape[:2], len(weight))
        norm = plan.norm
        run = engine_triton.ONE_AFTER_THE_OTHER.states
        h, sums = run(a, u, h0, plan.activation, plan.over, moments=norm is not None)
        y, found = h, None
        if norm is not None or mask is not None:
            y = torch.empty_like(h)
            found = _normalize(h, y, sums, norm, mask)
        ctx.plan, ctx.eps = plan, 0.0 if norm is None else norm.eps
        ctx.save_for_backward(x, weight, bias, u, h0, scale, shift, mask, h, found)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, u, h0, scale, shift, mask, h, found = ctx.saved_tensors
        plan: Plan = ctx.plan
        if torch.is_grad_enabled() or not plain(g, h):
            return _again(ctx, g)
        g, N = g.contiguous(), h.shape[2]
        behind = None
        if found is not None:
            norm = Norm(scale, shift, None, ctx.eps, mask)
            behind = Behind(norm, found, few(_weigh(g, h, found, mask)))
        elif mask is not None:
            behind = Behind(Norm(None, None, None, 0.0, mask), None, None)
        d, learned, grad_h0, normed = gradients(g, h, u, h0, plan.activation, behind=behind)
        for_x, for_weight, for_bias, *_ = ctx.needs_input_grad
        grad_x: Tensor | None = d
        grad_weight = None
        if weight is not None:
            rows = d.view(-1, N)
            grad_x = (rows @ weight).view(x.shape) if for_x else None
            grad_weight = rows.T @ x.reshape(-1, x.shape[2]) if for_weight else None
        grad_bias = learned[1].to(bias.dtype) if for_bias else None
        grad_scale, grad_shift = (None, None) if normed is None else normed.unbind(0)
        return grad_x, grad_weight, grad_bias, learned[0].to(u.dtype), grad_h0, grad_scale, grad_shift, None, None


def _again(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients as PyTorch can differentiate them again."""
    x, weight, bias, u, h0, scale, shift, mask, *_ = ctx.saved_tensors
    norm = None if scale is None and mask is None else Norm(scale, shift, None, ctx.eps, mask)

    def specification(x: Tensor, w: Any, b: Any, u: Tensor, h0: Tensor | None, *pair: Any) -> Tensor:
        a = x if w is None else linear(x, w, b)
        h = engine_loop.recur(a, u, a.new_zeros(a.shape[1:]) if h0 is None else h0, ctx.plan.activation)
        return h if norm is None else batchnorm.in_torch(h, norm._replace(scale=pair[0], shift=pair[1]))

    return *batchnorm.differentiable(specification, g, x, weight, bias, u, h0, scale, shift), None, None


def _normalize(h: Tensor, y: Tensor, sums: Tensor, norm: nn.BatchNorm1d | None, mask: Tensor | None) -> Tensor | None:
    """Write y (T, B, N); returns the mean and variance (2, N), and moves the module's, where there is one."""
    from . import triton_norm

    T, B, N = h.shape
    stretches = max(1, min(T // UNROLL, -(-PROGRAMS * BLOCK // max(1, B * N))))
    found, share = None, None
    stored: tuple[Tensor | None, ...] = (None,) * 5
    if norm is not None:
        found, share = h.new_empty(2, N, dtype=torch.float64), norm.momentum
        stored = norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.num_batches_tracked
    gain, shift, mean, variance, tracked = stored
    given = (h, sums, gain, shift, mask, y, found, mean, variance, tracked)
    sizes = T, math.ceil(T / stretches), 0 if norm is None else sums.shape[1], B * N, N
    flow = wide(h.dtype) | {"BLOCK": BLOCK, "UNROLL": UNROLL, "NORM": norm is not None, "DROP": mask is not None}
    flow |= {"EPS": 0.0 if norm is None else norm.eps, "SHARE": share}
    launch(triton_norm.normalize, tuple(sums if v is None else v for v in given), sizes, stretches, flow, 4)
    return found


def _weigh(g: Tensor, h: Tensor, found: Tensor, mask: Tensor | None) -> Tensor:
    """Sums (2, B, N) of the gradient g of y and of g * (h - mean), times the mask, in float64."""
    from . import triton_norm

    T, B, N = h.shape
    sums = h.new_empty(2, B, N, dtype=torch.float64)
    flow = settings(h.dtype, 2) | {"UNROLL": math.gcd(T, engine_triton.UNROLL), "DROP": mask is not None}
    given = g, h, found, found if mask is None else mask, sums
    launch(triton_norm.weigh, given, (T, T, B * N, N), 1, flow)
    return sums
