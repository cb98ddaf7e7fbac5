"""Contract of every task with training: its shape, batches by step, whole splits, what chance decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from torch import Tensor

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Spec:
    """A task seen from a net: `inputs` features a step, `outputs` values, `steps` steps, and what the target is.

    For `token`, inputs = outputs = the size of the vocabulary, and `steps` is the usual length of a chunk. With
    `each_step` a net answers at every step, not once a sequence.
    """

    inputs: int
    outputs: int
    steps: int
    target: Literal["class", "real", "token"]
    each_step: bool = False


@dataclass(frozen=True)
class Scaler:
    """The change from raw values to those that a net reads, feature by feature: x = scale * raw + shift.

    `raw` says in words what they are before: their kind and unit.
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    raw: str


class Batch(NamedTuple):
    """x (T, B, inputs) float32; y (B,), int64 for classes, float32 for reals.

    `lengths` (B,): the steps of each sequence where they differ; x is padded behind them. `samplings`: so many
    sequences in a row show one example, and their outputs are averaged; then y is (B / samplings,). `subset` names a
    part of the split that all of the batch belongs to and that is scored apart too. Where the spec says `each_step`, y
    is (T, B), in the padding -1 for classes and nan for reals.

    For `token`: x and y (T, B) int64, each y the token after its x, -1 where nothing is to be scored. `start`: tokens
    since the state was zero; at 0 the state is zero, else it is the one that the batch before left.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None
    samplings: int = 1
    start: int = 0
    subset: str = ""


class Resident(Protocol):
    """Training examples that lie on a device, where batches are made of their rows: the same as `Task.batch` makes."""

    def rows(self, step: int) -> Tensor:
        """Rows (B,) int64 of the training batch of a step, on the CPU."""

    def batch(self, rows: Tensor) -> Batch:
        """The batch of such rows; they and it are on the device, and nothing is read of them."""


class Task(Protocol):
    """One task under one seed. Everything is a pure function of (config, seed, data).

    It may have `scaler`, a `Scaler` that goes with its nets where they are taken away, `answer_scaler` likewise of
    answers that are numbers, and `classes`, the names of its outputs. With `resident(device)` it gives a `Resident`,
    with `laid(device)` itself with training batches that lie on the device and ask for all their answers.
    """

    spec: Spec

    @property
    def batches_per_epoch(self) -> float | None:
        """The number of batches that show every training example once; None where the stream never repeats."""

    def batch(self, step: int) -> Batch:
        """The training batch of a step, counted from 0."""

    def clean(self, index: int) -> Batch:
        """A training batch for statistics only, drawn apart from the stream that is learnt from."""

    def examples(self, split: Split, size: int) -> Iterator[Batch]:
        """A split, each example once, in its own order, at most `size` at a time."""

    def drawn(self) -> dict[str, Any]:
        """Decisions of the seed that a reader may want to see, as JSON: split, permutation."""
