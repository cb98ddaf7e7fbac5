"""A language net: embedding, a trunk of any kind, and a decoder at every step that may be the embedding again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import linear

from ..config import Model
from ..errors import ParameterError, quoted
from ..tasks.contract import Spec
from .layer import Linear, SharedDropout

TIED, UNTIED = 0.01, 0.04  # the embedding's first values are uniform in +-this (official codes of 2020 and 2018)


class Language(nn.Module):
    """tokens (T, B) int64, the state that the chunk before left, None for zero, tokens since then -> logits (T, B, V),
    the new state.

    `trunk` makes the layers between for an input of the embedding's width: a module whose `features(x, state, start)`
    gives (T, B, width) and a new state, a list of tensors. In training whole rows of the embedding are dropped, one
    mask a step, then features of the embedded text, one mask for all its time steps.
    """

    def __init__(
        self,
        model: Model,
        spec: Spec,
        generator: Generator | None,
        trunk: Callable[[Model, Spec, Generator | None], Any],
    ):
        super().__init__()
        if model.embedding is None:
            raise ParameterError("embedding: None received; a width is needed where the target is token")
        E, limit = model.embedding, TIED if model.tied else UNTIED
        self.embedding = nn.Embedding.from_pretrained(  # unlike the constructor, it draws nothing by itself
            torch.empty(spec.inputs, E).uniform_(-limit, limit, generator=generator),
            freeze=False,
            padding_idx=spec.inputs - 1 if model.freeze_last_token else None,
        )
        self.dropout_words, self.dropout_input = SharedDropout(model.dropout_words), SharedDropout(model.dropout_input)
        self.trunk: Any = trunk(model, replace(spec, inputs=E), generator)
        if not hasattr(self.trunk, "features"):
            raise ParameterError(f"model.kind: {model.kind!r} received; such a net gives a language net no features")
        self.fit: Linear | None = None  # a trunk without a head of the embedding's width
        if model.tied and self.trunk.width != E:
            self.fit = Linear(self.trunk.width, E, init="glorot", generator=generator)
        self.decoder: Tied | Linear = Tied(spec.outputs)
        if not model.tied:
            self.decoder = Linear(self.trunk.width, spec.outputs, init="narrow", generator=generator)

    def forward(self, tokens: Tensor, state: list[Tensor] | None = None, start: int = 0) -> tuple[Tensor, list[Tensor]]:
        if not isinstance(tokens, Tensor) or tokens.ndim != 2 or tokens.dtype != torch.int64:
            got = f"{tokens.dtype} of shape {tuple(tokens.shape)}" if isinstance(tokens, Tensor) else quoted(tokens)
            raise ParameterError(f"tokens: {got} received; int64 of shape (T, B) is needed")
        x = self.embedding(tokens)
        if self.training and self.dropout_words.p:
            rows = self.dropout_words(x.new_ones(1, len(self.embedding.weight), 1))[0]  # (V, 1), 0 or 1 / keep
            x = x * rows[tokens]
        h, left = self.trunk.features(self.dropout_input(x), state, start)
        if state is not None and len(state) != len(left):
            raise ParameterError(f"state: {len(state)} tensors received; this net carries {len(left)}")
        if self.fit is not None:
            h = self.fit(h)
        if isinstance(self.decoder, Tied):
            return self.decoder(h, self.embedding.weight), left
        return self.decoder(h), left


class Tied(nn.Module):
    """A decoder that is the embedding, with a bias of its own: h (T, B, E), weight (V, E) -> (T, B, V)."""

    def __init__(self, outputs: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, h: Tensor, weight: Tensor) -> Tensor:
        return linear(h, weight, self.bias)
