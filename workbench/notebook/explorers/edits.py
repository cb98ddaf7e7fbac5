"""Edits of a trained net, and what they change: its answers, with an interval, its states, what an answer came from."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ... import files
from ...analysis import interventions
from ...analysis.figures.style import BLUE, ORANGE, PINK, Picture, whiskers
from ...analysis.memory import impulse_response
from ...analysis.statistics import Interval
from . import reading
from .base import Panel
from .trained_nets import TESTED, UNITS, TrainedNet

BLANK = {"pixels": -1.0}  # an input that says nothing; 0 where none is named
CUTS = tuple(round(0.02 * i, 2) for i in range(61))  # of |u|, up to 1.2


class Edit(NamedTuple):
    """A change of a layer, counted from 0: one neuron's u (None: not), and neurons that are silenced."""

    layer: int
    neuron: int
    u: float | None
    silent: tuple[int, ...]


@lru_cache(maxsize=1)
def _silencing() -> dict[str, Any]:
    path = files.published() / "explorers" / "silencing.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def published(net: TrainedNet, layer: int) -> list[Interval] | None:
    """The costs of silencing each neuron of a layer, as `scripts/explorers.py silencing` measured them; None if not."""
    told = _silencing().get(net.path.name) if net.path else None
    if told is None or (told["step"], told["examples"]) != (net.step, TESTED):
        return None
    return [Interval(mean, TESTED, low, high) for mean, low, high in told["layers"][layer]]


def worse(change: float, target: str) -> float:
    """A change of the mean answer as a cost: points of accuracy lost, or error added."""
    return 0.0 - 100 * change if target == "class" else change  # no change is 0, not -0


def changed(effect: Interval, target: str) -> str:
    """A change in words, with its interval."""
    assert effect.low is not None
    assert effect.high is not None
    if target != "class":
        return f"{effect.mean:+.3g} {UNITS[target]} ({effect.low:+.2g} to {effect.high:+.2g}, 95 % interval, paired)"
    mean, low, high = (100 * v for v in (effect.mean, effect.low, effect.high))
    return f"{mean:+.1f} points ({low:+.1f} to {high:+.1f}, 95 % interval, paired)"


def standing(costs: Sequence[Interval] | None, neuron: int, target: str) -> str:
    """Say what silencing a neuron costs, and how many of its layer cost more."""
    if costs is None:
        return "What silencing it costs is not measured yet."
    more = sum(worse(c.mean, target) > worse(costs[neuron].mean, target) for c in costs)
    place = f"{more or 'none'} of its layer {'cost' if more > 1 else 'costs'} more"
    return f"Silenced alone: {changed(costs[neuron], target)}; {place}."


def ordered(us: Sequence[float], costs: Sequence[float] | None, sort: str) -> list[int]:
    """The neurons of a layer by what silencing costs, the costliest first; by u, also where no cost is known."""
    if sort == "number":
        return list(range(len(us)))
    if sort == "cost" and costs is not None:
        return sorted(range(len(us)), key=lambda i: -costs[i])
    return sorted(range(len(us)), key=lambda i: us[i])


def impulse(u: float, steps: int) -> str:
    """Say what is left of an impulse at the last of so many steps: the end of the figure's line."""
    left = float(impulse_response(u, steps)[-1])
    return f"of an impulse of 1, left alone, {left:.2g} is there {steps - 1} steps later."


def lived(state: Tensor, example: int, u: float) -> str:
    """Say how a state goes over an example, (T,)."""
    peak, end = float(state.max()), float(state[-1])
    if peak == 0:
        return f"Over example {example} its state stays 0."
    said = f"Over example {example} its state peaks at {peak:.3g} at step {int(state.argmax()) + 1}"
    if end == 0 and u > 0:
        return f"{said} and is 0 at the end: what it is given can empty it, whatever its u."
    return f"{said} and is {end:.3g} at the end."


