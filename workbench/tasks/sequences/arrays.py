"""Arrays: .npz, unpacked into memory; and .npy, which stays on disk and is read a sequence at a time.

`x`: (n, T, channels), or (n, T) of one channel, padded with nan where lengths differ or cut by an array `lengths` (n,);
or, with `lengths`, all sequences in a row, (sum of lengths, channels). `y`, or what `target` names: (n,), or one a
step: (n, T) padded, or (sum of lengths,). A .npz holds them by these names, any other array by its own; a .npy file is
the x, its other arrays are files beside it: y.npy, lengths.npy, GROUP.npy.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError, understood
from .content import Array, Content, answers, as_float32, in_a_row, labels, one_of, real_steps, refuse
from .settings import Sequences

CAP = 2**33  # bytes that an .npz may unpack to


def read(path: Path, config: Sequences) -> Content:
    """The sequences of an .npz or .npy file. Raises DataError for what is no array of numbers, or does not fit."""
    kind = path.suffix.lower()
    refuse(config, kind, "sequence", "time", "columns")
    find, known = _members(path) if kind == ".npz" else _files(path)
    found = {name: find(name) for name in ("x", "lengths") if name in known}
    if "x" not in found:
        raise DataError(f"{path}: arrays {', '.join(sorted(known))[:200]} found, an array x expected")
    chosen = {"target": config.target or "y", "group": config.group, "split": config.split}
    named = {name: find(one_of(name, it, known, str(path))) for name, it in chosen.items() if it is not None}
    return content(found["x"], found.get("lengths"), named, config, str(path))


def content(x: Array, lengths: Array | None, named: dict[str, Array], config: Sequences, place: str) -> Content:
    """Sequences from arrays; `named` has `target` and, if asked for, `group` and `split`."""
    if x.dtype.kind not in "fiub" or x.ndim not in (2, 3) or 0 in x.shape[2:]:
        raise DataError(f"{place}: x: {x.shape} of {x.dtype} found, (n, T) or (n, T, channels) of numbers expected")
    if lengths is not None:
        if lengths.dtype.kind not in "iu" or lengths.ndim != 1:
            raise DataError(f"{place}: lengths: {lengths.shape} of {lengths.dtype} found, (n,) whole numbers expected")
        lengths = lengths.astype(np.int64)
        if (lengths < 0).any() or (lengths > 2**40).any():
            raise DataError(f"{place}: lengths: {lengths.min()} to {lengths.max()} found, numbers of steps expected")
    y = named["target"]
    if lengths is not None and x.ndim == 2 and x.shape[1] > 1 and len(lengths) == len(x) == lengths.sum():
        raise DataError(
            f"{place}: x: {x.shape} and lengths of 1 found, which may be steps or channels; give x as (n, T, channels)"
        )
    if lengths is not None and x.ndim == 2 and len(lengths) != len(x) == lengths.sum():
        row, lengths = in_a_row(x, lengths)
        read: Callable[[int], Array] = lambda i: as_float32(row(i))  # noqa: E731
        channels = x.shape[1]
    else:
        T = x.shape[1]
        if lengths is not None and (len(lengths) != len(x) or (len(x) and lengths.max() > T)):
            found = f"{len(lengths)} of up to {max(lengths, default=0)} steps found"
            raise DataError(f"{place}: lengths: {found}, {len(x)} of up to {T} expected")
        ends = real_steps(x) if lengths is None else lengths
        channels = 1 if x.ndim == 2 else x.shape[2]
        read, lengths = (lambda i: as_float32(x[i, : ends[i]]).reshape(-1, channels)), ends
        if config.each_step and y.shape == (len(x), T):
            y = np.concatenate([y[i, : ends[i]] for i in range(len(x))]) if len(x) else y.reshape(-1)
    n = int(lengths.sum()) if config.each_step else len(lengths)
    if y.shape != (n,):
        raise DataError(
            f"{place}: answers: {y.shape} found, ({n},) expected; task.each_step says whether one a step is asked"
        )
    for name in ("group", "split"):
        if name in named and named[name].shape != (len(lengths),):
            raise DataError(f"{place}: {name}: {named[name].shape} found, ({len(lengths)},) expected")
    texts = {name: labels(named[name], f"{place}: {name}") for name in ("group", "split") if name in named}
    made = answers(y, config, f"{place}: answers")
    return Content(place, read, lengths, channels, made, texts.get("group"), texts.get("split"))


def beside(path: Path) -> dict[str, Path]:
    """The .npy files of a folder by the names of their arrays, `path` as x."""
    return {each.stem: each for each in sorted(path.parent.glob("*.npy"))} | {"x": path}


def _files(path: Path) -> tuple[Callable[[str], Array], list[str]]:
    """x.npy, and the arrays beside it by their names."""
    files = beside(path)

    def find(name: str) -> Array:
        with understood(f"{files[name]}: not an .npy array of numbers or text"):
            array: Array = np.lib.format.open_memmap(files[name], mode="r")
        return array

    return find, list(files)


def _members(path: Path) -> tuple[Callable[[str], Array], list[str]]:
    """The arrays of an .npz, by their names."""
    with understood(f"{path}: not an .npz archive"), zipfile.ZipFile(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    if (size := sum(sizes.values())) > CAP:
        raise DataError(f"{path}: unpacks to {size} bytes, at most {CAP} are read into memory; an .npy stays on disk")

    def find(name: str) -> Array:
        with understood(f"{path}: {name}: not an array of numbers or text"), zipfile.ZipFile(path) as archive:
            with archive.open(f"{name}.npy") as file:
                _check_header(file, np.lib.format.read_magic(file), sizes[f"{name}.npy"])
            with archive.open(f"{name}.npy") as file:
                array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array

    return find, [name.removesuffix(".npy") for name in sizes if name.endswith(".npy")]


def _check_header(file: Any, version: tuple[int, int], size: int) -> None:
    """ValueError where a header claims more than its member holds, before room is made for it."""
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the format found, (1, 0) or (2, 0) expected")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if claimed > size:
        raise ValueError(f"{claimed} bytes claimed, {size} found")
