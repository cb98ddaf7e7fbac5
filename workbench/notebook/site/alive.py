"""Explorers whose pages compute in the browser (alive.js), so that all of their controls answer there.

Such a page holds fewer frames than places of its controls, and beside them the data from which the browser makes the
rest: `tests/browser/test_alive.py` holds what it makes to the explorer's own view.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from ...analysis import interventions
from ...analysis.figures.style import INK, ORANGE, Picture
from ...tasks import spec
from ..explorers import bounds
from ..explorers.base import LONGEST, NAMES, SMALLEST, Control, ExplorerBase, Slider
from ..explorers.bounds import Bounds
from ..explorers.depth import KINDS, Depth
from ..explorers.edits import changed
from ..explorers.length import Length
from ..explorers.trained_nets import score, scored

COMPUTED = (Bounds, Depth, Length)
MOMENTS = range(0, 101, 5)  # the stops of the moment of training


def alive(content: ExplorerBase) -> dict[str, Any] | None:
    """Everything that a page of this explorer needs for all of its controls; None for one that has frames alone.

    `sweep` names the controls whose frames it begins from, `leading` those that change what others allow, `controls`
    has them for each place of the leading ones, `data` is what alive.js computes from.
    """
    if isinstance(content, Depth):
        return _alive(content, ("depth", "norm", "trained"), {"names": {kind: NAMES[kind] for kind in KINDS}})
    if isinstance(content, Length):
        return _alive(content, ("task", "steps"), {"names": {kind: NAMES[kind] for kind in ("lstm", "irnn")}})
    if isinstance(content, Bounds):
        return _alive(content, (), _bounds(content))
    return None


def _alive(content: ExplorerBase, sweep: tuple[str, ...], data: dict[str, Any]) -> dict[str, Any]:
    first = content.at({})
    places = itertools.product(*(first[name].positions() for name in content.leading))
    held = {}
    for place in places:
        at = content.settle(dict(zip(content.leading, place, strict=True)))
        held[",".join(map(str, place))] = [offered(control).spec() for control in content.at(at).values()]
    return {"name": content.name, "sweep": sweep, "leading": content.leading, "controls": held, "data": data}


def offered(control: Control) -> Control:
    """A control as a page has it: cuts of a net's memory are those that its curve has."""
    if isinstance(control, Slider) and control.stops == bounds.CUTS:
        return replace(control, stops=bounds.CURVE)
    return control


def _bounds(content: Bounds) -> dict[str, Any]:
    nets = {}
    for record, clamp in itertools.product(content.nets, (True, False)):
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
        answers = [] if net.slow else [bounds.answers(net, cut) for cut in bounds.CURVE]
        cut = {
            "unit": "test accuracy, %" if net.target == "class" else "mean squared error",
            "heights": [score(found, net.target) for found in answers],
            "scored": [scored(found, net.target) for found in answers],
            "changed": [changed(interventions.change(net.answers, found, net.target), net.target) for found in answers],
        }
        nets[f"{record} {str(clamp).lower()}"] = {
            "origin": net.origin,
            "own": spec(net.config.task).steps,
            "places": places,
            "moments": moments,
            "cut": cut if answers else None,
        }
    level = Picture("", "").level(0.0, colour=ORANGE).layout["shapes"][0]
    shared = {"ink": INK, "level": level, "lengths": bounds.LENGTHS, "cuts": bounds.CURVE, "rounding": bounds.ROUNDING}
    return {"nets": nets, **shared, "longest": LONGEST, "smallest": SMALLEST}
