"""Records of one's own sequences, which the explorers take by the name of their file."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from pathlib import Path
from typing import cast

from ... import files
from ...config import Config, Model, Task
from ...config.model import FIELDS
from ...errors import WorkbenchError
from ...runs.folder import find
from ...runs.record import Record
from ...tasks import data_hashes, load
from ...tasks.sequences import Sequences, SequencesTask
from .base import NAMES

MOST = 20  # of them, the newest
SHARED = ("dropout", "dropout_last", "readout_init")  # what all kinds of net have
Data = tuple[tuple[str, str], ...]  # the hashes of what a task reads


def found() -> dict[str, Record]:
    """Name -> record of an IndRNN that was trained on one's own sequences: those by name first, then by a config; the
    newest first.

    The first of a file has the file's name, a folder's with a slash; the others have their run's id. Not among them:
    records without weights, those whose data are gone or are others now, and those that answer each step.
    """
    return _found(files.runs())


def look_again() -> dict[str, Record]:
    """Look for them anew, in a store that may have changed."""
    _found.cache_clear()
    return found()


@lru_cache(maxsize=1)
def _found(store: Path) -> dict[str, Record]:
    kept = []
    for run in find(store):
        with contextlib.suppress(WorkbenchError, OSError):
            if _seen(record := Record(run)):
                kept.append((record.experiment == "custom", -run.path.stat().st_mtime_ns, record))
    named: dict[str, Record] = {}
    for _, _, record in sorted(kept, key=lambda row: row[:2])[:MOST]:
        name = file_of(record)
        named[record.id if name in named else name] = record
    return named


def _seen(record: Record) -> bool:
    if record.spec["config"].get("task", {}).get("name") != "sequences":
        return False
    task, model = record.config.task, record.config.model
    fits = isinstance(task, Sequences) and not task.each_step and model.has_u and model.kind in NAMES
    return fits and bool(record.run.checkpoints() and record.evaluations) and data_hashes(task) == record.spec["data"]


def file_of(record: Record) -> str:
    """The name of the file or folder that a record's sequences were read from."""
    path = Path(cast(Sequences, record.config.task).path)
    return f"{path.name}/" if path.is_dir() else path.name


def titles() -> dict[str, str]:
    """Name -> the file, the net and the seed in words."""
    words = {}
    for name, record in found().items():
        model = record.config.model
        width = f" of {model.hidden}" if "hidden" in FIELDS[model.kind] else ""
        layers = f"{model.depth} layer{'s' * (model.depth > 1)}{width}, " if "depth" in FIELDS[model.kind] else ""
        words[name] = f"{file_of(record)}: {NAMES[model.kind]}, {layers}seed {record.seed}"
    return words


def of_kind(config: Config, kind: str, **shape: object) -> Config:
    """Another kind of net, or one of another shape, trained alike on the same sequences: the config where none differs.

    `shape` has the fields of the model that are other ones, such as `depth`.
    """
    known = {*FIELDS[kind], *SHARED}
    kept = {name: value for name, value in config.model.model_dump(exclude_defaults=True).items() if name in known}
    model = Model.model_validate(kept | {"kind": kind} | shape)
    train = config.train if model.has_u else config.train.model_copy(update={"u_lr": 1.0})
    return Config(task=config.task, model=model, train=train)


def guess(of: Task, seed: int, data: Data) -> tuple[float, str]:
    """The validation score of one who does not look at the sequences, and what is answered then.

    Always the commonest class of training, in per cent right, or the mean of the training answers, as a squared error.
    """
    task = loaded(of, seed, data)
    train, valid = task.y[task.rows["train"]], task.y[task.rows["valid"]]
    if not task.classes:
        error = float((valid - train.mean()).square().mean())
        return error, f"always the mean: {error:.3g}"
    commonest = train.mode().values
    right = float(100 * (valid == commonest).float().mean())
    return right, f"always “{task.classes[int(commonest)]}”: {right:.3g} %"


def good(of: Task, seed: int, data: Data) -> tuple[float, str]:
    """The validation score from which on a net has learnt its task, and what it means."""
    level, _ = guess(of, seed, data)
    if not loaded(of, seed, data).classes:
        return level / 2, "the error is half of guessing's"
    return (level + 100) / 2, f"{(level + 100) / 2:.3g} % are right, half-way from guessing to all"


def answer(task: Task, seed: int, data: Data, number: float) -> str:
    """An answer in words: the class of a number, or a number in its own unit."""
    known = loaded(task, seed, data)
    if known.classes:
        return known.classes[int(number)]
    return f"{number * known.answer_scaling.deviation[0] + known.answer_scaling.mean[0]:.4g}"


@lru_cache(maxsize=4)
def loaded(task: Task, seed: int, data: Data) -> SequencesTask:
    """The sequences of these hashes under a seed, read, split and scaled once."""
    return cast(SequencesTask, load(task, seed, 1))
