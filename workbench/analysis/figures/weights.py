"""Recurrent weights, what they remember, the gradients that they let through; the scan over time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from torch import Tensor

from ... import tasks
from ...models import bounds
from ...paper.reader_names import reader_name, reader_names
from ...runs.record import Record
from ...seeds import generator
from ..memory import impulse_response
from .style import COLOURS, GRID, INK, PAPER, TEXT, add_line, blank, hued, legend_below


def impulse(us: Sequence[float], steps: int) -> go.Figure:
    """Draw what a neuron with recurrent weight u keeps of an impulse after k steps: u^k (Li et al. 2018, eq. (4))."""
    figure = blank("steps since the impulse", "what is left of it", "An impulse decays as u to the power of k")
    for index, u in enumerate(us):
        add_line(figure, None, impulse_response(u, steps).numpy(), f"u = {u:g}", hued(index), line={"width": 2.5})
    figure.update_yaxes(range=[0, 2])
    return figure


def recurrent_weights(weights: Mapping[str, Tensor], bound: float | None = None, title: str = "") -> go.Figure:
    """Fig. 5: how u is distributed in each layer, one violin a layer, the bound as a line."""
    figure = blank("layer", "recurrent weight u", title or "Recurrent weights by layer")
    for index, (_, u) in enumerate(weights.items(), 1):
        figure.add_violin(
            y=u.numpy(),
            name=str(index),
            line={"color": COLOURS["IndRNN"]},
            meanline={"visible": True},
            spanmode="hard",  # cut at the data: no net has a u beyond its bound
            points="all",
            pointpos=0,
            jitter=0.6,
            marker={"size": 3, "opacity": 0.5},
            showlegend=False,
        )
    if bound is not None:
        for y in (bound, -bound):
            figure.add_hline(y=y, line={"color": COLOURS["LSTM"], "dash": "dash", "width": 1.5})
    figure.update_layout(hovermode="closest")
    return figure


def gradients(norms: Mapping[str, Any]) -> go.Figure:
    """Draw how much of the readout's gradient reaches each earlier time step, on a logarithmic axis: one line a net."""
    figure = blank("steps before the end", "gradient norm, relative to the last step", "The gradient through time")
    names = reader_names(list(norms))
    for index, (name, values) in enumerate(norms.items()):
        y = [float(v) or None for v in values]  # a gradient that has underflowed is not drawn
        add_line(figure, None, y, names[name], COLOURS.get(name, hued(index)), ".3g", line={"width": 2.5})
    figure.update_yaxes(type="log", exponentformat="power")
    return figure


def recurrent_weights_of(record: Record) -> go.Figure:
    """`recurrent_weights` of a run's last evaluation, with its bound."""
    model, weights = record.config.model, record.recurrent_weights()
    step = max(weights, default=0)
    u_max = model.u_max if model.gamma is None else bounds.bound(tasks.spec(record.config.task).steps, model.gamma)
    return recurrent_weights(
        weights.get(step, {}), u_max, f"{reader_name(record.experiment)}: recurrent weights after step {step:,}"
    )


BINS, LOWEST = 40, -0.5  # of Fig. 5, from -0.5 to the bound


