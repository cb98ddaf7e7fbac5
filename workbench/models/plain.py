"""The plain net: layers one above the other (Li et al. 2019, Fig. 3a)."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from ..config import Model
from ..tasks.contract import Spec
from .net import Parts, Stack
from .sequence import Span


class Plain(Stack):
    """`depth` times (FC, recurrence, norm, dropout); behind the last of them the dropout is `dropout_last`."""

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        parts = Parts(model, spec, generator)
        self.layers = nn.ModuleList()
        for index in range(model.depth):
            inputs, last = model.hidden if index else spec.inputs, index == model.depth - 1
            self.layers.append(parts.unit(inputs, model.hidden, model.dropout_last if last else None, last=last))
        self.finish(parts, model.hidden, model.dropout_last)

    def through(self, x: Tensor, span: Span) -> Tensor:
        for layer in self.layers:
            x = layer(x, span)
        return x
