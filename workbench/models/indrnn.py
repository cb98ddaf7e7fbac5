"""`IndRNN`: the layer for code of your own, used like torch.nn.RNN."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from .. import recurrence
from ..errors import InputError, ParameterError, quoted
from ..recurrence.activation import ACTIVATIONS
from . import settings
from .sequence import checked, emptied, turned


class IndRNN(settings.Settings):
    """A stack of IndRNN layers that is made, called and kept like torch.nn.RNN.

        h_t = f(W x_t + b + u * h_{t-1})        Li et al. 2018, eq. (2): u is one number per neuron

    The first eight arguments are torch.nn.RNN's, in its order. `nonlinearity` and `activation` are one setting, "relu"
    if neither is given, else one of tanh, identity, leaky_relu too. `bound`: |u| starts in [0, bound) and `clamp_()`
    brings it back after a step (`wb.bound(T)` gives the paper's); None starts u in [0, 1) and leaves it free.
    `dropout` in [0, 1] acts between the layers in training, one mask for all time steps. `proj_size` is refused unless
    0, as torch.nn.RNN refuses it. `backend`: `auto` or an engine of `wb.available()`.

    Parameters of layer k: `weight_ih_lk` (N, inputs), `u_lk` (N,), `bias_lk` (N,), None without bias; `_reverse`
    behind the name for the other direction. All but u start uniformly in +-1/sqrt(N), as in torch. None has a unit.

    `batch_first`, `dropout`, `activation`, `bound` and `backend` may be set later and are obeyed; the sizes, `bias` and
    `bidirectional` may not. `mode` is the activation's name behind "INDRNN_": whoever asks for torch's "RNN_RELU" wants
    its weights. Raises KindError (a TypeError) for a value of a wrong kind, FixedError (an AttributeError) where a
    fixed setting is to change, ParameterError (a ValueError) for any other wrong value.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str | None = None,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        activation: str | None = None,
        bound: float | None = None,
        backend: str = "auto",
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        self.input_size = settings.size("input_size", input_size)
        self.hidden_size = settings.size("hidden_size", hidden_size)
        self.num_layers = settings.size("num_layers", num_layers)
        self.bias, self.bidirectional = settings.flag("bias", bias), settings.flag("bidirectional", bidirectional)
        self.batch_first, self.dropout, self.bound, self.backend = batch_first, dropout, bound, backend
        if nonlinearity is not None:
            self.activation = settings.activation("nonlinearity", nonlinearity)
            if activation not in (None, nonlinearity):
                raise ParameterError(f"activation: {quoted(activation)} received; nonlinearity says {nonlinearity!r}")
        else:
            self.activation = "relu" if activation is None else activation
        if type(proj_size) is not int or proj_size != 0:
            raise ParameterError(f"proj_size: {quoted(proj_size)} received; only LSTMs project, 0 is needed")
        if self.dropout > 0 and num_layers == 1:
            warnings.warn(f"dropout: {dropout} acts between layers, and num_layers is 1: nothing drops", stacklevel=2)
        made, N = settings.place(device, dtype), hidden_size
        for layer in range(num_layers):
            M = input_size if layer == 0 else N * len(self._directions)
            for suffix in self._directions:
                weight, u = torch.empty(N, M, **made), torch.empty(N, **made)
                self.register_parameter(f"weight_ih_l{layer}{suffix}", nn.Parameter(weight))
                self.register_parameter(f"u_l{layer}{suffix}", nn.Parameter(u))
                b = nn.Parameter(torch.empty(N, **made)) if bias else None
                self.register_parameter(f"bias_l{layer}{suffix}", b)
        self.reset_parameters()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._modules.pop("_drop", None)  # layers kept before dropout was a setting held it as a module

    @property
    def _directions(self) -> tuple[str, ...]:
        """Suffixes of the names of parameters, one a direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """For each layer and direction [weight_ih (N, inputs), u (N,), bias (N,)], or without the bias."""
        kinds = ("weight_ih", "u", "bias") if self.bias else ("weight_ih", "u")
        layers = ((layer, suffix) for layer in range(self.num_layers) for suffix in self._directions)
        return [[getattr(self, f"{kind}_l{layer}{suffix}") for kind in kinds] for layer, suffix in layers]

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all values anew."""
        limit = 1 / math.sqrt(self.hidden_size)
        for name, parameter in self.named_parameters():
            if any(part.startswith("u_l") for part in name.split(".")):  # u_l0, or parametrizations.u_l0.original
                parameter.uniform_(0, 1 if self.bound is None else self.bound)
            else:
                parameter.uniform_(-limit, limit)

    def clamp_(self) -> IndRNN:
        """Project every u into [-bound, bound]; without a bound, change nothing.

        Of a pruned u the values behind the mask are projected. Raises ParameterError where a u beyond the bound is
        computed from other parameters (torch.nn.utils.parametrize): only they can change it.
        """
        for name in (f"u_l{layer}{suffix}" for layer in range(self.num_layers) for suffix in self._directions):
            settings.clamp_(self, name, self.bound)
        return self

    def flatten_parameters(self) -> None:
        """Nothing to do; torch.nn.RNN has it, so ordinary code calls it."""

    def forward(
        self,
        input: Tensor | PackedSequence | None = None,
        hx: Tensor | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        **named: Tensor | PackedSequence | None,
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """Run the layers over whole sequences.

        `input`, or `x`: (T, B, M), or (B, T, M) with batch_first, or (T, M) for one sequence, or a PackedSequence; B
        may be 0. `hx`, or `h0`: the state before, (layers directions, B, N), (layers directions, N) for one sequence,
        zeros if None. -> (out, h_n): out (T, B, directions N), laid out like x; h_n shaped like h0, each sequence's
        state at its own end. With `lengths` (B,), in steps, what is past a sequence's end is padding: it changes
        nothing, and out is 0 there. Raises InputError (a RuntimeError and ValueError) for a shape, dtype or device
        that does not fit, KindError (a TypeError) for what is no tensor.
        """
        plain = type(named) is not dict or not named  # torch.fx, at the layer itself, puts something of its own there
        x, h0 = (input, hx) if plain else settings.by_name(input, hx, named)
        if isinstance(x, Proxy):
            return self._noted(x, h0, lengths)
        if isinstance(x, PackedSequence):
            return self._packed(x, h0, lengths)
        unbatched = isinstance(x, Tensor) and x.ndim == 2
        x = self._laid_out(x, h0, unbatched, self.batch_first)
        ends = None if lengths is None else checked(lengths, x.shape[0], x.shape[1], x.device)
        out, h_n = self._run(x, h0.unsqueeze(1) if unbatched and h0 is not None else h0, ends)
        if unbatched:
            return out.squeeze(1), h_n.squeeze(1)
        return (out.transpose(0, 1) if self.batch_first else out), h_n

    def _noted(self, x: Proxy, h0: object, lengths: object) -> tuple[Tensor, Tensor]:
        """A call of the layer as a whole, as torch.fx notes it for torch.nn's own."""
        tracer: Any = x.tracer
        if tracer.root is self:
            raise ParameterError("x: torch.fx cannot trace a recurrent layer; trace the net that holds it")
        call: tuple[Tensor, Tensor] = tracer.create_proxy(
            "call_module", tracer.path_of_module(self), (x, h0, lengths), {}
        )
        return call

    def __prepare_scriptable__(self) -> nn.Module:
        """The module that torch.jit.script reads in place of this layer: it cannot read names made from numbers."""
        from .scripted import scripted

        return scripted(self, IndRNN.forward)

    def step(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run the layers over one time step, for sequences that arrive as they are read.

            out, state = rnn.step(x)            # then, for each step that follows
            out, state = rnn.step(x, state)     # the state is carried

        x (B, M), or (M,) for one sequence; state (layers, B, N), or (layers, N), zeros if None -> out (B, N), the last
        layer's state and a view of the new state, which forward takes as h0 too. Without dropout steps answer as
        forward over the whole. In training with dropout each step draws a mask of its own, as each call of forward
        does: call eval() first. Raises ParameterError if the layer is bidirectional, and what forward raises.
        """
        if not self._may_step(x, state):
            return self._careful_step(x, state)
        held, value_ = self._parameters, ACTIVATIONS[self.activation].value_
        states: list[Tensor] = []
        for weight, bias, u in _names(self.num_layers):
            before = state if self.num_layers == 1 else state[len(states)]  # type: ignore[index]
            if states and self.training and self.dropout:
                x = nn.functional.dropout(x, self.dropout)
            a = nn.functional.linear(x, held[weight], held[bias])  # type: ignore[arg-type]
            x = value_(torch.addcmul(a, held[u], before))  # type: ignore[arg-type]
            states.append(x)
        new = x if self.num_layers == 1 else torch.stack(states)
        return new[-1], new

    def _may_step(self, x: Tensor, state: Tensor | None) -> bool:
        """Does all fit so plainly that nothing but the equation is left? What this costs, every step costs."""
        weight = self._parameters.get("weight_ih_l0")
        return (
            isinstance(x, Tensor)
            and isinstance(state, Tensor)
            and weight is not None
            and x.dtype is state.dtype is weight.dtype
            and x.dtype in (torch.float32, torch.float64)
            and x.device == state.device == weight.device
            and 0 < x.ndim < 3
            and x.shape[-1] == self.input_size
            and state.shape == (self.num_layers, *x.shape[:-1], self.hidden_size)
            and not (self.bidirectional or self._modules or self._forward_pre_hooks or self._forward_hooks)
            and not torch._C._is_any_autocast_enabled()
        )

    def _careful_step(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """A step as a sequence of one; whatever does not fit is an error."""
        if self.bidirectional:
            raise ParameterError("step: a bidirectional layer reads a sequence from its end too; call it on the whole")
        if not isinstance(x, Tensor) or x.ndim not in (1, 2):
            raise settings.wrong("x", x, f"(B, {self.input_size}) or ({self.input_size},)")
        time = 1 if self.batch_first and x.ndim == 2 else 0
        out, new = self(x.unsqueeze(time), state)
        return out.squeeze(time), new

    def _run(self, x: Tensor, h0: Tensor | None, ends: Tensor | None) -> tuple[Tensor, Tensor]:
        """x (T, B, M), h0 (layers directions, B, N), ends (B,) -> out (T, B, directions N) and h_n, like h0."""
        out = x if ends is None else emptied(x, ends)
        finals: list[Tensor] = []
        for layer in range(self.num_layers):
            if layer and self.training and self.dropout:
                mask = nn.functional.dropout(out.new_ones(out.shape[1:]), self.dropout)
                out = recurrence.normalize(out, None, mask)
            out = self._layer(out, h0, layer, ends, finals)
        return out, torch.stack(finals)

    def _layer(self, x: Tensor, h0: Tensor | None, layer: int, ends: Tensor | None, finals: list[Tensor]) -> Tensor:
        """One layer in all its directions: x (T, B, M) -> (T, B, directions N); appends each final state (B, N)."""
        outs = []
        for suffix in self._directions:
            h = recurrence.layer(
                turned(x, ends) if suffix else x,
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
                h = emptied(h, ends)
            outs.append(turned(h, ends) if suffix else h)
        return outs[0] if len(outs) == 1 else torch.cat(outs, -1)

    def _packed(self, packed: PackedSequence, h0: Tensor | None, lengths: object) -> tuple[PackedSequence, Tensor]:
        """The same over a PackedSequence; the one that comes back has the order of the one that went in."""
        if lengths is not None:
            raise ParameterError("lengths: a PackedSequence carries its own; give one or the other")
        data, sizes, order, back = packed
        if data.ndim != 2:
            raise InputError(f"x: packed shape {tuple(data.shape)} received; (steps of all, {self.input_size}) needed")
        x, ends = pad_packed_sequence(PackedSequence(data, sizes))  # in the order of the lengths
        x = self._laid_out(x, h0, False, False)
        h0 = h0 if h0 is None or order is None else h0.index_select(1, order)
        out, h_n = self._run(x, h0, ends.to(x.device))
        real = torch.arange(len(ends))[None] < sizes[:, None]  # (T, B)
        answer = PackedSequence(out[real.to(x.device)], sizes, order, back)
        return answer, h_n if back is None else h_n.index_select(1, back)

    def _laid_out(self, x: object, h0: object, unbatched: bool, batch_first: bool) -> Tensor:
        """The input as (T, B, M), once it and the state are found to fit."""
        if not isinstance(x, Tensor) or x.ndim not in (2, 3):
            raise settings.wrong("x", x, f"(T, B, {self.input_size}) or (T, {self.input_size})")
        weight: Tensor = getattr(self, "weight_ih_l0")  # noqa: B009
        settings.fits(x, weight)
        x_t = x.unsqueeze(1) if unbatched else x.transpose(0, 1) if batch_first else x
        if x_t.shape[0] == 0:
            raise InputError("x: 0 steps received; at least 1 is needed")
        if h0 is not None:
            batch = () if unbatched else (x_t.shape[1],)
            settings.state_fits(h0, (self.num_layers * len(self._directions), *batch, self.hidden_size), weight)
        return x_t


@cache
def _names(layers: int) -> tuple[tuple[str, str, str], ...]:
    """The parameters of each layer that runs forward in time."""
    return tuple((f"weight_ih_l{k}", f"bias_l{k}", f"u_l{k}") for k in range(layers))
