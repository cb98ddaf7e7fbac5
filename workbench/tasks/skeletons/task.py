"""Skeletons as a task: which clips are trained on, sampled frames, features, augmentation.

The published protocol (EXPERIMENTS of the official code): raw coordinates, 20 frames at random from each clip, in
training, validation and test alike; 5 % of the training clips held out at random; test answers averaged over 20
samplings. For UTD-MHAD one training subject is held out, the seed says which.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ...config import Skeletons
from ...errors import DataError
from ...seeds import Stream, generator
from .. import download
from ..contract import Batch, Spec, Split
from . import ntu_archive, ntu_names, utd
from .clips import Clips
from .features import LONGEST, draw, features, frames, inputs, moved, random_steps

HELD_OUT = 0.05  # of NTU's training clips, for validation
VALID_PASSES = 5  # samplings of the validation clips, each scored on its own, as in the official logs
SEQUENCES = 4096  # the most in one batch of an evaluation


def spec(config: Skeletons) -> Spec:
    """The task seen from a net: x, y, z of 2 x 25 or 1 x 20 joints, and what features add."""
    outputs = utd.ACTIONS if config.source == "utd_mhad" else ntu_names.ACTIONS[config.source]
    return Spec(inputs(config), outputs, config.length, "class")


def hashes(config: Skeletons) -> dict[str, str]:
    """The hashes that identify what a run reads: of UTD-MHAD its files, of NTU the list that says which clips count."""
    if config.source == "utd_mhad":
        return {"utd_mhad": utd.CONTENT}
    file = ntu_names.LISTS[config.source][0]
    return {file: download.hashes("ntu")[file]}


class SkeletonsTask:
    """x (frames, B, features); y (B,): the action, from 0."""

    def __init__(self, config: Skeletons, seed: int, batch_size: int):
        self.config, self.seed, self.batch_size = config, seed, batch_size
        self.spec = spec(config)
        self.clips, self.rows, self.held_out = _split(config, seed)
        self.stream = Stream(seed, self.rows["train"], batch_size)
        self.batches_per_epoch = len(self.rows["train"]) / batch_size
        self.lengths, self.labels = torch.from_numpy(self.clips.length), torch.from_numpy(self.clips.label)

    def batch(self, step: int) -> Batch:
        rng = generator(self.seed, "frames", step)
        steps = torch.tensor([self.config.length])
        if self.config.random_length != "never":
            steps = random_steps(1, self.config.length, rng)
        uniform = draw(self.batch_size, int(steps), rng)
        joints, labels = self._joints(self.stream.picked(step), steps.expand(self.batch_size), uniform)
        if self.config.turn or self.config.scale:
            joints = moved(joints, self.config, rng)
        return Batch(features(joints, self.config), labels)

    def clean(self, index: int) -> Batch:
        rng, rows = generator(self.seed, "clean", index), self.rows["train"]
        picked = rows[torch.randint(len(rows), (self.batch_size,), generator=rng)]
        return self._shown(picked, *self._drawn(self.batch_size, rng))

    def examples(self, split: Split, size: int) -> Iterator[Batch]:
        """The test clips, the samplings of one side by side; the validation clips five times over, a sampling each."""
        rows = self.rows[split]
        count, times = (self.config.samplings, 1) if split == "test" else (1, VALID_PASSES)
        size = max(1, min(size, SEQUENCES // count))
        for time in range(times):
            drawn = [self._drawn(len(rows), generator(self.seed, split, time, i)) for i in range(count)]
            steps, uniform = (torch.stack(parts, 1) for parts in zip(*drawn, strict=True))
            for at in range(0, len(rows), size):
                here = slice(at, at + size)
                chosen = rows[here].repeat_interleave(count)
                yield self._shown(chosen, steps[here].flatten(), uniform[here].flatten(0, 1), count)

    def drawn(self) -> dict[str, Any]:
        return self.held_out

    def _drawn(self, count: int, rng: Generator) -> tuple[Tensor, Tensor]:
        """Steps (count,) and uniform (count, ...) of samplings for a score."""
        usual = self.config.length
        if self.config.random_length != "always":
            return torch.full((count,), usual), draw(count, usual, rng)
        return random_steps(count, usual, rng), draw(count, max(usual, LONGEST), rng)

    def _shown(self, rows: Tensor, steps: Tensor, uniform: Tensor, samplings: int = 1) -> Batch:
        joints, labels = self._joints(rows, steps, uniform)
        lengths = None if bool((steps == steps[0]).all()) else steps
        return Batch(features(joints, self.config), labels[::samplings], lengths, samplings)

    def _joints(self, rows: Tensor, steps: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Sampled frames (T, B, bodies, joints, 3) of clips, and their actions (B,)."""
        shown = frames(self.lengths[rows], steps, uniform)
        return self.clips.pick(rows, shown), self.labels[rows]


task = SkeletonsTask


def _split(config: Skeletons, seed: int) -> tuple[Clips, dict[Split, Tensor], dict[str, Any]]:
    """The clips, the rows of each split, and what the seed held out for validation."""
    if config.source == "utd_mhad":
        clips, subject = utd.clips()
        left_out = utd.TRAINED[seed % len(utd.TRAINED)]
        splits = _splits(np.isin(subject, utd.TRAINED), subject == left_out, config.limit)
        return clips, {split: torch.from_numpy(rows) for split, rows in splits.items()}, {"valid_subject": left_out}
    folder = download.locate("ntu")
    there, every = ntu_archive.recordings(folder), ntu_names.usable(config.source, folder)
    if config.limit is not None:  # a few clips will do
        every = [name for name in every if name in there]
    trained = np.array([name.is_trained(config.source, config.protocol) for name in every], bool)
    rows = np.flatnonzero(trained)
    shuffled = rows[torch.randperm(len(rows), generator=generator(seed, "split")).numpy()]
    held_out = np.sort(shuffled[int(len(rows) * (1 - HELD_OUT)) :])
    splits = _splits(trained, np.isin(np.arange(len(every)), held_out), config.limit)
    read = np.sort(np.concatenate([*splits.values()]))
    clips = ntu_archive.clips(config.source, folder, [every[row] for row in read], there)
    for split, chosen in splits.items():
        if not len(chosen):
            raise DataError(f"{folder}: no clip for {split} by {config.protocol}")
    found = {split: torch.from_numpy(np.searchsorted(read, chosen)) for split, chosen in splits.items()}
    return clips, found, {"valid": held_out.tolist()}


def _splits(trained: np.ndarray, valid: np.ndarray, limit: int | None) -> dict[Split, np.ndarray]:
    """Rows of each split, the first `limit` of each."""
    parts: dict[Split, np.ndarray] = {"train": trained & ~valid, "valid": valid, "test": ~trained}
    return {split: np.flatnonzero(there)[:limit] for split, there in parts.items()}
