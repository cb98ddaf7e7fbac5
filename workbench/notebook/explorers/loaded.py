"""Test examples of a task, and what a pass costs as published: read once."""

from __future__ import annotations

from functools import lru_cache

import pandas as pd
import torch
from torch import Tensor

from ... import files
from ...config import Task, Treebank
from ...errors import MissingData
from ...tasks import Batch, load, spec
from ...tasks.sequences import Sequences
from ...tasks.treebank import LETTERS, TreebankTask
from . import own_records


@lru_cache(maxsize=8)
def batch(task: Task, seed: int, data: own_records.Data, count: int, alike: bool) -> Batch:
    """The first test examples of a task, of text its lines; of one's own sequences some, all `alike` in length."""
    if isinstance(task, Sequences):
        return own_records.loaded(task, seed, data).sample("test", count, alike)
    known = load(task, seed, 1)
    if not isinstance(known, TreebankTask):
        return next(iter(known.examples("test", count)))
    text, T = known.text.tokens["test"], known.spec.steps  # the first lines, each read from its beginning
    ends = (text[: len(text) - T] == known.end).nonzero()[:count, 0]
    at = ends + torch.arange(T)[:, None]
    return Batch(text[at], text[at + 1])


@lru_cache(maxsize=4)
def symbols(task: Task, seed: int) -> tuple[str, ...]:
    """Symbols that the tokens of a text stand for; () where the task is not text."""
    if not isinstance(task, Treebank):
        return ()
    try:
        return tuple(load(task, seed, 1).text.vocabulary)  # type: ignore[attr-defined]
    except MissingData:  # a net of characters can be asked without them
        return tuple(LETTERS) if task.unit == "char" else ()


@lru_cache(maxsize=4)
def order(task: Task, seed: int) -> Tensor:
    """Pixels of the image in the order in which the steps read them, (T,)."""
    drawn = load(task, seed, 1).drawn()
    return torch.tensor(drawn.get("permutation", range(spec(task).steps)))


@lru_cache(maxsize=1)
def published_costs() -> dict[str, list[tuple[int, float]]]:
    """Milliseconds against T as measured once on two cores, kind -> (T, ms); empty where the file is not."""
    path = files.published() / "explorers" / "step_cost.csv"
    if not path.exists():
        return {}
    table = pd.read_csv(path)
    return {str(kind): list(zip(rows["T"], rows["ms"], strict=True)) for kind, rows in table.groupby("kind")}
