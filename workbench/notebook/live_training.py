"""Training from a notebook: curves that are drawn while nets train, and an offer to train.

An offer says in words which records a notebook shows and which are missing; a button trains them.
"""

from __future__ import annotations

import html
import json
import threading
from collections.abc import Sequence
from typing import Any

import ipywidgets
from IPython.display import display

from ..analysis import figures
from ..analysis.figures.style import hued
from ..analysis.html import Html
from ..errors import RunError, Stopped, told
from ..runs.planned_run import PlannedRun
from ..runs.record import Record

NAMED = 6  # of what is missing; of more the number is told
AGAIN = "Run → Run All Cells shows them in every figure and table"


def train_live(
    runs: Sequence[PlannedRun], device: str = "auto", place: Offer | None = None, stop: threading.Event | None = None
) -> list[Record]:
    """Train or read runs, one after another, and draw each one's validation curve as it goes -> their records.

    Interrupting the kernel, or setting `stop`, stops at the next step, and training again goes on from there. The
    figure is an ordinary output, redrawn in `place`: unlike a widget it is there when the notebook is opened again, and
    costs kilobytes, not plotly's five megabytes of state.
    """
    figure = figures.blank("training step", "validation accuracy, %")
    shown = place or display(figure, display_id=True)
    records: list[Record] = []
    rows: list[dict[str, Any]] = []  # of the newest curve

    def draw(*more: dict[str, Any]) -> None:
        rows.extend(more)
        line = figure.data[-1]
        line.x, line.y = [row["step"] for row in rows], [figures.height(row["valid"]) for row in rows]
        if rows:
            figure.layout.yaxis.title.text = f"validation {figures.height_unit(rows[-1]['valid'])}"
        shown.update(figure)

    for index, planned_run in enumerate(runs):
        rows.clear()
        figure.add_scatter(x=[], y=[], name=planned_run.reader_name, mode="lines+markers", line={"color": hued(index)})
        records.append(planned_run.train(device, watch=draw, progress=False, stop=stop))
        rows.clear()
        draw(*records[-1].evaluations)
    return records


# --- the offer ---


class NothingRecorded(RunError):
    """Nothing to show yet: a notebook stops here, with a line in place of a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class Offer:
    """The runs that a notebook plans, what is recorded of them, and the offer to train the rest, or all once more.

    `show()` puts sentence and button on the page; nothing is trained before the button is pressed. Training goes on in
    a thread, its curves beside the button, which then stops it; what is recorded stays.
    """

    def __init__(self, runs: Sequence[PlannedRun], shown: Sequence[Record], device: str = "auto"):
        self.shown, self.device = list({record.id: record for record in shown}.values()), device
        once = {run.run.path.name: run for run in runs}  # two variants of a sweep may be one run
        self.found = {run: run.found() for run in once.values()}
        self.missing = [run for run, record in self.found.items() if record is None or not run.answered_by(record)]
        again = [run for run, record in self.found.items() if record is not None and record.published]
        self.todo = self.missing or again
        self.worker: threading.Thread | None = None
        self.stopping = threading.Event()
        words = f"{'Train what is missing' if self.missing else 'Train them here'} ({_counted(len(self.todo), 'run')})"
        self.button = ipywidgets.Button(description=words, layout=ipywidgets.Layout(width="auto"))
        self.button.on_click(lambda _: self.stop() if self.worker is not None else self.start())
        self.told, self.plot = ipywidgets.HTML(), ipywidgets.Output()
        self.panel = ipywidgets.VBox([ipywidgets.HBox([self.button, self.told]), self.plot])

    @property
    def said(self) -> str:
        """Sentence on what is shown, whose it is, and what is missing."""
        published = sum(record.published for record in self.shown)
        own, several = len(self.shown) - published, len(self.shown) != 1
        parts = [f"Shown: {_counted(published, 'published record')}{f' and {own}' if own else ', none'} of your own."]
        if not self.shown:
            parts = ["Nothing of this is recorded yet, published or your own."]
        parts.append("Nothing was trained to show " + ("them." if several else "it.") if self.shown else "")
        lacking = self._lacking()
        if self.shown and lacking:
            more = f"; and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
            parts.append(f"Missing: {'; '.join(lacking[:NAMED])}{more}.")
        if (seconds := self._cost()) is not None:
            minutes = _counted(max(1, round(seconds / 60)), "minute")
            parts.append(f"Training here takes about {minutes}, one run after another, as it did when recorded.")
        return " ".join(filter(None, parts))

    def show(self) -> None:
        """Sentence, and the button where there is something to train."""
        display(Html(f"<p>{html.escape(self.said)}</p>"))
        self.show_button()

    def show_button(self) -> None:
        """The button alone: a second place on the page for the same offer."""
        if self.todo:
            display(self.panel)

    def start(self) -> None:
        """Begin to train, in a thread."""
        self.stopping.clear()
        self.worker = threading.Thread(target=self._labour, daemon=True)
        self.worker.start()

    def stop(self) -> None:
        """Ask the training to stop at its next step."""
        self.stopping.set()
        self._tell("stopping ...")

    def wait(self, seconds: float | None = None) -> None:
        """Until the training under way has ended."""
        if self.worker is not None:
            self.worker.join(seconds)

    def update(self, figure: Any) -> None:
        """Draw a figure beside the button: an ordinary output, as a cell's is."""
        bundle = {"application/vnd.plotly.v1+json": json.loads(figure.to_json()), "text/plain": "learning curves"}
        self.plot.outputs = ({"output_type": "display_data", "data": bundle, "metadata": {}},)

    def _labour(self) -> None:
        words, self.button.description = self.button.description, "Stop"
        self._tell("training; the curves follow")
        try:
            records = train_live(self.todo, self.device, self, self.stopping)
            self.button.layout.display = "none"
            said = f"Trained: {_counted(len(records), 'record')} of your own. {AGAIN}."
        except Stopped:
            said = "Stopped. What was recorded is kept, and the button goes on from there."
        except Exception as error:
            said = f"Failed: {told(error)}"
        self.button.description, self.worker = words, None
        self._tell(said)

    def _tell(self, said: str) -> None:
        self.told.value = f'<span role="status">{html.escape(said)}</span>'

    def _lacking(self) -> list[str]:
        """Texts of what is missing, one for all seeds that lack the same."""
        seeds: dict[str, list[str]] = {}
        for run in self.missing:
            record = self.found[run]
            words = run.in_words if record is None else f"{run.in_words}, beyond step {record.step:,}"
            seeds.setdefault(words, []).append(str(run.seed))
        return [f"{words}, seed{'s' * (len(own) > 1)} {', '.join(own)}" for words, own in seeds.items()]

    def _cost(self) -> float | None:
        """Seconds that what is offered took when it was recorded, to the end of the budget; None if one is unknown."""
        seconds = 0.0
        for run in self.todo:
            record = self.found[run]
            if record is None or not run.answered_by(record):
                return None
            until = run.until or record.budgets[-1]["step"]
            end = next((e for e in record.budgets if e["step"] >= until), record.budgets[-1])
            seconds += min(1.0, until / max(end["step"], 1)) * float(end["cost"]["wall_s"])
        return seconds or None


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
