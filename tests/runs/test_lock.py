"""Leases: one owner, a heartbeat, and no clock that is compared with another."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

import workbench as wb
from workbench.errors import RunError, Stopped, StoreError
from workbench.runs import lock
from workbench.runs.folder import Run
from workbench.runs.lock import Busy, Lock, Watch

FOREIGN = {"host": "elsewhere", "place": "", "pid": 1, "started": "1", "owner": "x", "beat": 1}


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_a_heartbeat_changes_the_lease_and_tells_how_far_the_run_is(run, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 0.02)
    with Lock(run) as mine:
        mine.tell(step=7, target=10, rate=2.5)
        deadline = time.monotonic() + 10
        while lock.holder_of(mine.path).get("step") != 7 and time.monotonic() < deadline:
            time.sleep(0.01)
        found = lock.holder_of(mine.path)
        assert (found["step"], found["target"], found["rate"]) == (7, 10, 2.5)
        assert found["beat"] >= 1
    assert not mine.path.exists()


def test_a_beat_under_way_when_the_owner_leaves_brings_no_lease_back(run, monkeypatch):
    """Its process lives on, as a notebook does: everybody, itself too, would wait for it for ever."""
    monkeypatch.setattr(lock, "HEARTBEAT", 0.01)
    publish, beating, beaten = lock.publish, threading.Event(), threading.Event()

    def slow(path, content, *, replace=False):
        if replace:
            beating.set()
            time.sleep(0.2)
        publish(path, content, replace=replace)
        if replace:
            beaten.set()

    monkeypatch.setattr(lock, "publish", slow)
    with Lock(run) as mine:
        assert beating.wait(10)
    assert beaten.wait(10)
    assert not mine.path.exists()


def test_another_machines_lease_is_respected_while_it_changes(run, monkeypatch):
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            (run.path / "lease").write_text(json.dumps({**FOREIGN, "beat": 2}))

    monkeypatch.setattr(time, "sleep", sleep)
    (run.path / "lease").write_text(json.dumps(FOREIGN))
    with pytest.raises(Busy, match="process 1 on elsewhere trains it now"):
        Lock(run).__enter__()
    assert naps == [1.0, 1.0, 1.0]  # it looks once a second


def test_another_machines_silent_lease_is_taken_and_the_loss_is_noted(run, monkeypatch):
    monkeypatch.setattr(lock, "STALE", 0.1)
    (run.path / "lease").write_text(json.dumps(FOREIGN))
    with Lock(run) as mine:
        assert lock.holder_of(mine.path)["owner"] == mine.owner
    (trouble,) = run.troubles()
    assert (trouble["kind"], trouble["step"]) == ("lost", 0)
    assert not lock.quarantined(run)  # the machine fell silent; the run killed nothing


def test_an_owner_that_finds_its_lease_taken_knows_and_leaves_it_alone(run, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 0.02)
    with Lock(run) as slow:
        (run.path / "lease").write_text(json.dumps(FOREIGN))
        deadline = time.monotonic() + 10
        while not slow.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        assert slow.lost
    assert json.loads((run.path / "lease").read_text()) == FOREIGN


def test_a_run_whose_lease_is_taken_stops(store, monkeypatch):
    from workbench.errors import Stopped

    monkeypatch.setattr(lock, "HEARTBEAT", 0.05)

    def steal(row):
        (next(store.glob("runs/*/lease"))).write_text(json.dumps(FOREIGN))
        time.sleep(0.5)

    changes = {"model.hidden": 4, "train.steps": 500, "train.evaluate_every": 50}
    with pytest.raises(Stopped, match="another process took the run over"):
        wb.run("adding_rnn_tanh_T100", "smoke", changes=changes, watch=steal, progress=False)


def test_a_dead_process_is_buried_once_and_twice_is_quarantine(run):
    mine = {"host": os.uname().nodename, "place": lock._place(), "pid": 2**22 + 1, "started": "1", "owner": "x"}
    for deaths in (1, 2):
        (run.path / "lease").write_text(json.dumps(mine))
        assert lock.holder_of(run.path / "lease") is None
        assert lock.count_death(run)
        assert not lock.count_death(run)
        assert [path.name for path in run.path.iterdir()] == ["troubles.jsonl"]
        assert lock.quarantined(run) == (deaths == 2)
    assert lock.status(run) == "quarantined"
    (run.path / "ck-40-0.pt").write_bytes(b"")  # progress: what was before no longer counts
    assert not lock.quarantined(run)
    assert lock.status(run) == "resumable"


def test_no_progress_in_five_tries_is_an_error(store):
    record = wb.run("adding_rnn_tanh_T100", "smoke", changes={"train.steps": 60}, until=20, progress=False)
    for _ in range(lock.FRUITLESS):
        lock.note(record.run, "lost", "its machine fell silent")
    with pytest.raises(RunError, match="no progress in 5 tries, each ended at step 20"):
        wb.run("adding_rnn_tanh_T100", "smoke", changes={"train.steps": 60}, progress=False)


@pytest.mark.parametrize("kind", ["died", "lost"])
def test_deaths_without_progress_end_it_and_failures_do_not(run, kind):
    for _ in range(lock.FRUITLESS):
        lock.note(run, "failed", "out of memory")
    for _ in range(lock.FRUITLESS - 1):
        lock.note(run, kind, "gone")
    lock.check_progress(run)
    lock.note(run, kind, "gone")
    with pytest.raises(RunError, match=r"no progress in 5 tries, each ended at step 0 \(gone\)"):
        lock.check_progress(run)


def test_the_last_trouble_says_whether_a_run_failed(run):
    lock.note(run, "failed", "out of memory")
    assert lock.status(run) == "failed"
    lock.note(run, "died", "its process was killed")
    assert lock.status(run) == "pending"


def test_a_one_time_look_cannot_tell_and_a_watch_can(run, monkeypatch):
    (run.path / "lease").write_text(json.dumps(FOREIGN))
    monkeypatch.setattr(lock, "STALE", 0.05)
    watch = Watch()
    assert lock.status(run, watch) == lock.status(run) == "running"
    time.sleep(0.1)
    assert lock.status(run, watch) == "pending"


def test_two_owners_at_once_leave_each_event_once_and_in_order(run):
    for step in (20, 40, 20, 40, 60):
        run.append({"event": "evaluation", "step": step, "valid": {"mse": 1 / step}})
    assert [e["step"] for e in run.events()] == [20, 40, 60]


def test_a_full_disk_leaves_no_half_line(run, monkeypatch):
    run.append({"event": "evaluation", "step": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"no space: needs \d+ bytes, has \d+"):
        run.append({"event": "evaluation", "step": 2})
    assert (run.path / "events.jsonl").read_bytes().count(b"\n") == 1
    assert [e["step"] for e in run.events()] == [1]


def test_of_two_that_count_death_one_lease_the_slower_leaves_the_next_owner_alone(run, monkeypatch):
    """Between reading a dead process's lease and moving it away, another process may have taken the run."""
    read, dead = lock._read, {**FOREIGN, "host": os.uname().nodename, "place": lock._place(), "pid": 2**22 + 1}
    (run.path / "lease").write_text(json.dumps(dead))
    with Lock(Run(run.path.parent)) as other:
        theirs = other.path.read_bytes()

        def read_and_be_overtaken(path):
            found = read(path)
            monkeypatch.setattr(lock, "_read", read)
            path.write_bytes(theirs)
            return found

        monkeypatch.setattr(lock, "_read", read_and_be_overtaken)
        assert not lock.count_death(run)
        assert (run.path / "lease").read_bytes() == theirs
        assert run.troubles() == []
        assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


