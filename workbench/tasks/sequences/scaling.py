"""Values as a net reads them: missing ones filled, channels scaled by what the training part alone shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import DataError
from ..contract import Scaler
from .content import Array, Content
from .settings import Sequences


@dataclass(frozen=True)
class Scaling:
    """Less `mean`, over `deviation`, a number a channel each; with `sequence`, those of each sequence itself instead.

    Missing values become `fill`, a number a channel, or with `previous` the value of the step before, if there is one.
    """

    mean: Array
    deviation: Array
    fill: Array
    previous: bool = False
    sequence: bool = False

    def of(self, values: Array) -> Array:
        """Values (steps, channels), missing ones nan -> float32 of the same shape, none missing."""
        gaps = np.isnan(values)
        if gaps.any():
            values = np.where(gaps, self.filled(values, gaps), values)
        if not self.sequence:
            scaled: Array = ((values - self.mean) / self.deviation).astype(np.float32)
            return scaled
        middle = values.mean(0, dtype=np.float64)
        changing = np.ptp(values, 0) > 0  # a fill's own digits give a channel without values a deviation of 1e-17
        width = np.where(changing, values.std(0, dtype=np.float64), 1.0)
        own: Array = ((values - middle) / width).astype(np.float32)
        return own

    def filled(self, values: Array, gaps: Array) -> Array:
        """Values for the gaps of values (steps, channels)."""
        if not self.previous:
            return np.broadcast_to(self.fill, values.shape)
        steps = np.arange(len(values))[:, None]
        last = np.maximum.accumulate(np.where(gaps, -1, steps), axis=0)
        before = np.take_along_axis(values, np.maximum(last, 0), axis=0)
        return np.where(last < 0, self.fill, before)

    def line(self, raw: str) -> Scaler:
        """The change as a line, x = scale * raw + shift; `raw` says in words what it begins with."""
        return Scaler(tuple((1 / self.deviation).tolist()), tuple((-self.mean / self.deviation).tolist()), raw)

    def told(self, name: str) -> dict[str, Any]:
        """As JSON."""
        return {f"{name}mean": self.mean.tolist(), f"{name}deviation": self.deviation.tolist()}


def checked(content: Content, missing: str) -> None:
    """DataError for the first value that is infinite, or missing where none may be."""
    for row in range(len(content.lengths)):
        values = content.read(row)
        wrong = ~np.isfinite(values) if missing == "error" else np.isinf(values)
        if wrong.any():
            step, channel = np.argwhere(wrong)[0].tolist()
            value = "NaN" if np.isnan(values[step, channel]) else values[step, channel]
            expected = (
                "a number expected; task.missing='mean' or 'previous' fills it"
                if value == "NaN"
                else "a finite float32 expected"
            )
            raise DataError(
                f"{content.place}: sequence {row}, step {step}, channel {channel}: {value} found, {expected}"
            )


def measured(content: Content, training: Iterable[int], config: Sequences) -> tuple[Scaling, Scaling]:
    """The scaling of the channels and that of the answers, from the training rows alone, a sequence at a time."""
    training = list(training)
    none, one = np.zeros(content.channels), np.ones(content.channels)
    mean, deviation = none, one
    if config.scaling == "training" or config.missing != "error":
        mean, deviation = _moments(content.read(row) for row in training)
        if (
            lost := np.flatnonzero((abs(mean) >= 2**24) & (deviation < 8 * np.spacing(abs(mean).astype(np.float32))))
        ).size:
            raise DataError(
                f"{content.place}: channel {lost[0]}: about {mean[lost[0]]:.8g} throughout, of which float32 keeps 7 "
                "digits; subtract what the values share, or leave the channel out"
            )
    fill = mean
    if config.scaling != "training":
        mean, deviation = none, one
    channels = Scaling(mean, deviation, fill, config.missing == "previous", config.scaling == "sequence")
    middle, width = np.zeros(1), np.ones(1)
    if config.answer == "real" and config.scaling != "none":
        with np.errstate(over="ignore"):
            middle, width = _moments(content.answers[_of(content, row), None] for row in training)
        if not np.isfinite(width).all():
            raise DataError(
                f"{content.place}: answers up to {abs(content.answers).max():.3g} found, too large to scale"
            )
    return channels, Scaling(middle, width, middle)


def _of(content: Content, row: int) -> slice:
    """The answers of a sequence among all answers."""
    if len(content.answers) == len(content.lengths):
        return slice(row, row + 1)
    return slice(int(content.starts[row]), int(content.starts[row] + content.lengths[row]))


def _moments(sequences: Iterable[Array]) -> tuple[Array, Array]:
    """Mean and standard deviation (channels,) of the steps of all sequences (steps, channels), nan left out; a mean of
    0 where there are none, a deviation of 1 where none differs. Joined pair by pair (Chan et al. 1983), so that no
    digits are lost."""
    count, mean, squared = 0.0, 0.0, 0.0
    for values in sequences:
        values = values.astype(np.float64)
        real = ~np.isnan(values)
        n = real.sum(0)
        own = np.where(real, values, 0).sum(0) / np.maximum(n, 1)
        own_squared = np.where(real, values - own, 0) ** 2
        total = np.maximum(count + n, 1)
        change = np.where(n > 0, own - mean, 0)
        mean = mean + change * n / total
        squared = squared + own_squared.sum(0) + change**2 * count * n / total
        count = count + n
    deviation = np.sqrt(squared / np.maximum(count, 1))
    return np.asarray(mean, dtype=np.float64), np.where(deviation > 0, deviation, 1.0)
