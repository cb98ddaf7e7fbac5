"""Parts of the nets: the recurrence with its u, the layers made of it, dropout shared over time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from .. import recurrence
from ..errors import ParameterError, choices
from ..recurrence import engine_triton
from . import settings
from .distributed import ALONE, Ranks
from .norms import BatchNorm, Norm, StepNorm, norm_of
from .sequence import WHOLE, Span

INITS: dict[str, Callable[[int, int], float]] = {  # of uniform values in +-limit, from fan_in and fan_out
    "kaiming": lambda M, N: math.sqrt(6 / ((1 + 8**2) * M)),
    "kaiming2": lambda M, N: math.sqrt(6 / ((1 + 2**2) * M)),
    "he": lambda M, N: math.sqrt(6 / M),
    "glorot": lambda M, N: math.sqrt(6 / (M + N)),
    "narrow": lambda M, N: 0.04,
}
DEVIATIONS: dict[str, Callable[[int], float]] = {  # of normal values, from fan_in
    "small": lambda M: 0.001,
    "readout": lambda M: math.sqrt(2 / M),
}


class Linear(nn.Linear):
    """y = x W^T + b, its values drawn from a generator (torch's own class draws from the global one when made).

    `init`: uniform in +-sqrt(6 / ((1 + a^2) fan_in)) with negative slope a = 8 (`kaiming`), 2 (`kaiming2`) or 0 (`he`),
    in +-sqrt(6 / (fan_in + fan_out)) (`glorot`), in +-0.04 (`narrow`); normal with standard deviation 0.001 (`small`)
    or sqrt(2 / fan_in) (`readout`). Biases start at 0. Sources: the official code of each task.
    """

    def __init__(self, inputs: int, outputs: int, *, init: str = "kaiming", generator: Generator | None = None):
        nn.Module.__init__(self)
        self.in_features, self.out_features = inputs, outputs
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        with torch.no_grad():
            if init in INITS:
                limit = INITS[init](inputs, outputs)
                self.weight.uniform_(-limit, limit, generator=generator)
            elif init in DEVIATIONS:
                self.weight.normal_(0, DEVIATIONS[init](inputs), generator=generator)
            else:
                raise ParameterError(f"init: {init!r} is unknown; choose one of {choices([*INITS, *DEVIATIONS])}")

    def forward(self, x: Tensor) -> Tensor:
        return recurrence.linear(x, self.weight, self.bias)


class SharedDropout(nn.Module):
    """Inverted dropout whose mask is drawn once per (sample, feature) and shared by all time steps.

    `over` a `step` instead of the `sequence`, every step has a mask of its own. x (T, B, N) -> (T, B, N). Draws from
    `generator` where one is set (training does), else from torch's global one. Where several `ranks` train on parts of
    one batch, each draws for all and takes its own.
    """

    ranks: Ranks = ALONE

    def __init__(self, p: float, over: str = "sequence"):
        super().__init__()
        self.p, self.over = p, over
        self.generator: Generator | None = None
        self.drawn: Tensor | None = None  # the next mask (B, features), where somebody drew it before

    def forward(self, x: Tensor) -> Tensor:
        mask = self.mask(x, x.shape[2])
        if mask is None:
            return x
        return recurrence.normalize(x, None, mask) if self.over == "sequence" else x * mask

    def mask(self, x: Tensor, features: int) -> Tensor | None:
        """The mask of a batch x (T, B, ...), (B, features) or (T, B, features); None where nothing is dropped."""
        if not self.training or self.p == 0:
            return None
        if self.drawn is not None:
            mask, self.drawn = self.drawn.to(x.dtype), None
            return mask
        keep = 1 - self.p
        share = self.ranks.share
        shape = (x.shape[1] if share is None else share.whole, features)
        mask = torch.empty(shape if self.over == "sequence" else (len(x), *shape), dtype=x.dtype, device=x.device)
        mask.bernoulli_(keep, generator=self.generator).div_(keep)
        return mask if share is None else mask[..., share.rows, :]

    def extra_repr(self) -> str:
        return f"p={self.p}, over={self.over}"


class Recurrence(NamedTuple):
    """Recurrent weights u (N,) of a net: their name in its state, the layer that has them, and their bound or None."""

    name: str
    layer: nn.Module
    u: nn.Parameter
    bound: float | None


def recurrences(net: nn.Module) -> dict[str, Recurrence]:
    """The recurrent weights of a net, in the order of use, by the name of their layer.

    They are known by their name alone: a parameter `u`, or `u_l0`, ... as `IndRNN` has them, of one dimension. What is
    called so is bounded by the `bound` of its layer, listed, drawn and trained at the rate of u.
    """
    found = {}
    for place, layer in net.named_modules():
        for key, u in layer._parameters.items():
            if u is not None and u.dim() == 1 and (key == "u" or key.startswith("u_l")):
                name = f"{place}.{key}".removeprefix(".")
                found[place if key == "u" else name] = Recurrence(name, layer, u, getattr(layer, "bound", None))
    return found


class Recurrent(nn.Module):
    """Neurons that remember themselves: u (N,), which `clamp_` keeps in [-bound, bound]; bound None leaves it free."""

    u: nn.Parameter
    bound: float | None
    activation: str
    backend: str

    def clamp_(self) -> None:
        """Project u into [-bound, bound]: the constraint is symmetric, though the first values are not negative.

        A u that is pruned or computed is treated as `IndRNN.clamp_` says.
        """
        settings.clamp_(self, "u", self.bound)


class Unit(Recurrent):
    """FC, recurrence, norm, dropout: the layer that plain nets stack (Li et al. 2019, Fig. 3a).

    `inputs` None leaves the FC out: a residual net's sum comes in. `norm` is the place of the norm: `after` the
    recurrence (MNIST, NTU), `before` it (PTB), or `none`; `norm_kind`, `over` and `steps` say which, see `norm_of`.
    Whatever its kind, it is called `bn`, as batch norm is in every checkpoint. Engine `cpu` fuses it with the
    recurrence. u starts uniformly in `u_range`. x (T, B, M) -> (T, B, N); where it has `entered`, x (T, B, N) is behind
    the FC already.
    """

    def __init__(
        self,
        inputs: int | None,
        hidden: int,
        *,
        u_range: tuple[float, float] = (0.0, 1.0),
        bound: float | None = None,
        norm: str = "after",
        norm_kind: str = "batch",
        over: str = "sequence",
        steps: int = 1,
        gain: float = 1.0,
        dropout: float = 0.0,
        dropout_over: str = "sequence",
        activation: str = "relu",
        init: str = "kaiming",
        generator: Generator | None = None,
    ):
        super().__init__()
        self.fc = None if inputs is None else Linear(inputs, hidden, init=init, generator=generator)
        self.u = nn.Parameter(torch.empty(hidden).uniform_(*u_range, generator=generator))
        self.bn: Norm | None = None if norm == "none" else norm_of(norm_kind, hidden, over, steps, gain)
        self.dropout = SharedDropout(dropout, dropout_over)
        self.bound, self.norm, self.activation, self.backend = bound, norm, activation, "auto"

    def forward(self, x: Tensor, span: Span = WHOLE, *, entered: bool = False) -> Tensor:
        if self.fc is None or self.norm == "before" or entered:
            return self.recurrent(x if entered else self.enter(x), span)
        fc, ways = self.fc, self._ways
        if self._fuses(span):
            # all in one pass, and the bare states are nowhere seen
            return recurrence.layer(x, fc.weight, fc.bias, self.u, span.before(), **ways, **self._behind(x))
        return self.leave(recurrence.layer(x, fc.weight, fc.bias, self.u, span.before(), **ways), span)

    @property
    def _ways(self) -> dict[str, Any]:
        return {"activation": self.activation, "backend": self.backend}

    def _behind(self, x: Tensor) -> dict[str, Any]:
        """The norm and the mask of a batch, for an engine that fuses them."""
        return {"norm": self.bn, "mask": self.dropout.mask(x, len(self.u))}

    def _fuses(self, span: Span) -> bool:
        """Test whether the recurrence and what follows it are done as one, with nobody to see the states between."""
        fusible = type(self.bn) is not StepNorm and (not isinstance(self.bn, BatchNorm) or self.bn.ranks.share is None)
        return fusible and self.dropout.over == "sequence" and span.rows is None and not span.carry

    def enter(self, x: Tensor) -> Tensor:
        """The FC alone: x (T, B, M) -> (T, B, N)."""
        return x if self.fc is None else self.fc(x)

    def recurrent(self, a: Tensor, span: Span = WHOLE) -> Tensor:
        """Apply all that follows the FC: a (T, B, N) -> (T, B, N)."""
        if self.bn is not None and self.norm == "before":
            a = self.bn(a, span)
        elif type(self) is Unit and self._fuses(span) and engine_triton.takes(a):
            return recurrence.neurons(a, self.u, span.before(), **self._ways, **self._behind(a))
        h = recurrence.recur(a, self.u, span.before(), **self._ways)
        return self.leave(h, span)

    def leave(self, h: Tensor, span: Span) -> Tensor:
        """Apply all that follows the recurrence: its states h (T, B, N) -> (T, B, N)."""
        span.after(h)
        if self.bn is not None and self.norm == "after":
            h = self.bn(h, span)
        out: Tensor = self.dropout(h)
        return out


class Head(Unit):
    """The last layer of a language net, of the embedding's width so that the embedding can be the decoder.

    A unit with one more norm, of the same kind, behind the recurrence where the other stands before it (official PTB
    code); the gains of that one start at 1.
    """

    def __init__(self, inputs: int, hidden: int, **settings: Any):
        super().__init__(inputs, hidden, **settings)
        kind, over, steps = (settings[name] for name in ("norm_kind", "over", "steps"))
        self.extra_bn = norm_of(kind, hidden, over, steps) if self.norm == "before" else None

    def leave(self, h: Tensor, span: Span) -> Tensor:
        span.after(h)
        bn = self.bn if self.extra_bn is None else self.extra_bn
        out: Tensor = self.dropout(h if bn is None else bn(h, span))
        return out
