"""What autograd knows of the recurrence: one function for all engines, and one operator for compilers.

    d_t = f'(h_t) * (g_t + u * d_{t+1});   grad a = d;   grad u = sum_t,b d_t h_{t-1};   grad h0 = u * d_1

An engine gives states and gradients, each a plain function. Second derivatives, which engines do not have, come from
the line above in PyTorch's own operations; vmap lays what is mapped beside the neurons, whose chains are independent.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from .activation import ACTIVATIONS

Gradients = tuple[Tensor, Tensor, Tensor]  # of a (T, B, N), u (N,) and h0 (B, N)


class Engine(Protocol):
    """a (T, B, N), u (N,), h0 (B, N) -> the states h (T, B, N), with `over` written over a; and their gradients."""

    def forward(self, a: Tensor, u: Tensor, h0: Tensor, activation: str, over: bool) -> Tensor: ...

    def backward(self, g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Gradients: ...


class Recur(torch.autograd.Function):
    """h from a, u and h0, by an engine."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, u: Tensor, h0: Tensor, activation: str, engine: Engine, over: bool) -> Tensor:
        h = engine.forward(a, u, h0, activation, over)
        if h is a:
            ctx.mark_dirty(a)
        ctx.save_for_backward(h, u, h0)
        ctx.activation, ctx.engine = activation, engine
        return h

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        h, u, h0 = ctx.saved_tensors
        run = gradients if torch.is_grad_enabled() else ctx.engine.backward
        return *run(g, h, u, h0, ctx.activation), None, None, None


class Transformable(Recur):
    """The same in the form that torch.func asks for; it costs 25 us a call."""

    @staticmethod
    def forward(a: Tensor, u: Tensor, h0: Tensor, activation: str, engine: Engine, over: bool) -> Tensor:  # type: ignore[override]
        return engine.forward(a, u, h0, activation, False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, u, h0, ctx.activation, ctx.engine, _ = inputs
        ctx.save_for_backward(output, u, h0)
        ctx.save_for_forward(output, u, h0)

    @staticmethod
    def jvp(ctx: Any, da: Tensor, du: Tensor, dh0: Tensor, *_: None) -> Tensor:
        h, u, h0 = ctx.saved_tensors
        return tangents(da, du, dh0, h, u, h0, ctx.activation)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], a: Tensor, u: Tensor, h0: Tensor, *rest: Any
    ) -> tuple[Tensor, int]:
        a, u, h0 = (
            v.expand(info.batch_size, *v.shape).movedim(0, -2) if dim is None else v.movedim(dim, -2)
            for v, dim in zip((a, u, h0), in_dims, strict=False)
        )  # (T, B, V, N), (V, N), (B, V, N)
        return recur(a.flatten(-2), u.flatten(), h0.flatten(-2), *rest).view(a.shape), 2


def recur(a: Tensor, u: Tensor, h0: Tensor, activation: str, engine: Engine, over: bool) -> Tensor:
    """The states h (T, B, N), differentiable in a, u and h0; `over`: written over a, which must be contiguous."""
    function = Transformable if transformed() else Recur
    return function.apply(a, u, h0, activation, engine, over)  # type: ignore[no-any-return, no-untyped-call]


def transformed() -> bool:
    """Is a transform of torch.func at work? What has no rule for it stands aside."""
    return bool(torch._C._are_functorch_transforms_active())


def tangents(da: Tensor, du: Tensor, dh0: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """The forward derivative of h: dh_t = f'(h_t) * (da_t + du * h_{t-1} + u * dh_{t-1})."""
    slope, before, dh, steps = ACTIVATIONS[activation].derivative, h0, dh0, []
    for da_t, h_t in zip(da.unbind(0), h.unbind(0), strict=True):
        dh = slope(h_t) * (da_t + du * before + u * dh)
        before = h_t
        steps.append(dh)
    return torch.stack(steps)


def gradients(g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Gradients:
    """The backward pass as PyTorch can differentiate it again."""
    slope = ACTIVATIONS[activation].derivative
    arriving, ds = torch.zeros_like(h0), []
    for g_t, h_t in zip(reversed(g.unbind(0)), reversed(h.unbind(0)), strict=True):
        ds.append(slope(h_t) * (g_t + arriving))
        arriving = u * ds[-1]
    d = torch.stack(ds[::-1])
    return d, (d * torch.cat((h0[None], h[:-1]))).sum((0, 1)), arriving
