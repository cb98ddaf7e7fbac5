"""The files that a campaign brings home: small, verified, taken up where they stopped."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import workbench as wb
from workbench.errors import StoreError
from workbench.runs import bundle
from workbench.runs.bundle import adopt
from workbench.runs.folder import Run, pure

NAME = "adding_rnn_tanh_T100"
CHANGES = {"model.hidden": 8, "train.steps": 60, "train.evaluate_every": 20}


def part(until=None, seed=0):
    return wb.run(NAME, "smoke", seed, changes=CHANGES, until=until, progress=False)


@pytest.fixture
def packed(store, tmp_path):
    runs = [part(30).run, part(None, 1).run]
    return bundle.pack(runs, tmp_path / "bundle")


def test_a_bundle_is_taken_up_where_it_stopped(packed, tmp_path, monkeypatch):
    assert [path.name for path in packed] == ["campaign.json", "campaign.tar.1"]
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    assert adopt(tmp_path / "bundle") == (2, 0)
    assert adopt(tmp_path / "bundle" / "campaign.json") == (0, 2)
    resumed = part()
    assert resumed.budgets[-1]["provenance"]["attempts"] == 2
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "whole"))
    assert pure(part().run.result()) == pure(resumed.run.result())


def test_what_is_further_replaces_and_what_merely_continues_leaves_no_copy(store, tmp_path, monkeypatch):
    bundle.pack([part(20).run], tmp_path / "first")
    bundle.pack([part(40).run], tmp_path / "second")
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    assert [adopt(tmp_path / name) for name in ("first", "second", "first")] == [(1, 0), (1, 0), (0, 1)]
    (folder,) = (tmp_path / "home" / "runs").iterdir()
    assert wb.Record(Run(folder)).step == 40


@pytest.mark.parametrize("damage", ["a byte", "a missing part", "a path that climbs", "junk"])
def test_a_damaged_bundle_is_refused_before_anything_is_copied(packed, tmp_path, monkeypatch, damage):
    index, tar = packed
    if damage == "a byte":
        content = bytearray(tar.read_bytes())
        content[600] ^= 1
        tar.write_bytes(content)
    elif damage == "a missing part":
        tar.unlink()
    elif damage == "a path that climbs":
        index.write_text(json.dumps({"parts": {"../campaign.tar.1": "0"}, "runs": []}))
    else:
        index.write_text("{}")
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    with pytest.raises(StoreError, match=r"altered|No such file|not a bundle"):
        adopt(tmp_path / "bundle")
    assert not (tmp_path / "home").exists()


def test_a_bundle_has_at_most_five_files_of_fifteen_megabytes(store, tmp_path, monkeypatch):
    """Many parts, and what does not fit is left out and said: records first, then the checkpoints worth most."""
    monkeypatch.setattr(bundle, "PART", 70_000)
    said = []
    runs = [part(30, seed).run for seed in range(30)]
    files = bundle.pack(runs, tmp_path / "bundle", said.append)
    assert len(files) <= 5
    assert all(path.stat().st_size <= 70_000 for path in files)
    assert said
    assert all("left out of the bundle" in line for line in said)
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    assert adopt(tmp_path / "bundle") == (30, 0)


BARE = """
import json, sys
blocked = set(sys.argv[1].split())
class Bare:  # finds what is installed, but for some
    def __init__(self, finder): self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in blocked else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Bare(finder) for finder in sys.meta_path]
from workbench.__main__ import main
sys.exit(max(map(main, json.loads(sys.argv[2]))))
"""
STUDY = (
    "dask distributed plotly papermill nbformat jupyterlab IPython ipykernel ipywidgets anywidget pooch scipy sklearn"
)


@pytest.mark.slow
def test_a_bare_node_runs_a_campaign(store, tmp_path):
    """torch, numpy, pandas, pydantic, typer, tqdm, psutil and nothing else: one run after another, and a bundle."""
    out = str(tmp_path / "out")
    first = ["reproduce", NAME, "--budget", "smoke", "--seeds", "1", "--out", out, "--time-limit", "9m"]
    commands = [first, ["run", NAME, "--budget", "smoke"], ["status"], ["import", out]]
    command = [sys.executable, "-c", BARE, STUDY, json.dumps(commands)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "1 runs to train, 1 at a time" in done.stderr
    assert f"{NAME} seed 0: done in" in done.stderr
    assert (tmp_path / "out" / "campaign.json").exists()


def test_a_disk_that_is_full_while_a_run_is_taken_over_leaves_ours_as_it_was(store, tmp_path, monkeypatch):
    bundle.pack([part(40).run], tmp_path / "bundle")
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    ours = part(20)
    before = {path.name: path.read_bytes() for path in ours.run.path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StoreError, match=r"no space: needs \d+ bytes, has"):
            adopt(tmp_path / "bundle")
    assert {path.name: path.read_bytes() for path in ours.run.path.iterdir()} == before
    assert [path.name for path in (tmp_path / "home" / "runs").iterdir()] == [ours.id]
    assert adopt(tmp_path / "bundle") == (1, 0)


def test_a_damaged_run_keeps_no_other_from_leaving_or_coming_home(store, tmp_path, monkeypatch):
    runs = [part(30, seed).run for seed in range(3)]
    whole, said = part(None, 3).run, []
    (whole.path / "result.json").write_text("{}")
    bundle.pack([*runs, whole], tmp_path / "bundle", said.append)
    assert len(said) == 1
    assert said[0].endswith("its check does not match its content; left out of the bundle")
    for path in (*runs[0].checkpoints(), runs[0].path / "events.jsonl"):
        path.write_bytes(path.read_bytes()[:-9])
    source = bundle.pack(runs, tmp_path / "damaged", said.append)[0]
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    with pytest.raises(StoreError, match=rf"1 of 3 runs left out, 2 taken over: .*{runs[0].path.name}.*altered"):
        adopt(source)
    assert adopt(tmp_path / "bundle") == (1, 2)


def test_a_run_may_be_trained_on_while_it_is_packed(store, tmp_path, monkeypatch):
    """The checkpoint that was chosen may be gone when it is read."""
    run, read, said = part(30).run, Path.read_bytes, []

    def overtaken(self):
        if self.name == "spec.json" and wb.Record(run).step == 30:
            part(31)
            part(32)
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", overtaken)
    made = bundle.pack([run], tmp_path / "bundle", said.append)
    monkeypatch.setattr(Path, "read_bytes", read)
    assert "ck-30" in said[0]
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    assert adopt(made[0]) == (1, 0)


def test_a_longer_curve_without_a_checkpoint_costs_no_checkpoint(store, tmp_path, monkeypatch):
    """As published ones come, whose checkpoint was too large."""
    ours = part(20).run
    shutil.copytree(ours.path, tmp_path / "away" / "runs" / ours.path.name)
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "away"))
    for path in part(40).run.checkpoints():
        path.unlink()
    monkeypatch.setenv("WORKBENCH_RESULTS", str(store))
    assert adopt(tmp_path / "away") == (1, 0)
    assert wb.Record(ours).step == 40
    assert ours.saved_step == 20
    whole = part()
    assert [row["step"] for row in whole.budgets] == [20, 40, 60]
    assert whole.budgets[-1]["provenance"]["attempts"] == 2
