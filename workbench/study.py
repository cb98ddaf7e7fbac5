"""One run, from an experiment's name to its record: reuse what is recorded, resume what was begun, train the rest."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from . import paper, places, recurrence, store
from .chance import check_seed
from .config import BUDGETS, SCHEMA, Budget, Config, run_id
from .errors import ParameterError, Stopped, StoreError, choices, quoted
from .lease import Lease
from .progress import Progress
from .provenance import Meter, provenance
from .record import Record, encode
from .tasks import data_hashes, download
from .train import Diverged, Trainer

FIRST_CHECKPOINT, CHECKPOINT_EVERY, CHECKPOINT_SHARE = 5.0, 15.0, 0.02  # seconds, seconds, share of the time


def run(
    experiment: str | Config,
    budget: Budget = "quick",
    seed: int = 0,
    *,
    device: str = "auto",
    backend: str = "auto",
    threads: int | None = None,
    changes: Mapping[str, Any] | None = None,
    until: int | None = None,
    fresh: bool = False,
    time_limit: float | None = None,
    progress: bool = True,
    watch: Callable[[dict[str, Any]], None] | None = None,
) -> Record:
    """Train a run as far as its budget goes, or return what is recorded; the record has `curve` and `summary`.

    `experiment`: a name of `workbench list`, or a Config of your own. `changes`: fields by path, such as
    {"model.depth": 4}. `budget`: smoke (seconds, a smaller computation), quick (minutes, the beginning of the paper's
    run) or paper; `until`: the step to go to, in place of the budget's. The seed decides everything that is random.
    `threads` is pinned when a run begins (1 unless given, so that results do not depend on the machine's cores).
    `fresh` sets an earlier record aside. `time_limit` in seconds. `watch` is given each evaluation's row. Ctrl-C or
    SIGTERM stop at the next step and raise Stopped; the same call continues.
    """
    name, config, last = resolve(experiment, budget, changes)
    if until is not None and (isinstance(until, bool) or not isinstance(until, int) or until < 1):
        raise ParameterError(f"until: {until!r} is not a step to go to; a whole number of at least 1 is needed")
    until = last if until is None else until
    check_seed(seed)
    check_time_limit(time_limit)
    if watch is not None and not callable(watch):
        raise ParameterError(f"watch: {quoted(watch)} received; a function of one row is needed, or None")
    device = check_device(device)
    if backend != "auto" and (reason := recurrence.unavailable(backend)) is not None:
        raise ParameterError(f"backend: {backend!r} cannot run here: {reason}")
    data = data_hashes(config.task)
    folder = store.Run(places.runs() / run_id(config, seed, data))
    if fresh:
        with Lease(folder) if folder.path.exists() else _nothing():
            pass  # nobody trains it now
        folder.set_aside()
    record = Record(folder)
    if (folder.path / "spec.json").exists():
        if record.config != config:
            raise StoreError(
                f"{folder.path / 'spec.json'}: another config than its id names; `run --fresh` starts anew"
            )
        if reached(record, until):
            return record
    spec = {
        "schema": SCHEMA,
        "id": folder.path.name,
        "experiment": name,
        "smoke": budget == "smoke",
        "config": config.model_dump(),
        "seed": seed,
        "data": data,
        "threads": 1 if threads is None else check_count("threads", threads),
    }
    label = f"{name} seed {seed}"
    trainer = Trainer(config, seed, device=device, backend=backend)  # before the folder: a wrong value leaves no trace
    folder.create(spec, trainer.task.chance())
    pinned = int(folder.spec()["threads"])
    with Lease(folder), pinned_threads(pinned), _stop_requests() as stop:
        _Fit(folder, trainer, pinned, device, label, progress, watch).go(until, time_limit, stop)
    return Record(folder)


def resolve(
    experiment: str | Config, budget: Budget, changes: Mapping[str, Any] | None = None
) -> tuple[str, Config, int | None]:
    """The name, config and last step (None: the schedule's end) of a run."""
    if budget not in BUDGETS:
        raise ParameterError(f"budget: {budget!r} is unknown; choose one of {choices(BUDGETS)}")
    if isinstance(experiment, Config):
        name, config, until = "custom", experiment, None
        if budget == "smoke":
            raise ParameterError("budget: smoke is a version of a named experiment; a config of one's own has none")
    else:
        known = paper.experiment(experiment)
        name, (config, until) = known.id, known.at(budget)
    if changes:
        changed = config.set(changes)
        if changed != config:
            name, config = f"{name}*", changed
    if until is not None and config.train.steps is not None:
        until = min(until, config.train.steps)
    return name, config, until


def substitute(experiments: list[str], say: Callable[[str], None] = print) -> list[str]:
    """The same experiments where their data are at hand or can be fetched; else their substitutes on embedded data.

    `say` is told what was replaced. A data set that is there but altered is an error, not a reason to substitute.
    """
    chosen = []
    for name in experiments:
        known = paper.experiment(name)
        if known.data is not None and known.substitute is not None and not download.obtainable(known.data):
            say(f"{name}: {known.data} cannot be had here; {known.substitute} takes its place")
            name = known.substitute
        chosen.append(name)
    return chosen


class _Fit:
    """One attempt at a run: the loop between a Trainer (memory) and a Run (disk)."""

    def __init__(
        self,
        run: store.Run,
        trainer: Trainer,
        threads: int,
        device: str,
        label: str,
        progress: bool,
        watch: Callable[[dict[str, Any]], None] | None,
    ):
        self.run, self.trainer, self.watch = run, trainer, watch
        checkpoint = run.load_checkpoint()
        run.rewind_events(checkpoint)
        self.attempts = 1
        if checkpoint is not None:
            try:
                trainer.load(checkpoint["trainer"])
            except StoreError as error:
                raise StoreError(f"{run.path}: {error}; `run --fresh` starts anew") from None
            self.attempts = int(checkpoint["cost"]["attempts"]) + 1
        self.meter = Meter(checkpoint["cost"] if checkpoint else None)
        self.where = provenance(threads, device, trainer.backend, self.attempts)
        self.progress = Progress(label, trainer.step, shown=progress)
        self.saved_at = time.monotonic() - CHECKPOINT_EVERY + FIRST_CHECKPOINT
        self.save_cost = 0.0

    def go(self, until: int | None, time_limit: float | None, stop: threading.Event) -> None:
        """Train to `until` or the schedule's end, then score; Stopped on request or at the time limit."""
        deadline = math.inf if time_limit is None else time.monotonic() + time_limit
        self.trainer.interrupted = lambda: stop.is_set() or time.monotonic() > deadline
        try:
            self._train(until)
        except Diverged:
            self._finish("diverged")
        except Stopped:
            self._save()
            self.progress.close("stopped")
            why = "on request" if stop.is_set() else "at the time limit"
            at = f"{self.progress.label}: stopped {why} at step {self.trainer.step}"
            raise Stopped(f"{at}; the same command continues") from None

    def _train(self, until: int | None) -> None:
        trainer = self.trainer
        target = until if until is not None else trainer.config.train.steps
        if trainer.due:  # stopped during that evaluation
            self._record_evaluation()
        while not trainer.ended and (until is None or trainer.step < until):
            if trainer.interrupted():
                raise Stopped("between two steps")
            loss = trainer.advance()
            if trainer.due:
                self._record_evaluation()
            self.progress.show(trainer.step, target, loss)
            self._save_in_time()
        if trainer.ended:
            self._finish("done")
        else:
            self._record_budget()
        self.progress.close("done")

    def _record_evaluation(self) -> None:
        row = _recordable(self.trainer.evaluation())
        row["u"] = {name: encode(u) for name, u in row["u"].items()}
        self.run.append({"event": "evaluation", **row, "cost": self._cost()})
        if self.watch is not None:
            self.watch(row)

    def _record_budget(self) -> None:
        scores = _recordable(self.trainer.test())
        event = {"event": "budget", "step": self.trainer.step, **scores}
        self.run.append({**event, "provenance": self.where, "cost": self._cost()})
        self._save()

    def _finish(self, status: str) -> None:
        """The end: the scores of the best weights; a run that diverged is recorded as such, not dropped."""
        scores = _recordable(self.trainer.test()) if status == "done" or self.trainer.best is not None else {}
        result = {"schema": SCHEMA, "id": self.run.path.name, "status": status, "step": self.trainer.step, **scores}
        self._save()
        self.run.finish({**result, "provenance": self.where, "cost": self._cost()})

    def _save_in_time(self) -> None:
        """The first checkpoint within 5 s, then every 15 s, at most 2 % of the time."""
        if time.monotonic() - self.saved_at > max(CHECKPOINT_EVERY, self.save_cost / CHECKPOINT_SHARE):
            self._save()

    def _save(self) -> None:
        before = time.monotonic()
        self.run.save_checkpoint(self.trainer.step, self.trainer.state(), self._cost())
        self.saved_at = time.monotonic()
        self.save_cost = self.saved_at - before

    def _cost(self) -> dict[str, float]:
        return {**self.meter.read(), "attempts": self.attempts}


def reached(record: Record, until: int | None) -> bool:
    """Whether a record already answers for a budget: at its end, or scored at that step or later."""
    if record.run.result() is not None:
        return True
    return until is not None and any(e["step"] >= until for e in record.budgets)


def _recordable(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose scores JSON can hold: one that is not finite (a net on its way to divergence) becomes None."""

    def shown(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shown(v) for name, v in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {name: shown(value) for name, value in row.items()}


def check_count(name: str, value: object, most: int = 1024) -> int:
    """A number of threads or workers, or a ParameterError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ParameterError(f"{name}: {quoted(value)} is not a number of {name}; 1 to {most} is allowed")
    return value


def check_time_limit(seconds: object) -> None:
    """None, or seconds above 0; else a ParameterError."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 1e9
    if seconds is not None and not number:
        raise ParameterError(f"time_limit: {quoted(seconds)} is not a time; seconds above 0 are needed, or None")


def check_device(name: str) -> str:
    """`auto` resolved, `cpu` or `cuda`; a ParameterError for any other, and for `cuda` where there is none."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise ParameterError(f"device: {name!r} is unknown; choose one of auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ParameterError("device: 'cuda' cannot be used: torch finds no CUDA device here; choose cpu")
    return name


@contextmanager
def pinned_threads(count: int) -> Iterator[None]:
    """torch on so many threads while inside, then on as many as before."""
    check_count("threads", count)
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM set a flag while inside (in the main thread); nothing is ever saved in a handler."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda *_: stop.set()) for kind in kinds}
    try:
        yield stop
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
