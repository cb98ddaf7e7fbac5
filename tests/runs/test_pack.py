"""Packs of published records: what is put in comes out, is read where it lies, and is the same bytes every time."""

import runpy
import shutil
import zipfile
from pathlib import Path

import pytest

import workbench as wb
from workbench import files
from workbench.errors import StoreError
from workbench.runs import pack
from workbench.runs.bundle import adopt
from workbench.runs.folder import Run, find, lookup
from workbench.runs.record import Record, find_id, records
from workbench.runs.status import overview

NAME = "adding_rnn_tanh_T100"
CHANGES = {"train.steps": 60, "train.evaluate_every": 20, "task.length": 4, "model.hidden": 4}
ROOT = Path(__file__).parents[2]
PUBLISH = runpy.run_path(str(ROOT / "scripts" / "publish.py"))


def trained(until=None, seed=0):
    return wb.run(NAME, "smoke", seed=seed, changes=CHANGES, until=until, progress=False)


def contents(run):
    return {path.name: path.read_bytes() for path in run.path.iterdir()}


def publish(*found):
    """Publish these records as `scripts/publish.py` does, and forget one's own."""
    PUBLISH["publish"](found, files.published() / "runs")
    for record in found:
        shutil.rmtree(record.run.path)
    return files.published() / "runs" / f"{NAME}.zip"


def test_a_packed_run_reads_as_its_folder_did(store):
    record = trained(20)
    before, row = contents(record.run), record.row
    record.verify()
    made = publish(record)
    run = lookup(made.parent, record.id)
    names = [path.name for path in run.path.iterdir()]
    assert names == sorted(name for name in before if name.startswith(("spec", "chance", "events", "ck")))
    assert {name: content for name, content in before.items() if name in names} == contents(run)
    packed = Record(run)
    packed.verify()
    assert packed.row == row | {"published": True}
    assert packed.status == "resumable"
    assert packed.run.saved_step == 20
    assert packed.net() is not None
    assert [path.parent for path in packed.run.checkpoints()] == [run.path]
    assert (run.path / "spec.json").stat().st_mtime_ns == made.stat().st_mtime_ns
    for missing in (run.path / "result.json", run.path.parent / ("0" * 16), run.path / "ck-1-2.pt"):
        assert not missing.exists()
    with pytest.raises(FileNotFoundError):
        (run.path / "result.json").read_bytes()


def test_checkpoints_lie_beside_the_records_and_end_with_the_run(store):
    made = publish(trained(20), trained(seed=1))
    beside = made.with_suffix(pack.CHECKPOINTS)
    assert [name.rpartition(".")[2] for name in zipfile.ZipFile(beside).namelist()] == ["pt"]
    assert not [name for name in zipfile.ZipFile(made).namelist() if name.endswith(".pt")]
    assert len(list(find(made.parent, packs=True))) == 2
    publish(trained())
    assert not beside.exists()
    assert [Record(run).status for run in find(made.parent, packs=True)] == ["done", "done"]


def test_the_same_records_give_the_same_bytes_whatever_came_first(store):
    one, other = trained(), trained(seed=1)
    runs = {record.id: PUBLISH["published_files"](record) for record in (one, other)}
    at_once, by_turns = store / "once.zip", store / "turns.zip"
    pack.put(at_once, runs)
    for name in sorted(runs, reverse=True):
        pack.put(by_turns, {name: runs[name]})
    assert at_once.read_bytes() == by_turns.read_bytes()
    assert zipfile.ZipFile(at_once).namelist() == sorted(f"{run}/{name}" for run in runs for name in runs[run])
    before = at_once.stat().st_mtime_ns
    pack.put(at_once, {one.id: runs[one.id]})
    assert at_once.stat().st_mtime_ns == before, "what did not change is not written again"


def test_a_record_is_replaced_and_taken_out_alone(store):
    publish(trained(20), trained(seed=1))
    further = trained()
    made = publish(further)
    assert sorted(Record(run).step for run in find(made, packs=True)) == [60, 60]
    PUBLISH["remove"]([further.id], made.parent)
    assert [Record(run).seed for run in find(made, packs=True)] == [1]
    with pytest.raises(wb.errors.RunError, match="not among the published"):
        PUBLISH["remove"]([further.id], made.parent)


def test_lists_find_packed_records_and_notice_what_changed_in_one(store):
    record = trained(20)
    publish(record)
    assert [row["step"] for row in overview()] == [20]
    assert [(r.published, r.step) for r in records()] == [(True, 20)]
    assert find_id(record.id).published
    assert records(own=True) == []
    publish(trained(40))
    assert [(row["step"], row["published"]) for row in overview()] == [(40, True)]


def test_packed_records_are_taken_over_as_folders_and_carried_on(store, monkeypatch):
    record = trained(20)
    made = publish(record)
    for source in (made, made.parent, files.published()):
        assert adopt(source) == (1, 0)
        assert contents(Run(files.runs() / record.id)) == contents(lookup(made.parent, record.id))
        if source != files.published():
            shutil.rmtree(files.runs() / record.id)
    assert adopt(made) == (0, 1)
    assert trained().step == 60


def test_one_s_own_store_holds_folders_and_a_zip_in_it_is_not_looked_at(store):
    record = trained(20)
    (files.runs() / "backup.zip").write_bytes(b"of something else")
    assert [r.id for r in records()] == [record.id]
    assert [row["id"] for row in overview()] == [record.id]


def test_a_byte_changed_in_a_pack_is_noticed(store):
    made = publish(trained())
    content = bytearray(made.read_bytes())
    with zipfile.ZipFile(made) as archive:
        info = next(i for i in archive.infolist() if i.filename.endswith("events.jsonl"))
    content[info.header_offset + 200] ^= 1
    made.write_bytes(content)
    (run,) = find(made, packs=True)
    with pytest.raises(StoreError, match=r"events\.jsonl: altered: the pack cannot give it"):
        Record(run).verify()
    assert [row["status"] for row in overview()] == ["damaged"]


def test_a_pack_is_read_and_never_written(store):
    made = publish(trained(20))
    before = made.read_bytes()
    (run,) = find(made, packs=True)
    with pytest.raises(StoreError, match="Not a directory"):
        run.append({"event": "x", "step": 1})
    assert made.read_bytes() == before


ID = "0123456789abcdef"


def test_a_pack_takes_no_file_that_no_record_has(tmp_path):
    with pytest.raises(StoreError, match="no file of a record"):
        pack.put(tmp_path / "a.zip", {ID: {"lease": b""}})
    assert list(tmp_path.iterdir()) == []


def test_a_pack_says_nothing_of_the_machine_and_another_content_of_one_size_is_a_change(tmp_path):
    made, signatures = tmp_path / "a.zip", set()
    for content in (b"{}" * 500, b"[]" * 500):
        pack.put(made, {ID: {"spec.json": content}})
        (run,) = pack.find(made)
        signatures.add(run.signature())
        assert (run / "spec.json").read_bytes() == content
    assert len(signatures) == 2
    (info,) = zipfile.ZipFile(made).infolist()
    assert (info.create_system, info.external_attr >> 16, info.date_time[0]) == (3, 0o644, 1980)
    assert info.compress_type == zipfile.ZIP_DEFLATED
