"""A run or a notebook as a child process: in a session of its own, on a leash, tried again when it dies.

The leash is the child's standard input. When the parent lets go of it, on purpose or by dying, the child stops at its
next step, keeps a checkpoint and leaves: nothing of a batch outlives it. A child that dies takes nobody with it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch

from ...errors import DONE, STOPPED, WorkbenchError
from ...files import make_absolute, make_folder, publish
from .. import instructions, lock
from ..folder import Run, travels

GRACE = 10.0  # seconds from letting go of the leash to SIGTERM, and from there to SIGKILL
ENTRY = "import sys; from workbench.runs.jobs.worker import body; sys.exit(body(sys.argv[1:]))"

Files = dict[str, bytes]  # the files of a run's folder


@dataclass(frozen=True)
class Job:
    """Job of one child: the arguments of `body`; the ids of the runs it trains; whether it needs a GPU to itself, and
    has a share of a batch's time, not all of it."""

    label: str
    arguments: tuple[str, ...]
    runs: tuple[str, ...] = ()
    gpu: bool = False
    shares: bool = False


@dataclass(frozen=True)
class Outcome:
    """Outcome of a job: an exit code of ours or of the system, seconds, the last line said; `files`: see `perform`."""

    job: Job
    code: int
    seconds: float
    said: str = ""
    files: Files | None = None


@dataclass(frozen=True)
class Campaign:
    """Campaign of jobs, and what they share: its name, the caller's results folder and what marks that folder."""

    name: str
    results: str
    mark: str

    @classmethod
    def of(cls, results: Path) -> Campaign:
        """A new campaign that keeps its records in this folder, which is marked once, for good."""
        path = make_folder(results) / ".mark"
        with contextlib.suppress(FileExistsError):
            publish(path, secrets.token_hex(8).encode())
        return cls(secrets.token_hex(4), str(results), path.read_text())

    def is_here(self) -> bool:
        """Say whether this machine sees the caller's results folder."""
        try:
            return (Path(self.results) / ".mark").read_text() == self.mark
        except (OSError, ValueError):
            return False


@dataclass
class Family:
    """The children of this process."""

    alive: set[subprocess.Popen[str]] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)
    gpus: queue.SimpleQueue[str] | None = None


FAMILY = Family()


def stop(campaign: str) -> None:
    """Let go of all children of this process and start no more of a campaign; those who stay are ended as groups."""
    FAMILY.stopped.add(campaign)
    for child in list(FAMILY.alive):
        _let_go(child)
    for after, at_once in ((GRACE, False), (2 * GRACE, True)):
        timer = threading.Timer(after, _end, (list(FAMILY.alive), at_once))
        timer.daemon = True
        timer.start()


def perform(job: Job, campaign: Campaign, files: Files | None = None, say: Callable[[str], None] = print) -> Outcome:
    """A job to its end, in a child process; tried again when it dies, until it is quarantined.

    Where this machine sees the caller's results, its runs are trained there. Else the one it has is trained in a folder
    of its own, from `files`, and what it left comes back in the outcome.
    """
    if campaign.is_here():
        return _tries(job, campaign, Path(campaign.results), say)
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        run = Path(folder) / "runs" / (job.runs[0] if job.runs else "none")
        make_folder(run)
        for name, content in (files or {}).items():
            (run / name).write_bytes(content)
        outcome = _tries(job, campaign, Path(folder), say)
        return Outcome(job, outcome.code, outcome.seconds, outcome.said, contents(Run(run)))


def contents(run: Run) -> Files:
    """The files of a run's folder that mean something elsewhere; {} if there is none."""
    if not run.path.is_dir():
        return {}
    plain = (path for path in sorted(run.path.iterdir()) if path.is_file() and not path.is_symlink())
    return {path.name: path.read_bytes() for path in plain if travels(path.name)}


def _tries(job: Job, campaign: Campaign, results: Path, say: Callable[[str], None]) -> Outcome:
    runs = [Run(results / "runs" / name) for name in job.runs]
    began, deaths, said = time.monotonic(), 0, ""
    while True:
        code, said = (STOPPED, said) if campaign.name in FAMILY.stopped else _child(job, campaign, results, say)
        if campaign.name in FAMILY.stopped:
            return Outcome(job, DONE if code == DONE else STOPPED, time.monotonic() - began, said)
        if DONE <= code <= STOPPED:
            return Outcome(job, code, time.monotonic() - began, said)
        deaths += 1
        for run in runs:
            lock.count_death(run)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if deaths >= lock.DEATHS or any(map(lock.quarantined, runs)):
            return Outcome(job, code, time.monotonic() - began, f"quarantined: died of {how}, twice without progress")
        say(f"{job.label}: died of {how}; tried again")


