"""Intervals and tests over seeds: Student's t, Wilson, Clopper-Pearson, an exact rank test, Holm's correction.

Plain numbers in, plain numbers out. Which of them decides what is said in claims.py; intervals are two-sided, 95 %.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import NormalDist

import numpy as np

from ..errors import ParameterError, quoted

LEVEL = 0.05  # of every test; intervals hold 1 - LEVEL
_RANGES = (  # of a measure that begins so: the least and the most that it can be
    ("log10 ", -math.inf, math.inf),
    ("first step ", 0.0, math.inf),
    (".*(accuracy|error %)", 0.0, 100.0),
    (".*perplexity", 1.0, math.inf),
    ("", 0.0, math.inf),
)
Arrival = tuple[float | None, float]  # the step at which a seed was there, None: not by its last step, the second


@dataclass(frozen=True)
class Interval:
    """A mean of n values with its 95 % interval, of Student's also the p of mean 0; none for fewer than two values."""

    mean: float
    n: int
    low: float | None = None
    high: float | None = None
    p: float | None = None

    def cut(self, least: float, most: float) -> Interval:
        """The part of it within the range of its quantity: the true mean lies there too, so that no less is covered."""
        if self.low is None or self.high is None:
            return self
        return replace(self, low=max(self.low, least), high=min(self.high, most))


def possible(measure: str) -> tuple[float, float]:
    """The least and the most that a metric of the paper's tables, or another measure of `Variants`, can be."""
    return next((least, most) for form, least, most in _RANGES if re.match(form, measure))


def mean(values: Sequence[float]) -> Interval:
    """Student's t of a mean: mean +- t(0.975, n - 1) s / sqrt(n). Equal values leave no doubt: p is 0, or 1 at 0."""
    from scipy import stats

    data = _numbers(values)
    n, middle = len(data), float(data.mean())
    if n < 2:
        return Interval(middle, n)
    error = float(data.std(ddof=1)) / math.sqrt(n)
    half = float(stats.t.ppf(1 - LEVEL / 2, n - 1)) * error
    p = float(2 * stats.t.sf(abs(middle) / error, n - 1)) if error else float(middle == 0)
    return Interval(middle, n, middle - half, middle + half, p)


def ratio(ratios: Sequence[float]) -> Interval:
    """The geometric mean of ratios with the t interval of their logarithms; one ratio a process start."""
    data = _numbers(ratios)
    if (data <= 0).any():
        raise ParameterError(f"ratios: {quoted(list(ratios))} received; numbers above 0 are needed")
    logs = mean(list(np.log(data)))
    ends = [None if end is None else math.exp(end) for end in (logs.low, logs.high)]
    return Interval(math.exp(logs.mean), logs.n, *ends)


def wilson(share: float, n: int) -> tuple[float, float]:
    """The interval of a share of n test examples (Wilson 1927); a mean share over seeds need not be a whole count."""
    from scipy import stats

    if not 0 <= share <= 1 or n < 1:
        raise ParameterError(f"share, n: {quoted((share, n))} received; a share from 0 to 1 of 1 or more is needed")
    z = float(stats.norm.ppf(1 - LEVEL / 2))
    a = z / (2 * n)
    middle, half = share + z * a, z * math.sqrt(share * (1 - share) / n + a * a)  # equal where the share is 0
    return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))


def clopper_pearson(count: int, n: int) -> tuple[float, float]:
    """The exact interval of a share, `count` of n (Clopper, Pearson 1934): 3 of 3 gives 0.29 to 1."""
    from scipy import stats

    if not 0 <= count <= n or n < 1:
        raise ParameterError(f"count, n: {quoted((count, n))} received; 0 to n, of 1 or more, is needed")
    found = stats.binomtest(count, n).proportion_ci(1 - LEVEL, method="exact")
    return float(found.low), float(found.high)


def matched(lost: int, gained: int, n: int) -> Interval:
    """The change of a share where n examples are answered twice: `lost` are right at first only, `gained` afterwards.

    Wald's interval with half an example more in each of the four cells (Agresti, Min 2005), which keeps it wide enough
    where hardly any answer changes; within -1 and 1, as a change of a share is.
    """
    if min(lost, gained) < 0 or lost + gained > n or n < 1:
        raise ParameterError(f"lost, gained, n: {quoted((lost, gained, n))} received; counts of n examples are needed")
    z = NormalDist().inv_cdf(1 - LEVEL / 2)
    b, c, m = lost + 0.5, gained + 0.5, n + 2
    middle, half = (c - b) / m, z * math.sqrt(b + c - (c - b) ** 2 / m) / m
    return Interval((gained - lost) / n, n, max(-1.0, middle - half), min(1.0, middle + half))


def ranks(first: Sequence[Arrival], second: Sequence[Arrival]) -> tuple[float, float, float]:
    """The share of pairs in which the first comes before the second, and the exact one-sided p of before and of after.

    Mann, Whitney 1947, over all ways to deal the values to the two groups, so that ties are exact too; a tie counts
    half. A seed that is not there by step k comes after every step up to k; whether before or after a later one is
    not known, and counts half (Gehan 1965).
    """
    from scipy import stats

    everyone = [*first, *second]
    if min(len(first), len(second)) < 2:
        raise ParameterError(f"first, second: {len(first)} and {len(second)} values received; two in each are needed")
    # A seed's score: how many of all others it comes before, less those that it comes after, halved.
    score = np.array([sum(_before(a, b) - _before(b, a) for b in everyone) / 2 for a in everyone])
    observed, rest = score[: len(first)], score[len(first) :]
    test = partial(stats.permutation_test, (observed, rest), vectorized=True, n_resamples=np.inf)
    first_sum = {"statistic": lambda x, y, axis=-1: x.sum(axis=axis)}
    before, after = (float(test(**first_sum, alternative=side).pvalue) for side in ("greater", "less"))
    pairs = [(1 + _before(a, b) - _before(b, a)) / 2 for a in first for b in second]
    return sum(pairs) / len(pairs), before, after


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p values: of m, the k-th smallest times m - k + 1, never less than a smaller one's, at most 1."""
    adjusted, least = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        least = max(least, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = least
    return adjusted


def _before(a: Arrival, b: Arrival) -> bool:
    """Say whether a is known to come before b."""
    return a[0] is not None and bool(a[0] < b[0] if b[0] is not None else a[0] <= b[1])


def _numbers(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or not len(data) or not np.isfinite(data).all():
        raise ParameterError(f"values: {quoted(list(values))} received; one finite number or more is needed")
    return data