def weight_histograms(
    after: Mapping[str, Tensor],
    before: Mapping[str, Tensor],
    printed: Sequence[Mapping[str, str]] = (),
    bound: float = 1.0,
    title: str = "",
) -> go.Figure:
    """Fig. 5: u of each layer in 40 bins from -0.5 to the bound. Bars: after training; line: before; the paper's, the
    rows of its digitised table (layer, bin_left, bin_right, count), dotted. In per cent of a layer's neurons."""
    columns = min(3, len(after))
    rows = -(-len(after) // columns)
    titles = [f"layer {i}" for i in range(1, len(after) + 1)]
    figure = make_subplots(rows, columns, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.09)
    figure.update_layout(blank("", "", title).layout)
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "showline": True}
    figure.update_xaxes(axis, title="", range=[LOWEST, max(bound, 1.0) * 1.02])
    figure.update_yaxes(axis, title="", rangemode="tozero")
    for index, (name, u) in enumerate(after.items()):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        shown = {"showlegend": index == 0, "hoverinfo": "skip"}
        edges, counts = _histogram(u, bound)
        middles = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
        bars = {"x": middles, "y": counts, "width": edges[1] - edges[0], "marker": {"color": COLOURS["IndRNN"]}}
        hover = {"hoverinfo": None, "hovertemplate": "u = %{x:.2f}: %{y:.1f} %<extra></extra>"}
        figure.add_bar(**bars, name="after training", legendgroup="after", **(shown | hover), **place)
        steps = {"mode": "lines", "line": {"color": COLOURS["second"], "width": 1.5, "shape": "hvh"}}
        start = _histogram(before[name], bound)[1]
        figure.add_scatter(x=middles, y=start, **steps, name="before", legendgroup="before", **shown, **place)
        theirs = [row for row in printed if row["layer"] == str(index + 1)]
        total = sum(float(row["count"]) for row in theirs)
        if total:
            x = [(float(row["bin_left"]) + float(row["bin_right"])) / 2 for row in theirs]
            y = [100 * float(row["count"]) / total for row in theirs]
            steps["line"] = {"color": COLOURS["LSTM"], "width": 1.8, "dash": "dot", "shape": "hvh"}
            figure.add_scatter(x=x, y=y, **steps, name="paper, Fig. 5", legendgroup="paper", **shown, **place)
    figure.update_xaxes(title={"text": "recurrent weight u", "font": {"size": TEXT}}, row=rows)
    figure.update_yaxes(title={"text": "neurons, %", "font": {"size": TEXT}}, col=1)
    figure.update_annotations(font={"color": INK, "size": TEXT})
    legend = {"orientation": "h", "y": -0.16 if rows > 1 else -0.3, "x": 0}
    figure.update_layout(height=140 + 230 * rows, margin={"t": 80}, bargap=0, hovermode="closest", legend=legend)
    return figure


def weight_histograms_of(record: Record, printed: Sequence[Mapping[str, str]] = ()) -> go.Figure:
    """`weight_histograms` of a run's last evaluation beside the weights that its seed began with."""
    bound, after, before = _weights_of(record)
    step = max(record.recurrent_weights(), default=0)
    return weight_histograms(after, before, printed, bound, f"{reader_name(record.experiment)}: u after step {step:,}")


def weight_shares(records: Sequence[Record], printed: Sequence[Mapping[str, str]] = ()) -> go.Figure:
    """Draw how many neurons of each layer have u below 0, and how many above 0.9, in per cent: ours as lines, the
    paper's, from the summary of its digitised histograms (model, metric, value), dotted."""
    figure = blank("layer", "neurons, %", "Neurons with u below 0, and above 0.9")
    palette = [COLOURS["IndRNN"], COLOURS["IRNN"], COLOURS["RNN-tanh"]]
    measured: list[tuple[str, dict[str, list[float]], dict[str, Any]]] = []
    names = reader_names([record.experiment for record in records])
    for index, record in enumerate(records):
        weights = _weights_of(record)[1].values()
        shares = {"u<0": [float((u < 0).float().mean()) for u in weights]}
        shares["u>0.9"] = [float((u > 0.9).float().mean()) for u in weights]
        line = {"width": 2.5, "color": palette[index % len(palette)]}
        measured.append((f"{names[record.experiment]}, seed {record.seed}", shares, line))
    theirs = {what: [float(row["value"]) for row in printed if row["metric"] == f"fraction {what}"] for what in _SHARES}
    if any(theirs.values()):
        measured.append(("paper, Fig. 5", theirs, {**PAPER, "color": COLOURS["LSTM"]}))
    for name, shares, line in measured:
        for what, symbol in _SHARES.items():
            x, y = list(range(1, len(shares[what]) + 1)), [100 * share for share in shares[what]]
            look = {"mode": "lines+markers", "marker": {"symbol": symbol, "size": 9}, "line": line}
            hover = f"{what}, {name}: %{{y:.1f}} %<extra></extra>"
            figure.add_scatter(x=x, y=y, name=f"{what}, {name}", hovertemplate=hover, **look)
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(range=[0, 100])
    return legend_below(figure)


