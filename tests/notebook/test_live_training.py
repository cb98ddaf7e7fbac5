"""Curves drawn while nets train: one frame an evaluation, and after an interruption it goes on where it stopped."""

import os
import signal

import pytest

from workbench.analysis.figures import height
from workbench.errors import Stopped
from workbench.notebook import live_training
from workbench.notebook.live_training import LiveTraining
from workbench.runs.planned_run import PlannedRun

SMALL = (("model.depth", 1), ("model.hidden", 4), ("task.limit", 64), ("train.evaluate_every", 2), ("train.steps", 6))
RUNS = [PlannedRun("seqdigits_plain6", "smoke", seed, SMALL) for seed in (0, 1)]


@pytest.fixture
def frames(store, monkeypatch):
    """The frames that the notebook is told to show: the steps of each curve, frame after frame."""
    seen = []

    class Shown:
        def update(self, figure):
            seen.append([list(line.x) for line in figure.data])

    monkeypatch.setattr(live_training, "display", lambda figure, display_id: Shown())
    return seen


def test_each_evaluation_is_a_frame_and_each_run_a_curve(frames):
    shown = LiveTraining(RUNS, "cpu")
    first, second = shown.train()
    assert frames == [
        [[2]], [[2, 4]], [[2, 4, 6]], [[2, 4, 6]],
        *([[2, 4, 6], x] for x in ([2], [2, 4], [2, 4, 6], [2, 4, 6])),
    ]  # fmt: skip
    for line, record, planned_run in zip(shown.figure.data, (first, second), RUNS, strict=True):
        assert line.name == planned_run.reader_name
        assert list(line.y) == [height(row["valid"]) for row in record.evaluations]
    assert shown.figure.data[0].line.color != shown.figure.data[1].line.color


def test_what_is_recorded_is_drawn_at_once(frames):
    LiveTraining(RUNS[:1], "cpu").train()
    frames.clear()
    LiveTraining(RUNS[:1], "cpu").train()
    assert frames == [[[2, 4, 6]]]


def test_after_an_interruption_it_goes_on_from_there_and_the_curve_is_whole(frames):
    class Interrupted(LiveTraining):
        def draw(self, row):
            super().draw(row)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped, match="stopped on request at step 2"):
        Interrupted(RUNS[:1], "cpu").train()
    assert frames == [[[2]]]
    frames.clear()
    again = LiveTraining(RUNS[:1], "cpu")
    (record,) = again.train()
    assert frames == [[[4]], [[4, 6]], [[2, 4, 6]]]
    assert record.status == "done"
