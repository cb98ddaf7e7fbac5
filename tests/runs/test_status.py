"""The board: every run's state, from disk alone; the index behind it is a cache that may be lost at any time."""

import json
import threading
import time

import pytest

import workbench as wb
from workbench.runs import lock, status
from workbench.runs.lock import Lock
from workbench.runs.status import overview

NAME = "adding_rnn_tanh_T100"


@pytest.fixture
def begun(store):
    return wb.run(NAME, "smoke", changes={"train.steps": 60}, until=20, progress=False)


def test_a_row_says_state_step_rate_and_time_left(begun):
    (row,) = status.rows()
    assert (row["status"], row["step"], row["steps"], row["changes"]) == ("resumable", 20, 60, "train.steps=60")
    assert row["rate"] > 0
    with Lock(begun.run) as mine:
        mine.tell(step=40, target=60, rate=2.0)
        mine.beat += 1
        mine.path.write_bytes(mine._content())
        (row,) = status.rows()
        assert (row["status"], row["step"], row["rate"], row["left"]) == ("running", 40, 2.0, "0:10")
    assert status.rows()[0]["status"] == "resumable"


def test_the_last_trouble_is_shown(begun):
    lock.note(begun.run, "failed", "RunError: the disk caught fire")
    (row,) = status.rows()
    assert (row["status"], row["error"]) == ("failed", "RunError: the disk caught fire")


def test_a_folder_that_is_only_being_made_is_no_damaged_record(begun):
    (begun.run.path.parent / ("0" * 16)).mkdir()
    assert [row["status"] for row in status.rows()] == ["resumable"]


def test_the_index_is_a_cache(begun, store):
    before = overview()
    path = store / "runs" / ".index.sqlite"
    for content in (None, b"", b"junk", path.read_bytes()[:3000]):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        assert overview() == before
        assert overview() == before
    made = []
    rows = status._cached(path, {"a": "1"}, lambda key: made.append(key) or {"n": 1})
    assert rows == status._cached(path, {"a": "1"}, lambda key: made.append(key) or {"n": 2}) == {"a": {"n": 1}}
    assert status._cached(path, {"a": "2"}, lambda key: made.append(key) or {"n": 3}) == {"a": {"n": 3}}
    assert made == ["a", "a"]


def test_the_widget_shows_what_the_records_say_and_survives(begun):
    from workbench.notebook.run_board import Board

    shown = Board()
    assert list(shown.runs.value) == [begun.id]
    assert NAME in shown.table.value
    (line,) = shown.figure.data
    assert list(line.x) == [e["step"] for e in begun.evaluations]
    wb.run(NAME, "smoke", changes={"train.steps": 60}, progress=False)
    shown.refresh()
    assert list(shown.figure.data[0].x)[-1] == 50
    assert "done" in shown.table.value
    bundle = shown.plot.outputs[0]["data"]["application/vnd.plotly.v1+json"]
    assert json.dumps(bundle)
    assert list(Board().figure.data[0].x) == list(shown.figure.data[0].x)  # a new kernel, the same board


def test_published_curves_stand_beside_ours():
    from workbench.analysis.figures.learning import _published

    assert [source for source, *_ in _published("seqmnist_plain6")] == ["official log"]
    assert [source for source, *_ in _published("adding_indrnn_T100")] == ["paper"]


def test_names_and_errors_are_escaped(begun):
    from workbench.notebook.run_board import Board

    lock.note(begun.run, "failed", "<script>alert(1)</script>")
    assert "<script>" not in Board().table.value


def test_a_board_that_watches_sees_a_new_run_until_it_is_stopped(store):
    from workbench.notebook.run_board import Board

    shown = Board()
    assert not shown.runs.options
    shown.watch(0.02)
    try:
        record = wb.run(NAME, "smoke", changes={"train.steps": 20}, progress=False)
        deadline = time.monotonic() + 30
        while record.id not in {run for _, run in shown.runs.options} and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [run for _, run in shown.runs.options] == [record.id]
    finally:
        shown.stop()
    seen = shown.table.value
    lock.note(record.run, "failed", "said after the watch")
    time.sleep(0.1)
    assert shown.table.value == seen


def test_stopping_waits_for_a_refresh_under_way_and_watching_again_leaves_one_watcher(begun, monkeypatch):
    from workbench.notebook.run_board import Board

    shown, reading, go_on, read = Board(), threading.Event(), threading.Event(), []

    def slow(watch):
        reading.set()
        go_on.wait(30)
        read.append(threading.current_thread())
        return []

    monkeypatch.setattr(status, "rows", slow)
    shown.watch(0.01)
    assert reading.wait(30)
    threading.Timer(0.1, go_on.set).start()
    shown.stop()
    assert read
    assert "None yet" in shown.table.value
    shown.watch(0.01)
    first = shown.watcher
    shown.watch(0.01)
    assert not first.is_alive()
    assert shown.watcher.is_alive()
    shown.stop()
    assert not shown.watcher.is_alive()
