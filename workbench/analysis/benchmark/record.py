"""A benchmark kept, its rows and what they were measured on; and the rows as tables to read."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ... import files
from ...errors import DataError
from ...files import make_folder, publish
from ...runs.provenance import provenance
from .timing import AGAINST, PRECISIONS, Row, flushed_everywhere

SCHEMA = 4
_FORMER = {"spread": "iqr", "kept": "saved"}  # columns before schema 4
_COLUMNS = {
    "layer": ["shape", "which", "threads", "what", "ms", "iqr", *AGAINST, "floor", "saved"],
    "step": ["shape", "threads", "what", "ms", "iqr", *AGAINST, "floor"],
    "scaling": ["axis", "value", "threads", "what", "ms", "iqr", "lstm"],
    "correctness": ["what", "activation", "dtype", "error", "allowed", "exact", "ok"],
    "start": ["what", "ms"],
    "ratio": ["start", "T", "layers", "threads", "ms", "lstm_ms", "lstm"],
}
_SAID = (
    "lstm, gru, ...: times faster than these, with the range over rounds; floor: its share of the time; "
    "iqr: the quartiles' distance over the median; saved: bytes a step and unit that training keeps"
)


def write(path: Path, rows: Sequence[Row], device: str = "cpu", **more: Any) -> None:
    """Write rows and circumstances, and `more` of them, to a JSON file, whole or not at all."""
    content = {"schema": SCHEMA, "about": about(device) | more, "rows": list(rows)}
    make_folder(path.parent)
    publish(path, json.dumps(content, indent=1).encode(), replace=True)


def read(path: Path) -> dict[str, Any]:
    """`about` and `rows` of such a file. Raises DataError for one that is none."""
    try:
        content = json.loads(path.read_text())
        if content["schema"] not in range(1, SCHEMA + 1) or not all("table" in row for row in content["rows"]):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{path.name}: not a benchmark record of schema {SCHEMA}; `workbench bench --out`") from None
    rows = list(content["rows"])
    if content["schema"] < 4:
        rows = [{_FORMER.get(k, k): v for k, v in row.items()} for row in rows]
    if content["schema"] < 3:  # their floors could be beaten: sums, then products that waited for memory
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
    measured = json.loads((files.published() / "bench" / "crossovers.json").read_text())
    return pd.concat([pd.DataFrame(run["measured"][kind]).assign(where=name) for name, run in measured.items()])


def about(device: str) -> dict[str, Any]:
    """Versions, code, device and date. No name of a user, host or folder."""
    return {
        **provenance(torch.get_num_threads(), device, "auto", 1),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "denormals": "flushed" if flushed_everywhere() else "flushed in the first thread alone",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


# --- to read ---


def report(rows: Sequence[Row]) -> str:
    """A table for each kind of rows: milliseconds, their quartiles' distance over the median, ratios with their range
    over rounds, the floor's share of the time."""
    formats: dict[str, Callable[[float], str]] = {
        "ms": "{:.2f}".format,
        "lstm_ms": "{:.2f}".format,
        "iqr": "{:.0%}".format,
        "floor": "{:.0%}".format,
        "saved": "{:.1f}".format,
        "error": "{:.1f}".format,
        "value": "{:,.0f}".format,
    }
    texts = []
    for table, columns in _COLUMNS.items():
        if chosen := [row for row in rows if row["table"] == table]:
            frame = (
                pd.DataFrame([row | {c: faster(row, c) for c in AGAINST if c in row} for row in chosen])
                .reindex(columns=columns)
                .dropna(axis="columns", how="all")
            )
            texts.append(frame.to_string(index=False, na_rep="", formatters=dict(formats.items())))
    loads = [row["load"] for row in rows if "load" in row]
    load = f"load {max(loads):.1f} on {os.cpu_count()} cores; {_SAID}" if loads else "nothing was timed"
    return "\n\n".join([*texts, load])


def faster(row: Row, column: str = "lstm") -> str:
    """Times faster than a rival, with the range over rounds: `13.3x (12.8-13.9)`."""
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    ends = "" if low is None or high is None or low == high else f" ({low:.1f}-{high:.1f})"
    return f"{row[column]:.1f}x{ends}"


def summary(rows: Sequence[Row]) -> pd.DataFrame:
    """Forward with backward, a row a shape: how many times faster than nn.LSTM, and the floor's share of the time, on
    each number of threads; then the engine without a compiler on the fewest."""
    full = [row for row in rows if row.get("precision", PRECISIONS[0]) == PRECISIONS[0]]  # of a GPU's two, the floor's
    layers = [row for row in full if row["table"] == "layer" and row["which"] == "both"]
    found = {(row["shape"], row["threads"], row["what"]): row for row in layers}
    counts, table = sorted({row["threads"] for row in layers}), []
    for shape in dict.fromkeys(row["shape"] for row in layers):
        line: dict[str, str] = {}
        for count in counts:
            row = found[shape, count, "auto"]
            line["steps, batch, inputs, units"] = "{T:,}, {B}, {inputs:,}, {N:,}".format(**row)
            line[f"{count} thread{'s' if count > 1 else ''}"] = faster(row)
            if "floor" in row:
                line[f"of the floor{' ' * counts.index(count)}"] = f"{100 * row['floor']:.0f} %"
        line["pure torch, no compiler"] = faster(found[shape, counts[0], "torch"])
        table.append(line)
    return pd.DataFrame(table)
