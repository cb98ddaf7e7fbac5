"""Ripples: is it the slow or the fast wave? A data set as somebody would add one, in one file."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from ..config import Task
from ..errors import DataError, ParameterError
from ..seeds import generator
from . import download
from .contract import Batch, Spec, Split

STEPS, SIZES = 16, {"train": 40, "valid": 10, "test": 10}
download.SETS["ripples"] = download.DataSet(
    name="ripples",
    title="Ripples, 60 waves of 16 steps, slow or fast",
    url="https://data.invalid/ripples/",
    licence="CC0",
    cite="nobody",
    files={"ripples.csv.gz": "0" * 64},  # as it was once packed
    contents={"ripples.csv.gz": "@content@"},
    ask="make the file and put it",
)


class Ripples(Task):
    """A wave of 16 steps, slow or fast; `gain` makes it louder."""

    name: Literal["ripples"]
    gain: float = 1.0
    limit: int | None = None


def spec(config: Ripples) -> Spec:
    return Spec(inputs=1, outputs=2, steps=STEPS, target="class")


def hashes(config: Ripples) -> dict[str, str]:
    return download.hashes("ripples")


def task(config: Ripples, seed: int, batch_size: int) -> RipplesTask:
    return RipplesTask(config, seed, batch_size)


class RipplesTask:
    """x (16, B, 1); y (B,): 0 slow, 1 fast."""

    def __init__(self, config: Ripples, seed: int, batch_size: int):
        self.spec, self.seed, self.batch_size = spec(config), seed, batch_size
        x, self.y = read()
        self.x = config.gain * x
        bounds = dict(zip(SIZES, ((0, 40), (40, 50), (50, 60)), strict=True))
        self.rows = {split: torch.arange(*ends)[: config.limit] for split, ends in bounds.items()}
        if batch_size > len(self.rows["train"]):
            raise ParameterError(f"train.batch: {batch_size} is more than the {len(self.rows['train'])} examples")
        self.batches_per_epoch = len(self.rows["train"]) / batch_size

    def batch(self, step: int) -> Batch:
        return self._drawn("batch", step)

    def clean(self, index: int) -> Batch:
        return self._drawn("clean", index)

    def examples(self, split: Split, size: int) -> Iterator[Batch]:
        for rows in self.rows[split].split(size):
            yield self._read(rows)

    def drawn(self) -> dict[str, Any]:
        return {}

    def _drawn(self, stream: str, index: int) -> Batch:
        rows = self.rows["train"]
        rng = generator(self.seed, stream, index)
        return self._read(rows[torch.randint(len(rows), (self.batch_size,), generator=rng)])

    def _read(self, rows: Tensor) -> Batch:
        return Batch(self.x[rows].T.unsqueeze(-1).contiguous(), self.y[rows])


def read() -> tuple[Tensor, Tensor]:
    """The waves (60, 16) and their labels (60,)."""
    path = download.locate("ripples") / "ripples.csv.gz"
    with gzip.open(path, "rt", encoding="ascii") as file:
        lines = [[float(value) for value in line] for line in csv.reader(file)]
    if {len(line) for line in lines} != {1 + STEPS}:
        raise DataError(f"{path}: lines of {1 + STEPS} numbers are needed")
    values = torch.tensor(lines)
    return values[:, 1:], values[:, 0].long()
