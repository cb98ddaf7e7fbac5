"""What IndRNN is compared with: LSTM, RNN-tanh, IRNN, on torch's own recurrences and read out at the last step.

Each counts one bias per gate, as the paper does: torch's second bias is frozen at 0. Initial values after the
official code of the adding problem: LSTM normal(0.1) with forget bias 1; RNN-tanh input normal(0.001), recurrent
uniform(-0.01, 0.01); IRNN input normal(0.001), recurrent identity (Le et al. 2015).
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from ..config import Model
from ..tasks.contract import Spec
from .layer import Linear


class Baseline(nn.Module):
    """x (T, B, M) -> (B, outputs): a torch.nn recurrence of `depth` layers, dropout between them, a readout."""

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        size = {"num_layers": model.depth, "dropout": model.dropout if model.depth > 1 else 0.0}
        with torch.random.fork_rng(devices=[]):  # torch fills the weights from the global generator; we draw again
            if model.kind == "lstm":
                self.rnn: nn.RNNBase = nn.LSTM(spec.inputs, model.hidden, **size)
            else:
                nonlinearity = "relu" if model.kind == "irnn" else "tanh"
                self.rnn = nn.RNN(spec.inputs, model.hidden, nonlinearity=nonlinearity, **size)
        for name, parameter in self.rnn.named_parameters():
            _start(model.kind, name, parameter, generator)
        self.readout = Linear(model.hidden, spec.outputs, init=model.readout_init, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rnn(x)
        out: Tensor = self.readout(states[-1])
        return out


@torch.no_grad()
def _start(kind: str, name: str, parameter: nn.Parameter, generator: Generator | None) -> None:
    """Give one tensor of torch's recurrence its first values, by its documented name."""
    if name.startswith("bias"):
        parameter.zero_()
        if name.startswith("bias_hh"):
            parameter.requires_grad_(False)
        elif kind == "lstm":
            parameter[parameter.shape[0] // 4 : parameter.shape[0] // 2] = 1  # gates lie in order i, f, g, o
    elif kind == "lstm":
        parameter.normal_(0, 0.1, generator=generator)
    elif name.startswith("weight_ih"):
        parameter.normal_(0, 0.001, generator=generator)
    elif kind == "irnn":
        nn.init.eye_(parameter)
    else:
        parameter.uniform_(-0.01, 0.01, generator=generator)
