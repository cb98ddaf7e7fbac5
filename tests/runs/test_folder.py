"""The records: whole or absent, verified on reading, resumed from the newest good checkpoint."""

import json
import os
import subprocess
import sys

import pytest
import torch

import workbench as wb
from workbench import files
from workbench.errors import ParameterError, StoreError
from workbench.runs import folder as store
from workbench.runs import lock
from workbench.runs.folder import _difference
from workbench.runs.lock import Lock
from workbench.runs.run import _answered as answered


@pytest.fixture
def record(store):
    return wb.run("seqdigits_lstm", "smoke", progress=False)


def test_publish_writes_all_or_nothing_and_the_first_wins(tmp_path):
    path = tmp_path / "a"
    files.publish(path, b"first")
    with pytest.raises(FileExistsError):
        files.publish(path, b"second")
    assert path.read_bytes() == b"first"
    files.publish(path, b"third", replace=True)
    assert path.read_bytes() == b"third"
    assert os.listdir(tmp_path) == ["a"]


def test_a_disk_that_goes_away_while_a_file_is_written_is_an_error_of_ours(tmp_path, monkeypatch):
    def gone(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", gone)
    monkeypatch.setattr("pathlib.Path.unlink", gone)
    with pytest.raises(StoreError, match="a: Input/output error"):
        files.publish(tmp_path / "a", b"first")


def test_a_run_is_one_folder_in_its_final_form(record):
    names = sorted(p.name for p in record.run.path.iterdir())
    assert names[:2] == ["chance.json", names[1]]
    assert names[1].startswith("ck-4-")
    assert names[2:] == ["events.jsonl", "result.json", "spec.json"]
    spec = record.run.spec()
    assert spec["id"] == record.id == record.run.path.name
    assert len(json.loads((record.run.path / "chance.json").read_text())["valid"]) == 64


def test_a_run_is_a_folder_named_by_16_hex_digits_and_nothing_else_is(tmp_path):
    for name in ("0123456789abcdef", "abc", "0123456789abcdeg", "0123456789abcdef0"):
        (tmp_path / name).mkdir()
    (tmp_path / "1123456789abcdef").write_text("a file")
    (tmp_path / "2123456789abcdef").symlink_to(tmp_path / "0123456789abcdef")
    assert [run.path.name for run in store.find(tmp_path)] == ["0123456789abcdef"]
    assert list(store.find(tmp_path / "not there")) == []


def test_a_run_is_opened_by_its_id(tmp_path):
    assert store.open_run(tmp_path, "0123456789abcdef").path == tmp_path / "0123456789abcdef"
    for bad in ("0123456789abcde", "0123456789abcdef0", "0123456789abcdeg", "../0123456789abc", 1, None):
        with pytest.raises(ParameterError, match="is not an id; 16 hex digits are needed"):
            store.open_run(tmp_path, bad)


def test_a_run_may_be_set_aside_again_and_again(tmp_path):
    for content in "abc":
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / content).write_text(content)
        store.Run(tmp_path / "run").set_aside()
    found = {path.parent.name: path.name for path in tmp_path.glob("*/*")}
    assert found == {"run.replaced-1": "a", "run.replaced-2": "b", "run.replaced-3": "c"}


def test_a_run_leaves_no_word_of_the_machine_or_its_user(record):
    text = "".join(p.read_text() for p in record.run.path.glob("*.json*"))
    for secret in (os.path.expanduser("~"), os.uname().nodename, str(record.run.path.parent)):
        assert secret not in text


@pytest.mark.parametrize("name", ["result.json", "events.jsonl"])
def test_a_changed_byte_is_found(record, name):
    path = record.run.path / name
    content = bytearray(path.read_bytes())
    at = content.index(b"0.") + 2
    content[at] = ord("1") if content[at] != ord("1") else ord("2")
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"{name}.*altered"):
        (record.run.result if name == "result.json" else record.run.events)()


def test_a_line_cut_short_by_a_crash_is_not_an_event(record):
    path = record.run.path / "events.jsonl"
    whole = record.run.events()
    path.write_bytes(path.read_bytes() + b'{"event":"eval')
    assert record.run.events() == whole


def test_a_damaged_record_is_one_row_that_says_so(record):
    other = wb.run("adding_irnn_T100", "smoke", progress=False)
    (record.run.path / "result.json").write_text("{}")
    table = wb.list_records().set_index("id")
    assert table.loc[record.id, "status"] == "damaged"
    assert table.loc[other.id, "status"] == "done"


