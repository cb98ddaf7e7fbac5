"""Depth: how far down a gradient comes in IndRNNs of three kinds, LSTM and RNN-tanh (Li et al. 2019, Fig. 3)."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from functools import cache, lru_cache
from statistics import median
from typing import Any, NamedTuple

from torch import Tensor

from ...analysis import interventions
from ...analysis.figures import INK, height
from ...analysis.figures.style import EACH, LEVELS, Picture, timed, whiskers
from ...config import Budget, Config, Model, Pixels, Train
from ...models.build import count, without_values
from ...models.layer import recurrences
from ...tasks import spec
from . import own_records
from .alive import living
from .base import NAMES, NETS, Choice, Control, Exercise, ExplorerBase, Job, Panel, Slider, Switch, Tell, View, decades
from .trained_nets import TrainedNet, evaluations, trained_net
from .widget import Explorer

HIDDEN, BATCH, STEPS = 32, 8, 300  # small enough to answer at once; the steps of training here
PASSES, PATIENCE = 6, 0.03  # at most so many passes are timed, and begun within so many seconds
DEPTHS = range(1, 25)
KINDS = ("plain", "residual", "dense", "lstm", "rnn_tanh")
NONE = "No net is shown."


def config(kind: str, depth: int, norm: bool = True, steps: int = STEPS) -> Config:
    """A net of about so many recurrent layers on the digits: 64 steps, 32 neurons a layer.

    A residual net has an odd number (two a block and a last), a dense one an even number from 4 on (two a layer, the
    first and the transition).
    """
    fields: dict[str, Any] = {"kind": kind, **shape(kind, depth)}
    if kind != "dense":
        fields["hidden"] = HIDDEN
    if kind not in ("lstm", "rnn_tanh"):
        fields |= {"gamma": 5.0, "norm": "after" if norm else "none"}
    train = Train(batch=32, lr=2e-3 if kind == "lstm" else 1e-3, steps=steps, evaluate_every=max(1, steps // 6))
    task = Pixels(name="pixels", source="digits")
    return Config(task=task, model=Model.model_validate(fields), train=train)


def shape(kind: str, depth: int) -> dict[str, Any]:
    """The fields of a net of about so many recurrent layers."""
    if kind == "dense":
        return {"growth": 8, "blocks": (max(1, (depth - 2) // 2),)}
    return {"depth": max(1, (depth - 1) // 2) if kind == "residual" else depth}


def own_config(of: Config, kind: str, depth: int, norm: bool) -> Config:
    """A net of about so many recurrent layers on one's own sequences, all else as in the config of a record."""
    fields = {} if (kind, depth) == (of.model.kind, own_depth(of)) else shape(kind, depth)
    if kind not in ("lstm", "rnn_tanh") and norm != (of.model.norm != "none"):
        fields |= {"norm": "after"} if norm else {"norm": "none", "norm_kind": "batch", "norm_gain": 1.0}
    return own_records.of_kind(of, kind, **fields)


