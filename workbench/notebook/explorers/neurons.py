"""Neurons: what only an IndRNN can give, since each neuron's memory is its own (Li et al. 2018, section 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...analysis import interventions
from ...analysis.figures import INK, height
from ...analysis.figures.style import BLUE, ORANGE, PINK, SIGNED, Picture, thinned
from ...config import Budget
from ...models.bounds import half_life
from ...tasks import spec
from ...training import evaluate
from .base import Choice, Control, ExplorerBase, Panel, Slider, Switch, View, fading, span
from .trained_nets import SLOW, TrainedNet, at_hand, experiments, trained_net
from .widget import Explorer

COUNT = 200  # test examples that an edited net answers
AS_IT_IS = -1.5  # the place of the u slider that leaves u alone
PLACES = (AS_IT_IS, *(round(-1.2 + 0.02 * i, 2) for i in range(121)))
SENTENCES = (  # an experiment and changes to it: a net of 23,000 parameters that reads characters
    "ptbchar_small",
    {"model.hidden": 96, "model.depth": 2, "model.embedding": 32, "train.steps": 1500, "train.evaluate_every": 500},
)
UNITS = {"class": "% right", "real": "mean squared error", "token": "bits a character"}
BLANK = {"pixels": -1.0}  # an input that says nothing; 0 where none is named


class Neurons(ExplorerBase):
    """One neuron at a time: its u, its answer to an impulse, its part in the net's decision."""

    name = "neurons"
    title = "Neurons, one at a time"
    look = (
        "neurons with u near 1, which carry what was seen at the first pixels to the end, and what becomes of the "
        "answer when one of them is silenced or made to forget."
    )
    sweep = ("neuron",)
    leading = ("record", "layer")

    def __init__(self, budget: Budget = "quick", device: str = "auto"):
        self.budget, self.device = budget, device
        self.nets = experiments("plain", "residual", steps=SLOW, opened=True)
        self.help = ""
        if at_hand("ptb"):
            self.nets["sentences"] = "Penn Treebank, character by character, IndRNN 2 layers"
        else:
            self.help = "sentences too once the Penn Treebank is here: workbench data ptb"

    def net_of(self, record: str) -> TrainedNet:
        return (
            trained_net(SENTENCES[0], "quick", SENTENCES[1])
            if record == "sentences"
            else trained_net(record, self.budget)
        )

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        net = self.net_of(values.get("record", next(iter(self.nets))))
        layers = list(list(net.weights.values())[-1].values())
        us = layers[min(int(values.get("layer", len(layers))), len(layers)) - 1]
        return [
            Choice("record", "Net", self.nets, next(iter(self.nets)), self.help),
            Slider("layer", "Layer", range(1, len(layers) + 1), len(layers), "", "1 reads the input"),
            Slider("neuron", "Neuron", range(len(us)), int(us.argmax()), "", "or click one in the first figure"),
            Slider("u", "Give it another u", PLACES, AS_IT_IS, "", f"at the left end, {AS_IT_IS:g}: as it was trained"),
            Switch("silent", "Silence it", help="its state is 0 at every step"),
            Switch("sort", "Sort by memory", True),
            Slider("example", "Example", range(net.batch(COUNT).x.shape[1]), 0, "", "of the test set"),
        ]

    def clicked(self, figure: str, point: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        chosen = point.get("customdata")
        return {"neuron": chosen, "u": AS_IT_IS, "silent": False} if isinstance(chosen, int) else {}

    def view(self, record: str, layer: int, neuron: int, u: float, silent: bool, sort: bool, example: int) -> View:
        net = self.net_of(record)
        us = interventions.unit_of(net.net, layer - 1).u.detach().tolist()
        trained = us[neuron]
        changed = silent or u >= PLACES[1]
        now = u if u >= PLACES[1] else trained
        edit = (layer - 1, neuron, now if now != trained else None, silent) if changed else None
        before, after = scored(net, None), scored(net, edit)
        seen, seen_after = looked(net, example, layer - 1, None), looked(net, example, layer - 1, edit)
        steps = spec(net.config.task).steps
        given, state, output = seen
        hushed = torch.zeros_like(state[:, neuron]) if silent else seen_after[1][:, neuron]
        unit = UNITS[spec(net.config.task).target]
        fate = "silent" if silent else f"with u = {now:.4f}" if changed else "as trained"
        said = (
            f"Neuron {neuron} of layer {layer}, u = {trained:.4f}: what it holds {fading(half_life(trained))}. "
            f"With this neuron {fate}, {net.origin} reaches {after:.4g} {unit}; as trained {before:.4g} "
            f"({COUNT} test examples)."
        )
        panels = {
            "roll": Panel(
                roll(us, neuron, now if changed else None, sort),
                f"u of all neurons of layer {layer}, from {min(us):.3f} to {max(us):.3f}. {said}",
                wide=True,
            ),
            "impulse": Panel(
                responses(trained, now, silent, steps),
                f"Answer to an impulse: {trained ** (steps - 1):.2g} of it is left after {steps - 1} steps.",
            ),
            "trace": Panel(
                trace(state[:, neuron], hushed if changed else None, given[:, neuron], self.read(net, example)),
                f"State of neuron {neuron} over example {example}: at most {float(state[:, neuron].max()):.3g}, "
                f"at the end {float(state[-1, neuron]):.3g}.",
            ),
            **self.decision(net, example, edit, output, seen_after[2] if changed else None),
        }
        return View(panels, said, net.job(self.device))

    def read(self, net: TrainedNet, example: int) -> list[str] | None:
        """The characters of a sentence as the net reads them; None where an example is not text."""
        return [net.symbols[i] for i in net.batch(COUNT).x[:, example].tolist()] if net.symbols else None

    def expectation(
        self, net: TrainedNet, example: int, edit: Any, output: Tensor, after: Tensor | None
    ) -> dict[str, Panel]:
        """From which characters a language net has what it expects next, and how each surprised it."""
        y = net.batch(COUNT).y[:, example, None]
        bits = [None if o is None else -o.log_softmax(-1).gather(1, y)[:, 0] / math.log(2) for o in (output, after)]
        assert bits[0] is not None
        read, told = self.read(net, example), [net.symbols[i] for i in y[:, 0].tolist()]
        best = int((output if after is None else after)[-1].argmax())
        said = f"It reads “{''.join(told).strip()}” with {float(bits[0].mean()):.3g} bits a character."
        parts = painted(net, example, best, edit)
        expected = f"After them it expects “{net.symbols[best].strip() or 'the end'}”."
        return {
            "painting": Panel(painted_text(read or [], parts, net.symbols[best]), expected, wide=True),
            "surprise": Panel(surprise(told, bits[0], bits[1]), said, wide=True),
        }

    def decision(
        self, net: TrainedNet, example: int, edit: Any, output: Tensor, after: Tensor | None
    ) -> dict[str, Panel]:
        """Show the steps that the answer came from, and the answer."""
        if net.symbols:
            return self.expectation(net, example, edit, output, after)
        batch = net.batch(COUNT)
        x = batch.x[:, example]
        if spec(net.config.task).target == "real":
            parts = painted(net, example, 0, edit)
            said = f"The answer is {float(output[0]):.3f}, {float(batch.y[example]):.3f} is right."
            return {"painting": Panel(painted_steps(x, parts), f"What each step adds. {said}", wide=True)}
        label, answer = int(batch.y[example]), int((output if after is None else after).argmax())
        parts = painted(net, example, answer, edit)
        said, words = f"The net answers {answer}; {label} is right.", "How much each step adds to the answer."
        picture = painted_steps(x, parts)
        if net.config.task.name == "pixels":
            side, order = round(len(parts) ** 0.5), net.order
            image, canvas = torch.zeros(len(parts)), torch.zeros(len(parts))
            image[order], canvas[order] = x[:, 0], parts
            picture = painted_image(image.view(side, side), canvas.view(side, side), f"“{answer}”")
            words = "The digit, and how much each pixel adds to the answer."
        shares = [None if o is None else o.softmax(-1) for o in (output, after)]
        assert shares[0] is not None
        return {
            "painting": Panel(picture, f"{words} {said}"),
            "votes": Panel(votes(shares[0], shares[1], label), said),
        }


@lru_cache(maxsize=2000)
def scored(net: TrainedNet, edit: tuple[int, int, float | None, bool] | None) -> float:
    """Score a net on its first test examples, with an edit (layer, neuron, u, silent) or none."""
    batch, target = net.batch(COUNT), spec(net.config.task).target
    if edit is None:
        return height(evaluate.score(net.net, [batch], target))
    with interventions.edited(net.net, *edit):
        return height(evaluate.score(net.net, [batch], target))


@lru_cache(maxsize=64)
def looked(
    net: TrainedNet, example: int, layer: int, edit: tuple[int, int, float | None, bool] | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Over one example: what a layer is given and its states, (T, N), and the net's outputs; of text at each step."""
    x = net.batch(COUNT).x[:, example : example + 1]
    with interventions.edited(net.net, *(edit or (layer, 0))), torch.no_grad():
        given, state = interventions.states(net.net, x, layer)
        output = net.net(x)
    return given[:, 0], state[:, 0], output[0][:, 0] if net.symbols else output[0]


@lru_cache(maxsize=256)
def painted(net: TrainedNet, example: int, output: int, edit: tuple[int, int, float | None, bool] | None) -> Tensor:
    """Compute what each step of an example adds to an output, (T,)."""
    x = net.batch(COUNT).x[:, example : example + 1]
    with interventions.edited(net.net, *(edit or (0, 0))):
        if net.symbols:
            return interventions.contributions_of_tokens(net.net, x, net.symbols.index("\n"), output)
        return interventions.contributions(net.net, x, BLANK.get(net.config.task.name, 0.0), output)


def explore_neurons(*, budget: Budget = "quick", device: str = "auto", **values: Any) -> Explorer:
    """Open the explorer of single neurons, its controls at the given values (`layer=6, neuron=3`)."""
    return Explorer(Neurons(budget, device), **values)


# --- its figures: data in, a picture out ---


def roll(us: Sequence[float], chosen: int, edited: float | None, sort: bool) -> Picture:
    """The neurons of a layer, by memory or in their own order; the chosen one, and where its u is put."""
    order = sorted(range(len(us)), key=lambda i: us[i]) if sort else list(range(len(us)))
    x = "neurons of the layer, the shortest memory first" if sort else "neuron"
    picture = Picture(x, "recurrent weight u", "Choose a neuron: click one", height=300)
    words = [f"neuron {i}: u = {us[i]:.4f}, half-life {span(half_life(us[i]))}" for i in order]
    more = {"text": words, "customdata": order, "hovertemplate": "%{text}<extra></extra>"}
    picture.dots(range(len(us)), [us[i] for i in order], "all", BLUE, 8, **more)
    at = order.index(chosen)
    picture.dots([at], [us[chosen]], f"neuron {chosen}", ORANGE, 14)
    if edited is not None:
        picture.dots([at], [edited], "as edited", PINK, 14, marker={"symbol": "diamond"})
    return picture.level(1.0).level(0.0)


def responses(u: float, now: float, silent: bool, steps: int) -> Picture:
    """Draw what is left of an impulse after k steps, in the neuron as trained and as edited."""
    from ...analysis.memory import impulse_response

    picture = Picture("steps since the impulse", "what is left of it", "Its answer to an impulse", height=300)
    picture.line(range(steps), impulse_response(u, steps).tolist(), f"as trained, u = {u:.4f}", ORANGE)
    if silent:
        picture.line(range(steps), [0.0] * steps, "silent", PINK, dash="dot")
    elif now != u:
        picture.line(range(steps), impulse_response(now, steps).tolist(), f"edited, u = {now:.4f}", PINK, dash="dot")
    return picture


def trace(before: Tensor, after: Tensor | None, given: Tensor, text: Sequence[str] | None = None) -> Picture:
    """A neuron's state over one example, (T,), as trained and as edited, and what it is given at each step."""
    picture = Picture("time step", "state h", "What it does over this example", height=300)
    steps = thinned(len(before), 800)
    picture.line([s + 1 for s in steps], given[steps].tolist(), "given to it", INK, width=1)
    picture.line([s + 1 for s in steps], before[steps].tolist(), "as trained", ORANGE)
    if after is not None:
        picture.line([s + 1 for s in steps], after[steps].tolist(), "edited", PINK, dash="dot")
    return picture if text is None else _spelled(picture, text, "character read")


def painted_image(image: Tensor, parts: Tensor, answer: str) -> Picture:
    """A digit, (side, side) from -1 to 1, and beside it what each pixel adds to the answer (blue) or takes (brown)."""
    side = len(image)
    picture = Picture("column", "row", f"Which pixels say {answer}?", height=300)
    largest = max(float(parts.abs().max()), 1e-9)
    grey = [[0, "rgba(128,128,128,0.10)"], [1, INK]]
    cells = {"x": list(range(1, side + 1)), "y": list(range(1, side + 1)), "xgap": 1, "ygap": 1}
    picture.trace(
        "heatmap", z=image.tolist(), colorscale=grey, zmin=-1, zmax=1, showscale=False, name="the digit", **cells
    )
    bar = {"title": {"text": "adds to the answer", "side": "right", "font": {"size": 12}}, "thickness": 12, "len": 1}
    scale = {"colorscale": SIGNED, "zmin": -largest, "zmax": largest, "colorbar": bar}
    z = [[float(f"{v:.4g}") for v in row] for row in parts.tolist()]
    picture.trace("heatmap", z=z, name="what each pixel adds", xaxis="x2", yaxis="y2", **scale, **cells)
    plain = {"showgrid": False, "zeroline": False, "showline": False, "dtick": max(1, side // 4), "constrain": "domain"}
    axis = {**picture.layout["yaxis"], **plain, "range": [side + 0.5, 0.5]}
    across = {**picture.layout["xaxis"], **plain, "range": [0.5, side + 0.5]}
    picture.set(xaxis={**across, "domain": [0, 0.48]}, xaxis2={**across, "domain": [0.52, 1], "anchor": "y2"})
    picture.set(yaxis={**axis, "scaleanchor": "x"}, yaxis2={**axis, "anchor": "x2", "scaleanchor": "x2", "title": {}})
    return picture.unnamed()


def painted_steps(x: Tensor, parts: Tensor) -> Picture:
    """The part of each step of an input (T, M) in the answer, and the marked numbers of the adding problem."""
    picture = Picture("time step", "what the step adds", "Which steps the answer came from", height=300)
    steps = range(1, len(parts) + 1)
    picture.trace("bar", x=list(steps), y=parts.tolist(), marker={"color": BLUE}, name="adds to the answer")
    marks = [t for t in range(len(x)) if x.shape[1] == 2 and x[t, 1] > 0]
    values = [float(x[t, 0]) for t in marks]
    return picture if not marks else picture.dots([t + 1 for t in marks], values, "marked number", ORANGE, 11)


def painted_text(text: Sequence[str], parts: Tensor, answer: str) -> Picture:
    """Draw what each character adds to the score of the one expected next, (T,)."""
    picture = Picture("", "what the character adds", f"Which characters say “{_sign(answer)}” comes next?", height=260)
    picture.trace("bar", x=list(range(1, len(parts) + 1)), y=parts.tolist(), marker={"color": BLUE}, name="adds")
    return _spelled(picture, text, "character read").unnamed()


def surprise(text: Sequence[str], before: Tensor, after: Tensor | None) -> Picture:
    """Draw how unlikely a language net found each character that came, in bits, (T,), as trained and as edited."""
    picture = Picture("", "surprise, bits", "How much each character surprises it", height=260)
    steps = list(range(1, len(text) + 1))
    picture.trace("bar", x=steps, y=before.tolist(), name="as trained", marker={"color": ORANGE})
    if after is not None:
        picture.trace("bar", x=steps, y=after.tolist(), name="edited", marker={"color": PINK})
    return _spelled(picture, text, "character that came")


def _spelled(picture: Picture, text: Sequence[str], title: str) -> Picture:
    """The time axis with a character at each step."""
    picture.layout["xaxis"]["title"]["text"] = f"{title} (_ a blank, ¶ the end of a line)"
    ticks = {"tickvals": list(range(1, len(text) + 1)), "ticktext": [_sign(c) for c in text], "tickangle": 0}
    return picture.axis("xaxis", **ticks)


def _sign(character: str) -> str:
    return {"\n": "¶", "<": "&lt;", "&": "&amp;"}.get(character, character)


def votes(before: Tensor, after: Tensor | None, label: int) -> Picture:
    """Draw how likely the net finds each class, (10,), as trained and as edited; the right one is marked."""
    picture = Picture("class", "probability, %", f"Its answer (right: {label})", height=300)
    classes = list(range(len(before)))
    picture.trace("bar", x=classes, y=(100 * before).tolist(), name="as trained", marker={"color": ORANGE})
    if after is not None:
        picture.trace("bar", x=classes, y=(100 * after).tolist(), name="edited", marker={"color": PINK})
    return picture.axis("xaxis", dtick=1).axis("yaxis", range=[0, 100])
