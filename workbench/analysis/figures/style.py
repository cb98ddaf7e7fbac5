"""The canvas of every figure: its colours, its ink, its axes.

One look that reads on a light and on a dark page: no background of its own, mid-grey ink, colours that stay apart for
colour-blind readers (Okabe and Ito).
"""

from __future__ import annotations

import plotly.graph_objects as go

INK, GRID = "#808080", "rgba(128,128,128,0.25)"
COLOURS = {
    "IndRNN": "#0096e0",
    "LSTM": "#d55e00",
    "IRNN": "#009e73",
    "RNN-tanh": "#cc79a7",
    "second": "#e69f00",
}
PAPER = {"dash": "dot", "width": 2}


def blank(x: str, y: str, title: str = "") -> go.Figure:
    """An empty figure in the house style with labelled axes."""
    lines = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "tickcolor": GRID}
    axis = {**lines, "showline": True, "ticks": "outside"}
    figure = go.Figure()
    figure.update_layout(
        title={"text": title, "x": 0, "xref": "paper"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 14},
        xaxis={"title": x, **axis},
        yaxis={"title": y, **axis},
        legend={"orientation": "h", "y": -0.22, "x": 0},
        margin={"l": 70, "r": 20, "t": 50 if title else 20, "b": 60},
        height=430,
        autosize=True,
        showlegend=True,
        hovermode="x unified",
    )
    return figure
