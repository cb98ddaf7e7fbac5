"""The adding problem: Fig. 4, a panel a length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ... import paper
from ...config import Config
from ...runs.provenance import NUMERICS
from ...runs.record import Record
from ...tasks import spec
from .. import learning_curves
from .style import COLOURS, EARLIER, INK, PAPER, TEXT, add_line, blank

BASELINE = 1 / 6  # the MSE of always answering 1
END = 60_300  # steps of the paper's curves
OURS = {"width": 1.6}


def adding(records: Sequence[Record], longer: Sequence[str] = ()) -> go.Figure:
    """Fig. 4: validation MSE over training steps, a panel a length, one line a run, the paper's curves dotted; the
    paper's also of the experiments `longer` that have no record here."""
    others = {name: spec(paper.experiment(name).config.task).steps for name in longer}
    steps = {record: spec(record.config.task).steps for record in records}
    panels = {T: [r for r in records if steps[r] == T] for T in sorted({*steps.values(), *others.values()})}
    headings = [f"Adding problem, T = {T:,}" + "<br>not recorded" * (not own) for T, own in panels.items()]
    figure = _panels("training step", "mean squared error", headings)
    ends = {T: max((int(r.curve["step"].max()) for r in own if len(r.curve)), default=END) for T, own in panels.items()}
    last, shown = max(ends.values(), default=END), set[str]()
    for index, (T, own) in enumerate(panels.items()):
        place = _place(index, len(panels))
        for record in own:
            name, curve = f"{_net(record.config)}, ours", record.curve
            older = record.numerics < NUMERICS  # which decides nothing
            if len(curve):
                ours = f"{name}, earlier numerics" if older else name
                group: dict[str, Any] = {"legendgroup": ours, "showlegend": ours not in shown}
                look: dict[str, Any] = {"line": EARLIER if older else OURS, "hover": f"{ours}, seed {record.seed}"}
                colour, x, y = COLOURS.get(_net(record.config), COLOURS["second"]), curve["step"], curve["valid_mse"]
                add_line(figure, x, y, ours, colour, ".4f", opacity=0.85, **look, **group, **place)
                shown.add(ours)
        recorded = [r.experiment for r in own if not r.smoke and r.experiment in paper.EXPERIMENTS]
        for name in dict.fromkeys([*recorded, *(name for name in others if others[name] == T)]):
            official = learning_curves.published_curve(name)
            net = _net(paper.experiment(name).config)
            if len(official):
                theirs, colour = f"{net}, paper", COLOURS.get(net, COLOURS["second"])
                look = {"line": PAPER, "legendgroup": theirs, "showlegend": theirs not in shown}
                add_line(figure, official["step"], official["mse"], theirs, colour, ".4f", **look, **place)
                shown.add(theirs)
        line = {"color": INK, "dash": "dash", "width": 1}
        figure.add_hline(y=BASELINE, line=line, name="always answering 1: 1/6", showlegend=not index, **place)
        if last > 20_000:  # what tells the nets apart happens within the first tenth of the paper's 60,300 steps
            figure.update_xaxes(type="log", dtick=1, range=[2, math.log10(last * 1.02)], **place)
        else:
            figure.update_xaxes(range=[0, ends[T] * 1.02], **place)
    figure.update_yaxes(rangemode="tozero", range=[0, 0.25])
    return figure


def _panels(x: str, y: str, headings: Sequence[str]) -> go.Figure:
    """An empty figure with a panel a heading, two in a row."""
    if len(headings) < 2:
        return blank(x, y, "".join(headings))
    rows = -(-len(headings) // 2)
    figure = make_subplots(rows, 2, subplot_titles=headings, horizontal_spacing=0.09, vertical_spacing=0.5 / rows / 2)
    look = blank(x, y).layout
    axes = {name: getattr(look, name).to_plotly_json() for name in ("xaxis", "yaxis")}
    figure.update_layout(look)
    figure.update_xaxes(axes["xaxis"]).update_xaxes(title_text="")
    figure.update_xaxes(title_text=x, row=rows)
    figure.update_yaxes(axes["yaxis"]).update_yaxes(title_text="", col=2)
    figure.update_annotations(font={"color": INK, "size": TEXT})
    return figure.update_layout(height=120 + 300 * rows, margin={"t": 50}, legend={"y": -0.12})


def _place(index: int, count: int) -> dict[str, Any]:
    """Row and column of a panel; none where there is one alone."""
    return {} if count < 2 else {"row": index // 2 + 1, "col": index % 2 + 1}


def _net(config: Config) -> str:
    return _NETS.get(config.model.kind, config.model.kind)


_NETS = {"plain": "IndRNN", "lstm": "LSTM", "irnn": "IRNN", "rnn_tanh": "RNN-tanh"}
_NETS |= {"lru": "LRU", "mingru": "minGRU", "transformer": "Transformer"}
