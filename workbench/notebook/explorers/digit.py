"""Digit: one's own, drawn by hand and read pixel by pixel (Li et al. 2019, section 5.2: sequential MNIST)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...analysis import handwriting, interventions
from ...analysis.figures import INK
from ...analysis.figures.style import BLUE, GREEN, ORANGE, PINK, YELLOW, Picture, thinned
from ...config import Budget, Pixels
from ...seeds import generator
from ...tasks import spec
from .alive import PAINT, living
from .base import Choice, Control, Exercise, ExplorerBase, Panel, Slider, Switch, View
from .edits import CUTS
from .nets import MNIST, experiments
from .reading import SEEN, percent, square, votes
from .trained_nets import TrainedNet, scored, trained_net
from .weights import packed
from .widget import Explorer
from .written import Drawing

MOST = 16  # neurons that may be silenced
SPEAKERS = 5  # neurons whose parts in the answer are drawn
READY = {
    "0": "50,18 36,26 30,44 32,64 42,80 56,82 66,72 70,52 66,32 58,20 50,18",
    "1": "42,30 52,20 52,82",
    "2": "32,34 40,22 54,20 64,28 64,40 52,56 34,78 34,80 70,80",
    "3": "34,24 50,18 62,26 60,40 46,48 62,56 66,70 54,82 34,78",
    "4": "58,82 58,18 30,60 72,60",
    "5": "66,20 38,20 36,46 52,42 66,54 64,72 50,82 34,76",
    "6": "58,18 42,36 34,58 40,78 56,82 66,70 60,56 46,54 36,64",
    "7": "30,22 68,22 52,50 44,82",
    "8": "50,48 36,36 40,22 56,18 64,30 50,48 36,62 38,78 54,84 66,74 62,60 50,48",
    "9": "62,34 50,46 38,36 44,20 58,20 64,34 62,60 56,82",
}


class Reading(NamedTuple):
    """A net over one image: the chance of each class if reading ended at each step, (T, 10), its last layer's features,
    (T, N), and the pixels in the order of reading, (T,), -1 to 1."""

    chances: Tensor
    features: Tensor
    pixels: Tensor


class Digit(ExplorerBase):
    """A digit drawn by hand, read a pixel a step: the answer as it forms, and the neurons that say it."""

    name = "digit"
    title = "Your own digit, read pixel by pixel"
    look = (
        "at which pixel the net makes up its mind, and which of its neurons do; then what is left of the answer when "
        "memory is cut, when the neurons that speak most for it are silenced, and when the same pixels come in another "
        "order."
    )
    exercises = (
        Exercise("Half of it", {"step": 32}, "After half of the pixels it reads another digit than at the end.", True),
        Exercise("Cut its memory", {"cut": 0.9}, "No neuron remembers long now, and another digit is read.", True),
        Exercise(
            "Silence who says it", {"silent": 8}, "Without the eight that said 6 most, another digit is read.", True
        ),
        Exercise(
            "Shuffle the pixels", {"permuted": True}, "The same ink in another order is read as another digit.", True
        ),
    )
    leading = ("record",)

    def __init__(self, budget: Budget = "quick", device: str = "auto"):
        self.budget, self.device = budget, device
        known = experiments("plain", opened=True)
        self.nets = {"seqdigits_plain6": "8 by 8 pixels, 64 steps"}
        self.nets |= dict.fromkeys([record for record in MNIST if record in known][:1], "28 by 28 pixels, 784 steps")
        self.presets = [Exercise(self.nets[record], {"record": record}) for record in self.nets]

    def net_of(self, record: str) -> TrainedNet:
        return trained_net(record, self.budget)

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        net = self.net_of(values.get("record") or next(iter(self.nets)))
        steps = spec(net.config.task).steps
        stops = sorted({1, *range(steps, 0, -max(1, steps // 64))})
        most = min(MOST, net.config.model.hidden)
        help = "mouse, finger, or arrow keys; space puts the pen down and lifts it, Backspace takes a line back"
        return [
            Drawing("strokes", "Draw a digit", READY["6"], help, READY),
            Choice("record", "Read by", self.nets, next(iter(self.nets))),
            Slider("step", "Pixels read", stops, None, play=True, rest=steps),
            Slider("cut", "Cut every |u| to at most", CUTS, CUTS[-1], "", "nothing is trained again"),
            Slider("silent", "Silence those who say it most", range(most + 1), 0, "neurons", "of the last layer"),
            Switch("permuted", "Read in another order", help="one that the net was not trained in"),
            Switch("fit", "Size and place as in the training images", True),
        ]

    def view(
        self, strokes: str, record: str, step: int | None, cut: float, silent: int, permuted: bool, fit: bool
    ) -> View:
        net = self.net_of(record)
        step = step or spec(net.config.task).steps
        plain = read(net, strokes, CUTS[-1], 0, False, fit)
        edited = cut < CUTS[-1] or silent > 0 or permuted
        now = read(net, strokes, cut, silent, permuted, fit) if edited else plain
        answer, steps = int(now.chances[-1].argmax()), len(now.chances)
        at = now.chances[step - 1]
        parts = interventions.shares(net.net, now.features, answer)
        last = interventions.unit_of(net.net, len(net.weights[0]) - 1)  # whose features the answer is read from
        said = self.sentence(net, plain, now, step, edited)
        panels = {
            "seen": Panel(
                seen(now.pixels, order_of(steps, permuted), step),
                f"The drawing as {round(steps**0.5)} by {round(steps**0.5)} pixels, {step} of {steps} read so far.",
            ),
            "votes": Panel(
                votes(
                    plain.chances[step - 1],
                    at if edited else None,
                    f"Its answer after {step} pixels: {int(at.argmax())}",
                ),
                f"After {step} of {steps} pixels: {int(at.argmax())}, {percent(float(at.max()))}.",
            ),
            "forming": Panel(
                forming(now.chances, step),
                f"The chance of each digit after each pixel. {said}",
                wide=True,
            ),
            "speakers": Panel(
                speakers(parts, last.u.tolist(), answer, step),
                f"The {SPEAKERS} neurons of the last layer that add most to the score of {answer}, step by step.",
                wide=True,
            ),
        }
        return View(panels, said, net.job(self.device), net.published)

    def alive(self) -> dict[str, Any]:
        nets, orders = {}, {}
        for record in self.nets:
            net = self.net_of(record)
            assert isinstance(net.config.task, Pixels)
            steps = spec(net.config.task).steps
            orders[steps] = order_of(steps, True).tolist()
            words = {"origin": net.origin, "tested": tested(net), "steps": steps}
            nets[record] = {**packed(net.net), **words, "frame": handwriting.FRAMES[net.config.task.source]._asdict()}
        data = {"nets": nets, "orders": orders, "whole": CUTS[-1], "speaking": SPEAKERS, "paint": PAINT}
        return living(self, (), data)

    def sentence(self, net: TrainedNet, plain: Reading, now: Reading, step: int, edited: bool) -> str:
        """Say what is read so far, when the answer was settled, and what the edits changed."""
        steps, at = len(now.chances), now.chances[step - 1]
        said = "Nothing is drawn yet. " * bool((now.pixels == -1).all())
        said += f"After {step} of {steps} pixels it reads {int(at.argmax())} ({percent(float(at.max()))})."
        answer = int(now.chances[-1].argmax())
        said += f" At the end: {answer}, {settled(now.chances)}."
        if edited:
            before = int(plain.chances[-1].argmax())
            said += f" Left as trained it reads {before} ({percent(float(plain.chances[-1].max()))})."
        return f"{said} {net.origin}: {tested(net)}."


def tested(net: TrainedNet) -> str:
    """Share of right answers of a net: on all explorers' examples, or where it is slow in its record's test."""
    if not net.slow:
        return scored(net.answers, net.target)
    reached = net.record.budgets if net.record else []
    if not reached:
        return "not tested yet"
    test = reached[-1]["test"]
    return f"{100 * test['accuracy']:.3g} % right of {test['n']:,} test examples"


def settled(chances: Tensor) -> str:
    """Say from which step on the likeliest class is the last one's, (T, 10)."""
    other = (chances.argmax(-1) != chances[-1].argmax()).nonzero()
    since = int(other[-1]) + 2 if len(other) else 1
    return f"from pixel {since} on" if since > 1 else "from the first pixel on"


