"""Sequences to begin with, which `path` of the notebook your_sequences may name in place of a file."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import files
from ..errors import MissingData
from ..tasks import download, speech
from ..tasks.skeletons import utd

VOWELS = "JapaneseVowels_TRAIN.ts", "JapaneseVowels_TEST.ts"


def ready(path: str) -> dict[str, Any]:
    """The notebook's parameters that belong to a `path`: a ready example's file, split, step and unit; else the path.

    Without a path Japanese Vowels where they are at hand, else the digits.
    """
    name = path or ("digits" if _vowels() is None else "japanese_vowels")
    return READY[name]() if name in READY else {"path": path}


def japanese_vowels() -> dict[str, Any]:
    """Nine speakers by 12 coefficients of a vowel, 7 to 29 steps: two files of the UEA archive, its own split."""
    folder = _vowels()
    if folder is None:
        raise MissingData(f"path: {' and '.join(VOWELS)} are needed in the folder japanese_vowels of $WORKBENCH_DATA")
    train, test = (str(folder / name) for name in VOWELS)
    return {"path": train, "test_path": test}


def spoken_digits() -> dict[str, Any]:
    """Ten digits as raw waves, a sample a step, 1,148 to 18,262 of them; takes 0 to 4 are the test, 5 to 9 held out."""

    def arrays() -> dict[str, NDArray[Any]]:
        found = speech.recordings()
        part = np.empty(len(found.takes), "U5")
        for name, takes in speech.TAKES.items():
            part[np.isin(found.takes.numpy(), takes)] = name
        x, lengths = found.samples.numpy()[:, None], found.lengths.numpy()
        return {"x": x, "lengths": lengths, "y": found.digits.numpy(), "part": part}

    return {"path": _written("spoken_digits", arrays), "split": "part", "step": 1 / 8000, "unit": "s"}


def utd_mhad() -> dict[str, Any]:
    """27 actions by 20 joints, less the hip, 30 frames a second; subjects 2, 4, 6 and 8 are the test."""

    def arrays() -> dict[str, NDArray[Any]]:
        clips, who = utd.clips()
        joints = clips.frames[:, 0] - clips.frames[:, 0, utd.HIP : utd.HIP + 1]
        part = np.where(np.isin(who, utd.TRAINED), "train", "test")
        x = joints.reshape(len(joints), -1)
        return {"x": x, "lengths": clips.length, "y": clips.label + 1, "who": who, "part": part}

    path = _written("utd_mhad", arrays)
    return {"path": path, "split": "part", "group": "who", "step": 1 / 30, "unit": "s"}


def digits() -> dict[str, Any]:
    """Ten digits of 8 by 8 pixels, eight steps of eight channels each: scikit-learn's, their test drawn."""

    def arrays() -> dict[str, NDArray[Any]]:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        return {"x": bunch.images.astype(np.float32), "y": bunch.target}

    return {"path": _written("digits", arrays)}


READY: Mapping[str, Callable[[], dict[str, Any]]] = {
    example.__name__: example for example in (japanese_vowels, spoken_digits, utd_mhad, digits)
}


def _vowels() -> Path | None:
    chosen = os.environ.get("WORKBENCH_DATA")
    for root in [*([Path(chosen)] if chosen else []), download.cache()]:
        folder = root / "japanese_vowels"
        if all((folder / name).is_file() for name in VOWELS):
            return folder
    return None


def _written(name: str, arrays: Callable[[], dict[str, NDArray[Any]]]) -> str:
    """The path of an .npz in results/examples, made of what the data set's own files hold where it is not there yet."""
    path = files.results() / "examples" / f"{name}.npz"
    if not path.is_file():
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays())
        files.make_folder(path.parent)
        files.publish(path, content.getvalue(), replace=True)
    return str(path)
