"""One run: reused when recorded, resumed when begun, the same whatever happened in between."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

import workbench as wb
from workbench import paper
from workbench.config import Config, run_id
from workbench.errors import ParameterError, RunError, Stopped, StoreError
from workbench.runs.asked import resolve, substitute
from workbench.runs.folder import pure
from workbench.runs.train_and_record import recordable
from workbench.tasks import data_hashes

NAME = "seqdigits_plain6"
SMALL = {"model.hidden": 8, "model.depth": 2, "train.evaluate_every": 20, "train.steps": 120}


def command(changes, *extra):
    pairs = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    code = (
        "import sys; from workbench.runs import train_and_record as attempt; from workbench.__main__ import main; "
        "attempt.FIRST_CHECKPOINT = attempt.CHECKPOINT_EVERY = 0.3; sys.exit(main(sys.argv[1:]))"
    )
    return [sys.executable, "-c", code, "run", NAME, *pairs, *extra]


def test_a_finished_run_is_not_trained_again(store):
    first = wb.run(NAME, "smoke", progress=False)
    began = os.stat(first.run.path / "result.json").st_mtime_ns
    again = wb.run(NAME, "smoke", progress=False)
    assert again.id == first.id
    assert os.stat(again.run.path / "result.json").st_mtime_ns == began


def test_two_stores_hold_the_same_result_outside_provenance_and_cost(tmp_path, monkeypatch):
    results = []
    for name in ("a", "b"):
        monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / name))
        record = wb.run(NAME, "smoke", seed=5, progress=False)
        results.append((pure(record.run.result()), [pure(e) for e in record.events]))
    assert results[0] == results[1]


def test_a_longer_budget_continues_the_same_run(store):
    changes = {**SMALL, "train.steps": 60}
    short = wb.run(NAME, "quick", changes=changes, until=40, progress=False)
    assert (short.status, short.step) == ("resumable", 40)
    whole = wb.run(NAME, "paper", changes=changes, progress=False)
    assert whole.id == short.id
    assert whole.status == "done"
    assert list(whole.curve["step"]) == [20, 40, 60]
    assert whole.budgets[-1]["provenance"]["attempts"] == 2


def test_a_stopped_run_ends_as_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "whole"))
    whole = wb.run(NAME, "paper", changes=SMALL, progress=False)
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "cut"))
    for until in (20, 50, 70):
        wb.run(NAME, "paper", changes=SMALL, until=until, progress=False)
    with pytest.raises(Stopped, match="the same command continues"):
        wb.run(NAME, "paper", changes=SMALL, time_limit=1e-6, progress=False)
    cut = wb.run(NAME, "paper", changes=SMALL, progress=False)
    assert pure(cut.run.result()) == pure(whole.run.result())
    keep = [e for e in cut.events if e["event"] != "budget"]
    assert [pure(e) for e in keep] == [pure(e) for e in whole.events]


LONG = {**SMALL, "train.steps": 600, "train.evaluate_every": 200}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The result of the long run in peace."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RESULTS", str(tmp_path_factory.mktemp("whole")))
        return pure(wb.run(NAME, "paper", changes=LONG, progress=False).run.result())


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])  # SIGKILL: tests/faults
def test_a_run_that_is_interrupted_resumes_bit_by_bit(store, uninterrupted, kind):
    """Real processes, real signals: 5 says stopped and resumable."""
    child = subprocess.Popen(command(LONG, "--budget", "paper"), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(store.glob("runs/*/ck-*")) and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.05)
    child.send_signal(kind)
    _, said = child.communicate(timeout=15)
    assert child.returncode == 5, said
    assert "Traceback" not in said
    assert wb.list_records().iloc[0]["status"] == "resumable"
    resumed = wb.run(NAME, "paper", changes=LONG, progress=False)
    assert resumed.budgets[-1]["provenance"]["attempts"] == 2
    assert pure(resumed.run.result()) == uninterrupted


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows closes no terminal by a signal")
def test_a_closed_terminal_stops_a_run_with_a_checkpoint_and_none_under_nohup(store):
    def close(row):
        os.kill(os.getpid(), signal.SIGHUP)

    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may themselves run under nohup
    try:
        with pytest.raises(Stopped, match="on request at step 20; the same command continues"):
            wb.run(NAME, "paper", changes=SMALL, progress=False, watch=close)
        assert wb.list_records().iloc[0]["status"] == "resumable"
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert wb.run(NAME, "paper", changes=SMALL, until=40, progress=False, watch=close).step == 40
    finally:
        signal.signal(signal.SIGHUP, before)


def test_stopping_during_an_evaluation_loses_nothing_and_does_it_again(tmp_path, monkeypatch):
    """Scoring MNIST takes a minute; a stop must not wait for it, and the row must come out the same afterwards."""
    from workbench.training import Trainer

    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "whole"))
    whole = wb.run(NAME, "paper", changes=SMALL, progress=False)
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "cut"))
    watched, asked = Trainer._watched, []

    def stop_at(count):
        def once(self, batches):
            for batch in batches:
                asked.append(self.step)
                if len(asked) == count:
                    self.interrupted = lambda: True
                yield from watched(self, [batch])

        return once

    for count in (2, 1):  # in the first evaluation, and at once when it is done again
        asked.clear()
        monkeypatch.setattr(Trainer, "_watched", stop_at(count))
        with pytest.raises(Stopped, match="at step 20; the same command continues"):
            wb.run(NAME, "paper", changes=SMALL, progress=False)
    monkeypatch.setattr(Trainer, "_watched", watched)
    cut = wb.run(NAME, "paper", changes=SMALL, progress=False)
    assert pure(cut.run.result()) == pure(whole.run.result())
    assert [pure(e) for e in cut.events] == [pure(e) for e in whole.events]


def test_a_run_that_another_process_trains_is_left_alone(store):
    from workbench.runs.lock import Lock

    record = wb.run(NAME, "paper", changes=SMALL, until=20, progress=False)
    with Lock(record.run), pytest.raises(Stopped, match=r"trains it now; stopped waiting for it"):
        wb.run(NAME, "paper", changes=SMALL, progress=False, time_limit=0.5)
    assert wb.Record(record.run).step == 20


def test_fresh_starts_anew_and_deletes_nothing(store):
    first = wb.run(NAME, "smoke", progress=False)
    wb.run(NAME, "smoke", fresh=True, progress=False)
    folders = sorted(p.name for p in first.run.path.parent.iterdir())
    assert folders == [first.id, f"{first.id}.replaced-1"]
    assert len(wb.list_records()) == 1


def test_the_id_depends_on_what_is_computed_alone():
    config = Config.parse(paper.experiment(NAME).config.model_dump())
    data = data_hashes(config.task)
    same = config.set({"model.hidden": 64})
    assert run_id(config, 0, data) == run_id(same, 0, data)
    others = [(config.set({"model.hidden": 65}), 0, data), (config, 1, data), (config, 0, {"digits": "0"})]
    assert len({run_id(config, 0, data), *(run_id(*other) for other in others)}) == 4


def test_a_config_of_ones_own_runs_to_its_end(store):
    config = resolve(NAME, "quick", {**SMALL, "train.steps": 20})[1]
    record = wb.run(config, seed=1, progress=False)
    assert (record.experiment, record.status, record.step) == ("custom", "done", 20)
    assert set(record.summary.index) >= {"test_accuracy", "weights_sha256", "wall_s"}


@pytest.mark.parametrize(("changes", "last"), [({}, 1500), ({"train.lr": 1e-3}, 1500), ({"train.steps": 1600}, None)])
def test_a_budget_ends_a_run_unless_its_own_steps_are_asked_for(changes, last):
    _, config, until = resolve("seqdigits_plain6", "quick", changes)
    assert until == last
    assert config.train.steps == changes.get("train.steps", resolve("seqdigits_plain6", "paper")[1].train.steps)


def test_a_diverged_run_is_recorded_as_such_and_not_trained_again(store, monkeypatch):
    from workbench.training import evaluate

    loss_of = evaluate.loss_of
    monkeypatch.setattr(evaluate, "loss_of", lambda *given: loss_of(*given) * float("nan"))
    record = wb.run(NAME, "paper", changes=SMALL, progress=False)
    assert record.status == "diverged"
    assert record.budgets[-1]["status"] == "diverged"
    assert record.budgets[-1]["step"] == 2  # the third step in a row was not applied
    assert wb.list_records().iloc[0]["status"] == "diverged"
    monkeypatch.setattr(evaluate, "loss_of", loss_of)
    assert wb.run(NAME, "paper", changes=SMALL, progress=False).status == "diverged"


def test_a_diverged_run_whose_result_the_disk_refused_diverges_when_it_is_taken_up(store, monkeypatch):
    """Its checkpoint knows of three bad steps in a row; a fourth must not pass for the first of many."""
    from workbench.runs.folder import Run
    from workbench.training import evaluate

    def full(self, result):
        raise StoreError("no space")

    loss_of = evaluate.loss_of
    monkeypatch.setattr(evaluate, "loss_of", lambda *given: loss_of(*given) * float("nan"))
    with monkeypatch.context() as patch:
        patch.setattr(Run, "finish", full)
        with pytest.raises(StoreError, match="no space"):
            wb.run(NAME, "paper", changes=SMALL, progress=False)
    record = wb.run(NAME, "paper", changes=SMALL, progress=False)
    assert (record.status, record.step) == ("diverged", 2)


def test_no_number_that_json_lacks_ends_a_run():
    """Nor does a gradient that overflows on its way to the lowest layer, as `train.watch_layers` records it."""
    row = {"valid": {"mse": float("inf")}, "layers": [1.0, float("nan")], "u": {"0": "AAAA"}}
    assert recordable(row) == {"valid": {"mse": None}, "layers": [1.0, None], "u": {"0": "AAAA"}}


def test_a_stop_while_a_diverged_run_is_scored_is_a_stop_as_any_other(store, monkeypatch):
    from workbench.training import Trainer, evaluate

    stop, loss_of, test = threading.Event(), evaluate.loss_of, Trainer.test

    def spoiled(output, *given):
        return loss_of(output, *given) * (float("nan") if output.requires_grad and spoil else 1)

    def stopping(self):
        stop.set()
        return test(self)

    spoil = False
    monkeypatch.setattr(evaluate, "loss_of", spoiled)
    wb.run(NAME, "paper", changes=SMALL, until=20, progress=False)
    spoil = True
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "test", stopping)
        with pytest.raises(Stopped, match="stopped on request at step 22; the same command continues"):
            wb.run(NAME, "paper", changes=SMALL, progress=False, stop=stop)
    record = wb.run(NAME, "paper", changes=SMALL, progress=False)
    assert (record.status, record.budgets[-1]["step"]) == ("diverged", 22)


def test_a_run_that_went_on_elsewhere_names_every_place(store, monkeypatch):
    """Its bits are those of no one machine, so no machine is held to them."""
    from workbench.runs import train_and_record

    first = wb.run(NAME, "paper", changes=SMALL, until=10, progress=False)
    home = first.budgets[-1]["provenance"]
    provenance = train_and_record.provenance
    with monkeypatch.context() as patch:
        patch.setattr(train_and_record, "provenance", lambda *given: provenance(*given) | {"device": "a large one"})
        patch.setattr(train_and_record, "arithmetic", lambda: "0" * 12)
        record = wb.run(NAME, "paper", changes=SMALL, until=30, progress=False)
    for steps in (50, 70):
        record = wb.run(NAME, "paper", changes=SMALL, until=steps, progress=False)
    assert "earlier" not in home
    assert record.row["device"] == f"a large one / {home['device']}"
    (earlier,) = record.budgets[-1]["provenance"]["earlier"]
    assert earlier == {
        "device": "a large one",
        "arithmetic": "0" * 12,
        "backend": home["backend"],
        "torch": home["torch"],
    }


def test_a_score_outlives_the_checkpoints_behind_it(store):
    """Going on repeats what came after the newest good checkpoint, but stops at no budget on the way."""
    short = wb.run(NAME, "quick", changes=SMALL, until=40, progress=False)
    (scored,) = short.budgets
    for path in short.run.checkpoints():
        path.write_bytes(path.read_bytes()[:-1])
    whole = wb.run(NAME, "paper", changes=SMALL, progress=False)
    assert whole.status == "done"
    assert whole.budgets[0] == scored
    assert list(whole.curve["step"]) == [20, 40, 60, 80, 100, 120]


def test_a_cycle_is_never_cut_by_a_budget(store):
    changes = {"train.schedule": "one_cycle", "train.patience": None}
    _, config, until = resolve(NAME, "quick", changes)
    assert (config.train.steps, until) == (paper.experiment(NAME).quick, None)
    assert resolve(NAME, "quick", {**changes, "train.steps": 77})[1].train.steps == 77


def test_a_time_limit_is_counted_from_the_beginning_for_all_seeds(store, monkeypatch):
    """Time spent on waiting for another process, or for the other seeds, does not come on top of it."""
    from workbench.runs import run as module

    found, clock = [], [1000.0]

    def entered(self):
        clock[0] += 30  # it waited for somebody
        return self

    def go(self, until, deadline, *_, **__):
        found.append(deadline)
        yield from ()

    monkeypatch.setattr(module.Lock, "__enter__", entered)
    monkeypatch.setattr(module.Lock, "__exit__", lambda *_: None)
    monkeypatch.setattr(module.RecordedTraining, "go", go)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    module.run_seeds(NAME, "smoke", (0, 1), time_limit=100, say=lambda _: None)
    assert found == [1100.0, 1100.0]


def test_without_data_their_substitute_is_taken_and_named(monkeypatch, store, capsys):
    from workbench.errors import MissingData
    from workbench.tasks import download

    def missing(*_, **__):
        raise MissingData("mnist: not here")

    monkeypatch.setattr(download, "locate", missing)
    assert substitute(["seqmnist_plain6", "adding_indrnn_T100"]) == [NAME, "adding_indrnn_T100"]
    assert "seqmnist_plain6: mnist cannot be had here; seqdigits_plain6 takes its place" in capsys.readouterr().out
    with pytest.raises(MissingData):
        wb.run("seqmnist_plain6", "smoke")


def test_the_record_has_u_of_every_layer_at_each_evaluation(store):
    record = wb.run(NAME, "smoke", progress=False)
    weights = record.recurrent_weights()
    assert list(weights) == [2, 4]
    assert [len(u) for u in weights[4].values()] == [8] * 6
    assert record.net().layers[0].u.shape == (8,)


def test_the_net_of_a_run_in_reduced_precision_can_be_looked_at_where_its_device_is_not(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("workbench.training.trainer.set_precision", lambda *_: None)
        record = wb.run(NAME, "smoke", changes={"train.precision": "tf32"}, progress=False)
    assert not record.net().training


def test_the_id_of_a_run_cannot_smuggle_a_path():
    from pathlib import Path

    from workbench.runs.folder import open_run

    with pytest.raises(ParameterError, match="is not an id"):
        open_run(Path("."), "../../etc/passwd")


def test_the_summary_is_json(store):
    record = wb.run(NAME, "smoke", progress=False)
    assert json.loads(record.summary.to_json())["status"] == "done"


def test_an_engine_that_cannot_run_here_and_a_lack_of_memory_leave_no_trace(store, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match="backend: 'triton' cannot run here: no CUDA device"):
        wb.run(NAME, "smoke", backend="triton", progress=False)

    def starved(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("workbench.runs.run.Trainer", starved)
    with pytest.raises(RunError, match=r"seed 0: failed: out of memory \(T .*, it could not be had\)"):
        wb.run(NAME, "smoke", progress=False)
    assert not (store / "runs").exists()


def test_a_record_under_a_name_that_is_not_its_own_is_refused_and_fresh_sets_it_aside(store):
    record = wb.run(NAME, "smoke", progress=False)
    path = record.run.path / "spec.json"
    spec = json.loads(path.read_text())
    del spec["check"]
    spec["config"]["train"]["lr"] = 0.5
    path.write_text(json.dumps(spec))
    with pytest.raises(StoreError, match=r"spec\.json: another config than its id names; `run --fresh` starts anew"):
        wb.run(NAME, "smoke", progress=False)
    assert wb.run(NAME, "smoke", fresh=True, progress=False).status == "done"
