"""One run of many, by name: what a batch plans, places and looks up."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from .. import files
from ..config import Budget, Config, canonical_json, run_id
from ..paper import claims
from ..paper.reader_names import reader_name
from ..tasks import data_hashes, spec
from .asked import resolve
from .folder import Run
from .record import Record, find_id
from .run import reached, run_seeds
from .run import run as run_experiment

BESIDE = 4  # seeds at a time on one device, whose memory they share


class PlannedRun(NamedTuple):
    """An experiment at a budget under a seed, with `changes`: (path, value) of fields that differ from it."""

    experiment: str
    budget: Budget
    seed: int
    changes: tuple[tuple[str, Any], ...] = ()

    @property
    def label(self) -> str:
        fields = " ".join(f"{path.partition('.')[2]}={value}" for path, value in self.changes)
        return f"{self.experiment}{' ' * bool(fields)}{fields} seed {self.seed}"

    @property
    def reader_name(self) -> str:
        """The same in a reader's words: net and task, not the experiment's name."""
        return f"{self.in_words}, seed {self.seed}"

    @property
    def in_words(self) -> str:
        """The same without its seed."""
        fields = "".join(f", {path.partition('.')[2].replace('_', ' ')} {value}" for path, value in self.changes)
        return f"{reader_name(self.experiment)}{fields}"

    @property
    def run(self) -> Run:
        """Its folder in this user's store, whether it is there or not."""
        config = self._resolved()[0]
        return Run(files.runs() / run_id(config, self.seed, data_hashes(config.task)))

    @property
    def until(self) -> int | None:
        """The step its budget goes to; None means the end of the schedule."""
        return self._resolved()[1]

    def recorded(self, row: Mapping[str, Any] | None = None) -> bool:
        """Say whether it was taken as far as its budget goes; `row` of `overview` spares reading the record."""
        if row is not None:
            at_end = row["status"] in ("done", "diverged")
            return at_end or (self.until is not None and (row.get("scored_step") or 0) >= self.until)
        run = self.run
        return (run.path / "spec.json").exists() and self.answered_by(Record(run))

    def found(self, *, own: bool = False) -> Record | None:
        """The furthest record of it, one's `own` only or published too; None where there is none."""
        return find_id(self.run.path.name, own=own)

    def answered_by(self, record: Record) -> bool:
        """Say whether a record of it goes as far as its budget."""
        return reached(record, self.until)

    def train(self, device: str = "auto", **means: Any) -> Record:
        """Train it in this process as far as its budget goes, or take what is recorded; `means` go to `run`."""
        changes = dict(self.changes)
        return run_experiment(self.experiment, self.budget, self.seed, device=device, changes=changes, **means)

    @property
    def written(self) -> str:
        """All of it as JSON, for the worker that trains it."""
        return canonical_json(self._asdict())

    @classmethod
    def read(cls, text: str) -> PlannedRun:
        """A planned run from its JSON."""
        fields = json.loads(text)
        return cls(**{**fields, "changes": tuple((path, value) for path, value in fields["changes"])})

    @property
    def cost(self) -> float:
        """A guess at how long it takes, from nothing: steps x length x layers."""
        config = self._resolved()[0]
        return float((self.until or config.train.steps or 10**6) * spec(config.task).steps * config.model.depth)

    def _resolved(self) -> tuple[Config, int | None]:
        return _resolve(self.experiment, self.budget, self.changes)

    @property
    def worth(self) -> tuple[int, bool, float]:
        """The order of a campaign whose time is short: a first seed of everything, the paper's claims, the cheap."""
        return self.seed, not claims.answered_by(self.experiment), self.cost


def side_by_side(planned_runs: Sequence[PlannedRun]) -> list[list[PlannedRun]]:
    """Planned runs, in their order, in groups that differ by their seed alone and that one device trains in turns."""
    groups: dict[PlannedRun, list[PlannedRun]] = {}
    for planned_run in planned_runs:
        groups.setdefault(planned_run._replace(seed=0), []).append(planned_run)
    return [group[i : i + BESIDE] for group in groups.values() for i in range(0, len(group), BESIDE)]


def train_side_by_side(group: Sequence[PlannedRun], device: str, time_limit: float | None = None) -> list[Record]:
    """Train a group of `side_by_side` in this process, each as far as its budget goes; their records."""
    one, seeds = group[0], [planned_run.seed for planned_run in group]
    means: dict[str, Any] = {"device": device, "changes": dict(one.changes), "time_limit": time_limit}
    return run_seeds(one.experiment, one.budget, seeds, **means, say=lambda line: print(line, file=sys.stderr))


def take(planned_runs: Sequence[PlannedRun], device: str = "auto", *, own: bool = True) -> list[Record]:
    """The records of planned runs: trained where one's `own` store lacks them, or else those that there are at all."""
    if own:
        return [planned_run.train(device) for planned_run in planned_runs]
    return [record for planned_run in planned_runs if (record := planned_run.found()) is not None]


@lru_cache(maxsize=4096)
def _resolve(experiment: str, budget: Budget, changes: tuple[tuple[str, Any], ...]) -> tuple[Config, int | None]:
    """Config and last step; the seeds of a combination share them."""
    return resolve(experiment, budget, dict(changes))[1:]
