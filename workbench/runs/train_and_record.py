"""One attempt at a run: the loop between a Trainer (memory) and a Run (disk), under a lease."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..config import SCHEMA
from ..errors import Stopped, StoreError, WorkbenchError, told
from ..progress import Progress
from ..training import FIRST, Diverged, Trainer
from . import memory_check
from .arithmetic import arithmetic
from .lock import Lock, note
from .provenance import Meter, provenance
from .record import encode

FIRST_LOSSES = FIRST  # steps whose losses are recorded: by them a record is told from one of another arithmetic
PLACE = ("device", "backend", "arithmetic", "torch")  # bits of one are not those of another
FIRST_CHECKPOINT, CHECKPOINT_EVERY, CHECKPOINT_SHARE = 5.0, 15.0, 0.02  # seconds, seconds, share of the time


class RecordedTraining:
    """Takes up the newest good checkpoint; `go` trains on from there, keeping record and checkpoints.

    `label` names it to people, `watch` is given each evaluation's row, `threads` and `device` go into the record. Of
    several ranks, the leading one holds the lease, reads, writes and speaks; what the disk refuses it, stops all.
    """

    def __init__(
        self,
        lease: Lock,
        trainer: Trainer,
        threads: int,
        device: str,
        label: str,
        progress: bool,
        watch: Callable[[dict[str, Any]], None] | None,
    ):
        self.lease, self.run, self.trainer, self.watch = lease, lease.run, trainer, watch
        self.ranks = trainer.ranks
        checkpoint = self.ranks.lead(self.run.take_up)
        self.attempts, self.most = 1, self.ranks.count
        if checkpoint is not None:
            try:
                trainer.load(checkpoint["trainer"])
            except StoreError as error:  # it is not of such a run
                raise StoreError(f"{self.run.path}: {error}; `run --fresh` starts anew") from None
            self.attempts = int(checkpoint["cost"]["attempts"]) + 1
            self.most = max(self.most, int(checkpoint["cost"].get("ranks", 1)))
        self.meter = Meter(checkpoint["cost"] if checkpoint and self.ranks.leads else None, device)
        self.where = {
            **provenance(threads, device, trainer.backend, self.attempts),
            "arithmetic": arithmetic(),
            "ranks": self.most,
            "graphs": trainer.recorded is not None,
        }
        here = {name: str(self.where[name]) for name in PLACE}
        self.places = [*(p for p in (checkpoint or {}).get("places", []) if p != here), here]
        if earlier := self.places[:-1]:
            self.where |= {"device": " / ".join(dict.fromkeys(p["device"] for p in self.places)), "earlier": earlier}
        self.progress = Progress(label, trainer.step, shown=progress and self.ranks.leads)
        self.saved_at = time.monotonic() - CHECKPOINT_EVERY + FIRST_CHECKPOINT
        self.save_cost = 0.0

    def go(
        self, until: int | None, deadline: float, stop: threading.Event, *, alternating: bool = False
    ) -> Iterator[None]:
        """Train to `until` or the schedule's end, then score; Stopped on request or at the `deadline`, by monotonic().

        A failure is noted beside the run before it is raised, for those who look at it later. Where runs are
        `alternating`, it yields while a step is under way, so that others can begin theirs; else it yields nothing.
        """
        self.trainer.interrupted = lambda: self.ranks.any(
            stop.is_set() or self.lease.lost or time.monotonic() > deadline
        )
        try:
            try:
                yield from self._train(until, alternating)
            except Diverged:
                self._finish("diverged")
        except Stopped:
            self.progress.close("stopped")
            at = f"{self.progress.label}: stopped"
            if self.ranks.any(self.lease.lost):
                raise Stopped(f"{at} at step {self.trainer.step}: another process took the run over") from None
            self._save()
            why = "on request" if self.ranks.any(stop.is_set()) else "at the time limit"
            raise Stopped(f"{at} {why} at step {self.trainer.step}; the same command continues") from None
        except Exception as error:
            if self.ranks.broken(error):  # no failure of this run
                raise
            if memory_check.is_exhaustion(error):
                error = memory_check.refusal(
                    self.trainer.config, self.progress.label, f"failed at step {self.trainer.step}"
                )
            if self.ranks.leads:
                note(self.run, "failed", told(error))
            if isinstance(error, WorkbenchError):
                raise error from None
            raise
        finally:
            self.trainer.close()

    def _train(self, until: int | None, alternating: bool) -> Iterator[None]:
        trainer = self.trainer
        target = until if until is not None else trainer.config.train.steps
        if trainer.due:  # stopped during that evaluation
            self._record_evaluation()
        while not trainer.ended and (until is None or trainer.step < until):
            if trainer.interrupted():
                trainer.settle()
                raise Stopped("between two steps")
            if alternating:
                trainer.begin()
                with self.meter.others():
                    yield
                loss = trainer.finish()
            else:
                loss = trainer.advance()
            if trainer.step <= FIRST_LOSSES:
                self._append({"event": "loss", **recordable({"step": trainer.step, "loss": loss})})
            if trainer.due:
                self._record_evaluation()
            self.progress.show(trainer.step, target, loss)
            self.lease.tell(step=trainer.step, target=target, rate=self.progress.rate(trainer.step))
            self._save_in_time()
        if trainer.ended:
            self._finish("done")
        else:
            self._record_budget()
        self.progress.close("done")

    def _record_evaluation(self) -> None:
        row = evaluation_row(self.trainer)
        self._append({"event": "evaluation", **row, "cost": self._cost()})
        if self.watch is not None and self.ranks.leads:
            self.watch(row)

    def _record_budget(self) -> None:
        scores = recordable(self.trainer.test())
        event = {"event": "budget", "step": self.trainer.step, **scores}
        self._append({**event, "provenance": self.where, "cost": self._cost()})
        self._save()

    def _finish(self, status: str) -> None:
        """The end: the scores of the best weights; a run that diverged is recorded as such, not dropped."""
        scores = recordable(self.trainer.test()) if status == "done" or self.trainer.best is not None else {}
        result = {"schema": SCHEMA, "id": self.run.path.name, "status": status, "step": self.trainer.step, **scores}
        self._save()
        result |= {"provenance": self.where, "cost": self._cost()}
        self.ranks.lead(lambda: self.run.finish(result))

    def _append(self, event: dict[str, Any]) -> None:
        self.ranks.lead(lambda: self.run.append(event))

    def _save_in_time(self) -> None:
        """The first checkpoint within 5 s, then every 15 s, at most 2 % of the time."""
        due = time.monotonic() - self.saved_at > max(CHECKPOINT_EVERY, self.save_cost / CHECKPOINT_SHARE)
        if self.ranks.any(due and self.ranks.leads):
            self._save()

    def _save(self) -> None:
        before = time.monotonic()
        state, cost = self.trainer.state(), self._cost()
        self.ranks.lead(lambda: self.run.save_checkpoint(self.trainer.step, state, cost, self.places))
        self.saved_at = time.monotonic()
        self.save_cost = self.saved_at - before

    def _cost(self) -> dict[str, float]:
        """CPU seconds and energy are those of all ranks."""
        cost = {**self.meter.read(), "attempts": self.attempts}
        if self.most > 1:
            cost["ranks"] = self.most
        spent = [kind for kind in ("cpu_s", "energy_j") if kind in cost]
        return cost | dict(zip(spent, self.ranks.total(*(cost[kind] for kind in spent)), strict=True))


def evaluation_row(trainer: Trainer) -> dict[str, Any]:
    """An evaluation that is due, as a record holds it."""
    row = recordable(trainer.evaluation())
    return row | {"u": {name: encode(u) for name, u in row["u"].items()}}


def recordable(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose numbers JSON can hold: one that is not finite (a net on its way to divergence) becomes None."""

    def shown(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shown(v) for name, v in value.items()}
        if isinstance(value, list):
            return [shown(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {name: shown(value) for name, value in row.items()}
