"""What the paper's tables quote from other papers: rows for comparison, with no experiment of ours behind them."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from .. import files

TABLES = {
    "table2_mnist": "Table 2",
    "table3_ptb_char": "Table 3",
    "table4_ptb_word": "Table 4",
    "table5_ntu": "Table 5",
}
METRICS = {"BPC": "test BPC", "perplexity": "test perplexity", "accuracy %": "test accuracy %"}


@dataclass(frozen=True)
class Quoted:
    """One printed number of someone else's net."""

    table: str
    model: str
    metric: str
    value: float


def quoted() -> list[Quoted]:
    """The rows of Tables 2 to 5 that are not IndRNN's, in their order, read from results/paper/tables."""
    found = []
    for stem, table in TABLES.items():
        with (files.paper() / "tables" / f"{stem}.csv").open(encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                if row["ours"] == "False" and row["source"].startswith("paper v2"):
                    metric = METRICS.get(row["metric"], row["metric"])
                    setting = f", {row['setting']}" if table == "Table 5" else ""
                    model = f"{row['experiment']}: {row['model']}{setting}"
                    found.append(Quoted(table, model, metric, float(row["value"])))
    return found
