"""Functions that call the recurrence: arguments are checked once, an engine is chosen and called."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import has_torch_function_variadic

from ..errors import ParameterError, choices
from . import autograd, batchnorm, engine_loop, engine_triton, per_sample, torch_ops, triton_layer
from .activation import ACTIVATIONS
from .cpu import engine as cpu
from .cpu.batchnorm import Norm
from .cpu.featurenorm import FeatureNorm
from .engines import choose
from .observers import observed, overridden, plain

_NAMES = tuple(ACTIVATIONS)
_BLOCK = 128  # rows whose share of a gradient is summed by itself
_FEW = 16  # columns from which MKL sums so by itself


def recur(a: Tensor, u: Tensor, h0: Tensor | None = None, *, activation: str = "relu", backend: str = "auto") -> Tensor:
    """Run the neurons of one IndRNN layer through time.

        h_t = f(a_t + u * h_{t-1})        Li et al. 2018, eq. (2); a holds W x_t + b

    a (T, B, N)   u (N,)   h0 (B, N), zeros if None   ->   h (T, B, N), the state after each step

    Differentiable in a, u and h0. `activation` f: relu, tanh, identity, leaky_relu. `backend`: auto, or an engine
    of `available()`; all give the same values and gradients. Raises ParameterError for shapes, dtypes or devices
    that do not fit, and for an engine that cannot run here, saying why.
    """
    if has_torch_function_variadic(a, u, h0):
        if per_sample.expanded(a, u, h0):
            return per_sample.recur(a, None, None, u, h0, activation, backend)
        return overridden(recur, (a, u, h0), activation=activation, backend=backend)
    h0 = _checked(a, u, h0, activation)
    return _run(a, u, h0, activation, backend, over=False)


def layer(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    u: Tensor,
    h0: Tensor | None = None,
    *,
    activation: str = "relu",
    backend: str = "auto",
    norm: batchnorm.Module | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """One IndRNN layer: the input's matrix product for all steps at once, then the recurrence.

        h_t = f(W x_t + b + u * h_{t-1})        Li et al. 2018, eq. (2)

    x (T, B, M)   weight (N, M)   bias (N,) or None   u (N,)   h0 (B, N), zeros if None   ->   h (T, B, N)

    With `norm` or `mask` (B, N) the answer is `normalize(h, norm, mask)`. An engine may fuse it all (its own `layer`);
    otherwise the states are written over the product. Raises ParameterError for shapes that do not fit.
    """
    if has_torch_function_variadic(x, weight, bias, u, h0):
        if per_sample.expanded(x, weight, bias, u, h0):
            h = per_sample.recur(x, weight, bias, u, h0, activation, backend)
            return h if norm is None and mask is None else normalize(h, norm, mask, backend=backend)
        return overridden(layer, (x, weight, bias, u, h0), activation=activation, backend=backend, norm=norm, mask=mask)
    if backend in ("auto", "cpu") and _unseen() and _alike(x, weight, bias, u) and plain(x, weight, u):
        h0 = _fitting(x, (*x.shape[:2], len(weight)), u, h0, activation)
        if cpu.fuses(x, weight, activation) and plain(h0) and (bias is None or plain(bias)):
            given = None
            if norm is not None or mask is not None:
                states = x.new_empty(()).expand(*x.shape[:2], len(weight))  # their shape, without computing them
                batchnorm.check(states, norm, mask)
                given = _for_c(states, norm, mask, backend)
            y, found = cpu.layer(x, weight, bias, u, h0, activation, given)
            if given is None:
                return y if norm is None and mask is None else normalize(y, norm, mask, backend=backend)
            if isinstance(norm, nn.BatchNorm1d) and found is not None:
                batchnorm.track_(norm, found, y.shape[0] * y.shape[1])
            return y
    if engine_triton.takes(x):
        done = _on_device(x, weight, bias, u, h0, activation, backend, norm, mask)
        if done is not None:
            return done
    if x.ndim != 3 or weight.shape[1:] != x.shape[2:] or not (bias is None or bias.shape == weight.shape[:1]):
        got = ", ".join(f"{tuple(v.shape)}" for v in (x, weight, bias) if v is not None)
        raise ParameterError(f"x, weight, bias: shapes {got} received; (T, B, M), (N, M), (N,) are needed")
    a = (_Product.apply if _narrow(x, weight, bias, u) else linear)(x, weight, bias)
    if h0 is not None and _casts(x):
        h0 = h0.to(a.dtype)
    h = _run(a, u, _checked(a, u, h0, activation), activation, backend, over=True)
    return h if norm is None and mask is None else normalize(h, norm, mask, backend=backend)


def neurons(
    a: Tensor,
    u: Tensor,
    h0: Tensor | None = None,
    *,
    activation: str = "relu",
    backend: str = "auto",
    norm: batchnorm.Module | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """A layer behind its product: `recur`, then `normalize`, in one where an engine fuses them.

    a (T, B, N)   u (N,)   h0 (B, N), zeros if None   mask (B, N) or None   ->   (T, B, N)
    """
    if engine_triton.takes(a) and not has_torch_function_variadic(a, u, h0):
        y = _on_device(a, None, None, u, h0, activation, backend, norm, mask)
        if y is not None:
            return y
    h = recur(a, u, h0, activation=activation, backend=backend)
    return h if norm is None and mask is None else normalize(h, norm, mask, backend=backend)


def _on_device(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    u: Tensor,
    h0: Tensor | None,
    activation: str,
    backend: str,
    norm: batchnorm.Module | None,
    mask: Tensor | None,
) -> Tensor | None:
    """Answer of `layer`, or without a weight of `neurons`, by the kernels of engine `triton`; None if they cannot."""
    if isinstance(norm, batchnorm.OVER_FEATURES):  # torch's own, behind the kernels
        h = _on_device(x, weight, bias, u, h0, activation, backend, None, None)
        return None if h is None else normalize(h, norm, mask, backend=backend)
    given = [v for v in (x, weight, bias, u, h0) if v is not None]
    if not (backend in ("auto", "triton") and _unseen() and x.ndim == 3 and x.numel() > 0 and plain(*given)):
        return None
    if _casts(x):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, (weight, bias, h0) = x.to(dtype), (None if v is None else v.to(dtype) for v in (weight, bias, h0))
    states = x.new_empty(()).expand(*x.shape[:2], x.shape[2] if weight is None else len(weight))
    if choose(states, activation, backend) is not engine_triton or not triton_layer.fuses(norm, mask, states):
        return None
    _check_fit(states, states.shape, u, h0, activation)
    batchnorm.check(states, norm, mask)
    return triton_layer.layer(x, weight, bias, u, h0, activation, norm, mask)


def normalize(h: Tensor, norm: batchnorm.Module | None, mask: Tensor | None = None, *, backend: str = "auto") -> Tensor:
    """Batch norm over time and batch together, or a norm over features, then a dropout mask that all steps share.

        y = ((h - mean) / sqrt(variance + eps) * scale + shift) * mask

    h (T, B, N)   mask (B, N), its values 0 or 1 / keep, or None   ->   y (T, B, N)

    `norm` is torch's module or made like it: BatchNorm1d, whose running statistics move as torch moves them, LayerNorm
    or RMSNorm over N features; None for dropout alone. Raises ParameterError for shapes that do not fit.
    """
    if has_torch_function_variadic(h, mask):
        return overridden(normalize, (h, norm, mask), backend=backend)
    batchnorm.check(h, norm, mask)
    if not _unseen() or not plain(h):
        return batchnorm.in_torch(h, norm, mask)
    if mask is not None and mask.requires_grad:  # a learned one: the fast ways have no gradient of it
        return normalize(h, norm, backend=backend) * mask
    given = _for_c(h, norm, mask, backend)
    if given is None:
        return batchnorm.normalize(h, norm, mask)
    y, found = cpu.normalize(h, given)
    if isinstance(norm, nn.BatchNorm1d) and found is not None:
        batchnorm.track_(norm, found, h.shape[0] * h.shape[1])
    return y


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (T, B, M), weight (N, M), bias (N,) or None -> x W^T + b (T, B, N), which may be written over.

    torch's own is a view of a product (T B, N). To work in place on a view while autograd records costs a copy of it,
    and another of its gradient.
    """
    product = torch.nn.functional.linear
    if x.ndim != 3 or not _unseen() or not plain(x, weight):
        return product(x, weight, bias)
    flat = product(x.flatten(0, 1), weight, bias)  # nobody else will have it, so no view of it is needed
    y: Tensor = torch.ops.aten._unsafe_view(flat, (*x.shape[:2], len(weight)))
    return y


