"""A cache of rows in sqlite, for speed alone: it may be deleted at any time, and is where it is in doubt."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

VERSION = 1  # raised when what a row holds changes
Row = dict[str, Any]


def rows(path: Path, wanted: Mapping[str, str], make: Callable[[str], Row]) -> dict[str, Row]:
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
