"""A net as a list of parts, from its config alone: what Fig. 3 of the paper draws, with shapes and parameters.

The parts are read off the real modules, made without values, so that a net of 80 million parameters costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ..config import Model
from ..tasks.contract import Spec
from . import dense, residual
from .baselines import lru, transformer
from .baselines.sru import SRU
from .build import count, without_values
from .layer import Unit, recurrences


@dataclass(frozen=True)
class Part:
    """One box: what it is, what is in it, the features it gives, its parameters; `kind` chooses its colour."""

    name: str
    inside: str
    features: int
    parameters: int
    kind: str  # input, fc, indrnn, other, readout


@dataclass(frozen=True)
class Arc:
    """A way past the boxes, from behind box `start` to behind box `end`: a `sum`, or a `block` of dense layers."""

    start: int
    end: int
    kind: str
    words: str = ""


@dataclass(frozen=True)
class Drawing:
    """Boxes from input to output, ways past them, and the whole number of parameters."""

    parts: tuple[Part, ...]
    arcs: tuple[Arc, ...]
    parameters: int
    words: bool  # whether it answers at every step


def draw(model: Model, spec: Spec) -> Drawing:
    """The parts of the net that `build(model, spec)` makes."""
    net = without_values(model, spec)
    pen = _Pen(spec, net)
    pen.box("input", "tokens" if spec.target == "token" else "features a step", spec.inputs, None, "input")
    pen.module(net)
    return Drawing(tuple(pen.parts), tuple(pen.arcs), count(net), spec.target == "token")


class _Pen:
    """Goes through a net and leaves boxes and arcs."""

    def __init__(self, spec: Spec, net: nn.Module):
        self.spec, self.net = spec, net
        self.own: dict[nn.Module, nn.ParameterList] = {}  # the recurrent weights of each layer that has some
        for found in recurrences(net).values():
            self.own.setdefault(found.layer, nn.ParameterList()).append(found.u)
        self.parts: list[Part] = []
        self.arcs: list[Arc] = []

    def box(self, name: str, inside: str, features: int, module: nn.Module | None, kind: str) -> None:
        parameters = 0 if module is None else count(module)
        self.parts.append(Part(name, inside, features, parameters, kind))

    def module(self, module: nn.Module, name: str = "") -> None:
        """Boxes for a module: known kinds as one box each, all else part by part."""
        features = self.parts[-1].features
        if isinstance(module, Unit):
            self.unit(module, name)
        elif module in self.own and module is not self.net:
            N = self.own[module][-1].numel()
            self.box(type(module).__name__, f"{getattr(module, 'activation', 'f')}(a + u h)", N, module, "indrnn")
        elif isinstance(module, nn.RNNBase | SRU | lru.Block):
            N, past = getattr(module, "hidden", 0), "each cell reads its own past"
            if isinstance(module, nn.RNNBase):
                N, past = module.hidden_size, "every neuron reads every other's past"
            self.box(type(module).__name__, f"{features:,} → {N:,}, {past}", N, module, "other")
        elif isinstance(module, transformer.Block):
            inside = f"{module.heads} heads, every step reads all before it"
            self.box("attention, FC", inside, features, module, "other")
        elif isinstance(module, residual.Block):
            start = len(self.parts) - 1
            self.children(module)
            self.arcs.append(Arc(start, len(self.parts) - 1, "sum"))
        elif isinstance(module, residual.Sums):
            first = len(self.parts)
            self.children(module)
            self.arcs += [Arc(first + row, first + row + 2, "sum") for row in range(0, len(module.layers) - 1, 2)]
        elif isinstance(module, dense.Block):
            self.block(module)
        elif isinstance(module, nn.Linear):
            role = name in ("readout", "decoder")
            inside, N = f"{module.in_features:,} → {module.out_features:,}", module.out_features
            self.box(name if role else "FC", inside, N, module, "readout" if role else "fc")
        elif isinstance(module, nn.LayerNorm):
            self.box("layer norm", "over the features of each step", features, module, "fc")
        elif isinstance(module, nn.Embedding):
            self.box("embedding", f"{module.num_embeddings:,} tokens", module.embedding_dim, module, "fc")
        elif name == "decoder":
            self.box("decoder", "the embedding again, and a bias", self.spec.outputs, module, "readout")
        else:
            self.children(module)

    def children(self, module: nn.Module) -> None:
        if module in self.own:  # the net itself
            self.box("u", "f(a + u h)", count(self.own[module]), self.own[module], "indrnn")
        later = ("readout", "decoder")
        for name, child in sorted(module.named_children(), key=lambda item: item[0] in later):
            self.module(child, name)

    def unit(self, unit: Unit, name: str) -> None:
        """FC, recurrence, norm, dropout, in the order in which they act."""
        N = len(unit.u)
        steps = [] if unit.fc is None else [f"FC {unit.fc.in_features:,} → {N:,}"]
        norm = [] if unit.bn is None else [unit.bn.title]
        recurrence = [f"{unit.activation}(a + u h)"]
        steps += norm + recurrence if unit.norm == "before" else recurrence + norm
        if unit.dropout.p:
            steps.append(f"dropout {unit.dropout.p:g}")
        named = name if name in ("bottleneck", "growth", "transition") else "IndRNN"
        self.box(named, ", ".join(steps), N, unit, "indrnn")

    def block(self, block: dense.Block) -> None:
        """Layers that read all made before them in the block."""
        start = len(self.parts) - 1
        came = self.parts[-1].features
        for layer in block.layers:
            self.children(layer)
        each = 2 if block.differences else 1
        made = sum(layer.growth.u.numel() for layer in block.layers)  # type: ignore[union-attr, operator, misc]
        words = (
            f"{len(block.layers)} layers, each reads all before it: {each * came} to {each * (came + made)} features"
        )
        self.arcs.append(Arc(start, len(self.parts) - 1, "block", words))
        if block.transition is not None:
            self.module(block.transition, "transition")
