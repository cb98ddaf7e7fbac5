"""Recurrent-weight bounds: Table 1 alive (Li et al. 2019, sections 3.1, 3.2; Fig. 5)."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from torch import Tensor

from ... import paper
from ...analysis import interventions
from ...analysis.figures.style import BLUE, EACH, GREEN, INK, ORANGE, SHADE, Picture, Time, thinned
from ...config import Budget
from ...errors import Stopped
from ...models.bounds import bound, half_life
from ...tasks import spec
from .alive import living
from .base import LONGEST, SMALLEST, Choice, Control, Exercise, ExplorerBase, Job, Panel, Slider, Switch, Tell, View
from .edits import CUTS, changed, named_layers
from .nets import experiments
from .trained_nets import TESTED, TrainedNet, score, scored, trained_net
from .widget import Explorer

LENGTHS = (10, 20, 50, 64, 100, 200, 500, 784, 1000, 2000, 5000, 10_000)
CURVED = tuple(round(10 ** (1 + i / 20)) for i in range(61))  # lengths, between which a line is as good as the curve
GAMMAS = (1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, 50.0, 100.0)
EPSILONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
CURVE = CUTS[::4]
MOMENTS = range(0, 101, 5)  # the stops of the moment of training
ROUNDING = 1e-6  # a u that the clamp put at its bound is not above it


class Bounds(ExplorerBase):
    """Bounds on |u| that keep a gradient alive over T steps and below an explosion, and where training puts u."""

    name = "bounds"
    title = "Recurrent weights and their bounds"
    look = (
        "how the range between vanishing and exploding closes around 1 as sequences grow, where training puts the "
        "neurons of a net that reads so many steps, and how far their memory can be cut before it forgets its task."
    )
    exercises = (
        Exercise("Longer sequences", {"steps": 5000}, "The range that is left around 1 is under a thousandth wide."),
        Exercise(
            "Half-lives", {"memory": True}, "The same neurons by how long they remember, from steps to no end.", True
        ),
        Exercise("At its start", {"moment": 0}, "Before training no u lies above the bound; play the moments.", True),
        Exercise(
            "Cut its memory", {"cut": 0.88}, "Nothing is trained again: over half of the right answers are gone.", True
        ),
        Exercise("Leave u free", {"clamp": False}, "Trained without the bound, a few more u are beyond it.", True),
    )
    sweep = ("steps", "gamma")
    leading = ("record",)

    def __init__(self, budget: Budget = "quick", device: str = "auto"):
        self.budget, self.device = budget, device
        self.nets = experiments("plain")
        self.measured: set[TrainedNet] = set()

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        net = self.net_of(values.get("record") or next(iter(self.nets)), True)
        own = spec(net.config.task).steps
        reads = f"the net reads {own}" + (f", {net.time.words(own)}" if net.time != EACH else "")
        return [
            Slider("steps", "Sequence length T", sorted({*LENGTHS, own}), own, "steps", reads, True),
            Slider("gamma", "Largest gradient, gamma", GAMMAS, 5.0, help="at most so many times what came in"),
            Slider("epsilon", "Smallest gradient, epsilon", EPSILONS, 0.1, help="at least this share must arrive"),
            Choice("record", "Net", self.nets, next(iter(self.nets))),
            Slider("moment", "Moment of training", MOMENTS, 100, "%", "0: the start, 100: as far as it went", True),
            Switch("clamp", "Trained with the bound", True, "off: the same net, u left free"),
            Switch("memory", "Show half-lives instead of u"),
            Slider("cut", "Cut every |u| to at most", CUTS, 1.2, "", "nothing is trained again"),
        ]

    def net_of(self, record: str, clamp: bool) -> TrainedNet:
        return trained_net(record, self.budget, None if clamp else {"model.gamma": None})

    def view(
        self, steps: int, gamma: float, epsilon: float, record: str, moment: int, clamp: bool, memory: bool, cut: float
    ) -> View:
        net = self.net_of(record, clamp)
        step, weights = list(net.weights.items())[round(moment / 100 * (len(net.weights) - 1))]
        low, high = epsilon ** (1 / steps), bound(steps, gamma)
        us = (low**2, low, 1.0, high, high**2)
        own = spec(net.config.task).steps
        least, most = epsilon ** (1 / own), bound(own, gamma)
        every = [abs(v) for u in weights.values() for v in u.tolist()]
        over, under = sum(u > most * (1 + ROUNDING) for u in every), sum(u < least for u in every)
        counts = f"of its {len(every)} neurons {over} would explode and {under} forget"
        judged = f"over the T = {own:,} steps that it reads, |u| must lie between {least:.5f} and {most:.5f}: {counts}"
        shown = neurons_by_layer(weights, own, least, most, cut if cut < CUTS[-1] else None, memory, net.time)
        if net.config.model.kind == "bidirectional":
            named_layers(shown, net)
        panels = {
            "funnel": Panel(
                funnel(steps, gamma, epsilon, CURVED).timed("x", "sequence length T", net.time),
                f"The range of |u| closes around 1 as sequences grow. At {steps} steps: {low:.5f} to {high:.5f}.",
            ),
            "gradient": Panel(
                survival(interventions.through_time(us, steps), us, gamma, epsilon).timed("x", "time back", net.time),
                f"Gradient against steps back, logarithmic: after {steps} steps {epsilon**2:g}, {epsilon:g}, 1, "
                f"{gamma:g} and {gamma**2:g} for these five |u|; wanted is {epsilon:g} to {gamma:g}.",
            ),
            "weights": Panel(
                shown, f"The recurrent weights of {net.origin} after step {step:,}, layer by layer: {judged}."
            ),
        }
        measured = not net.slow or net in self.measured
        if measured:
            unit = "test accuracy, %" if net.target == "class" else "mean squared error"
            ours, here = [score(answers(net, c), net.target) for c in CURVE], answers(net, cut)
            panels["tightening"] = Panel(
                tightening(CURVE, ours, unit, cut, score(here, net.target)),
                f"{unit} of the net as every |u| is cut to less: {scored(here, net.target)} at {cut:g}, "
                f"{ours[-1]:.3g} uncut.",
            )
        at, half = "at its start" if step == 0 else f"after step {step:,}", half_life(low)
        fades = "a memory never fades" if math.isinf(half) else f"a memory halves in {half:,.1f} steps"
        said = (
            f"Over T = {steps:,} steps |u| must lie between {low:.5f} and {high:.5f}, a range {high - low:.2g} wide; "
            f"at its lower end {fades}. {net.origin}, here {at}"
            f"{', reads so many: ' + counts if own == steps else ': ' + judged}."
        )
        if measured:  # at whatever moment u is shown
            said += f" Its {'best ' if net.step else ''}weights reach, uncut, {scored(net.answers, net.target)}"
            if cut < CUTS[-1]:
                lost = interventions.change(net.answers, here, net.target)
                said += f"; with every |u| cut to {cut:g} {changed(lost, net.target)}"
            said += "."
        job = net.job(self.device) if net.step == 0 or measured else self.measure(net)
        return View(panels, said, job, net.published)

    def alive(self) -> dict[str, Any]:
        return living(self, (), _held(self), offered)

    def measure(self, net: TrainedNet) -> Job:
        """Cut a net that is too slow for the main thread."""

        def run(tell: Tell, stop: threading.Event) -> None:
            tell(None, f"running {net.name} ...")
            for index, cut in enumerate(CUTS):
                if stop.is_set():
                    raise Stopped("stopped; what was scored is kept")
                answers(net, cut)
                tell(index / len(CUTS), f"cut to {cut:g}")
            self.measured.add(net)

        return Job("Cut its memory and score it", run)


@lru_cache(maxsize=256)
def answers(net: TrainedNet, cut: float) -> Tensor:
    """The answers of a net to the test examples with every |u| cut; at the slider's right end as it is."""
    if cut == CUTS[-1]:
        return net.answers
    with interventions.cut(net.net, cut):
        return interventions.answers(net.net, net.batch(TESTED), net.target)


