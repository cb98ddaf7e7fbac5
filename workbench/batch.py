"""Many runs and notebooks: plan, train what is missing in child processes, execute the notebooks, write the tables.

Every run is `workbench run` in a process and session of its own, so that it ends as a group and one that dies takes
nobody with it. Interrupted work resumes; what did not change is not executed again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import execute, notebook, paper, places
from .config import canonical_json
from .disk import publish
from .errors import ParameterError, RunError, Stopped, WorkbenchError
from .record import Record, find
from .study import check_count, check_time_limit

DEFAULT_STUDY = ("00_tour", "fig4_adding", "table2_pixels")


@dataclass(frozen=True)
class Job:
    """One child process: what it is called, its command line, how it ended."""

    label: str
    command: list[str]


def reproduce(
    targets: Sequence[str] = DEFAULT_STUDY,
    budget: str = "quick",
    *,
    seeds: int | None = None,
    values: Mapping[str, Any] | None = None,
    workers: int | None = None,
    device: str = "auto",
    time_limit: float | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Notebooks and experiments at a budget: their runs first, several at once, then the notebooks, then the tables.

    Raises RunError if anything failed (the rest is done all the same) and Stopped on Ctrl-C, SIGTERM or time limit.
    """
    check_time_limit(time_limit)
    books, runs = plan(targets, budget, seeds, values or {}, device, say)
    pool = Pool(_cores() if workers is None else check_count("workers", workers), time_limit, say)
    todo = [run for run in runs if not recorded(*run)]
    say(f"{len(runs)} runs, {len(runs) - len(todo)} of them recorded; {len(books)} notebooks; {pool.workers} at a time")
    pool.run([_run_job(*run, device=device) for run in sorted(todo, key=_cost, reverse=True)])
    stale = [book for book in books if not _unchanged(*book)]
    for path, book in books:
        if (path, book) not in stale:
            say(f"{path.stem}: unchanged")
    pool.run([_notebook_job(path, book) for path, book in stale])
    for path, book in stale:
        if path.stem not in pool.failed:
            _write_manifest(path, book)
    from .tables import write_tables

    folder = write_tables()
    say(f"tables in {folder}")
    if pool.failed:
        raise RunError(f"{len(pool.failed)} of {len(todo) + len(stale)} failed: {', '.join(pool.failed)}")


def plan(
    targets: Sequence[str],
    budget: str,
    seeds: int | None,
    values: Mapping[str, Any],
    device: str,
    say: Callable[[str], None] = print,
) -> tuple[list[tuple[Path, dict[str, Any]]], list[tuple[str, str, int]]]:
    """The notebooks with their checked parameters, and the runs of all targets, each once."""
    books, runs = [], []
    notebook.Parameter("budget", str, "").check(budget)
    notebook.Parameter("device", str, "").check(device)
    if seeds is not None:
        notebook.Parameter("seeds", int, 1).check(seeds)
    for target in [targets] if isinstance(targets, str) else targets:
        if target in tuple(paper.EXPERIMENTS):
            if values:
                raise ParameterError(
                    f"{next(iter(values))}: {target} is an experiment and takes no -p; use `run --set`"
                )
            count = paper.experiment(target).seeds if seeds is None else seeds
            runs += [(target, budget, seed) for seed in range(count)]
            continue
        path = notebook.find(target)
        known = notebook.parameters(path)
        given = {"budget": budget, "device": device, **({"seeds": seeds} if seeds is not None else {})}
        given = {name: value for name, value in given.items() if name in known} | dict(values)
        book = notebook.at_hand(notebook.check(path, given), say)
        books.append((path, book))
        runs += notebook.planned(book)
    return books, list(dict.fromkeys(runs))


