"""The exact scan over time: a neuron as a queue, and where composing without chunks breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from .style import COLOURS, add_line, blank

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor


def queue(h: Tensor, walk: Tensor, lowest: Tensor) -> go.Figure:
    """A neuron with u = 1, the walk that it reflects, and the walk's lowest so far; the three of `clamped.queue`."""
    figure = blank("step t", "value", "At u = 1 a neuron is a queue")
    lines = {"h, the neuron": (h, "IndRNN"), "P, the walk": (walk, "second"), "its lowest so far": (lowest, "LSTM")}
    for name, (y, colour) in lines.items():
        add_line(figure, None, y.tolist(), name, COLOURS[colour], ".2f")
    return figure


def breakdown(table: pd.DataFrame) -> go.Figure:
    """The share of states that are not finite over u, a line a way; the table is `clamped.breakdown`'s."""
    figure = blank("recurrent weight u", "states that are not finite, %", "Composing without chunks")
    looks = zip(table.groupby("way", sort=False), ("LSTM", "IndRNN", "second"), ("solid", "solid", "dot"), strict=True)
    for (way, part), colour, dash in looks:
        hover = f"{way}: %{{y:.1f}} %<extra></extra>"
        line = {"color": COLOURS[colour], "dash": dash}
        figure.add_scatter(
            x=part["u"], y=part["broken"], name=str(way), mode="lines+markers", line=line, hovertemplate=hover
        )
    return figure
