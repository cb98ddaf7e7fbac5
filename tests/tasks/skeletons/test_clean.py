"""Batches for clean batch norm statistics: of the training clips, and of no others."""

import numpy as np
import torch

from workbench import tasks
from workbench.config import Skeletons
from workbench.tasks.skeletons import utd
from workbench.tasks.skeletons.clips import Clips


def test_clean_batches_are_training_clips_alone(monkeypatch):
    """Of 64 made clips, eight of each subject; every clip of the training split is seen, and no other."""
    length = np.full(64, 41)
    frames = np.random.default_rng(0).normal(0, 1, (length.sum(), 1, 20, 3)).astype(np.float32)
    made = Clips("few", [f"clip{i}" for i in range(64)], frames, np.cumsum(length) - length, length, np.arange(64) % 3)
    monkeypatch.setattr(utd, "clips", lambda: (made, np.arange(64) // 8 + 1))
    task = tasks.load(Skeletons(name="skeletons", source="utd_mhad"), 0, 8)
    seen = []
    monkeypatch.setattr(task, "_shown", lambda rows, *given: seen.append(rows))
    for index in range(40):
        task.clean(index)
    assert set(torch.cat(seen).tolist()) == set(task.rows["train"].tolist())
    assert not set(task.rows["train"].tolist()) & {*task.rows["valid"].tolist(), *task.rows["test"].tolist()}
