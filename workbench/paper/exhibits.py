"""What the paper shows without a training run: Table 1 and Fig. 2, each answered by a notebook."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from .. import places
from .experiment import Claim


@dataclass(frozen=True)
class Exhibit:
    """A table or figure that its notebook computes at once: no config, no run, no record.

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
        """Its published numbers, in their order."""
        rows = [r for r in published(self.table) if r["source"].startswith(self.sources)]
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
            id="bounds",
            where="Table 1",
            title="recurrent weights for long and short memory",
            notebook="table1_memory_and_bounds",
            table="table1_recurrent_weight_ranges",
            column="experiment",
            sources=("computed from official formula",),
            note="The table itself holds formulas; the numbers are its ranges at the lengths of the experiments.",
        ),
        Exhibit(
            id="timing",
            where="Fig. 2",
            title="time of a training batch: LSTM, SRU, IndRNN of one and two layers",
            notebook="fig2_timing",
            table="fig2_timing",
            column="model",
            sources=("paper v2 Fig. 2", "paper v2 text"),
            note="The paper measured on a P100 with the cuDNN of 2019; only ratios within one run can be compared.",
        ),
    )
}


def published(table: str) -> list[dict[str, str]]:
    """The rows of a file in results/paper/tables."""
    with (places.paper() / "tables" / f"{table}.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
