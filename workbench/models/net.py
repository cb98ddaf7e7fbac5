"""Common base of plain, residual and dense nets: their parts, made as a config says, and their readout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Generator, Tensor, nn

from ..config import Model
from ..config.model import FIELDS
from ..errors import ParameterError, choices
from ..tasks.contract import Spec
from . import bounds
from .layer import Head, Linear, Unit
from .sequence import Span, Streaming, at_end

Maker = Callable[[Model, Spec, Generator | None], nn.Module]
Made = TypeVar("Made", bound=Maker)
KINDS: dict[str, Maker] = {}  # kind -> what makes such a net; `build` adds those of the paper


def register(kind: str, *fields: str) -> Callable[[Made], Made]:
    """Make a kind of net known by its name, with the fields of a config that have a meaning for it.

        @register("mine", "depth", "hidden", "gamma", "u_max")
        class Mine(Stack): ...

    With `gamma` among them, its neurons have recurrent weights of their own: see `layer.recurrences`.
    """
    if unknown := set(fields) - Model.model_fields.keys():
        raise ParameterError(f"fields: {choices(unknown)} received; choose among {choices(Model.model_fields)}")

    def known(made: Made) -> Made:
        FIELDS[kind], KINDS[kind] = {*fields}, made
        return made

    return known


class Parts:
    """The parts of one net as its config has them; each draws its first values when it is made.

    A dropout of None is the config's `dropout`. `last` marks the layer that `last_near_one` means: the last one with a
    recurrence, since only long memory reaches the one step that is read (Li et al. 2019, section 3.2).
    """

    def __init__(self, model: Model, spec: Spec, generator: Generator | None):
        self.model, self.spec, self.generator = model, spec, generator
        self.bound = model.u_max if model.gamma is None else bounds.bound(spec.steps, model.gamma)
        self.headed = spec.target == "token" and model.tied and model.shortcut == "block"

    def linear(self, inputs: int, outputs: int) -> Linear:
        return Linear(inputs, outputs, init=self.model.init, generator=self.generator)

    def unit(self, inputs: int | None, hidden: int, dropout: float | None = None, *, last: bool = False) -> Unit:
        return self._unit(Unit, inputs, hidden, dropout, last and not self.headed)

    def head(self, inputs: int, dropout: float | None) -> Unit | None:
        """The layer in front of a decoder that is tied to the embedding; None for all other nets."""
        if not self.headed:
            return None
        dropout = dropout if self.model.dropout_head is None else self.model.dropout_head
        return self._unit(Head, inputs, self.spec.inputs, dropout, True)

    def readout(self, inputs: int) -> nn.Module:
        """The readout of a net that answers once; language nets have a decoder instead."""
        if self.spec.target == "token":
            return nn.Identity()
        return Linear(inputs, self.spec.outputs, init=self.model.readout_init, generator=self.generator)

    def _unit(self, kind: type[Unit], inputs: int | None, hidden: int, dropout: float | None, last: bool) -> Unit:
        model = self.model
        return kind(
            inputs,
            hidden,
            u_range=self._start("near_one" if model.last_near_one and last else model.start),
            bound=self.bound,
            norm=model.norm,
            norm_kind=model.norm_kind,
            over=model.norm_over,
            steps=self.spec.steps,
            gain=model.norm_gain,
            dropout=model.dropout if dropout is None else dropout,
            dropout_over=model.dropout_over,
            activation=model.activation,
            init=model.init,
            generator=self.generator,
        )

    def _start(self, start: str) -> tuple[float, float]:
        """The range of u's first values; a bound below it cuts it off."""
        most = 1.0 if self.bound is None else self.bound
        if start == "near_one":
            low, high = bounds.near_one(self.spec.steps, 2.0 if self.model.gamma is None else self.model.gamma)
        else:
            low, high = {"uniform": (0.0, most), "mixed": (-most, most), "ones": (1.0, 1.0)}[start]
        return (low, high) if self.bound is None else (min(low, self.bound), min(high, self.bound))


class Stack(Streaming):
    """Layers between input and answer; `through` is all that the kinds differ in.

    Called, it answers once: x (T, B, M), lengths (B,) or None -> (B, outputs), read at each sequence's own end; where
    the spec says `each_step`, (T, B, outputs).
    """

    width: int  # features of each step

    def through(self, x: Tensor, span: Span) -> Tensor:
        """x (T, B, M) through the layers."""
        raise NotImplementedError

    def finish(self, parts: Parts, width: int, dropout: float | None) -> None:
        """Add what follows the layers, which give `width` features: a language net's head, or the readout."""
        self.head = parts.head(width, dropout)
        self.width = width if self.head is None else parts.spec.inputs
        self.readout = parts.readout(width)
        self.each_step, self.inputs = parts.spec.each_step, parts.spec.inputs
        if parts.model.norm_over != "sequence":
            self.whole = "norm over steps counts them from a sequence's first"

    def run(self, x: Tensor, span: Span) -> Tensor:
        """x (T, B, M) -> (T, B, width)."""
        x = self.through(x, span)
        return x if self.head is None else self.head(x, span)

    def forward(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        span = Span(x, lengths)
        h = self.run(span.real(x), span)
        out: Tensor = self.readout(h if self.each_step else at_end(h, span.ends))
        return out

    def features(self, x: Tensor, state: list[Tensor] | None, start: int = 0) -> tuple[Tensor, list[Tensor]]:
        """As `Streaming.features`; the state is one tensor (B, N) a recurrence, in their order."""
        span = Span(start=start, states=state, carry=True)
        return self.run(x, span), span.left
