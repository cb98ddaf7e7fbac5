"""Everything that is published: every committed record verifies, its nets load, and the README's table is theirs."""

import base64
import io
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter, MarkdownExporter
from PIL import Image

from workbench import files, paper
from workbench.analysis import benchmark, measurements, properties
from workbench.paper import claims
from workbench.runs import pack
from workbench.runs.folder import find
from workbench.runs.jobs import notebook_parameters
from workbench.runs.record import Record

ROOT = Path(__file__).parent.parent
RUNS = list(find(files.published() / "runs", packs=True))
PLACES = ("runs", "explorers/runs", "search/runs", "unfinished/runs")
BOOKS = sorted((files.published() / "notebooks").glob("*.ipynb"))


@cache
def studied():
    """The runs that a notebook of sweeps shows, by their ids."""
    paths = (*files.notebooks().glob("study_*.ipynb"), files.notebooks() / "sweep.ipynb")
    books = [notebook_parameters.check(path, {}) for path in paths]
    return {run.run.path.name: run for values in books for run in notebook_parameters.planned(values)}


@pytest.mark.parametrize("run", RUNS, ids=[run.path.name for run in RUNS])
def test_a_published_record_verifies(run):
    record = Record(run)
    record.verify()
    assert record.experiment.removesuffix("*") in paper.EXPERIMENTS
    assert run.path.parent.name == f"{record.experiment.removesuffix('*')}.zip"
    if record.experiment.endswith("*"):
        assert studied()[record.id].answered_by(record)
    else:
        assert record.config == paper.experiment(record.experiment).at("smoke" if record.smoke else "paper")[0]
    assert record.budgets
    held = [path.name for path in run.path.iterdir()]
    assert {name.split("-")[0] for name in held} <= {"ck", "chance.json", "events.jsonl", "result.json", "spec.json"}
    assert len([name for name in held if name.startswith("ck")]) <= (run.result() is None)


def test_what_a_notebook_shows_unasked_is_published(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path))
    for path in files.notebooks().glob("*.ipynb"):
        runs = notebook_parameters.planned(notebook_parameters.check(path, {}))
        assert not [(path.stem, run.experiment, run.seed) for run in runs if run.found() is None]


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


def test_published_measurements_are_those_of_the_present_claims_and_hold_when_measured_again():
    rows = {
        (r["claim"], r["seed"]): r
        for r in benchmark.record.read(files.published() / "bench" / "properties.json")["rows"]
    }
    for now in measurements.of_the_layer():
        row, claim = rows[now["claim"], now["seed"]], claims.claim(now["claim"])
        assert properties.holds(claim, row["value"]), row
        assert properties.holds(claim, now["value"]), now
        assert claims.unchanged(claim.id, row["claims"]), row
        assert re.fullmatch("[0-9a-f]{40}", row["commit"]), row


def test_executed_notebooks_hold_no_error_and_no_word_of_the_machine():
    import json

    names = "00_tour fig2_timing fig4_adding fig5_recurrent_weights parity study_scan table2_pixels".split()
    names += "speech_digits table1_memory_and_bounds table3_ptb_char table4_ptb_word table5_skeletons".split()
    names += ["sweep", "your_sequences"]
    names += [
        path.stem
        for path in files.notebooks().glob("study_*.ipynb")
        if "sweeps" in notebook_parameters.parameters(path)
    ]
    assert {book.stem for book in BOOKS} == {f"{name}_quick" for name in names}
    for book in BOOKS:
        text = book.read_text()
        assert str(Path.home()) not in text
        outputs = [o for c in json.loads(text)["cells"] for o in c.get("outputs", [])]
        assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]


@pytest.mark.parametrize("book", BOOKS, ids=[book.stem for book in BOOKS])
def test_a_published_notebook_shows_as_many_pictures_as_it_has_figures(book):
    """To readers that draw no plotly: a code host takes the PNG beside a figure, nbconvert makes pages of it."""
    read = nbformat.read(book, 4)
    data = [o.get("data", {}) for cell in read.cells for o in cell.get("outputs", [])]
    figures = [each for each in data if "application/vnd.plotly.v1+json" in each]
    assert len(figures) >= 2
    for each in figures:
        assert len(each["image/png"]) < 100_000
        picture = Image.open(io.BytesIO(base64.b64decode(each["image/png"]))).convert("RGBA")
        assert len(picture.getcolors(1 << 24)) > 10  # it is not blank
    page, _ = HTMLExporter().from_notebook_node(read)
    assert page.count('src="data:image/png') == len(figures)
    text, resources = MarkdownExporter().from_notebook_node(read)
    assert text.count("![png]") == len(resources["outputs"]) == len(figures)