def _child(job: Job, campaign: Campaign, results: Path, say: Callable[[str], None]) -> tuple[int, str]:
    """One child to its end: its exit code and the last line it said."""
    environment = {**os.environ, "WORKBENCH_RESULTS": str(results)}
    instructions.fix(environment)
    said = ""
    with _gpu(job, environment), _process([sys.executable, "-c", ENTRY, *job.arguments], environment) as child:
        if campaign.name in FAMILY.stopped:
            _let_go(child)
        for line in child.stderr or ():
            said = line.rstrip()
            say(said)
        code = child.wait()
    return code, said


@contextlib.contextmanager
def _process(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, env=dict(environment), text=True, errors="replace", start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        FAMILY.alive.add(child)
        try:
            yield child
        finally:
            FAMILY.alive.discard(child)
            _end([child], at_once=True)


@contextlib.contextmanager
def _gpu(job: Job, environment: dict[str, str]) -> Iterator[None]:
    """One GPU of this machine to itself, for a job that needs one."""
    if not job.gpu:
        yield
        return
    if FAMILY.gpus is None:
        FAMILY.gpus = queue.SimpleQueue()
        for name in gpus():
            FAMILY.gpus.put(name)
    mine = FAMILY.gpus.get()
    environment["CUDA_VISIBLE_DEVICES"] = mine
    try:
        yield
    finally:
        FAMILY.gpus.put(mine)


def gpus() -> list[str]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = list(filter(None, map(str.strip, os.environ.get("CUDA_VISIBLE_DEVICES", "").split(","))))
    return named or [str(index) for index in range(torch.cuda.device_count())]


def _let_go(child: subprocess.Popen[str]) -> None:
    """Close the leash: the child stops at its next step."""
    with contextlib.suppress(OSError):
        if child.stdin is not None:
            child.stdin.close()


def _end(children: list[subprocess.Popen[str]], at_once: bool) -> None:
    """A signal to the whole group of each child that is still there, the last one where `at_once`."""
    for child in children:
        if child.returncode is not None:
            continue
        if sys.platform == "win32":  # which has no groups, and no signal but the last
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(child.pid)
                for one in [process, *process.children(recursive=True)]:
                    with contextlib.suppress(psutil.Error):
                        one.kill()
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL if at_once else signal.SIGTERM)


# --- inside the child ---


def body(arguments: list[str]) -> int:
    """The child's own work, `run DEVICE SHARE PLANNED...` (JSON) or `notebook PATH VALUES OUTPUT`; its exit code."""
    make_absolute()
    verb, *rest = arguments
    try:
        if verb == "notebook":
            _follow(_interrupt_kernels)
            from .papermill import execute

            path, values, output = rest
            execute(Path(path), json.loads(values), Path(output))
        else:
            _follow(_ask_to_stop)
            _run(*rest)
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return STOPPED
    return DONE


def _follow(stop: Callable[[], None]) -> None:
    """Call `stop` when the parent lets go of this process's standard input."""

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(0, 4096):
                pass
        stop()

    threading.Thread(target=watch, daemon=True).start()


def _ask_to_stop() -> None:
    """SIGTERM to this process, whose handler lets the run stop at its next step."""
    if sys.platform == "win32":  # where os.kill asks nobody
        signal.raise_signal(signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)


def _run(device: str, share: str, *planned: str) -> None:
    """Train one run, or several seeds of one side by side; `share`: "" or when all must end, by this machine's
    `time.monotonic()`, and by how many this job has to divide the time until then."""
    from ..planned_run import PlannedRun, train_side_by_side

    end, among = map(float, share.split()) if share else (math.inf, 1.0)
    limit = max(1.0, (end - time.monotonic()) / among) if share else None
    runs = [PlannedRun.read(one) for one in planned]
    alone = len(runs) == 1
    for record in [runs[0].train(device, time_limit=limit)] if alone else train_side_by_side(runs, device, limit):
        record.check()


def _interrupt_kernels() -> None:
    """Interrupt the kernel, so that a run inside it stops with a checkpoint; killed, it would run no `finally`."""
    kernels = [c for c in psutil.Process().children(recursive=True) if "ipykernel" in " ".join(c.cmdline())]
    for kernel in kernels:
        with contextlib.suppress(psutil.Error, ValueError):  # ValueError: Windows knows no such signal
            kernel.send_signal(signal.SIGINT)
    time.sleep(GRACE * 0.6)
    for kernel in kernels:
        with contextlib.suppress(psutil.Error):
            kernel.kill()
    os._exit(STOPPED)
