"""What every task gives to training: its shape, batches by step, whole splits, what chance decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from torch import Tensor

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Spec:
    """A task seen from a net: `inputs` features a step, `outputs` values, `steps` steps, and what the target is."""

    inputs: int
    outputs: int
    steps: int
    target: Literal["class", "real"]


class Batch(NamedTuple):
    """x (T, B, inputs) float32; y (B,), int64 for classes, float32 for reals."""

    x: Tensor
    y: Tensor


class Task(Protocol):
    """One task under one seed. Everything is a pure function of (config, seed, data)."""

    spec: Spec

    @property
    def batches_per_epoch(self) -> float | None:
        """How many batches show every training example once; None where the stream never repeats."""

    def batch(self, step: int) -> Batch:
        """The training batch of a step, counted from 0."""

    def clean(self, index: int) -> Batch:
        """A training batch for statistics only, drawn apart from the stream that is learnt from."""

    def examples(self, split: Split, size: int) -> Iterator[Batch]:
        """A split, each example once, in its own order, at most `size` at a time."""

    def chance(self) -> dict[str, Any]:
        """What the seed decided and a reader may want to see, as JSON: split, permutation."""
