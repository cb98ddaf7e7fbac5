"""The paper's Tables 2 to 5 and what its Figs. 2 and 4 claim, in the paper's shape, ours in their cells.

A cell holds the printed number; below it ours and the verdict, and those of a cycle of ours. It has no more than the
printed number where nothing that counts has begun.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import pandas as pd

from .. import paper
from ..errors import ParameterError, choices
from ..paper import claims as every
from ..paper.published import TABLES, published
from . import html, tables

Row = Mapping[str, Any]


class Cell(NamedTuple):
    """A cell of the paper: where it stands, what is printed, the claim that it makes or the number that it quotes."""

    row: str
    column: str
    printed: str
    claim: str = ""
    quoted: float | None = None


# The beginning of the experiments' names in a column of Tables 2 and 5; those of 3 and 4 have one column.
_COLUMNS = {"sequential MNIST": "seqmnist_", "permuted MNIST": "permmnist_", "CS": "ntu_cs_", "CV": "ntu_cv_"}
_CAPTIONS = {
    "Table 2": "test error, %",
    "Table 3": "test BPC, Penn Treebank by characters",
    "Table 4": "test perplexity, Penn Treebank by words",
    "Table 5": "test accuracy, %, NTU RGB+D; CS: across subjects, CV: across views",
    "Fig. 4": "who solves the adding problem of T steps (test MSE below 0.01); ours: share of seeds",
    "Fig. 2": "times faster than an LSTM of one layer at T steps, in a training batch",
}
_NETS = {"indrnn": "IndRNN (2 layers)", "lstm": "LSTM", "irnn": "IRNN", "rnn_tanh": "RNN-tanh"}


def experiments(name: str) -> list[str]:
    """The experiments that stand in a table or figure, cycles of ours among them."""
    return [known.id for known in paper.EXPERIMENTS.values() if known.where == name]


def table(results: pd.DataFrame, name: str) -> html.Html:
    """A table or figure of the paper from the rows of `results_table`, as HTML."""
    if name not in _CAPTIONS:
        raise ParameterError(f"name: {name!r} is unknown; choose one of {choices(_CAPTIONS)}")
    rows = [tables.plain(row) for row in results.to_dict("records")]
    cells = list(_cells(name))
    columns = list(dict.fromkeys(cell.column for cell in cells))
    lines = []
    for title in dict.fromkeys(cell.row for cell in cells):
        own = {cell.column: _shown(cell, rows, name) for cell in cells if cell.row == title}
        lines.append([escape(title), *(own.get(column, "") for column in columns)])
    return html.grid([name, *columns], lines, _CAPTIONS[name])


def _cells(name: str) -> Iterator[Cell]:
    """The cells of a table or figure, in the paper's order."""
    return _solved() if name == "Fig. 4" else _ratios() if name == "Fig. 2" else _printed(name)


def _printed(name: str) -> Iterator[Cell]:
    """The cells of a table; a number of IndRNN's is the claim of that value in its column, in the order of both."""
    stem = next(stem for stem, title in TABLES.items() if title == name)
    open_ = [claim for claim in every.claims() if claim.place == name]
    for row in (r for r in published(stem) if r["source"] == f"paper v2 {name}"):
        column = row["setting"] if name == "Table 5" else row["experiment"]
        setting = f", {row['setting']}" if name in ("Table 3", "Table 4") and row["setting"] else ""
        begin, value = _COLUMNS.get(column, ""), float(row["value"])
        if row["ours"] == "True":
            claim = next(c for c in open_ if c.value == value and c.experiments[0].startswith(begin))
            open_.remove(claim)
            yield Cell(row["model"] + setting, column, row["value"], claim.id)
        else:
            yield Cell(row["model"] + setting, column, row["value"], quoted=value)


def _solved() -> Iterator[Cell]:
    solved = [claim for claim in every.claims() if claim.kind == "solved"]
    for net, title in _NETS.items():
        for claim in (c for c in solved if c.id.startswith(f"fig4-{net}-")):
            printed = "solved" if claim.value else "not solved"
            yield Cell(title, f"T = {int(claim.id.rpartition('T')[2]):,}", printed, claim.id)


def _ratios() -> Iterator[Cell]:
    from .benchmark.figure2 import setting

    for claim in (c for c in every.claims() if c.kind == "ratio" and c.place == "Fig. 2"):
        layers, T = setting(claim)
        title = f"IndRNN ({layers} layer{'s' * (layers > 1)})"
        yield Cell(title, f"T = {T:,}", f"{claim.value:g}", claim.id)


def _shown(cell: Cell, rows: Sequence[Row], name: str) -> str:
    """The printed number, and below it a line for each row of the results that stands beside it."""
    lines = [escape(cell.printed)]
    for row in rows:
        if cell.claim and row["claim"] == cell.claim and row["verdict"] != "not run":
            lines.append(f"{_schedule(row)}{escape(tables.ours(row))} {html.verdict(row['verdict'])}")
        elif cell.quoted is not None and _stands_beside(row, cell, name):  # under no schedule of the paper's
            lines.append(f"ours {escape(tables.ours(row))} at step {int(row['step']):,}")
    return "<br>".join(lines)


def _stands_beside(row: Row, cell: Cell, name: str) -> bool:
    """Test whether a row has our number for a cell that the paper quotes from others."""
    here = row["verdict"] == "reference" and row["table"] == name and row["paper"] == cell.quoted
    begin = _COLUMNS.get(cell.column, "")
    return here and row["experiment"] in paper.EXPERIMENTS and row["experiment"].startswith(begin) and row["n"] > 0


def _schedule(row: Row) -> str:
    """The mark that tells apart the rows of one claim: a cycle of ours, a kind of device."""
    device = str(row["device"]).partition(":")[0]
    if row["experiment"] == "timing":
        return {"cpu": "CPU ", "cuda": "GPU "}[device]
    return "cycle " if row["experiment"].endswith("_cycle") else "ours "
