"""A run as its reader sees it: curve and summary as pandas, the trained net, where it stands."""

from __future__ import annotations

import base64
import contextlib
import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor, nn

from .. import files, paper
from ..config import Config, run_id
from ..errors import RunError, StoreError, WorkbenchError, quoted
from ..tasks import Batch, data_hashes, load, spec
from . import events, lock
from .folder import Run, config_of, lookup, open_run
from .folder import find as runs_in
from .provenance import NUMERICS

if TYPE_CHECKING:
    from ..training import Trainer


@dataclass(frozen=True)
class Record:
    """One run on disk. `curve` has a row an evaluation; `summary` the newest scores; `budgets` each budget reached."""

    run: Run

    @cached_property
    def spec(self) -> dict[str, Any]:
        return self.run.spec()

    @cached_property
    def config(self) -> Config:
        return config_of(self.run)

    @property
    def id(self) -> str:
        return self.run.path.name

    @property
    def seed(self) -> int:
        return int(self.spec["seed"])

    @property
    def experiment(self) -> str:
        """The name under which it was started; `custom` for a config of one's own."""
        return str(self.spec.get("experiment", "custom"))

    @property
    def smoke(self) -> bool:
        """Say whether the config is the experiment's smoke version, a smaller computation."""
        return bool(self.spec.get("smoke", False))

    @property
    def numerics(self) -> int:
        """The numerics under which it was begun (provenance.py); only of one and the same are bits comparable."""
        return int(self.spec.get("numerics", 1))

    @property
    def claims(self) -> str | None:
        """The hash of the table of claims as it stood when it was begun; None of a record that does not say."""
        told = self.spec.get("claims")
        return None if told is None else str(told)

    @property
    def losses(self) -> list[float | None]:
        """The losses of the first steps, exact; none of a record of version 0.1."""
        return [e["loss"] for e in self.events if e["event"] == "loss"]

    @property
    def changes(self) -> dict[str, Any]:
        """The fields, by path, in which a run that was started with changes differs from its experiment."""
        known = paper.EXPERIMENTS.get(self.experiment.removesuffix("*"))
        if known is None or not self.experiment.endswith("*"):
            return {}
        plain, mine = _fields(known.id, self.smoke), self.config.model_dump()
        return {f"{s}.{f}": v for s in mine for f, v in mine[s].items() if plain.get(s, {}).get(f) != v}

    def check(self) -> None:
        """Raise RunError where the run diverged: it is recorded so, and no score answers for it."""
        if self.status == "diverged":
            raise RunError(f"{self.experiment} seed {self.seed}: diverged at step {self.step}; recorded as such")

    @property
    def published(self) -> bool:
        """Say whether it is one of the project's own published records."""
        return files.published() in self.run.path.parents

    @cached_property
    def status(self) -> str:
        """done, diverged, running, resumable, pending or damaged."""
        try:
            _ = self.config, self.events
        except StoreError:
            return "damaged"
        return lock.status(self.run)

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The run's events, each of the shape of its kind; StoreError where one is not."""
        found = self.run.events()
        for event in found:
            if reason := events.misshapen(event["event"], event):
                at = f"{event['event']} of step {event['step']}"
                raise StoreError(f"{self.run.path / 'events.jsonl'}: {at}: {reason}")
        return found

    @cached_property
    def evaluations(self) -> list[dict[str, Any]]:
        """The curve's rows as recorded."""
        return [e for e in self.events if e["event"] == "evaluation"]

    @cached_property
    def budgets(self) -> list[dict[str, Any]]:
        """Scores on test each time a budget was reached, the end of the schedule last."""
        reached = [e for e in self.events if e["event"] == "budget"]
        result = self.run.result()
        return [*reached, result] if result is not None else reached

    @property
    def step(self) -> int:
        """The last step whose evaluation or budget is recorded."""
        return max((int(e["step"]) for e in [*self.evaluations, *self.budgets]), default=0)

    @property
    def rank(self) -> tuple[bool, int]:
        """Order of the records of one run: the present numerics first, then how far it came."""
        return self.numerics == NUMERICS, self.step

    @property
    def worth(self) -> tuple[bool, bool, int]:
        """Order of two records of a run of which one is kept: as `rank`, but an end and the newest checkpoint count."""
        return self.numerics == NUMERICS, self.run.result() is not None, max(self.step, self.run.saved_step)

    def verify(self) -> None:
        """Read all of it and compare every hash; StoreError for the first thing that is wrong. Changes nothing."""
        if run_id(self.config, self.seed, self.spec["data"]) != self.id:
            raise StoreError(f"{self.run.path / 'spec.json'}: its content does not give its id")
        self.run.drawn()
        result = self.run.result()
        due = 0 if result is None else result["step"] // self.config.train.evaluate_every
        if len(self.evaluations) < due:
            raise StoreError(f"{self.run.path / 'events.jsonl'}: cut short: {len(self.evaluations)} rows of {due}")
        for path in self.run.checkpoints():
            self.run.check_events(self.run.read_checkpoint(path))

    @property
    def curve(self) -> pd.DataFrame:
        """A row an evaluation: step, lr, train_..., valid_..., valid_batch_... (batch norm statistics of the batch)."""
        rows = []
        for event in self.evaluations:
            row = {"step": event["step"], "lr": event["lr"], "outcome": event["outcome"]}
            for part in ("train", "valid", "valid_batch"):
                scores = {name: v for name, v in event.get(part, {}).items() if name != "n"}
                row |= {f"{part}_{name}": math.nan if v is None else v for name, v in scores.items()}
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def summary(self) -> pd.Series[Any]:
        """One row for tables: identity, how far it came, the newest test scores, cost."""
        return pd.Series(self.row)

    @property
    def row(self) -> dict[str, Any]:
        """The summary as a plain dictionary."""
        changes = ", ".join(f"{path}={value}" for path, value in self.changes.items()) or None
        row: dict[str, Any] = {"id": self.id, "experiment": self.experiment, "changes": changes}
        row |= {name: getattr(self, name) for name in ("seed", "smoke", "status", "step", "published")}
        if self.budgets:
            newest = self.budgets[-1]
            row["scored_step"] = newest["step"]
            row |= {f"test_{k}": v for k, v in newest.get("test", {}).items()}
            row |= {f"valid_{k}": v for k, v in newest.get("valid", {}).items() if k != "n"}
            row["weights_sha256"] = newest.get("weights_sha256")
            row |= newest["cost"]
            row["device"] = newest["provenance"]["device"]
        return row

    def recurrent_weights(self) -> dict[int, dict[str, Tensor]]:
        """step -> layer -> u (N,), at each evaluation, the layers in the order of use (on disk they stand by name)."""
        from ..models.build import without_values
        from ..models.layer import recurrences

        place: dict[str, int] = {}
        with contextlib.suppress(WorkbenchError):  # where one's own data are gone nothing says their shape: by name
            net = without_values(self.config.model, spec(self.config.task))
            place = {name: index for index, name in enumerate(recurrences(net))}
        return {
            e["step"]: {name: decode(e["u"][name]) for name in sorted(e["u"], key=lambda n: place.get(n, len(place)))}
            for e in self.evaluations
        }

    def net(self) -> nn.Module:
        """The net with its best-validation weights, in evaluation mode; StoreError if no checkpoint is kept."""
        return self.trainer().best_net().eval()

    def trainer(self) -> Trainer:
        """The run in memory at its newest checkpoint; StoreError if none is kept, or not that of a run's end."""
        from ..training import Trainer

        state = self.run.load_checkpoint()
        if state is None:
            raise StoreError(f"run {self.id}: no checkpoint is kept, so there are no weights; run it again")
        end = self.run.result()
        if end is not None and state["trainer"].get("step") != end["step"]:  # of others nothing is scored
            raise StoreError(f"run {self.id}: its weights of step {end['step']} are lost; `run --fresh` trains it anew")
        trainer = Trainer(self.config.set({"train.precision": "fp32"}), self.seed)  # on the CPU, which has no other
        trainer.load(state["trainer"])
        return trainer

    def examples(self, count: int = 64) -> Batch:
        """The first test examples of the run's task: x (T, count, inputs), y (count,)."""
        task = load(self.config.task, self.seed, self.config.train.batch)
        return next(iter(task.examples("test", count)))

    def _repr_html_(self) -> str:
        frame = self.summary.dropna().astype(str).to_frame(f"{self.experiment}, seed {self.seed}")
        return str(frame.to_html(escape=True))


