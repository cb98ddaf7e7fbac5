"""Sentence: one's own, read character by character: what is expected next, and from which characters (section 5.3)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...analysis import interventions
from ...analysis.figures.style import ORANGE, PINK, Picture
from ...config import Budget
from . import reading
from .base import Control, Exercise, ExplorerBase, Panel, Slider, View
from .edits import CUTS
from .neurons import ABOVE, SENTENCES
from .trained_nets import TrainedNet, trained_net
from .widget import Explorer
from .written import Text

MOST = 50  # characters: as many steps as the net was trained over
SHOWN = 12  # characters of those that may come next
READY = ("the company said it expects to", "a year earlier the bank had a net loss of")


class Reading(NamedTuple):
    """A net over one text: the log probability of each symbol after each character, (T, V), and what each character
    adds to the score of the symbol that is expected most after each, (T, T): a row an expectation."""

    expected: Tensor
    parts: Tensor


class Sentence(ExplorerBase):
    """A sentence of one's own, read by a small net that was trained on the Penn Treebank's characters."""

    name = "sentence"
    title = "Your own sentence, read character by character"
    look = (
        "which characters the net expects after each that it read, and from which of those before it has that: hover "
        "one to light them; then cut its memory, or silence the neurons that remember longest."
    )
    exercises = (
        Exercise("Within a word", {"step": 15}, "In the middle of this word it expects the letter that comes.", True),
        Exercise("Cut its memory", {"cut": 0.5}, "With short memories alone this sentence costs more bits.", True),
        Exercise("Silence the long memories", {"above": 0.9}, "Without its longest memories it costs more bits.", True),
    )
    presets = tuple(Exercise(f"{line[:24]} ...", {"text": line}) for line in READY)
    sweep = ("step",)
    leading = ("text",)

    def __init__(self, budget: Budget = "quick", device: str = "auto"):
        self.device = device

    @property
    def net(self) -> TrainedNet:
        return trained_net(*SENTENCES)

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        known = "".join(sorted({*self.net.symbols} - {"\n", "_"}))
        letters = "".join(dict.fromkeys(f"{known} {known.upper()}"))
        length = len(values.get("text", READY[0]))
        help = "as the newspaper of 1989 has it: small letters, N for a number"
        return [
            Text("text", "Write a sentence", READY[0], letters, MOST, help, READY),
            Slider("step", "Characters read", range(1, length + 1), None, play=True, rest=length),
            Slider("cut", "Cut every |u| to at most", CUTS, CUTS[-1], "", "nothing is trained again"),
            Slider("above", "Silence all with u above", ABOVE, None, "", "of two layers, none at rest", rest=ABOVE[-1]),
        ]

    def view(self, text: str, step: int | None, cut: float, above: float | None) -> View:
        net, step = self.net, step or len(text)
        edited = cut < CUTS[-1] or above is not None
        plain = read(net, text, CUTS[-1], None)
        now = read(net, text, cut, above) if edited else plain
        symbols, characters = net.symbols, list(text)
        at = now.expected[step].exp()
        best = int(at.argmax())
        said = (
            f"After “{text[:step]}” it expects {reading.spoken(symbols[best])} ({reading.percent(float(at.max()))}). "
            f"The sentence costs it {bits(now, net, text).mean():.3g} bits a character"
        )
        said += f", {bits(plain, net, text).mean():.3g} as trained." if edited else "."
        parts = now.parts[step, 1 : step + 1]
        likely = at.topk(5).indices.tolist()
        panels = {
            "painting": Panel(
                light(reading.painted_text(characters[:step], parts, symbols[best]), now.parts[1:, 1:], characters),
                f"What each character adds to the score of {reading.spoken(symbols[best])}. {said}",
                wide=True,
            ),
            "next": Panel(
                following(plain.expected[step].exp(), at if edited else None, symbols),
                ", ".join(f"{reading.spoken(symbols[i])} {reading.percent(float(at[i]))}" for i in likely),
                wide=True,
            ),
            "surprise": Panel(
                reading.surprise(characters, bits(plain, net, text), bits(now, net, text) if edited else None),
                f"How much each character surprises it, in bits. {said}",
                wide=True,
            ),
        }
        whose = f"{net.origin[0].upper()}{net.origin[1:]}"
        return View(panels, f"{said} {whose}: {tested(net)}.", net.job(self.device), net.published)


def tested(net: TrainedNet) -> str:
    """Bits a character of a net on its record's test text, in words."""
    reached = net.record.budgets if net.record else []
    return f"{reached[-1]['test']['bpc']:.3g} bits a character on its test text" if reached else "not tested yet"


def tokens(net: TrainedNet, text: str) -> Tensor:
    """A sentence as the net reads it, behind the end of a line: (1 + characters, 1)."""
    at = {symbol: number for number, symbol in enumerate(net.symbols)}
    found = [at[c] if c in at else at[c.lower()] for c in text.replace(" ", "_")]
    return torch.tensor([at["\n"], *found])[:, None]


def bits(read: Reading, net: TrainedNet, text: str) -> Tensor:
    """Surprise of each character after those before it, in bits, (characters,)."""
    y = tokens(net, text)[1:]
    return -read.expected[:-1].gather(1, y)[:, 0] / math.log(2)


@lru_cache(maxsize=128)
def read(net: TrainedNet, text: str, cut: float, above: float | None) -> Reading:
    """Run a net over a sentence with every |u| cut and the neurons with a larger u silenced; None: no neuron."""
    x = tokens(net, text)
    with contextlib.ExitStack() as edits:
        for layer in () if above is None else range(len(net.weights[0])):
            us = interventions.unit_of(net.net, layer).u.tolist()
            loud = [i for i, u in enumerate(us) if u > above]
            edits.enter_context(interventions.silenced(net.net, layer, loud))
        if cut < CUTS[-1]:
            edits.enter_context(interventions.cut(net.net, cut))
        with torch.no_grad():
            expected = net.net(x)[0][:, 0].log_softmax(-1)
        return Reading(expected, interventions.dependences(net.net, x, net.symbols.index("\n")))


def explore_sentence(*, budget: Budget = "quick", device: str = "auto", **values: Any) -> Explorer:
    """Open the explorer of a sentence of one's own, its controls at the given values (`text="the market"`)."""
    return Explorer(Sentence(budget, device), **values)


# --- its figures: data in, a picture out ---


def light(picture: Picture, parts: Tensor, text: Sequence[str]) -> Picture:
    """The whole text along the axis; a character that is hovered lights those that its expectation depends on."""
    rows = [[float(f"{v:.3g}") for v in row[: i + 1]] for i, row in enumerate(parts.tolist())]
    picture.data[-1]["meta"]["depends"] = rows
    return reading.spelled(picture, text, "character read").axis("xaxis", range=[0.4, len(text) + 0.6])


def following(before: Tensor, after: Tensor | None, symbols: Sequence[str]) -> Picture:
    """Draw how likely the net finds each symbol next, (V,), the likeliest first, as trained and as edited."""
    picture = Picture("", "probability, %", "What comes next", height=230)
    most = (before if after is None else after).topk(SHOWN).indices.tolist()
    names = [reading.sign(symbols[i]) for i in most]
    picture.trace("bar", x=names, y=(100 * before[most]).tolist(), name="as trained", marker={"color": ORANGE})
    if after is not None:
        picture.trace("bar", x=names, y=(100 * after[most]).tolist(), name="edited", marker={"color": PINK})
    picture.layout["xaxis"]["title"]["text"] = "character (_ blank, ¶ line end)"
    return picture.axis("xaxis", type="category", tickangle=0).axis("yaxis", range=[0, 100])
