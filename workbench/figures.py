"""From data to plotly figures; pure functions, no state, no disk.

One look that reads on a light and on a dark page: no background of its own, mid-grey ink, colours that stay apart for
colour-blind readers (Okabe and Ito). Every axis has its label and unit.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from . import curves, paper
from .config import Treebank
from .tasks import treebank

if TYPE_CHECKING:
    import pandas as pd
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


def passes(records: Sequence[Record], column: str = "valid_bpc", beside: Sequence[str] = ()) -> go.Figure:
    """Tables 3 and 4: a column of the learning curves over passes through the training text, on a logarithmic axis;
    ours as lines with points, the official logs of the experiments `beside` dotted."""
    unit = _LEARNING_UNITS[column.rpartition("_")[2]][0]
    figure = blank("passes through the training text", unit, f"{_LEARNING_TITLES[column.rpartition('_')[0]]}, {unit}")
    names = list(dict.fromkeys([r.experiment for r in records] + list(beside)))
    colours = {name: list(COLOURS.values())[i % len(COLOURS)] for i, name in enumerate(names)}
    for record in records:
        curve, task = record.curve, record.config.task
        if isinstance(task, Treebank) and len(curve):
            figure.add_scatter(
                x=curve["step"] / treebank.batches_per_epoch(task, record.config.train.batch),
                y=curve[column],
                name=f"{record.experiment}, seed {record.seed}",
                mode="lines+markers",
                marker={"size": 4},
                line={"color": colours[record.experiment]},
                hovertemplate=f"{record.experiment}: %{{y:.4g}}<extra></extra>",
            )
    for name in beside:
        official = curves.official_curve(name)
        figure.add_scatter(
            x=official["step"] / paper.experiment(name).config.train.evaluate_every,
            y=official[column],
            name=f"{name}, official log",
            line={"color": colours[name], **PAPER},
            hovertemplate=f"{name}, official log: %{{y:.4g}}<extra></extra>",
        )
    figure.update_xaxes(type="log")
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
            y=[float(v) or None for v in values],  # a gradient that has underflowed is not drawn
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
    u_max = model.u_max if model.gamma is None else bound(record.config.task.length, model.gamma)
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


# --- sweeps and the board ---


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


def curves_of(records: Sequence[Record]) -> go.Figure:
    """Validation curves of any records, a line each; the official log's and the paper's dotted, once an experiment."""
    scores = [r.evaluations[0]["valid"] for r in records if r.evaluations]
    percent = bool(scores) and "accuracy" in scores[0]
    figure = blank("training step", "validation accuracy, %" if percent else "validation score")
    palette, seen = list(COLOURS.values()), list(dict.fromkeys(r.experiment for r in records))
    for record in records:
        rows = [row for row in record.evaluations if None not in row["valid"].values()]
        colour = palette[seen.index(record.experiment) % len(palette)]
        name = f"{record.experiment}, seed {record.seed}{' (smoke)' if record.smoke else ''}"
        changed = ", ".join(f"{path.partition('.')[2]}={value}" for path, value in record.changes.items())
        figure.add_scatter(
            x=[row["step"] for row in rows],
            y=[height(row["valid"]) for row in rows],
            name=f"{name} {changed}".strip(),
            mode="lines+markers",
            line={"color": colour},
        )
    end = max((r.step for r in records), default=1)
    for experiment in seen:
        look: dict[str, Any] = {"color": palette[seen.index(experiment) % len(palette)], **PAPER}
        for source, x, y in _published(experiment):
            near = x <= max(end * 1.6, 12_000)
            figure.add_scatter(x=x[near], y=y[near], name=f"{experiment}, {source}", mode="lines", line=look)
    return figure


def _published(experiment: str) -> list[tuple[str, pd.Series[Any], pd.Series[Any]]]:
    """The published curves of an experiment: (source, steps, height as `height` has it)."""
    if experiment not in paper.EXPERIMENTS:
        return []
    official = curves.official_curve(experiment)
    found = (
        [("official log", official["step"], 100 * official["valid_accuracy"])] if "valid_accuracy" in official else []
    )
    if experiment.startswith("adding_"):
        table = curves.published_curve(experiment)
        found.append(("paper", table["step"], table["mse"]))
    return [(source, x, y) for source, x, y in found if len(x)]


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


# --- Table 5 and Fig. 5 ---

BINS, LOWEST = 40, -0.5  # of Fig. 5, from -0.5 to the bound


def official(experiments: Sequence[str], column: str = "valid_accuracy") -> go.Figure:
    """The official logs of experiments alone, each to its end, on a logarithmic axis of steps."""
    unit, scale = _LEARNING_UNITS[column.rpartition("_")[2]]
    figure = blank("training step", unit, f"Official logs: {_LEARNING_TITLES[column.rpartition('_')[0]].lower()}")
    logs = {name: curves.official_curve(name) for name in experiments if paper.experiment(name).curve}
    nets = list(dict.fromkeys(name.rpartition("_")[2] for name in logs))
    splits = list(dict.fromkeys(name.rpartition("_")[0] for name in logs))
    for name, log in logs.items():
        split, _, net = name.rpartition("_")
        dash = ("solid", "dot", "dash", "dashdot")[splits.index(split) % 4]
        figure.add_scatter(
            x=log["step"],
            y=scale * log[column],
            name=name,
            line={"color": list(COLOURS.values())[nets.index(net) % len(COLOURS)], "dash": dash, "width": 1.6},
            hovertemplate=f"{name}: %{{y:.4g}}<extra></extra>",
        )
    figure.update_xaxes(type="log", dtick=1)
    figure.update_layout(height=520)
    return figure


def weight_histograms(
    after: Mapping[str, Tensor],
    before: Mapping[str, Tensor],
    printed: Sequence[Mapping[str, str]] = (),
    bound: float = 1.0,
    title: str = "",
) -> go.Figure:
    """Fig. 5: u of each layer in 40 bins from -0.5 to the bound. Bars: after training; line: before; the paper's, the
    rows of its digitised table (layer, bin_left, bin_right, count), dotted. In per cent of a layer's neurons."""
    from plotly.subplots import make_subplots

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
    figure.update_xaxes(title="recurrent weight u", row=rows)
    figure.update_yaxes(title="neurons, %", col=1)
    figure.update_annotations(font={"color": INK, "size": 13})
    legend = {"orientation": "h", "y": -0.16 if rows > 1 else -0.3, "x": 0}
    figure.update_layout(height=140 + 230 * rows, margin={"t": 80}, bargap=0, hovermode="closest", legend=legend)
    return figure


