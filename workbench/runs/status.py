"""State of every run, computed from the records each time it is looked at; a cache in sqlite is for speed alone.

The cache holds rows of records that did not change. It may be deleted at any time, and is where it is in doubt.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .. import files
from ..errors import StoreError
from ..progress import clock
from . import lock
from .folder import Run
from .pack import Packed
from .provenance import NUMERICS
from .record import Record, found

VERSION = 2  # of the cache, raised when what a row holds changes
COLUMNS = ("id", "experiment", "changes", "seed", "smoke", "status", "step", "steps", "rate", "left", "error")
_FIRST = ("running", "failed", "quarantined", "damaged", "diverged", "resumable", "pending", "done")
Row = dict[str, Any]


def rows(watch: lock.Watch | None = None) -> list[Row]:
    """A row a run, those that want attention first.

    status, step, steps (of so many; None where the schedule has no end), rate (steps/s: now, or over all attempts),
    left (to `steps` at that rate), error (the last trouble); and all that `overview` gives.
    """
    return sorted(
        map(_timed, overview(watch=watch)), key=lambda r: (_FIRST.index(r["status"]), str(r.get("experiment")))
    )


def _timed(row: Row) -> Row:
    rate = row.get("rate")
    if rate is None and row.get("wall_s"):
        rate = row["scored_step"] / row["wall_s"]
    steps, step = row.get("steps"), row.get("step")
    left = None
    if row["status"] == "running" and rate and steps and step is not None:
        left = clock(max(steps - step, 0) / rate)
    return {**row, "rate": None if rate is None else float(f"{rate:.3g}"), "left": left}


def overview(*, own: bool = False, watch: lock.Watch | None = None) -> list[Row]:
    """A row a record, one's own first (with `own` no others): its summary, what is left to do, its last trouble.

    The rows of records that did not change come from a cache; whether a run is being trained is looked up each time,
    of other machines as far as `watch` can tell. A damaged record is a row whose status and `error` say so.
    """
    paths = {f"{'published' if n else 'own'}/{run.path.name}": run.path for n, run in found()}
    wanted = {key: sign for key, path in paths.items() if set((sign := _signature(path)).split()[1:]) != {"-"}}
    made = _cached(files.runs() / ".index.sqlite", wanted, lambda key: _summary(Run(paths[key])))
    best: dict[str, Row] = {}
    for key, row in made.items():
        row["published"] = key.startswith("published/")
        if own and row["published"]:
            continue
        there = best.get(row["id"])
        if there is None or (there["status"] != "damaged" and _rank(row) > _rank(there)):
            best[row["id"]] = row
            if os.path.exists(f"{paths[key]}/lease") and row["status"] != "damaged":
                row |= _live(Run(paths[key]), watch)
    return list(best.values())


def _rank(row: Row) -> tuple[bool, int]:
    """As `Record.rank`."""
    return row.get("numerics") == NUMERICS, row.get("step", 0)


def list_records() -> pd.DataFrame:
    """A row a record; a damaged one is a row whose status says so and whose `error` says what."""
    return pd.DataFrame(overview())


def _signature(path: Path) -> str:
    """Signature that changes with a record: times and sizes of its files, `-` for one that is not there (yet)."""
    if isinstance(path, Packed):
        return path.signature()
    folder, parts = str(path), []
    for name in ("", "/spec.json", "/events.jsonl", "/result.json", "/troubles.jsonl"):
        try:
            stat = os.stat(folder + name)
            parts.append(f"{stat.st_mtime_ns}.{stat.st_size}.{stat.st_ino}")
        except OSError:
            parts.append("-")
    return " ".join(parts)


def _summary(run: Run) -> Row:
    record = Record(run)
    try:
        row = record.row | {"steps": record.config.train.steps, "numerics": record.numerics}
    except StoreError as error:
        return {"id": record.id, "status": "damaged", "error": str(error)}
    trouble = lock.troubles(run)[-1:] if record.status in ("resumable", "pending", "quarantined", "failed") else []
    return {**row, "error": trouble[0]["said"] if trouble else None}


def _live(run: Run, watch: lock.Watch | None) -> Row:
    """Status of a run by its lease: being trained, how far and how fast; or that its process was killed."""
    holder = lock.holder_of(run.path / "lease", watch)
    status = lock.status(run, watch)
    if holder is None:
        return {"status": status, "error": "its process was killed" if run.result() is None else None}
    told = {"step": holder.get("step"), "steps": holder.get("target"), "rate": holder.get("rate")}
    return {"status": status, "error": None, **{k: v for k, v in told.items() if v is not None}}


# --- the cache ---


def _cached(path: Path, wanted: Mapping[str, str], make: Callable[[str], Row]) -> dict[str, Row]:
    """A row for each key of `wanted`: the one kept under the same signature, else a new one from `make(key)`.

    `wanted`: key -> signature. Where the cache cannot be read it is made anew, where it cannot be written it is not.
    """
    kept = _read(path)
    texts = {}
    for key, signature in wanted.items():
        seal, text = kept.get(key, ("", ""))
        if seal == _seal(key, signature, text):
            texts[key] = text
    found = dict(zip(texts, json.loads(f"[{','.join(texts.values())}]"), strict=True))  # one by one takes twice as long
    new = {key: make(key) for key in wanted if key not in found}
    gone = kept.keys() - wanted.keys()
    if new or gone:
        lines = {key: json.dumps(row) for key, row in new.items()}
        _write(path, [(key, _seal(key, wanted[key], line), line) for key, line in lines.items()], gone)
    return {key: found[key] if key in found else new[key] for key in wanted}


def _seal(key: str, signature: str, text: str) -> str:
    """Seal that a row is kept under: it matches only if neither the record nor a byte in the cache changed."""
    return hashlib.blake2b(f"{key}\0{signature}\0{text}".encode(), digest_size=12).hexdigest()


def _read(path: Path) -> dict[str, tuple[str, str]]:
    """key -> (seal, row as JSON)"""
    if not path.is_file():
        return {}
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=5)) as base:
            if base.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                raise sqlite3.DatabaseError("another version")
            return {key: (seal, row) for key, seal, row in base.execute("SELECT key, seal, row FROM row")}
    except (sqlite3.DatabaseError, ValueError):  # whatever it is, it costs only time
        with contextlib.suppress(OSError):
            path.unlink()
        return {}


def _write(path: Path, new: Sequence[tuple[str, str, str]], gone: set[str]) -> None:
    if not path.parent.is_dir():
        return
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, timeout=5)) as base, base:
        base.execute(f"PRAGMA user_version = {VERSION}")
        base.execute("CREATE TABLE IF NOT EXISTS row (key TEXT PRIMARY KEY, seal TEXT, row TEXT)")
        base.executemany("DELETE FROM row WHERE key = ?", [(key,) for key in gone])
        base.executemany("INSERT OR REPLACE INTO row VALUES (?, ?, ?)", new)
