"""A benchmark kept: its rows, and what they were measured on."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ... import files
from ...errors import DataError
from ...files import make_folder, publish
from ...runs.provenance import provenance
from .timing import Row

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 2


def write(path: Path, rows: Sequence[Row], device: str = "cpu", **more: Any) -> None:
    """Write rows and circumstances, and `more` of them, to a JSON file, whole or not at all."""
    content = {"schema": SCHEMA, "about": about(device) | more, "rows": list(rows)}
    make_folder(path.parent)
    publish(path, json.dumps(content, indent=1).encode(), replace=True)


def read(path: Path) -> dict[str, Any]:
    """`about` and `rows` of such a file. Raises DataError for one that is none."""
    try:
        content = json.loads(path.read_text())
        if content["schema"] not in (1, SCHEMA) or not all("table" in row for row in content["rows"]):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{path.name}: not a benchmark record of schema {SCHEMA}; `workbench bench --out`") from None
    rows = list(content["rows"])
    if content["schema"] == 1:  # its floor was the products and the bytes one after the other, which many ran below
        rows = [{k: v for k, v in row.items() if k != "floor"} for row in rows if row.get("what") != "floor"]
    return {"about": dict(content["about"]), "rows": rows}


def newest(kind: str = "cpu", *, own: bool = False) -> dict[str, Any] | None:
    """The record `KIND.json` in one's own results/bench, or else, unless `own`, the published one; None without any."""
    for folder in (files.results(), *([] if own else [files.published()])):
        path = folder / "bench" / f"{kind}.json"
        if path.is_file():
            return read(path)
    return None


def crossovers(kind: str) -> pd.DataFrame:
    """The published measurements of `scripts/crossovers.py`: long, wide, normed or tiny; `where`: on what."""
    import pandas as pd

    measured = json.loads((files.published() / "bench" / "crossovers.json").read_text())
    return pd.concat([pd.DataFrame(run["measured"][kind]).assign(where=name) for name, run in measured.items()])


def about(device: str) -> dict[str, Any]:
    """Versions, code, device and date. No name of a user, host or folder."""
    return {
        **provenance(torch.get_num_threads(), device, "auto", 1),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "denormals": "flushed",  # timing.flushed
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
