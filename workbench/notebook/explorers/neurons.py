"""Neurons: what only an IndRNN can give, since each neuron's memory is its own (Li et al. 2018, section 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...analysis import interventions
from ...analysis.figures import height
from ...config import Budget
from ...models.bounds import half_life
from ...tasks import spec
from ...training import evaluate
from . import figures
from .base import Choice, Control, ExplorerBase, Panel, Slider, Switch, View
from .trained_nets import SLOW, TrainedNet, at_hand, experiments, kept
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

    def kept(self, record: str) -> TrainedNet:
        return kept(SENTENCES[0], "quick", SENTENCES[1]) if record == "sentences" else kept(record, self.budget)

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        net = self.kept(values.get("record", next(iter(self.nets))))
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
        net = self.kept(record)
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
            f"Neuron {neuron} of layer {layer}, u = {trained:.4f}: what it holds {figures.fading(half_life(trained))}. "
            f"With this neuron {fate}, {net.origin} reaches {after:.4g} {unit}; as trained {before:.4g} "
            f"({COUNT} test examples)."
        )
        panels = {
            "roll": Panel(
                figures.roll(us, neuron, now if changed else None, sort),
                f"u of all neurons of layer {layer}, from {min(us):.3f} to {max(us):.3f}. {said}",
                wide=True,
            ),
            "impulse": Panel(
                figures.responses(trained, now, silent, steps),
                f"Answer to an impulse: {trained ** (steps - 1):.2g} of it is left after {steps - 1} steps.",
            ),
            "trace": Panel(
                figures.trace(state[:, neuron], hushed if changed else None, given[:, neuron], self.read(net, example)),
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
            "painting": Panel(figures.painted_text(read or [], parts, net.symbols[best]), expected, wide=True),
            "surprise": Panel(figures.surprise(told, bits[0], bits[1]), said, wide=True),
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
            return {"painting": Panel(figures.painted_steps(x, parts), f"What each step adds. {said}", wide=True)}
        label, answer = int(batch.y[example]), int((output if after is None else after).argmax())
        parts = painted(net, example, answer, edit)
        said, words = f"The net answers {answer}; {label} is right.", "How much each step adds to the answer."
        picture = figures.painted_steps(x, parts)
        if net.config.task.name == "pixels":
            side, order = round(len(parts) ** 0.5), net.order
            image, canvas = torch.zeros(len(parts)), torch.zeros(len(parts))
            image[order], canvas[order] = x[:, 0], parts
            picture = figures.painted(image.view(side, side), canvas.view(side, side), f"“{answer}”")
            words = "The digit, and how much each pixel adds to the answer."
        shares = [None if o is None else o.softmax(-1) for o in (output, after)]
        assert shares[0] is not None
        return {
            "painting": Panel(picture, f"{words} {said}"),
            "votes": Panel(figures.votes(shares[0], shares[1], label), said),
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
