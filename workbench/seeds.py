"""Randomness, always from an explicit generator that the run's seed and a purpose determine.

No state of chance is ever saved: the batch of step k, its dropout masks and the permutation of the pixels are pure
functions of (seed, purpose, index), so a resumed run meets exactly the numbers that an uninterrupted one meets.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from .errors import ParameterError, whole


def check_seed(seed: object) -> int:
    """The seed as a whole number in [0, 2^63), or a ParameterError (torch wraps or truncates others silently)."""
    return whole("seed", seed, 0, 2**63 - 1, "a seed")


def derive(seed: int, *purpose: str | int) -> int:
    """A seed of 63 bits for one purpose, such as derive(0, "train", 17): a hash, so that none overlap."""
    digest = hashlib.sha256(repr((check_seed(seed), *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh torch generator for one purpose."""
    return torch.Generator(device=device).manual_seed(derive(seed, *purpose))


class Stream:
    """Training examples without end: one random order of `rows` (n,) after another, without a seam, none left over."""

    def __init__(self, seed: int, rows: Tensor, batch_size: int):
        self.seed, self.rows, self.batch_size = seed, rows, batch_size
        if batch_size > len(rows):
            raise ParameterError(f"train.batch: {batch_size} is more than the {len(rows)} training examples")
        self._order: tuple[int, Tensor] | None = None

    def picked(self, step: int) -> Tensor:
        """The rows (B,) of a step, counted from 0."""
        first, n = step * self.batch_size, len(self.rows)
        picked = [
            self._epoch(epoch)[max(first - epoch * n, 0) : first + self.batch_size - epoch * n]
            for epoch in range(first // n, (first + self.batch_size - 1) // n + 1)
        ]
        return self.rows[torch.cat(picked)]

    def _epoch(self, epoch: int) -> Tensor:
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, torch.randperm(len(self.rows), generator=generator(self.seed, "epoch", epoch))
        return self._order[1]
