"""The thresholds of `backend="auto"` follow from the measurements in the repository."""

from __future__ import annotations

import json
import runpy

import pytest
import torch

from workbench import files
from workbench.recurrence import engine_scan
from workbench.recurrence.cpu import engine as cpu

MEASURED = json.loads((files.published() / "bench" / "crossovers.json").read_text())
CONSTANTS = {
    "scan.STEPS": engine_scan.STEPS["cpu"],
    "scan.CHAINS": engine_scan.CHAINS,
    "cpu.LARGE": cpu.LARGE,
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_threshold_lies_where_one_way_overtook_the_other(name):
    """On one thread or on two; half and double, since near a crossover either way will do."""
    found = [run["thresholds"][name] for key, run in MEASURED.items() if key.startswith("cpu")]
    assert len(found) == 2
    assert min(found) / 2 <= CONSTANTS[name] <= 2 * max(found)


@pytest.mark.parametrize("key", [key for key in MEASURED if key.startswith("cpu")])
def test_in_what_auto_leaves_to_the_scan_it_is_the_faster_way(key):
    rows = MEASURED[key]["measured"]["long"]
    chosen = [r for r in rows if engine_scan.is_long_and_thin(torch.empty(r["T"], 1, r["chains"], device="cpu"))]
    assert chosen
    assert all(row["scan"] < row["torch"] for row in chosen)


@pytest.mark.parametrize(
    ("T", "B", "N", "thin"), [(512, 32, 32, True), (512, 1, 1024, True), (511, 32, 32, False), (512, 32, 33, False)]
)
def test_long_and_thin_is_from_512_steps_with_at_most_1024_chains(T, B, N, thin):
    assert engine_scan.is_long_and_thin(torch.empty(T, B, N, device="cpu")) == thin
    assert not engine_scan.is_long_and_thin(torch.empty(T, B, N, device="meta"))


def test_on_a_device_both_ways_are_timed_as_recordings(monkeypatch):
    """Shapes stand in for a device: what is timed is what `graphed` makes of each way."""
    long = runpy.run_path(str(files.project() / "scripts" / "crossovers.py"))["long"]
    recorded = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: None)
    for name, value in {
        "LENGTHS": (4, 8),
        "CHAINS": (1, 2),
        "recur": lambda a, u, backend: a * u,
        "graphed": lambda call: lambda: recorded.append(call()),
    }.items():
        monkeypatch.setitem(long.__globals__, name, value)
    rows = list(long("meta", 1))
    assert [{**row, "triton": 0, "scan": 0} for row in rows] == [
        {"T": T, "chains": chains, "triton": 0, "scan": 0} for T, chains in ((4, 1), (8, 1), (4, 2))
    ]
    assert len(recorded) >= 4 * len(rows)  # two ways in two rounds
