"""Where joints lie off the lines between others: 39 lines times 23 joints, the geometric features of the augmented net.

The lines are those of the authors' reader (action_recognition/data_reader.py), which follows Zhang et al. 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Pairs of joints, counted from 1 as the data set's authors do: 24 bones, then ends of limbs with each other.
_PAIRS = (
    "4-3 3-21 21-2 2-1 21-9 9-10 10-11 11-12 12-24 12-25 21-5 5-6 6-7 7-8 8-22 8-23 1-17 17-18 18-19 19-20 1-13 13-14 "
    "14-15 15-16 19-17 12-9 15-13 5-8 4-2 19-15 19-4 19-12 19-5 15-4 15-12 15-5 4-12 4-5 12-5"
)
LINES = tuple((int(a) - 1, int(b) - 1) for a, b in (pair.split("-") for pair in _PAIRS.split()))
FEATURES = len(LINES) * 23  # 897 a body


def distances(x: Tensor) -> Tensor:
    """How far every other joint is from each line: (..., 25, 3) -> (..., 897); 0 where a line's joints coincide."""
    columns = []
    for a, b in LINES:
        others = [j for j in range(x.shape[-2]) if j not in (a, b)]
        along = x[..., b, :] - x[..., a, :]
        length = along.norm(dim=-1, keepdim=True)
        away = x[..., others, :] - x[..., a : a + 1, :]
        area = torch.linalg.cross(away, along.unsqueeze(-2), dim=-1).norm(dim=-1)
        columns.append(torch.where(length > 0, area / length.clamp_min(1e-5), 0.0))
    return torch.cat(columns, -1)
