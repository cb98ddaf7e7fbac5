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
}
_SAID = "lstm, gru, ...: times faster than these; floor: share of it; kept: bytes a step and unit that training keeps"


def report(rows: Sequence[Row]) -> str:
    """A table for each kind of rows: milliseconds, spread (quartiles over median), ratios, share of the floor."""
    import pandas as pd

    formats: dict[str, Callable[[float], str]] = {
        "ms": "{:.2f}".format,
        "spread": "{:.0%}".format,
        "floor": "{:.0%}".format,
        "kept": "{:.1f}".format,
        "error": "{:.1f}".format,
        "value": "{:,.0f}".format,
        **dict.fromkeys(AGAINST, "{:.2f}x".format),
    }
    texts = []
    for table, columns in _COLUMNS.items():
        if chosen := [row for row in rows if row["table"] == table]:
            frame = pd.DataFrame(chosen).reindex(columns=columns).dropna(axis="columns", how="all")
            texts.append(frame.to_string(index=False, na_rep="", formatters=dict(formats.items())))
    loads = [row["load"] for row in rows if "load" in row]
    load = f"load {max(loads):.1f} on {os.cpu_count()} cores; {_SAID}" if loads else "nothing was timed"
    return "\n\n".join([*texts, load])


def summary(rows: Sequence[Row]) -> pd.DataFrame:
    """Forward with backward, a row a shape: how many times faster than nn.LSTM, and per cent of the floor, on each
    number of threads; then the engine without a compiler on the fewest."""
    import pandas as pd

    layers = [row for row in rows if row["table"] == "layer" and row["which"] == "both"]
    found = {(row["shape"], row["threads"], row["what"]): row for row in layers}
    counts, table = sorted({row["threads"] for row in layers}), []
    for shape in dict.fromkeys(row["shape"] for row in layers):
        line: dict[str, str] = {}
        for count in counts:
            row = found[shape, count, "auto"]
            line["steps, batch, inputs, units"] = "{T:,}, {B}, {inputs:,}, {N:,}".format(**row)
            line[f"{count} thread{'s' if count > 1 else ''}"] = f"{row['lstm']:.1f}x"
            line[f"of the floor{' ' * counts.index(count)}"] = f"{100 * row['floor']:.0f} %"
        line["pure torch, no compiler"] = f"{found[shape, counts[0], 'torch']['lstm']:.1f}x"
        table.append(line)
    return pd.DataFrame(table)