def test_the_newest_good_checkpoint_is_loaded_and_a_bad_one_set_aside(record):
    good = record.run.checkpoints()[0]
    state = torch.load(good, weights_only=True)
    record.run.save_checkpoint(9, state["trainer"], state["cost"])
    newest = record.run.checkpoints()[0]
    assert newest.name.startswith("ck-9-")
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert record.run.load_checkpoint()["trainer"]["step"] == 4
    assert [p.name for p in record.run.checkpoints()] == [good.name]
    assert newest.with_suffix(".pt.bad").exists()


def test_a_finished_run_whose_last_checkpoint_is_lost_shows_no_older_weights_beside_its_score(record):
    (last,) = record.run.checkpoints()
    state = torch.load(last, weights_only=True)
    state["trainer"]["step"] = 3
    record.run.save_checkpoint(3, state["trainer"], state["cost"])
    assert not record.net().training
    last.write_bytes(last.read_bytes()[:-1])
    for _ in range(2):
        with pytest.raises(StoreError, match="its weights of step 4 are lost"):
            record.net()


def test_two_checkpoints_are_kept(record):
    state = torch.load(record.run.checkpoints()[0], weights_only=True)
    for step in (5, 6, 7):
        record.run.save_checkpoint(step, state["trainer"], state["cost"])
    assert [p.name.split("-")[1] for p in record.run.checkpoints()] == ["7", "6"]


def test_a_checkpoint_that_another_owner_has_removed_is_not_missed(record, monkeypatch):
    (saved,) = record.run.checkpoints()
    state = torch.load(saved, weights_only=True)
    listed = [saved, *(record.run.path / f"ck-{step}-0.pt" for step in (2, 1))]
    monkeypatch.setattr(store.Run, "checkpoints", lambda self: listed)
    record.run.save_checkpoint(5, state["trainer"], state["cost"])
    assert saved.exists()


def test_events_after_the_checkpoint_are_cut_away(record):
    state = torch.load(record.run.checkpoints()[0], weights_only=True)
    known = record.run.events()
    record.run.append({"event": "evaluation", "step": 5})
    record.run.rewind_events(state)
    assert record.run.events() == known
    record.run.rewind_events(None)
    assert record.run.events() == []


def test_where_the_newest_checkpoint_knows_of_lost_rows_the_one_before_is_taken_up(record):
    state = torch.load(record.run.checkpoints()[0], weights_only=True)
    path, known = record.run.path / "events.jsonl", record.run.events()
    record.run.append({"event": "evaluation", "step": 5})
    record.run.save_checkpoint(5, state["trainer"], state["cost"])
    path.write_bytes(path.read_bytes()[:-3])
    assert record.run.take_up() is not None
    assert record.run.events() == known
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(StoreError, match="altered since its checkpoint"):
        record.run.take_up()


def test_a_run_that_must_begin_anew_keeps_its_curve_beside_the_new_one(record, capsys):
    known = (record.run.path / "events.jsonl").read_bytes()
    for path in record.run.checkpoints():
        path.write_bytes(b"")
    assert record.run.take_up() is None
    assert record.run.events() == []
    assert (record.run.path / "events.jsonl.replaced-1").read_bytes() == known
    assert "no checkpoint to go on from; begins anew, its curve is events.jsonl.replaced-1" in capsys.readouterr().err


def test_a_trouble_cut_short_hides_no_other(record):
    lock.note(record.run, "died", "its process was killed")
    path = record.run.path / "troubles.jsonl"
    path.write_bytes(path.read_bytes() + b'{"event":"di')
    for _ in range(2):
        lock.note(record.run, "died", "its process was killed")
    assert len(record.run.troubles()) == 2


def test_a_second_different_result_is_refused_and_an_equal_one_accepted(record):
    result = record.run.result()
    record.run.finish(result | {"cost": {"wall_s": 99.0}})
    with pytest.raises(StoreError, match="another process recorded a different result"):
        record.run.finish(result | {"weights_sha256": "0" * 64})