def test_another_machine_that_finishes_while_it_is_watched_leaves_the_way_free(run, monkeypatch):
    monkeypatch.setattr(lock, "STALE", 10.0)
    monkeypatch.setattr(time, "sleep", lambda _: (run.path / "lease").unlink())
    (run.path / "lease").write_text(json.dumps(FOREIGN))
    with Lock(run) as mine:
        assert lock.holder_of(mine.path)["owner"] == mine.owner
    assert run.troubles() == []


def test_a_lease_is_stale_when_it_has_not_changed_for_two_minutes(run, monkeypatch):
    clock, watch, path = [1000.0], Watch(), run.path / "lease"
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for now, text, stale in (
        (1000, "a", 0),
        (1000, "a", 0),
        (1120, "a", 0),
        (1121, "a", 1),
        (1121, "b", 0),
        (1242, "b", 1),
    ):
        clock[0] = float(now)
        assert watch.stale(path, text) == stale, now
    assert lock.STALE >= 10 * lock.HEARTBEAT  # a few beats may be lost or late


def test_a_lease_that_may_not_outlast_a_crash_is_not_left_behind(run, monkeypatch):
    """Its file is there, but the disk refused to make the folder's entry durable."""

    def refused(path, content):
        path.write_bytes(content)
        raise StoreError("the disk refuses")

    monkeypatch.setattr(lock, "publish", refused)
    with pytest.raises(StoreError, match="the disk refuses"):
        Lock(run).__enter__()
    assert not (run.path / "lease").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"pid": 1}', '{"pid": 1, "host": "x"}', '{"pid": "1", "host": "x", "started": "1"}']
)
def test_a_lease_that_cannot_be_read_is_nobodys(run, text):
    (run.path / "lease").write_text(text)
    assert lock.holder_of(run.path / "lease") is None
    with Lock(run) as mine:
        assert lock.holder_of(mine.path)["owner"] == mine.owner


