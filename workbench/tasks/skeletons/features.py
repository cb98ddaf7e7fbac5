"""Features that a net reads of a clip: joints turned, scaled and relative to the hip, their geometry, the frames shown.

The geometric features of the augmented net are how far 23 joints lie off the 39 lines between others; the lines are
those of the authors' reader (action_recognition/data_reader.py), which follows Zhang et al. 2017.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ...config import Skeletons
from . import utd

HIPS = {"ntu60": 0, "ntu120": 0, "utd_mhad": utd.HIP}


def inputs(config: Skeletons) -> int:
    """The number of features of a step."""
    joints = utd.JOINTS * 3 if config.source == "utd_mhad" else 150
    return (joints + 2 * FEATURES * config.geometry) * (1 + config.differences)


def features(joints: Tensor, config: Skeletons) -> Tensor:
    """Joints (T, B, bodies, joints, 3), zero where there is nothing -> (T, B, inputs)."""
    if config.centred:
        hip = joints[:, :, :1, HIPS[config.source], None]  # of the first body, so that two keep their distance
        joints = torch.where(joints.any(-1, keepdim=True), joints - hip, 0.0)
    x = joints.flatten(2)
    if config.geometry:
        x = torch.cat([distances(joints).flatten(2), x], -1)
    if config.differences:
        x = torch.cat([x, torch.cat([x[:1], x.diff(dim=0)])], -1)  # the first step: x itself, as in the time difference
    return x


def moved(joints: Tensor, config: Skeletons, rng: Generator) -> Tensor:
    """Each clip turned about the vertical axis (y) and scaled, by amounts drawn once a clip."""
    angle, size = (2 * torch.rand(2, joints.shape[1], generator=rng) - 1).unbind()
    angle, size = angle * math.radians(config.turn), 1 + size * config.scale
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = [angle.cos(), zero, angle.sin(), zero, one, zero, -angle.sin(), zero, angle.cos()]
    matrix = torch.stack(rows, -1).view(-1, 3, 3) * size[:, None, None]
    return torch.einsum("tbkjd,bed->tbkje", joints, matrix)


# Pairs of joints, counted from 1 as the data set's authors do: 24 bones, then ends of limbs with each other.
_PAIRS = (
    "4-3 3-21 21-2 2-1 21-9 9-10 10-11 11-12 12-24 12-25 21-5 5-6 6-7 7-8 8-22 8-23 1-17 17-18 18-19 19-20 1-13 13-14 "
    "14-15 15-16 19-17 12-9 15-13 5-8 4-2 19-15 19-4 19-12 19-5 15-4 15-12 15-5 4-12 4-5 12-5"
)
LINES = tuple((int(a) - 1, int(b) - 1) for a, b in (pair.split("-") for pair in _PAIRS.split()))
FEATURES = len(LINES) * 23  # 897 a body


def distances(x: Tensor) -> Tensor:
    """Distances of every other joint from each line: (..., 25, 3) -> (..., 897); 0 where a line's joints coincide."""
    columns = []
    for a, b in LINES:
        others = [j for j in range(x.shape[-2]) if j not in (a, b)]
        along = x[..., b, :] - x[..., a, :]
        length = along.norm(dim=-1, keepdim=True)
        away = x[..., others, :] - x[..., a : a + 1, :]
        area = torch.linalg.cross(away, along.unsqueeze(-2), dim=-1).norm(dim=-1)
        columns.append(torch.where(length > 0, area / length.clamp_min(1e-5), 0.0))
    return torch.cat(columns, -1)


SHORTEST, LONGEST, SPREAD = 5, 40, 5.0  # of random lengths


def frames(lengths: Tensor, steps: Tensor, uniform: Tensor) -> Tensor:
    """The frame shown at each step: lengths (B,) of the clips, steps (B,) to show -> (B, T), -1 for none.

    A clip of n frames, as the authors' reader has it: one frame at random from each of `steps` parts of n // steps, the
    last part going to the end; with n below 2 steps, so many frames in a row; up to `steps`, the clip in an empty
    window, late by less than max(steps - n, steps // 4), and what then overflows cut off. T is the largest of `steps`.
    `uniform` (B, T + 2) or wider, drawn from [0, 1), decides.
    """
    n, steps, step = lengths.unsqueeze(1), steps.unsqueeze(1), torch.arange(int(steps.max()))
    part = n // steps
    within = torch.where(step == steps - 1, n - part * (steps - 1), part)
    spread = part * step + _below(within, uniform[:, 2 : 2 + len(step)])
    start = _below(n - steps + 1, uniform[:, :1])
    late = _below(torch.maximum(steps - n, steps // 4).clamp_min(1), uniform[:, :1])
    cut = _below((late + n - steps).clamp_min(0) + 1, uniform[:, 1:2])
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


def _below(count: Tensor, uniform: Tensor) -> Tensor:
    """Whole numbers from 0 to count - 1."""
    return torch.minimum((uniform * count).long(), count - 1)
