"""Results that the paper shows beside its scores (Table 1, Figs. 2 and 5, a notebook for each), and those it quotes.

Quoted rows are of other papers: for comparison, with no experiment of ours behind them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

from .. import files
from .experiment import Claim


@dataclass(frozen=True)
class Exhibit:
    """A table or figure that its notebook makes: no config, no run, no record of its own.

    `table` is its file in results/paper/tables; rows of the `sources` are claims, told apart by `column` and setting.
    """

    id: str
    where: str
    title: str
    notebook: str
    table: str
    column: str
    sources: tuple[str, ...]
    note: str = ""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Its published numbers, in their order; a row of words is no claim."""
        rows = [r for r in published(self.table) if r["source"].startswith(self.sources)]
        rows = [r for r in rows if r["value"].lstrip("-").replace(".", "", 1).isdigit()]
        return tuple(
            Claim(
                f"{r['metric']}, {r[self.column]}, {r['setting']}", float(r["value"]), r["source"], r["ours"] == "True"
            )
            for r in rows
        )


EXHIBITS = {
    e.id: e
    for e in (
        Exhibit(
            "bounds", "Table 1", "recurrent weights for long and short memory", "table1_memory_and_bounds",
            "table1_recurrent_weight_ranges", "experiment", ("computed from official formula",),
            "The table itself holds formulas; the numbers are its ranges at the lengths of the experiments.",
        ),
        Exhibit(
            "timing", "Fig. 2", "time of a training batch: LSTM, SRU, IndRNN of one and two layers", "fig2_timing",
            "fig2_timing", "model", ("paper v2 Fig. 2", "paper v2 text"),
            "The paper measured on a P100 with the cuDNN of 2019; only ratios within one run can be compared.",
        ),
        Exhibit(
            "weights", "Fig. 5", "recurrent weights after training, by layer", "fig5_recurrent_weights",
            "fig5_summary", "model", ("paper v2 Fig. 5",),
            "Digitised; the net is ntu_cs_plain6, whose data are not ours to give: UTD-MHAD's takes its place.",
        ),
    )
}  # fmt: skip


def published(table: str) -> list[dict[str, str]]:
    """The rows of a file in results/paper/tables."""
    with (files.paper() / "tables" / f"{table}.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


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
        for row in published(stem):
            if row["ours"] == "False" and row["source"].startswith("paper v2"):
                metric = METRICS.get(row["metric"], row["metric"])
                setting = f", {row['setting']}" if table == "Table 5" else ""
                model = f"{row['experiment']}: {row['model']}{setting}"
                found.append(Quoted(table, model, metric, float(row["value"])))
    return found
