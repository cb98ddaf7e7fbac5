"""The nearest neighbour: what a clip's most similar training clip says, without any learning."""

from __future__ import annotations

import numpy as np

from . import utd
from .clips import Clips

STEPS = 32


def accuracy() -> float:
    """The share of UTD-MHAD's test clips (subjects 2, 4, 6, 8) whose nearest training clip shows the same action.

    Distances are Euclidean between whole clips: joints relative to the hip, resampled to 32 frames.
    """
    clips, subject = utd.clips()
    x, trained = resampled(clips), np.isin(subject, utd.TRAINED)
    square = np.square(x).sum(1)
    distance = square[~trained, None] + square[trained] - 2 * x[~trained] @ x[trained].T
    return float((clips.label[trained][distance.argmin(1)] == clips.label[~trained]).mean())


def resampled(clips: Clips) -> np.ndarray:
    """Each clip as one vector of 32 frames, linear between the frames there are: (N, 32 * joints * 3)."""
    out = []
    for row in range(len(clips.length)):
        clip = clips.clip(row).astype(np.float64)
        clip -= clip[:, :, utd.HIP, None]
        flat, at = clip.reshape(len(clip), -1), np.linspace(0, len(clip) - 1, STEPS)
        below = np.minimum(at.astype(int), len(clip) - 2)
        share = (at - below)[:, None]
        out.append((flat[below] * (1 - share) + flat[below + 1] * share).ravel())
    return np.array(out)