def weight_histograms_of(record: Record, printed: Sequence[Mapping[str, str]] = ()) -> go.Figure:
    """`weight_histograms` of a run's last evaluation beside the weights that its seed began with."""
    bound, after, before = _weights_of(record)
    step = max(record.recurrent_weights(), default=0)
    return weight_histograms(after, before, printed, bound, f"{record.experiment}: u after step {step:,}")


def weight_shares(records: Sequence[Record], printed: Sequence[Mapping[str, str]] = ()) -> go.Figure:
    """How many neurons of each layer forget (u below 0) and how many remember (u above 0.9), in per cent: ours as
    lines, the paper's, from the summary of its digitised histograms (model, metric, value), dotted."""
    figure = blank("layer", "neurons, %", "Neurons that forget, neurons that remember")
    palette = [COLOURS["IndRNN"], COLOURS["IRNN"], COLOURS["RNN-tanh"]]
    measured: list[tuple[str, dict[str, list[float]], dict[str, Any]]] = []
    for index, record in enumerate(records):
        weights = _weights_of(record)[1].values()
        shares = {"u<0": [float((u < 0).float().mean()) for u in weights]}
        shares["u>0.9"] = [float((u > 0.9).float().mean()) for u in weights]
        line = {"width": 2.5, "color": palette[index % len(palette)]}
        measured.append((f"{record.experiment}, seed {record.seed}", shares, line))
    theirs = {what: [float(row["value"]) for row in printed if row["metric"] == f"fraction {what}"] for what in _SHARES}
    if any(theirs.values()):
        measured.append(("paper, Fig. 5", theirs, {**PAPER, "color": COLOURS["LSTM"]}))
    for name, shares, line in measured:
        for what, symbol in _SHARES.items():
            figure.add_scatter(
                x=list(range(1, len(shares[what]) + 1)),
                y=[100 * share for share in shares[what]],
                name=f"{what}, {name}",
                mode="lines+markers",
                marker={"symbol": symbol, "size": 9},
                line=line,
                hovertemplate=f"{what}, {name}: %{{y:.1f}} %<extra></extra>",
            )
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(range=[0, 100])
    return figure


