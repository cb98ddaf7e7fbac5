"""One run, from an experiment's name to its record: reuse what is recorded, resume what was begun, train the rest."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import InitVar, dataclass
from typing import Any

import torch

from .. import files, recurrence
from ..config import SCHEMA, Budget, Config, run_id
from ..errors import ParameterError, RunError, Stopped, StoreError, WorkbenchError, quoted, told
from ..models import distributed
from ..models.distributed import Ranks
from ..paper import claims
from ..progress import notices
from ..seeds import check_seed
from ..tasks import data_hashes, spec
from ..training import Trainer
from ..training.cuda_graphs import beside, wanted
from . import memory_check
from .asked import check_count, check_device, check_time_limit, last_step, pinned_threads, resolve
from .folder import Run
from .lock import Lock, check_progress, set_aside
from .provenance import NUMERICS
from .record import Record
from .train_and_record import RecordedTraining


def run(
    experiment: str | Config,
    budget: Budget = "quick",
    seed: int = 0,
    *,
    device: str = "auto",
    backend: str = "auto",
    graphs: str = "auto",
    threads: int | None = None,
    changes: Mapping[str, Any] | None = None,
    until: int | None = None,
    fresh: bool = False,
    time_limit: float | None = None,
    progress: bool = True,
    watch: Callable[[dict[str, Any]], None] | None = None,
    stop: threading.Event | None = None,
) -> Record:
    """Train a run as far as its budget goes, or return what is recorded; the record has `curve` and `summary`.

    `experiment`: a name of `workbench list`, a Config of your own, or the path of sequences of your own, which are
    trained by the recipe (SEQUENCES.md). `changes`: fields by path, such as
    {"model.depth": 4}. `budget`: smoke (seconds, a smaller computation), quick (minutes, the beginning of the paper's
    run) or paper; `until`: the step to go to, in place of the budget's. The seed decides everything that is random.
    `threads` is pinned when a run begins (1 unless given, so that results do not depend on the machine's cores).
    `graphs`: auto, on or off: whether a training step is recorded as CUDA graphs and replayed (cuda_graphs.py).
    `fresh` sets an earlier record aside. `time_limit` in seconds. `watch` is given each evaluation's row. Ctrl-C or
    SIGTERM, or setting `stop` from another thread, stop at the next step and raise Stopped; the same call continues.
    Where another process trains the same run, this one waits for it, and uses its result.
    Of the processes that torchrun starts, each takes a part of every batch and, on GPUs, a device; the first one keeps
    the record, in a folder that all can read.
    """
    ways: dict[str, Any] = {"device": device, "backend": backend, "graphs": graphs, "threads": threads, "watch": watch}
    ways |= {"changes": changes, "until": until, "fresh": fresh, "time_limit": time_limit}
    steps = _steps(_Asked(experiment, budget, **ways), check_seed(seed), stop, progress)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            record: Record = end.value
            return record


def run_seeds(
    experiment: str | Config,
    budget: Budget = "quick",
    seeds: Sequence[int] = (0, 1, 2),
    *,
    say: Callable[[str], None] = print,
    stop: threading.Event | None = None,
    **ways: Any,
) -> list[Record]:
    """Train a run under several seeds in one process, in turns, a step of each; each is bit for bit what `run` makes.

    On a CUDA device every seed has a stream and graphs of its own, so that one's steps fill the gaps of another's: less
    time a seed, not more time for one. All end by the same `time_limit`. `say` is told how each ended. One that fails
    leaves the others alone: RunError names those at the end, and Stopped where any was stopped. `ways`: all else that
    `run` takes.
    """
    asked = _Asked(experiment, budget, **ways)
    seeds = [check_seed(seed) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ParameterError(f"seeds: {seeds} received; one or more different seeds are needed")
    before = torch.get_num_threads()
    try:
        with stop_requests(stop) as stopping:
            lines = not sys.stderr.isatty()  # bars would write over each other
            runs = {seed: _steps(asked, seed, stopping, lines, alternating=True) for seed in seeds}
            return _in_turns(runs, torch.device(asked.device), f"{asked.name} seed", say)
    finally:
        torch.set_num_threads(before)


def _in_turns(
    runs: Mapping[int, Generator[None, None, Record]], device: torch.device, label: str, say: Callable[[str], None]
) -> list[Record]:
    """The records of all runs, by seed, in the order given; a run is called `label` and its seed.

    While the device works on the step of one, the next begins its own.
    """

    def tell(line: str) -> None:
        with suppress(OSError):  # nobody listens any more, and the others must not suffer for it
            say(line)

    streams = {seed: torch.Stream(device) if device.type != "cpu" else None for seed in runs}
    left, records, stopped = dict(runs), {}, []
    failed: dict[int, Exception] = {}
    while left:
        for seed, steps in list(left.items()):
            try:
                with beside(streams[seed]):
                    next(steps)
                continue
            except StopIteration as end:
                records[seed] = end.value
                tell(f"{label} {seed}: {end.value.status}")
            except Stopped as error:
                stopped.append(str(error))
                tell(str(error))
            except Exception as error:  # whatever it is, raised below once the others have ended
                failed[seed] = error
                tell(f"{label} {seed}: failed: {told(error)}")
            del left[seed]
    if failed:
        strange = next((error for error in failed.values() if not isinstance(error, WorkbenchError)), None)
        raise RunError(f"{len(failed)} of {len(runs)} failed: {label} {', '.join(map(str, failed))}") from strange
    if stopped:
        raise Stopped(f"{len(stopped)} of {len(runs)} stopped; the same command continues")
    return [records[seed] for seed in runs]


@dataclass
class _Asked:
    """All that is to be run but the seed, checked."""

    experiment: InitVar[str | Config]
    budget: Budget
    device: str = "auto"
    backend: str = "auto"
    graphs: str = "auto"
    threads: int | None = None
    changes: Mapping[str, Any] | None = None
    until: int | None = None
    fresh: bool = False
    time_limit: float | None = None
    watch: Callable[[dict[str, Any]], None] | None = None

    def __post_init__(self, experiment: str | Config) -> None:
        self.name, self.config, last = resolve(experiment, self.budget, self.changes)
        self.until = last_step(self.until, self.config, last)
        check_time_limit(self.time_limit)
        self.deadline = time.monotonic() + (self.time_limit or math.inf)
        self.pinned = 1 if self.threads is None else check_count("threads", self.threads)
        if self.watch is not None and not callable(self.watch):
            raise ParameterError(f"watch: {quoted(self.watch)} received; a function of one row is needed, or None")
        self.device = distributed.own_device(check_device(self.device))
        if self.backend != "auto" and (reason := recurrence.unavailable(self.backend)) is not None:
            raise ParameterError(f"backend: {self.backend!r} cannot run here: {reason}")


def _steps(
    asked: _Asked, seed: int, stop: threading.Event | None, progress: bool, *, alternating: bool = False
) -> Generator[None, None, Record]:
    """The steps of a run, to its record; see `RecordedTraining.go` for when it yields."""
    config, device, until, fresh = asked.config, asked.device, asked.until, asked.fresh
    made = _spec(asked.name, asked.budget, config, seed, asked.pinned)
    folder = Run(files.runs() / made["id"])
    together = distributed.join(device)
    label = f"{asked.name} seed {seed}"
    ways = {"backend": asked.backend, "graphs": asked.graphs}
    with together.company(label):
        wanted(asked.graphs, config, spec(config.task), torch.device(device), together.count)
        if not fresh and together.lead(lambda: _answered(folder, config, until)):
            return Record(folder)
        if not fresh:
            together.lead(lambda: check_progress(folder))
        trainer = _trainer(config, seed, label, device=device, ranks=together, **ways)
        if fresh:  # only now, when nothing given is wrong
            together.lead(lambda: set_aside(folder))
        together.lead(lambda: folder.create(made, trainer.task.drawn()))
        pinned = together.lead(lambda: int(folder.spec()["threads"]))
        lease = Lock(folder, lambda: (stop is not None and stop.is_set()) or time.monotonic() > asked.deadline)
        with ExitStack() as held:

            def take() -> bool:
                held.enter_context(lease)
                return _answered(folder, config, until)  # another process may have gone there since

            if not together.lead(take):
                requests = nullcontext(stop or threading.Event()) if alternating else stop_requests(stop)
                with pinned_threads(pinned), requests as stopping:
                    training = RecordedTraining(lease, trainer, pinned, device, label, progress, asked.watch)
                    for _ in training.go(until, asked.deadline, stopping, alternating=alternating):
                        yield
                        torch.set_num_threads(pinned)  # another run may have others
    return Record(folder)


def _spec(name: str, budget: Budget, config: Config, seed: int, threads: int) -> dict[str, Any]:
    """The content of a run's spec.json: all that is computed."""
    data = data_hashes(config.task)
    return {
        "schema": SCHEMA,
        "id": run_id(config, seed, data),
        "experiment": name,
        "smoke": budget == "smoke",
        "config": config.model_dump(),
        "seed": seed,
        "data": data,
        "threads": threads,
        "numerics": NUMERICS,
        "claims": claims.table_hash(claims.present()),
    }


def _trainer(config: Config, seed: int, label: str, *, device: str, ranks: Ranks, **ways: Any) -> Trainer:
    """A run in memory, made before its folder: a wrong value, or too little memory, leaves no trace."""
    each = config if device == "cpu" else config.set({"train.batch": -(-config.train.batch // ranks.count)})
    memory_check.check(each, device, label)
    try:
        return Trainer(config, seed, device=device, ranks=ranks, **ways)
    except (MemoryError, RuntimeError) as error:
        if memory_check.is_exhaustion(error):
            raise memory_check.refusal(config, label, "it could not be had") from None
        raise


def _answered(folder: Run, config: Config, until: int | None) -> bool:
    """Say whether the record of a run already answers; StoreError where it does not and cannot be continued."""
    with files.using(folder.path):
        if not (folder.path / "spec.json").exists():
            return False
    record = Record(folder)
    if record.config != config:
        raise StoreError(f"{folder.path / 'spec.json'}: another config than its id names; `run --fresh` starts anew")
    if reached(record, until):
        if record.numerics != NUMERICS:
            said = f"{record.experiment} seed {record.seed}: recorded under numerics {record.numerics}, not {NUMERICS}"
            print(f"{said}; `run --fresh` trains it anew", file=notices(), flush=True)
        return True
    if record.numerics != NUMERICS:
        raise StoreError(
            f"{folder.path / 'spec.json'}: begun under numerics {record.numerics}, and this version computes under "
            f"{NUMERICS}: the two would not be one run; `run --fresh` starts anew"
        )
    return False


def reached(record: Record, until: int | None) -> bool:
    """Say whether a record already answers for a budget: at its end, or scored at that step or later."""
    if record.run.result() is not None:
        return True
    return until is not None and any(e["step"] >= until for e in record.budgets)


@contextmanager
def stop_requests(stop: threading.Event | None = None) -> Iterator[threading.Event]:
    """SIGINT, SIGTERM and SIGHUP set a flag while inside (in the main thread); nothing is ever saved in a handler."""
    stop = stop or threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    kinds = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # the terminal is closed; Windows has none
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:  # as under nohup
        kinds.append(hangup)
    before = {kind: signal.signal(kind, lambda *_: stop.set()) for kind in kinds}
    try:
        yield stop
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
