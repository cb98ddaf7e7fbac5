"""Sequences of unequal length in batches of like length, so that little is padded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ..errors import ParameterError
from ..seeds import generator
from .contract import Batch, Split

JITTER = 0.2  # lengths are sorted after a random change of up to this share, so that batches differ from epoch to epoch
PADDED = 2**19  # steps, padding included, of a batch that is only scored: bounds its memory


class ByLength:
    """Base of such tasks: their batches, made by `read` of rows that the seed picks.

    `rows` has the rows (n,) of each split, `lengths` (N,) the steps of every row. In a batch that is scored nothing
    longer than `apart` lies beside something shorter.
    """

    apart: int | None = None

    def __init__(self, rows: Mapping[Split, Tensor], lengths: Tensor, seed: int, batch_size: int):
        self.rows, self.lengths, self.seed = rows, lengths, seed
        n = len(rows["train"])
        if batch_size > n:
            raise ParameterError(f"train.batch: {batch_size} is more than the {n} training examples")
        self.batches_per_epoch = -(-n // batch_size)
        self._drawn: tuple[tuple[str, int], list[Tensor]] = (("", 0), [])

    def read(self, rows: Tensor) -> Batch:
        """The sequences of these rows as a net reads them, padded with 0."""
        raise NotImplementedError

    def batch(self, step: int) -> Batch:
        """Each epoch shows every sequence once, in batches that differ by at most one in size."""
        return self.read(self.picked("epoch", step))

    def clean(self, index: int) -> Batch:
        return self.read(self.picked("clean", index))

    def examples(self, split: Split, size: int) -> Iterator[Batch]:
        """By length, fewer than `size` where they are long."""
        for rows in by_length(self.lengths, self.rows[split], size, self.apart):
            yield self.read(rows)

    def picked(self, stream: str, index: int) -> Tensor:
        """The rows of a batch of a stream: an epoch's are sorted by length, roughly; cut; shuffled."""
        epoch, place = divmod(index, self.batches_per_epoch)
        if self._drawn[0] != (stream, epoch):
            rng, rows = generator(self.seed, stream, epoch), self.rows["train"]
            near = self.lengths[rows] * (1 + JITTER * torch.rand(len(rows), generator=rng))
            batches = rows[near.argsort(stable=True)].tensor_split(self.batches_per_epoch)
            order = torch.randperm(len(batches), generator=rng).tolist()
            self._drawn = ((stream, epoch), [batches[i] for i in order])
        return self._drawn[1][place]


def by_length(lengths: Tensor, rows: Tensor, size: int, apart: int | None = None) -> Iterator[Tensor]:
    """Rows in batches of at most `size`, the shortest first, fewer where they are long or some longer than `apart`."""
    rows = rows[lengths[rows].argsort(stable=True)]
    steps, first = lengths[rows].tolist(), 0
    for end in range(1, len(rows) + 1):
        full = end - first == size or end == len(rows) or (end + 1 - first) * steps[end] > PADDED
        if full or (apart is not None and steps[end] > apart >= steps[first]):
            yield rows[first:end]
            first = end


def thinned(rows: Tensor, limit: int | None) -> Tensor:
    """At most `limit` of the rows, evenly spread."""
    n = len(rows)
    return rows if limit is None or limit >= n else rows[torch.arange(limit) * n // limit]
