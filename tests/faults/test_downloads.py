"""Downloads that break off (fault 18)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults.conftest import FULL
from faults.dropping_proxy import DroppingProxy

from workbench.tasks import download

HOST = download.SETS["mnist"].url.split("/")[2]


@pytest.fixture
def proxy(real_data, tmp_path):
    """Between this machine and MNIST's host, whose files are those of the real data."""
    pytest.importorskip("cryptography")
    made = DroppingProxy(HOST, real_data / "mnist", tmp_path)
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.notebook
def test_18_reproduce_twice_where_every_third_connection_is_dropped(fault, proxy, tmp_path):
    """The first brings what breaks off by trying again; the second fetches nothing and trains nothing.

    Of all the default study where every fault is tried in full, else of MNIST's table.
    """
    command = [sys.executable, "-m", "workbench", "reproduce", *(() if FULL else ("table2_pixels",))]
    scratch = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "WORKBENCH_RESULTS": str(tmp_path / "results")}
    environment = {**os.environ, **proxy.environment, **scratch}
    del environment["WORKBENCH_DATA"]

    def reproduce() -> str:
        done = subprocess.run([*command, "--budget", "smoke"], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    kind = fault(18, "`reproduce` twice, every third connection of its downloads dropped", 1, 1)
    for _ in kind:
        first = reproduce()
        dropped = [name for name, holds in proxy.asked if not holds]
        came = sorted(name for name, holds in proxy.asked if holds)
        assert dropped
        assert first.count("tried again") == len(dropped)
        assert came == sorted(download.SETS["mnist"].files)
        assert "takes its place" not in first
        before = finished(tmp_path / "results")
        assert before
        proxy.asked.clear()
        second = reproduce()
        assert proxy.asked == []
        assert f"{len(before)} runs, {len(before)} of them recorded" in second
        assert "done in" not in second
        assert finished(tmp_path / "results") == before
        kind.note = f"{len(dropped)} of {len(dropped) + len(came)} dropped, {len(before)} runs"


def finished(results: Path) -> dict[Path, int]:
    """The results of all runs of a store, and when each was written."""
    return {path: path.stat().st_mtime_ns for path in results.glob("runs/*/result.json")}
