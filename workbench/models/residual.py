"""Residual nets: sums that pass by the layers, and with them the gradient (Li et al. 2019, Fig. 3b)."""

from __future__ import annotations

from typing import cast

from torch import Generator, Tensor, nn

from ..config import Model
from ..tasks.contract import Spec
from .layer import Unit
from .net import Parts, Stack
from .sequence import Span


def residual(model: Model, spec: Spec, generator: Generator | None = None) -> Stack:
    """The residual net of the config's shortcut: `block` (official code of 2020) or `sum` (of 2018)."""
    return (Residual if model.shortcut == "block" else Sums)(model, spec, generator)


class Block(nn.Module):
    """x + FC(unit(FC(unit(x)))), a unit being recurrence, norm and dropout: a block with pre-activation.

    x (T, B, N) -> (T, B, N). Nothing is applied to the sum.
    """

    def __init__(self, parts: Parts, hidden: int):
        super().__init__()
        self.first = parts.unit(None, hidden)
        self.second = parts.unit(hidden, hidden)
        self.fc = parts.linear(hidden, hidden)

    def forward(self, x: Tensor, span: Span) -> Tensor:
        out: Tensor = self.fc(self.second(self.first(x, span), span))
        return out.add_(x)


class Residual(Stack):
    """FC to the width, `depth` blocks, and a last recurrence, norm, dropout: 2 depth + 1 recurrences."""

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        parts, N = Parts(model, spec, generator), model.hidden
        self.fc = parts.linear(spec.inputs, N)
        self.blocks = nn.ModuleList(Block(parts, N) for _ in range(model.depth))
        self.final = parts.unit(None, N, model.dropout_last, last=True)
        self.finish(parts, N, model.dropout_last)

    def through(self, x: Tensor, span: Span) -> Tensor:
        x = self.fc(x)
        for block in self.blocks:
            x = block(x, span)
        out: Tensor = self.final(x, span)
        return out


class Sums(Stack):
    """2 depth + 1 plain layers; what the FC of every second one gives is added to the sum two layers below.

    With a_i the FC of layer i, counted from 0: s_0 = a_0, s_i = a_i + s_(i-2) for even i, and the rest of layer i reads
    s_i (a_i for odd i). This is the character net of 2018: 11 layers have 5 such sums, 21 have 10.
    """

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        parts, N, last = Parts(model, spec, generator), model.hidden, 2 * model.depth
        self.layers = nn.ModuleList()
        for index in range(last + 1):
            dropout = model.dropout_last if index == last else None
            self.layers.append(parts.unit(N if index else spec.inputs, N, dropout, last=index == last))
        self.finish(parts, N, model.dropout_last)

    def through(self, x: Tensor, span: Span) -> Tensor:
        first, *rest = cast("list[Unit]", list(self.layers))
        total = first.enter(x)
        x = first(total, span, entered=True)
        for odd, even in zip(rest[::2], rest[1::2], strict=True):
            total = even.enter(odd(x, span)).add_(total)
            x = even(total, span, entered=True)
        return x
