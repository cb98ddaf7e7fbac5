"""The files that a campaign brings home: small, verified, taken up where they stopped."""

import json
import os
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
from workbench.runs.lock import Lock

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


@pytest.mark.parametrize("damage", ["a byte", "a missing part", "a path that climbs", "junk", "pairs", "depth"])
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
        index.write_text({"junk": "{}", "pairs": '{"parts": [[1, 2]]}', "depth": "[" * 100_000}[damage])
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    with pytest.raises(StoreError, match=r"altered|No such file|not a bundle"):
        adopt(tmp_path / "bundle")
    assert not (tmp_path / "home").exists()


def a_run(folder, number, **contents):
    """A run's folder of these files, which nobody reads but a bundle; its id ends with the number."""
    run = Run(folder / f"{number:016x}")
    run.path.mkdir(parents=True)
    for name, content in {"spec.json": "{}", **contents}.items():
        (run.path / name).write_text(content)
    return run


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_bundle_holds_the_record_and_the_newest_checkpoint_of_what_goes_on(tmp_path):
    own = {"events.jsonl": "", "chance.json": "", "ck-2-a.pt": "", "ck-10-b.pt": "", "ck-1-c.pt.bad": "", "lease": ""}
    begun, own_names = a_run(tmp_path / "a", 1, **own), ("chance.json", "ck-10-b.pt", "events.jsonl", "spec.json")
    hardly = a_run(tmp_path / "a", 2, **{"chance.json": ""})  # killed before its spec was there
    (hardly.path / "spec.json").unlink()
    bundle.pack([hardly, begun], tmp_path / "bundle")
    found = bundle.unpack(tmp_path / "bundle", tmp_path / "out")
    assert names(found) == [f"runs/{begun.path.name}/{name}" for name in own_names]
    assert json.loads((tmp_path / "bundle" / "campaign.json").read_text())["runs"] == [begun.path.name]


def test_of_a_run_at_its_end_no_checkpoint_travels(store, tmp_path):
    ended = part().run
    assert ended.checkpoints()
    bundle.pack([ended], tmp_path / "bundle")
    found = bundle.unpack(tmp_path / "bundle", tmp_path / "out")
    assert names(found) == [f"runs/{ended.path.name}/{name}" for name in ("events.jsonl", "result.json", "spec.json")]


def test_what_fits_goes_records_first_and_each_file_costs_its_place_in_the_tar(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "PART", 10_000)
    runs = [a_run(tmp_path / "a", n, **{"ck-1-a.pt": "x" * 1_000}) for n in range(3)]
    said = []
    room = 3 * (2 + bundle.OVERHEAD) + 1_000 + bundle.OVERHEAD  # three records and one checkpoint
    monkeypatch.setattr(bundle, "PART", room)
    bundle.pack(runs, tmp_path / "bundle", said.append, parts=1)
    left = [f"{run.path.name}/ck-1-a.pt: left out of the bundle, {1_000 + bundle.OVERHEAD:,} bytes" for run in runs[1:]]
    assert [line.removesuffix(" do not fit") for line in said] == left
    found = names(bundle.unpack(tmp_path / "bundle", tmp_path / "out"))
    assert [name for name in found if name.endswith(".pt")] == [f"runs/{runs[0].path.name}/ck-1-a.pt"]
    assert len(found) == 4


def test_a_bundle_packed_over_itself_is_the_old_one_until_it_is_the_new_one(tmp_path, monkeypatch):
    """The parts of the new one have other names; what a killed one left, and no foreign file, is taken away."""
    monkeypatch.setattr(bundle, "PART", 5_000)
    home = tmp_path / "bundle"
    runs = [a_run(tmp_path / "a", n, **{"events.jsonl": "x" * 1_500}) for n in range(3)]

    def parts():
        return sorted(json.loads((home / "campaign.json").read_text())["parts"])

    bundle.pack(runs, home)
    assert parts() == ["campaign.tar.1", "campaign.tar.2", "campaign.tar.3"]
    (home / "campaign.tar.notes").write_text("of somebody else")
    with monkeypatch.context() as patch:
        publish = bundle.publish

        def killed(path, content, **more):
            if path.name == "campaign.json":
                raise KeyboardInterrupt
            publish(path, content, **more)

        patch.setattr(bundle, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            bundle.pack(runs[:1], home)
    assert len(names(bundle.unpack(home, tmp_path / "old"))) == 6
    bundle.pack(runs[:2], home)
    assert names(home) == ["campaign.json", *parts(), "campaign.tar.notes"]
    assert len(names(bundle.unpack(home, tmp_path / "new"))) == 4
    for _ in range(3):
        bundle.pack(runs, home)
        assert names(home) == ["campaign.json", *parts(), "campaign.tar.notes"]
    assert len(names(bundle.unpack(home, tmp_path / "again"))) == 6


def test_no_new_part_takes_the_name_of_an_old_one(tmp_path, monkeypatch):
    home, run = tmp_path / "bundle", a_run(tmp_path / "a", 1, **{"events.jsonl": "x" * 12_000})
    (home / "campaign.tar.3").parent.mkdir()
    (home / "campaign.tar.3").write_bytes(b"of the old one")
    monkeypatch.setattr(bundle, "PART", 7_000)
    made = bundle.pack([run], home)
    assert [path.name for path in made] == ["campaign.json", "campaign.tar.4", "campaign.tar.5", "campaign.tar.6"]


def test_parts_are_put_together_in_the_order_of_their_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "PART", 6_000)
    home, run = tmp_path / "bundle", a_run(tmp_path / "a", 1, **{"events.jsonl": "x" * 12_000})
    bundle.pack([run], home, parts=4)
    index = json.loads((home / "campaign.json").read_text())["parts"]
    numbers = dict(zip(sorted(index), (8, 9, 10, 11), strict=False))
    for name, number in numbers.items():
        (home / name).rename(home / f"campaign.tar.{number}")
    shuffled = {f"campaign.tar.{numbers[name]}": index[name] for name in sorted(index, reverse=True)}
    (home / "campaign.json").write_text(json.dumps({"parts": shuffled}))
    found = bundle.unpack(home, tmp_path / "out") / "runs" / run.path.name
    assert (found / "events.jsonl").read_text() == "x" * 12_000