class Pool:
    """Runs child processes, `workers` at a time; passes their lines on; ends them as groups when asked to stop."""

    def __init__(self, workers: int, time_limit: float | None, say: Callable[[str], None]):
        self.workers, self.say = workers, say
        self.deadline = None if time_limit is None else time.monotonic() + time_limit
        self.stopping = threading.Event()
        self.children: set[subprocess.Popen[str]] = set()
        self.failed: list[str] = []

    def run(self, jobs: Sequence[Job]) -> None:
        """All jobs to their end; a failed one is noted and the rest goes on. Raises Stopped where asked to stop."""
        if not jobs:
            return
        before = {kind: signal.signal(kind, lambda *_: self.stopping.set()) for kind in (signal.SIGINT, signal.SIGTERM)}
        try:
            with ThreadPoolExecutor(self.workers) as threads:
                waiting: set[Future[None]] = {threads.submit(self._child, job) for job in jobs}
                while waiting:
                    _, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                    if self.deadline is not None and time.monotonic() > self.deadline:
                        self.stopping.set()
                    if self.stopping.is_set():
                        self._stop()
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)
        if self.stopping.is_set():
            raise Stopped("stopped; what was finished is recorded, the same command continues")

    def _child(self, job: Job) -> None:
        if self.stopping.is_set():
            return
        began = time.monotonic()
        with subprocess.Popen(
            job.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as child:
            self.children.add(child)
            for line in child.stderr or ():
                self.say(line.rstrip())
            code = child.wait()
        self.children.discard(child)
        took = f"{time.monotonic() - began:.0f} s"
        if code == 0:
            self.say(f"{job.label}: done in {took}")
        elif not self.stopping.is_set():
            self.failed.append(job.label)
            self.say(f"{job.label}: failed after {took} with exit code {code}")

    def _stop(self) -> None:
        """SIGTERM to each child's group: a run checkpoints at its next step and leaves."""
        for child in list(self.children):
            if child.poll() is None:
                try:
                    os.killpg(child.pid, signal.SIGTERM)
                except ProcessLookupError:
                    continue
        time.sleep(0.2)


def output_of(path: Path, book: Mapping[str, Any]) -> Path:
    """Where an executed notebook goes: results/notebooks/NAME_BUDGET.ipynb."""
    return places.results() / "notebooks" / f"{path.stem}_{book.get('budget', 'quick')}.ipynb"


def _run_job(name: str, budget: str, seed: int, device: str) -> Job:
    command = [sys.executable, "-m", "workbench", "run", name, "--budget", budget, "--seed", str(seed)]
    return Job(f"{name} seed {seed}", [*command, "--device", device])


def _notebook_job(path: Path, book: Mapping[str, Any]) -> Job:
    code = "import sys; from workbench.batch import execute_job; sys.exit(execute_job(*sys.argv[1:]))"
    return Job(path.stem, [sys.executable, "-c", code, str(path), json.dumps(dict(book)), str(output_of(path, book))])


def execute_job(path: str, values: str, output: str) -> int:
    """The body of a notebook's child process; its exit code."""
    try:
        execute.execute(Path(path), json.loads(values), Path(output))
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return error.code
    return 0


def recorded(name: str, budget: str, seed: int) -> bool:
    """Whether a run has been taken as far as a budget goes, in this user's own store."""
    from .study import reached

    record = find(name, seed, smoke=budget == "smoke", own=True)
    return record is not None and reached(record, paper.experiment(name).at(budget)[1])  # type: ignore[arg-type]


def _cost(run: tuple[str, str, int]) -> float:
    """A guess at how long a run takes, to begin with the longest: steps x length x layers."""
    config, until = paper.experiment(run[0]).at(run[1])  # type: ignore[arg-type]
    return float((until or config.train.steps or 10**6) * config.task.length * config.model.depth)


def _manifest(path: Path, book: Mapping[str, Any]) -> Path:
    return output_of(path, book).with_suffix(".json")


def _records_of(book: Mapping[str, Any]) -> list[Record]:
    found = [find(name, seed, smoke=budget == "smoke", own=True) for name, budget, seed in notebook.planned(book)]
    return [record for record in found if record is not None]


def _unchanged(path: Path, book: dict[str, Any]) -> bool:
    """Whether the executed notebook is there and nothing that it depends on has changed since."""
    try:
        manifest = json.loads(_manifest(path, book).read_text())
    except (OSError, ValueError):
        return False
    if not output_of(path, book).exists() or not isinstance(manifest, dict):
        return False
    return bool(manifest.get("fingerprint") == execute.fingerprint(path, book, _records_of(book)))


def _write_manifest(path: Path, book: dict[str, Any]) -> None:
    content = {"parameters": book, "fingerprint": execute.fingerprint(path, book, _records_of(book))}
    publish(_manifest(path, book), canonical_json(content).encode() + b"\n", replace=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
