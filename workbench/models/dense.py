"""The dense net: a layer reads all features that the layers of its block made before it (Li et al. 2019, Fig. 3c)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from ..config import Model
from ..tasks.contract import Spec
from .layer import Unit
from .net import Parts, Stack
from .sequence import Span

BOTTLENECK = 4  # the growths that a bottleneck is wide
FIRST = 6  # the growths that the first layer is wide


class Layer(nn.Module):
    """x (T, B, M) -> (T, B, k), and with differences another: what two units, bottleneck and growth, make of x."""

    def __init__(self, parts: Parts, inputs: int):
        super().__init__()
        k, self.differences = parts.model.growth, parts.model.differences
        self.bottleneck = parts.unit(inputs, BOTTLENECK * k, parts.model.dropout_bottleneck)
        self.growth = parts.unit(BOTTLENECK * k * (2 if self.differences else 1), k)

    def forward(self, x: Tensor, span: Span) -> list[Tensor]:
        narrow = passed_on(self.bottleneck(x, span), span, self.differences)
        return pieces(self.growth(narrow, span), span, self.differences)


class Block(nn.Module):
    """Layers, each of which reads the block's input and all that those before it made; then the transition, if any."""

    def __init__(self, layers: list[Layer], transition: Unit | None, differences: bool):
        super().__init__()
        self.layers, self.transition, self.differences = nn.ModuleList(layers), transition, differences

    def forward(self, x: Tensor, span: Span) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, *layer(x, span)], -1)  # of all pieces at once, each would get a gradient from every layer
        return x if self.transition is None else passed_on(self.transition(x, span), span, self.differences)


class Dense(Stack):
    """First layer to 6 k features, blocks of layers that add k each, and after each block a transition to half of them.

    A language net has no first layer, the embedding feeds the first block; if tied, its head is the last transition.
    With `differences`, whatever is passed on has its difference to the step before behind it; the units are as wide as
    without, only what they read is doubled.
    """

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        parts, k, self.differences = Parts(model, spec, generator), model.growth, model.differences
        each, last = 2 if model.differences else 1, len(model.blocks) - 1
        dropout_last = model.dropout_transition if model.dropout_last is None else model.dropout_last
        M, self.first = spec.inputs, None
        if spec.target != "token":
            self.first = parts.unit(each * M, FIRST * k, model.dropout_first)
            M = FIRST * k
        self.blocks = nn.ModuleList()
        for index, count in enumerate(model.blocks):
            layers = [Layer(parts, each * (M + j * k)) for j in range(count)]
            M, transition = M + count * k, None
            if index < last or not parts.headed:
                dropout = dropout_last if index == last else model.dropout_transition
                transition = parts.unit(each * M, M // 2, dropout, last=index == last)
                M //= 2
            self.blocks.append(Block(layers, transition, model.differences))
        self.finish(parts, each * M, dropout_last)

    def through(self, x: Tensor, span: Span) -> Tensor:
        x = passed_on(x, span, self.differences)
        if self.first is not None:
            x = passed_on(self.first(x, span), span, self.differences)
        for block in self.blocks:
            x = block(x, span)
        return x


def pieces(x: Tensor, span: Span, differences: bool) -> list[Tensor]:
    """[x], or with differences [x, x_t - x_(t-1)]; before its first step x was 0, or what is carried over."""
    if not differences:
        return [x]
    before = span.before()
    span.after(x)
    first = x[:1] if before is None else x[:1] - before
    return [x, torch.cat([first, x[1:] - x[:-1]])]


def passed_on(x: Tensor, span: Span, differences: bool) -> Tensor:
    """The pieces side by side."""
    return torch.cat(pieces(x, span, differences), -1) if differences else x