def explore_bounds(*, budget: Budget = "quick", device: str = "auto", **values: Any) -> Explorer:
    """Open the explorer of recurrent-weight bounds, its controls at the given values (`steps=100, gamma=2.0`)."""
    return Explorer(Bounds(budget, device), **values)


# --- its figures: data in, a picture out ---


def funnel(steps: int, gamma: float, epsilon: float, lengths: Sequence[int]) -> Picture:
    """Table 1 as a picture: over how many steps which |u| keeps the gradient between epsilon and gamma."""
    picture = Picture(
        "sequence length T, steps", "recurrent weight |u|", "The longer the sequence, the nearer to 1 |u| must lie"
    )
    picture.line(lengths, [gamma ** (1 / T) for T in lengths], "explodes above", ORANGE)
    picture.line(lengths, [epsilon ** (1 / T) for T in lengths], "vanishes below", BLUE)
    picture.data[-1] |= {"fill": "tonexty", "fillcolor": SHADE}
    ends = (epsilon ** (1 / steps), gamma ** (1 / steps))
    picture.line([steps, steps], ends, f"at T = {steps:,}", GREEN, width=5)
    picture.data[-1] |= {"mode": "lines+markers", "marker": {"size": 9}}
    room = [min(0.6, 0.98 * ends[0]), max(1.4, 1.02 * ends[1])]
    return picture.axis("xaxis", type="log", dtick=1).axis("yaxis", range=room)


