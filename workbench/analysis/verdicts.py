"""Verdicts: the word that seeds earn a claim, by a rule that was fixed, and simulated, before the runs that it judges.

Every function is pure, from plain inputs. A seed that diverged or never got a number is lost: with one lost a row is
undecided at best, for good; with half or more, not reproduced. results/verdict_simulation.md says how often it errs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

from ..errors import ParameterError, choices, quoted
from ..paper.claims import SEEDS, SOLVED, STARTS, STEPS, Claim
from . import statistics

WORDS = (
    "reproduced", "reached", "not reproduced", "not reached", "undecided", "under way", "not run", "reference",
    "no claim",
)  # fmt: skip
LOOKS = (SEEDS, 5)  # seeds at which a row is looked at, never in between or after: every look adds false verdicts
SEARCH = 100  # the first seed of runs that choose a recipe; none of them is judged
COUNTS = ("one", "two", "three")
OTHER = "the other net: "  # how begins what a note says of the second net of an order
ROUNDING = 1e-9  # 1.2 % of 10,000 images is 1.2000000000000011: what ends at the margin to so much ends there


class Terms(NamedTuple):
    """Terms a seed must share with a row: net and schedule (the config's hash), how it was scored, the numerics."""

    config: str
    protocol: str
    numerics: int


@dataclass(frozen=True)
class Seed:
    """One run's answer. `value` is that of its own end; of an order claim in steps, the step at which it was there.

    `step` is how far it is: a seed not there by that step comes after all that were there before it.
    """

    seed: int
    value: float | None = None
    state: Literal["ended", "lost", "under way"] = "ended"
    step: float = 0


@dataclass(frozen=True)
class Verdict:
    """One of WORDS, why or what would decide it, and what the table prints beside it."""

    word: str
    note: str = ""
    n: int = 0
    ours: float | None = None
    low: float | None = None
    high: float | None = None


def admitted(seeds: Iterable[tuple[Seed, Terms]], terms: Terms) -> tuple[list[Seed], str]:
    """The seeds that a row may count, and how many were set aside: of a search, another net, protocol or numerics."""
    counted, aside = [], Counter[str]()
    for seed, its in seeds:
        differ = [f"another {name}" for name, a, b in zip(Terms._fields, its, terms, strict=True) if a != b]
        if seed.seed >= SEARCH:
            aside["a search"] += 1
        elif differ:
            aside[differ[0]] += 1
        else:
            counted.append(seed)
    return counted, ", ".join(f"{n} of {name} set aside" for name, n in sorted(aside.items()))


def value(
    claimed: float,
    margin: float,
    seeds: Sequence[Seed],
    better: str = "lower",
    ends: tuple[float, float] = (-math.inf, math.inf),
) -> Verdict:
    """A number is reproduced where the mean's interval ends at most `margin` worse; if it begins beyond that, not.

    The whole interval decides; it is shown between the `ends` of what the metric can be.
    """
    sign = 1 if better == "lower" else -1

    look = partial(_look, worst=sign * claimed + margin + ROUNDING, sign=sign, ends=ends)
    seeds = _sorted(_valued(seeds))
    if all(s.state == "under way" for s in seeds):
        return _waiting(seeds)
    said = Verdict("undecided")
    for n in LOOKS:
        counted = [s for s in seeds if s.seed < n]
        lost = sum(s.state == "lost" for s in counted)
        ended = [s for s in counted if s.state != "under way"]
        at_best = _at_best(lost, len(counted))
        if 2 * lost >= n:
            return replace(look(ended), word="not reproduced", note=f"{lost} of {n} seeds lost")
        if len(ended) < n:
            seen = said if said.n else look(ended)
            return replace(seen, word="undecided", note=_joined(at_best, _missing(seeds, n)))
        said = look(ended)
        if said.word == "not reproduced" or (said.word == "reproduced" and not lost):
            return said
        said = replace(said, word="undecided", note=at_best or f"the interval at {n} seeds holds the margin")
    return said


def _look(counted: Sequence[Seed], worst: float, sign: int, ends: tuple[float, float]) -> Verdict:
    """The word of the interval of a mean: of numbers of this sign, that may be `worst` at most."""
    values = [s.value for s in counted if s.state == "ended" and s.value is not None]
    if not values:
        return Verdict("undecided")
    found, word = statistics.mean(values), "undecided"
    if found.low is not None and found.high is not None:
        best_end, worst_end = sorted((sign * found.low, sign * found.high))
        word = "reproduced" if worst_end <= worst else "not reproduced" if best_end > worst else word
    shown = found.cut(*ends)
    return Verdict(word, "", found.n, found.mean, shown.low, shown.high)


def _missing(seeds: Sequence[Seed], n: int) -> str:
    """Say what n seeds still need: `2 of 3 seeds still train`, `1 of 3 seeds, two more needed`, `seed 1 is missing`."""
    counted = [s for s in seeds if s.seed < n]
    training = sum(s.state == "under way" for s in counted)
    absent = sorted(set(range(n)) - {s.seed for s in counted})
    said = [f"{training} of {n} seeds still train{'s' if training == 1 else ''}"] if training else []
    if absent and absent[0] < max((s.seed for s in seeds), default=0):
        said.append(f"seed {absent[0]} is missing")
    elif absent:
        have = "" if training else f"{len(counted)} of {n} seeds, "
        said.append(f"{have}{COUNTS[len(absent) - 1]} more needed")
    return "; ".join(said)


def _at_best(lost: int, of: int) -> str:
    return f"{lost} of {of} seed{'s' * (of > 1)} lost: undecided at best" if lost else ""


def _waiting(seeds: Sequence[Seed]) -> Verdict:
    if not seeds:
        return Verdict("not run", "not begun")
    of = max(SEEDS, len(seeds))
    return Verdict("under way", f"{len(seeds)} of {of} seeds still train{'s' if len(seeds) == 1 else ''}")


def _joined(*said: str) -> str:
    return "; ".join(filter(None, said))


def _sorted(seeds: Sequence[Seed]) -> list[Seed]:
    """The seeds in order; each may stand once."""
    numbers = [s.seed for s in seeds]
    if len(set(numbers)) < len(numbers) or any(n < 0 for n in numbers):
        raise ParameterError(f"seeds: {quoted(numbers)} received; each from 0 may stand once")
    return sorted(seeds, key=lambda s: s.seed)


def _valued(seeds: Sequence[Seed]) -> list[Seed]:
    """Seeds of which those that ended without a finite number are lost."""
    return [
        replace(s, state="lost") if s.state == "ended" and (s.value is None or not math.isfinite(s.value)) else s
        for s in seeds
    ]


def share(
    holds: Callable[[float], bool], seeds: Sequence[Seed], *, claimed: bool = True, least: int = SEEDS
) -> Verdict:
    """A claim of all seeds (or, not `claimed`, of none) is reproduced where it is so of n >= `least`, all ended.

    The reverse is not reproduced; anything between is undecided. A seed that is lost does not hold. A claim that
    nothing holds is left undecided by it: a run that was lost shows nothing.
    """
    seeds = _sorted(_valued(seeds))
    if all(s.state == "under way" for s in seeds):
        return _waiting(seeds)
    n = next((i for i, s in enumerate(seeds) if s.seed != i or s.state == "under way"), len(seeds))
    counted = seeds[:n] if n >= least else [s for s in seeds if s.state != "under way"]
    lost = sum(s.state == "lost" for s in counted)
    hold = sum(s.value is not None and s.state == "ended" and holds(s.value) for s in counted)
    low, high = statistics.clopper_pearson(hold, len(counted)) if least > 1 else (None, None)
    seen = Verdict("undecided", f"{hold} of {len(counted)}", len(counted), hold / len(counted), low, high)
    if lost:
        seen = replace(seen, note=f"{seen.note}, {lost} lost")
    if n < least:
        return replace(seen, note=_joined(seen.note, _missing(seeds, least)))
    if lost and not claimed:
        return seen
    as_claimed, reverse = (hold == n, hold == 0 or 2 * lost >= n) if claimed else (hold == 0, hold == n)
    return replace(seen, word="reproduced" if as_claimed else "not reproduced" if reverse else "undecided")


def order(first: Sequence[Seed], second: Sequence[Seed], *, steps: bool = False) -> Verdict:
    """The first come before the second: one-sided exact Mann-Whitney at p <= 0.05, looked at as a value is.

    In `steps` a seed under way counts as it stands: there, or not there by its step. `ours` is the share of pairs.
    """
    groups = [_sorted(group if steps else _valued(group)) for group in (first, second)]
    if not any(groups):
        return Verdict("not run", "not begun")
    training = all(s.state == "under way" for group in groups for s in group)
    said = Verdict("under way" if training else "undecided")
    if steps:
        groups = [[replace(s, state="lost" if s.state == "lost" else "ended") for s in group] for group in groups]
    for n in LOOKS:
        counted = [[s for s in group if s.seed < n and s.state != "under way"] for group in groups]
        lost = [sum(s.state == "lost" for s in group) for group in counted]
        if 2 * lost[0] >= n:
            return replace(said, word="not reproduced", note=f"{lost[0]} of {n} seeds lost")
        if any(len(group) < n for group in counted):
            wants = [
                _joined(_at_best(k, len(c)) * (not said.note), _missing(g, n))
                for k, c, g in zip(lost, counted, groups, strict=True)
            ]
            return replace(said, note=_joined(said.note, wants[0], wants[1] and OTHER + wants[1]))
        pairs = [[(s.value, s.step) for s in group if s.state != "lost"] for group in counted]
        if 2 * lost[1] >= n:  # of the other net: that it fails is no sign that the first comes before it
            return replace(said, note=f"{OTHER}{lost[1]} of {n} seeds lost")
        before, p, reverse = statistics.ranks(*pairs)
        said = replace(said, note=f"p = {p:.2g}, {n} against {n}", n=n, ours=before)
        if reverse <= statistics.LEVEL:
            return replace(said, word="not reproduced", note=f"p of the reverse = {reverse:.2g}, {n} against {n}")
        if any(lost):
            said = replace(said, note=f"{said.note}, {sum(lost)} lost: undecided at best")
        elif p <= statistics.LEVEL:
            return replace(said, word="reproduced")
    return said


def ratio(claimed: float, margin: float, ratios: Sequence[float], device: str) -> Verdict:
    """A ratio is reproduced on a device where the interval of the mean logarithm lies above it, less its margin."""
    if not ratios:
        return Verdict("not run", "not begun")
    if not device.strip():
        raise ParameterError("device: none received; a ratio is that of a named one")
    found = statistics.ratio(ratios)
    seen = Verdict("undecided", f"on {device}", found.n, found.mean, found.low, found.high)
    if found.n < STARTS or found.low is None or found.high is None:
        return replace(seen, note=f"on {device}, {found.n} of {STARTS} process starts")
    bound = claimed - margin
    if found.low <= bound <= found.high:
        return replace(seen, note=f"on {device}, the interval of {found.n} process starts holds {bound:g}")
    return replace(seen, word="reproduced" if found.low > bound else "not reproduced")


def of_parent(verdict: Verdict) -> Verdict:
    """A verdict on the parent's claim under a schedule of ours: reached or not reached."""
    words = {"reproduced": "reached", "not reproduced": "not reached"}
    return replace(verdict, word=words.get(verdict.word, verdict.word))


def tally(words: Iterable[str]) -> dict[str, int]:
    """Count the rows that have each word, all of WORDS, zeroes too."""
    counts = Counter(words)
    if unknown := set(counts) - set(WORDS):
        raise ParameterError(f"verdict: {choices(unknown)} received; choose one of {choices(WORDS)}")
    return {word: counts[word] for word in WORDS}


def summary(words: Iterable[str], cannot: Iterable[str]) -> str:
    """The first line of every summary: claims by word, how many cannot be tried here, and why; rows that are none."""
    said = [f"{word} {n}" for word, n in tally(words).items()]
    claimed, others = ", ".join(said[:-2]), ", ".join(said[-2:])
    reasons = Counter(reason for reason in cannot if reason)
    why = "; ".join(f"{n}: {reason}" for reason, n in sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    cannot_be = f"of which cannot be tried here {reasons.total()}" + (f" ({why})" if why else "")
    return f"{claimed}, {cannot_be}; rows that are no claims: {others}"


def judge(
    claim: Claim,
    seeds: Sequence[Seed] = (),
    against: Sequence[Seed] = (),
    ratios: Sequence[float] = (),
    device: str = "",
) -> Verdict:
    """The verdict on a claim by the test of its kind. Property seeds have the value 1 where it holds, else 0."""
    if claim.kind == "order":
        found = order(seeds, against, steps=claim.metric == STEPS)
    elif claim.kind == "ratio":
        found = ratio(claim.value or 0.0, claim.margin or 0.0, ratios, device)
    elif claim.kind == "value":
        ends = statistics.possible(claim.metric)
        found = value(claim.value or 0.0, claim.margin or 0.0, seeds, claim.better, ends)
    elif claim.kind == "solved":
        found = share(lambda error: error < SOLVED, seeds, claimed=claim.value == 1)
    else:
        found = share(lambda holds: holds == 1, seeds, least=claim.least)
    return replace(found, note=claim.cannot) if found.word == "not run" and claim.cannot else found