_SHARES = {"u<0": "circle-open", "u>0.9": "square"}  # with their markers


def _histogram(u: Tensor, bound: float) -> tuple[list[float], list[float]]:
    """Edges of the bins, and the per cent of the neurons in each; those outside are in none."""
    counts, edges = np.histogram(u.numpy(), BINS, (LOWEST, max(bound, 1.0)))
    return edges.tolist(), (100 * counts / len(u)).tolist()


def _weights_of(record: Record) -> tuple[float, dict[str, Tensor], dict[str, Tensor]]:
    """Bound, u by layer at the last evaluation, u by layer as the seed drew it."""
    from ...models.build import build, recurrent_weights

    config, weights = record.config, record.recurrent_weights()
    spec = tasks.spec(config.task)
    net = build(config.model, spec, generator(record.seed, "init"))
    before = {name: u.clone() for name, u in recurrent_weights(net).items()}
    u_max = 1.0 if config.model.gamma is None else bounds.bound(spec.steps, config.model.gamma)
    return u_max, weights[max(weights)] if weights else before, before


def memory_range(lengths: Sequence[int], gamma: float = 2.0) -> go.Figure:
    """Table 1 over u: what is left of a gradient after T steps, u^T, between 1/gamma and gamma for long memory."""
    figure = blank("recurrent weight u", "gradient after T steps", "Memory and explosion, T steps back")
    left = [10 ** (i / 20) for i in range(-80, 81)]  # gradients from 1e-4 to 1e4
    for index, T in enumerate(lengths):
        figure.add_scatter(
            x=[g ** (1 / T) for g in left],
            y=left,
            name=f"T = {T:,}",
            line={"color": hued(index), "width": 2.5},
            hovertemplate=f"T = {T:,}: u = %{{x:.6g}} leaves %{{y:.3g}}<extra></extra>",
        )
    for name, y, dash in (("gamma", gamma, "dash"), ("epsilon", 1 / gamma, "dot")):
        line = {"color": INK, "dash": dash, "width": 1.5}
        figure.add_scatter(x=[0.9, 1.1], y=[y, y], name=f"{name} = {y:g}", mode="lines", line=line, hoverinfo="skip")
    figure.update_xaxes(range=[0.965, 1.02])
    figure.update_yaxes(type="log", range=[-4, 4], exponentformat="power", dtick=1)
    figure.update_layout(hovermode="closest")
    return figure


# --- the exact scan over time ---


def queue(h: Tensor, walk: Tensor, lowest: Tensor) -> go.Figure:
    """A neuron with u = 1, the walk that it reflects, and the walk's lowest so far, of `clamped_maps.queue`."""
    figure = blank("step t", "value", "At u = 1 a neuron is a queue")
    lines = {"h, the neuron": (h, "IndRNN"), "P, the walk": (walk, "second"), "its lowest so far": (lowest, "LSTM")}
    for name, (y, colour) in lines.items():
        add_line(figure, None, y.tolist(), name, COLOURS[colour], ".2f")
    return figure


def breakdown(table: pd.DataFrame) -> go.Figure:
    """The share of states that are not finite over u, a line a way; the table is `clamped_maps.breakdown`'s."""
    figure = blank("recurrent weight u", "states that are not finite, %", "Composing without chunks")
    looks = zip(table.groupby("way", sort=False), ("LSTM", "IndRNN", "second"), ("solid", "solid", "dot"), strict=True)
    for (way, part), colour, dash in looks:
        hover = f"{way}: %{{y:.1f}} %<extra></extra>"
        line = {"color": COLOURS[colour], "dash": dash}
        figure.add_scatter(
            x=part["u"], y=part["broken"], name=str(way), mode="lines+markers", line=line, hovertemplate=hover
        )
    return figure
