"""Depth: scores, gradients and costs of nets over their number of recurrent layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from .style import blank
from .variants import looks

if TYPE_CHECKING:
    import pandas as pd


def over_depth(table: pd.DataFrame, value: str, unit: str, title: str = "", *, log: bool = False) -> go.Figure:
    """A line a net over its recurrent layers: columns `variant`, `layers`, `value`, and its interval where `low` and
    `high` stand beside; a `moment`, if there is one, is a dash of its own."""
    figure = blank("recurrent layers", unit, title)
    several = "moment" in table
    moments = list(dict.fromkeys(table["moment"])) if several else [""]
    for name, (colour, _, mark) in looks(list(table["variant"])).items():
        for moment, dash in zip(moments, ("dot", "solid") if several else ("solid",), strict=False):
            mine = table[(table["variant"] == name) & ((table["moment"] == moment) if several else True)]
            mine = mine.dropna(subset=[value]).sort_values("layers")
            label = f"{name}, {moment}" if several else name
            bars = None
            if "low" in mine and mine["low"].notna().all():
                ends = {"array": mine["high"] - mine[value], "arrayminus": mine[value] - mine["low"]}
                bars = {"type": "data", "symmetric": False, "color": colour, "thickness": 1.5, "width": 4, **ends}
            hover = f"{label}, %{{x}} layers: %{{y:.4g}}<extra></extra>"
            figure.add_scatter(
                x=mine["layers"],
                y=mine[value],
                name=label,
                mode="lines+markers",
                error_y=bars,
                line={"color": colour, "width": 2, "dash": dash},
                marker={"symbol": mark, "size": 8},
                hovertemplate=hover,
            )
    figure.update_layout(hovermode="closest")
    if log:
        figure.update_yaxes(type="log", exponentformat="power")
    return figure
