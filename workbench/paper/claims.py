"""Claims: every number and sentence of the paper and its logs that can be tested, each with its test written out.

They are data, results/paper/claims.csv, written before the runs that they judge; `history` tells when a row changed.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .. import files, paper
from ..config import canonical_json
from ..config.frozen import Frozen
from ..errors import DataError, ParameterError, choices, quoted

SEEDS, STARTS = 3, 5  # that a verdict needs at least: seeds of a training, process starts of a ratio
SOLVED = 0.01  # test MSE of the adding problem
STEPS = "steps to MSE < 0.01"  # the first of two consecutive validation rows below it
# metric -> (the part of the claim, the number) that a mean may be worse; one of them is 0
MARGINS = {
    "test error %": (0.2, 0.0),
    "test BPC": (0.0, 0.02),
    "test perplexity": (0.03, 0.0),
    "test perplexity, dynamic evaluation": (0.03, 0.0),
    "test accuracy %": (0.0, 1.0),
}
SPEED_MARGIN = 0.2  # of a ratio of Fig. 2; the abstract's is a bound and has none
NTU = "NTU RGB+D must be asked for"
# What the abstract says, in our words -> the claims that test it.
ABSTRACT = {
    "Vanishing and exploding gradients are prevented": ("abstract-no_explosion", "abstract-no_vanishing"),
    "Long-term memory is learned, over 5,000 steps": ("fig4-indrnn-T1000", "fig4-indrnn-T5000"),
    "ReLU trains robustly": ("abstract-relu_robust",),
    "Very deep nets train: 21 residual layers, dense nets": (
        "abstract-21_layers",
        "abstract-dense_characters",
        "abstract-dense_pixels",
    ),
    "Over 10 times faster than LSTM": ("abstract-faster",),
    "Better than RNN and LSTM": (
        "fig4-indrnn_before_lstm-T100",
        "fig4-indrnn_before_lstm-T500",
        "fig4-indrnn_before_lstm-T1000",
        "abstract-better-seqmnist-lstm",
        "abstract-better-seqmnist-rnn_tanh",
        "abstract-better-permmnist-lstm",
        "abstract-better-permmnist-rnn_tanh",
        "abstract-better-ptbchar-lstm",
        "abstract-better-ptbword-lstm",
    ),
}
Text = Annotated[str, Field(min_length=1)]


class Claim(Frozen):
    """A sentence or number of the paper, or of an official log, with the test that decides about it.

    `value` is the number claimed, the bound of a ratio or property, or the share of seeds that solve (1, or 0 for
    "does not"); `experiments` are judged, in an order claim they come before `against`. `least` seeds or process
    starts are needed, 1 where the answer does not depend on chance. `cannot` says why it cannot be tried here.
    """

    id: Text
    place: Text
    kind: Literal["value", "solved", "order", "ratio", "property"]
    metric: Text
    value: float | None
    margin: float | None
    better: Literal["lower", "higher", "first", ""]
    source: Text
    rank: Literal["printed number", "printed sentence", "official log"]  # what is read off a figure is no claim
    of: Literal["paper", "log"]
    experiments: tuple[str, ...]
    against: tuple[str, ...]
    test: Text
    protocol: Literal["stored", "test batch", "dynamic evaluation", ""]
    least: Literal[1, 3, 5]
    cannot: str
    abstract: bool

    @model_validator(mode="after")
    def _agrees(self) -> Claim:
        """Refuse a row whose parts do not belong together."""
        wrong = [name for name, holds in self._rules() if not holds]
        if wrong:
            raise ValueError(f"{self.id}: {wrong[0]}")
        return self

    def _rules(self) -> list[tuple[str, bool]]:
        known, named = {*paper.EXPERIMENTS, *paper.EXHIBITS}, {*self.experiments, *self.against}
        needs_ntu = {n for n, e in paper.EXPERIMENTS.items() if e.data == "ntu"}
        return [
            (f"experiments: {quoted(sorted(named - known))} are unknown", named <= known),
            ("experiments: one is needed, or a reason in cannot", bool(named or self.cannot)),
            (f"cannot: {NTU!r} is needed", not named & needs_ntu or self.cannot == NTU),
            ("experiments: a cycle is judged by its parent's claim", not any(n.endswith("_cycle") for n in named)),
            ("against: of an order claim and of no other", bool(self.against) == (self.kind == "order")),
            ("value: needed but for an order claim", (self.value is None) == (self.kind == "order")),
            ("value: 1 for solves, 0 for does not", self.kind != "solved" or self.value in (0, 1)),
            ("better: does not fit the kind", self.better in _BETTER[self.kind]),
            ("least: does not fit the kind", self.least in _LEAST[self.kind]),
            ("rank: official log and only there", (self.of == "log") == (self.rank == "official log")),
            (f"margin: {self.margin} is not the rule's", _margin_fits(self)),
        ]

    @property
    def row(self) -> str:
        """The hash of the row: of what it says, not of how it is written."""
        return _short(canonical_json(self.model_dump(mode="json")))


_BETTER = {"value": ("lower", "higher"), "solved": ("",), "order": ("first",), "ratio": ("higher",), "property": ("",)}
_LEAST = {"value": (SEEDS,), "solved": (SEEDS,), "order": (SEEDS,), "ratio": (STARTS,), "property": (1, SEEDS)}
COLUMNS = tuple(Claim.model_fields)


def _margin_fits(claim: Claim) -> bool:
    wanted = None
    if claim.kind == "ratio" and not claim.abstract:
        wanted = SPEED_MARGIN * (claim.value or 0)
    elif claim.kind == "value":
        part, number = MARGINS.get(claim.metric, (math.nan, math.nan))
        wanted = part * (claim.value or 0) + number
    if wanted is None or claim.margin is None:
        return wanted is claim.margin
    return math.isclose(claim.margin, wanted, rel_tol=1e-9)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(path: Path) -> tuple[Claim, ...]:
    """The claims of a file, in their order; a DataError names the row that cannot be used."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if sorted(reader.fieldnames or ()) != sorted(COLUMNS):
            raise DataError(f"{path.name}: columns {quoted(reader.fieldnames)} received; {choices(COLUMNS)} are needed")
        rows = list(reader)
    found = []
    for line, cells in enumerate(rows, 2):
        try:
            if None in cells or None in cells.values():
                raise ValueError("too few or too many cells")
            found.append(Claim(**_typed(cells)))
        except ValueError as error:  # ParameterError is one
            raise DataError(f"{path.name}, line {line}: {error}") from None
    twice = [name for name, n in Counter(c.id for c in found).items() if n > 1]
    if twice:
        raise DataError(f"{path.name}: {quoted(twice[0])} stands twice")
    return tuple(found)


