"""Curves that are drawn while nets train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from ipywidgets import HTML, VBox

from .. import figures, study
from ..record import Record


class LiveTraining(VBox):  # type: ignore[misc]
    """Trains runs one after another and draws each one's validation curve as it goes.

    `runs`: (experiment, budget, seed). `train()` returns the records; interrupting the kernel stops at the next step,
    and training again goes on from there.
    """

    def __init__(self, runs: Sequence[tuple[str, str, int]], device: str = "auto"):
        self.runs, self.device = list(runs), device
        self.says = HTML("ready")
        self.figure = go.FigureWidget(figures.blank("training step", "validation accuracy, %"))
        super().__init__([self.says, self.figure])

    def train(self) -> list[Record]:
        """Train or read every run, in order."""
        records = []
        for index, (name, budget, seed) in enumerate(self.runs):
            self.figure.add_scatter(
                x=[],
                y=[],
                name=f"{name}, seed {seed}",
                mode="lines+markers",
                line={"color": list(figures.COLOURS.values())[index % len(figures.COLOURS)]},
            )
            self.says.value = f"training {name}, seed {seed} ..."
            records.append(
                study.run(name, budget, seed, device=self.device, watch=self.draw, progress=False)  # type: ignore[arg-type]
            )
            self._draw_all(records[-1])
        self.says.value = f"{len(records)} runs recorded"
        return records

    def draw(self, row: dict[str, Any]) -> None:
        """Add one evaluation to the newest curve."""
        line = self.figure.data[-1]
        line.x = [*line.x, row["step"]]
        line.y = [*line.y, figures.height(row["valid"])]
        self.says.value = f"{line.name}: step {row['step']:,}"

    def _draw_all(self, record: Record) -> None:
        line = self.figure.data[-1]
        line.x = [row["step"] for row in record.evaluations]
        line.y = [figures.height(row["valid"]) for row in record.evaluations]
