"""Differences between variants and what they are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from .style import GRID, blank
from .variants import looks

if TYPE_CHECKING:
    import pandas as pd


def variant_differences(against: pd.DataFrame, unit: str, title: str = "") -> go.Figure:
    """Each variant's mean difference from the reference with its 95 % interval (`Variants.against`); 0 is no
    difference."""
    figure = blank(unit, "", title)
    several = against["group"].nunique() > 1
    look = looks(list(against["variant"]))
    for row in against[against["note"] == ""].to_dict("records"):
        colour, _, mark = look[row["variant"]]
        ends = {"array": [row["high"] - row["difference"]], "arrayminus": [row["difference"] - row["low"]]}
        figure.add_scatter(
            x=[row["difference"]],
            y=[", ".join([row["group"]] * several + [row["variant"]])],
            mode="markers",
            marker={"symbol": mark, "color": colour, "size": 11},
            error_x={"type": "data", "symmetric": False, "color": colour, "thickness": 2.5, "width": 6, **ends},
            hovertemplate=f"%{{x:+.4g}} [{row['low']:+.4g}, {row['high']:+.4g}]<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GRID, "width": 2})
    figure.update_yaxes(autorange="reversed", type="category")
    height = 130 + 44 * int((against["note"] == "").sum())
    return figure.update_layout(showlegend=False, hovermode="closest", height=height, margin={"l": 210, "b": 70})
