"""Neurons: what only an IndRNN can give, since each neuron's memory is its own (Li et al. 2018, section 5)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...analysis import interventions
from ...analysis.figures import INK
from ...analysis.figures.style import BLUE, EACH, LEVELS, ORANGE, PINK, Picture, Time
from ...analysis.statistics import Interval
from ...config import Budget
from ...errors import Stopped
from ...models.bounds import half_life
from ...tasks import spec
from . import edits, reading
from .alive import examined
from .base import Choice, Control, Exercise, ExplorerBase, Job, Panel, Slider, Switch, Tell, View
from .edits import Edit, changed, published, worse
from .loaded import at_hand
from .nets import experiments
from .trained_nets import SLOW, TESTED, TrainedNet, scored, trained_net
from .widget import Explorer

PLACES = tuple(round(-1.2 + 0.02 * i, 2) for i in range(121))  # of u
ABOVE = tuple(round(0.05 * i, 2) for i in range(22))  # u
SMALL = {"model.hidden": 96, "model.depth": 2, "model.embedding": 32, "train.steps": 1500, "train.evaluate_every": 500}
SENTENCES: tuple[str, Budget, dict[str, Any]] = ("ptbchar_small", "quick", SMALL)  # 23,000 parameters, of characters
ORDERS = {"cost": "what silencing costs", "memory": "u, the shortest memory first", "number": "number"}
COSTS = {"class": "points lost", "real": "squared error added", "token": "bits a character added"}

EXERCISES = (  # of the published net of digits, offered where it is shown
    Exercise(
        "Silence the costliest",
        {"layer": 1, "neuron": 41, "silent": True},
        "Of 384 neurons none costs more when it alone is silenced, and it is a few points.",
    ),
    Exercise(
        "Silence the long memories",
        {"layer": 2, "neuron": 33, "above": 0.95},
        "Five with u near 1 are silenced, then the five with the smallest |u|: the interval of the first five's change "
        "is below 0, the others' holds 0.",
    ),
    Exercise(
        "Make one forget",
        {"layer": 2, "neuron": 33, "u": 0.5},
        "Its impulse is gone after ten steps. The interval of the change holds 0: 360 examples show no loss.",
    ),
)


class Neurons(ExplorerBase):
    """One neuron at a time: its u, its answer to an impulse, its part in the net's decision."""

    name = "neurons"
    title = "Neurons, one at a time"
    look = (
        "what the net loses when the costliest neuron is silenced, when all with a u near 1 are, and when as many with "
        "a small u are; and what becomes of one neuron's state when it is given another u."
    )
    leading = ("record", "layer", "neuron")

    def __init__(self, budget: Budget = "quick", device: str = "auto"):
        self.budget, self.device = budget, device
        self.nets = experiments("plain", "residual", steps=SLOW, opened=True)
        self.measured: dict[tuple[TrainedNet, int], list[Interval]] = {}
        self.help = ""
        if at_hand("ptb"):
            self.nets["sentences"] = "Penn Treebank, character by character, IndRNN 2 layers"
        else:
            self.help = "sentences too once the Penn Treebank is here: workbench data ptb"

        self.found: dict[str, TrainedNet] = {}
        if published(self.net_of(next(iter(self.nets))), 0):
            self.exercises = EXERCISES

    def net_of(self, record: str) -> TrainedNet:
        """The net of a record, looked up once a move."""
        if record not in self.found:
            changed = record == "sentences"
            self.found[record] = trained_net(*SENTENCES) if changed else trained_net(record, self.budget)
        return self.found[record]

    def forget(self) -> None:
        super().forget()
        self.found.clear()

    def costs(self, net: TrainedNet, layer: int) -> list[Interval] | None:
        """The change that silencing each neuron of a layer (from 0) makes, as published or as measured here."""
        return self.measured.get((net, layer)) or published(net, layer)

    def costliest(self, net: TrainedNet, layer: int) -> tuple[float, int]:
        """The largest cost in a layer and whose it is; of the longest memory where no cost is known."""
        costs = self.costs(net, layer)
        if costs is None:
            return 0.0, int(interventions.unit_of(net.net, layer).u.argmax())
        return max((worse(cost.mean, net.target), neuron) for neuron, cost in enumerate(costs))

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        net = self.net_of(values.get("record") or next(iter(self.nets)))
        last = len(net.weights[0])  # of the weights that the view has: the best, not those of the last evaluation
        layers = [interventions.unit_of(net.net, layer).u.detach().tolist() for layer in range(last)]
        known = {layer: self.costliest(net, layer - 1)[0] for layer in range(last, 0, -1)}
        start = max(known, key=lambda layer: known[layer])
        layer = min(int(values.get("layer", start)), last)
        us = layers[layer - 1]
        most = self.costliest(net, layer - 1)[1]
        trained = us[min(int(values.get("neuron", most)), len(us) - 1)]
        rest, both = round(trained, 4), net.config.model.kind == "bidirectional"
        reads = "1 and 2 read the input, even ones from its end" if both else "1 reads the input"
        return [
            Choice("record", "Net", self.nets, next(iter(self.nets)), self.help),
            Slider("layer", "Layer", range(1, last + 1), start, "", reads),
            Slider("neuron", "Neuron", range(len(us)), most, "", "or click one in the first figure"),
            Slider("u", "Give it another u", sorted({*PLACES, rest}), None, "", f"trained to {rest:g}", rest=rest),
            Switch("silent", "Silence it", help="nothing of it reaches the layer above"),
            Slider("above", "Silence all with u above", ABOVE, None, "", "of its layer; none at rest", rest=ABOVE[-1]),
            Choice("sort", "Sort the neurons by", ORDERS, "cost"),
            Slider("example", "Example", range(net.batch(TESTED).x.shape[1]), 0, "", "of the test set", True),
        ]

    def clicked(self, figure: str, point: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        chosen = point.get("customdata")
        return {"neuron": chosen, "u": None, "silent": False} if isinstance(chosen, int) else {}

    def view(
        self,
        record: str,
        layer: int,
        neuron: int,
        u: float | None,
        silent: bool,
        above: float | None,
        sort: str,
        example: int,
    ) -> View:
        net = self.net_of(record)
        us = interventions.unit_of(net.net, layer - 1).u.detach().tolist()
        trained, costs = us[neuron], self.costs(net, layer - 1)
        given = None if u is None or u == round(trained, 4) else u
        group = tuple(i for i, v in enumerate(us) if above is not None and v > above)
        hushed = tuple(sorted({*group, *([neuron] if silent else [])}))
        edit = Edit(layer - 1, neuron, given, hushed) if given is not None or hushed else None
        what = self.words(edit, neuron, len(us), group, above)
        effects = self.effects(net, us, edit, what, costs, neuron)
        now = trained if given is None else given
        seen, seen_after = edits.looked(net, example, layer - 1, None), edits.looked(net, example, layer - 1, edit)
        steps = spec(net.config.task).steps
        name, back = edits.layer_name(net, layer - 1), edits.reads_back(net, layer - 1)
        fed, state, output = seen
        state_after = torch.zeros_like(state[:, neuron]) if neuron in hushed else seen_after[1][:, neuron]
        said = " ".join(
            [
                f"Neuron {neuron} of {name}, u = {trained:.4f}: {edits.impulse(trained, steps)}",
                edits.standing(costs, neuron, net.target),
                f"{net.origin}: {scored(net.answers, net.target)}.",
                *(f"{n[0].upper()}{n[1:]}: {changed(e, net.target)}." for n, e in list(effects.items())[bool(costs) :]),
            ]
        )
        if back:
            said += " It reads from the end: its first step is the last of the sequence."
        lived = edits.lived(state[:, neuron], example, trained)
        points = None if costs is None else [worse(cost.mean, net.target) for cost in costs]
        panels = {
            "roll": Panel(
                roll(us, points, COSTS[net.target], sort, neuron, given, hushed, net.time),
                f"u of all neurons of {name}, from {min(us):.3f} to {max(us):.3f}. {said}",
                wide=True,
            ),
            "effect": Panel(
                edits.differences(effects, net.target),
                "; ".join(f"{name}: {changed(effect, net.target)}" for name, effect in effects.items())
                or "Not measured.",
            ),
            "impulse": Panel(
                edits.responses(trained, now, neuron in hushed, steps).timed("x", "time since the impulse", net.time),
                f"Its answer to an impulse, left alone: {edits.impulse(trained, steps)}",
            ),
            "trace": Panel(
                reading.trace(
                    state[:, neuron], state_after if edit else None, fed[:, neuron], edits.letters(net, example), back
                ).timed("x", "time, from the end" if back else "time", net.time, first=1),
                lived,
            ),
            **edits.decision(net, example, edit, output, seen_after[2] if edit else None),
        }
        return View(panels, f"{said} {lived}", self.job(net, layer - 1, costs))

    def alive(self) -> dict[str, Any]:
        tested = {record: self.net_of(record) for record in self.nets}
        words = {"orders": ORDERS, "unit": COSTS["class"]}
        return examined(self, self.nets, tested, self.costs, words)

    def words(self, edit: Edit | None, neuron: int, width: int, group: Sequence[int], above: float | None) -> str:
        """Say what is edited."""
        parts = []
        if edit and edit.u is not None:
            parts.append(f"neuron {neuron} with u = {edit.u:g}")
        if group:
            parts.append(f"silenced: {len(group)} of {width}, all with u > {above:g}")
        if edit and len(edit.silent) > len(group):
            parts.append(f"neuron {neuron} silenced")
        return ", ".join(parts)

    def effects(
        self,
        net: TrainedNet,
        us: Sequence[float],
        edit: Edit | None,
        what: str,
        costs: Sequence[Interval] | None,
        neuron: int,
    ) -> dict[str, Interval]:
        """Changes of the score: by one neuron silenced, by what is set, and by as many others of small |u|."""
        found = {f"neuron {neuron} silenced": costs[neuron]} if costs else {}
        if edit is not None:
            found[what] = edits.effect(net, edit)
        if edit is not None and 1 < len(edit.silent) <= len(us) / 2:
            others = sorted({*range(len(us))} - {*edit.silent}, key=lambda i: abs(us[i]))[: len(edit.silent)]
            name = f"silenced: {len(others)} others, smallest |u|"
            found[name] = edits.effect(net, Edit(edit.layer, edit.neuron, None, tuple(sorted(others))))
        return found

    def job(self, net: TrainedNet, layer: int, costs: Sequence[Interval] | None) -> Job | None:
        """Train it, or silence each neuron in turn, where that was not done yet."""
        if net.step == 0 or costs is not None:
            return net.job(self.device)

        def run(tell: Tell, stop: threading.Event) -> None:
            found: list[Interval] = []
            width = len(interventions.unit_of(net.net, layer).u)
            for cost in interventions.silencing(net.net, net.batch(TESTED), net.target, layer):
                if stop.is_set():
                    raise Stopped("stopped")
                found.append(cost)
                tell(len(found) / width, f"silenced {len(found)} of {width}")
            self.measured[net, layer] = found

        return Job("Silence each neuron in turn", run)


def explore_neurons(*, budget: Budget = "quick", device: str = "auto", **values: Any) -> Explorer:
    """Open the explorer of single neurons, its controls at the given values (`layer=6, neuron=3`)."""
    return Explorer(Neurons(budget, device), **values)


# --- its figures: data in, a picture out ---


def roll(
    us: Sequence[float],
    costs: Sequence[float] | None,
    unit: str,
    sort: str,
    chosen: int,
    edited: float | None,
    silent: Sequence[int],
    time: Time = EACH,
) -> Picture:
    """The neurons of a layer in an order, coloured by what silencing costs; the chosen one, where its u is put, and
    those that are silenced."""
    order = edits.ordered(us, costs, sort)
    x = f"neurons by {ORDERS[sort]}" if costs or sort != "cost" else f"neurons by {ORDERS['memory']}"
    picture = Picture(x, "recurrent weight u", "Choose a neuron: click one", height=300)
    words = [f"neuron {i}: u = {us[i]:.4f}, half-life {time.words(half_life(us[i]))}" for i in order]
    colour: dict[str, Any] = {}
    if costs is not None:
        words = [f"{said}, {costs[i]:.3g} {unit}" for said, i in zip(words, order, strict=True)]
        bar = {"title": {"text": unit, "side": "right", "font": {"size": 12}}, "thickness": 12, "len": 1}
        colour = {"color": [costs[i] for i in order], "colorscale": LEVELS, "colorbar": bar, "cmin": 0}
        colour["cmax"] = max(*costs, 1e-9)
    more = {"text": words, "customdata": order, "hovertemplate": "%{text}<extra></extra>"}
    line = {"width": 0.5, "color": INK}
    marker = {**colour, "line": line}
    picture.dots(range(len(us)), [us[i] for i in order], "all", BLUE, 9, marker=marker, **more).linked(
        neuron="customdata"
    )
    places = [order.index(i) for i in silent]
    if places:
        cross = {"symbol": "x-thin", "line": {"width": 2, "color": PINK}}
        picture.dots(places, [us[i] for i in silent], "silenced", PINK, 9, marker=cross)
    at = order.index(chosen)
    ring = {"symbol": "circle-open", "line": {"width": 3, "color": ORANGE}}
    picture.dots([at], [us[chosen]], f"neuron {chosen}", ORANGE, 16, marker=ring)
    if edited is not None:
        picture.dots([at], [edited], "as edited", PINK, 14, marker={"symbol": "diamond"})
    return picture.level(1.0).level(0.0)
