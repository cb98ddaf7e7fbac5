"""Architecture: a net as a picture, from its config (Li et al. 2019, Fig. 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import paper
from ...config import Budget, Config
from ...models import diagram
from ...tasks import spec
from . import figures
from .base import Choice, Control, ExplorerBase, Panel, Slider, View
from .widget import Explorer

AS_IT_IS = 0  # the place of a slider that leaves the experiment's own value alone
WIDTHS = (AS_IT_IS, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Architecture(ExplorerBase):
    """Parts of a net, the shapes that pass through it, and the places of its parameters."""

    name = "architecture"
    title = "Architecture: what is in the net"
    look = (
        "where the parameters are (in the products between layers, hardly any in the recurrence: one number a neuron), "
        "what passes by a layer in residual and dense nets, and how little of a step's shape depends on T."
    )
    sweep = ("experiment",)
    leading = ("experiment",)

    def __init__(self, budget: Budget = "quick", device: str = "auto"):
        self.experiments = {name: f"{name}: {known.title}" for name, known in paper.EXPERIMENTS.items()}

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        chosen = paper.EXPERIMENTS.get(values.get("experiment", ""))
        width = "Growth k" if chosen and chosen.config.model.kind == "dense" else "Neurons a layer"
        return [
            Choice("experiment", "Experiment", self.experiments, "seqmnist_plain6"),
            Slider(
                "depth", "Depth", range(25), AS_IT_IS, "", "0: as the experiment has it; layers, or residual blocks"
            ),
            Slider("width", width, WIDTHS, AS_IT_IS, "", "0: as the experiment has it"),
        ]

    def config(self, experiment: str, depth: int, width: int) -> Config:
        """The experiment's config, made deeper or wider."""
        config = paper.experiment(experiment).config
        kind = config.model.kind
        changes: dict[str, Any] = {}
        if depth != AS_IT_IS and kind == "dense":
            changes["model.blocks"] = tuple([depth] * len(config.model.blocks))
        elif depth != AS_IT_IS:
            changes["model.depth"] = depth
        if width != AS_IT_IS:
            changes["model.growth" if kind == "dense" else "model.hidden"] = width
        return config.set(changes) if changes else config

    def view(self, experiment: str, depth: int, width: int) -> View:
        config = self.config(experiment, depth, width)
        task = spec(config.task)
        drawn = diagram.draw(config.model, task)
        own = sum(part.features for part in drawn.parts if part.kind == "indrnn")
        kind, inputs = config.model.kind, "1 input" if task.inputs == 1 else f"{task.inputs:,} inputs"
        said = (
            f"{experiment}: {figures.NAMES.get(kind, kind)} for {inputs} a step "
            f"over T = {task.steps:,} steps and {task.outputs:,} outputs; {drawn.parameters:,} parameters"
        )
        said += f", {own:,} of them recurrent weights, one a neuron." if own else "."
        listed = "; ".join(f"{p.name}: {p.inside}, {p.parameters:,} parameters" for p in drawn.parts)
        picture = figures.architecture(drawn, "From the input, below, to the output")
        panels = {
            "net": Panel(picture, f"{said} From input to output: {listed}", wide=True),
            "shares": Panel(figures.shares(drawn), f"What the parameters do. {said}", wide=True),
        }
        return View(panels, said)


def explore_architecture(*, budget: Budget = "quick", device: str = "auto", **values: Any) -> Explorer:
    """Open the drawing of a net, its controls at the given values (`experiment="seqmnist_dense"`)."""
    return Explorer(Architecture(budget, device), **values)
