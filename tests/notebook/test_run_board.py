"""The board where there is nothing to show, and where the records are away for a while."""

import time

from workbench.errors import StoreError
from workbench.notebook import run_board


def test_a_board_without_a_run_says_so(store, monkeypatch):
    monkeypatch.setattr(run_board.status, "rows", lambda watch: [])
    assert "No run is recorded yet." in run_board.Board().table.value


def test_a_board_that_watches_says_what_it_cannot_read_and_goes_on(store, monkeypatch):
    answers, told = iter([[], StoreError("results: <cannot> be read")]), []

    def rows(watch):
        answer = next(answers, [])
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(run_board.status, "rows", rows)
    board = run_board.Board()
    board.table.observe(lambda change: told.append(change.new), "value")
    board.watch(0.01)
    deadline = time.monotonic() + 30
    while len(told) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    board.stop()
    assert "cannot be read now: results: &lt;cannot&gt; be read" in told[0]
    assert "No run is recorded yet." in told[1]