def reads_back(net: TrainedNet, layer: int) -> bool:
    """Say whether a recurrent layer, counted from 0, reads from a sequence's end: every second one both ways."""
    return net.config.model.kind == "bidirectional" and layer % 2 == 1


def layer_name(net: TrainedNet, layer: int) -> str:
    """Name of a recurrent layer, counted from 0; of a net that reads both ways each layer has two."""
    if net.config.model.kind != "bidirectional":
        return f"layer {layer + 1}"
    return f"layer {layer // 2 + 1} {'backward' if reads_back(net, layer) else 'forward'}"


def named_layers(picture: Picture, net: TrainedNet) -> Picture:
    """Write the layers' names below an x axis that counts them."""
    names = [layer_name(net, layer).removeprefix("layer ") for layer in range(len(net.weights[0]))]
    return picture.axis("xaxis", tickvals=[number + 1 for number in range(len(names))], ticktext=names)


@contextlib.contextmanager
def under(net: TrainedNet, edit: Edit | None) -> Iterator[None]:
    """Inside, a net with an edit."""
    if edit is None:
        yield
        return
    layer, neuron, u, silent = edit
    with interventions.edited(net.net, layer, neuron, u), interventions.silenced(net.net, layer, silent):
        yield


@lru_cache(maxsize=2000)
def effect(net: TrainedNet, edit: Edit) -> Interval:
    """The change that an edit makes to a net's answers to the test examples."""
    before = net.answers  # without the edit, whenever they are first asked for
    with under(net, edit):
        after = interventions.answers(net.net, net.batch(TESTED), net.target)
    return interventions.change(before, after, net.target)


@lru_cache(maxsize=64)
def looked(net: TrainedNet, example: int, layer: int, edit: Edit | None) -> tuple[Tensor, Tensor, Tensor]:
    """Over one example: what a layer is given and its states, (T, N), and the net's outputs; of text at each step.

    A layer that reads from the end has its steps in that order.
    """
    x = net.example(example)
    with under(net, edit), torch.no_grad():
        given, state = interventions.states(net.net, x, layer)
        output = net.net(x)
    return given[:, 0], state[:, 0], output[0][:, 0] if net.symbols else output[0]


@lru_cache(maxsize=256)
def painted(net: TrainedNet, example: int, output: int, edit: Edit | None) -> Tensor:
    """Compute what each step of an example adds to an output, (T,)."""
    x = net.example(example)
    with under(net, edit):
        if net.symbols:
            return interventions.contributions_of_tokens(net.net, x, net.symbols.index("\n"), output)
        return interventions.contributions(net.net, x, BLANK.get(net.config.task.name, 0.0), output)


def letters(net: TrainedNet, example: int) -> list[str] | None:
    """The characters of a sentence as the net reads them; None where an example is not text."""
    return [net.symbols[i] for i in net.batch(TESTED).x[:, example].tolist()] if net.symbols else None


def expectation(
    net: TrainedNet, example: int, edit: Edit | None, output: Tensor, after: Tensor | None
) -> dict[str, Panel]:
    """From which characters a language net has what it expects next, and how each surprised it."""
    y = net.batch(TESTED).y[:, example, None]
    bits = [None if o is None else -o.log_softmax(-1).gather(1, y)[:, 0] / math.log(2) for o in (output, after)]
    assert bits[0] is not None
    read, told = letters(net, example), [net.symbols[i] for i in y[:, 0].tolist()]
    best = int((output if after is None else after)[-1].argmax())
    said = f"It reads “{''.join(told).strip()}” with {float(bits[0].mean()):.3g} bits a character."
    parts = painted(net, example, best, edit)
    expected = f"After them it expects {reading.spoken(net.symbols[best])}."
    return {
        "painting": Panel(reading.painted_text(read or [], parts, net.symbols[best]), expected, wide=True),
        "surprise": Panel(reading.surprise(told, bits[0], bits[1]), said, wide=True),
    }


