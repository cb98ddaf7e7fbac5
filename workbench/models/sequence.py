"""A stretch of time that a net is run through: which of its steps are real, where it begins, what is carried over; and
reading a sequence as it arrives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import InputError, KindError, ParameterError, quoted
from .settings import wrong


class Span:
    """Facts that every layer may ask for about the steps it is given.

    `lengths` (B,): the real steps of each sequence of a padded batch, None where all are; `x` (T, B, ...) is that
    batch. `start`: steps since the state was zero. `states`: what the layers left after the stretch before, in their
    order, None for zero. With `carry` each layer leaves its state in `left`.
    """

    def __init__(
        self,
        x: Tensor | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        start: int = 0,
        states: Sequence[Tensor] | None = None,
        carry: bool = False,
    ):
        self.start, self.carry = start, carry
        self.left: list[Tensor] = []
        self._states = None if states is None else list(states)
        self.ends: Tensor | None = None
        self.rows: Tensor | None = None
        if lengths is not None and x is not None:
            T, B = x.shape[:2]
            ends = checked(lengths, T, B, x.device)
            if bool((ends < T).any()):
                self.ends = ends
                real = torch.arange(T, device=x.device)[:, None] < ends
                self.rows = real.flatten().nonzero().squeeze(1)  # (n,) of the T * B rows, those that are real

    def real(self, x: Tensor) -> Tensor:
        """The real steps of x (T, B, N), and 0 in the padding, whose nan or inf would reach the weights' gradient."""
        return x if self.ends is None else emptied(x, self.ends)

    def before(self) -> Tensor | None:
        """The state that the asking layer left before, None for zero; layers ask in the order of their leaving."""
        if self._states is None:
            return None
        if not self._states:
            raise ParameterError(f"state: too few tensors, {len(self.left)}, for the layers of this net")
        return self._states.pop(0)

    def after(self, h: Tensor) -> None:
        """Leave the last of a layer's states h (T, B, N); a copy, so that the others need not be kept for it."""
        if self.carry:
            self.left.append(h[-1].clone())


WHOLE = Span()  # all steps are real and nothing came before


class Streaming(nn.Module):
    """A net that answers once a sequence, by its `readout` of what `features` gives, and can read it as it arrives."""

    readout: nn.Module
    each_step: bool
    inputs: int | None = None  # features a step, where they are known
    whole = ""  # why it reads whole sequences only, where it does

    @property
    def streams(self) -> bool:
        """True for a net that can read step by step."""
        return not self.whole

    def features(self, x: Tensor, state: list[Tensor] | None, start: int = 0) -> tuple[Tensor, list[Tensor]]:
        """x (T, B, M), what the stretch before left, steps since the zero state -> (T, B, width), what this one leaves.

        The state is a list of tensors, one a recurrence or more, whose dimension before the last is B.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """x (T, B, inputs), lengths (B,) or None -> (B, outputs), or (T, B, outputs) where each step is answered."""
        span = Span(x, lengths)
        h, _ = self.features(span.real(x), None)
        out: Tensor = self.readout(h if self.each_step else at_end(h, span.ends))
        return out

    def step(self, x: Tensor, state: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Read one time step.

            answer, state = net.step(x)           # then, for each step that follows
            answer, state = net.step(x, state)    # the state is carried

        x (B, M); state what the step before gave, zeros if None -> (B, outputs), the answer to all read so far, and the
        new state. In evaluation mode steps answer as the whole does. ParameterError for a bidirectional net, for one
        with norm over steps, in training, where batch norm and dropout need whole sequences, and for a shape that does
        not fit.
        """
        if self.whole:
            raise ParameterError(f"step: {self.whole}; call it on the whole")
        if self.training:
            raise ParameterError("step: a net in training reads whole sequences; call eval() first")
        if not isinstance(x, Tensor) or x.ndim != 2 or self.inputs not in (None, x.shape[1]):
            raise wrong("x", x, f"one time step (B, {self.inputs or 'inputs'})")
        for one in state or ():
            if not isinstance(one, Tensor) or one.ndim < 2 or one.shape[-2] != len(x):
                raise wrong("state", one, f"(..., {len(x)}, N), for as many sequences as x has,")
        h, left = self.features(x.unsqueeze(0), state)
        if state is not None and len(state) != len(left):
            raise ParameterError(f"state: {len(state)} tensors received; this net carries {len(left)}")
        return self.readout(h[0]), left


def at_end(h: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Each sequence's features at its own last step: h (T, B, N), lengths (B,) or None for T -> (B, N)."""
    return h[-1] if lengths is None else h[lengths - 1, torch.arange(h.shape[1], device=h.device)]


def checked(lengths: Tensor | Sequence[int], T: int, B: int, device: torch.device) -> Tensor:
    """Lengths (B,), counted in steps, as an int64 tensor on the device; an error unless each is within 1...T."""
    try:
        ends = torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError):
        raise KindError(f"lengths: {quoted(lengths)} received; {B} whole numbers needed") from None
    if B == 0 and tuple(ends.shape) == (0,):
        ends = ends.to(torch.int64)  # an empty list has no kind of its own
    if ends.is_floating_point() or ends.is_complex() or ends.dtype == torch.bool or tuple(ends.shape) != (B,):
        raise InputError(f"lengths: {ends.dtype} of shape {tuple(ends.shape)} received; {B} whole numbers needed")
    wrong = [] if torch.compiler.is_compiling() else [n for n in ends.tolist() if not 1 <= n <= T]
    if wrong:  # a compiled net cannot look at values and stop
        raise InputError(f"lengths: {wrong[0]} is outside 1...{T}, the steps of the padded batch")
    return ends.to(device=device, dtype=torch.int64)


def emptied(x: Tensor, ends: Tensor) -> Tensor:
    """x (T, B, N) with 0 for whatever stands in the padding, a not-a-number too."""
    steps = torch.arange(x.shape[0], device=x.device)[:, None]
    return x.masked_fill((steps >= ends).unsqueeze(-1), 0)


def turned(x: Tensor, ends: Tensor | None) -> Tensor:
    """x (T, B, N) with each sequence turned round within its own length; the padding stays where it is."""
    if ends is None:
        return x.flip(0)
    steps = torch.arange(x.shape[0], device=x.device)[:, None]
    source = torch.where(steps < ends, ends - 1 - steps, steps)  # (T, B)
    return x.gather(0, source.unsqueeze(-1).expand(x.shape))