class _Product(torch.autograd.Function):
    """The product x W^T + b, whose gradient of W is summed in blocks of rows and then over these.

    With few inputs or neurons MKL adds all T B rows one by one: 3e-6 off where blocks are 2e-7, at the same speed.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        (N, M), grad_weight = weight.shape, None
        x, rows = x.reshape(-1, M), g.reshape(-1, N)
        if for_weight:
            whole = len(x) // _BLOCK * _BLOCK
            blocks = x[:whole].reshape(-1, _BLOCK, M).mT @ rows[:whole].reshape(-1, _BLOCK, N)
            grad_weight = (blocks.sum(0) + x[whole:].mT @ rows[whole:]).mT
        return g @ weight if for_x else None, grad_weight, rows.sum(0) if for_bias else None


def _narrow(x: Tensor, weight: Tensor, bias: Tensor | None, u: Tensor) -> bool:
    """Is it a long product of few columns, on a CPU, that nobody follows?"""
    if not (_unseen() and x.ndim == 3 and x.device.type == "cpu" and min(weight.shape) < _FEW):
        return False
    long = x.shape[0] * x.shape[1] > _BLOCK and x.dtype in (torch.float32, torch.float64)
    return long and _alike(x, weight, bias, u) and plain(x, weight, u)


def _for_c(h: Tensor, norm: batchnorm.Module | None, mask: Tensor | None, backend: str) -> Norm | FeatureNorm | None:
    """Settings that engine `cpu` needs to norm such states; None if there is nothing to do, or if torch shall do it."""
    if norm is None and mask is None:
        return None
    if not (backend in ("auto", "cpu") and h.numel() > 0 and h.device.type == "cpu" and batchnorm.alike(h, norm, mask)):
        return None
    given = batchnorm.values_of(norm)
    if not plain(h, *(given if mask is None else [*given, mask])):
        return None
    works = cpu.normalizes(h.dtype, isinstance(norm, batchnorm.OVER_FEATURES))
    return batchnorm.settings(norm, mask, h) if works else None


def _unseen() -> bool:
    """Does nobody follow the operations, so that there may be one that torch does not know?"""
    return not torch.compiler.is_compiling() and not observed()


def _alike(x: Tensor, weight: Tensor, bias: Tensor | None, u: Tensor) -> bool:
    """Can a product and recurrence in one dtype be fused: does everything fit, without PyTorch's casts?"""
    if not (x.ndim == 3 and weight.ndim == 2 and x.shape[2] == weight.shape[1]) or x.numel() == 0:
        return False
    if bias is not None and tuple(bias.shape) != (len(weight),):
        return False
    same = weight.dtype == u.dtype == x.dtype and weight.device == u.device == x.device
    if bias is not None:
        same = same and bias.dtype == x.dtype and bias.device == x.device
    return same and not _casts(x)


