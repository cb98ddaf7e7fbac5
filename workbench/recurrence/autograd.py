"""The recurrence as autograd knows it: one function for all engines, and one operator for compilers.

    d_t = f'(h_t) * (g_t + u * d_{t+1});   grad a = d;   grad u = sum_t,b d_t h_{t-1};   grad h0 = u * d_1

An engine gives states and gradients, each a plain function. Second derivatives, which engines do not have, come from
the line above in PyTorch's own operations; vmap lays what is mapped beside the neurons, whose chains are independent.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import ParameterError
from .activation import ACTIVATIONS
from .observers import dispatched, plain, transformed

SUMMED = 32  # steps whose terms of grad u are added up by themselves, since short sums round less
Gradients = tuple[Tensor, Tensor, Tensor]  # of a (T, B, N), u (N,) and h0 (B, N)


class Engine(Protocol):
    """a (T, B, N), u (N,), h0 (B, N) -> the states h (T, B, N), with `over` written over a; and their gradients."""

    NAME: str

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
        h, u, h0 = restored(g, *ctx.saved_tensors)
        if torch.is_grad_enabled() or not plain(g, h, u, h0):
            return *gradients(g, h, u, h0, ctx.activation), None, None, None
        if dispatched():
            return *torch.ops.indrnn.recur_backward(g, h, u, h0, ctx.activation, ctx.engine.NAME), None, None, None
        return *ctx.engine.backward(g, h, u, h0, ctx.activation), None, None, None


class Transformable(Recur):
    """The same in the form that torch.func asks for; it costs 25 us a call."""

    @staticmethod
    def forward(a: Tensor, u: Tensor, h0: Tensor, activation: str, engine: Engine, over: bool) -> Tensor:  # type: ignore[override]
        if dispatched() or not plain(a, u, h0):
            return torch.ops.indrnn.recur(a, u, h0, activation, engine.NAME)  # type: ignore[no-any-return]
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
        a, u, h0 = folded(info.batch_size, in_dims, a, u, h0)
        chains = a.flatten(-2), u.flatten(), h0.flatten(-2)
        if dispatched() and not transformed():
            activation, engine, _ = rest
            return torch.ops.indrnn.recur(*chains, activation, engine.NAME).view(a.shape), 2
        return recur(*chains, *rest).view(a.shape), 2


def recur(a: Tensor, u: Tensor, h0: Tensor, activation: str, engine: Engine, over: bool) -> Tensor:
    """The states h (T, B, N), differentiable in a, u and h0; `over`: written over a, which must be contiguous."""
    function = Transformable if transformed() else Recur
    return function.apply(a, u, h0, activation, engine, over)  # type: ignore[no-any-return, no-untyped-call]


def folded(size: int, in_dims: tuple[int | None, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
    """Lay V values that vmap maps over before the neurons, which are independent: (T, B, V, N), (V, N), (B, V, N)."""
    return tuple(
        v.expand(size, *v.shape).movedim(0, -2) if dim is None else v.movedim(dim, -2)
        for v, dim in zip(tensors, in_dims, strict=False)
    )


def restored(g: Tensor, h: Tensor, u: Tensor, h0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tensors that autograd kept for the gradient g of h, contiguous: hooks for saved tensors may change the layout."""
    T, B, N = g.shape
    if not (
        h.shape == (T, B, N)  # written out: 2 us of a call that may take 50
        and h0.shape == (B, N)
        and u.shape == (N,)
        and (h.is_contiguous() and u.is_contiguous() and h0.is_contiguous())
        and h.dtype == h0.dtype == g.dtype
        and h.is_cpu == u.is_cpu == h0.is_cpu == g.is_cpu
    ):
        h = returned("h", h, (T, B, N), g)
        u = returned("u", u, (N,), g, u.dtype)
        h0 = returned("h0", h0, (B, N), g)
    return h, u, h0


def fits(value: Tensor, shape: tuple[int, ...], g: Tensor) -> bool:
    """Is it contiguous, of that shape, of the dtype of g and beside it?"""
    return value.shape == shape and value.is_contiguous() and value.dtype == g.dtype and value.is_cpu == g.is_cpu


def returned(name: str, value: Tensor, shape: tuple[int, ...], g: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A saved tensor, contiguous; a ParameterError where a hook made something else of it."""
    dtype = dtype or g.dtype
    if value.shape != shape or value.dtype != dtype or value.device != g.device:
        raise ParameterError(
            f"{name}: a hook for saved tensors brought back {value.dtype} {tuple(value.shape)} on {value.device}; "
            f"{dtype} {tuple(shape)} on {g.device} was saved"
        )
    return value.contiguous()


def tangents(da: Tensor, du: Tensor, dh0: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """The forward derivative of h: dh_t = f'(h_t) * (da_t + du * h_{t-1} + u * dh_{t-1})."""
    wide = torch.promote_types(h.dtype, torch.float32)
    if h.dtype != wide:
        narrow, (da, du, dh0, h, u, h0) = h.dtype, (v.to(wide) for v in (da, du, dh0, h, u, h0))
        return tangents(da, du, dh0, h, u, h0, activation).to(narrow)
    slope, before, dh, steps = ACTIVATIONS[activation].derivative, h0, dh0, []
    for da_t, h_t in zip(da.unbind(0), h.unbind(0), strict=True):
        dh = slope(h_t) * (da_t + du * before + u * dh)
        before = h_t
        steps.append(dh)
    return torch.stack(steps)


def gradients(g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Gradients:
    """The backward pass as PyTorch can differentiate it again; half precision is summed in float32."""
    wide = torch.promote_types(h.dtype, torch.float32)
    if h.dtype != wide:
        d, grad_u, grad_h0 = gradients(g.to(wide), h.to(wide), u.to(wide), h0.to(wide), activation)
        return d.to(h.dtype), grad_u.to(u.dtype), grad_h0.to(h0.dtype)
    slope = ACTIVATIONS[activation].derivative
    arriving, ds = torch.zeros_like(h0), []
    for g_t, h_t in zip(reversed(g.unbind(0)), reversed(h.unbind(0)), strict=True):
        ds.append(slope(h_t) * (g_t + arriving))
        arriving = u * ds[-1]
    d = torch.stack(ds[::-1])
    return d, (d * torch.cat((h0[None], h[:-1]))).sum((0, 1)), arriving