_SHARES = {"u<0": "circle-open", "u>0.9": "square"}  # with their markers


def _histogram(u: Tensor, bound: float) -> tuple[list[float], list[float]]:
    """Edges of the bins, and the per cent of the neurons in each; those outside are in none."""
    import numpy as np

    counts, edges = np.histogram(u.numpy(), BINS, (LOWEST, max(bound, 1.0)))
    return edges.tolist(), (100 * counts / len(u)).tolist()


def _weights_of(record: Record) -> tuple[float, dict[str, Tensor], dict[str, Tensor]]:
    """Bound, u by layer at the last evaluation, u by layer as the seed drew it."""
    from . import tasks
    from .chance import generator
    from .models.bounds import bound
    from .models.build import build, recurrent_weights

    config, weights = record.config, record.recurrent_weights()
    spec = tasks.spec(config.task)
    net = build(config.model, spec, generator(record.seed, "init"))
    before = {name: u.clone() for name, u in recurrent_weights(net).items()}
    u_max = 1.0 if config.model.gamma is None else bound(spec.steps, config.model.gamma)
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
            line={"color": list(COLOURS.values())[index % len(COLOURS)], "width": 2.5},
            hovertemplate=f"T = {T:,}: u = %{{x:.6g}} leaves %{{y:.3g}}<extra></extra>",
        )
    for name, y, dash in (("gamma", gamma, "dash"), ("epsilon", 1 / gamma, "dot")):
        line = {"color": INK, "dash": dash, "width": 1.5}
        figure.add_scatter(x=[0.9, 1.1], y=[y, y], name=f"{name} = {y:g}", mode="lines", line=line, hoverinfo="skip")
    figure.update_xaxes(range=[0.965, 1.02])
    figure.update_yaxes(type="log", range=[-4, 4], exponentformat="power", dtick=1)
    figure.update_layout(hovermode="closest")
    return figure


_BARS = {"LSTM": "LSTM", "SRU": "second", "IndRNN, 1 layer": "IndRNN", "IndRNN, 2 layers": "IRNN"}  # net -> colour


def timing(times: pd.DataFrame, published: pd.DataFrame | None = None, column: str = "ms") -> go.Figure:
    """Fig. 2: bars of `ms` or of `faster` (than the LSTM of the same run), ours full, the published ones hatched."""
    units = {"ms": "milliseconds a training batch", "faster": "times faster than the LSTM of the same run"}
    figure = blank("sequence length T, steps", units[column], "")
    for source, table in (("here", times), ("paper, P100", published)):
        for net, bars in () if table is None else table.groupby("net", sort=False):
            name = str(net)
            colour = COLOURS[next(c for start, c in _BARS.items() if name.startswith(start))]
            figure.add_bar(
                x=[f"T = {T}" for T in bars["T"]],
                y=bars[column],
                name=f"{name}, {source}",
                marker={"color": colour, "line": {"color": colour, "width": 1}},
                marker_pattern={"shape": "/" if source != "here" else "", "fillmode": "overlay", "solidity": 0.25},
                opacity=1.0 if source == "here" else 0.55,
                hovertemplate=f"{name}, {source}: %{{y:.3g}}<extra></extra>",
            )
    figure.update_layout(barmode="group", bargap=0.25, height=470)
    return figure


def accuracy_by_length(lengths: pd.DataFrame, title: str = "") -> go.Figure:
    """Accuracy by length of the sequence, with the 95 % interval over examples; the table is `analysis.by_length`'s."""
    from .compare import over_examples

    figure = blank("steps of the sequence", "test accuracy, %", title)
    some = lengths[lengths["sequences"] > 0]
    share = some["right"] / some["sequences"]
    ends = [over_examples(p, int(n)) for p, n in zip(share, some["sequences"], strict=True)]
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
