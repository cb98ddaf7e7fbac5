"""Sequences that a program holds are read alike in every form, or it is said what is wrong."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import DataError, ParameterError
from workbench.tasks.sequences import in_memory


def given():
    """Four sequences (steps, 2) of 3 to 6 steps."""
    return [np.arange(2.0 * steps).reshape(steps, 2) - steps for steps in (4, 3, 6, 5)]


def table():
    """The same with a row a step, its rows mixed but for the first of each."""
    whole = pd.concat({i: pd.DataFrame(each, columns=["a", "b"]) for i, each in zip("xwzy", given(), strict=True)})
    rest = np.flatnonzero(whole.index.get_level_values(1) > 0)
    return whole.iloc[[0, 4, 7, 13, *np.random.default_rng(0).permutation(rest)]]


def objects():
    found = np.empty(4, object)
    found[:] = given()
    return found


def frames():
    return [pd.DataFrame(each, columns=["a", "b"]).convert_dtypes() for each in given()]


@pytest.mark.parametrize("form", [table, objects, frames, lambda: pd.Series(given()), lambda: pd.Series(frames())])
def test_every_form_is_read_alike(form):
    read, lengths, channels = in_memory.read(in_memory.listed(form()))
    assert (lengths.tolist(), channels) == ([4, 3, 6, 5], 2)
    for row, each in enumerate(given()):
        np.testing.assert_array_equal(read(row), each)


def test_what_is_masked_is_missing():
    values = np.arange(12).reshape(2, 3, 2)
    hidden = values == 2
    each = [np.ma.masked_array(v, h) for v, h in zip(values, hidden, strict=True)]
    for form in (np.ma.masked_array(values, hidden), each):
        read, lengths, _ = in_memory.read(in_memory.listed(form))
        np.testing.assert_array_equal(read(0), [[0, 1], [np.nan, 3], [4, 5]])
        assert lengths.tolist() == [3, 3]


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([[[1, 2], [3]], [[1, 2], [3, 4]]], "sequence 0: no array"),
        ([], "at least one sequence is needed"),
        ([frames()[0], frames()[1][["b", "a"]]], r"sequence 1: columns \['b', 'a'\] received"),
        (pd.concat([table(), table().iloc[:1]]), "row 18: step 0 found a second time"),
        (table().rename(index={"z": None}), "sequence: row 2: None found"),
        (pd.concat({1: table()}), "index of 3 levels received"),
        (table().assign(b="word"), "row 0, column 'b': 'word' found, a number expected$"),
    ],
)
def test_what_cannot_be_read_is_said(X, words):
    with pytest.raises((DataError, ParameterError), match=words):
        in_memory.read(X)