def decision(
    net: TrainedNet, example: int, edit: Edit | None, output: Tensor, after: Tensor | None
) -> dict[str, Panel]:
    """Show the steps that the answer came from, and the answer."""
    if net.symbols:
        return expectation(net, example, edit, output, after)
    x, label = net.example(example)[:, 0], net.batch(TESTED).y[example].item()
    marked = x[:, 1] > 0 if net.config.task.name == "adding" else None
    if net.target == "real":
        picture = reading.painted_steps(x, painted(net, example, 0, edit), marked).timed("x", "time", net.time, first=1)
        said = f"The answer is {net.answer(float(output[0]))}, {net.answer(label)} is right."
        return {"painting": Panel(picture, f"What each step adds. {said}", wide=True)}
    answer = int((output if after is None else after).argmax())
    parts = painted(net, example, answer, edit)
    said = f"The net answers {net.answer(answer)}; {net.answer(label)} is right."
    words = "How much each step adds to the answer."
    picture = reading.painted_steps(x, parts).timed("x", "time", net.time, first=1)
    if net.config.task.name == "pixels":
        side = round(len(parts) ** 0.5)
        image, canvas = torch.zeros(len(parts)), torch.zeros(len(parts))
        image[net.order], canvas[net.order] = x[:, 0], parts
        read = (net.order.argsort() + 1).tolist()
        picture = reading.painted_image(image.view(side, side), canvas.view(side, side), f"“{answer}”", read)
        words = "The digit, and how much each pixel adds to the answer."
    shares = [None if o is None else o.softmax(-1) for o in (output, after)]
    assert shares[0] is not None
    names = [escape(net.answer(number), quote=False) for number in range(len(shares[0]))]
    votes = reading.votes(shares[0], shares[1], f"Its answer (right: {names[int(label)]})", names)
    return {"painting": Panel(picture, f"{words} {said}"), "votes": Panel(votes, said, wide=True)}


# --- figures: data in, a picture out ---


def differences(effects: Mapping[str, Interval], target: str) -> Picture:
    """The change of the score that each edit makes, with its interval."""
    scale = 100 if target == "class" else 1
    unit = {"class": "change, points of accuracy"}.get(target, f"change of the {UNITS[target]}")
    picture = Picture(unit, "", "What it changes", height=300)
    names = list(effects)
    means = [scale * effect.mean for effect in effects.values()]
    ends = [(scale * (effect.low or 0.0), scale * (effect.high or 0.0)) for effect in effects.values()]
    bars = whiskers(means, [low for low, _ in ends], [high for _, high in ends])
    rows = list(range(len(names)))
    says = "%{text}: %{x:.3g}<extra></extra>"
    marker = {"color": [ORANGE, PINK, BLUE][: len(names)]}
    picture.dots(means, rows, "change", ORANGE, 12, marker=marker, error_x=bars, text=names, hovertemplate=says)
    for row, name in enumerate(names):
        picture.note(name, x=0, xref="paper", y=row, xanchor="left", yshift=22)
    picture.upright(0, "dash").axis(
        "yaxis", showticklabels=False, showgrid=False, zeroline=False, ticks="", range=[2.6, -0.8]
    )
    return picture.unnamed()


def responses(u: float, now: float, silent: bool, steps: int) -> Picture:
    """Draw what is left of an impulse after k steps, in the neuron as trained and as edited."""
    picture = Picture(
        "steps since the impulse", "what is left of it", "Its answer to an impulse, left alone", height=300
    )
    picture.line(range(steps), impulse_response(u, steps).tolist(), f"as trained, u = {u:.4f}", ORANGE)
    if silent:
        picture.line(range(steps), [0.0] * steps, "silent", PINK, dash="dot")
    elif now != u:
        picture.line(range(steps), impulse_response(now, steps).tolist(), f"edited, u = {now:.4f}", PINK, dash="dot")
    return picture
