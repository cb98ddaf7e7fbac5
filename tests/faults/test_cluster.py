"""A cluster of processes on this machine: workers, scheduler and caller killed (faults 5 and 11); disks not shared."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from faults import bodies

from workbench import files as places
from workbench.errors import RunError, Stopped
from workbench.runs import folder as records
from workbench.runs.folder import pure
from workbench.runs.jobs import dask_cluster, plan
from workbench.runs.jobs.plan import Means
from workbench.runs.planned_run import PlannedRun

NAME = "adding_rnn_tanh_T100"
SMALL = tuple(bodies.TINY.items())
# A worker that sees another disk than the caller: the mark of the caller's store is not the one it finds.
ELSEWHERE = (
    "import sys; from workbench.runs.jobs import worker as children; children.Campaign.is_here = lambda self: False; "
)
WORKER = "from distributed.cli.dask_worker import main; sys.exit(main())"


class Processes:
    """A scheduler and workers, each a process of its own on 127.0.0.1."""

    def __init__(self, folder, workers=3, elsewhere=False):
        self.folder, self.elsewhere = folder, elsewhere
        self.scheduler = self._start("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
                                     "--no-dashboard", "--scheduler-file", str(folder / "scheduler.json"))  # fmt: skip
        bodies.wait_for((folder / "scheduler.json").exists)
        bodies.wait_for(lambda: (folder / "scheduler.json").read_text().endswith("}"))
        self.workers = [self.worker() for _ in range(workers)]

    @property
    def address(self):
        import json

        return json.loads((self.folder / "scheduler.json").read_text())["address"]

    def worker(self):
        code = ("" if not self.elsewhere else ELSEWHERE) + "import sys; " + WORKER
        return self._start("-c", code, self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
                           "--host", "127.0.0.1", "--local-directory", str(self.folder))  # fmt: skip

    def _start(self, *arguments):
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def close(self):
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


@pytest.fixture
def processes(tmp_path):
    made = []

    def make(**options):
        folder = tmp_path / f"cluster-{len(made)}"
        folder.mkdir()
        made.append(Processes(folder, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def planned_runs(count, steps=3000):
    """Runs of `steps` steps, which nothing else ends: the paper's drops of the rate would, after 60,300."""
    ends = (("train.steps", steps), ("train.evaluate_every", 500), ("train.drop_every", None))
    return [PlannedRun(NAME, "smoke", seed, (*SMALL[:-2], *ends)) for seed in range(count)]


def left_in_peace(chosen, monkeypatch, tmp_path):
    """The records of the trials when nothing disturbs them, one after another in this process."""
    from workbench.runs import run as study

    kept = os.environ["WORKBENCH_RESULTS"]
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "peace"))
    for planned_run in chosen:
        study.run(
            planned_run.experiment,
            planned_run.budget,
            planned_run.seed,
            changes=dict(planned_run.changes),
            progress=False,
        )
    found = {run.path.name: pure(run.result()) for run in records.find(places.runs())}
    monkeypatch.setenv("WORKBENCH_RESULTS", kept)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True], ids=["one disk", "disks apart"])
def test_11_a_sweep_outlives_its_workers(fault, processes, store, monkeypatch, tmp_path, elsewhere):
    """Scheduler and 3 workers as processes; one worker killed -9 again and again; every run recorded once, bitwise."""
    disks = "disks apart" if elsewhere else "one disk"
    kind = fault(11, f"dask worker killed every 20 s in a sweep of 40 runs, {disks}", 40, 3)
    long = kind.tries > 10
    chosen = planned_runs(kind.tries, steps=10_000 if long else 3000)
    there = processes(elsewhere=elsewhere)
    over = threading.Event()

    def kill_now_and_then():
        """Not before another run is done, so that a slow machine gets somewhere."""
        for index in itertools.count():
            recorded = len(list(store.glob("runs/*/result.json")))
            while not over.wait(20 if long else 0.2):
                if len(list(store.glob("runs/*/result.json"))) > recorded:
                    break
            if over.is_set():
                return
            there.workers[index % 3].kill()
            there.workers[index % 3].wait()
            kills.append(index)
            there.workers[index % 3] = there.worker()

    kind.tried = len(chosen)
    kills: list[int] = []
    said: list[str] = []
    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    try:
        plan.carry_out(chosen, [], Means(scheduler=there.address), said.append)
    except RunError as error:
        raise AssertionError("\n".join(said)) from error
    finally:
        over.set()
        killer.join()
    found = {run.path.name: pure(run.result()) for run in records.find(store / "runs")}
    assert found == left_in_peace(chosen, monkeypatch, tmp_path)
    assert sum(": done in" in line for line in said) == len(chosen)
    assert kills
    kind.survived = kind.tried
    kind.note = f"{len(kills)} workers killed"