@pytest.fixture
def refused(monkeypatch):
    """The kinds of lease that the disk does not give: as over a network, where its owner has just replaced it."""
    names, read = set(), Path.read_text

    def refuse(self, *given, **more):
        if self.name in names:
            names.add("asked")
            raise OSError(116, "Stale file handle")
        return read(self, *given, **more)

    monkeypatch.setattr(Path, "read_text", refuse)
    return names


def test_a_lease_that_the_disk_does_not_give_is_somebodys(run, refused, monkeypatch):
    naps = []

    def sleep(_):
        naps.append(1)
        if len(naps) == 3:
            refused.clear()
            (run.path / "lease").unlink()

    (run.path / "lease").write_text(json.dumps(FOREIGN))
    refused.add("lease")
    monkeypatch.setattr(time, "sleep", sleep)
    assert lock.holder_of(run.path / "lease") is not None
    for give_up in (None, lambda: False):
        naps.clear()
        refused.add("lease")
        (run.path / "lease").write_text(json.dumps(FOREIGN))
        with Lock(run, give_up):
            assert len(naps) == 3
    assert run.troubles() == []


def test_an_owner_who_cannot_read_its_lease_goes_on(run, refused, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 0.02)
    with Lock(run) as mine:
        refused.add("lease")
        deadline = time.monotonic() + 10
        while "asked" not in refused and time.monotonic() < deadline:
            time.sleep(0.01)
        refused.clear()
        beat = mine.beat
        while mine.beat == beat and not mine.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not mine.lost


def test_a_lease_that_cannot_be_moved_away_is_an_error_that_names_it(run, monkeypatch):
    (run.path / "lease").write_text("")

    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.PosixPath.rename", refuse)
    with pytest.raises(StoreError, match="lease: Permission denied"):
        lock.count_death(run)


def test_where_there_is_no_proc_psutil_tells_of_a_process(tmp_path, monkeypatch):
    """As on macOS and Windows."""
    assert lock._process_start(os.getpid()) is not None
    assert lock._process_start(2**22 + 1) is None
    monkeypatch.setattr(lock, "Path", lambda path: tmp_path / path.strip("/"))
    told = lock._process_start(os.getpid())
    assert float(told) == pytest.approx(psutil.Process().create_time())
    assert lock._process_start(2**22 + 1) is None
    gone = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert gone.stdout.read() == b""  # it has ended, or will at once, and nobody has asked how
    deadline = time.monotonic() + 10
    while lock._process_start(gone.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lock._process_start(gone.pid) is None
    gone.wait()
    gone.stdout.close()
    assert lock._place() == ""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "stat").mkdir(parents=True)  # what is there and cannot be read
    assert lock._process_start(7) is None


