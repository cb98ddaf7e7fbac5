"""Nets compared with IndRNN: LSTM, GRU, RNN-tanh and IRNN on torch's own recurrences, SRU, LRU, minGRU and S5; a
readout at the end.

Each counts one bias per gate, as the paper does: torch's second bias is frozen at 0. In LSTM and RNN it would only add
to the first. In the GRU the candidate's second bias is no such double, since the reset gate multiplies it; frozen, the
candidate is tanh(W x_t + b + r_t * (R h_{t-1})), one bias as in the first GRU (Cho et al. 2014), the reset gate where
torch has it.

First values after the official code of the adding problem: LSTM normal(0.1) with forget bias 1; RNN-tanh input
normal(0.001), recurrent uniform(-0.01, 0.01); IRNN input normal(0.001), recurrent identity (Le et al. 2015). That code
has no GRU; ours starts like the LSTM, with biases 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor, nn

from ...config import Model
from ...errors import ParameterError
from ...tasks.contract import Spec
from ..layer import SharedDropout
from ..net import Parts
from ..sequence import Streaming
from .lru import LRU
from .mingru import MinGRU
from .s5 import S5
from .sru import SRU

TORCH: dict[str, Callable[[int, int], nn.RNNBase]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn_tanh": partial(nn.RNN, nonlinearity="tanh"),
    "irnn": partial(nn.RNN, nonlinearity="relu"),
}
OWN: dict[str, Callable[[int, int, Generator | None], nn.Module]] = {"sru": SRU, "lru": LRU, "mingru": MinGRU, "s5": S5}


class Baseline(Streaming):
    """`depth` layers one above the other, dropout after each, and a readout at each sequence's own end.

    x (T, B, inputs), lengths (B,) or None -> (B, outputs), or (T, B, outputs) where
    each step is answered. For tokens there is no readout, `features` is what counts.
    """

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        self.width, self.each_step, self.inputs = model.hidden, spec.each_step, spec.inputs
        self.rnn = _layer(model.kind, spec.inputs, model.hidden, generator)
        above = [_layer(model.kind, model.hidden, model.hidden, generator) for _ in range(model.depth - 1)]
        self.above = nn.ModuleList(above)
        self.dropout = SharedDropout(model.dropout)
        self.dropout_last = SharedDropout(model.dropout if model.dropout_last is None else model.dropout_last)
        self.readout = Parts(model, spec, generator).readout(model.hidden)

    def features(self, x: Tensor, state: list[Tensor] | None = None, start: int = 0) -> tuple[Tensor, list[Tensor]]:
        """x (T, B, inputs) and a state, zeros if None -> h (T, B, hidden) and the state after the last step: a list of
        each layer's h (1, B, hidden), of an LSTM h and c, of an SRU c, of an LRU (1, B, 2 hidden), its h is complex."""
        layers = [self.rnn, *self.above]
        each = 2 if isinstance(self.rnn, nn.LSTM) else 1
        if state is not None and len(state) != each * len(layers):
            raise ParameterError(f"state: {len(state)} tensors received; this net carries {each * len(layers)}")
        after: list[Tensor] = []
        for index, layer in enumerate(layers):
            before = None if state is None else state[index * each : (index + 1) * each]
            x, last = layer(self.dropout(x) if index else x, before and (tuple(before) if each == 2 else before[0]))
            after += last if isinstance(last, tuple) else [last]
        return self.dropout_last(x), after


def _layer(kind: str, inputs: int, hidden: int, generator: Generator | None) -> nn.Module:
    if kind in OWN:
        return OWN[kind](inputs, hidden, generator)
    with torch.random.fork_rng(devices=[]):  # torch fills the weights from the global generator; we draw again
        layer = TORCH[kind](inputs, hidden)
    for name, parameter in layer.named_parameters():
        _start(kind, name, parameter, generator)
    return layer


@torch.no_grad()
def _start(kind: str, name: str, parameter: nn.Parameter, generator: Generator | None) -> None:
    """Give one tensor of torch's recurrence its first values, by its documented name."""
    if name.startswith("bias"):
        parameter.zero_()
        if name.startswith("bias_hh"):
            parameter.requires_grad_(False)
        elif kind == "lstm":
            parameter[parameter.shape[0] // 4 : parameter.shape[0] // 2] = 1  # gates lie in order i, f, g, o
    elif kind in ("lstm", "gru"):
        parameter.normal_(0, 0.1, generator=generator)
    elif name.startswith("weight_ih"):
        parameter.normal_(0, 0.001, generator=generator)
    elif kind == "irnn":
        nn.init.eye_(parameter)
    else:
        parameter.uniform_(-0.01, 0.01, generator=generator)
