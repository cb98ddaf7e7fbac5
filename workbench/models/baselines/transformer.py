"""A small causal Transformer, the rival of equal parameters: every step attends to itself and to all before it.

Pre-norm blocks (Xiong et al. 2020) of attention and a GELU layer of four times the width, positions as sines
(Vaswani et al. 2017), so that no length is built in. Dropout is the house's: one mask a sequence for all its steps.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from ...config import Model
from ...tasks.contract import Spec
from ..layer import Linear, SharedDropout
from ..net import Parts
from ..sequence import Streaming


class Transformer(Streaming):
    """`depth` blocks and a readout at each sequence's own end: x (T, B, inputs), lengths (B,) or None -> (B, outputs).

    The padding behind an end changes nothing, since no step looks ahead. For tokens there is no readout.
    """

    whole = "a Transformer looks back on a whole sequence"

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        self.width, self.each_step = model.hidden, spec.each_step
        self.enter = Linear(spec.inputs, model.hidden, init="glorot", generator=generator)
        self.blocks = nn.ModuleList(Block(model, generator) for _ in range(model.depth))
        self.norm = nn.LayerNorm(model.hidden)
        self.dropout = SharedDropout(model.dropout)
        self.dropout_last = SharedDropout(model.dropout if model.dropout_last is None else model.dropout_last)
        self.readout = Parts(model, spec, generator).readout(model.hidden)

    def features(self, x: Tensor, state: list[Tensor] | None = None, start: int = 0) -> tuple[Tensor, list[Tensor]]:
        """x (T, B, inputs) -> h (T, B, hidden), and an empty state: what a step may look back on is the sequence at
        hand, of a text the present chunk."""
        h = self.enter(x)
        h = self.dropout(h + positions(len(h), h.shape[-1]).to(h).unsqueeze(1))
        for block in self.blocks:
            h = block(h)
        return self.dropout_last(self.norm(h)), []


class Block(nn.Module):
    """x (T, B, N) -> x + attention(norm(x)), then y + FC(gelu(FC(norm(y))))."""

    def __init__(self, model: Model, generator: Generator | None = None):
        super().__init__()
        N, self.heads = model.hidden, model.heads
        self.before, self.between = nn.LayerNorm(N), nn.LayerNorm(N)
        made = partial(Linear, init="glorot", generator=generator)
        self.ask, self.mix, self.widen, self.narrow = made(N, 3 * N), made(N, N), made(N, 4 * N), made(4 * N, N)
        self.dropout = SharedDropout(model.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.mix(self.attend(self.ask(self.before(x)))))
        out: Tensor = x + self.dropout(self.narrow(gelu(self.widen(self.between(x)))))
        return out

    def attend(self, asked: Tensor) -> Tensor:
        """Queries, keys and values side by side, (T, B, 3 N) -> what each step takes from those up to it, (T, B, N)."""
        q, k, v = asked.unflatten(2, (3, self.heads, -1)).permute(2, 1, 3, 0, 4)  # each (B, heads, T, N / heads)
        return scaled_dot_product_attention(q, k, v, is_causal=True).permute(2, 0, 1, 3).flatten(2)


def positions(steps: int, features: int) -> Tensor:
    """sin and cos of t / 10000^(2 i / features), in turns, for every step t -> (steps, features)."""
    rates = torch.exp(torch.arange(0, features, 2) * (-math.log(10_000) / features))
    angles = torch.arange(steps).unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :features]
