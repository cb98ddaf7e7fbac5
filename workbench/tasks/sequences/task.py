"""The task of one's own sequences: split, filled, scaled by the training part alone, in batches of like length."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...errors import DataError, MissingData, ParameterError, choices, quoted, reading
from ..contract import Batch, Spec, Split
from ..lengths import ByLength, thinned
from . import arrays, split, tables, ts_file, waves
from .content import Content
from .scaling import Scaling, checked, measured
from .settings import Sequences

READERS: dict[str, Callable[[Path, Sequences], Content]] = {
    ".npz": arrays.read,
    ".npy": arrays.read,
    ".csv": tables.read,
    ".parquet": tables.read,
    ".ts": ts_file.read,
}
SAMPLED = 2**17  # steps, padding included, of a sample to look into: bounds its memory


class SequencesTask(ByLength):
    """x (longest, B, channels), lengths (B,) where they differ; y (B,), or (longest, B) where each step is answered.

    `rows` has the rows of each part, in the content's order; `classes` the class of each output; `scaling` what was
    done to the channels and `answer_scaling` to answers that are numbers.
    """

    def __init__(self, content: Content, config: Sequences, seed: int, batch_size: int):
        self.content, self.config = content, config
        every = split.parts(content, config, seed)
        rows = {name: thinned(rows, config.limit) for name, rows in every.items()}
        super().__init__(rows, torch.from_numpy(content.lengths), seed, batch_size)
        self.classes = classes(content) if config.answer == "class" else ()
        self.spec = spec_of(content, config)
        checked(content, config.missing)
        self.scaling, self.answer_scaling = measured(content, every["train"].tolist(), config)
        own = ", less its sequence's own mean, over its own deviation" * (config.scaling == "sequence")
        gaps = "" if config.missing == "error" else ", missing ones filled"
        self.scaler = self.scaling.line(f"values of the channels as they were found{own}{gaps}")
        self.answer_scaler = None if self.classes else self.answer_scaling.line("the answer in its own unit")
        self.y = self._answers()

    def sample(self, split: Split, count: int, alike: bool = False) -> Batch:
        """At most `count` sequences of a part, evenly spread, fewer where they are long; `alike`: of one length."""
        rows = self.rows[split]
        if alike:
            rows = rows[self.lengths[rows] == self.lengths[rows].mode().values]
        return self.read(thinned(rows, max(1, min(count, SAMPLED // int(self.lengths[rows].max())))))

    def drawn(self) -> dict[str, Any]:
        """The rows held out, and all that turns a value into what a net reads."""
        held = {name: self.rows[name].tolist() for name in ("valid", "test")}
        return held | {"classes": list(self.classes)} | self.scaling.told("") | self.answer_scaling.told("answer_")

    def read(self, rows: Tensor) -> Batch:
        x, lengths = padded(self.content, self.scaling, rows)
        if not self.spec.each_step:
            y = self.y[rows]
        else:
            first = self.content.starts[rows.numpy()].tolist()
            pieces = [self.y[start : start + n] for start, n in zip(first, self.lengths[rows].tolist(), strict=True)]
            y = pad_sequence(pieces, padding_value=-1 if self.classes else float("nan"))
        return Batch(x, y, lengths)

    def _answers(self) -> Tensor:
        """The number of each class, int64, or the scaled number, float32."""
        if not self.classes:
            return torch.from_numpy(self.answer_scaling.of(self.content.answers[:, None])[:, 0])
        number = {name: index for index, name in enumerate(self.classes)}
        return torch.tensor([number[name] for name in self.content.answers.tolist()])


def padded(content: Content, scaling: Scaling, rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """The sequences of these rows as a net reads them, padded with 0.

    -> x (T, B, channels), and lengths (B,), None where all are alike.
    """
    x = pad_sequence([torch.from_numpy(scaling.of(content.read(row))) for row in rows.tolist()])
    lengths = torch.from_numpy(content.lengths)[rows]
    return x, None if bool((lengths == len(x)).all()) else lengths


def spec(config: Sequences) -> Spec:
    """The task seen from a net, from the data's shapes; `steps` is the longest sequence's that is not of the test."""
    return spec_of(found(config), config)


def hashes(config: Sequences) -> dict[str, str]:
    """SHA-256 of the data a run reads, of several files that of their names and hashes: part of its name."""
    found = {name: _hash(_files(path, config)) for name, path in _places(config).items()}
    if len(set(found.values())) < len(found):
        raise ParameterError("task.test_path: what task.path holds received; the test needs sequences of its own")
    return found


def task(config: Sequences, seed: int, batch_size: int) -> SequencesTask:
    """The task under a seed, its data found, read and checked."""
    made = SequencesTask(found(config), config, seed, batch_size)
    for part in ("valid", "test"):
        if len(made.rows[part]) == 0:
            given = f"split: no {part!r} among {config.split!r}" if config.split and part == "test" else ""
            received = given or f"{part}: {getattr(config, part)} received"
            raise ParameterError(f"task.{received}; a run needs a sequence to be scored on")
    return made


def is_data(path: str) -> bool:
    """Say whether a path is that of a file or folder that is read as sequences."""
    try:
        return path != "" and (Path(path).suffix.lower() in READERS or Path(path).is_dir())
    except (OSError, ValueError):  # no path at all
        return False


def found(config: Sequences) -> Content:
    """The sequences that a config names, read once while their files stay as they are."""
    states = tuple(_state(file) for path in _places(config).values() for file in _files(path, config))
    content = _found(config.model_copy(update={"longest": None}), states)
    return content if config.longest is None else content.cut(config.longest)


@lru_cache(maxsize=2)
def _found(config: Sequences, states: tuple[tuple[int, int], ...]) -> Content:
    contents = [_read(path, config) for path in _places(config).values()]
    content = contents[0] if len(contents) == 1 else contents[0].joined(contents[1])
    n, count = len(content.answers), len(set(content.answers.tolist()))
    if config.answer == "class" and count > 20 and 2 * count > n:
        raise DataError(
            f"{content.place}: {count} classes among {n} answers found, fewer expected; task.answer='real' asks for "
            "numbers, where they are"
        )
    return content


def _read(path: Path, config: Sequences) -> Content:
    return waves.read(path, config) if path.is_dir() else READERS[path.suffix.lower()](path, config)


def _places(config: Sequences) -> dict[str, Path]:
    """`data` and, where there is one, `test`: the paths that are read."""
    given = {"path": config.path} | ({} if config.test_path is None else {"test_path": config.test_path})
    for name, path in given.items():
        if not path:
            raise ParameterError(f"task.{name}: a file or folder of sequences is needed")
        if not os.path.exists(path):  # which says so of a name that is none, too
            raise MissingData(f"task.{name}: {quoted(path)} is not there")
        if not is_data(path):
            kinds = f"a folder of .wav files, or a file {choices(READERS)}"
            raise ParameterError(f"task.{name}: {quoted(path)} received; {kinds} is needed")
    places = {"data" if name == "path" else "test": Path(path) for name, path in given.items()}
    if len(places) == 2:
        learnt, tested = ({file.resolve() for file in _files(path, config)} for path in places.values())
        if shared := sorted(learnt & tested):
            raise ParameterError(f"task.test_path: {shared[0]} is task.path's too; the test needs files of its own")
    return places


def _files(path: Path, config: Sequences) -> tuple[Path, ...]:
    """The files that are read for a path."""
    if path.is_dir():
        index = path / "index.csv"
        return (*waves.files(path), *([index] if index.is_file() else []))
    if path.suffix.lower() != ".npy":
        return (path,)
    names, beside = dict.fromkeys((config.target or "y", "lengths", config.group, config.split)), arrays.beside(path)
    return (path, *(beside[name] for name in names if name in beside))


def _state(path: Path) -> tuple[int, int]:
    told = path.stat()
    return told.st_size, told.st_mtime_ns


def _hash(files: tuple[Path, ...]) -> str:
    hashed = [_hash_one(path, _state(path)) for path in files]
    if len(files) == 1:
        return hashed[0]
    top = os.path.commonpath([path.parent for path in files])
    lines = [f"{digest}  {path.relative_to(top).as_posix()}\n" for digest, path in zip(hashed, files, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@lru_cache(maxsize=4096)
def _hash_one(path: Path, state: tuple[int, int]) -> str:
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def spec_of(content: Content, config: Sequences) -> Spec:
    """The shape of a task; DataError where its answers cannot be what is asked."""
    outputs = len(classes(content)) if config.answer == "class" else 1
    if config.answer == "class" and outputs < 2:
        raise DataError(f"{content.place}: 1 class found, at least 2 expected")
    rest = np.delete(content.lengths, split.tested(content, config).numpy())
    steps = int((rest if len(rest) else content.lengths).max())
    return Spec(content.channels, outputs, steps, config.answer, config.each_step)


def classes(content: Content) -> tuple[str, ...]:
    """The classes in their order: by number where all are numbers, else by name."""
    names = sorted(set(content.answers.tolist()))
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(names)