def order_of(steps: int, permuted: bool) -> Tensor:
    """The pixels in the order in which they are read: row by row, or shuffled."""
    return torch.randperm(steps, generator=generator(0, "permutation")) if permuted else torch.arange(steps)


@lru_cache(maxsize=256)
def read(net: TrainedNet, strokes: str, cut: float, silent: int, permuted: bool, fit: bool) -> Reading:
    """Run a net over a drawing, with every |u| cut, so many of the neurons that speak for its answer silenced, and the
    pixels shuffled."""
    task, steps = net.config.task, spec(net.config.task).steps
    assert isinstance(task, Pixels)
    image = handwriting.image(handwriting.strokes(strokes), handwriting.FRAMES[task.source], fit)
    pixels = 2 * image.flatten()[order_of(steps, permuted)] - 1
    x = pixels.view(steps, 1, 1)
    last = len(net.weights[0]) - 1
    with interventions.cut(net.net, cut):
        logits, features = interventions.forming(net.net, x)
        if silent:
            said = interventions.shares(net.net, features[-1, 0], int(logits[-1, 0].argmax()))
            most = said.topk(silent).indices.tolist()
            with interventions.silenced(net.net, last, most):
                logits, features = interventions.forming(net.net, x)
    return Reading(logits[:, 0].softmax(-1), features[:, 0], pixels)


