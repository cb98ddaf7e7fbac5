"""Everything that is published: every committed record verifies, its nets load, and the README's table is theirs."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from workbench import files, paper
from workbench.runs import pack
from workbench.runs.folder import find
from workbench.runs.jobs import notebook_parameters
from workbench.runs.record import Record

ROOT = Path(__file__).parent.parent
RUNS = list(find(files.published() / "runs", packs=True))
PLACES = ("runs", "explorers/runs", "search/runs")


@cache
def studied():
    """The ids of all runs that a notebook of sweeps shows."""
    books = [notebook_parameters.check(path, {}) for path in files.notebooks().glob("study_*.ipynb")]
    return {planned_run.run.path.name for values in books for planned_run in notebook_parameters.planned(values)}


@pytest.mark.parametrize("run", RUNS, ids=[run.path.name for run in RUNS])
def test_a_published_record_verifies(run):
    record = Record(run)
    record.verify()
    assert record.experiment.removesuffix("*") in paper.EXPERIMENTS
    assert run.path.parent.name == f"{record.experiment.removesuffix('*')}.zip"
    if record.experiment.endswith("*"):
        assert record.id in studied()
        assert record.run.result() is not None
    else:
        assert record.config == paper.experiment(record.experiment).at("smoke" if record.smoke else "paper")[0]
    assert record.budgets
    held = [path.name for path in run.path.iterdir()]
    assert {name.split("-")[0] for name in held} <= {"ck", "chance.json", "events.jsonl", "result.json", "spec.json"}
    assert len([name for name in held if name.startswith("ck")]) <= (run.result() is None)


@pytest.mark.parametrize("place", PLACES)
def test_published_records_lie_in_packs_and_nowhere_else(place):
    folder = files.published() / place
    assert list(find(folder, packs=True))
    assert {path.suffix for path in folder.rglob("*")} == {".zip"}
    for path in folder.iterdir():
        assert path.stat().st_size < (8_000_000 if path.name.endswith(pack.CHECKPOINTS) else 4_000_000)
        assert not path.name.endswith(pack.CHECKPOINTS) or path.with_name(f"{path.name.partition('.')[0]}.zip").exists()


def test_a_checkout_has_under_a_thousand_files_and_25_mb():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a checkout")
    names = [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert len(names) < 1_000
    assert sum(os.path.getsize(ROOT / name) for name in names if not name.endswith(pack.CHECKPOINTS)) < 25_000_000


@pytest.mark.parametrize("name", ["seqdigits_plain6", "seqdigits_lstm", "seqdigits_irnn", "seqdigits_rnn_tanh"])
def test_one_small_trained_net_of_each_kind_is_shipped(name):
    record = next(r for r in map(Record, RUNS) if r.experiment == name and not r.smoke)
    x, y, *_ = record.examples(360)
    right = (record.net()(x).argmax(-1) == y).float().mean().item()
    assert right == pytest.approx(record.budgets[-1]["test"]["accuracy"], abs=0.01)
    assert right > 0.5


@pytest.mark.parametrize("script", ["readme.py", "ledger.py"])
def test_the_tables_of_the_readme_and_the_ledger_are_the_records(script):
    done = subprocess.run([sys.executable, f"scripts/{script}", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_executed_notebooks_hold_no_error_and_no_word_of_the_machine():
    import json

    books = sorted((files.published() / "notebooks").glob("*.ipynb"))
    names = "00_tour fig2_timing fig4_adding parity study_scan table2_pixels".split()
    names += [
        path.stem
        for path in files.notebooks().glob("study_*.ipynb")
        if "sweeps" in notebook_parameters.parameters(path)
    ]
    names.remove("study_recipe")  # its runs wait for the recipe to be fixed
    assert {book.stem for book in books} == {f"{name}_quick" for name in names}
    for book in books:
        text = book.read_text()
        assert str(Path.home()) not in text
        outputs = [o for c in json.loads(text)["cells"] for o in c.get("outputs", [])]
        assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