def encode(u: Tensor) -> str:
    """Numbers as base64 of little-endian float32, exact."""
    return base64.b64encode(u.detach().cpu().to(torch.float32).numpy().astype("<f4").tobytes()).decode()


def decode(text: str) -> Tensor:
    """The inverse of `encode`; StoreError for a text that it cannot have given."""
    try:
        return torch.frombuffer(bytearray(base64.b64decode(text, validate=True)), dtype=torch.float32)
    except ValueError as error:
        raise StoreError(f"u: {quoted(text)} is not a vector: {error}") from None


def there(run_id: str, *, own: bool = False) -> list[Record]:
    """The records of an id that have begun: one's own, then (without `own`) the published one."""
    published = None if own else lookup(files.published() / "runs", run_id)
    runs = [open_run(files.runs(), run_id), *([published] if published else [])]
    return [Record(run) for run in runs if (run.path / "spec.json").exists()]


def find(name: str, seed: int, *, smoke: bool = False, own: bool = False) -> Record | None:
    """The first in `rank` of an experiment and seed, one's `own` only or published too; None if there is none."""
    config = paper.experiment(name).at("smoke" if smoke else "paper")[0]
    return find_id(run_id(config, seed, data_hashes(config.task)), own=own)


def find_id(run_id: str, *, own: bool = False) -> Record | None:
    """The first in `rank` of an id, one's `own` only or published too; None if there is none."""
    return max(there(run_id, own=own), key=lambda r: r.rank, default=None)


def records(*, own: bool = False, of: Collection[str] | None = None) -> list[Record]:
    """Every record, one's own first (with `own` no others); of a run that is also published, the further one.

    One of the present numerics comes before a further one of others, which nothing can continue. With `of`, those of
    the named experiments, changed ones too: of others only the spec is read.
    """
    best: dict[str, Record] = {}
    for record in (Record(run) for n, run in found() if not (own and n)):
        try:
            if of is not None and record.experiment.removesuffix("*") not in of:
                continue
            if record.id not in best or record.rank > best[record.id].rank:
                best[record.id] = record
        except StoreError:
            best.setdefault(record.id, record)  # damaged: its own row says so
    return list(best.values())


def found() -> list[tuple[int, Run]]:
    """Every run in one's own store, as 0, and every published one, as 1."""
    own, published = runs_in(files.runs()), runs_in(files.published() / "runs", packs=True)
    return [*((0, run) for run in own), *((1, run) for run in published)]


@cache
def _fields(experiment: str, smoke: bool) -> dict[str, Any]:
    """The config of an experiment, or of its smoke version, as plain values."""
    return paper.experiment(experiment).at("smoke" if smoke else "paper")[0].model_dump()
