"""Clamped affine maps, which steps with relu are and compose to: the mathematics of engine `scan`, without its chunks.

For study only: `recurrence.scan` has the form that keeps its precision, and its docstring the sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from ..recurrence import recur


class Clamped(NamedTuple):
    """h -> min(high, max(low, p + q h)); q, p, low and high of one shape, a map an element."""

    q: Tensor
    p: Tensor
    low: Tensor
    high: Tensor

    def __call__(self, h: Tensor) -> Tensor:
        return torch.clamp(self.p + self.q * h, self.low, self.high)

    def after(self, first: Clamped) -> Clamped:
        """Compose two maps, `first` and then this: again such a map, whatever the sign of q."""
        ends = torch.stack([self(first.low), self(first.high)])
        return Clamped(self.q * first.q, self.p + self.q * first.p, ends.amin(0), ends.amax(0))


def draw(count: int, rng: torch.Generator) -> Clamped:
    """That many random maps in float64, slopes of either sign."""
    q, p, *ends = torch.randn(4, count, generator=rng, dtype=torch.float64)
    low, high = torch.stack(ends).sort(0).values
    return Clamped(q, p, low, high)


def composition_error(count: int, rng: torch.Generator) -> float:
    """The largest difference between two maps in turn and their composition, over so many random pairs."""
    first, second = draw(count, rng), draw(count, rng)
    h = 3 * torch.randn(count, generator=rng, dtype=torch.float64)
    return float((second.after(first)(h) - second(first(h))).abs().max())


def prefixes(a: Tensor, u: Tensor) -> Tensor:
    """All states from h0 = 0 by composing steps 1, 2, 4, ... apart: a (T, N), u (N,) -> h (T, N)."""
    largest = torch.finfo(a.dtype).max
    steps = Clamped(u.expand_as(a), a, torch.zeros_like(a), torch.full_like(a, largest))
    apart = 1
    while apart < len(a):
        earlier, later = Clamped(*(v[:-apart] for v in steps)), Clamped(*(v[apart:] for v in steps))
        known = (v[:apart] for v in steps)
        steps = Clamped(*(torch.cat(pair) for pair in zip(known, later.after(earlier), strict=True)))
        apart *= 2
    return steps(torch.zeros_like(a))


def breakdown(us: Sequence[float], T: int, rng: torch.Generator, chains: int = 64) -> pd.DataFrame:
    """Ways to compute the same states in float32, against the loop in float64, for each recurrent weight u.

    Inputs of mean -2 return the state to zero now and then. Columns: `u`, `way`, `broken` (per cent of the states that
    are not finite though the loop's are), `error` (the largest of the others, over 1 + |h|).
    """
    rows = []
    for u in us:
        a, weights = torch.randn(T, chains, generator=rng) - 2.0, torch.full((chains,), u)
        truth = recur(a.double()[:, None], weights.double(), backend="loop")[:, 0]
        known = truth.abs() < torch.finfo(torch.float32).max
        ways = {
            "maps composed over all of T": prefixes(a, weights),
            "engine scan, in chunks": recur(a[:, None], weights, backend="scan")[:, 0],
            "loop": recur(a[:, None], weights, backend="loop")[:, 0],
        }
        for way, h in ways.items():
            fine = known & h.isfinite()
            error = ((h.double() - truth).abs() / (1 + truth.abs()))[fine]
            broken = 100 * float((known & ~h.isfinite()).sum() / known.sum())
            rows.append({"u": u, "way": way, "broken": broken, "error": float(error.max()) if len(error) else None})
    return pd.DataFrame(rows)


def queue(T: int, rng: torch.Generator, drift: float = -0.05) -> tuple[Tensor, Tensor, Tensor]:
    """A neuron with u = 1 on a random walk's steps: its states, the walk, and the walk's lowest so far or 0, each (T,).

    Lindley (1952): the first is the second less the third.
    """
    a = torch.randn(T, 1, 1, generator=rng, dtype=torch.float64) + drift
    walk = a.cumsum(0)[:, 0, 0]
    h = recur(a, torch.ones(1, dtype=torch.float64), backend="loop")[:, 0, 0]
    return h, walk, walk.cummin(0).values.clamp(max=0)
