"""The board: where every run stands, computed from the records each time it is looked at."""

from __future__ import annotations

from typing import Any

from ..progress import clock
from .lock import Watch
from .record import overview

COLUMNS = ("id", "experiment", "changes", "seed", "smoke", "status", "step", "steps", "rate", "left", "error")
_FIRST = ("running", "failed", "quarantined", "damaged", "diverged", "resumable", "pending", "done")


def rows(watch: Watch | None = None) -> list[dict[str, Any]]:
    """A row a run, those that want attention first.

    status, step, steps (of so many; None where the schedule has no end), rate (steps/s: now, or over all attempts),
    left (to `steps` at that rate), error (the last trouble); and all that `overview` gives.
    """
    found = [_row(row) for row in overview(watch=watch)]
    return sorted(found, key=lambda r: (_FIRST.index(r["status"]), str(r.get("experiment"))))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    rate = row.get("rate")
    if rate is None and row.get("wall_s"):
        rate = row["scored_step"] / row["wall_s"]
    steps, step = row.get("steps"), row.get("step")
    left = None
    if row["status"] == "running" and rate and steps and step is not None:
        left = clock(max(steps - step, 0) / rate)
    return {**row, "rate": None if rate is None else float(f"{rate:.3g}"), "left": left}
