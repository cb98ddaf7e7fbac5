"""From joints to what a net reads: turned and scaled, relative to the hip, distances, differences in time."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ...config import Skeletons
from . import geometry, utd

HIPS = {"ntu60": 0, "ntu120": 0, "utd_mhad": utd.HIP}


def inputs(config: Skeletons) -> int:
    """How many features a step has."""
    joints = utd.JOINTS * 3 if config.source == "utd_mhad" else 150
    return (joints + 2 * geometry.FEATURES * config.geometry) * (1 + config.differences)


def features(joints: Tensor, config: Skeletons) -> Tensor:
    """Joints (T, B, bodies, joints, 3), zero where there is nothing -> (T, B, inputs)."""
    if config.centred:
        hip = joints[:, :, :1, HIPS[config.source], None]  # of the first body, so that two keep their distance
        joints = torch.where(joints.any(-1, keepdim=True), joints - hip, 0.0)
    x = joints.flatten(2)
    if config.geometry:
        x = torch.cat([geometry.distances(joints).flatten(2), x], -1)
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
