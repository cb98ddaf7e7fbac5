"""Sequences that a program holds: arrays, lists of arrays, tables with a row a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from ...errors import ParameterError, quoted, understood
from . import tables
from .content import Array, as_float32, in_a_row, real_steps

Found = tuple[Callable[[int], Array], Array, int]  # `read`, `lengths` and channels, as a Content has them


def listed(X: Any) -> Any:
    """X as it is, but a list of sequences for a Series or an array of objects, and nan for what a mask leaves out."""
    if isinstance(X, pd.Series) or (isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind == "O"):
        return list(X)
    return np.ma.filled(X.astype(np.float64), np.nan) if isinstance(X, np.ma.MaskedArray) else X


def channels(X: Any) -> pd.DataFrame | None:
    """The table whose columns are the channels of X: X itself, or the first in a list of them."""
    first = X[0] if isinstance(X, list | tuple) and X else X
    return first if isinstance(first, pd.DataFrame) and (first is not X or X.index.nlevels > 1) else None


def read(X: Any, place: str = "X") -> Found | None:
    """The sequences of X; None where it is neither (n, T, channels), nor a list of them, nor a table with two levels.

    Raises ParameterError or DataError for what holds no numbers, or not the same channels throughout.
    """
    if isinstance(X, list | tuple) and (not X or _ragged(X)):
        return _of_list(X, place)
    if isinstance(X, pd.DataFrame) and X.index.nlevels > 1:
        return _of_table(X, place)
    if getattr(X, "ndim", 0) != 3:
        return None
    values = np.asarray(X)
    if values.dtype.kind not in "fiub" or 0 in values.shape:
        raise ParameterError(
            f"{place}: {values.shape} of {values.dtype} received; (n, T, channels) of numbers is needed"
        )
    return rows(values)


def rows(values: Array) -> Found:
    """The sequences of an array (n, T, channels), each closed by nan where it is shorter."""
    ends = real_steps(values)
    return (lambda row: as_float32(values[row, : ends[row]])), ends, values.shape[2]


def _ragged(X: Any) -> bool:
    """Say whether a list holds sequences, of several channels or of lengths that differ."""
    try:
        shapes = {np.shape(each) for each in X if isinstance(each, np.ndarray | Tensor | pd.DataFrame | list | tuple)}
    except ValueError:  # a list of lists of unequal lengths
        return True
    return any(len(shape) > 1 for shape in shapes) or len(shapes) > 1


def _of_list(X: Any, place: str) -> Found:
    """Arrays (steps, channels) or (steps,), each of its own length."""
    found: list[Array] = []
    for index, each in enumerate(X):
        with understood(f"{place}: sequence {index}: no array (steps, channels)"):
            array = tables.numbers_of(each, place) if isinstance(each, pd.DataFrame) else np.asarray(listed(each))
        if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or 0 in array.shape:
            received = f"{array.shape} of {array.dtype} received"
            raise ParameterError(f"{place}: sequence {index}: {received}; (steps, channels) of numbers is needed")
        found.append(as_float32(array.reshape(len(array), -1)))
        if (count := found[-1].shape[1]) != (first := found[0].shape[1]):
            raise ParameterError(f"{place}: sequence {index}: {count} channels received; the first has {first}")
        names, wanted = (getattr(one, "columns", None) for one in (each, X[0]))
        if names is not None and not names.equals(wanted):
            received = f"columns {quoted(names.tolist())} received"
            raise ParameterError(f"{place}: sequence {index}: {received}; the first has other ones, or another order")
    if not found:
        raise ParameterError(f"{place}: {quoted(X)} received; at least one sequence is needed")
    lengths = np.array([len(each) for each in found], dtype=np.int64)
    return (*in_a_row(np.concatenate(found), lengths), found[0].shape[1])


def _of_table(X: pd.DataFrame, place: str) -> Found:
    """A row a step; the index says of which sequence and at what time it is."""
    if X.index.nlevels != 2:
        raise ParameterError(f"{place}: an index of {X.index.nlevels} levels received; sequence and step are needed")
    values = tables.numbers_of(X, place)
    name, time = (X.index.get_level_values(level).to_series(index=pd.RangeIndex(len(X))) for level in (0, 1))
    order, lengths = tables.in_order(name.rename("sequence"), time.rename("step"), place)
    return *in_a_row(values[order], lengths), X.shape[1]
