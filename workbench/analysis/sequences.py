"""Sequences of one's own as tables: what they are, what may give the answer away, which answers nets mistake."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ..errors import ParameterError
from ..tasks.contract import Split
from ..tasks.sequences.task import SequencesTask
from ..training import evaluate
from .statistics import wilson

PARTS: tuple[Split, ...] = ("train", "valid", "test")


def described(task: SequencesTask) -> pd.DataFrame:
    """A row a part: its sequences, their lengths in steps and in the user's unit, answers, groups."""
    config, rows = task.config, []
    for part in PARTS:
        chosen = task.rows[part]
        lengths = task.lengths[chosen]
        row: dict[str, Any] = {"part": part, "sequences": len(chosen), "channels": task.spec.inputs}
        if len(chosen):
            ends = {"shortest": lengths.min(), "median": lengths.median(), "longest": lengths.max()}
            row |= {f"{name}, steps": int(value) for name, value in ends.items()}
            if config.unit != "steps":
                row[f"longest, {config.unit}"] = float(lengths.max()) * config.step
        if task.content.groups is not None:
            row["groups"] = len(set(task.content.groups[chosen.numpy()].tolist()))
        rows.append(row | answers(task, chosen))
    return pd.DataFrame(rows).set_index("part")


def answers(task: SequencesTask, rows: Tensor) -> dict[str, Any]:
    """Counts of the answers of some sequences: the rarest and the commonest class, or mean and deviation of numbers."""
    if not len(rows):
        return {}
    y = np.concatenate([batch.y.flatten().numpy() for batch in map(task.read, rows.split(250))])
    if not task.classes:
        y = y[~np.isnan(y)]
        return {"answers": len(y), "mean answer, scaled": float(y.mean()), "deviation, scaled": float(y.std())}
    counts = np.bincount(y[y >= 0], minlength=len(task.classes))
    named = {"rarest": int(counts.argmin()), "commonest": int(counts.argmax())}
    return {"answers": int(counts.sum())} | {k: f"{task.classes[i]} ({counts[i]:,})" for k, i in named.items()}


def leaks(task: SequencesTask) -> pd.DataFrame:
    """A row a way in which the test can be answered without having learnt what is meant: what was looked for, what was
    found, and what it means."""
    content, train, test = task.content, task.rows["train"].numpy(), task.rows["test"].numpy()
    seen = {_hash(content.read(int(row))) for row in train}
    again = sum(_hash(content.read(int(row))) in seen for row in test)
    constant = _constant(task)
    rows = [
        ("test sequences that training has too, value for value", f"{again} of {len(test):,}", again > 0),
        ("channels that never change in training", ", ".join(map(str, constant)) or "none", bool(constant)),
    ]
    if content.groups is None:
        rows.append(("groups on both sides", "no groups were named", False))
    else:
        shared = {*content.groups[train].tolist()} & {*content.groups[test].tolist()}
        rows.append(("groups on both sides", ", ".join(sorted(shared)[:5]) or "none", bool(shared)))
    if task.classes and not task.spec.each_step:
        by_length, commonest = guesses(task)
        found = f"{100 * by_length:.1f} % right, {100 * commonest:.1f} % by the commonest class"
        rows.append(("the answer from the number of steps alone", found, wilson(by_length, len(test))[0] > commonest))
    return pd.DataFrame(rows, columns=["looked for", "found", "may give it away"]).set_index("looked for")


def guesses(task: SequencesTask) -> tuple[float, float]:
    """The shares of test answers that are right by the commonest training class of the nearest length, and by the
    commonest class of all."""
    train, test = task.rows["train"], task.rows["test"]
    lengths, y = task.lengths[train], task.y[train]
    commonest = int(y.bincount(minlength=len(task.classes)).argmax())
    right = 0
    for row in test.tolist():
        apart = (lengths - task.lengths[row]).abs()
        near = y[apart == apart.min()].bincount(minlength=len(task.classes))
        right += int(near.argmax()) == int(task.y[row])
    return right / len(test), float((task.y[test] == commonest).float().mean())


def confusion(net: nn.Module, task: SequencesTask) -> pd.DataFrame:
    """Test answers counted: a row a true class, a column an answered one. ParameterError where answers are numbers."""
    if not task.classes:
        raise ParameterError("task.answer: 'real' received; a confusion matrix is of classes")
    n = len(task.classes)
    counts = torch.zeros(n * n, dtype=torch.int64)
    for answered, y in answered_and_true(net, task):
        counts += (y * n + answered).bincount(minlength=n * n)
    names = pd.Index(task.classes, name="true"), pd.Index(task.classes, name="answered")
    return pd.DataFrame(counts.view(n, n).numpy(), *names)


@torch.no_grad()
def answered_and_true(net: nn.Module, task: SequencesTask) -> Iterator[tuple[Tensor, Tensor]]:
    """The class that a net answers and the true one, of every answer in the test, batch by batch."""
    for batch in task.examples("test", 250):
        output, _ = evaluate.answer(net, batch, task.spec.target)
        asked = batch.y >= 0
        yield output.argmax(-1)[asked], batch.y[asked]


def _hash(values: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest() + str(values.shape)


def _constant(task: SequencesTask) -> list[int]:
    """The channels, from 0, that have one value in all of training."""
    low, high = np.full(task.spec.inputs, np.inf), np.full(task.spec.inputs, -np.inf)
    for row in task.rows["train"].tolist():
        values = task.content.read(row)
        low, high = np.fmin(low, np.nanmin(values, 0)), np.fmax(high, np.nanmax(values, 0))
    return np.flatnonzero(low == high).tolist()
