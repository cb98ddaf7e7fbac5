"""Costs of nets and layers, beside the published bars and torch.nn's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...errors import ParameterError, choices
from .style import COLOURS, INK, blank

_BARS = {"LSTM": "LSTM", "SRU": "second", "IndRNN, 1 layer": "IndRNN", "IndRNN, 2 layers": "IRNN"}  # net -> colour


def timing(
    times: pd.DataFrame, published: pd.DataFrame | None = None, column: str = "ms", ours: str = "here"
) -> go.Figure:
    """Fig. 2: bars of `ms` or of `faster` (than the LSTM of the same run), the published ones hatched; `ours` says what
    the full ones are."""
    units = {"ms": "milliseconds a training batch", "faster": "times faster than the LSTM of the same run"}
    figure = blank("sequence length T, steps", units[column], "")
    for source, table in ((ours, times), ("paper, P100", published)):
        for net, bars in () if table is None else table.groupby("net", sort=False):
            name = str(net)
            colour = COLOURS[next(c for start, c in _BARS.items() if name.startswith(start))]
            figure.add_bar(
                x=[f"T = {T}" for T in bars["T"]],
                y=bars[column],
                name=f"{name}, {source}",
                marker={"color": colour, "line": {"color": colour, "width": 1}},
                marker_pattern={"shape": "/" if source != ours else "", "fillmode": "overlay", "solidity": 0.25},
                opacity=1.0 if source == ours else 0.55,
                hovertemplate=f"{name}, {source}: %{{y:.3g}}<extra></extra>",
            )
    figure.update_layout(barmode="group", bargap=0.25, height=470)
    return figure


Rows = Sequence[Mapping[str, Any]]  # of `workbench bench`
_LOOKS = {  # who is timed -> colour, name, and a symbol for those who cannot tell the colours apart
    "auto": ("IndRNN", "IndRNN", "circle"),
    "torch": ("second", "IndRNN in pure torch", "triangle-down-open"),
    "loop": ("RNN-tanh", "IndRNN as a Python loop", "x-thin-open"),
    "scan": ("IRNN", "IndRNN by the scan over time", "circle-open"),
    "triton": ("IRNN", "IndRNN in Triton", "circle-open"),
    "auto, graph": ("IRNN", "IndRNN as a CUDA graph", "circle-open"),
    "nn.LSTM": ("LSTM", "nn.LSTM", "diamond"),
    "nn.LSTM, graph": ("LSTM", "nn.LSTM as a CUDA graph", "circle-open"),
    "nn.GRU": ("LSTM", "nn.GRU", "triangle-up-open"),
    "nn.RNN": ("LSTM", "nn.RNN", "square-open"),
}
_AXES = {
    "T": "steps T (B = 1, N = 16)",
    "B": "sequences B (T = 100, N = 128)",
    "N": "neurons and inputs N (T = 100, B = 32)",
    "depth": "layers (T = 100, B = 32, N = 128)",
    "threads": "threads (T = 784, B = 32, N = 128)",
}


def layers(rows: Rows, threads: int | None = None, which: str = "both") -> go.Figure:
    """Draw how many times faster than torch.nn.LSTM in the same run, a group a shape, a mark an engine or rival.

    The bars are the range over rounds.
    `threads`: of the CPU, the first of the record unless given. `which`: `both` (forward and backward) or `forward`.
    """
    shown = [row for row in _layers(rows, which) if "lstm" in row]
    threads = shown[0]["threads"] if shown and threads is None else threads
    shown = [row for row in shown if row["threads"] == threads]
    cores = f", {_threads(threads)}" if threads else ""
    figure = blank("T, sequences, inputs, neurons", f"times faster than nn.LSTM{cores}")
    for what in dict.fromkeys(row["what"] for row in shown):
        own = [row for row in shown if row["what"] == what]
        colour, name, symbol = _LOOKS.get(what, ("second", what, "circle-open"))
        figure.add_scatter(
            x=["{T:,}, {B}, {inputs:,}, {N:,}".format(**row) for row in own],
            y=[row["lstm"] for row in own],
            error_y=_range(own),
            customdata=[[r["ms"], f", {100 * r['floor']:.0f} % of the floor" if "floor" in r else ""] for r in own],
            name=name,
            mode="markers",
            marker={"color": COLOURS[colour], "size": 11, "symbol": symbol},
            hovertemplate=f"{name}: %{{y:.3g}} times, %{{customdata[0]:.3g}} ms%{{customdata[1]}}<extra></extra>",
        )
    figure.update_yaxes(type="log", dtick="D2")
    figure.update_xaxes(tickangle=-40)
    figure.update_layout(height=560, legend={"y": -0.42})
    return figure


def floors(rows: Rows) -> go.Figure:
    """The share of our time that is the floor, which no implementation in full precision avoids, with backward."""
    figure = blank("T, sequences, inputs, neurons", "the floor's share of our time, %")
    shown = [row for row in _layers(rows, "both") if row["what"] == "auto" and "floor" in row]
    if not shown:
        figure.add_annotation(text="this record is older and has no floor: `make bench`", showarrow=False, y=50, x=0.5)
    for index, threads in enumerate(sorted({row["threads"] for row in shown})):
        own = [row for row in shown if row["threads"] == threads]
        figure.add_bar(
            x=["{T:,}, {B}, {inputs:,}, {N:,}".format(**row) for row in own],
            y=[100 * row["floor"] for row in own],
            name=_threads(threads),
            marker={"color": COLOURS[("IndRNN", "second")[index % 2]]},
            hovertemplate="%{y:.0f} %<extra></extra>",
        )
    figure.add_hline(y=100, line={"color": INK, "dash": "dash", "width": 1})
    figure.update_xaxes(tickangle=-40)
    figure.update_layout(height=500, barmode="group", legend={"y": -0.42})
    return figure


def _threads(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def _range(rows: Rows) -> dict[str, Any] | None:
    """Error bars over the range of rounds; none where a record does not say it."""
    if not all("lstm_low" in row for row in rows):
        return None
    return {
        "type": "data",
        "array": [row["lstm_high"] - row["lstm"] for row in rows],
        "arrayminus": [row["lstm"] - row["lstm_low"] for row in rows],
        "width": 3,
        "thickness": 1,
    }


def scaling(rows: Rows, axis: str = "T") -> go.Figure:
    """Milliseconds, forward and backward, along one axis of the benchmark, on logarithmic axes."""
    if axis not in _AXES:
        raise ParameterError(f"axis: {axis!r} is unknown; choose one of {choices(_AXES)}")
    figure = blank(_AXES[axis], "milliseconds, forward and backward")
    shown = [row for row in rows if row["table"] == "scaling" and row["axis"] == axis and row["what"] != "cpu"]
    for what in dict.fromkeys(row["what"] for row in shown):
        own = [row for row in shown if row["what"] == what]
        colour, name, _ = _LOOKS.get(what, ("second", what, ""))
        x, y, hover = [row["value"] for row in own], [row["ms"] for row in own], f"{name}: %{{y:.3g}} ms<extra></extra>"
        line = {"color": COLOURS[colour]}
        figure.add_scatter(x=x, y=y, name=name, mode="lines+markers", line=line, hovertemplate=hover)
    values = sorted({row["value"] for row in shown})
    figure.update_xaxes(type="log", tickvals=values, ticktext=[f"{value:,}" for value in values])
    figure.update_yaxes(type="log", exponentformat="power", dtick=1)
    return figure


def _layers(rows: Rows, which: str) -> Rows:
    """The rows of layers; of a GPU's two precisions the full one, which is the floor's."""
    full = [row for row in rows if row.get("precision", "fp32") == "fp32"]
    return [row for row in full if row["table"] == "layer" and row["which"] == which]
