"""Curves that are drawn while nets train."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol

from IPython.display import display

from ..analysis import figures
from ..runs.planned_run import PlannedRun
from ..runs.record import Record


class Place(Protocol):
    """Place on a page whose figure can be replaced."""

    def update(self, figure: Any) -> None: ...


class LiveTraining:
    """Trains runs one after another and draws each one's validation curve as it goes.

    `train()` returns the records; interrupting the kernel, or setting `stop`, stops at the next step, and training
    again goes on from there. The figure is an ordinary output, redrawn in `place`: unlike a widget it is there when the
    notebook is opened again, and costs kilobytes, not plotly's five megabytes of state.
    """

    def __init__(
        self,
        runs: Sequence[PlannedRun],
        device: str = "auto",
        place: Place | None = None,
        stop: threading.Event | None = None,
    ):
        self.runs, self.device, self.place, self.stop = list(runs), device, place, stop
        self.figure = figures.blank("training step", "validation accuracy, %")

    def train(self) -> list[Record]:
        """Train or read every run, in order."""
        records = []
        self.shown = self.place or display(self.figure, display_id=True)
        for index, planned_run in enumerate(self.runs):
            colour = list(figures.COLOURS.values())[index % len(figures.COLOURS)]
            look = {"mode": "lines+markers", "line": {"color": colour}}
            self.figure.add_scatter(x=[], y=[], name=planned_run.reader_name, **look)
            records.append(planned_run.train(self.device, watch=self.draw, progress=False, stop=self.stop))
            self._redraw(records[-1].evaluations)
        return records

    def draw(self, row: dict[str, Any]) -> None:
        """Add one evaluation to the newest curve."""
        line = self.figure.data[-1]
        line.x, line.y = [*line.x, row["step"]], [*line.y, figures.height(row["valid"])]
        self._entitle(row["valid"])
        self.shown.update(self.figure)

    def _redraw(self, rows: Sequence[dict[str, Any]]) -> None:
        line = self.figure.data[-1]
        line.x, line.y = [row["step"] for row in rows], [figures.height(row["valid"]) for row in rows]
        if rows:
            self._entitle(rows[-1]["valid"])
        self.shown.update(self.figure)

    def _entitle(self, scores: dict[str, Any]) -> None:
        self.figure.layout.yaxis.title.text = f"validation {figures.height_unit(scores)}"
