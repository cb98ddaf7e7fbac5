"""Processes that are killed, stopped, starved or spoiled (faults 1, 2, 4, 12 to 14, 16, 17)."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import time

import forked
import pytest
import torch
from faults import bodies

import workbench as wb
from workbench.errors import RunError
from workbench.runs import folder as records
from workbench.runs import lock, memory_check
from workbench.runs.folder import Run, pure
from workbench.runs.jobs import plan, worker
from workbench.runs.planned_run import PlannedRun


def saved(results):
    """The checkpoints in a store, the newest last."""
    return sorted(results.glob("runs/*/ck-*.pt"), key=lambda p: int(p.name.split("-")[1]))


def killed_until_done(forks, results, chance, kills, pace, flips=False):
    """A run of `pace` seconds whose process is killed at random points, up to `kills` times, then left to end.

    -> the kills it took, and how many of them came when it had a checkpoint, which `flips` damages.
    """
    late = 0
    for count in range(kills + 1):
        child = forks.Process(target=bodies.trained, args=(results,))
        child.start()
        if flips:
            bodies.wait_for(lambda child=child: saved(results) or child.exitcode is not None)
        child.join(None if count == kills else chance.uniform(0, pace))
        if child.exitcode is not None:
            assert child.exitcode == 0
            return count, late
        child.kill()
        child.join()
        late += bool(saved(results))
        if flips and saved(results):
            bodies.flip(saved(results)[-1], chance)
    raise AssertionError("the last attempt ended neither by a kill nor by itself")


@pytest.fixture(scope="module")
def pace(forks, tmp_path_factory):
    """Seconds a run takes in a process of its own, on a machine as busy as this; the second, for the first warms."""
    for name in ("first", "second"):
        began = time.monotonic()
        child = forks.Process(target=bodies.trained, args=(tmp_path_factory.mktemp(name) / "results",))
        child.start()
        child.join()
    return time.monotonic() - began


@pytest.mark.parametrize("flips", [False, True], ids=["kill -9", "and a flipped bit"])
def test_1_and_2_a_killed_trainer_ends_bitwise_as_one_left_in_peace(fault, forks, quiet, pace, tmp_path, flips):
    chance = random.Random(1 + flips)
    if flips:
        kind = fault(2, "the same, and the newest checkpoint damaged", 100, 6)
    else:
        kind = fault(1, "kill -9 of the trainer at random points", 300, 12)
    rounds = after = 0
    while kind.more:
        results = tmp_path / str(rounds)
        kills, late = killed_until_done(forks, results, chance, min(6, kind.tries - kind.tried), pace, flips)
        (run,) = records.find(results / "runs")
        assert pure(run.result()) == quiet[0]
        kind.tried += late if flips else kills
        kind.survived = kind.tried
        after += late
        kind.note = "" if flips else f"{after} of them when it had a checkpoint"
        rounds += 1


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_4_a_signal_stops_with_a_checkpoint(fault, forks, quiet, tmp_path, kind):
    for index in fault(4, f"{kind.name} during training", 50, 3):
        results = tmp_path / str(index)
        child = forks.Process(target=bodies.trained, args=(results,))
        child.start()
        bodies.wait_for(lambda results=results, child=child: saved(results) or child.exitcode == 0)
        os.kill(child.pid, kind)
        child.join(10)
        assert child.exitcode in (0, 5)  # 0: it was at its end already
        (run,) = records.find(results / "runs")
        assert run.checkpoints()
        assert lock.status(run) == ("resumable" if child.exitcode == 5 else "done")
    again = forks.Process(target=bodies.trained, args=(results,))
    again.start()
    again.join()
    assert pure(run.result()) == quiet[0]


TRAP = (  # the children's entry, with a death in the second seed's first training step
    "import os, sys; from workbench.training import trainer as train; from workbench.runs.jobs.worker import body; "
    "doomed = ':1}' in ' '.join(sys.argv); "  # a planned run, as JSON, ends with its seed
    "train.Trainer.advance = (lambda self: os.kill(os.getpid(), 9)) if doomed else train.Trainer.advance; "
    "sys.exit(body(sys.argv[1:]))"
)


@pytest.mark.slow
def test_12_a_run_that_kills_its_process_is_quarantined_and_harms_no_other(fault, store, monkeypatch):
    """The second seed's process dies twice; the other is done, the next batch leaves it be, by hand it goes on."""
    name, entry = "adding_rnn_tanh_T100", worker.ENTRY
    doomed = PlannedRun(name, "smoke", 1)
    for _ in fault(12, "a run that kills its process", 10, 1):
        said: list[str] = []
        monkeypatch.setattr(worker, "ENTRY", TRAP)
        with pytest.raises(RunError, match=f"1 of 2 failed: {name} seed 1"):
            plan.reproduce([name], "smoke", seeds=2, say=said.append)
        assert f"{name} seed 1: died of signal 9; tried again" in said
        assert any("quarantined: died of signal 9, twice without progress" in line for line in said)
        assert PlannedRun(name, "smoke", 0).recorded()
        monkeypatch.setattr(worker, "ENTRY", entry)
        with pytest.raises(RunError, match="1 of 1 failed"):
            plan.reproduce([name], "smoke", seeds=2, say=said.append)
        assert lock.status(doomed.run) == "quarantined"
        assert wb.run(name, "smoke", 1, progress=False).status == "done"
        shutil.rmtree(store / "runs")


