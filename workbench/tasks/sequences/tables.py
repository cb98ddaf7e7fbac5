"""Tables, .csv and .parquet: a row a sequence, or a row a step.

A row a sequence: the columns are the steps of one channel, a shorter sequence leaves its last ones empty. A row a step:
`sequence` names the column that tells the sequences apart, `time` the one that orders their steps (their order in the
file, if none is given), and the columns are the channels; answers, groups and splits stand in every row. A table is
read into memory.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import DataError, MissingData, ParameterError, quoted, understood
from .content import Array, Content, answers, as_float32, in_a_row, labels, numbers, one_of, real_steps
from .settings import Sequences


def read(path: Path, config: Sequences) -> Content:
    """The sequences of a .csv or .parquet file. Raises DataError for what is no table or holds no numbers."""
    return content(loaded(path), config, str(path))


def loaded(path: Path) -> pd.DataFrame:
    """A .csv or .parquet file as a table; DataError for what is none."""
    with understood(f"{path}: not a table"):
        try:
            if path.suffix.lower() != ".csv":
                return pd.read_parquet(path)
            head = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
            named = pd.to_numeric(head, errors="coerce")
            if named.notna().all() and (named % 1 != 0).any():
                raise DataError(
                    f"{path}: a first line of numbers found, {quoted(head[0])} first, one of names expected"
                )
            if mark := next((mark for mark in ";\t" if len(head) == 1 and mark in str(head[0])), ""):
                raise DataError(
                    f"{path}: columns parted by {mark!r} found, by ',' expected, with a point in numbers: 1.5"
                )
            frame = pd.read_csv(path, low_memory=False)
        except UnicodeDecodeError:
            raise DataError(f"{path}: not a table: text in another encoding than UTF-8; save it as CSV UTF-8") from None
        except ImportError:
            raise MissingData(f"{path}: pyarrow is needed to read it: `pip install pyarrow`") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would shift the cells to the columns on their left
        n = len(frame.columns)
        raise DataError(
            f"{path}: {n + frame.index.nlevels} cells a row found under {n} names, a name for each expected"
        )
    if (again := head[head.duplicated() & head.notna()]).size:  # pandas would call it NAME.1
        raise DataError(f"{path}: column {quoted(again.iloc[0])} found twice")
    return frame


def content(frame: pd.DataFrame, config: Sequences, place: str) -> Content:
    """The sequences of a table whose columns the config names."""
    if frame.columns.duplicated().any():
        raise DataError(f"{place}: column {quoted(frame.columns[frame.columns.duplicated()][0])} found twice")
    frame = frame.rename(columns=str)
    known = [str(name) for name in frame.columns]
    if config.target is None:
        some = ", ".join([*known[:8], *["..."] * (len(known) > 8)])
        raise ParameterError(f"task.target: None received; the column of the answers is needed, one of {some}")
    asked = {name: getattr(config, name) for name in ("target", "group", "split", "sequence", "time")}
    named = {name: one_of(name, column, known, place) for name, column in asked.items() if column is not None}
    if config.columns is None:
        columns = [name for name in known if name not in named.values()]
        if unnamed := [name for name in columns if name.startswith("Unnamed: ")]:
            raise DataError(
                f"{place}: column {unnamed[0].removeprefix('Unnamed: ')}, counted from 0, has no name (an index that "
                "was saved?); task.columns chooses among the columns"
            )
    else:
        columns = [one_of("columns", name, known, place) for name in config.columns]
        if config.target in columns:
            raise ParameterError(f"task.columns: {quoted(config.target)} received, the answer itself; leave it out")
    if not columns or len(frame) == 0:
        raise DataError(f"{place}: {len(frame)} rows of {len(columns)} columns of numbers found, at least 1 expected")
    values = numbers_of(frame[columns], place, "; task.columns chooses among the columns")
    form = _row_a_sequence if config.sequence is None else _row_a_step
    layout = tuple(f"column {quoted(name)}" for name in columns)
    return replace(form(frame, values, named, config, place), layout=layout)


def _row_a_sequence(
    frame: pd.DataFrame, values: Array, named: dict[str, str], config: Sequences, place: str
) -> Content:
    if config.each_step:
        raise ParameterError("task.each_step: True received; it needs a table with a row a step: name task.sequence")
    ends = real_steps(values)
    texts = {k: labels(_cells(frame[named[k]]), f"{place}: {named[k]}") for k in ("group", "split") if k in named}
    made = answers(_cells(frame[named["target"]]), config, f"{place}: {named['target']}")
    return Content(place, lambda i: values[i, : ends[i], None], ends, 1, made, texts.get("group"), texts.get("split"))


def _row_a_step(frame: pd.DataFrame, values: Array, named: dict[str, str], config: Sequences, place: str) -> Content:
    order, lengths = in_order(frame[named["sequence"]], frame[named["time"]] if "time" in named else None, place)
    read, _ = in_a_row(values[order], lengths)
    starts = lengths.cumsum() - lengths

    def of_sequences(found: Array, column: str) -> Array:
        """The one value of each sequence, of those of its rows."""
        found = found[order]
        other = np.flatnonzero(found != np.repeat(found[starts], lengths))
        if other.size:
            hint = "; task.each_step asks for one answer a step" if column == named["target"] else ""
            row = int(order[other[0]])
            raise DataError(f"{place}: row {row}: a second {column} found in its sequence, one expected{hint}")
        first: Array = found[starts]
        return first

    made = answers(_cells(frame[named["target"]]), config, f"{place}: {named['target']}")
    made = made[order] if config.each_step else of_sequences(made, named["target"])
    texts = {
        name: of_sequences(labels(_cells(frame[named[name]]), f"{place}: {named[name]}"), named[name])
        for name in ("group", "split")
        if name in named
    }
    return Content(place, read, lengths, values.shape[1], made, texts.get("group"), texts.get("split"))


def in_order(sequence: pd.Series, time: pd.Series | None, place: str) -> tuple[Array, Array]:
    """The rows of a table, each sequence's behind each other, by time if it is given; and the sequences' lengths.

    `sequence` names the sequence of each row; they come in the order in which the rows name them. DataError for a time
    that is none, or stands twice in a sequence.
    """
    codes, _ = pd.factorize(labels(_cells(sequence), f"{place}: {sequence.name}"))
    order = np.argsort(codes, kind="stable")
    if time is not None:
        times = _times(time, f"{place}: {time.name}")
        order = np.lexsort((times, codes))
        again = np.flatnonzero((np.diff(codes[order]) == 0) & (np.diff(times[order]) == 0))
        if again.size:
            row = int(order[again[0] + 1])
            found = time.iloc[[row]].tolist()[0]
            raise DataError(f"{place}: row {row}: {time.name} {found} found a second time in its sequence")
    return order, np.bincount(codes).astype(np.int64)


def numbers_of(frame: pd.DataFrame, place: str, hint: str = "") -> Array:
    """A table of numbers (rows, columns) as float32, empty cells nan; DataError for a cell that is no number."""
    made = np.empty(frame.shape, dtype=np.float32)
    for index, name in enumerate(frame.columns):
        column = frame.iloc[:, index]
        with understood(f"{place}: column {quoted(name)}: not numbers"):  # one may have hundreds of digits
            if column.dtype.kind not in "fiub":
                found = pd.to_numeric(column.astype(object), errors="coerce")
                wrong = np.flatnonzero(found.isna().to_numpy() & column.notna().to_numpy())
                if wrong.size or column.dtype.kind in "mMc":
                    row = int(wrong[0]) if wrong.size else 0
                    cell = f"row {row}, column {quoted(name)}: {quoted(column.iloc[[row]].tolist()[0])}"
                    raise DataError(f"{place}: {cell} found, a number expected{hint}")
                column = found
            made[:, index] = as_float32(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return made


def _times(column: pd.Series, place: str) -> Array:
    """Numbers or dates that order the steps, as float64 or int64."""
    values = column
    if values.dtype.kind == "O" or str(values.dtype) in ("str", "string"):
        with suppress(ValueError, TypeError):
            values = pd.to_datetime(values, format="ISO8601")
    if values.dtype.kind in "iM" and not values.isna().any():  # as float64 two of them could become one
        found: Array = values.astype("int64").to_numpy()
        return found
    return numbers(_cells(column), place, ", or all dates like 2020-02-28 12:00:00 of one zone")


def _cells(values: pd.Series) -> Array:
    """A column as an array of numbers or of objects."""
    plain = isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiub"
    options: dict[str, Any] = {} if plain else {"dtype": object, "na_value": None}
    cells: Array = values.to_numpy(**options)
    return cells
