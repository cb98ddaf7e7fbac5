"""A record says under which numerics it was begun; it is not continued under another, and is read under all."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import workbench as wb
from workbench.__main__ import main
from workbench.errors import Stopped, StoreError
from workbench.paper import claims
from workbench.runs import bundle, instructions, provenance
from workbench.runs import run as module
from workbench.runs.events import sealed
from workbench.runs.provenance import NUMERICS
from workbench.runs.record import Record

TINY = {"task.length": 4, "model.hidden": 4, "train.batch": 2, "train.steps": 8, "train.evaluate_every": 2}


def go(until, **more):
    return wb.run("adding_indrnn_T100", "quick", 0, changes=TINY, until=until, progress=False, device="cpu", **more)


def age(record, numerics=None):
    """Rewrite a record's spec as if begun under other numerics; None: as version 0.1 wrote it."""
    path = record.run.path / "spec.json"
    spec = {k: v for k, v in json.loads(path.read_text()).items() if k not in ("check", "numerics")}
    path.write_text(json.dumps(sealed(spec if numerics is None else spec | {"numerics": numerics})))
    return Record(record.run)


def test_a_record_holds_numerics_arithmetic_commit_instruction_sets_and_its_first_five_losses(store):
    record = go(6)
    assert record.spec["numerics"] == record.numerics == NUMERICS
    assert record.spec["claims"] == record.claims == claims.table_hash(claims.present())
    where = record.budgets[-1]["provenance"]
    assert where["numerics"] == NUMERICS
    assert len(where["arithmetic"]) == 12
    assert where["commit"] is None or len(where["commit"]) == 40
    assert set(where["instructions"]) == {"capability", "ATEN_CPU_CAPABILITY", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA"}
    trainer = module.Trainer(record.config, 0)
    assert record.losses == [trainer.advance() for _ in range(5)]


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_first_losses_are_the_same_whether_a_run_was_stopped_among_them_or_not(
    stop_after, store, tmp_path, monkeypatch
):
    whole = go(8)
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "other"))
    advance, stop = module.Trainer.advance, threading.Event()

    def until(trainer):
        loss = advance(trainer)
        if trainer.step == stop_after:
            stop.set()
        return loss

    monkeypatch.setattr(module.Trainer, "advance", until)
    with pytest.raises(Stopped):
        go(8, stop=stop)
    monkeypatch.setattr(module.Trainer, "advance", advance)
    resumed = go(8)
    assert resumed.losses == whole.losses
    assert len(whole.losses) == 5
    assert resumed.budgets[-1]["weights_sha256"] == whole.budgets[-1]["weights_sha256"]


@pytest.mark.parametrize("numerics", [None, NUMERICS + 1])
def test_a_run_of_another_numerics_is_read_and_not_continued(numerics, store):
    record = age(go(4), numerics)
    assert record.numerics == (numerics or 1)
    record.verify()
    assert go(4).step == 4  # reached: answers as before
    with pytest.raises(StoreError, match=rf"numerics {numerics or 1}.* {NUMERICS}: .*--fresh") as refused:
        go(6)
    assert refused.value.code == 4
    assert Record(record.run).step == 4
    anew = go(6, fresh=True)
    assert (anew.numerics, anew.step) == (NUMERICS, 6)


def test_the_command_line_says_so_with_exit_code_4(store, capsys):
    record = age(go(4))
    changes = [part for path, value in TINY.items() for part in ("--set", f"{path}={value}")]
    assert main(["run", record.experiment.rstrip("*"), *changes, "--until", "6", "--device", "cpu"]) == 4
    said = capsys.readouterr().err
    page = (Path(__file__).parents[2] / "MIGRATION.md").read_text(encoding="utf-8")
    assert said[said.index("begun under numerics 1") :].strip() in page
    assert "--fresh" in said


def test_a_run_of_the_command_line_computes_with_fixed_instruction_sets(store):
    changes = [part for path, value in TINY.items() for part in ("--set", f"{path}={value}")]
    command = [sys.executable, "-m", "workbench", "run", "adding_indrnn_T100", *changes, "--until", "2"]
    clean = {name: value for name, value in os.environ.items() if name not in instructions.FIXED}
    subprocess.run([*command, "--device", "cpu"], env=clean, capture_output=True, check=True)
    found = go(2).budgets[-1]["provenance"]["instructions"]
    if instructions.has_avx2():
        assert found == {"capability": "AVX2", **instructions.FIXED}
    else:
        assert {found[name] for name in instructions.FIXED} == {None}


def test_a_finished_run_of_another_numerics_still_answers_and_says_so(store, capsys):
    first = go(8)
    assert go(8).budgets == first.budgets
    assert "numerics" not in capsys.readouterr().err
    record = age(first)
    assert record.status == "done"
    assert go(8).budgets == record.budgets
    said = f"seed 0: recorded under numerics 1, not {NUMERICS}; `run --fresh` trains it anew\n"
    assert capsys.readouterr().err.endswith(said)


def taken(ours, theirs, tmp_path, monkeypatch):
    """(steps, numerics) of ours and theirs -> whether theirs is taken, and the record then here."""
    for name, (steps, numerics) in {"theirs": theirs, "ours": ours}.items():
        monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / name))
        age(go(steps), numerics)
    count = bundle.adopt(tmp_path / "theirs")[0]
    return count == 1, go(2)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ((2, NUMERICS), (6, None), False),  # shorter, and of the present numerics
        ((6, None), (2, NUMERICS), True),
        ((2, None), (6, None), True),  # of one numerics the further one, whichever it is
        ((2, NUMERICS), (6, NUMERICS), True),
        ((6, NUMERICS), (2, NUMERICS), False),
    ],
)
def test_import_prefers_the_present_numerics_then_the_further(ours, theirs, expected, store, tmp_path, monkeypatch):
    was_taken, here = taken(ours, theirs, tmp_path, monkeypatch)
    assert was_taken is expected
    steps, numerics = theirs if expected else ours
    assert (here.step, here.numerics) == (steps, numerics or 1)


def test_a_record_of_another_numerics_is_set_aside_and_not_dropped(store, tmp_path, monkeypatch):
    taken((2, None), (6, NUMERICS), tmp_path, monkeypatch)
    assert len(list((tmp_path / "ours" / "runs").glob("*.replaced-1"))) == 1


def test_the_commit_is_that_of_the_packages_own_checkout_alone(tmp_path, monkeypatch):
    assert provenance.commit.__wrapped__() in (None, provenance.commit())
    package = tmp_path / "environment" / "workbench"
    package.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(package / "runs" / "provenance.py"))
    head = "a" * 40

    def git(command, **_):
        return provenance.subprocess.CompletedProcess(command, 0, f"{top}\n{head}\n")

    monkeypatch.setattr(provenance.subprocess, "run", git)
    top = package.parent
    assert provenance.commit.__wrapped__() == head
    top = tmp_path  # installed somewhere inside another's checkout
    assert provenance.commit.__wrapped__() is None

    def none(command, **_):
        raise FileNotFoundError("git")

    monkeypatch.setattr(provenance.subprocess, "run", none)
    assert provenance.commit.__wrapped__() is None
