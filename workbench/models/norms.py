"""Norms of the nets: batch norm over time and batch, layer norm and RMS norm over the features of each step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import recurrence
from ..errors import ParameterError
from ..recurrence import batchnorm
from .distributed import ALONE, Ranks
from .sequence import WHOLE, Span

EPS = 1e-5  # torch's for batch norm and layer norm; RMS norm has it too, so that a step of zeros has a finite gradient


class BatchNorm(nn.BatchNorm1d):
    """One mean and variance per feature over batch and time together (momentum 0.1, eps 1e-5).

    x (T, B, N) -> (T, B, N): the statistic of the paper's (B, N, T) layout. In training only the real steps of a padded
    batch count; the padding becomes 0. Where several `ranks` train on parts of one batch, its statistics are those of
    the whole.
    """

    title = "batch norm"
    ranks: Ranks = ALONE

    def __init__(self, features: int, gain: float = 1.0):
        super().__init__(features)
        nn.init.constant_(self.weight, gain)

    def forward(self, x: Tensor, span: Span = WHOLE) -> Tensor:
        rows = span.rows if self.training else None
        real = x if rows is None else x.flatten(0, 1)[rows].unsqueeze(1)  # (n, 1, N)
        shared = self.training and self.ranks.share is not None
        y = self._over_ranks(real) if shared else recurrence.normalize(real, self)
        if rows is None:
            return y
        return y.new_zeros(x.shape).flatten(0, 1).index_copy(0, rows, y.squeeze(1)).view(x.shape)

    def _over_ranks(self, x: Tensor) -> Tensor:
        """x (T, B, N), of which the other processes hold more, in training."""
        found, n = _moments(x, self.ranks)
        if n == 1:
            raise ParameterError("batch: one value per feature received; in training, batch norm needs at least 2")
        batchnorm.track_(self, found, n)
        return batchnorm.apply(x, self, found, n, add=self.ranks.sum)


class StepNorm(BatchNorm):
    """Batch norm that has a mean and variance over the batch for every time step apart; gain and bias are shared.

    x (T, B, N) -> (T, B, N). The stored statistics are tables: step t of a stretch that begins `start` steps after the
    zero state has row min(start, last) + t. `over` a `step`, they have 4 `steps` + 1 rows and `last` is 2 `steps`, so
    that all later steps share rows (official code of 2020); over a `chunk`, `steps` rows and 0 (of 2018). Only the rows
    in use change.
    """

    def __init__(self, features: int, steps: int, gain: float = 1.0, *, over: str = "step"):
        super().__init__(features, gain)
        rows, self.last = (4 * steps + 1, 2 * steps) if over == "step" else (steps, 0)
        self.register_buffer("running_mean", torch.zeros(rows, features))
        self.register_buffer("running_var", torch.ones(rows, features))

    def forward(self, x: Tensor, span: Span = WHOLE) -> Tensor:
        T, start = len(x), min(span.start, self.last)
        if self.running_mean is None or self.running_var is None or start + T > len(self.running_mean):
            rows = 0 if self.running_mean is None else len(self.running_mean)
            raise ParameterError(f"x: {T} steps received; norm over steps has statistics for {rows - self.last}")
        means, variances = (table[start : start + T] for table in (self.running_mean, self.running_var))
        if not self.training:
            return batchnorm.apply(x, self, torch.stack((means, variances)).unsqueeze(2), 0)
        if self.momentum is None:
            raise ParameterError("bn_statistics: 'running' is needed where norm is over steps")
        found, B = _moments(x, self.ranks, steps=True)
        if B == 1:
            raise ParameterError("batch: 1 sequence received; in training, norm over steps needs at least 2")
        mean, variance = found.squeeze(2).to(means.dtype)
        means.lerp_(mean, self.momentum)
        variances.lerp_(variance * (B / (B - 1)), self.momentum)
        return batchnorm.apply(x, self, found, B, add=None if self.ranks.share is None else self.ranks.sum)


class _OverFeatures(nn.Module):
    """Common part of layer norm and RMS norm."""

    weight: nn.Parameter

    def __init__(self, features: int, gain: float = 1.0):
        super().__init__(features, eps=EPS)
        nn.init.constant_(self.weight, gain)

    def forward(self, x: Tensor, span: Span = WHOLE) -> Tensor:
        return recurrence.normalize(x, self)  # type: ignore[arg-type]


class LayerNorm(_OverFeatures, nn.LayerNorm):
    """Mean 0 and variance 1 of the features of each step of each sequence, then a gain and a bias a feature.

        y = (x - mean) / sqrt(variance + eps) * gain + bias        Ba, Kiros and Hinton 2016, arXiv:1607.06450

    x (T, B, N) -> (T, B, N), the same in training and evaluation, for one sequence or many, whole or step by step.
    On a CPU engine `cpu` does it, behind a recurrence as one with it, as it does batch norm; elsewhere torch does.
    """

    title = "layer norm"


class RMSNorm(_OverFeatures, nn.RMSNorm):
    """Root mean square 1 of the features of each step of each sequence, then a gain a feature.

        y = x / sqrt(mean(x^2) + eps) * gain        Zhang and Sennrich 2019, arXiv:1910.07467

    x (T, B, N) -> (T, B, N), the same in training and evaluation, for one sequence or many, whole or step by step.
    Computed where layer norm is.
    """

    title = "RMS norm"


Norm = BatchNorm | LayerNorm | RMSNorm


def norm_of(kind: str, features: int, over: str, steps: int, gain: float = 1.0) -> Norm:
    """The norm of a config's `norm_kind`, and batch norm's of its `norm_over`."""
    if kind != "batch":
        return (LayerNorm if kind == "layer" else RMSNorm)(features, gain)
    return BatchNorm(features, gain) if over == "sequence" else StepNorm(features, steps, gain, over=over)


def _moments(x: Tensor, ranks: Ranks, steps: bool = False) -> tuple[Tensor, int]:
    """Mean and variance of x (T, B, N), see `batchnorm.moments`, and of how many values each is.

    They are those of the whole where x is a share of it.
    """
    found, count = batchnorm.moments(x, steps), x.shape[1] if steps else x.shape[0] * x.shape[1]
    if ranks.share is None:
        return found, count
    parts = torch.stack(ranks.gather(torch.cat([found, torch.full_like(found[:1], count)])))
    means, variances, counts = parts.unbind(1)  # (ranks, 1 or T, 1, N)
    weight = counts / (n := counts.sum(0))
    middle = (weight * means).sum(0)
    spread = (weight * (variances + (means - middle).square())).sum(0)
    return torch.stack((middle, spread)), int(n[0, 0, 0])
