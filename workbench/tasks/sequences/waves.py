"""A folder of .wav files: each is a sequence, a sample a step, and stays on disk until it is read.

The folder that a file lies in is its class: FOLDER/yes/1.wav. Or `target` names a column of FOLDER/index.csv, whose
column `file` has the files' paths within the folder, and `group` and `split` others.
"""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from ...errors import DataError, ParameterError, choices, quoted, understood
from . import tables
from .content import Array, Content, answers, labels, one_of, refuse
from .settings import Sequences


def read(folder: Path, config: Sequences) -> Content:
    """The recordings of a folder. Raises DataError for a file that is no .wav, or is unlike the first one."""
    refuse(config, "a folder of .wav files", "sequence", "time", "columns")
    if config.each_step:
        raise ParameterError(
            "task.each_step: True received; a folder of .wav files has one answer a file; leave it out"
        )
    texts: dict[str, Array] = {}
    if config.target is None:
        refuse(config, "a folder without task.target", "group", "split")
        paths = files(folder)
        made = answers(np.array([path.parent.name for path in paths], dtype=object), config, str(folder))
    else:
        index = folder / "index.csv"
        frame = tables.loaded(index).rename(columns=str)
        known = [str(name) for name in frame.columns]
        if "file" not in known:
            raise DataError(f"{index}: columns {choices(known)[:200]} found, one named file expected")
        paths = [_within(folder, str(name), index) for name in frame["file"]]
        if again := [path for path, n in Counter(path.resolve() for path in paths).items() if n > 1]:
            raise DataError(f"{index}: file {quoted(str(again[0]))} found twice, each once expected")
        cells = {
            name: frame[one_of(name, wanted, known, str(index))].to_numpy()
            for name in ("target", "group", "split")
            if (wanted := getattr(config, name)) is not None
        }
        made = answers(cells.pop("target"), config, f"{index}: {config.target}")
        texts = {name: labels(found, f"{index}: {name}") for name, found in cells.items()}
    shapes = [(rate, *wave.shape) for rate, wave in map(_open, paths)]
    for path, (rate, _, channels) in zip(paths, shapes, strict=True):
        if (rate, channels) != (shapes[0][0], shapes[0][2]):
            found = f"{channels} channels at {rate} Hz found, {shapes[0][2]} at {shapes[0][0]} Hz expected"
            raise DataError(f"{path}: {found} as in {paths[0].name}")
    lengths = np.array([steps for _, steps, _ in shapes], dtype=np.int64)

    def samples(row: int) -> Array:
        found = wave(paths[row])
        if found.shape != shapes[row][1:]:
            raise DataError(
                f"{paths[row]}: {len(found)} samples found, {lengths[row]} expected as when it was first read"
            )
        return found

    rate = (f"a rate of {shapes[0][0]} Hz",)
    return Content(str(folder), samples, lengths, shapes[0][2], made, texts.get("group"), texts.get("split"), rate)


def files(folder: Path) -> list[Path]:
    """The .wav files of a folder and the folders in it, by name."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".wav" and path.is_file())
    if not found:
        raise DataError(f"{folder}: no .wav file found; task.path names a file, or a folder of .wav files")
    return found


def wave(path: Path) -> Array:
    """The samples of a .wav file (samples, channels), as float32; whole numbers as shares of their largest."""
    samples = _open(path)[1]
    if samples.dtype.kind == "f":
        return np.array(samples, dtype=np.float32)
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    found: Array = (samples.astype(np.float32) - half * (samples.dtype.kind == "u")) / half
    return found


def _open(path: Path) -> tuple[int, Array]:
    """The rate of a .wav file and its samples (samples, channels), which stay on disk where they can."""
    from scipy.io import wavfile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of chunks that hold no samples
        with understood(f"{path}: not a .wav file"):
            try:
                rate, samples = wavfile.read(path, mmap=True)
            except ValueError:  # 24 bits a sample, or fewer samples than are claimed
                warnings.filterwarnings("error", "Reached EOF")
                rate, samples = wavfile.read(path)
    if samples.ndim not in (1, 2) or samples.size == 0 or samples.dtype.kind not in "fiu" or not rate:
        raise DataError(f"{path}: {samples.shape} samples of {samples.dtype} found, at least 1 expected")
    return int(rate), samples.reshape(len(samples), -1)


def _within(folder: Path, name: str, index: Path) -> Path:
    """A .wav file that lies in the folder, of an index that somebody else may have written."""
    path = folder / name
    there = path.is_file() and path.suffix.lower() == ".wav"
    if not there or not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{index}: file {quoted(name)} found, a file within the folder expected that ends in .wav")
    return path
