"""Figures of sequences of one's own and of the nets that were trained on them; time in the user's own unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from torch import Tensor

from ...models.bounds import half_life
from .style import COLOURS, GRID, INK, SIGNED, SKY, TEXT, add_line, blank

PALETTE = [*COLOURS.values(), INK, SKY]
MOST = 30  # classes whose counts are written out


def lengths(of_part: Mapping[str, Sequence[float]], unit: str) -> go.Figure:
    """A histogram of the sequences' lengths, a colour a part; `of_part`: part -> the length of each, in `unit`."""
    figure = blank(f"length of a sequence, {unit}", "sequences", "How long they are")
    for index, (part, values) in enumerate(of_part.items()):
        figure.add_histogram(x=list(values), name=part, marker={"color": PALETTE[index]}, nbinsx=40)
    figure.update_layout(barmode="stack", bargap=0.05)
    return figure


def scores(table: pd.DataFrame, unit: str) -> go.Figure:
    """Scores on test with their intervals; `table`: a row a net, `test`, and `low` and `high` where they are known."""
    figure = blank(unit, "", "On the test")
    low, high = (table.get(end, table["test"]).fillna(table["test"]) for end in ("low", "high"))
    figure.add_scatter(
        x=table["test"],
        y=table.index,
        mode="markers",
        marker={"color": COLOURS["IndRNN"], "size": 11},
        error_x={"array": high - table["test"], "arrayminus": table["test"] - low, "color": INK},
        showlegend=False,
        hovertemplate="%{y}: %{x:.4g}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(height=150 + 42 * len(table), hovermode="closest", margin={"l": 150})
    return figure


def curves(lines: Sequence[tuple[str, Sequence[float], Sequence[float]]], percent: bool) -> go.Figure:
    """Validation scores over passes through the training data: (net, passes, scores) a run, a colour a net."""
    figure = blank("passes through the training sequences", "accuracy, %" if percent else "squared error", "Validation")
    names = list(dict.fromkeys(name for name, _, _ in lines))
    for index, (name, passes, values) in enumerate(lines):
        y = [100 * value if percent else value for value in values]
        first, colour = name not in [other for other, _, _ in lines[:index]], PALETTE[names.index(name) % len(PALETTE)]
        look: dict[str, Any] = {"line": {"width": 1.6}, "legendgroup": name, "showlegend": first}
        add_line(figure, list(passes), y, name, colour, **look)
    return figure


def confusion(counts: pd.DataFrame) -> go.Figure:
    """Counts of true (rows) against answered (columns) classes; shades are shares of a row, numbers are counts."""
    figure = blank("answered", "true", "Which class is taken for which")
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    figure.add_heatmap(
        z=shares.to_numpy(),
        x=[str(name) for name in counts.columns],
        y=[str(name) for name in counts.index],
        text=counts.to_numpy(),
        colorscale=[[0, "rgba(0,150,224,0.03)"], [1, "rgba(0,150,224,0.85)"]],
        zmin=0,
        zmax=1,
        colorbar={"title": {"text": "share"}},
        hovertemplate="true %{y}, answered %{x}: %{text}<extra></extra>",
    )
    if len(counts) <= MOST:
        cells = [(a, b, int(counts.loc[a, b]), shares.loc[a, b]) for a in counts.index for b in counts.columns]
        true, answered, n, share = zip(*[cell for cell in cells if cell[2]], strict=True)
        figure.add_scatter(
            x=answered,
            y=true,
            text=n,
            mode="text",
            textfont={"color": ["white" if part > 0.5 else INK for part in share], "size": 12},
            showlegend=False,
            hoverinfo="skip",
        )
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_layout(height=max(430, 160 + 26 * len(counts)), hovermode="closest")
    return figure


def memories(layers: Sequence[Tensor], step: float, unit: str, longest: int) -> go.Figure:
    """Draw how long each neuron remembers: the time after which half of a state is left, a column a layer.

    `layers`: u (N,) of each; `step`: the time of a step, in `unit`. Neurons with u of 1 and more forget nothing by
    themselves; they stand at the top edge, at ten times the longest sequence. Those with u of 0 and less hold nothing;
    they stand at a hundredth of a step.
    """
    figure = blank("layer", f"half of a state is left after, {unit}", "How long each neuron remembers")
    edge = 10 * longest * step
    for index, u in enumerate(layers):
        ages = sorted(min(edge, half_life(value) * step) for value in u.tolist())
        figure.add_scatter(
            x=[index + 1 + 0.6 * (place / max(1, len(ages) - 1) - 0.5) for place in range(len(ages))],
            y=[max(age, step / 100) for age in ages],
            mode="markers",
            marker={"color": COLOURS["IndRNN"], "size": 5},
            showlegend=False,
            hovertemplate=f"layer {index + 1}: %{{y:.3g}} {unit}<extra></extra>",
        )
    figure.add_scatter(
        x=[0.5, len(layers) + 0.5],
        y=[longest * step] * 2,
        name="the longest training sequence",
        mode="lines",
        line={"color": INK, "dash": "dash", "width": 1},
        hoverinfo="skip",
    )
    if any(half_life(value) * step >= edge for u in layers for value in u.tolist()):
        top = {"xref": "paper", "x": 0.01, "y": math.log10(edge), "yanchor": "bottom", "showarrow": False}
        figure.add_annotation(text=f"{edge:,.4g} {unit} or more, or for ever (u of 1 and above)", **top)
    figure.update_xaxes(dtick=1, range=[0.5, len(layers) + 0.5])
    figure.update_yaxes(type="log", dtick=1, exponentformat="power")
    figure.update_layout(hovermode="closest")
    return figure


def reach(lines: Mapping[str, Tensor], step: float, unit: str) -> go.Figure:
    """Gradients of answers by time before the end, relative to the last step's; net -> (T,)."""
    figure = blank(f"time before the end, {unit}", "gradient, over the last step's", "How far back an answer reaches")
    for index, (name, values) in enumerate(lines.items()):
        x, y = [step * back for back in range(len(values))], [v if v > 0 else None for v in values.tolist()]
        add_line(figure, x, y, name, PALETTE[index % len(PALETTE)], ".3g")
    figure.update_yaxes(type="log", exponentformat="power")
    return figure


def contributions(found: Tensor, x: Tensor, step: float, unit: str, title: str) -> go.Figure:
    """Draw what each step added to the answer, (T,), over its channels x (T, M)."""
    times = [step * t for t in range(len(found))]
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.06)
    figure.update_layout(blank("", "", title).layout)
    for channel in range(min(x.shape[1], len(PALETTE))):
        line = {"color": PALETTE[channel], "width": 1.2}
        name, y = f"channel {channel}", x[:, channel].tolist()
        figure.add_scatter(x=times, y=y, name=name, mode="lines", line=line, row=1, col=1)
    top = float(found.abs().max()) or 1.0
    marker = {
        "color": found.tolist(),
        "colorscale": SIGNED,
        "cmin": -top,
        "cmax": top,
        "line": {"width": 0.5, "color": INK},
    }
    figure.add_bar(x=times, y=found.tolist(), marker=marker, showlegend=False, row=2, col=1)
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "showline": True}
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    shown, several = min(x.shape[1], len(PALETTE)), x.shape[1] > len(PALETTE)
    channels = f"first {shown} of {x.shape[1]} channels" if several else "channels, scaled"
    words = {"font": {"size": TEXT}}
    figure.update_xaxes(title={"text": f"time, {unit}", **words}, row=2, col=1)
    figure.update_yaxes(title={"text": channels, **words}, row=1, col=1)
    figure.update_yaxes(title={"text": "for the answer", **words}, row=2, col=1)
    figure.update_layout(height=520)
    return figure