def _casts(x: Tensor) -> bool:
    """Does autocast choose dtypes on the device of x? On `meta` there is none, and torch does not like the question."""
    return not x.is_meta and torch.is_autocast_enabled(x.device.type)


def _run(a: Tensor, u: Tensor, h0: Tensor, activation: str, backend: str, over: bool) -> Tensor:
    """The states, by an engine, written over a where `over` allows it."""
    if not _unseen() or not plain(a, u, h0):
        return torch_ops.run(a, u, h0, activation, backend)
    if backend == "loop":
        return engine_loop.recur(a, u, h0, activation)
    engine = choose(a, activation, backend)
    return autograd.recur(a, u, h0, activation, engine, over and a.is_contiguous())


def _checked(a: Tensor, u: Tensor, h0: Tensor | None, activation: str) -> Tensor:
    """h0, zeros if None; a ParameterError unless all fit together."""
    if not isinstance(a, Tensor) or a.ndim != 3:
        got = f"shape {tuple(a.shape)}" if isinstance(a, Tensor) else type(a).__name__
        raise ParameterError(f"a: {got} received; a tensor of shape (T, B, N) is needed")
    if a.shape[0] == 0:
        raise ParameterError(f"a: shape {tuple(a.shape)} has no time step; T must be at least 1")
    if not a.is_floating_point():
        raise ParameterError(f"a: dtype {a.dtype} received; a floating-point dtype is needed")
    return _fitting(a, a.shape, u, h0, activation)


def _fitting(like: Tensor, shape: tuple[int, ...], u: Tensor, h0: Tensor | None, activation: str) -> Tensor:
    """h0, zeros if None; a ParameterError unless all fit pre-activations of that shape, of the dtype of `like`."""
    _check_fit(like, shape, u, h0, activation)
    return like.new_zeros(shape[1:]) if h0 is None else h0


def _check_fit(like: Tensor, shape: tuple[int, ...], u: Tensor, h0: Tensor | None, activation: str) -> None:
    if activation not in _NAMES:
        raise ParameterError(f"activation: {activation!r} is unknown; choose one of {choices(ACTIVATIONS)}")
    _, B, N = shape
    dtype, device = like.dtype, like.device
    for name, value, needed in (("u", u, (N,)), ("h0", h0, (B, N))):
        if name == "h0" and value is None:
            continue
        if not isinstance(value, Tensor) or value.shape != needed:
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ParameterError(f"{name}: {got} received; {needed} is needed for a of shape {tuple(shape)}")
        mixed = name == "u" and dtype in (torch.bfloat16, torch.float16) and value.dtype == torch.float32
        if (value.dtype != dtype and not mixed) or value.device != device:
            raise ParameterError(
                f"{name}: {value.dtype} on {value.device} received; a is {dtype} on {device}, both must agree"
            )
