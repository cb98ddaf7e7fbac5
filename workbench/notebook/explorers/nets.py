"""The nets among which an explorer lets its reader choose, and the records that are there of a net."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from ... import files, paper
from ...config import Config, Kind, run_id
from ...errors import WorkbenchError
from ...models.build import without_values
from ...models.layer import Unit, recurrences
from ...runs.folder import Run, lookup
from ...runs.record import Record, there
from ...tasks import data_hashes, spec
from . import own_records

MNIST = ("seqmnist_plain6_cycle", "seqmnist_plain6")  # the better net first


def experiments(*kinds: str, steps: int = 1000, opened: bool = False) -> dict[str, str]:
    """Name -> title of experiments with these kinds of net whose records have weights, those always at hand first.

    Kinds that were added to those of the paper are among them if they have u; `opened`, if all of it is in our layers.
    Behind them those of one's own sequences.
    """
    first = ["seqdigits_plain6", "adding_indrnn_T100", *MNIST]
    names = [*first, *(name for name in paper.EXPERIMENTS if name not in first)]
    shown = {}
    for name in names:
        known = paper.EXPERIMENTS[name]
        task = known.config.task
        model, seen = known.config.model, spec(task)
        fits = model.kind in kinds
        if model.kind not in get_args(Kind) and model.has_u:
            fits = not opened or _opened(known.config)
        fits = fits and seen.target != "token" and task.name != "skeletons" and seen.steps <= steps
        if fits and (name == first[0] or find(known.config, 0)[1] is not None):
            shown[name] = known.title
    own = own_records.look_again()
    return shown | {n: title for n, title in own_records.titles().items() if not opened or _opened(own[n].config)}


def _opened(config: Config) -> bool:
    layers = [found.layer for found in recurrences(without_values(config.model, spec(config.task))).values()]
    return all(isinstance(layer, Unit) for layer in layers)


def find(config: Config, seed: int) -> tuple[int, Record | None]:
    """The furthest record of a config and seed that has something to show, behind its step; (0, None) if none has."""
    found = [(step, record) for record in _there(config, seed) if (step := _shown(record)) is not None]
    return max(found, key=lambda one: one[0], default=(0, None))


def evaluations(config: Config, seed: int) -> list[dict[str, Any]]:
    """The rows of the furthest record's curve, of a run under way too; none where there is no record."""
    curves = []
    for record in _there(config, seed):
        with contextlib.suppress(WorkbenchError):
            curves.append(record.evaluations)
    return max(curves, key=len, default=[])


def _there(config: Config, seed: int) -> list[Record]:
    try:
        name = run_id(config, seed, data_hashes(config.task))
    except WorkbenchError:
        return []
    found = there(name)
    if any(not record.published for record in found):
        return found
    run = lookup(shipped(), name)  # to look at until there is one's own
    return found if run is None else [Record(run), *found]


def shipped() -> Path:
    """The nets made for the explorers, whose batch norm has its clean statistics already."""
    return files.published() / "explorers" / "runs"


def _shown(record: Record) -> int | None:
    """The step of the weights that a record has to show; None without an evaluation or a checkpoint."""
    folder = record.run.path
    try:
        changed = (folder / "events.jsonl").stat().st_mtime_ns, folder.stat().st_mtime_ns
        return _step(folder, changed) if record.run.checkpoints() else None
    except (OSError, WorkbenchError):
        return None


@lru_cache(maxsize=1024)
def _step(folder: Path, changed: tuple[int, int]) -> int | None:
    """Read once for every state of the record's files: an explorer asks at each move."""
    record = Record(Run(folder))
    return record.step if record.evaluations else None
