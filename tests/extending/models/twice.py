"""A net that somebody would add, in one file: two layers of its own, none of ours but the recurrence."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from .. import recurrence
from ..config import Model
from ..tasks.contract import Spec
from . import bounds
from .net import register


class Neurons(nn.Module):
    """h_t = relu(W x_t + u h_(t-1)): x (T, B, M) -> (T, B, N)."""

    def __init__(self, inputs: int, hidden: int, bound: float | None, generator: Generator | None):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden, inputs).normal_(0, inputs**-0.5, generator=generator))
        self.u = nn.Parameter(torch.empty(hidden).uniform_(0, bound or 1.0, generator=generator))
        self.bound, self.backend = bound, "auto"

    def forward(self, x: Tensor) -> Tensor:
        return recurrence.recur(x @ self.weight.T, self.u, backend=self.backend)


@register("twice", "hidden", "gamma", "u_max")
class Twice(nn.Module):
    """Two layers and a readout of the last step."""

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        bound = model.u_max if model.gamma is None else bounds.bound(spec.steps, model.gamma)
        self.lower = Neurons(spec.inputs, model.hidden, bound, generator)
        self.upper = Neurons(model.hidden, model.hidden, bound, generator)
        self.readout = nn.Linear(model.hidden, spec.outputs)
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        answer: Tensor = self.readout(self.upper(self.lower(x))[-1])
        return answer
