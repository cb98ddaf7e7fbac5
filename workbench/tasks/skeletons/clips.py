"""Clips of joints in one array, whatever they were recorded with."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError


@dataclass
class Clips:
    """N clips, one after another in `frames` (all frames, bodies, joints, 3), which may be a file mapped into memory.

    `start`, `length` (N,): where a clip is. `label` (N,): its action, from 0. `checks`: the CRC-32 of each clip, where
    the array comes from a file that could have been altered; a clip is checked when it is first read.
    """

    origin: str
    names: Sequence[str]
    frames: np.ndarray
    start: np.ndarray
    length: np.ndarray
    label: np.ndarray
    checks: np.ndarray | None = None
    _checked: set[int] = field(default_factory=set)

    def pick(self, rows: Tensor, frames: Tensor) -> Tensor:
        """Chosen frames of chosen clips: rows (B,), frames (B, T), zero where -1 -> (T, B, bodies, joints, 3)."""
        out = np.zeros((*frames.T.shape, *self.frames.shape[1:]), np.float32)
        for column, (row, wanted) in enumerate(zip(rows.tolist(), frames.numpy(), strict=True)):
            there = wanted >= 0
            out[there, column] = self.clip(row)[wanted[there]]
        return torch.from_numpy(out)

    def clip(self, row: int) -> np.ndarray:
        """One clip (frames, bodies, joints, 3); DataError if it is not what was once written."""
        first = int(self.start[row])
        clip: np.ndarray = self.frames[first : first + int(self.length[row])]
        if self.checks is not None and row not in self._checked:
            if zlib.crc32(clip.tobytes()) != self.checks[row]:
                raise DataError(f"{self.origin}: {self.names[row]}: altered; delete that folder, and it is made anew")
            self._checked.add(row)
        return clip
