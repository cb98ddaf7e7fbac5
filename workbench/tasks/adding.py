"""The adding problem: remember two marked numbers of a long sequence and give their sum (Hochreiter 1997).

As the official code draws it: one mark in each half of the sequence. Fresh data for every training batch; validation
and test are two further streams of the seed. Always answering 1 costs 1/6, the baseline of 0.167.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ..config import Adding
from ..seeds import generator
from .contract import Batch, Scaler, Spec, Split

SIZES: dict[Split, int] = {"train": 1000, "valid": 1000, "test": 2000}


def spec(config: Adding) -> Spec:
    """The task seen from a net."""
    return Spec(inputs=2, outputs=1, steps=config.length, target="real")


class AddingTask:
    """x (T, B, 2): uniform numbers in [0, 1), and marks; y (B,): the sum of the two marked numbers."""

    batches_per_epoch = None
    scaler = Scaler((1.0, 1.0), (0.0, 0.0), "a number in [0, 1), and a mark, 1 at the two steps to add and else 0")

    def __init__(self, config: Adding, seed: int, batch_size: int):
        self.spec = spec(config)
        self.seed, self.batch_size = seed, batch_size

    def batch(self, step: int) -> Batch:
        return self._draw("train", step, self.batch_size)

    def clean(self, index: int) -> Batch:
        return self._draw("clean", index, self.batch_size)

    def examples(self, split: Split, size: int) -> Iterator[Batch]:
        for index, start in enumerate(range(0, SIZES[split], size)):
            yield self._draw(split, index, min(size, SIZES[split] - start))

    def drawn(self) -> dict[str, Any]:
        return {}

    def _draw(self, stream: str, index: int, count: int) -> Batch:
        T, rng = self.spec.steps, generator(self.seed, "adding", stream, index)
        half, rows = T // 2, torch.arange(count)
        marked = (torch.randint(0, half, (count,), generator=rng), torch.randint(half, T, (count,), generator=rng))
        x = torch.zeros(T, count, 2)
        x[..., 0].uniform_(0, 1, generator=rng)
        y = torch.zeros(count)
        for at in marked:
            x[at, rows, 1] = 1
            y += x[at, rows, 0]
        return Batch(x, y)


def hashes(config: Adding) -> dict[str, str]:
    """It reads no data."""
    return {}


task = AddingTask
