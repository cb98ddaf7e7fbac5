"""Symbols and order of a task, what a pass costs as published, both read once; and whether a data set is here."""

from __future__ import annotations

from functools import lru_cache

import pandas as pd
import torch
from torch import Tensor

from ... import files
from ...config import Task, Treebank
from ...errors import MissingData, WorkbenchError
from ...tasks import download, load, spec
from ...tasks.treebank import LETTERS


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


def at_hand(data: str) -> bool:
    """Say whether a data set is on this machine."""
    try:
        return bool(download.locate(data, fetch=False))
    except WorkbenchError:
        return False
