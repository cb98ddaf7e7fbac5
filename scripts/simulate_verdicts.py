"""Measure how often the rule of verdicts is right and wrong, where the truth is known because it is drawn.

    python scripts/simulate_verdicts.py [--draws 200000] [--seed 0]

Writes results/verdict_simulation.csv and .md. Everything is in units of the margin d, the claim being 0, lower better.
Vectorised; a test holds it to the rule itself draw by draw, and its rates to what they must be.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from workbench.analysis.statistics import LEVEL
from workbench.analysis.verdicts import LOOKS
from workbench.files import publish, publish_rows

Array = np.ndarray
TABLE = Path(__file__).resolve().parent.parent / "results" / "verdict_simulation.csv"
COLUMNS = ("question", "truth", "seeds", "per_cent", "standard_error", "draws")
HEADER = """# How often a verdict is right

Written by `scripts/simulate_verdicts.py`, {draws:,} draws a row, seed {seed}. d is the margin, s the standard deviation
between seeds, "3, then 5" the rule: a row that 3 seeds leave undecided is looked at once more at 5. The last rows are
the limits of the method: what the rule promises for normal seeds does not hold for these.

"""
MOST = 40  # seeds of the contrast, a look after every one of them


def interval(values: Array) -> tuple[Array, Array]:
    """The t interval of each row's mean: (draws, n) -> low (draws,), high (draws,)."""
    n = values.shape[1]
    half = stats.t.ppf(1 - LEVEL / 2, n - 1) * values.std(1, ddof=1) / math.sqrt(n)
    mean = values.mean(1)
    return mean - half, mean + half


def words(values: Array, edge: float, looks: Sequence[int] = LOOKS) -> Array:
    """1 reproduced, -1 not reproduced, 0 undecided, of each row of seeds, the claim and its margin ending at `edge`."""
    word = np.zeros(len(values), int)
    for n in looks:
        low, high = interval(values[:, :n])
        word = np.where(word == 0, np.where(high <= edge, 1, np.where(low > edge, -1, 0)), word)
    return word


def critical(n: int) -> float:
    """The smallest U of n against n with an exact one-sided p of at most LEVEL."""
    u = [sum(a - i for i, a in enumerate(ranks)) for ranks in itertools.combinations(range(2 * n), n)]
    return min(k for k in u if np.mean([other >= k for other in u]) <= LEVEL)


def in_order(rng: np.random.Generator, draws: int, n: int, apart: float) -> Array:
    """Test, in each draw, whether n seeds of a net come before n of another with a mean `apart` deviations later."""
    first, second = rng.standard_normal((2, draws, n))
    u = (first[:, :, None] < second[:, None, :] + apart).sum((1, 2))
    return u >= critical(n)


def simulate(draws: int, seed: int) -> list[dict[str, str]]:
    """The rows of the table."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, str]] = []

    def say(question: str, truth: str, seeds: str, hits: Array) -> None:
        rate = float(hits.mean())
        error = 100 * math.sqrt(rate * (1 - rate) / draws)
        cells = (question, truth, seeds, f"{100 * rate:.2f}", f"{error:.2f}", str(draws))
        rows.append(dict(zip(COLUMNS, cells, strict=True)))

    def normal(n: int, s: float = 1.0, mean: float = 0.0) -> Array:
        return mean + s * rng.standard_normal((draws, n))

    rule = ", then ".join(map(str, LOOKS))
    for n in LOOKS:
        low, high = interval(normal(n))
        say("the interval holds the mean", "normal seeds", str(n), (low <= 0) & (high >= 0))
    exactly = "reproduced, though worse by exactly d"
    for looks, named in ((LOOKS, rule), (LOOKS[:1], "3"), (LOOKS[1:], "5")):
        say(exactly, "normal seeds", named, words(normal(max(looks)), 0.0, looks) == 1)
    for most in (10, 20, MOST):
        looks = range(LOOKS[0], most + 1)
        say(exactly, "normal seeds", f"a look after every seed, 3 to {most}", words(normal(most), 0.0, looks) == 1)
    for s in (0.25, 0.5, 1.0):
        for looks, named in ((LOOKS[:1], "3"), (LOOKS[1:], "5"), (LOOKS, rule)):
            say("reproduced, and as good as claimed", f"s = {s:g} d", named, words(normal(5, s), 1.0, looks) == 1)
    say("not reproduced, though as good as claimed", "s = 0.5 d", rule, words(normal(5, 0.5), 1.0) == -1)
    say("not reproduced, and worse by 2 d", "s = 0.5 d", rule, words(normal(5, 0.5, 2.0), 1.0) == -1)
    for n in LOOKS:
        say("order reproduced, though equal", "normal seeds", f"{n} against {n}", in_order(rng, draws, n, 0.0))
        say("order reproduced, and 2 s apart", "normal seeds", f"{n} against {n}", in_order(rng, draws, n, 2.0))
    sigma = 0.5
    lognormal = rng.lognormal(0.0, sigma, (draws, max(LOOKS)))
    mean = math.exp(sigma**2 / 2)
    say(exactly, f"lognormal seeds, {sigma:g} of the logarithm", rule, words(lognormal, mean) == 1)
    for far in (5.0, 6.0):
        seeds = normal(5) + far * (rng.random((draws, 5)) < 0.1)
        say(exactly, f"one bad seed in ten, {far:g} s worse", rule, words(seeds, 0.1 * far) == 1)
    return rows


def page(rows: list[dict[str, str]], draws: int, seed: int) -> str:
    """The table to be read."""
    shown = ("question", "truth", "seeds", "per cent", "+-")
    lines = [f"| {' | '.join(shown)} |", "|" + " --- |" * len(shown)]
    lines += [f"| {' | '.join(row[column] for column in COLUMNS[:-1])} |" for row in rows]
    return HEADER.format(draws=draws, seed=seed) + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rows = simulate(asked.draws, asked.seed)
    publish_rows(TABLE, COLUMNS, rows)
    publish(TABLE.with_suffix(".md"), page(rows, asked.draws, asked.seed).encode(), replace=True)
    print(f"verdict simulation: {len(rows)} rows, {asked.draws:,} draws each")


if __name__ == "__main__":
    main()
