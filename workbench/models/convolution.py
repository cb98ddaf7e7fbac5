"""A net of convolutions through time, to compare with: how far it sees is fixed by its depth.

    c_t = relu(norm(sum_k W_k c_(t - k d) + b)),   k = 0 ... 4,   d = 1, 2, 4, ... layer by layer

Causal and dilated like WaveNet (van den Oord et al. 2016, arXiv:1609.03499) and the TCN (Bai, Kolter and Koltun 2018,
arXiv:1803.01271), without their residual sums; pooled by the mean over time like the FCN (Wang, Yan and Oates 2017,
arXiv:1611.06455).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from ..config import Model
from ..tasks.contract import Spec
from .layer import Linear, SharedDropout
from .net import register
from .sequence import Span, checked, emptied

KERNEL = 5  # steps that a layer joins; `depth` layers see 4 (2^depth - 1) + 1 of them


@register("convolution", "depth", "hidden")
class Convolution(nn.Module):
    """`depth` layers of `hidden` channels, then the mean over the real steps of a sequence, and a readout.

    x (T, B, M), lengths (B,) or None -> (B, outputs); where each step is answered, (T, B, outputs) without the mean.
    """

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        self.each_step = spec.each_step
        sizes = [spec.inputs, *[model.hidden] * model.depth]
        self.products = nn.ModuleList(
            Linear(KERNEL * M, N, init="he", generator=generator) for M, N in itertools.pairwise(sizes)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(model.hidden) for _ in range(model.depth))
        self.dropout = SharedDropout(model.dropout)
        self.dropout_last = SharedDropout(model.dropout if model.dropout_last is None else model.dropout_last)
        self.readout = Linear(model.hidden, spec.outputs, init=model.readout_init, generator=generator)

    def forward(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        x = Span(x, lengths).real(x)
        for index, (product, norm) in enumerate(zip(self.products, self.norms, strict=True)):
            x = torch.relu(norm(product(taps(self.dropout(x) if index else x, 2**index))))
        x = self.dropout_last(x)
        out: Tensor = self.readout(x if self.each_step else over_time(x, lengths))
        return out


def taps(x: Tensor, apart: int) -> Tensor:
    """Each step beside those before it, `apart` steps each, 0 before the first: x (T, B, M) -> (T, B, 5 M)."""
    reach = apart * (KERNEL - 1)
    longer = torch.cat([x.new_zeros(reach, *x.shape[1:]), x])
    return torch.cat([longer[reach - k * apart : len(longer) - k * apart] for k in range(KERNEL)], -1)


def over_time(x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
    """The mean of each feature over the real steps of a sequence: x (T, B, N), lengths (B,) or None -> (B, N)."""
    if lengths is None:
        return x.mean(0)
    ends = checked(lengths, x.shape[0], x.shape[1], x.device)
    return emptied(x, ends).sum(0) / ends.unsqueeze(1)
