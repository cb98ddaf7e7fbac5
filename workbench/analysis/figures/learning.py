"""Scores over training steps, ours beside the published curves; and over the lengths of sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ... import paper
from ...config import Treebank
from ...paper.reader_names import reader_name, reader_names
from ...runs.provenance import NUMERICS
from ...runs.record import Record
from ...tasks import treebank
from .. import learning_curves
from ..statistics import wilson
from .style import COLOURS, EARLIER, INK, PAPER, add_line, blank, field_name, hued, legend_below


def learning(records: Sequence[Record], column: str = "valid_batch_accuracy") -> go.Figure:
    """A column of the learning curves: ours as lines with points, the official log dotted, to a little past our last.

    Records of an earlier numerics, which decide nothing, are dash-dotted and said to be that.
    Columns: train_, valid_ or valid_batch_ (batch norm statistics of the batch) and accuracy, bpc or perplexity.
    """
    unit, scale = _LEARNING_UNITS[column.rpartition("_")[2]]
    figure = blank("training step", unit, f"{_LEARNING_TITLES[column.rpartition('_')[0]]}, {unit}")
    end = max((int(r.curve["step"].max()) for r in records if len(r.curve)), default=1)
    names = reader_names([r.experiment for r in records])
    seen: set[str] = set()
    for record in records:
        colour, net = hued(list(names).index(record.experiment)), names[record.experiment]
        curve = record.curve
        if not len(curve) or column not in curve:
            continue
        older = record.numerics < NUMERICS
        ours = f"{net}, ours" + ", earlier numerics" * older
        group: dict[str, Any] = {"legendgroup": ours, "showlegend": ours not in seen, "mode": "lines+markers"}
        x, y, hover = curve["step"], scale * curve[column], f"{ours}, seed {record.seed}"
        add_line(figure, x, y, ours, colour, hover=hover, line=EARLIER if older else None, **group)
        if record.experiment in paper.EXPERIMENTS and record.experiment not in seen and not record.smoke:
            official = learning_curves.official_curve(record.experiment)
            if column in official and len(official):
                near = official[official["step"] <= max(end * 1.6, 6 * record.config.train.evaluate_every)]
                x, y, name = near["step"], scale * near[column], f"{net}, official log"
                look: dict[str, Any] = {"mode": "lines+markers", "marker": {"symbol": "diamond-open", "size": 9}}
                add_line(figure, x, y, name, colour, hover="official log", line=PAPER, **look)
        seen |= {record.experiment, ours}
    return _scored(figure, unit)


def _scored(figure: go.Figure, unit: str) -> go.Figure:
    """Its axis of scores: logarithmic for perplexities, and never below 0, as plotly's own for a curve of zeros is."""
    scale = {"type": "log"} if unit == "perplexity" else {"rangemode": "nonnegative"}
    return legend_below(figure.update_yaxes(**scale))


def nearness(table: pd.DataFrame) -> go.Figure:
    """Draw how near our curves are to the published ones: `nearness` as points, a row a curve that we have begun.

    Beside them what the same steps can tell apart: the nearest log of another net on the same task, two official runs
    of one configuration, and two seeds of ours. It describes and decides nothing.
    """
    figure = blank("mean distance to the published curve, points<br>(bits, perplexities, squared errors: %)", "")
    begun = table[table["seeds"] > 0]
    names = [
        f"{reader_name(name)}<br>{curve}, {seeds} seed{'s' * (seeds > 1)}, to step {until:,.0f}"
        for name, curve, seeds, until in zip(
            begun["experiment"], begun["curve"], begun["seeds"].astype(int), begun["until"], strict=True
        )
    ]
    marks = (
        ("ours", begun["difference"], {"color": COLOURS["IndRNN"], "symbol": "circle", "size": 12}),
        ("nearest other net", begun["another net"], {"color": COLOURS["RNN-tanh"], "symbol": "x", "size": 11}),
        ("two official runs", begun["pair"], {"color": COLOURS["LSTM"], "symbol": "diamond-open", "size": 12}),
        ("two seeds of ours", begun["ours apart"], {"color": COLOURS["IndRNN"], "symbol": "circle-open", "size": 12}),
    )
    for name, values, marker in marks:
        hover = f"{name}: %{{x:.2f}}<extra></extra>"
        figure.add_scatter(x=values, y=names, name=name, mode="markers", marker=marker, hovertemplate=hover)
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(autorange="reversed")
    above = {"y": 1.0, "yanchor": "bottom"}  # a share of the height would drift away as rows are added
    figure.update_layout(height=170 + 46 * len(begun), hovermode="closest", margin={"l": 330}, legend=above)
    return figure


def passes(records: Sequence[Record], column: str = "valid_bpc", beside: Sequence[str] = ()) -> go.Figure:
    """Tables 3 and 4: a column of the learning curves over passes through the training text, on a logarithmic axis;
    ours as lines with points, the official logs of the experiments `beside` dotted."""
    unit = _LEARNING_UNITS[column.rpartition("_")[2]][0]
    figure = blank("passes through the training text", unit, f"{_LEARNING_TITLES[column.rpartition('_')[0]]}, {unit}")
    names = reader_names([*(r.experiment for r in records), *beside])
    colours = {name: hued(i) for i, name in enumerate(names)}
    for record in records:
        curve, task = record.curve, record.config.task
        if isinstance(task, Treebank) and len(curve):
            net = names[record.experiment]
            x = curve["step"] / treebank.batches_per_epoch(task, record.config.train.batch)
            look: dict[str, Any] = {"hover": net, "mode": "lines+markers", "marker": {"size": 4}}
            add_line(figure, x, curve[column], f"{net}, seed {record.seed}", colours[record.experiment], **look)
    for name in beside:
        official = learning_curves.official_curve(name)
        x = official["step"] / paper.experiment(name).config.train.evaluate_every
        add_line(figure, x, official[column], f"{names[name]}, official log", colours[name], line=PAPER)
    figure.update_xaxes(type="log")
    return _scored(figure, unit)