def kill_when_training(store, process):
    bodies.wait_for(lambda: locks(store))
    process.kill()


@pytest.mark.slow
def test_11_without_its_scheduler_a_batch_ends_and_can_go_on(fault, processes, store):
    for _ in fault(11, "dask scheduler killed", 30, 1):
        there, said = processes(workers=1), []
        threading.Thread(target=kill_when_training, args=(store, there.scheduler)).start()
        with pytest.raises(RunError, match="scheduler: it is gone"):
            plan.carry_out(planned_runs(3, steps=200_000), [], Means(scheduler=there.address), said.append)
        there.close()
        bodies.wait_for(lambda: not locks(store), 20)
        assert all(run.result() is None for run in records.find(store / "runs"))
        shutil.rmtree(store / "runs")


CALLER = (
    "import sys; from faults.test_cluster import planned_runs; from workbench.runs.jobs import plan as batch; "
    "batch.carry_out(planned_runs(2), [], batch.Means(scheduler=sys.argv[1]), print)"
)


@pytest.mark.slow
def test_11_when_the_caller_is_gone_the_same_command_finishes_its_runs(fault, processes, store, monkeypatch, tmp_path):
    chosen, there = planned_runs(2), processes(workers=2)
    quiet = left_in_peace(chosen, monkeypatch, tmp_path)
    for _ in fault(11, "the caller of a dask cluster killed", 30, 1):
        caller = spawned(CALLER, there.address)
        bodies.wait_for(lambda: locks(store))
        caller.kill()
        caller.wait()
        said: list[str] = []
        plan.carry_out(chosen, [], Means(scheduler=there.address), said.append)
        assert {run.path.name: pure(run.result()) for run in records.find(store / "runs")} == quiet
        assert not locks(store)
        shutil.rmtree(store / "runs")


def locks(store):
    return list(store.glob("runs/*/lease"))


def spawned(code, *arguments):
    """A process that can import these tests."""
    path = os.pathsep.join([str(places.project() / "tests"), str(places.project())])
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL)


def alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # whose parent died where nobody collects
    except psutil.NoSuchProcess:
        return False


RUNNER = (
    "import sys; from faults.test_cluster import planned_runs; from workbench.runs.jobs import plan as batch; "
    "batch.carry_out(planned_runs(2, steps=200_000), [], batch.Means(workers=2), print)"
)


def trainers(runner):
    """The two processes that train, without those that live for a moment (git, which tells the commit); else None."""
    found = [child for child in runner.children(recursive=True) if alive(child) and "python" in child.name()]
    return found if len(found) == 2 else None


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_5_no_child_outlives_a_batch_runner(fault, store, kind):
    for _ in fault(5, f"{kind.name} of the batch runner", 30, 1):
        runner = spawned(RUNNER)
        bodies.wait_for(lambda: len(locks(store)) == 2)
        parent = psutil.Process(runner.pid)
        children = bodies.wait_for(lambda of=parent: trainers(of))
        runner.send_signal(kind)
        runner.wait(30)
        bodies.wait_for(lambda left=children: not any(alive(child) for child in left), 5)
        for run in records.find(store / "runs"):
            assert run.checkpoints(), "the leash let it save before it left"
            assert not (run.path / "lease").exists()
        shutil.rmtree(store / "runs")


@pytest.mark.slow
def test_a_time_limit_stops_in_time_with_a_checkpoint_and_a_bundle(store, tmp_path, monkeypatch):
    from workbench.runs.bundle import adopt

    began = time.monotonic()
    chosen = planned_runs(1, steps=10_000_000)
    with pytest.raises(Stopped):
        plan.carry_out(chosen, [], Means(workers=1, time_limit=30, out=tmp_path / "bundle"), print)
    assert time.monotonic() - began < 32
    files = list((tmp_path / "bundle").iterdir())
    assert len(files) <= 8
    assert all(path.stat().st_size <= 15_000_000 for path in files)
    reached = chosen[0].run.saved_step
    assert reached > 0
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    assert adopt(tmp_path / "bundle") == (1, 0)
    assert chosen[0].run.saved_step == reached


def test_an_open_port_is_refused_and_an_address_checked():
    from workbench.errors import ParameterError

    assert dask_cluster.check_address("tcp://127.0.0.1:8786")
    assert dask_cluster.check_address("tls://cluster.example:8786")
    for wrong in ("tcp://10.0.0.1:8786", "tcp://cluster.example:8786", "http://x:1", "127.0.0.1:8786", "tls://x", ""):
        with pytest.raises(ParameterError, match="scheduler: "):
            dask_cluster.check_address(wrong)
