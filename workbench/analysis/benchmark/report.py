"""The rows as tables to read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .timing import AGAINST, Row

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = {
    "layer": ["shape", "which", "threads", "what", "ms", "spread", *AGAINST, "floor", "kept"],
    "step": ["shape", "threads", "what", "ms", "spread", *AGAINST, "floor"],
    "scaling": ["axis", "value", "threads", "what", "ms", "spread", "lstm"],
    "correctness": ["what", "activation", "dtype", "error", "allowed", "exact", "ok"],
    "start": ["what", "ms"],
    "ratio": ["start", "T", "layers", "threads", "ms", "lstm_ms", "lstm"],
}
_SAID = (
    "lstm, gru, ...: times faster than these, with the range over rounds; floor: its share of the time; "
    "kept: bytes a step and unit that training keeps"
)


def report(rows: Sequence[Row]) -> str:
    """A table for each kind of rows: milliseconds, spread (quartiles over median), ratios with their range over rounds,
    the floor's share of the time."""
    import pandas as pd

    formats: dict[str, Callable[[float], str]] = {
        "ms": "{:.2f}".format,
        "lstm_ms": "{:.2f}".format,
        "spread": "{:.0%}".format,
        "floor": "{:.0%}".format,
        "kept": "{:.1f}".format,
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
    import pandas as pd

    layers = [row for row in rows if row["table"] == "layer" and row["which"] == "both"]
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
