"""The board in a notebook: every run's state, and the learning curves of those chosen beside the published ones.

All of it is read from the records, so nothing is lost when the page or the kernel starts anew: show it again.
"""

from __future__ import annotations

import json
import threading
from html import escape
from typing import Any

import ipywidgets
import pandas as pd

from ..analysis import figures, html
from ..errors import WorkbenchError, told
from ..runs import status
from ..runs.lock import Watch
from ..runs.record import find_id

SHOWN = ("experiment", "changes", "seed", "status", "step", "steps", "rate", "left", "error")
MOST = 200  # rows of the table, those that want attention first; all can be chosen


class Board(ipywidgets.VBox):  # type: ignore[misc]
    """A table of the runs, a list to choose from and their curves. `watch(seconds)` keeps it fresh until `stop()`."""

    def __init__(self) -> None:
        self.seen, self.left = Watch(), threading.Event()
        self.watcher: threading.Thread | None = None
        self.table, self.plot = ipywidgets.HTML(), ipywidgets.Output()
        self.figure = figures.curves_of([])
        layout = ipywidgets.Layout(width="100%", height="150px")
        self.runs = ipywidgets.SelectMultiple(description="curves of", layout=layout)
        super().__init__([self.table, self.runs, self.plot])
        self.refresh()
        self.runs.observe(lambda _: self._draw(), names="value")
        self.runs.value = [value for _, value in self.runs.options[:2]]

    def refresh(self) -> None:
        """Read the records again; the choice stays."""
        rows = status.rows(self.seen)
        rest = f"<p>{len(rows) - MOST:,} more, not shown</p>" if len(rows) > MOST else ""
        rest = rest if rows else "<p>No run is recorded yet.</p>"
        shown = pd.DataFrame(rows[:MOST], columns=SHOWN, dtype=object).map(_cell)
        self.table.value = html.table(shown) + rest  # every value escaped: names and errors come from files
        chosen = self.runs.value
        options = [(_label(row), row["id"]) for row in rows if row["status"] != "damaged"]
        if options != list(self.runs.options):
            self.runs.options = options
            self.runs.value = [value for value in chosen if value in {run for _, run in options}]
        if chosen:
            self._draw()

    def watch(self, seconds: float = 2.0) -> None:
        """Refresh every so many seconds, in a thread, until `stop()`."""
        self.stop()
        self.left.clear()
        self.watcher = threading.Thread(target=self._keep, args=(seconds,), daemon=True)
        self.watcher.start()

    def stop(self) -> None:
        """No more refreshing: one that is under way ends first."""
        self.left.set()
        if self.watcher is not None:
            self.watcher.join()

    def _keep(self, seconds: float) -> None:
        while not self.left.wait(seconds):
            try:
                self.refresh()
            except (WorkbenchError, OSError) as error:  # a store on a network may be away for a while
                self.table.value = f"<p>The records cannot be read now: {escape(told(error))}</p>"

    def _draw(self) -> None:
        records = [found for run in self.runs.value if (found := find_id(run)) is not None]
        self.figure = figures.curves_of(records)
        bundle = {"application/vnd.plotly.v1+json": json.loads(self.figure.to_json()), "text/plain": "learning curves"}
        self.plot.outputs = ({"output_type": "display_data", "data": bundle, "metadata": {}},)


def _label(row: dict[str, Any]) -> str:
    changes = f" {row['changes']}" if row.get("changes") else ""
    smoke = " (smoke)" if row.get("smoke") else ""
    return f"{row['experiment']}{smoke}{changes}, seed {row['seed']}: {row['status']}, step {row['step']:,}"


def _cell(value: Any) -> Any:
    return f"{value:,}" if isinstance(value, int | float) and value == value else value