@lru_cache(maxsize=16)
def own_depth(config: Config) -> int:
    """The recurrent layers of a record's net, those that read both ways counted once."""
    found = len(recurrences(without_values(config.model, spec(config.task))))
    return min(24, found // 2 if config.model.kind == "bidirectional" else found)


class Depth(ExplorerBase):
    """Size of a gradient on its way down through the layers and back through time."""

    name = "depth"
    title = "Depth: how far down does the gradient come?"
    look = (
        "how much of the gradient at the last layer arrives at the first in each net, from how many layers on a map is "
        "dark at the bottom (hardly any gradient arrives there), and what batch norm has to do with it."
    )
    exercises = (
        Exercise("24 layers", {"depth": 24}, "RNN-tanh's map is dark below, LSTM's too; the IndRNNs' are not."),
        Exercise(
            "Without batch norm", {"norm": False}, "Less of the gradient arrives at the first layer of an IndRNN."
        ),
        Exercise("After training", {"trained": True}, "Trained for 300 steps, LSTM's gradient arrives too.", True),
    )
    sweep = ("depth", "norm")
    leading = ("record",)

    def __init__(self, budget: Budget = "quick", device: str = "auto"):
        self.steps, self.device = (8 if budget == "smoke" else STEPS), device
        self.own = own_records.look_again()
        self.records = {"digits": "scikit-learn's digits", **own_records.titles()}

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        own = self.own.get(values.get("record", "digits"))
        depth, norm = (8, True) if own is None else (own_depth(own.config), own.config.model.norm != "none")
        help = "residual: odd, dense: even from 4 on"
        return [
            Choice("record", "Sequences", self.records, "digits", "records of your own IndRNNs by name"),
            Slider("depth", "Recurrent layers", DEPTHS, depth, "layers", help, True),
            Switch("trained", "After training", help="off: as the nets start"),
            Switch("norm", "Batch norm in the IndRNNs" if own is None else "Norm in the IndRNNs", norm),
            *(Switch(kind, NAMES[kind], True) for kind in KINDS),
        ]

    def nets(self, record: str, depth: int, norm: bool, shown: Mapping[str, bool]) -> dict[str, TrainedNet]:
        kinds = [kind for kind in KINDS if shown[kind]]
        own = self.own.get(record)
        if own is None:
            return {kind: trained_net(config(kind, depth, norm, self.steps)) for kind in kinds}
        kinds += [own.config.model.kind] * (own.config.model.kind not in KINDS)
        return {kind: trained_net(own_config(own.config, kind, depth, norm), seed=own.seed) for kind in kinds}

    def view(self, record: str, depth: int, trained: bool, norm: bool, **shown: bool) -> View:
        nets = self.nets(record, depth, norm, shown)
        missing = [kind for kind, net in nets.items() if net.step < net.goal]
        maps: dict[str, Tensor] = {}
        rows: dict[str, Row] = {}
        for kind, net in nets.items():
            maps[kind], seconds, parameters = measured(net if trained else net.fresh)
            curve = evaluations(net.config, net.seed)
            reached = "not trained yet"
            if curve:
                score, at = height(curve[-1]["valid"]), f"at step {net.step:,}" if net.step < net.goal else ""
                if net.target == "class":
                    reached = f"{score:.1f} % {at or 'right'}"
                else:
                    reached = f"squared error {score:.3g} {at}".strip()
            rows[kind] = Row([1000 * s for s in seconds], parameters, reached)
        said = self.summary(maps, depth)
        time = EACH
        for net in [*nets.values()][: record != "digits"]:
            time, x = net.time, net.batch(BATCH, alike=True).x
            said += f" On {x.shape[1]} of the test sequences of {record} that have {len(x)} steps."
            said += " A net that reads both ways is read at its first step too." * ("bidirectional" in nets)
        if trained and missing:
            said += f" Not trained yet, shown as they start: {'; '.join(NAMES[kind] for kind in missing)}."
        panels = {
            "maps": Panel(
                gradient_maps(maps).timed("x", "time", time, first=1),
                "Maps of layers against time steps, one a net; bright where the gradient is strong. " + said,
                wide=True,
            ),
            "layers": Panel(by_layer(maps), f"Gradient norm by layer, logarithmic. {said}"),
            "time": Panel(
                by_step(maps).timed("x", "time before the end", time),
                "Gradient norm by steps before the end in the lowest layer, logarithmic; the last layer's is 1.",
            ),
            "costs": Panel(
                costs(rows),
                "; ".join(f"{NAMES[k]}: {row.parameters:,} parameters, {timed(row.times)}" for k, row in rows.items())
                or NONE,
                wide=True,
            ),
        }
        return View(panels, said, self.job([nets[kind] for kind in missing]), all(n.published for n in nets.values()))

    def summary(self, maps: Mapping[str, Tensor], depth: int) -> str:
        """Say how much of the gradient at the last layer arrives at the first."""
        if not maps:
            return NONE
        parts = []
        for kind, gradient in maps.items():
            norms = gradient.double().norm(dim=1)
            share = float(norms[0] / norms[-1].clamp_min(1e-300))
            parts.append(f"{NAMES[kind]} {share:.2g}" + f" ({len(gradient)} layers)" * (len(gradient) != depth))
        layers = "1 layer" if depth == 1 else f"{depth} layers"
        said = f"With {layers}, of a gradient of 1 at the last layer arrives at the first: {'; '.join(parts)}."
        return f"{said} The last layer is read at its last step alone: the rest of its row is empty."

    def alive(self) -> dict[str, Any]:
        return living(
            self,
            ("depth", "norm", "trained"),
            {"names": {kind: NAMES[kind] for kind in KINDS}, "row": ROW, "none": NONE},
        )

    def job(self, nets: list[TrainedNet]) -> Job | None:
        def run(tell: Tell, stop: threading.Event) -> None:
            for net in nets:
                net.train(tell, stop, self.device, NAMES[net.config.model.kind])

        return Job(f"Train {len(nets)} nets ({nets[0].goal:,} steps each)", run) if nets else None


@lru_cache(maxsize=400)
def measured(net: TrainedNet) -> tuple[Tensor, tuple[float, ...], int]:
    """The gradient map of a net on 8 sequences, the seconds of some forward and backward passes, the parameters."""
    warm(net.config.model.kind)
    seconds: list[float] = []
    while len(seconds) < PASSES and sum(seconds) < PATIENCE:
        gradient, passed = interventions.gradient_map(net.net, net.batch(BATCH, alike=True), net.target)
        seconds.append(passed)
    if net.config.model.kind == "bidirectional":  # both ways of a layer together, in the sequence's own order
        gradient = (gradient[::2].square() + gradient[1::2].flip(1).square()).sqrt()
    return gradient, tuple(seconds), count(net.net)


@cache
def warm(kind: str) -> None:
    """Run a small net of a kind once: the first pass of a process takes longer."""
    small = trained_net(config(kind, 1, steps=1))
    interventions.gradient_map(small.net, small.batch(BATCH), spec(small.config.task).target)


def explore_depth(*, budget: Budget = "quick", device: str = "auto", **values: Any) -> Explorer:
    """Open the explorer of depth, its controls at the given values (`depth=12, norm=False`)."""
    return Explorer(Depth(budget, device), **values)


# --- its figures: data in, a picture out ---

FAINTEST = -8.0  # powers of ten below the strongest gradient
ROW = 56  # pixels of a net among the costs


def gradient_maps(maps: Mapping[str, Tensor]) -> Picture:
    """Each net's gradient at every layer and step, side by side: brightness is its power of ten below the strongest."""
    picture = Picture("", "layer", "Dark where the gradient is lost: every layer, every time step", height=330)
    gap, n = 0.012, max(len(maps), 1)
    width = (1 - gap * (n - 1)) / n
    axis = {**picture.layout["xaxis"], "nticks": 4}
    for index, (kind, gradient) in enumerate(maps.items()):
        number = "" if index == 0 else str(index + 1)
        low = index * (width + gap)
        levels = (gradient.double() / gradient.max().clamp_min(1e-300)).clamp_min(1e-300).log10()
        z: list[list[float | None]] = [[round(v, 2) for v in row] for row in levels.clamp_min(FAINTEST).tolist()]
        asked = (gradient[-1] > 0).tolist()
        z[-1] = [v if real else None for v, real in zip(z[-1], asked, strict=True)]  # the others are no small gradient
        rows, steps = (list(range(1, n + 1)) for n in gradient.shape)
        more = {"name": NAMES[kind], "xaxis": f"x{number}", "coloraxis": "coloraxis"}
        hover = "layer %{y}, step %{x}: 10^%{z}<extra>" + NAMES[kind] + "</extra>"
        picture.trace("heatmap", z=z, x=steps, y=rows, hovertemplate=hover, **more).linked(step="x", layer="y")
        title = {"text": "time step" if index == n // 2 else "", "font": {"size": 13}}
        picture.layout[f"xaxis{number}"] = {**axis, "title": title, "domain": [low, low + width], "anchor": "y"}
        place = {"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom", "align": "left"}
        words, font = NAMES[kind].replace(", ", ",<br>"), {"size": 11, "color": INK}
        picture.note(words, x=low, y=1.01, **place, font=font)
    most = max((len(gradient) for gradient in maps.values()), default=1)
    picture.axis("yaxis", dtick=max(1, round(most / 6)), range=[0.5, most + 0.5])
    title = {"text": "power of ten", "side": "right", "font": {"size": 12}}
    bar: dict[str, Any] = {"title": title, "thickness": 14, "len": 1}
    scale = {"colorscale": LEVELS, "cmin": FAINTEST, "cmax": 0}
    below = {**bar, "title": {**title, "side": "top"}, "orientation": "h", "y": -0.3, "yanchor": "top"}
    picture.narrow(coloraxis={**scale, "colorbar": below}, margin={"l": 44, "r": 8, "t": 70, "b": 110}, height=390)
    return picture.set(coloraxis={**scale, "colorbar": bar}, showlegend=False)


def by_layer(maps: Mapping[str, Tensor]) -> Picture:
    """The gradient that reaches each layer, all steps together, relative to the last layer's."""
    picture = Picture("layer, 1 reads the input", "gradient norm, last layer = 1", "What reaches each layer")
    for kind, gradient in maps.items():
        norms = gradient.double().norm(dim=1)
        picture.line(range(1, len(norms) + 1), _relative(norms, norms[-1]), NAMES[kind], NETS[kind])
        picture.data[-1] |= {"mode": "lines+markers"}
        picture.linked(layer="x")
    picture.layout["margin"]["t"] = 92  # five names are three lines where the page is narrow
    return picture.axis("yaxis", type="log", exponentformat="power", dtick=decades(picture))


def by_step(maps: Mapping[str, Tensor]) -> Picture:
    """The gradient that reaches each step of the lowest layer, relative to the last layer's as `by_layer` has it."""
    picture = Picture("steps before the end", "gradient norm, last layer = 1", "Back through time, in the lowest layer")
    for kind, gradient in maps.items():
        norms = gradient.double().flip(1)
        values = _relative(norms[0], norms[-1].norm())
        picture.line(range(len(values)), values, NAMES[kind], NETS[kind]).linked(step=len(values))
    picture.layout["margin"]["t"] = 92
    return picture.axis("yaxis", type="log", exponentformat="power", dtick=decades(picture))


class Row(NamedTuple):
    """Costs and reach of a net: milliseconds of some passes, parameters, and how right it is, in words."""

    times: list[float]
    parameters: int
    reached: str


def costs(rows: Mapping[str, Row]) -> Picture:
    """Draw what a pass of each net costs, the median with the fastest and the slowest, and what it reaches."""
    title = "What a pass cost when this was drawn; what training reaches in validation"
    picture = Picture("ms a pass, median and range", "", title)
    for kind, (times, parameters, reached) in rows.items():
        middle, words = median(times), f"{parameters:,} parameters, {reached}"
        bars = whiskers([middle], [min(times)], [max(times)]) if len(times) > 1 else {}
        more = {"marker": {"color": NETS[kind]}, "error_x": bars, "text": [f"{timed(times)}, {words}"]}
        more |= {"orientation": "h", "textposition": "none", "hovertemplate": "%{text}<extra></extra>"}
        picture.trace("bar", x=[middle], y=[NAMES[kind]], name=NAMES[kind], **more)
        place = {"xanchor": "left", "align": "left", "xshift": 6, "yshift": -25, "font": {"size": 11, "color": INK}}
        picture.note(f"{timed(times)}<br>{words}", x=0, y=NAMES[kind], **place)
    picture.set(bargap=0.7, height=80 + ROW * len(rows))
    return picture.unnamed().axis("yaxis", range=[len(rows) - 0.15, -0.6], automargin=True)


def _relative(values: Tensor, one: Tensor) -> list[float]:
    """Infinity, which is not drawn, where nothing is left in float32."""
    return [v if v > 0 else math.inf for v in (values / one.clamp_min(1e-300)).tolist()]
