"""Tables for a terminal of any width: whole words, no empty columns."""

from __future__ import annotations

import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def table(frame: pd.DataFrame, width: int = 80) -> str:
    """Any table for a terminal of so many characters: cells go on below, no word is cut, empty columns are left out."""
    kept = [name for name in frame.columns if frame[name].astype(str).str.strip().any()]
    cells = [[str(v) for v in row] for row in [kept, *frame[kept].to_numpy()]]
    columns = list(zip(*cells, strict=True))
    most = [max(len(cell) for cell in column) for column in columns]
    least = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    least = [a if name == "verdict" else b for name, a, b in zip(kept, most, least, strict=True)]
    widths = _shared(most, least, width - 2 * (len(kept) - 1))
    folded = [
        [textwrap.wrap(c, w, break_long_words=False, break_on_hyphens=False) for c, w in zip(row, widths, strict=True)]
        for row in cells
    ]
    apart = [""] * any(len(cell) > 1 for row in folded for cell in row)  # a line between rows of several lines
    lines = []
    for row in folded:
        lines += [
            "  ".join(part.ljust(w) for part, w in zip(parts, widths, strict=True)).rstrip()
            for parts in zip_longest(*row, fillvalue="")
        ] + apart
    return "\n".join(lines[: len(lines) - len(apart)]) + "\n"


def _shared(most: list[int], least: list[int], room: int) -> list[int]:
    """Widths that fit into the room: the widest column gives way first, none goes below its longest word."""
    widths = list(most)
    while sum(widths) > room:
        wide = max((i for i in range(len(widths)) if widths[i] > least[i]), key=lambda i: widths[i], default=None)
        if wide is None:
            break
        widths[wide] -= 1
    return widths
