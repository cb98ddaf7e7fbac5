"""Batch norm over time and batch, then dropout whose mask all steps share: what stands after a recurrence.

    y = ((h - mean) / sqrt(variance + eps) * scale + shift) * mask        Ioffe and Szegedy 2015; one mean a neuron

The batch norm is a module of torch (weight and bias, running statistics, momentum None for their plain average), so
that whatever knows torch's knows ours. Engine `cpu` does both at once, in half of torch's passes over memory. In its
place may stand torch's layer norm or RMS norm, over the features of each step: engine `cpu` has them too, and elsewhere
they are torch's own.

On a CPU torch's batch norm of a (T B, N) view adds thousands of values one by one in float32: its mean is 1e-5 to 1e-4
off, and with it every gradient. Sums over one dimension it takes in pairs: ours are over time, then over the batch. A
GPU adds in parallel, hence in short rows, and is left to torch's own kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ParameterError
from .cpu import batchnorm
from .cpu.batchnorm import Norm
from .cpu.featurenorm import FeatureNorm
from .observers import transformed

Module = nn.BatchNorm1d | nn.LayerNorm | nn.RMSNorm
OVER_FEATURES = nn.LayerNorm, nn.RMSNorm
_squares = partial(nn.functional.mse_loss, reduction="none")  # (h - center)^2 in one pass
_CACHE = 1 << 17  # values that are squared or multiplied at once, then summed before they leave the cache


def in_torch(h: Tensor, norm: Module | None, mask: Tensor | None) -> Tensor:
    """The specification, by torch; on a CPU in the official code's layout (B, N, T), which it sums in float64."""
    if isinstance(norm, nn.LayerNorm):
        h = nn.LayerNorm.forward(norm, h)
    elif isinstance(norm, nn.RMSNorm):
        h = nn.RMSNorm.forward(norm, h)
    elif norm is not None and h.device.type != "cpu":
        h = nn.BatchNorm1d.forward(norm, h.reshape(-1, h.shape[-1])).view(h.shape)
    elif norm is not None:
        h = nn.BatchNorm1d.forward(norm, h.permute(1, 2, 0).contiguous()).permute(2, 0, 1)
    return h if mask is None else h * mask


def normalize(h: Tensor, norm: Module | None, mask: Tensor | None) -> Tensor:
    """The same in few passes over memory; compilers and transforms are given the specification."""
    if not isinstance(norm, nn.BatchNorm1d) or h.device.type != "cpu" or transformed() or torch.compiler.is_compiling():
        return in_torch(h, norm, mask)
    if not norm.training and norm.running_mean is not None and norm.running_var is not None:
        stored = torch.stack((norm.running_mean, norm.running_var))
        return apply(h, norm, stored.view(2, 1, 1, -1), 0, mask=mask)
    found, count = moments(h), h.shape[0] * h.shape[1]
    track_(norm, found, count)
    return apply(h, norm, found, count, mask=mask)


def moments(h: Tensor, steps: bool = False) -> Tensor:
    """Mean and (biased) variance of h (T, B, N), in float64: of all (2, 1, 1, N), or of each step (2, T, 1, N)."""
    h = h.detach().to(_wide(h))
    count = h.shape[1] if steps else h.shape[0] * h.shape[1]
    mean = _total(steps, None, h) / count
    center = mean.to(h.dtype).expand_as(h)
    return torch.stack((mean, _total(steps, None, h, center, of=_squares) / count))


