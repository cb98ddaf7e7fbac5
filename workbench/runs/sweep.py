"""A grid over the fields of a config: every combination of values, each a run under each seed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from .. import paper
from ..config import Budget, parse_value
from ..errors import ParameterError, choices, quoted
from .asked import resolve
from .planned_run import PlannedRun, take
from .record import Record, there
from .status import Row, overview

MOST = 100_000  # runs of one sweep


def parse(pairs: Sequence[str], experiment: str) -> dict[str, list[Any]]:
    """`["depth=2,4", "gamma=1,2"]` -> {"model.depth": [2, 4], "model.gamma": [1, 2]}, checked against the config.

    A field is written with its section, or without where only one section has it. `depth: 2, 4` means the same, for
    papermill allows a parameter's line one `=`. A list is one value: `blocks=[8,6,4],[4,3,2]`.
    """
    grid: dict[str, list[Any]] = {}
    for pair in pairs:
        name, *rest = (part.strip() for part in re.split("[=:]", str(pair), maxsplit=1))
        text = rest[0] if rest else ""
        found = [parse_value(part.strip()) for part in re.split(r",(?![^\[]*\])", text)]
        values = [tuple(value) if isinstance(value, list) else value for value in found]  # hashable, as changes are
        if not name or "" in values:
            raise ParameterError(f"grid: {quoted(pair)} received; key=a,b,c is needed")
        path = field_path(name, experiment)
        if path in grid:
            raise ParameterError(f"grid: {path} given twice")
        if len(set(map(repr, values))) < len(values):
            raise ParameterError(f"grid: {quoted(pair)} has a value twice")
        grid[path] = values
    return grid


def field_path(name: str, experiment: str) -> str:
    """`depth` -> `model.depth`: the path of a field of an experiment's config; ParameterError where none or several."""
    tree = paper.experiment(experiment).config.model_dump()
    known = [f"{section}.{field}" for section in tree for field in tree[section]]
    found = [path for path in known if name in (path, path.partition(".")[2])]
    if len(found) != 1:
        what = f"may be {' or '.join(found)}" if found else f"no such field; choose one of {choices(known)}"
        raise ParameterError(f"grid: {quoted(name)}: {what}")
    return found[0]


def planned_runs(experiment: str, grid: Mapping[str, Sequence[Any]], budget: Budget, seeds: int) -> list[PlannedRun]:
    """Every combination under every seed, seed 0 of all first; each config is checked before anything runs."""
    combinations = [tuple(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if len(combinations) * seeds > MOST:
        raise ParameterError(f"grid: {len(combinations) * seeds:,} runs; at most {MOST:,} are allowed")
    for changes in combinations:
        resolve(experiment, budget, dict(changes))
    return [PlannedRun(experiment, budget, seed, changes) for seed in range(seeds) for changes in combinations]


def results(experiment: str, grid: Mapping[str, Sequence[Any]], budget: Budget, seeds: int) -> pd.DataFrame:
    """A row a run of the grid, as recorded: the fields' values, seed, status, step, wall seconds, scores on validation.

    The scores are those at the budget, of a run that went on too; one that is not there yet has none. A sweep is for
    choosing, and what is chosen on test examples has no honest score on them: those stay unseen here.
    """
    recorded = {row["id"]: row for row in overview()}
    rows = []
    for planned_run in planned_runs(experiment, grid, budget, seeds):
        row = _at_budget(planned_run, recorded.get(planned_run.run.path.name, {"status": "not run"}))
        scores = {name: value for name, value in row.items() if name.startswith("valid_")}
        costs = {name: row.get(name) for name in ("status", "step", "wall_s")}
        rows.append({**dict(planned_run.changes), "seed": planned_run.seed, **costs, **scores})
    table = pd.DataFrame(rows)
    return table.drop(columns=[name for name in table if name not in grid and table[name].isna().all()])


def _at_budget(planned_run: PlannedRun, row: Row) -> Row:
    """The row of a run as its budget left it."""
    until, scored = planned_run.until, row.get("scored_step") or 0
    if not planned_run.recorded(row):
        return {name: value for name, value in row.items() if not name.startswith("valid_")}
    if until is None or scored <= until:
        return row
    alike = [record for record in there(row["id"]) if record.numerics == row["numerics"]]
    reached = [event for record in alike for event in record.budgets if event["step"] >= until]
    first = min(reached, key=lambda event: int(event["step"]))
    scores = {f"valid_{name}": value for name, value in first.get("valid", {}).items() if name != "n"}
    return row | {"step": first["step"], "wall_s": first["cost"].get("wall_s")} | scores


def score_of(table: pd.DataFrame) -> str:
    """The column of `results` that says how good a run is; ParameterError where nothing is scored yet."""
    for name in ("valid_accuracy", "valid_mse", "valid_perplexity", "valid_loss"):
        if name in table and table[name].notna().any():
            return name
    raise ParameterError("sweep: no run of this grid is scored yet; `workbench sweep` trains them")


class Sweep:
    """A grid as a notebook shows it: `wb.Sweep(study.values)` trains what is not recorded, or takes what is recorded
    where `records` is `published`; `table` has a row a run."""

    def __init__(self, values: Mapping[str, Any]):
        self.experiment, self.budget, self.seeds = values["experiment"], values["budget"], values["seeds"]
        self.grid = parse(values["grid"], self.experiment)
        self.runs = planned_runs(self.experiment, self.grid, self.budget, self.seeds)
        self.records = take(self.runs, values["device"], own=values.get("records", "own") == "own")
        self.table = results(self.experiment, self.grid, self.budget, self.seeds)
        self.fields, self.score = list(self.grid), score_of(self.table)

    def best(self, count: int = 5) -> pd.DataFrame:
        """The best combinations: mean, least and greatest of the score over seeds, and how many seeds."""
        by = self.table.groupby(self.fields, dropna=False)[self.score].agg(["mean", "min", "max", "count"])
        return by.sort_values("mean", ascending=self._ascending).head(count).reset_index()

    def ends(self, count: int = 2) -> list[Record]:
        """The records of the best combinations and of the worst, `count` of each, the best first."""
        combinations = [str(run.changes) for run in self.runs]  # a row of the table each
        of = {run.run.path.name: name for run, name in zip(self.runs, combinations, strict=True)}
        means = self.table[self.score].groupby(combinations).mean().dropna().sort_values(ascending=self._ascending)
        shown = [*means.index[:count], *means.index[count:][-count:]]
        return sorted((r for r in self.records if of[r.id] in shown), key=lambda r: shown.index(of[r.id]))

    @property
    def _ascending(self) -> bool:
        return not self.score.endswith("accuracy")
