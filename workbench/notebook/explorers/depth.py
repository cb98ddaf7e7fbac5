"""Depth: how far down a gradient comes in IndRNNs of three kinds, LSTM and RNN-tanh (Li et al. 2019, Fig. 3)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from torch import Tensor

from ...analysis import interventions
from ...analysis.figures import height
from ...config import Budget, Config, Model, Pixels, Train
from ...models.build import count
from ...tasks import spec
from . import figures
from .base import Control, ExplorerBase, Job, Panel, Slider, Switch, Tell, View
from .trained_nets import TrainedNet, evaluations, kept
from .widget import Explorer

HIDDEN, BATCH, STEPS = 32, 8, 300  # small enough to answer at once; the steps of training here
KINDS = ("plain", "residual", "dense", "lstm", "rnn_tanh")


def config(kind: str, depth: int, norm: bool = True, steps: int = STEPS) -> Config:
    """A net of about so many recurrent layers on the digits: 64 steps, 32 neurons a layer.

    A residual net has an odd number (two a block and a last), a dense one an even number from 4 on (two a layer, the
    first and the transition).
    """
    fields: dict[str, Any] = {"kind": kind, "hidden": HIDDEN, "depth": depth}
    if kind == "residual":
        fields["depth"] = max(1, (depth - 1) // 2)
    elif kind == "dense":
        fields = {"kind": kind, "growth": 8, "blocks": (max(1, (depth - 2) // 2),)}
    if kind not in ("lstm", "rnn_tanh"):
        fields |= {"gamma": 5.0, "norm": "after" if norm else "none"}
    train = Train(batch=32, lr=2e-3 if kind == "lstm" else 1e-3, steps=steps, evaluate_every=max(1, steps // 6))
    task = Pixels(name="pixels", source="digits")
    return Config(task=task, model=Model.model_validate(fields), train=train)


class Depth(ExplorerBase):
    """Size of a gradient on its way down through the layers and back through time."""

    name = "depth"
    title = "Depth: how far down does the gradient come?"
    look = (
        "from how many layers on a net's map goes dark at the bottom (nothing is learnt there), how the three IndRNNs "
        "stay bright where LSTM and RNN-tanh do not, and what batch norm has to do with it."
    )
    sweep = ("depth", "norm")

    def __init__(self, budget: Budget = "quick", device: str = "auto"):
        self.steps, self.device = (8 if budget == "smoke" else STEPS), device

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        return [
            Slider("depth", "Recurrent layers", range(1, 25), 8, "layers", "residual: odd, dense: even from 4 on"),
            Switch("trained", "After training", help="off: as the nets start"),
            Switch("norm", "Batch norm in the IndRNNs", True),
            *(Switch(kind, figures.NAMES[kind], True) for kind in KINDS),
        ]

    def nets(self, depth: int, norm: bool, shown: Mapping[str, bool]) -> dict[str, TrainedNet]:
        return {kind: kept(config(kind, depth, norm, self.steps)) for kind in KINDS if shown[kind]}

    def view(self, depth: int, trained: bool, norm: bool, **shown: bool) -> View:
        nets = self.nets(depth, norm, shown)
        missing = [kind for kind, net in nets.items() if net.step < net.goal]
        maps: dict[str, Tensor] = {}
        rows: dict[str, tuple[int, float, float | None]] = {}
        for kind, net in nets.items():
            gradient, seconds, parameters = measured(net if trained else net.fresh)
            maps[kind] = gradient
            curve = evaluations(net.config, net.seed)
            rows[kind] = (parameters, 1000 * seconds, height(curve[-1]["valid"]) if curve else None)
        said = self.summary(maps, depth)
        if trained and missing:
            said += f" Not trained yet, shown as they start: {', '.join(figures.NAMES[kind] for kind in missing)}."
        panels = {
            "maps": Panel(
                figures.gradient_maps(maps),
                "Maps of layers against time steps, one a net; bright where the gradient is strong. " + said,
                wide=True,
            ),
            "layers": Panel(figures.by_layer(maps), f"Gradient norm by layer, logarithmic. {said}"),
            "time": Panel(
                figures.by_step(maps), "Gradient norm by steps before the end in the lowest layer, logarithmic."
            ),
            "costs": Panel(
                figures.costs(rows),
                "; ".join(
                    f"{figures.NAMES[k]}: {p:,} parameters, {ms:.3g} ms a step" for k, (p, ms, _) in rows.items()
                ),
                wide=True,
            ),
        }
        return View(panels, said, self.job([nets[kind] for kind in missing]))

    def summary(self, maps: Mapping[str, Tensor], depth: int) -> str:
        """Say how much of the gradient at the last layer arrives at the first."""
        parts = []
        for kind, gradient in maps.items():
            norms = gradient.double().norm(dim=1)
            share = float(norms[0] / norms[-1].clamp_min(1e-300))
            parts.append(f"{figures.NAMES[kind]} {share:.2g}")
        layers = "1 layer" if depth == 1 else f"{depth} layers"
        return f"With {layers}, of a gradient of 1 at the last layer arrives at the first: {', '.join(parts)}."

    def job(self, nets: list[TrainedNet]) -> Job | None:
        def run(tell: Tell, stop: threading.Event) -> None:
            for net in nets:
                net.train(tell, stop, self.device, figures.NAMES[net.config.model.kind])

        return Job(f"Train {len(nets)} nets ({self.steps} steps each)", run) if nets else None


@lru_cache(maxsize=400)
def measured(net: TrainedNet) -> tuple[Tensor, float, int]:
    """The gradient map of a net on 8 digits, the seconds of a forward and backward pass, the parameters."""
    warm(net.config.model.kind)
    gradient, seconds = interventions.gradient_map(net.net, net.batch(BATCH), spec(net.config.task).target)
    return gradient, seconds, count(net.net)


@cache
def warm(kind: str) -> None:
    """Run a small net of a kind once: the first pass of a process takes longer."""
    small = kept(config(kind, 1, steps=1))
    interventions.gradient_map(small.net, small.batch(BATCH), spec(small.config.task).target)


def explore_depth(*, budget: Budget = "quick", device: str = "auto", **values: Any) -> Explorer:
    """Open the explorer of depth, its controls at the given values (`depth=12, norm=False`)."""
    return Explorer(Depth(budget, device), **values)
