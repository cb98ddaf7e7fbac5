"""Many runs and notebooks: plan, train what is missing, execute the notebooks, write the tables.

Interrupted work resumes; what did not change is not executed again. `worker` has a run's process, `dask_cluster`
those who do the work: this machine, or others.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ... import paper
from ...config import canonical_json
from ...errors import DONE, STOPPED, ParameterError, RunError, Stopped, WorkbenchError
from ...files import check_place, publish, results
from .. import bundle, lock
from .. import sweep as sweeps
from ..asked import check_count, check_device, check_time_limit
from ..planned_run import PlannedRun, side_by_side
from ..run import stop_requests
from ..status import overview
from . import dask_cluster, notebook_parameters, papermill, pictures, worker
from .worker import Campaign, Files, Job, Outcome

DEFAULT_STUDY = ("00_tour", "fig4_adding", "table2_pixels")
LEAVING = 20.0  # seconds of a time limit kept for the last checkpoints and the bundle; a tenth of a shorter one

Book = tuple[Path, dict[str, Any], list[PlannedRun]]  # a notebook, its checked parameters, the runs it shows


@dataclass(frozen=True)
class Means:
    """With what a batch is done: `workers` at a time here, or a `scheduler`'s address, or `slurm`; for how long, and
    into which folder (`out`) a bundle goes that `workbench import` takes over elsewhere; `report` writes the tables
    of what is recorded then, and says where."""

    workers: int | None = None
    device: str = "auto"
    scheduler: str | None = None
    slurm: bool = False
    time_limit: float | None = None
    out: Path | None = None
    report: Callable[[], Path] | None = None

    def check(self) -> None:
        """ParameterError for what cannot be meant."""
        check_time_limit(self.time_limit)
        if self.workers is not None:
            check_count("workers", self.workers)
        if self.scheduler is not None:
            dask_cluster.check_address(self.scheduler)
            if self.slurm:
                raise ParameterError("scheduler: given beside slurm; choose one of them")
        if self.out is not None:
            check_place("out", self.out)


def reproduce(
    targets: Sequence[str] = DEFAULT_STUDY,
    budget: str = "quick",
    *,
    seeds: int | None = None,
    values: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = print,
    **means: Any,
) -> list[PlannedRun]:
    """Notebooks and experiments at a budget: their runs first, several at once, then the notebooks, then the `report`.

    `means` are the fields of `Means`. -> the runs of all. Raises RunError if anything failed (the rest is done all the
    same) and Stopped on Ctrl-C, SIGTERM or time limit.
    """
    given = Means(**means)
    given.check()
    books, runs = plan(targets, budget, seeds, values or {}, given.device, say)
    carry_out(runs, books, given, say)
    return runs


def sweep(
    experiment: str, grid: Sequence[str], budget: str, seeds: int, means: Means, say: Callable[[str], None] = print
) -> pd.DataFrame:
    """A grid over a config's fields, as `sweep.parse` reads it, and the notebook that shows it; the table of results.

    Raises what `reproduce` raises.
    """
    means.check()
    path = notebook_parameters.find("sweep")
    given = {"experiment": experiment, "grid": list(grid), "budget": budget, "seeds": seeds, "device": means.device}
    book = notebook_parameters.check(path, given | {"records": "own"})
    chosen = sweeps.parse(grid, experiment)
    planned_runs = sweeps.planned_runs(experiment, chosen, budget, seeds)  # type: ignore[arg-type]
    carry_out(planned_runs, [(path, book, planned_runs)], means, say)
    return sweeps.results(experiment, chosen, budget, seeds)  # type: ignore[arg-type]


def plan(
    targets: Sequence[str],
    budget: str,
    seeds: int | None,
    values: Mapping[str, Any],
    device: str,
    say: Callable[[str], None] = print,
) -> tuple[list[Book], list[PlannedRun]]:
    """The notebooks with their checked parameters and their runs, and the runs of all targets, each once."""
    books: list[Book] = []
    runs: list[PlannedRun] = []
    notebook_parameters.Parameter("budget", str, "").check(budget)
    notebook_parameters.Parameter("device", str, "").check(device)
    notebook_parameters.Parameter("seeds", int, None).check(seeds)
    for target in [targets] if isinstance(targets, str) else targets:
        if target in tuple(paper.EXPERIMENTS):
            if values:
                raise ParameterError(
                    f"{next(iter(values))}: {target} is an experiment and takes no -p; use `run --set`"
                )
            count = paper.experiment(target).seeds if seeds is None else seeds
            runs += [PlannedRun(target, budget, seed) for seed in range(count)]  # type: ignore[arg-type]  # checked above
            continue
        path = notebook_parameters.find(target)
        known = notebook_parameters.parameters(path)
        given = {"budget": budget, "device": device, "records": "own", "seeds": seeds}
        given = {name: value for name, value in given.items() if name in known and value is not None}
        book = notebook_parameters.check(path, given | dict(values))
        trains = book.get("records") != "published"  # else they are shown whether their data are here or not
        book = notebook_parameters.at_hand(book, say) if trains else book
        books.append((path, book, notebook_parameters.planned(book)))
        runs += books[-1][2] if trains else []
    return books, list(dict.fromkeys(runs))


def carry_out(
    planned_runs: Sequence[PlannedRun], books: Sequence[Book], means: Means, say: Callable[[str], None]
) -> None:
    """Train every run that is not recorded, then execute every notebook that is not up to date, then the tables.

    With a time limit the most worth comes first, else the longest. See `reproduce` for what is raised.
    """
    deadline = _Deadline(means.time_limit)
    rows = {row["id"]: row for row in overview(own=True)}
    found = {each: rows.get(each.run.path.name) for each in planned_runs}
    todo = list({each.run.path: each for each, row in found.items() if row is None or not each.recorded(row)}.values())
    say(f"{len(planned_runs)} runs, {len(planned_runs) - len(todo)} of them recorded; {len(books)} notebooks")
    batch = _Batch(means, deadline, say)
    try:
        with stop_requests(deadline.asked):
            batch.train(sorted(todo, key=lambda t: t.worth if means.time_limit else (-t.cost,)))
            batch.execute(books)
    finally:
        if means.out is not None:
            files = bundle.pack([t.run for t in sorted(planned_runs, key=lambda t: t.worth)], means.out, say)
            say(f"{len(files)} files in {means.out}; `workbench import {means.out}` takes them over elsewhere")
    if means.report is not None and (todo or batch.executed or not (results() / "tables").is_dir()):
        say(f"tables in {means.report()}")
    if batch.failed:
        raise RunError(f"{len(batch.failed)} of {len(todo) + batch.executed} failed: {', '.join(batch.failed)}")


@dataclass
class _Deadline:
    """Moment to stop: on request, or so early before the time limit that checkpoints and bundle come before it."""

    limit: float | None
    began: float = field(default_factory=time.monotonic)
    asked: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> bool:
        return self.asked.is_set() or self.left < 0

    @property
    def left(self) -> float:
        """Seconds."""
        spent, limit = time.monotonic() - self.began, self.limit
        return math.inf if limit is None else limit - min(LEAVING, limit / 10) - spent

    def share(self, jobs: float) -> str:
        """The share of a job that begins with so many to come, itself among them, as a child reads it; "" for all."""
        return "" if self.limit is None else f"{time.monotonic() + self.left} {max(1.0, jobs)}"


class _Batch:
    """Jobs given to a pool; what failed."""

    def __init__(self, means: Means, deadline: _Deadline, say: Callable[[str], None]):
        self.means, self.deadline, self.say = means, deadline, say
        self.campaign = Campaign.of(results())
        self.failed: list[str] = []
        self.executed, self.cut = 0, False

    def train(self, planned_runs: Sequence[PlannedRun]) -> None:
        """Every run, by whoever was asked for; a quarantined one is left alone."""
        means, left = self.means, dict.fromkeys(each for each in planned_runs if lock.quarantined(each.run))
        for each in left:
            self._fail(each.label, "quarantined: its process died twice without progress; `run` tries it alone")
        if not (chosen := [each for each in planned_runs if each not in left]):
            return
        with dask_cluster.pool(means.workers, means.scheduler, means.slurm) as pool:
            self.say(f"{len(chosen)} runs to train, {pool.width} at a time")
            gpu = means.device == "cuda" or (not pool.remote and check_device(means.device) == "cuda")
            here = gpu and not pool.remote
            jobs: list[tuple[Job, Files | None]] = []
            groups = side_by_side(chosen) if here else [[planned_run] for planned_run in chosen]
            for index, group in enumerate(groups):
                share = self.deadline.share((len(groups) - index) / len(worker.gpus())) if here else ""
                label = f"{group[0].label}{''.join(f', {other.seed}' for other in group[1:])}"
                written, ids = (one.written for one in group), tuple(one.run.path.name for one in group)
                job = Job(label, ("run", means.device, share, *written), ids, gpu, shares=bool(share))
                jobs.append((job, worker.contents(group[0].run) if pool.remote else None))
            self._do(pool, jobs)

    def execute(self, books: Sequence[Book]) -> None:
        """Every notebook that is not up to date; always here, for they are views of this store."""
        stale = [book for book in books if not _unchanged(*book)]
        for path, *_ in (book for book in books if book not in stale):
            self.say(f"{path.stem}: unchanged")
        self.executed = len(stale)
        if stale:
            with dask_cluster.pool(self.means.workers) as pool:
                asked = [
                    ("notebook", str(path), json.dumps(book), str(output_of(path, book))) for path, book, _ in stale
                ]
                self._do(pool, [(Job(path.stem, words), None) for (path, *_), words in zip(stale, asked, strict=True)])
        done = [given for given in stale if given[0].stem not in self.failed]
        if done:
            self.say(pictures.draw([output_of(path, book) for path, book, _ in done]))
        for path, book, planned_runs in done:
            content = {"parameters": book, "fingerprint": papermill.fingerprint(path, book, planned_runs)}
            publish(_manifest(path, book), canonical_json(content).encode() + b"\n", replace=True)

    def _do(self, pool: dask_cluster.Pool, jobs: dask_cluster.Jobs) -> None:
        """All jobs to their end; a failed one is noted and the rest goes on. Raises Stopped where asked to stop."""
        if not self.deadline():
            pool.run(jobs, dask_cluster.Caller(self.campaign, self._done, self.deadline, self.say))
        if self.deadline() or self.cut:
            raise Stopped("stopped; what was finished is recorded, the same command continues")

    def _done(self, outcome: Outcome) -> None:
        job = outcome.job
        try:
            if outcome.files and job.runs:
                bundle.take(job.runs[0], outcome.files)
        except WorkbenchError as error:
            self._fail(job.label, f"cannot be taken over: {error}")
            return
        if outcome.code == DONE:
            self.say(f"{job.label}: done in {outcome.seconds:.0f} s")
        elif outcome.code == STOPPED and not self.deadline():
            if job.shares:
                self.cut = True
                self.say(f"{job.label}: stopped after {outcome.seconds:.0f} s, its share of the time")
            else:
                self._fail(job.label, f"stopped after {outcome.seconds:.0f} s by someone else")
        elif outcome.code != STOPPED:
            self._fail(job.label, f"failed after {outcome.seconds:.0f} s with exit code {outcome.code}: {outcome.said}")

    def _fail(self, label: str, why: str) -> None:
        self.failed.append(label)
        self.say(f"{label}: {why}")


def output_of(path: Path, book: Mapping[str, Any]) -> Path:
    """Path of an executed notebook: results/notebooks/NAME_BUDGET.ipynb."""
    return results() / "notebooks" / f"{path.stem}_{book.get('budget', 'quick')}.ipynb"


def _manifest(path: Path, book: Mapping[str, Any]) -> Path:
    return output_of(path, book).with_suffix(".json")


def _unchanged(path: Path, book: dict[str, Any], planned_runs: Sequence[PlannedRun]) -> bool:
    """Say whether the executed notebook is there and nothing that it depends on has changed since."""
    try:
        manifest = json.loads(_manifest(path, book).read_text())
    except (OSError, ValueError):
        return False
    known = isinstance(manifest, dict) and output_of(path, book).exists()
    return known and bool(manifest.get("fingerprint") == papermill.fingerprint(path, book, planned_runs))
