"""`IndRNN`: the layer for code of your own, used like torch.nn.RNN."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from .. import recurrence
from ..errors import ParameterError, choices, quoted
from ..recurrence.activation import ACTIVATIONS
from .layer import SharedDropout
from .span import checked


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise ParameterError(f"{name}: {quoted(value)} is not a size; a whole number from 1 to 2**31 - 1 is needed")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _place(device: torch.device | str | None, dtype: torch.dtype | None) -> dict[str, Any]:
    """Where the parameters live and in which dtype, tried out on an empty tensor."""
    made: dict[str, Any] = {"device": device, "dtype": dtype}
    for name, value in made.items():
        try:
            tried = torch.empty(0, **{name: value})
        except (RuntimeError, TypeError, AssertionError) as error:
            raise ParameterError(f"{name}: {quoted(value)} cannot be used here: {str(error).splitlines()[0]}") from None
        if not tried.is_floating_point():
            raise ParameterError(f"{name}: {value} received; a floating-point dtype is needed")
    return made


class IndRNN(nn.Module):
    """A stack of IndRNN layers that reads and answers like torch.nn.RNN.

        h_t = f(W x_t + b + u * h_{t-1})        Li et al. 2018, eq. (2): u is one number per neuron

    `bound`: |u| starts in [0, bound) and `clamp_()` brings it back after a step (`wb.bound(T)` gives the paper's);
    None starts u in [0, 1) and leaves it free. `dropout` acts between the layers, one mask for all time steps.
    Parameters of layer k: `weight_ih_lk` (N, inputs), `u_lk` (N,), `bias_lk` (N,); `_reverse` behind the name for the
    other direction. All but u start uniformly in +-1/sqrt(N), as in torch.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        activation: str = "relu",
        bound: float | None = None,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        self.input_size = _whole("input_size", input_size)
        self.hidden_size = _whole("hidden_size", hidden_size)
        self.num_layers = _whole("num_layers", num_layers)
        if not _is_number(dropout) or not 0 <= dropout < 1:
            raise ParameterError(f"dropout: {quoted(dropout)} is not a probability in [0, 1)")
        if activation not in tuple(ACTIVATIONS):
            raise ParameterError(f"activation: {activation!r} is unknown; choose one of {choices(ACTIVATIONS)}")
        if bound is not None and not (_is_number(bound) and 0 < bound <= sys.float_info.max):
            raise ParameterError(f"bound: {quoted(bound)} cannot bound |u|; a finite number above 0 is needed, or None")
        if backend != "auto" and (reason := recurrence.unavailable(backend)) is not None:
            raise ParameterError(f"backend: {backend!r} cannot run here: {reason}")
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        self.activation, self.bound, self.backend = activation, bound, backend
        self._drop = SharedDropout(dropout)
        made = _place(device, dtype)
        directions = 2 if bidirectional else 1
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else hidden_size * directions
            for suffix in ("", "_reverse")[:directions]:
                weight = torch.empty(hidden_size, inputs, **made)
                self.register_parameter(f"weight_ih_l{layer}{suffix}", nn.Parameter(weight))
                u = torch.empty(hidden_size, **made)
                self.register_parameter(f"u_l{layer}{suffix}", nn.Parameter(u))
                b = nn.Parameter(torch.empty(hidden_size, **made)) if bias else None
                self.register_parameter(f"bias_l{layer}{suffix}", b)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all values anew."""
        limit = 1 / math.sqrt(self.hidden_size)
        for name, parameter in self.named_parameters():
            if name.startswith("u_"):
                parameter.uniform_(0, 1 if self.bound is None else self.bound)
            else:
                parameter.uniform_(-limit, limit)

    @torch.no_grad()
    def clamp_(self) -> IndRNN:
        """Project every u into [-bound, bound]; without a bound, change nothing."""
        if self.bound is not None:
            for name, parameter in self.named_parameters():
                if name.startswith("u_"):
                    parameter.clamp_(-self.bound, self.bound)
        return self

    def flatten_parameters(self) -> None:
        """Nothing to do; torch.nn.RNN has it, so ordinary code calls it."""

    def forward(
        self,
        x: Tensor | PackedSequence,
        h0: Tensor | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """x (T, B, M), or (B, T, M) with batch_first, or (T, M) for one sequence, or a PackedSequence.

        -> (out, h_n): out (T, B, directions N), laid out like x; h_n (layers directions, B, N), each sequence's state
        at its own end. h0 is shaped like h_n, zeros if None. With `lengths` (B,) the steps past a sequence's end are
        padding: they change nothing, and out is 0 there.
        """
        if isinstance(x, PackedSequence):
            return self._packed(x, h0, lengths)
        unbatched = isinstance(x, Tensor) and x.ndim == 2
        out, h0 = self._checked(x, h0, unbatched)  # each layer reads what the one before wrote
        T, B, _ = out.shape
        ends = None if lengths is None else checked(lengths, T, B, x.device)
        if ends is not None:
            out = _emptied(out, ends)
        finals: list[Tensor] = []
        for layer in range(self.num_layers):
            if layer:
                out = self._drop(out)
            out = self._layer(out, h0, layer, ends, finals)
        h_n = torch.stack(finals)
        if unbatched:
            return out.squeeze(1), h_n.squeeze(1)
        return (out.transpose(0, 1) if self.batch_first else out), h_n

    def _layer(self, x: Tensor, h0: Tensor | None, layer: int, ends: Tensor | None, finals: list[Tensor]) -> Tensor:
        """One layer in all its directions: x (T, B, M) -> (T, B, directions N); appends each final state (B, N)."""
        outs = []
        for suffix in ("", "_reverse")[: 2 if self.bidirectional else 1]:
            forward_in_time = suffix == ""
            h = recurrence.layer(
                x if forward_in_time else _reversed(x, ends),
                getattr(self, f"weight_ih_l{layer}{suffix}"),
                getattr(self, f"bias_l{layer}{suffix}"),
                getattr(self, f"u_l{layer}{suffix}"),
                None if h0 is None else h0[len(finals)],
                activation=self.activation,
                backend=self.backend,
            )
            if ends is None:
                finals.append(h[-1])
            else:
                finals.append(h.gather(0, (ends - 1).view(1, -1, 1).expand(1, -1, h.shape[2]))[0])
                h = _emptied(h, ends)
            outs.append(h if forward_in_time else _reversed(h, ends))
        return outs[0] if len(outs) == 1 else torch.cat(outs, -1)

    def _packed(self, x: PackedSequence, h0: Tensor | None, lengths: object) -> tuple[PackedSequence, Tensor]:
        if lengths is not None:
            raise ParameterError("lengths: a PackedSequence carries its own; give one or the other")
        padded, ends = pad_packed_sequence(x, batch_first=self.batch_first)
        out, h_n = self.forward(padded, h0, ends)
        in_order = x.sorted_indices is None
        packed = pack_padded_sequence(out, ends, batch_first=self.batch_first, enforce_sorted=in_order)  # type: ignore[arg-type]
        return packed, h_n

    def _checked(self, x: Tensor, h0: Tensor | None, unbatched: bool) -> tuple[Tensor, Tensor | None]:
        """The input as (T, B, M) and the state as (layers directions, B, N), or a ParameterError."""
        if not isinstance(x, Tensor) or x.ndim not in (2, 3):
            got = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise ParameterError(f"x: {got} received; (T, B, {self.input_size}) or (T, {self.input_size}) is needed")
        if h0 is not None and not isinstance(h0, Tensor):
            raise ParameterError(f"h0: {type(h0).__name__} received; a tensor, or None, is needed")
        weight: Tensor = getattr(self, "weight_ih_l0")  # noqa: B009 (functional_call puts a plain tensor there)
        if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
            raise ParameterError(f"x: dtype {x.dtype} received; the layer holds {weight.dtype}, convert one of them")
        if x.device != weight.device:
            raise ParameterError(f"x: on {x.device}; the layer is on {weight.device}, move one of them")
        if x.shape[-1] != self.input_size:
            raise ParameterError(f"x: {x.shape[-1]} features received; input_size is {self.input_size}")
        if unbatched:
            x, h0 = x.unsqueeze(1), None if h0 is None else h0.unsqueeze(1)
        elif self.batch_first:
            x = x.transpose(0, 1)
        if x.shape[0] == 0 or x.shape[1] == 0:
            raise ParameterError(f"x: {x.shape[0]} steps of {x.shape[1]} sequences; at least 1 of each is needed")
        state = (self.num_layers * (2 if self.bidirectional else 1), x.shape[1], self.hidden_size)
        if h0 is not None and tuple(h0.shape) != state:
            raise ParameterError(f"h0: shape {tuple(h0.shape)} received; {state} is needed")
        return x, h0

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, bound={self.bound}"


def _emptied(x: Tensor, ends: Tensor) -> Tensor:
    """x (T, B, N) with 0 for whatever stands in the padding, a not-a-number too."""
    steps = torch.arange(x.shape[0], device=x.device)[:, None]
    return x.masked_fill((steps >= ends).unsqueeze(-1), 0)


def _reversed(x: Tensor, ends: Tensor | None) -> Tensor:
    """x (T, B, N) with each sequence turned round within its own length; the padding stays where it is."""
    if ends is None:
        return x.flip(0)
    steps = torch.arange(x.shape[0], device=x.device)[:, None]
    source = torch.where(steps < ends, ends - 1 - steps, steps)  # (T, B)
    return x.gather(0, source.unsqueeze(-1).expand(x.shape))
