"""From data to plotly figures; pure functions, no state, no disk.

One look that reads on a light and on a dark page: no background of its own, mid-grey ink, colours that stay apart for
colour-blind readers (Okabe and Ito). Every axis has its label and unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from . import curves, paper

if TYPE_CHECKING:
    from torch import Tensor

    from .record import Record

INK, GRID = "#808080", "rgba(128,128,128,0.25)"
COLOURS = {
    "IndRNN": "#0096e0",
    "LSTM": "#d55e00",
    "IRNN": "#009e73",
    "RNN-tanh": "#cc79a7",
    "second": "#e69f00",
}
PAPER = {"dash": "dot", "width": 2}
BASELINE = 1 / 6  # the MSE of always answering 1 on the adding problem


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


def adding(records: Sequence[Record]) -> go.Figure:
    """Fig. 4: validation MSE over training steps, one line a run, the paper's curves dotted."""
    length = records[0].config.task.length if records else 0
    figure = blank("training step", "mean squared error", f"Adding problem, T = {length}")
    shown: set[str] = set()
    for record in records:
        net = _net(record)
        curve = record.curve
        if len(curve):
            figure.add_scatter(
                x=curve["step"],
                y=curve["valid_mse"],
                name=f"{net}, ours",
                legendgroup=net,
                showlegend=net not in shown,
                line={"color": COLOURS[net], "width": 1.6},
                opacity=0.85,
                hovertemplate=f"{net}, seed {record.seed}: %{{y:.4f}}<extra></extra>",
            )
        if net not in shown and record.experiment in paper.EXPERIMENTS and not record.smoke:
            official = curves.published_curve(record.experiment)
            figure.add_scatter(
                x=official["step"],
                y=official["mse"],
                name=f"{net}, paper",
                legendgroup=f"{net} paper",
                line={"color": COLOURS[net], **PAPER},
                hovertemplate=f"{net}, paper: %{{y:.4f}}<extra></extra>",
            )
        shown.add(net)
    end = max((int(r.curve["step"].max()) for r in records if len(r.curve)), default=1000)
    figure.add_hline(
        y=BASELINE, line={"color": INK, "dash": "dash", "width": 1}, annotation_text="always answer 1: 1/6"
    )
    figure.update_xaxes(range=[0, end * 1.02])
    figure.update_yaxes(rangemode="tozero", range=[0, 0.25])
    return figure


def learning(records: Sequence[Record], column: str = "valid_batch_accuracy") -> go.Figure:
    """A column of the learning curves: ours as lines with points, the official log dotted, to a little past our last.

    Columns: train_, valid_ or valid_batch_ (batch norm statistics of the batch) and accuracy, bpc or perplexity.
    """
    unit, scale = _LEARNING_UNITS[column.rpartition("_")[2]]
    figure = blank("training step", unit, f"{_LEARNING_TITLES[column.rpartition('_')[0]]}, {unit}")
    end = max((int(r.curve["step"].max()) for r in records if len(r.curve)), default=1)
    palette = list(COLOURS.values())
    names = list(dict.fromkeys(r.experiment for r in records))
    seen: set[str] = set()
    for record in records:
        colour = palette[names.index(record.experiment) % len(palette)]
        curve = record.curve
        if not len(curve) or column not in curve:
            continue
        figure.add_scatter(
            x=curve["step"],
            y=scale * curve[column],
            name=f"{record.experiment}, ours",
            legendgroup=record.experiment,
            showlegend=record.experiment not in seen,
            mode="lines+markers",
            line={"color": colour},
            hovertemplate=f"{record.experiment}, seed {record.seed}: %{{y:.4g}}<extra></extra>",
        )
        if record.experiment in paper.EXPERIMENTS and record.experiment not in seen and not record.smoke:
            official = curves.official_curve(record.experiment)
            if column in official:
                near = official[official["step"] <= max(end * 1.6, 6 * record.config.train.evaluate_every)]
                figure.add_scatter(
                    x=near["step"],
                    y=scale * near[column],
                    name=f"{record.experiment}, official log",
                    mode="lines+markers",
                    marker={"symbol": "diamond-open", "size": 9},
                    line={"color": colour, **PAPER},
                    hovertemplate="official log: %{y:.4g}<extra></extra>",
                )
        seen.add(record.experiment)
    if unit == "perplexity":
        figure.update_yaxes(type="log")
    return figure


def impulse(us: Sequence[float], steps: int) -> go.Figure:
    """What a neuron with recurrent weight u keeps of an impulse after k steps: u^k (Li et al. 2018, eq. (4))."""
    from .analysis import impulse_response

    figure = blank("steps since the impulse", "what is left of it", "An impulse decays as u to the power of k")
    palette = list(COLOURS.values())
    for index, u in enumerate(us):
        figure.add_scatter(
            y=impulse_response(u, steps).numpy(),
            name=f"u = {u:g}",
            line={"color": palette[index % len(palette)], "width": 2.5},
            hovertemplate=f"u = {u:g}: %{{y:.4g}}<extra></extra>",
        )
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
    """How much of the readout's gradient reaches each earlier time step, on a logarithmic axis: one line a net."""
    figure = blank("steps before the end", "gradient norm, relative to the last step", "The gradient through time")
    for index, (name, values) in enumerate(norms.items()):
        colour = COLOURS.get(name, list(COLOURS.values())[index % len(COLOURS)])
        figure.add_scatter(
            y=[max(float(v), 1e-30) for v in values],
            name=name,
            line={"color": colour, "width": 2.5},
            hovertemplate=f"{name}: %{{y:.3g}}<extra></extra>",
        )
    figure.update_yaxes(type="log", exponentformat="power")
    return figure


def recurrent_weights_of(record: Record) -> go.Figure:
    """`recurrent_weights` of a run's last evaluation, with its bound."""
    from .models.bounds import bound

    model, weights = record.config.model, record.recurrent_weights()
    step = max(weights, default=0)
    u_max = None if model.gamma is None else bound(record.config.task.length, model.gamma)
    return recurrent_weights(
        weights.get(step, {}), u_max, f"{record.experiment}: recurrent weights after step {step:,}"
    )


def height(scores: Mapping[str, float]) -> float:
    """The one number of some scores that a curve shows: accuracy in per cent, bits a token, the mean squared error."""
    return 100 * scores["accuracy"] if "accuracy" in scores else scores.get("bpc", scores.get("mse", float("nan")))


_LEARNING_TITLES = {
    "train": "Training (with dropout, mean of the steps between evaluations)",
    "valid": "Validation",
    "valid_batch": "Validation (batch norm statistics of the batch)",
}
_LEARNING_UNITS = {
    "accuracy": ("accuracy, %", 100),
    "mse": ("mean squared error", 1),
    "loss": ("cross-entropy, nats", 1),
    "bpc": ("bits a character", 1),
    "perplexity": ("perplexity", 1),
}


def _net(record: Record) -> str:
    kinds = {"plain": "IndRNN", "lstm": "LSTM", "irnn": "IRNN", "rnn_tanh": "RNN-tanh"}
    return kinds[record.config.model.kind]
