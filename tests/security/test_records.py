"""Records from elsewhere: what they hold is text, wherever it is shown, and they lie where their name says."""

import csv
import io
import json
import os

import pytest
from bad_inputs.case import ADDING, CONFIG, TINY
from security.conftest import HOSTILE

import workbench as wb
from workbench.__main__ import main
from workbench.analysis import tables
from workbench.config import run_id
from workbench.errors import ParameterError, StoreError
from workbench.runs import bundle, lock, status
from workbench.runs.bundle import adopt, take
from workbench.runs.folder import Run, open_run

IDS = ("../../../../etc", "..", ".", "", "/etc/passwd", "0123456789abcdeF", "0123456789abcde", "0123456789abcde/")
IDS += ("0123456789abcde\n", "a" * 300, "０１２３４５６７８９ａｂｃｄｅｆ", "\0" * 16)  # noqa: RUF001
CLEAR = "\x1b[2J\x1b]0;owned\x07\r"  # a terminal would obey it


@pytest.fixture
def theirs(store, tmp_path):
    """A run whose experiment has a name that a page would run, a spreadsheet too, and a terminal obey."""
    name = f"=cmd(){HOSTILE}{CLEAR}"
    run = Run(tmp_path / "theirs" / "runs" / run_id(CONFIG, 0, {}))
    spec = {"schema": 1, "id": run.path.name, "experiment": name, "smoke": False, "config": CONFIG.model_dump()}
    run.create(spec | {"seed": 0, "data": {}, "threads": 1}, {})
    lock.note(run, "failed", f"{HOSTILE}{CLEAR}")
    return run


@pytest.mark.parametrize("name", IDS)
def test_an_id_is_sixteen_hex_digits_and_no_path(name, store, tmp_path):
    with pytest.raises(ParameterError, match="16 hex digits"):
        open_run(tmp_path, name)
    with pytest.raises(ParameterError, match="16 hex digits"):
        take(name, {"spec.json": b"{}"})
    assert not store.exists()


@pytest.mark.parametrize("name", ["../spec.json", "/tmp/spec.json", "ck-1-a/../../x.pt", "ck-../../x.pt", "lease", "x"])
def test_files_that_a_worker_sends_stay_in_their_run(name, store, tmp_path):
    """Files that are no part of a record are left out; the rest is then refused, for it has no spec."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError):
        take("0123456789abcdef", {name: b"x"})
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_is_not_written_through_a_link(store, tmp_path):
    """A link that another user made where the run's folder would be."""
    (tmp_path / "elsewhere").mkdir()
    (store / "runs").mkdir(parents=True)
    (store / "runs" / run_id(CONFIG.set(TINY), 0, {})).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="never one"):
        wb.run(wb.Config.parse(CONFIG.set(TINY).model_dump()), progress=False)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_hostile_name_is_text_in_a_terminal_a_page_and_a_spreadsheet(theirs, store, tmp_path, capsys):
    assert main(["import", str(tmp_path / "theirs")]) == 0
    lock.note(Run(store / "runs" / theirs.path.name), "failed", f"{HOSTILE}{CLEAR}")
    for verb in (["status"], ["list", "runs"]):
        assert main(verb) == 0
        shown = capsys.readouterr().out
        assert all(c.isprintable() or c == "\n" for c in shown), verb
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["error"].endswith(CLEAR)  # told as it is, where nothing obeys it
    from workbench.notebook.run_board import Board

    for page in (Board().table.value, tables.render(wb.results_table([ADDING]).assign(note=HOSTILE), "html")):
        assert "<script" not in page
        assert "<img" not in page
        assert "<svg" not in page


@pytest.mark.parametrize("first", [*"=+-@", "\t", "\r"])
def test_no_cell_of_a_table_is_a_formula(first, store):
    table = wb.results_table([ADDING]).assign(note=f'{first}HYPERLINK("http://evil.example","x")')
    rows = list(csv.DictReader(io.StringIO(tables.render(table, "csv"), newline="")))
    assert rows
    for row in rows:
        assert row["note"].startswith(f"'{first}")
        texts = [value for name, value in row.items() if name in ("table", "experiment", "metric", "source", "verdict")]
        assert not [text for text in texts if text[:1] in tuple("=+-@\t\r")]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "9" * 5000, "[" * 100_000])
def test_a_number_that_is_none_damages_its_record_alone(number, theirs, store, tmp_path):
    """In the spec, and in an event whose check is right."""
    other = wb.run(ADDING, "smoke", changes=TINY, progress=False)
    spec = store / "runs" / theirs.path.name / "spec.json"
    spec.parent.mkdir()
    spec.write_text((theirs.path / "spec.json").read_text().replace('"lr": 0.0002', f'"lr": {number}'))
    with pytest.raises(StoreError, match=r"spec\.json"):
        Run(spec.parent).spec()
    rows = {row["id"]: row["status"] for row in status.rows()}
    assert rows == {other.id: "done", theirs.path.name: "damaged"}


def test_a_bundle_leaves_out_who_trained_where(store, tmp_path):
    """The lease and the troubles name a host and a process; they stay here."""
    record = wb.run(ADDING, "smoke", changes=TINY, progress=False)
    (record.run.path / "lease").write_text(os.uname().nodename)
    lock.note(record.run, "lost", f"its machine, {os.uname().nodename}, fell silent")
    (record.run.path / "notes.txt").write_text("private")
    bundle.pack([record.run], tmp_path / "bundle")
    content = b"".join(path.read_bytes() for path in (tmp_path / "bundle").iterdir())
    assert b"troubles" not in content
    assert b"private" not in content
    assert b"/lease" not in content


def test_taking_over_copies_plain_files_of_the_record_and_no_others(theirs, store, tmp_path):
    (theirs.path / "run.sh").write_text("#!/bin/sh")
    (theirs.path / "sitecustomize.py").write_text("1")
    assert adopt(tmp_path / "theirs") == (1, 0)
    assert {path.name for path in (store / "runs" / theirs.path.name).iterdir()} == {"spec.json"}
