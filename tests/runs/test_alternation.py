"""Several seeds in one process, in turns: each is bit for bit its single run."""

import json
import threading
from contextlib import nullcontext

import pytest

from workbench.__main__ import main
from workbench.errors import ParameterError, RunError, Stopped
from workbench.runs import provenance
from workbench.runs.folder import pure
from workbench.runs.jobs import dask_cluster, plan, worker
from workbench.runs.planned_run import PlannedRun, side_by_side
from workbench.runs.run import run, run_seeds
from workbench.runs.status import overview
from workbench.training import Trainer

NAME = "seqdigits_plain6"
CHANGES = {"model.depth": 2, "model.hidden": 8, "train.steps": 12, "train.evaluate_every": 4, "task.limit": 64}


def together(seeds=(0, 1, 2), **ways):
    return run_seeds(NAME, "smoke", seeds, changes=CHANGES, **{"say": lambda _: None} | ways)


def alone(seed):
    return run(NAME, "smoke", seed, changes=CHANGES, progress=False)


def results(records):
    return [(pure(record.run.result()), [e["u"] for e in record.evaluations]) for record in records]


def test_seeds_in_turns_are_each_the_single_run(store, tmp_path, monkeypatch):
    order = []
    begin, finish = Trainer.begin, Trainer.finish
    monkeypatch.setattr(Trainer, "begin", lambda self: order.append(("begin", self.seed)) or begin(self))
    monkeypatch.setattr(Trainer, "finish", lambda self: order.append(("finish", self.seed)) or finish(self))
    ours = together()
    assert order[:6] == [("begin", 0), ("begin", 1), ("begin", 2), ("finish", 0), ("begin", 0), ("finish", 1)]
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "alone"))
    assert results(ours) == results([alone(seed) for seed in (0, 1, 2)])


def test_what_is_stopped_goes_on_alone_or_together(store, tmp_path, monkeypatch):
    stop, steps = threading.Event(), []
    finish = Trainer.finish

    def finished(self):
        steps.append(self.seed)
        if len(steps) == 15:
            stop.set()
        return finish(self)

    def gone(line):
        raise BrokenPipeError(32, "the parent was killed")

    monkeypatch.setattr(Trainer, "finish", finished)
    with pytest.raises(Stopped, match="3 of 3 stopped; the same command continues"):
        together(stop=stop, say=gone)
    monkeypatch.setattr(Trainer, "finish", finish)
    ours = [alone(0), *together((1, 2))]
    assert [record.budgets[-1]["provenance"]["attempts"] for record in ours] == [2, 2, 2]
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "alone"))
    assert results(ours) == results([alone(seed) for seed in (0, 1, 2)])


def test_the_verb_run_trains_so_many_seeds_from_one_on(store, capsys):
    changes = [word for path, value in CHANGES.items() for word in ("--set", f"{path}={value}")]
    assert main(["run", NAME, "--budget", "smoke", "--seed", "4", "--seeds", "2", *changes, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["seed"], row["status"], row["step"]) for row in rows] == [(4, "done", 12), (5, "done", 12)]


def test_one_that_fails_leaves_the_others_alone(store, monkeypatch):
    begin, said = Trainer.begin, []

    def failing(self):
        if self.seed == 1 and self.step == 3:
            raise RunError("no more")
        begin(self)

    monkeypatch.setattr(Trainer, "begin", failing)
    with pytest.raises(RunError, match="1 of 3 failed: seqdigits_plain6\\* seed 1"):
        together(say=said.append)
    assert [alone(seed).status for seed in (0, 2)] == ["done", "done"]
    assert any("seed 1: failed: no more" in line for line in said)


def test_a_fault_of_another_kind_in_one_leaves_the_others_alone_too(store, monkeypatch):
    begin = Trainer.begin

    def failing(self):
        if self.seed == 1 and self.step == 3:
            raise ZeroDivisionError("in a task of one's own")
        begin(self)

    monkeypatch.setattr(Trainer, "begin", failing)
    with pytest.raises(RunError, match="1 of 3 failed") as failed:
        together()
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert [row["status"] for row in sorted(overview(), key=lambda row: row["seed"])] == ["done", "failed", "done"]


def test_seconds_of_the_processor_are_those_of_a_seed_and_not_of_all(store, monkeypatch):
    """Every step takes a second of the processor; twelve steps a seed."""
    spent, begin = [0.0], Trainer.begin

    def beginning(self):
        spent[0] += 1
        begin(self)

    monkeypatch.setattr(Trainer, "begin", beginning)
    monkeypatch.setattr(provenance.time, "process_time", lambda: spent[0])
    assert [record.row["cpu_s"] for record in together()] == [12, 12, 12]


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_seeds_that_cannot_be_meant_are_refused(store, seeds):
    with pytest.raises(ParameterError, match="seeds: "):
        together(seeds)


def test_a_finished_run_lets_go_of_its_recordings(store, monkeypatch):
    closed = []
    monkeypatch.setattr(Trainer, "close", lambda self: closed.append(self.seed))
    together((4, 5))
    assert sorted(closed) == [4, 5]


def planned(*seeds, experiment=NAME):
    return [PlannedRun(experiment, "smoke", seed, tuple(CHANGES.items())) for seed in seeds]


@pytest.fixture
def device(monkeypatch):
    """A device that is the CPU, whose jobs are done in this process; the jobs."""
    jobs = []

    def perform(job, campaign, files, say):
        jobs.append(job)
        return worker.Outcome(job, worker.body(list(job.arguments)), 0.0)

    monkeypatch.setattr(plan, "check_device", lambda _: "cuda")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(dask_cluster, "pool", lambda *_: nullcontext(dask_cluster.Alone()))
    monkeypatch.setattr(worker, "perform", perform)
    monkeypatch.setattr(worker, "_follow", lambda stop: None)
    return jobs


def test_many_runs_have_their_seeds_side_by_side_on_a_device(store, tmp_path, monkeypatch, device):
    order, begin = [], Trainer.begin
    monkeypatch.setattr(Trainer, "begin", lambda self: order.append(self.seed) or begin(self))
    plan.carry_out(planned(0, 1, 2), [], plan.Means(), lambda _: None)
    assert order[:6] == [0, 1, 2] * 2
    assert [(job.label.partition(" seed ")[2], job.gpu, len(job.runs)) for job in device] == [("0, 1, 2", True, 3)]
    ours = [one.found() for one in planned(0, 1, 2)]
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "alone"))
    assert results(ours) == results([alone(seed) for seed in (0, 1, 2)])


def test_a_device_has_so_many_seeds_of_one_config_at_a_time():
    other = planned(0, experiment="seqdigits_lstm")
    groups = side_by_side([*planned(0), *other, *planned(1, 2, 3, 4)])
    assert groups == [planned(0, 1, 2, 3), planned(4), other]


def test_a_time_limit_is_shared_among_the_jobs_of_a_device(store, monkeypatch, device):
    limits, said = [], []

    def train(self, device, time_limit):
        limits.append(time_limit)
        raise Stopped("at the time limit")

    monkeypatch.setattr(PlannedRun, "train", train)
    both = [*planned(0), *planned(0, experiment="seqdigits_res")]
    with pytest.raises(Stopped, match="the same command continues"):
        plan.carry_out(both, [], plan.Means(time_limit=1000.0), said.append)
    assert limits == [pytest.approx(490, abs=5), pytest.approx(980, abs=5)]  # the first left all it had to the second
    assert sum("its share of the time" in line for line in said) == 2
