"""The parts of a data set: as it says itself, or drawn; no group is on two sides."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from ...errors import DataError, quoted
from ...seeds import generator
from ..contract import Split
from .content import Array, Content
from .settings import Sequences

SPLITS: tuple[Split, ...] = ("train", "valid", "test")


def tested(content: Content, config: Sequences) -> Tensor:
    """The rows of the test, in their order: those that are named, else drawn by `split_seed`."""
    if content.splits is not None:
        return _named(content, "test")
    every = torch.arange(len(content.lengths))
    return held_out(content, every, config.test, generator(config.split_seed, "test"))


def parts(content: Content, config: Sequences, seed: int) -> dict[Split, Tensor]:
    """The rows of each part, in their order; the validation is drawn by the run's seed unless it is named."""
    rows: dict[Split, Tensor] = {"test": tested(content, config)}
    if content.splits is not None:
        if content.groups is not None:
            _check_groups(content.place, content.groups, content.splits)
        rows["valid"], learnt = _named(content, "valid"), _named(content, "train")
    else:
        every = torch.arange(len(content.lengths))
        learnt = every[~torch.isin(every, rows["test"])]
        rows["valid"] = learnt[:0]
    if len(rows["valid"]) == 0:
        rows["valid"] = held_out(content, learnt, config.valid, generator(seed, "valid"))
        learnt = learnt[~torch.isin(learnt, rows["valid"])]
    if len(learnt) == 0:
        raise DataError(f"{content.place}: no sequence left to learn from; {len(content.lengths)} found")
    return rows | {"train": learnt}


def counts(content: Content, config: Sequences) -> tuple[int, int, int]:
    """Sequences to learn from, held out, and the fewest to learn from that a seed can leave.

    Of every seed, though whole groups can make the first two a few more or less.
    """
    left = np.delete(np.arange(len(content.lengths)), tested(content, config))
    n, named = len(left), 0 if content.splits is None else len(_named(content, "valid"))
    valid = named or _count(config.valid, n)
    fewest = n - valid
    if content.groups is not None and valid and not named:
        sizes = np.unique(content.groups[left], return_counts=True)[1]
        fewest = max(n - sizes.max() - (valid - 1 if valid > sizes.min() else 0), sizes.min())
    most = config.limit or n
    return min(n - valid, most), min(valid, most), min(int(fewest), most)


def _count(share: float, n: int) -> int:
    """The number of n rows that are a share of them: at least one and not all."""
    return 0 if share == 0 or n < 2 else min(max(round(share * n), 1), n - 1)


def held_out(content: Content, rows: Tensor, share: float, rng: Generator) -> Tensor:
    """A share of the rows, at least one and not all: evenly over the answers, or whole groups."""
    count = _count(share, len(rows))
    if count == 0:
        return rows[:0]
    mixed = rows[torch.randperm(len(rows), generator=rng)]
    if content.groups is not None:
        return _whole_groups(content.groups, mixed, count)
    if len(content.answers) == len(content.lengths):
        ranks = np.unique(content.answers[mixed.numpy()], return_inverse=True)[1]
        mixed = mixed[torch.from_numpy(ranks).argsort(stable=True)]
    picked = ((torch.arange(count) + 0.5) * len(mixed) / count).long()
    return mixed[picked].sort().values


def _whole_groups(groups: Array, mixed: Tensor, count: int) -> Tensor:
    """Groups in the order in which the mixed rows name them, until they have `count` rows; never all groups."""
    of_rows = groups[mixed.numpy()]
    names = list(dict.fromkeys(of_rows.tolist()))
    if len(names) < 2:
        raise DataError(f"task.group: one group alone found, {quoted(names[0])}; at least 2 are needed to split by")
    chosen: set[str] = set()
    for name in names[:-1]:
        chosen.add(name)
        if np.isin(of_rows, list(chosen)).sum() >= count:
            break
    return mixed[torch.from_numpy(np.isin(of_rows, list(chosen)))].sort().values


def _named(content: Content, split: Split) -> Tensor:
    assert content.splits is not None
    strangers = sorted(set(content.splits.tolist()) - set(SPLITS))
    if strangers:
        raise DataError(f"{content.place}: split {quoted(strangers[0])} found, one of {', '.join(SPLITS)} expected")
    return torch.from_numpy(np.flatnonzero(content.splits == split))


def _check_groups(place: str, groups: Array, splits: Array) -> None:
    """DataError for a group on two sides of a split that is given."""
    sides: dict[str, str] = {}
    for group, split in zip(groups.tolist(), splits.tolist(), strict=True):
        if sides.setdefault(group, split) != split:
            raise DataError(f"{place}: group {quoted(group)} found in {sides[group]} and in {split}, one expected")