def test_a_part_that_is_not_there_and_one_part_too_many_are_named(tmp_path):
    bundle.pack([a_run(tmp_path / "a", 1)], tmp_path / "bundle")
    (tmp_path / "bundle" / "campaign.tar.1").unlink()
    with pytest.raises(StoreError, match=r"campaign\.tar\.1: No such file"):
        bundle.unpack(tmp_path / "bundle", tmp_path / "out")
    five = {f"campaign.tar.{n}": "" for n in range(5)}
    (tmp_path / "bundle" / "campaign.json").write_text(json.dumps({"parts": five}))
    with pytest.raises(StoreError, match="at most 4 parts"):
        bundle.unpack(tmp_path / "bundle", tmp_path / "out")


def test_files_of_another_machine_are_those_of_a_record_and_stay_in_their_folder(store, tmp_path, monkeypatch):
    files = {path.name: path.read_bytes() for path in part(20).run.path.iterdir()}
    name = part(20).id
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    assert bundle.take(name, {**files, "lease": b"{}", "ck-/../../climbed.pt": b""})
    assert not bundle.take(name, files)
    assert names(tmp_path / "home") == sorted(f"runs/{name}/{file}" for file in files)


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


def test_a_run_that_is_trained_here_or_is_no_plain_folder_keeps_no_other_from_coming_home(
    packed, store, tmp_path, monkeypatch
):
    first, second = sorted((store / "runs").iterdir())
    (first / ".ipynb_checkpoints").mkdir()
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    with pytest.raises(StoreError, match=r"1 of 2 runs left out, 1 taken over: .*ipynb_checkpoints: not a plain file"):
        adopt(store)
    assert [path.name for path in (tmp_path / "home" / "runs").iterdir()] == [second.name]

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.PosixPath.iterdir", refuse)
        with pytest.raises(StoreError, match=f"2 of 2 runs left out, 0 taken over: .*{first.name}: Permission denied"):
            adopt(store)
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "busy"))
    busy = part(20)
    with Lock(busy.run), pytest.raises(StoreError, match=r"1 of 2 runs left out, 1 taken over: .* trains it now"):
        adopt(tmp_path / "bundle")
    assert {path.name for path in (tmp_path / "busy" / "runs").iterdir()} >= {first.name, second.name}


def test_what_is_trained_on_while_its_continuation_is_taken_over_is_not_lost(store, tmp_path, monkeypatch):
    bundle.pack([part(20).run], tmp_path / "first")
    bundle.pack([part(40).run], tmp_path / "second")
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    adopt(tmp_path / "first")
    set_aside = bundle.set_aside

    def overtaken(run):
        part()
        return set_aside(run)

    monkeypatch.setattr(bundle, "set_aside", overtaken)
    assert adopt(tmp_path / "second") == (1, 0)
    (aside,) = (tmp_path / "home" / "runs").glob("*.replaced-1")
    assert (aside / "result.json").exists()


def test_what_a_killed_import_left_is_no_part_of_the_next(packed, tmp_path, monkeypatch):
    """In a container every process has the same number."""
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "home"))
    ours = part(20)
    left = ours.run.path.with_name(f".{ours.id}.{os.getpid()}.tmp")
    left.mkdir()
    (left / "ck-59-0.pt").write_bytes(b"")
    assert adopt(tmp_path / "bundle") == (2, 0)
    assert ours.run.saved_step == 30


def test_a_disk_without_room_for_what_is_unpacked_is_an_error_of_ours(packed, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    for work in (lambda: adopt(tmp_path / "bundle"), lambda: bundle.take("0" * 16, {})):
        with pytest.raises(StoreError, match="No such file or directory"):
            work()


def test_a_checkpoint_that_is_gone_before_it_is_read_is_said(store, tmp_path, monkeypatch):
    run, travels, said = part(30).run, bundle.travels, []

    def replaced(name):
        for path in run.checkpoints():
            path.rename(path.with_name(f"ck-31-{path.name.rpartition('-')[2]}"))
        return travels(name)

    monkeypatch.setattr(bundle, "travels", replaced)
    bundle.pack([run], tmp_path / "bundle", said.append)
    assert len(said) == 1
    assert "ck-30" in said[0]
    assert said[0].endswith("left out of the bundle, a newer one took its place")


def test_a_name_that_no_file_can_have_is_an_error_of_ours():
    with pytest.raises(StoreError, match=r"cannot be read: .*File name too long"):
        adopt(Path("x" * 300 + ".zip"))


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