def height(scores: Mapping[str, float]) -> float:
    """The one number of some scores that a curve shows: accuracy in per cent, bits a token, the mean squared error."""
    return 100 * scores["accuracy"] if "accuracy" in scores else scores.get("bpc", scores.get("mse", float("nan")))


def height_unit(scores: Mapping[str, float]) -> str:
    """The unit of `height`."""
    return next((unit for name, unit in _HEIGHTS.items() if name in scores), "score")


_HEIGHTS = {"accuracy": "accuracy, %", "bpc": "bits a token", "mse": "squared error"}
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


def curves_of(records: Sequence[Record], fields: Sequence[str] = ()) -> go.Figure:
    """Validation curves of any records, a line each; the official log's and the paper's dotted, once an experiment.

    A colour for each experiment with its changes, which stand in the name; with `fields`, those of the config alone do.
    """
    scores = [r.evaluations[0]["valid"] for r in records if r.evaluations]
    percent = bool(scores) and "accuracy" in scores[0]
    figure = blank("training step", "validation accuracy, %" if percent else "validation score")
    names = reader_names([r.experiment for r in records])
    colours: dict[tuple[str, str], str] = {}
    for record in records:
        sections = record.config.model_dump()
        changed = {f: sections[f.partition(".")[0]][f.partition(".")[2]] for f in fields} or record.changes
        what = ", ".join(f"{field_name(p)} {f'{v:g}' if isinstance(v, float) else v}" for p, v in changed.items())
        colour = colours.setdefault((record.experiment, what), hued(len(colours)))
        rows = [row for row in record.evaluations if None not in row["valid"].values()]
        name = f"{names[record.experiment]}, {what}" if what and not fields else what or names[record.experiment]
        figure.add_scatter(
            x=[row["step"] for row in rows],
            y=[height(row["valid"]) for row in rows],
            name=f"{name}, seed {record.seed}{' (smoke)' if record.smoke else ''}",
            mode="lines+markers",
            line={"color": colour},
        )
    end = max((r.step for r in records), default=1)
    first = {experiment: colour for (experiment, _), colour in reversed(colours.items())}
    for experiment, colour in first.items():
        look: dict[str, Any] = {"color": colour, **PAPER}
        for source, x, y in _published(experiment):
            near = x <= max(end * 1.6, 12_000)
            figure.add_scatter(x=x[near], y=y[near], name=f"{names[experiment]}, {source}", mode="lines", line=look)
    return _scored(figure, "")


def _published(experiment: str) -> list[tuple[str, pd.Series[Any], pd.Series[Any]]]:
    """The published curves of an experiment: (source, steps, height as `height` has it)."""
    if experiment not in paper.EXPERIMENTS:
        return []
    official = learning_curves.official_curve(experiment)
    found = (
        [("official log", official["step"], 100 * official["valid_accuracy"])] if "valid_accuracy" in official else []
    )
    if experiment.startswith("adding_"):
        table = learning_curves.published_curve(experiment)
        found.append(("paper", table["step"], table["mse"]))
    return [(source, x, y) for source, x, y in found if len(x)]


def official(experiments: Sequence[str], column: str = "valid_accuracy") -> go.Figure:
    """The official logs of experiments alone, each to its end, on a logarithmic axis of steps."""
    unit, scale = _LEARNING_UNITS[column.rpartition("_")[2]]
    figure = blank("training step", unit, f"Official logs: {_LEARNING_TITLES[column.rpartition('_')[0]].lower()}")
    logs = {name: learning_curves.official_curve(name) for name in experiments if paper.experiment(name).curve}
    names = reader_names(list(logs))
    nets = list(dict.fromkeys(name.rpartition("_")[2] for name in logs))
    splits = list(dict.fromkeys(name.rpartition("_")[0] for name in logs))
    for name, log in logs.items():
        split, _, net = name.rpartition("_")
        dash = ("solid", "dot", "dash", "dashdot")[splits.index(split) % 4]
        look = {"dash": dash, "width": 1.6}
        add_line(figure, log["step"], scale * log[column], names[name], hued(nets.index(net)), line=look)
    figure.update_xaxes(type="log", dtick=1)
    return _scored(figure, unit)


def accuracy_by_length(lengths: pd.DataFrame, title: str = "") -> go.Figure:
    """Accuracy by length of the sequence, with the 95 % interval over examples; the table is `analysis.by_length`'s."""
    figure = blank("steps of the sequence", "test accuracy, %", title)
    some = lengths[lengths["sequences"] > 0]
    share = some["right"] / some["sequences"]
    ends = [wilson(p, int(n)) for p, n in zip(share, some["sequences"], strict=True)]
    figure.add_bar(
        x=[f"{a:,} to {b:,}<br>n = {n}" for a, b, n in zip(some["over"], some["to"], some["sequences"], strict=True)],
        y=100 * share,
        marker={"color": COLOURS["IndRNN"]},
        error_y={
            "array": [100 * (high - p) for (_, high), p in zip(ends, share, strict=True)],
            "arrayminus": [100 * (p - low) for (low, _), p in zip(ends, share, strict=True)],
            "color": INK,
        },
        showlegend=False,
        hovertemplate="%{y:.1f} %<extra></extra>",
    )
    line = {"color": INK, "dash": "dash", "width": 1}
    figure.add_hline(y=10, line=line, annotation_text="chance", annotation_position="right")
    figure.update_yaxes(range=[0, 100])
    figure.update_layout(hovermode="closest", margin={"r": 70})
    return figure
