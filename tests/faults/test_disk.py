"""Disks that refuse, files that are damaged, writers and readers that meet (faults 6 to 10)."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
from pathlib import Path

import pytest
from faults import bodies

import workbench as wb
from workbench import files
from workbench.errors import StoreError, WorkbenchError
from workbench.runs import folder as records
from workbench.runs.folder import Run, pure
from workbench.runs.record import Record
from workbench.runs.status import overview


@pytest.mark.parametrize("room", [0, 6_000, 30_000, 120_000])
def test_6_a_full_disk_says_so_and_the_run_goes_on_when_there_is_room(fault, small_disk, quiet, monkeypatch, room):
    """The disk fills in the spec, the events, the first or a later checkpoint."""
    monkeypatch.setenv("WORKBENCH_RESULTS", str(small_disk / "results"))
    monkeypatch.setattr("workbench.runs.train_and_record.CHECKPOINT_EVERY", 0.02)
    monkeypatch.setattr("workbench.runs.train_and_record.FIRST_CHECKPOINT", 0.02)
    monkeypatch.setattr("workbench.runs.train_and_record.CHECKPOINT_SHARE", 1.0)
    for _ in fault(6, f"disk full, {room:,} bytes left", 1, 1):
        free = shutil.disk_usage(small_disk).free
        (small_disk / "ballast").write_bytes(b"x" * max(free - room, 0))
        with pytest.raises(StoreError, match=r"no space: needs \d+ bytes, has \d+|No space left on device"):
            bodies.train()
        for run in records.find(files.runs()):
            assert Record(run).status != "damaged" or not (run.path / "spec.json").exists()
        (small_disk / "ballast").unlink()
        assert pure(bodies.train().run.result()) == quiet[0]


class Refusing:
    """Counts writes, syncs and renames; the k-th one fails."""

    def __init__(self, monkeypatch, k=None):
        self.calls, self.k = 0, k
        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "hardlink_to")):
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name)))

    def counted(self, function):
        def call(*given):
            self.calls += 1
            if self.calls - 1 == self.k:
                raise OSError(errno.EIO, "Input/output error")
            return function(*given)

        return call


def test_7_an_error_at_any_write_leaves_the_old_or_the_new(fault, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "whole"))
    with pytest.MonkeyPatch.context() as patch:
        count = Refusing(patch)
        whole = pure(bodies.tiny().run.result())
    for k in fault(7, "error at the k-th fsync, rename or link, every k", count.calls, count.calls):
        monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / str(k)))
        with pytest.MonkeyPatch.context() as patch:
            Refusing(patch, k)
            with contextlib.suppress(StoreError):  # a heartbeat or a second write may do without
                bodies.tiny()
        for run in records.find(files.runs()):
            if (run.path / "spec.json").exists():
                Record(run).verify()
        assert pure(bodies.tiny().run.result()) == whole


@pytest.mark.parametrize("name", ["spec.json", "result.json", "events.jsonl", "ck", ".index.sqlite"])
def test_8_damage_is_detected_and_the_other_runs_still_shown(fault, store, name):
    """A bit changed or the end cut off: verified, the record is either refused or says exactly what it said before."""
    bodies.tiny(0)
    damaged = bodies.tiny(1)
    chance, rows = random.Random(name), overview()
    path = next(damaged.run.path.glob("ck-*")) if name == "ck" else damaged.run.path / name
    path = store / "runs" / name if name.startswith(".") else path
    whole, events = path.read_bytes(), damaged.run.events()
    result, spec = damaged.run.result(), damaged.run.spec()
    for _ in fault(8, f"a bit or the end of {'a checkpoint' if name == 'ck' else name} lost", 300, 25):
        bodies.flip(path, chance)
        if name.startswith("."):
            assert overview() == rows
        else:
            again = Record(Run(damaged.run.path))
            try:
                again.verify()
            except StoreError:
                pass
            else:
                assert (again.run.spec(), again.run.result()) == (spec, result)
                assert again.run.events() == events
            shown = {row["id"]: row["status"] for row in overview()}
            assert len(shown) == 2
            assert sorted(shown.values())[-1] == "done"
        path.write_bytes(whole)
    assert len(overview()) == 2


def test_9_of_eight_writers_of_one_run_one_publishes_and_none_is_lost(fault, forks, tmp_path):
    for index in fault(9, "8 writers of the same run", 100, 2):
        results = tmp_path / str(index)
        crowd = [forks.Process(target=bodies.written, args=(results, 0, 1)) for _ in range(8)]
        for process in crowd:
            process.start()
        for process in crowd:
            process.join()
        assert all(process.exitcode == 0 for process in crowd)
        (run,) = records.find(results / "runs")
        Record(run).verify()
        assert run.result()["step"] == 2
        assert not (run.path / "lease").exists()
        assert not list(run.path.glob(".*"))


def test_9_and_10_eight_writers_of_different_runs_beside_a_reader(fault, forks, tmp_path):
    """N in, N out; and whoever reads meanwhile sees whole records only."""
    writing = fault(9, "8 writers of different runs", 8 * 200, 8 * 4)
    reading = fault(10, "reads during writes", 10_000, 200)
    reader = forks.Process(target=bodies.read, args=(tmp_path / "all", reading.tries))
    each = writing.tries // 8
    writing.tried, reading.tried = 8 * each, reading.tries
    crowd = [forks.Process(target=bodies.written, args=(tmp_path / "all", n * each, each)) for n in range(8)]
    for process in [*crowd, reader]:
        process.start()
    for process in [*crowd, reader]:
        process.join()
    assert all(process.exitcode == 0 for process in [*crowd, reader]), (tmp_path / "all.stderr").read_text()
    found = list(records.find(tmp_path / "all" / "runs"))
    assert len(found) == 8 * each
    for run in found:
        Record(run).verify()
        assert run.result() is not None
    writing.survived, reading.survived = writing.tried, reading.tried


def test_8_an_altered_data_set_is_refused(fault, store, real_data, tmp_path, monkeypatch):
    """Found by its hash at every use, whichever file and bit."""
    chance = random.Random(8)
    (tmp_path / "mnist").mkdir()
    for path in (real_data / "mnist").iterdir():
        (tmp_path / "mnist" / path.name).symlink_to(path)
    victim = min((tmp_path / "mnist").iterdir(), key=lambda p: p.stat().st_size)
    whole = victim.read_bytes()
    victim.unlink()
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    for _ in fault(8, "a bit or the end of a data set lost", 300, 3):
        victim.write_bytes(whole)
        bodies.flip(victim, chance)
        with pytest.raises(WorkbenchError, match=victim.name):
            wb.run("seqmnist_plain6", "smoke", progress=False)