def explore_digit(*, budget: Budget = "quick", device: str = "auto", **values: Any) -> Explorer:
    """Open the explorer of a digit drawn by hand, its controls at the given values (`step=32, cut=0.9`)."""
    return Explorer(Digit(budget, device), **values)


# --- its figures: data in, a picture out ---


def seen(pixels: Tensor, order: Tensor, step: int) -> Picture:
    """An image, its pixels in the order of reading (T,): those read so far in full, others faint, the newest marked."""
    side = round(len(pixels) ** 0.5)
    ink = (pixels + 1) / 2
    shown = torch.zeros(len(pixels))
    shown[order] = torch.where(torch.arange(len(pixels)) < step, ink, 0.25 * ink)
    z = [[round(v, 3) for v in row] for row in shown.view(side, side).tolist()]
    picture = Picture("column", "row", f"{step} of {len(pixels)} pixels read", height=300)
    cells = {"x": list(range(1, side + 1)), "y": list(range(1, side + 1)), "xgap": 1, "ygap": 1}
    picture.trace("heatmap", z=z, colorscale=SEEN, zmin=0, zmax=1, showscale=False, name="the drawing", **cells)
    picture.linked(step=(order.argsort() + 1).tolist())
    row, column = divmod(int(order[step - 1]), side)
    edge = {"x0": column + 0.5, "x1": column + 1.5, "y0": row + 0.5, "y1": row + 1.5}
    picture.layout["shapes"].append({"type": "rect", "line": {"color": ORANGE, "width": 2.5}, **edge})
    across, down = square(picture, side)
    return picture.set(xaxis=across, yaxis={**down, "scaleanchor": "x"}).unnamed()


def forming(chances: Tensor, step: int) -> Picture:
    """The chance of each class if reading ended at each step, (T, 10); the last answer and the likeliest in colours."""
    shown, answer = thinned(len(chances), 400), int(chances[-1].argmax())
    likely = chances.amax(0).topk(4).indices.tolist()
    title = f"The answer forming: {answer}, {settled(chances)}"
    picture = Picture("pixels read", "probability, %", title, height=300)
    coloured = list(dict.fromkeys([answer, *likely]))[:4]
    colours = dict(zip(coloured, (ORANGE, BLUE, GREEN, PINK), strict=True))
    for digit in sorted(range(chances.shape[1]), key=lambda digit: digit in colours):
        colour, width = colours.get(digit, INK), 2.5 if digit in colours else 1
        picture.line([s + 1 for s in shown], (100 * chances[shown, digit]).tolist(), str(digit), colour, width=width)
        picture.data[-1] |= {"showlegend": digit in colours}
        picture.linked(step="x")
    return picture.upright(step).axis("yaxis", range=[0, 101]).axis("xaxis", range=[0, len(chances) + 1])


def speakers(parts: Tensor, us: Sequence[float], answer: int, step: int) -> Picture:
    """The parts in an answer's score, step by step, of the neurons that speak most for it, (T, N)."""
    picture = Picture("pixels read", f"adds to the score of {answer}", f"The neurons that say {answer}", height=300)
    shown = thinned(len(parts), 400)
    most = parts[-1].topk(SPEAKERS).indices.tolist()
    for neuron, colour in zip(most, (ORANGE, BLUE, GREEN, PINK, YELLOW), strict=True):
        name = f"neuron {neuron}, u = {us[neuron]:.3f}"
        picture.line([s + 1 for s in shown], parts[shown, neuron].tolist(), name, colour).linked(step="x")
    return picture.upright(step).axis("xaxis", range=[0, len(parts) + 1])  # the step that is read now
