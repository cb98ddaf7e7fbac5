"""Which frames of a clip a net is shown: one chosen at random from each of so many equal parts."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

SHORTEST, LONGEST, SPREAD = 5, 40, 5.0  # of random lengths


def frames(lengths: Tensor, steps: Tensor, chance: Tensor) -> Tensor:
    """The frame shown at each step: lengths (B,) of the clips, steps (B,) to show -> (B, T), -1 for none.

    A clip of n frames, as the authors' reader has it: one frame at random from each of `steps` parts of n // steps, the
    last part going to the end; with n below 2 steps, so many frames in a row; up to `steps`, the clip in an empty
    window, late by less than max(steps - n, steps // 4), and what then overflows cut off. T is the largest of `steps`.
    `chance` (B, T + 2) or wider, uniform in [0, 1), decides.
    """
    n, steps, step = lengths.unsqueeze(1), steps.unsqueeze(1), torch.arange(int(steps.max()))
    part = n // steps
    within = torch.where(step == steps - 1, n - part * (steps - 1), part)
    spread = part * step + _below(within, chance[:, 2 : 2 + len(step)])
    start = _below(n - steps + 1, chance[:, :1])
    late = _below(torch.maximum(steps - n, steps // 4).clamp_min(1), chance[:, :1])
    cut = _below((late + n - steps).clamp_min(0) + 1, chance[:, 1:2])
    short = step - late + cut
    short = torch.where((step >= late) & (short < n), short, -1)
    shown = torch.where(n > steps, torch.where(part > 1, spread, start + step), short)
    return torch.where(step < steps, shown, -1)


def draw(count: int, most: int, rng: Generator) -> Tensor:
    """Chance for `frames` of `count` clips, up to `most` steps."""
    return torch.rand(count, most + 2, generator=rng)


def random_steps(count: int, usual: int, rng: Generator) -> Tensor:
    """Random numbers of steps (count,): normal around the usual one, drawn again once where outside 5 to 40, then the
    usual one."""
    drawn = (usual + SPREAD * torch.randn(2, count, generator=rng)).long()
    fits = (drawn >= SHORTEST) & (drawn <= LONGEST)
    return torch.where(fits[0], drawn[0], torch.where(fits[1], drawn[1], usual))


def _below(count: Tensor, chance: Tensor) -> Tensor:
    """Whole numbers from 0 to count - 1."""
    return torch.minimum((chance * count).long(), count - 1)
