"""A linear model of a few numbers of each channel, to compare with: what can be had without reading in order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from ..config import Model
from ..tasks.contract import Spec
from .convolution import over_time
from .layer import Linear
from .net import register
from .sequence import Span, at_end

TINY = 1e-6  # of a variance, below which a channel counts as constant


@register("linear")
class LinearModel(nn.Module):
    """Mean, standard deviation and last value of each channel of a sequence, and a readout of these.

    x (T, B, M), lengths (B,) or None -> (B, outputs); where each step is answered, (T, B, outputs) of its own values.
    """

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        self.each_step = spec.each_step
        numbers = spec.inputs * (1 if spec.each_step else 3)
        self.readout = Linear(numbers, spec.outputs, init=model.readout_init, generator=generator)

    def forward(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        span = Span(x, lengths)
        x = span.real(x)
        if not self.each_step:
            mean = over_time(x, lengths)
            deviation = (over_time((x - mean).square(), lengths) + TINY).sqrt()
            x = torch.cat([mean, deviation, at_end(x, span.ends)], -1)
        out: Tensor = self.readout(x)
        return out