def test_who_waits_takes_over_when_the_other_leaves_and_gives_up_when_asked(run, capsys):
    with Lock(run):
        asked = iter([False, False, True])
        with pytest.raises(Stopped, match=r"trains it now; stopped waiting for it, the same command continues"):
            Lock(run, lambda: next(asked)).__enter__()
        with pytest.raises(Busy, match="wait for it"):
            Lock(run).__enter__()
    first, second = Lock(run), Lock(run, lambda: False)
    first.__enter__()
    threading.Timer(0.3, first.__exit__).start()
    with second:
        assert lock.holder_of(run.path / "lease")["owner"] == second.owner
    assert capsys.readouterr().err.count("trains it now; waiting for it") == 2


def test_another_machine_is_waited_for_while_it_shows_life_and_no_longer(run, monkeypatch):
    monkeypatch.setattr(lock, "STALE", 0.2)
    beats = iter(range(2, 12))
    nap = time.sleep

    def sleep(seconds):
        nap(seconds)
        if (beat := next(beats, None)) is not None:
            (run.path / "lease").write_text(json.dumps({**FOREIGN, "beat": beat}))

    monkeypatch.setattr(time, "sleep", sleep)
    (run.path / "lease").write_text(json.dumps(FOREIGN))
    with Lock(run, lambda: False) as mine:
        assert next(beats, None) is None
        assert lock.holder_of(mine.path)["owner"] == mine.owner
    assert [trouble["kind"] for trouble in run.troubles()] == ["lost"]


def here(pid, **more):
    """The lease of a process of this machine."""
    mine = {"host": os.uname().nodename, "place": lock._place(), "started": lock._process_start(pid) or "1"}
    return json.dumps({**FOREIGN, **mine, "pid": pid, **more})


def test_a_process_of_this_machine_that_shows_no_life_is_alive_all_the_same(run, monkeypatch):
    """As one that was stopped by Ctrl-Z: the system says that it is there."""
    monkeypatch.setattr(lock, "STALE", 0.05)
    (run.path / "lease").write_text(here(os.getpid()))
    watch, asked = Watch(), iter([False] * 30)
    assert lock.status(run, watch) == "running"
    with pytest.raises(Stopped, match="stopped waiting for it"):
        Lock(run, lambda: next(asked, True)).__enter__()
    assert lock.status(run, watch) == "running"
    assert run.troubles() == []


def test_who_waits_takes_over_from_a_process_that_dies_meanwhile(run):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (run.path / "lease").write_text(here(other.pid))

        def asked():
            other.kill()  # nobody waits for it: it stays a zombie until the end
            return False

        with Lock(run, asked) as mine:
            assert other.returncode is None
            assert lock.holder_of(mine.path)["owner"] == mine.owner
    assert [trouble["kind"] for trouble in run.troubles()] == ["died"]


@pytest.mark.parametrize("of", [{"place": "another container"}, {"host": "elsewhere"}])
def test_a_number_of_a_process_says_nothing_of_another_machine(run, of):
    (run.path / "lease").write_text(here(2**22 + 1))
    assert lock.holder_of(run.path / "lease") is None
    (run.path / "lease").write_text(here(2**22 + 1, **of))
    assert lock.holder_of(run.path / "lease") is not None


def test_a_number_that_another_process_has_by_now_is_not_its_owner(run):
    (run.path / "lease").write_text(here(os.getpid(), started="1"))
    assert lock.holder_of(run.path / "lease") is None


def test_a_lease_given_up_for_lost_that_beats_again_is_left_alone(run):
    (run.path / "lease").write_text(json.dumps({**FOREIGN, "beat": 2}))
    assert not lock.count_death(run, lost=FOREIGN)
    assert json.loads((run.path / "lease").read_text())["beat"] == 2
    assert run.troubles() == []


def test_a_run_is_set_aside_without_a_lease_and_not_while_it_is_trained(run):
    (run.path / "folder").mkdir()
    begun = Run(run.path / "folder")
    with Lock(begun), pytest.raises(Busy):
        lock.set_aside(begun)
    (begun.path / "spec.json").write_text("{}")
    assert [path.name for path in lock.set_aside(begun).iterdir()] == ["spec.json"]
    assert lock.set_aside(begun).name == "folder.replaced-2", "there is nothing to make way"
