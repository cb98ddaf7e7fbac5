"""Variance components: tables whose parts are known, and the published intervals' coverage."""

import math

import numpy as np
import pandas as pd
import pytest

from workbench.analysis.components import components
from workbench.errors import ParameterError


def parts(values):
    return components(pd.DataFrame(values), "rows", "columns").set_index("between")


def test_the_components_are_those_of_the_mean_squares_by_hand():
    """Rows 1, 5, columns +-1, rest +-0.5: MS_rows 16, MS_columns 4, MS_rest 1."""
    found = parts([[1 - 1 + 0.5, 1 + 1 - 0.5], [5 - 1 - 0.5, 5 + 1 + 0.5]])
    expected = {"rows": math.sqrt((16 - 1) / 2), "columns": math.sqrt((4 - 1) / 2), "the rest": 1.0}
    assert found["deviation"].to_dict() == pytest.approx(expected)
    assert found.loc["rows", "p"] == pytest.approx(1 - 2 / math.pi * math.atan(math.sqrt(16 / 1)))  # F(1, 1)


def test_a_table_of_rows_alone_has_no_columns_and_no_rest():
    found = parts([[1.0, 1, 1], [2, 2, 2], [4, 4, 4]])
    assert found["deviation"].to_dict() == pytest.approx(
        {"rows": np.std([1, 2, 4], ddof=1), "columns": 0, "the rest": 0}
    )
    assert found.loc["columns", "high"] == 0


def test_equal_scores_are_no_sign_that_rows_or_columns_differ():
    found = parts([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])
    assert found.loc[["rows", "columns"], "p"].tolist() == [1, 1]
    assert not found[["deviation", "low", "high"]].to_numpy().any()


def test_turning_the_table_swaps_rows_and_columns():
    table = np.random.default_rng(0).normal(size=(4, 3))
    one, two = parts(table), parts(table.T)
    for column in ("deviation", "low", "high", "p"):
        assert one.loc["rows", column] == pytest.approx(two.loc["columns", column])


def test_the_intervals_cover_what_was_drawn():
    """95 % at least; 400 tables of known deviations 2, 1 and 0.5."""
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        table = rng.normal(0, 2, (5, 1)) + rng.normal(0, 1, (1, 5)) + rng.normal(0, 0.5, (5, 5))
        found = parts(table)
        truth = {"rows": 2, "columns": 1, "the rest": 0.5}
        held.append([found.loc[k, "low"] <= v <= found.loc[k, "high"] for k, v in truth.items()])
    assert np.mean(held, axis=0) == pytest.approx(0.96, abs=0.025)


@pytest.mark.parametrize("table", [[[1.0, 2]], [[1.0], [2]], [[1.0, math.nan], [2, 3]]])
def test_what_cannot_be_taken_apart_is_refused(table):
    with pytest.raises(ParameterError, match="at least 2 rows and 2 columns without gaps"):
        parts(table)
