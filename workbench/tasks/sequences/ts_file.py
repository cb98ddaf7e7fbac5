"""The .ts files of the UEA and UCR archives: lines of `@name value`, `@data`, then a sequence a line.

Its channels stand between colons, their values between commas, the answer last; `?` is a missing value. `@classLabel
true` and the classes, or `@targetLabel true` for numbers, say what the answer is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import DataError, ParameterError, quoted, reading
from .content import Array, Content, answers, as_float32, in_a_row, refuse
from .settings import Sequences


def read(path: Path, config: Sequences) -> Content:
    """The sequences of a .ts file. Raises DataError that names the line."""
    refuse(config, ".ts", "target", "group", "split", "sequence", "time", "columns")
    if config.each_step:
        raise ParameterError("task.each_step: True received; a .ts file has one answer a sequence; leave it out")
    with reading(path, UnicodeDecodeError):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    header: dict[str, list[str]] = {}
    sequences: list[Array] = []
    found: list[str] = []
    data = False
    for number, line in enumerate(map(str.strip, lines), 1):
        place = f"{path}: line {number}"
        if not line or line.startswith(("#", "%")):
            continue
        if not data:
            name, *values = line.removeprefix("@").split() or [""]
            if not line.startswith("@") or not name:
                raise DataError(f"{place}: {quoted(line[:60])} found, @data or another @name expected")
            header[name.lower()] = values
            if data := name.lower() == "data":
                _check(header, config, str(path))
            continue
        *channels, answer = line.split(":")
        sequences.append(_sequence(channels, place))
        if sequences[-1].shape[1] != sequences[0].shape[1]:
            raise DataError(f"{place}: {len(channels)} channels found, {sequences[0].shape[1]} expected as before")
        classes = header.get("classlabel", [])[1:]
        if classes and answer.strip() not in classes:
            raise DataError(
                f"{place}: class {quoted(answer.strip()[:60])} found, one of {', '.join(classes)[:80]} expected"
            )
        found.append(answer.strip())
    if not sequences:
        raise DataError(f"{path}: no sequence behind a line @data found")
    row, lengths = in_a_row(np.concatenate(sequences), np.array([len(each) for each in sequences], dtype=np.int64))
    made = answers(np.array(found, dtype=object), config, f"{path}: answers")
    return Content(str(path), row, lengths, sequences[0].shape[1], made)


def _check(header: dict[str, list[str]], config: Sequences, place: str) -> None:
    """Refuse times of their own, and answers of another kind than is asked."""
    said = {name: (values[0].lower() if values else "") for name, values in header.items()}
    if said.get("timestamps") == "true":
        raise DataError(f"{place}: @timeStamps true found; sequences of values alone are read")
    kind = "class" if said.get("classlabel") == "true" else "real" if said.get("targetlabel") == "true" else None
    if kind is None:
        raise DataError(f"{place}: neither @classLabel true nor @targetLabel true found, an answer expected")
    if kind != config.answer:
        raise ParameterError(f"task.answer: {config.answer!r} received; {place} has answers of kind {kind!r}")


def _sequence(channels: list[str], place: str) -> Array:
    """The values of a line (steps, channels), `?` as nan."""
    rows = []
    for channel in channels:
        cells = ["nan" if cell.strip() == "?" else cell for cell in channel.split(",")]
        if "_" in channel:
            raise DataError(f"{place}: {quoted(channel[:40])} found, numbers expected")
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError as error:
            raise DataError(f"{place}: {str(error)[:80]}, a number expected") from None
        if len(rows[-1]) != len(rows[0]):
            raise DataError(f"{place}: {len(rows[-1])} values found, {len(rows[0])} expected as in the channel before")
    if not rows:
        raise DataError(f"{place}: no channel found before the answer")
    return as_float32(np.array(rows).T)