def apply(
    h: Tensor,
    norm: nn.BatchNorm1d,
    found: Tensor,
    count: int,
    *,
    mask: Tensor | None = None,
    add: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Norm h (T, B, N) by the mean and variance found, (2, 1, 1, N) or one a step (2, T, 1, N), then drop.

    They are constants where `count` is 0, else those of `count` values of h. Where other processes hold more of these,
    `add` gives the sum of a tensor over all.
    """
    if add is None and (transformed() or torch.compiler.is_compiling()):
        given = Norm(*_learned(h, norm.weight, norm.bias), None if count else found, norm.eps, mask)
        return batchnorm.in_torch(h, given, found.shape[1] > 1)
    return _Normed.apply(h, norm.weight, norm.bias, mask, found, norm.eps, count, add)  # type: ignore[no-any-return, no-untyped-call]


class _Normed(torch.autograd.Function):
    """The map y = h * scale + level, and its gradient; what is as small as the statistics is reckoned in float64.

    With n the count, x = h - mean, s = 1 / deviation and g the gradient that arrives, times the mask,
    grad h = gain s (g - sum(g) / n - x s^2 sum(g x) / n), without the sums where the statistics are constants.
    """

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        gain: Tensor | None,
        bias: Tensor | None,
        mask: Tensor | None,
        found: Tensor,
        eps: float,
        count: int,
        add: Callable[[Tensor], Tensor] | None,
    ) -> Tensor:
        mean, variance = found.double()
        inverse = (variance + eps).rsqrt()
        slope = inverse if gain is None else inverse * gain
        scale, level = _line(slope, mean, 0.0 if bias is None else bias, _wide(h))
        ctx.save_for_backward(h, gain, bias, mask, found, inverse, slope)
        ctx.eps, ctx.count, ctx.add = eps, count, add
        if mask is not None:
            scale, level = scale * mask, level * mask
        return torch.addcmul(level, h, scale).to(h.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        h, gain, bias, mask, found, inverse, slope = ctx.saved_tensors
        n, steps, wide = ctx.count, found.shape[1] > 1, _wide(h)
        if torch.is_grad_enabled():
            if ctx.add is not None:
                raise ParameterError(
                    "create_graph: True received; one process alone can differentiate batch norm twice"
                )

            def specification(h: Tensor, gain: Tensor | None, bias: Tensor | None) -> Tensor:
                given = Norm(*_learned(h, gain, bias), None if n else found, ctx.eps, mask)
                return batchnorm.in_torch(h, given, steps)

            again = batchnorm.differentiable(specification, g, h, gain, bias)
            return *again, None, None, None, None, None
        g, mean = g.to(wide), found[0].double()
        plain = _total(steps, mask, g)
        weighed = _total(steps, mask, g, h, of=torch.mul) - mean * plain
        for_gain = None if gain is None else (weighed * inverse).sum((0, 1)).to(gain.dtype)
        for_bias = None if bias is None else plain.sum((0, 1)).to(bias.dtype)
        scale = slope.to(wide) if mask is None else slope.to(wide) * mask
        if n == 0:
            return (g * scale).to(h.dtype), for_gain, for_bias, None, None, None, None, None
        if ctx.add is not None:
            plain, weighed = ctx.add(torch.stack((plain, weighed)))
        slope = slope / -n
        factor, level = _line(slope * inverse.square() * weighed, mean, slope * plain, wide)
        d = torch.addcmul(level, h, factor).addcmul_(g, scale)
        return d.to(h.dtype), for_gain, for_bias, None, None, None, None, None


def _learned(h: Tensor, gain: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """The gain and bias (N,) of states h (T, B, N), 1 and 0 where a norm has none."""
    N = h.shape[-1]
    return h.new_ones(N) if gain is None else gain, h.new_zeros(N) if bias is None else bias


def _wide(h: Tensor) -> torch.dtype:
    """The dtype to reckon in: half precision is only stored."""
    return torch.promote_types(h.dtype, torch.float32)


def _total(steps: bool, mask: Tensor | None, *arrays: Tensor, of: Callable[..., Tensor] | None = None) -> Tensor:
    """The sum of an array (T, B, N), or `of` several, times the mask, in float64: (1, 1, N), or a step (T, 1, N)."""
    (T, B, N), over = arrays[0].shape, 1 if steps else 0
    few = T if of is None or not arrays[0].is_cpu else max(1, _CACHE // max(1, B * N))
    parts = zip(*(array.split(few) for array in arrays), strict=True) if few < T else [arrays]
    each = [(part[0] if of is None else of(*part)).sum(over, keepdim=True) for part in parts]
    sums = torch.cat(each) if few < T else each[0]
    sums = sums.double() if mask is None else sums.double() * mask
    return sums if steps else sums.sum((0, 1), keepdim=True)


def _line(slope: Tensor, mean: Tensor, level: Tensor | float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(h - mean) * slope + level as h * slope + level', for the slope as it is when rounded to the dtype."""
    slope = slope.to(dtype)
    return slope, (level - mean * slope).to(dtype)


def values_of(norm: Module | None) -> list[Tensor]:
    """Learned and stored values of a norm, as far as it has any."""
    names = "weight", "bias", "running_mean", "running_var"
    return [v for v in (getattr(norm, name, None) for name in names) if v is not None]


def alike(h: Tensor, norm: Module | None, mask: Tensor | None) -> bool:
    """Do all have the dtype and device of h, as C needs them, and is no mask learned? Otherwise torch does it."""
    given = values_of(norm) if mask is None else [*values_of(norm), mask]
    return all(v.dtype == h.dtype and v.device == h.device for v in given) and not (
        mask is not None and mask.requires_grad
    )


def check(h: Tensor, norm: Module | None, mask: Tensor | None) -> None:
    """A ParameterError unless all fit h (T, B, N)."""
    if h.ndim != 3:
        raise ParameterError(f"h: shape {tuple(h.shape)} received; (T, B, N) is needed")
    if norm is not None:
        made = norm.normalized_shape if isinstance(norm, OVER_FEATURES) else (norm.num_features,)
        if tuple(made) != (h.shape[2],):
            raise ParameterError(f"norm: made for {' x '.join(map(str, made))} features; h has {h.shape[2]}")
    if isinstance(norm, nn.BatchNorm1d) and _takes(norm) and (count := h.shape[0] * h.shape[1]) < 2:
        raise ParameterError(
            f"batch: states of shape {tuple(h.shape)} give batch norm {('no', 'one')[count]} value per feature; "
            "in training it needs T * B of at least 2"
        )
    if mask is not None and mask.shape != h.shape[1:]:
        raise ParameterError(f"mask: shape {tuple(mask.shape)} received; {tuple(h.shape[1:])} is needed, (B, N)")


def settings(norm: Module | None, mask: Tensor | None, h: Tensor) -> Norm | FeatureNorm:
    """All that engine `cpu` must know to norm h (T, B, N); the mask is its own, since autograd does not watch it."""
    mask = None if mask is None else mask.detach().clone(memory_format=torch.contiguous_format)
    if norm is None:
        return Norm(None, None, None, 0.0, mask)
    bias = getattr(norm, "bias", None)
    scale, shift = (v.contiguous() for v in _learned(h, norm.weight, bias))
    if isinstance(norm, OVER_FEATURES):
        eps = torch.finfo(h.dtype).eps if norm.eps is None else norm.eps
        return FeatureNorm(scale, None if bias is None else shift, eps, mask, isinstance(norm, nn.LayerNorm))
    stored = None if _takes(norm) else torch.stack((norm.running_mean, norm.running_var)).double()  # type: ignore[arg-type]
    return Norm(scale, shift, stored, norm.eps, mask)


def track_(norm: nn.BatchNorm1d, found: Tensor, count: int) -> None:
    """Move the running statistics towards those found (2, ..., N) in `count` values a feature, as torch does."""
    if not (norm.training and norm.track_running_stats):
        return
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    share: Any = norm.momentum
    if share is None:
        share = norm.num_batches_tracked.to(norm.running_mean.dtype).reciprocal()
    mean, variance = found.view(2, -1)
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
    norm.running_var.lerp_((variance * (count / (count - 1))).to(norm.running_var.dtype), share)


def _takes(norm: nn.BatchNorm1d) -> bool:
    """Does it take the batch's own statistics?"""
    return norm.training or norm.running_mean is None or norm.running_var is None
