"""The scores of a sweep over the fields of its grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from .style import COLOURS, blank

if TYPE_CHECKING:
    import pandas as pd


def sweep_map(results: pd.DataFrame, fields: Sequence[str], score: str) -> go.Figure:
    """A sweep's scores, the mean over seeds: a line with every seed over one field, a map over the first two.

    `results`: columns of `fields`, `seed` and `score`. Over further fields the best is shown: it is written beside.
    """
    better = max if score.endswith("accuracy") else min
    if len(fields) == 1:
        figure = blank(fields[0], _score_title(score), "Every seed, and their mean")
        means = results.groupby(fields[0])[score].mean().reset_index()
        for table, name, look in (
            (results, "a seed", {"mode": "markers", "marker": {"color": COLOURS["second"]}}),
            (means, "mean", {"mode": "lines+markers", "line": {"color": COLOURS["IndRNN"]}}),
        ):
            figure.add_scatter(x=table[fields[0]].astype(str), y=table[score], name=name, **look)
        return figure
    means = results.groupby(list(fields))[score].mean().reset_index()
    best = means.groupby(list(fields[:2]))[score].agg(better).unstack()
    rest = f", the best over {', '.join(fields[2:])}" if fields[2:] else ""
    figure = blank(fields[1], fields[0], f"{_score_title(score)}, mean over seeds{rest}")
    figure.add_heatmap(
        x=[str(v) for v in best.columns],
        y=[str(v) for v in best.index],
        z=best.to_numpy(),
        colorscale="Viridis",
        reversescale=better is min,
        texttemplate="%{z:.4g}",
        hovertemplate=f"{fields[1]} %{{x}}, {fields[0]} %{{y}}: %{{z:.5g}}<extra></extra>",
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category")
    figure.update_layout(hovermode="closest")
    return figure


def parallel(results: pd.DataFrame, fields: Sequence[str], score: str) -> go.Figure:
    """A sweep as parallel coordinates: an axis a field, then seed and score, a line a run, coloured by its score."""
    shown = results.dropna(subset=[score])
    figure = blank("", "", "")
    figure.update_layout(margin={"l": 70, "r": 70, "t": 60, "b": 30})
    figure.add_parcoords(
        line={"color": shown[score], "colorscale": "Viridis", "reversescale": not score.endswith("accuracy")},
        dimensions=[*(_axis(shown[field], field) for field in [*fields, "seed"]), _axis(shown[score], score)],
        labelfont={"size": 13},
    )
    return figure


def _axis(values: pd.Series[Any], label: str) -> dict[str, Any]:
    """One axis of parallel coordinates: numbers as they are, anything else by its place among the values."""
    label = label.partition(".")[2] or label.replace("_", " ")
    if values.dtype.kind in "if" and not values.isna().any():
        return {"label": label, "values": values}
    texts = [str(v) for v in values]
    names = sorted(set(texts))
    return {
        "label": label,
        "values": [names.index(t) for t in texts],
        "tickvals": [*range(len(names))],
        "ticktext": names,
    }


def _score_title(score: str) -> str:
    return score.replace("_", " ")
