"""Sequences as they were found, before anything is split, filled or scaled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError, choices, quoted, understood
from .settings import Sequences

Array = NDArray[Any]
MISSING = ("", "nan", "NaT", "<NA>")  # texts that numpy and pandas make of a value that is not there


@dataclass(frozen=True)
class Content:
    """n sequences: `read(row)` -> (its steps, channels), missing values as nan; `lengths` (n,) int64, their steps.

    `answers`: (n,), or (sum of lengths,) where there is one a step: texts for classes, float64 for numbers. `groups`
    and `splits`: (n,) texts, None where none are given. `place` names the source in errors. `layout`: what a test of
    its own must share, the columns of a table in their order, the rate of recordings.
    """

    place: str
    read: Callable[[int], Array]
    lengths: Array
    channels: int
    answers: Array
    groups: Array | None = None
    splits: Array | None = None
    layout: tuple[str, ...] = ()
    starts: Array = field(init=False)  # (n,) the first step of each, were they all in a row

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", self.lengths.cumsum() - self.lengths)
        if len(self.lengths) == 0:
            raise DataError(f"{self.place}: no sequences found")
        if (short := np.flatnonzero(self.lengths < 1)).size:
            raise DataError(f"{self.place}: sequence {short[0]}: no steps found, at least 1 expected")
        expected = (len(self.lengths), int(self.lengths.sum()))
        if len(self.answers) not in expected:
            raise DataError(
                f"{self.place}: {len(self.answers)} answers found, {' or '.join(map(str, expected))} expected"
            )

    def cut(self, longest: int) -> Content:
        """The first `longest` steps of each sequence."""
        lengths, answers = self.lengths.clip(max=longest), self.answers
        if len(answers) != len(self.lengths):
            every = np.arange(len(answers)) - np.repeat(self.starts, self.lengths)
            answers = answers[every < longest]
        read: Callable[[int], Array] = lambda row: self.read(row)[:longest]  # noqa: E731
        return Content(self.place, read, lengths, self.channels, answers, self.groups, self.splits)

    def joined(self, test: Content) -> Content:
        """These sequences as training, the other ones behind them as the test."""
        if self.channels != test.channels:
            raise DataError(
                f"{test.place}: {test.channels} channels found, {self.channels} expected as in {self.place}"
            )
        for ours, theirs in zip(self.layout, test.layout, strict=False):
            if ours != theirs:
                raise DataError(f"{test.place}: {theirs} found, {ours} expected as in {self.place}")
        if (self.groups is None) != (test.groups is None):
            raise DataError(f"{test.place}: groups are needed in both files or in none")
        n = len(self.lengths)
        return Content(
            f"{self.place} and {test.place}",
            lambda row: self.read(row) if row < n else test.read(row - n),
            np.concatenate([self.lengths, test.lengths]),
            self.channels,
            np.concatenate([self.answers, test.answers]),
            None if self.groups is None else np.concatenate([self.groups, test.groups]),
            np.array(["train"] * n + ["test"] * len(test.lengths), dtype=object),
        )


def in_a_row(values: Array, lengths: Array) -> tuple[Callable[[int], Array], Array]:
    """`read` and `lengths` of values (sum of lengths, channels) that lie one sequence behind the other."""
    ends = lengths.cumsum()
    return (lambda row: values[ends[row] - lengths[row] : ends[row]]), lengths


def as_float32(values: Array) -> Array:
    """Numbers as float32; what is too large for it becomes infinite, which is refused where values are checked."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def real_steps(values: Array) -> Array:
    """Steps of each row of values (n, T) or (n, T, channels): those behind its last value are padding, nan."""
    n, T = values.shape[:2]
    lengths = np.full(n, T, dtype=np.int64)
    if values.dtype.kind != "f" or values.size == 0:
        return lengths
    for row in np.flatnonzero(np.isnan(values[:, -1]).reshape(n, -1).all(1)):
        real = np.flatnonzero(~np.isnan(values[row]).reshape(T, -1).all(1))
        lengths[row] = real[-1] + 1 if real.size else 0
    return lengths


def labels(values: Any, place: str) -> Array:
    """Class labels, groups or splits as texts: 3, 3.0 and "3" are one. DataError where one is missing or infinite."""
    array = np.asarray(values)
    if array.dtype.kind == "S":
        with understood(f"{place}: text in another encoding than UTF-8"):
            array = np.char.decode(array, "utf-8")
    found = array.tolist()
    texts = np.array([_text(value) for value in found], dtype=object)
    if array.dtype.kind in "iub":
        return texts
    for row, (value, text) in enumerate(zip(found, texts, strict=True)):
        if value is None or text in MISSING or value != value or value in (np.inf, -np.inf):
            raise DataError(f"{place}: row {row}: {quoted(value)} found, a value expected")
    return texts


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating) and abs(float(value)) < 2**53 and value == int(value):
        return str(int(value))
    return str(value)


def numbers(values: Any, place: str, hint: str = "") -> Array:
    """Values that are numbers, as float64. DataError for the first that is none."""
    array = np.asarray(values)
    if array.dtype.kind in "mM":  # whose own numbers have no unit
        array = array.astype(str)
    plain = array.dtype.kind in "fiub"
    found = array.astype(np.float64) if plain else np.array([_number(value) for value in array.tolist()])
    if (bad := np.flatnonzero(~np.isfinite(found))).size:
        raise DataError(
            f"{place}: row {bad[0]}: {quoted(array.tolist()[bad[0]])} found, a finite number expected{hint}"
        )
    return found


def answers(values: Any, config: Sequences, place: str) -> Array:
    """Answers as the config has them: texts for classes, float64 for numbers."""
    return labels(values, place) if config.answer == "class" else numbers(values, place)


def _number(value: Any) -> float:
    try:
        return float("nan" if "_" in str(value) else value)  # Python takes 1_0 for 10
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def refuse(config: Sequences, kind: str, *fields: str) -> None:
    """ParameterError for a field that has no meaning for a kind of source."""
    for name in fields:
        if getattr(config, name) is not None:
            raise ParameterError(
                f"task.{name}: {quoted(getattr(config, name))} received; {kind} has none; leave it out"
            )


def one_of(name: str, wanted: str, known: Sequence[str], place: str) -> str:
    """A name that a source has, or a ParameterError that lists those it has."""
    if wanted not in known:
        raise ParameterError(f"task.{name}: {quoted(wanted)} received; {place} has {choices(known)[:200]}")
    return wanted
