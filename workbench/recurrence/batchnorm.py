"""Batch norm over time and batch, then dropout whose mask all steps share: what stands after a recurrence.

    y = ((h - mean) / sqrt(variance + eps) * scale + shift) * mask        Ioffe and Szegedy 2015; one mean a neuron

The batch norm is a module of torch (weight and bias, running statistics, momentum None for their plain average), so
that whatever knows torch's knows ours. Engine `cpu` does both at once, in half of torch's passes over memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ParameterError
from . import affine
from .affine import Norm

WORTH = 1 << 17  # values of h from which C is faster than torch: below, its calls cost more than its passes


def in_torch(h: Tensor, norm: nn.BatchNorm1d | None, mask: Tensor | None) -> Tensor:
    """The specification, by torch: on the (T B, N) view, whose statistics are those of time and batch together."""
    if norm is not None:
        h = nn.BatchNorm1d.forward(norm, h.reshape(-1, h.shape[-1])).view(h.shape)
    return h if mask is None else h * mask


def alike(h: Tensor, norm: nn.BatchNorm1d | None, mask: Tensor | None) -> bool:
    """Do all have the dtype and device of h, as C needs them? Otherwise torch decides what that means."""
    given: list[Tensor | None] = [] if norm is None else [norm.weight, norm.bias, norm.running_mean, norm.running_var]
    return all(v is None or (v.dtype == h.dtype and v.device == h.device) for v in (*given, mask))


def check(h: Tensor, norm: nn.BatchNorm1d | None, mask: Tensor | None) -> None:
    """A ParameterError unless all fit h (T, B, N)."""
    if h.ndim != 3:
        raise ParameterError(f"h: shape {tuple(h.shape)} received; (T, B, N) is needed")
    if norm is not None and norm.num_features != h.shape[2]:
        raise ParameterError(f"norm: made for {norm.num_features} features; h has {h.shape[2]}")
    if norm is not None and _takes(norm) and h.shape[0] * h.shape[1] == 1:
        raise ParameterError(
            f"batch: states of shape {tuple(h.shape)} give batch norm one value per feature; "
            "in training it needs T * B of at least 2"
        )
    if mask is not None and mask.shape != h.shape[1:]:
        raise ParameterError(f"mask: shape {tuple(mask.shape)} received; {tuple(h.shape[1:])} is needed, (B, N)")


def settings(norm: nn.BatchNorm1d | None, mask: Tensor | None, dtype: torch.dtype) -> Norm | None:
    """All that engine `cpu` must know, None if there is nothing to do."""
    mask = None if mask is None else mask.contiguous()
    if norm is None:
        return None if mask is None else Norm(None, None, None, 0.0, mask)
    stored = None
    if norm.running_mean is not None and norm.running_var is not None and not norm.training:
        stored = torch.stack((norm.running_mean, norm.running_var)).double()
    scale: Tensor | None = norm.weight
    shift: Tensor | None = norm.bias
    if scale is None or shift is None:  # affine=False
        scale, shift = torch.ones(norm.num_features, dtype=dtype), torch.zeros(norm.num_features, dtype=dtype)
    return Norm(scale.contiguous(), shift.contiguous(), stored, norm.eps, mask)


def track_(norm: nn.BatchNorm1d | None, found: Tensor | None, count: int) -> None:
    """Move the running statistics towards those found (2, N) in `count` values a feature, as torch does."""
    if norm is None or found is None or not (norm.training and norm.track_running_stats):
        return
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    affine.track_(norm.running_mean, norm.running_var, found, share, count)


def _takes(norm: nn.BatchNorm1d) -> bool:
    """Does it take the batch's own statistics?"""
    return norm.training or norm.running_mean is None or norm.running_var is None
