"""Sources of a spread: a table of scores, every row under every column once, taken apart into three parts.

    y_ij = mean + row_i + column_j + rest_ij

Random effects, each normal with a variance of its own.
"""

from __future__ import annotations

import math

import pandas as pd

from ..errors import ParameterError
from .statistics import LEVEL


def components(table: pd.DataFrame, rows: str, columns: str) -> pd.DataFrame:
    """The standard deviations between rows, between columns, and of the rest; `rows` and `columns` say what they are.

    From the mean squares: the variance of the rows is (MS_rows - MS_rest) / columns, none if that is negative. `low`
    and `high`: 95 % at least, for rows and columns by Williams (1962), for the rest exact. p: of the F test that rows,
    or columns, do not differ.
    """
    from scipy import stats

    y = table.to_numpy(dtype=float)
    if y.ndim != 2 or min(y.shape) < 2 or not bool((y == y).all()):
        raise ParameterError(f"table: shape {y.shape} received; at least 2 rows and 2 columns without gaps are needed")
    (n, m), mean = y.shape, y.mean()
    free = (n - 1) * (m - 1)
    rest = float(((y - y.mean(1, keepdims=True) - y.mean(0) + mean) ** 2).sum()) / free
    out = []
    for name, means, others in ((rows, y.mean(1), m), (columns, y.mean(0), n)):
        k = len(means) - 1
        square = others * float(((means - mean) ** 2).sum()) / k
        F = square / rest if rest else math.inf if square else 0.0  # of equal scores: nothing differs
        ends = []
        for tail in (1 - LEVEL / 4, LEVEL / 4):
            within = k * square * (1 - stats.f.ppf(tail, k, free) / F) / others if F else 0.0
            ends.append(math.sqrt(max(0.0, within / stats.chi2.ppf(tail, k))))
        deviation = math.sqrt(max(0.0, (square - rest) / others))
        out.append({"between": name, "deviation": deviation, "low": ends[0], "high": ends[1],
                    "p": float(stats.f.sf(F, k, free))})  # fmt: skip
    low, high = (math.sqrt(free * rest / stats.chi2.ppf(tail, free)) for tail in (1 - LEVEL / 2, LEVEL / 2))
    out.append({"between": "the rest", "deviation": math.sqrt(rest), "low": low, "high": high, "p": math.nan})
    return pd.DataFrame(out)