def survival(gradient: Tensor, us: Sequence[float], gamma: float, epsilon: float) -> Picture:
    """The gradient k steps back for five u around the range, (k, n), with the largest and the smallest wanted."""
    picture = Picture("steps back k", "gradient through k steps", "What is left of a gradient, or what it grows to")
    shown = thinned(len(gradient))
    styles = ((BLUE, "dot"), (BLUE, "solid"), (GREEN, "solid"), (ORANGE, "solid"), (ORANGE, "dot"))
    for column, (u, (colour, dash)) in enumerate(zip(us, styles, strict=True)):
        values = gradient[shown, column].clamp(SMALLEST, 1 / SMALLEST).tolist()
        picture.line(shown, values, f"|u| = {u:.6g}", colour, dash=dash)
    picture.level(gamma, "the largest wanted", log=True)
    picture.level(epsilon, "the smallest wanted", below=True, log=True)
    reach = 2.2 * max(math.log10(gamma), -math.log10(epsilon), 0.2)
    return picture.axis(
        "yaxis", type="log", exponentformat="power", dtick=max(1, round(reach / 3)), range=[-reach, reach]
    )


def neurons_by_layer(
    weights: Mapping[str, Tensor],
    steps: int,
    low: float,
    high: float,
    cut: float | None = None,
    memory: bool = False,
    time: Time = EACH,
) -> Picture:
    """Every neuron's u, or its half-life, in its layer; shaded the range for `steps` steps, a tighter cut as a line."""
    what = "half-life, steps" if memory else "recurrent weight u"
    title = "How long each neuron remembers" if memory else "Recurrent weights by layer"
    picture = Picture("layer", what, f"{title}; shaded: for T = {steps:,}")
    for index, u in enumerate(weights.values(), 1):
        values = sorted(u.tolist())
        n = len(values)
        half = [half_life(v) for v in values]
        words = [f"u = {v:.5f}, half-life {time.words(h)}" for v, h in zip(values, half, strict=True)]
        heights = [min(max(h, 0.1), LONGEST) for h in half] if memory else values
        places = [index - 0.36 + 0.72 * (i + 0.5) / n for i in range(n)]
        marker = {"opacity": 0.75}
        more = {"text": words, "hovertemplate": "%{text}<extra>layer " + f"{index}</extra>", "showlegend": False}
        picture.dots(places, heights, f"layer {index}", BLUE, 6 if n <= 64 else 4, marker=marker, **more)
    if memory:
        picture.band(min(half_life(low), LONGEST), LONGEST * 3)
        picture.axis("yaxis", type="log", range=[-1.1, 6.3], exponentformat="power")
        picture.timed("y", "half-life", time)
    else:
        picture.band(low, high, edge=BLUE).band(-high, -low, edge=BLUE)
        for sign in (1, -1) if cut is not None else ():
            picture.level(sign * (cut or 0.0), colour=ORANGE)
    return picture.unnamed().axis("xaxis", dtick=1, range=[0.5, max(len(weights), 1) + 0.5])


def tightening(cuts: Sequence[float], heights: Sequence[float], unit: str, cut: float, height: float) -> Picture:
    """A net's score as every |u| is cut to less and less, nothing retrained; the present cut marked."""
    picture = Picture("every |u| cut to at most", unit, "The net with its memory cut")
    picture.line(cuts, heights, "not retrained", BLUE)
    picture.dots([cut], [height], f"|u| ≤ {cut:.4g}: {height:.3g}", ORANGE, 13)
    return picture.axis("yaxis", **({"range": [0, 100]} if unit.endswith("%") else {"rangemode": "tozero"}))


# --- its page ---


def offered(control: Control) -> Control:
    """A control as a page has it: cuts of a net's memory are those that its curve has."""
    if isinstance(control, Slider) and control.stops == CUTS:
        return replace(control, stops=CURVE)
    return control


def _held(content: Bounds) -> dict[str, Any]:
    """Recurrent weights at some moments, and answers with memory cut, of each net: what the page computes from."""
    nets = {}
    for record, clamp in itertools.product([n for n in content.nets if n in paper.EXPERIMENTS], (True, False)):
        net = content.net_of(record, clamp)
        weights = list(net.weights.items())
        places = [round(moment / 100 * (len(weights) - 1)) for moment in MOMENTS]
        moments = {
            place: {
                "step": weights[place][0],
                "layers": [[float(f"{u:.9g}") for u in sorted(layer.tolist())] for layer in weights[place][1].values()],
            }
            for place in places
        }
        told = [] if net.slow else [answers(net, at) for at in CURVE]
        cut = {
            "unit": "test accuracy, %" if net.target == "class" else "mean squared error",
            "heights": [score(found, net.target) for found in told],
            "scored": [scored(found, net.target) for found in told],
            "changed": [changed(interventions.change(net.answers, found, net.target), net.target) for found in told],
        }
        nets[f"{record} {str(clamp).lower()}"] = {
            "origin": net.origin,
            "best": "best " if net.step else "",
            "own": spec(net.config.task).steps,
            "places": places,
            "moments": moments,
            "cut": cut if told else None,
        }
    level = Picture("", "").level(0.0, colour=ORANGE).layout["shapes"][0]
    shared = {"ink": INK, "level": level, "lengths": CURVED, "cuts": CURVE, "rounding": ROUNDING}
    return {"nets": nets, **shared, "longest": LONGEST, "smallest": SMALLEST}