@pytest.mark.slow
def test_17_of_two_that_reproduce_the_same_the_second_waits_and_uses_the_result(fault, tmp_path):
    """Two command lines begun at once on one store: both end well, one says that it waits, each run is made once."""
    command = ("reproduce", "adding_indrnn_T100", "--budget", "smoke", "--seeds", "2")
    kind = fault(17, "two `reproduce` of the same at once", 10, 1)
    waits = 0
    for index in kind:
        places = [tmp_path / f"{index}-{one}" for one in range(2)]
        environment = os.environ | {"WORKBENCH_RESULTS": str(tmp_path / str(index))}
        pair = [forked.Child(forked.workbench, *command, env=environment, output=place) for place in places]
        codes = [process.wait(900) for process in pair]
        said = [place.read_text() for place in places]
        assert codes == [0, 0], said
        assert not any("failed" in text for text in said)
        waits += sum("trains it now; waiting for it" in text for text in said)
        found = list(records.find(tmp_path / str(index) / "runs"))
        assert [lock.status(run) for run in found] == ["done", "done"]
        assert [run.troubles() for run in found] == [[], []]
    kind.note = f"{waits} said that they waited"


def test_13_out_of_memory_says_so_and_the_next_run_is_unharmed(fault, forks, quiet, tmp_path):
    for index in fault(13, "out of memory", 10, 1):
        results = tmp_path / str(index)
        child = forks.Process(target=bodies.starved, args=(results, 300))
        child.start()
        child.join()
        said = (tmp_path / f"{index}.stderr").read_text()
        assert child.exitcode == 1, said
        assert "failed: out of memory (T 20,000, B 64, N 128, depth 2: needs at least" in said
        assert "Traceback" not in said
        (run,) = records.find(results / "runs")
        assert lock.status(run) == "failed"
        child = forks.Process(target=bodies.trained, args=(results,))
        child.start()
        child.join()
        done = [r.result() for r in records.find(results / "runs") if r.result()]
        assert [pure(result) for result in done] == [quiet[0]]


def test_13_what_cannot_fit_is_refused_before_it_begins(store, monkeypatch):
    monkeypatch.setattr(memory_check, "available", lambda _: 10**6)
    with pytest.raises(memory_check.OutOfMemory, match=r"T 100, B 32, N 128, depth 2: needs at least .*, has 1.0 MB"):
        wb.run("adding_indrnn_T100", progress=False)
    assert not (store / "runs").exists()


@pytest.mark.parametrize(
    ("bad", "value", "status"),
    [
        ({30}, math.nan, "done"),
        ({30, 31}, math.inf, "done"),
        ({50}, 1e30, "done"),
        ({30, 31, 32}, math.nan, "diverged"),
    ],
    ids=["one NaN", "two inf", "a spike", "three NaN"],
)
def test_14_no_checkpoint_that_is_not_finite_replaces_a_good_one(fault, store, monkeypatch, bad, value, status):
    monkeypatch.setattr("workbench.runs.train_and_record.CHECKPOINT_EVERY", 0.0)
    monkeypatch.setattr("workbench.runs.train_and_record.FIRST_CHECKPOINT", 0.0)
    monkeypatch.setattr("workbench.runs.train_and_record.CHECKPOINT_SHARE", 1.0)
    steps = []
    monkeypatch.setattr(Run, "save_checkpoint", watched(Run.save_checkpoint, steps))
    for _ in fault(14, f"loss {value:g} at {len(bad)} step{'s' * (len(bad) > 1)}", 5, 1):
        record = bodies.spoiled(bad, value)
        assert record.status == status
        assert len(steps) > 5
        for path in record.run.checkpoints():
            record.run.read_checkpoint(path)
        row = wb.list_records().iloc[0]
        assert row["status"] == status
        record.run.set_aside()


def watched(save, steps):
    """`save_checkpoint`, with the weights of every state looked at first."""

    def checked(self, step, trainer, *rest):
        assert all(bool(torch.isfinite(v).all()) for v in trainer["net"].values())
        steps.append(step)
        save(self, step, trainer, *rest)

    return checked


@pytest.mark.parametrize("shift", [-(10**9), -3600, -1, 1, 3600, 10**9])
def test_16_a_clock_set_forward_or_back_loses_nothing(fault, tmp_path, monkeypatch, shift):
    """Wall clock and times of files mean nothing: a lease of another machine is judged by its heartbeat alone."""
    now = time.time
    for _ in fault(16, f"clock set by {shift:,} s", 1, 1):
        run = Run(tmp_path)
        monkeypatch.setattr(time, "time", lambda: now() + shift)
        foreign = {"host": "elsewhere", "place": "", "pid": 1, "started": "1", "owner": "x", "beat": 1}
        (tmp_path / "lease").write_text(json.dumps(foreign))
        os.utime(tmp_path / "lease", (now() - shift, now() - shift))
        watch = lock.Watch()
        assert lock.status(run, watch) == "running"
        assert lock.status(run, watch) == "running"
        monkeypatch.setattr(lock, "STALE", 0.0)
        time.sleep(0.01)
        assert lock.status(run, watch) == "pending"  # silent for longer than STALE, by our own clock
        (tmp_path / "lease").unlink()
