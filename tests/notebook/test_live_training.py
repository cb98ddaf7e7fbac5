"""Curves drawn while nets train: one frame an evaluation, and after an interruption it goes on where it stopped."""

import os
import signal

import pytest

from workbench.analysis.figures import height
from workbench.errors import Stopped
from workbench.notebook import live_training
from workbench.notebook.live_training import train_live
from workbench.runs.planned_run import PlannedRun

SMALL = (("model.depth", 1), ("model.hidden", 4), ("task.limit", 64), ("train.evaluate_every", 2), ("train.steps", 6))
RUNS = [PlannedRun("seqdigits_plain6", "smoke", seed, SMALL) for seed in (0, 1)]


class Shown:
    """A place of the notebook's, and its frames: the steps of each curve, frame after frame."""

    def __init__(self):
        self.frames, self.figure = [], None

    def update(self, figure):
        self.frames.append([list(line.x) for line in figure.data])
        self.figure = figure


class Interrupted(Shown):
    """One who interrupts the kernel at each frame."""

    def update(self, figure):
        super().update(figure)
        os.kill(os.getpid(), signal.SIGINT)


def test_each_evaluation_is_a_frame_and_each_run_a_curve(store, monkeypatch):
    shown = Shown()
    monkeypatch.setattr(live_training, "display", lambda figure, display_id: shown)
    first, second = train_live(RUNS, "cpu")
    assert shown.frames == [
        [[2]], [[2, 4]], [[2, 4, 6]], [[2, 4, 6]],
        *([[2, 4, 6], x] for x in ([2], [2, 4], [2, 4, 6], [2, 4, 6])),
    ]  # fmt: skip
    for line, record, planned_run in zip(shown.figure.data, (first, second), RUNS, strict=True):
        assert line.name == planned_run.reader_name
        assert list(line.y) == [height(row["valid"]) for row in record.evaluations]
    assert shown.figure.data[0].line.color != shown.figure.data[1].line.color
    again = Shown()
    train_live(RUNS[:1], "cpu", again)
    assert again.frames == [[[2, 4, 6]]], "what is recorded is drawn at once"


def test_after_an_interruption_it_goes_on_from_there_and_the_curve_is_whole(store):
    interrupted, shown = Interrupted(), Shown()
    with pytest.raises(Stopped, match="stopped on request at step 2"):
        train_live(RUNS[:1], "cpu", interrupted)
    assert interrupted.frames == [[[2]]]
    (record,) = train_live(RUNS[:1], "cpu", shown)
    assert shown.frames == [[[4]], [[4, 6]], [[2, 4, 6]]]
    assert record.status == "done"