def _typed(cells: Mapping[str, str]) -> dict[str, Any]:
    numbers = {name: float(cells[name]) if cells[name] else None for name in ("value", "margin")}
    lists = {name: tuple(cells[name].split()) for name in ("experiments", "against")}
    if cells["abstract"] not in ("yes", "no"):
        raise ValueError(f"abstract: {quoted(cells['abstract'])} received; yes or no is needed")
    return {**cells, **numbers, **lists, "least": int(cells["least"]), "abstract": cells["abstract"] == "yes"}


@cache
def claims() -> tuple[Claim, ...]:
    """Every claim, from results/paper/claims.csv."""
    return read(files.paper() / "claims.csv")


def claim(name: str) -> Claim:
    """The claim of an id."""
    for each in claims():
        if each.id == name:
            return each
    raise ParameterError(f"claim: {quoted(name)} is unknown; choose one of the {len(claims())} of claims.csv")


def answered_by(experiment: str) -> list[tuple[Claim, bool]]:
    """The claims that an experiment answers, and whether they are its parent's: then passing says `reached`."""
    known = paper.experiment(experiment)
    return [(each, known.parent is not None) for each in claims() if (known.parent or known.id) in each.experiments]


# --- when a row changed ---


def table_hash(rows: Mapping[str, str]) -> str:
    """The hash of a table, from its rows' hashes by id: that of its content, whatever its order and quotes."""
    return _short("\n".join(f"{name} {rows[name]}" for name in sorted(rows)))


def present() -> dict[str, str]:
    """The hash of each row of the present table."""
    return {each.id: each.row for each in claims()}


def history(path: Path | None = None) -> dict[str, dict[str, str]]:
    """Every table so far, the oldest first: its hash -> its rows' hashes.

    The file holds, for each table, what differs from the one before it; a row taken out has no hash. Since a table's
    hash follows from its rows, no change can be left out of it.
    """
    path = path or files.paper() / "claims_history.csv"
    tables: dict[str, dict[str, str]] = {}
    rows: dict[str, str] = {}
    table = ""
    with path.open(newline="", encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            if line["table"] != table:
                table = line["table"]
                tables.pop(table, None)  # a table that came back is the newest again
            rows[line["claim"]] = line["row"]
            tables[table] = {name: row for name, row in rows.items() if row}
    wrong = [table for table, rows in tables.items() if table_hash(rows) != table]
    if wrong:
        raise DataError(f"{path.name}: {wrong[0]} is not the hash of its rows")
    return tables


def unchanged(name: str, begun_under: str | None, tables: Mapping[str, Mapping[str, str]] | None = None) -> bool:
    """Test whether a claim reads as it did in the table under which a run began."""
    then = (history() if tables is None else tables).get(begun_under or "", {})
    return name in then and then[name] == present().get(name)