def test_a_lease_is_held_by_one_and_is_stale_when_its_process_is_gone(tmp_path):
    run = store.Run(tmp_path)
    with Lock(run):
        with pytest.raises(StoreError, match=f"process {os.getpid()} on .* trains it now"):
            Lock(run).__enter__()
        assert lock.holder_of(tmp_path / "lease")["pid"] == os.getpid()
    assert not (tmp_path / "lease").exists()
    code = (
        "from pathlib import Path; from workbench.runs import folder, lock; "
        f"lock.Lock(folder.Run(Path({str(tmp_path)!r}))).__enter__()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "lease").exists()  # left behind by a process that is gone
    with Lock(run):
        assert lock.holder_of(tmp_path / "lease")["pid"] == os.getpid()


def test_a_checkpoint_of_another_run_is_refused(record, tmp_path):
    other = wb.run("adding_irnn_T100", "smoke", progress=False)
    for path in record.run.checkpoints():
        path.unlink()
    checkpoint = other.run.checkpoints()[0]
    (record.run.path / checkpoint.name).write_bytes(checkpoint.read_bytes())
    with pytest.raises(StoreError, match=f"a checkpoint of run {other.id}"):
        record.run.load_checkpoint()


def test_a_checkpoint_that_is_code_is_not_run(record):
    """A pickle with a class of its own in it must be refused, not executed."""
    import hashlib
    import io
    import pickle

    class Danger:
        def __reduce__(self):
            return (os.mkdir, (str(record.run.path / "executed"),))

    buffer = io.BytesIO()
    torch.save({"id": record.id, "trainer": Danger()}, buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()[:16]
    (record.run.path / f"ck-99-{digest}.pt").write_bytes(buffer.getvalue())
    with pytest.raises((StoreError, pickle.UnpicklingError)):
        record.run.load_checkpoint()
    assert not (record.run.path / "executed").exists()


def test_what_the_disk_does_not_give_is_named_and_nothing_is_set_aside_as_bad(record):
    """A folder stands for a file that cannot be read: the test may run as root, who reads everything."""
    events, newest = record.run.path / "events.jsonl", record.run.checkpoints()[0]
    for path, look in ((events, record.run.events), (newest, record.run.load_checkpoint)):
        kept = path.read_bytes()
        path.unlink()
        path.mkdir()
        with pytest.raises(StoreError, match=f"{path.name}: Is a directory"):
            look()
        path.rmdir()
        path.write_bytes(kept)
    assert record.run.load_checkpoint()["trainer"]["step"] == 4


@pytest.fixture
def refused(monkeypatch):
    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    return lambda: monkeypatch.setattr("pathlib.PosixPath.rename", refuse)


def test_a_bad_checkpoint_that_cannot_be_set_aside_is_an_error(record, refused):
    newest = record.run.checkpoints()[0]
    newest.write_bytes(newest.read_bytes()[:-1])
    refused()
    with pytest.raises(StoreError, match=f"{newest.name}: Permission denied"):
        record.run.load_checkpoint()


def test_a_folder_is_set_aside_under_a_name_that_is_free(record, refused):
    name = record.run.path.name
    assert record.run.set_aside().name == f"{name}.replaced-1"
    assert record.run.set_aside().name == f"{name}.replaced-2", "there is nothing to rename, and nothing is overwritten"
    record.run.path.mkdir()
    assert record.run.set_aside().name == f"{name}.replaced-2"
    assert record.run.set_aside().name == f"{name}.replaced-3"
    record.run.path.mkdir()
    refused()
    with pytest.raises(StoreError, match=f"{name}: Permission denied"):
        record.run.set_aside()


def test_a_line_that_the_disk_takes_half_of_is_cut_away_again(tmp_path):
    """A limit on the size of files, as a full disk: the system writes what fits and says how much that was."""
    resource = pytest.importorskip("resource")
    run = store.Run(tmp_path)
    run.append({"event": "evaluation", "step": 1})
    size = (tmp_path / "events.jsonl").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
    try:
        with pytest.raises(StoreError, match=r"events.jsonl: no space: needs \d+ bytes"):
            run.append({"event": "evaluation", "step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "events.jsonl").stat().st_size == size
    assert [event["step"] for event in run.events()] == [1]


def test_a_store_that_is_no_folder_is_an_error_and_one_that_is_not_there_is_empty(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file: cannot be read: .*Not a directory"):
        list(store.find(tmp_path / "file"))
    assert list(store.find(tmp_path / "none")) == []


def test_a_strangers_checkpoint_without_a_config_is_refused_all_the_same():
    assert _difference(None, {"model": {"hidden": 8}}) == ""
    assert _difference({"model": {"hidden": 8}}, {"model": {"hidden": 16}}) == " (model.hidden 8, here 16)"


def test_a_run_whose_checkpoints_are_gone_has_no_weights_to_show(record):
    for path in record.run.checkpoints():
        path.unlink()
    with pytest.raises(StoreError, match=f"run {record.id}: no checkpoint is kept, so there are no weights"):
        record.net()


def test_a_folder_that_may_not_be_entered_is_an_error_of_ours(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.PosixPath.exists", refuse)
    with pytest.raises(StoreError, match=f"{tmp_path.name}: Permission denied"):
        answered(store.Run(tmp_path), None, None)
