"""Lease on a run, held by the process that trains it now.

It is a file made exclusively, kept fresh by a heartbeat, so that two processes do not do one work.

A lease whose process is gone from this machine is stale at once. One of another machine is stale when it has not
changed for STALE seconds of the watcher's own monotonic clock: no clock is compared with another.
Two live owners are harmless: the work is deterministic, the first to publish wins, and one that finds its lease taken
stops.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from ..config import canonical_json
from ..errors import RunError, Stopped, StoreError
from ..files import publish, unusable
from ..progress import notices
from .folder import Run

HEARTBEAT, STALE = 10.0, 120.0  # seconds; a network file system may show a change a minute late
DEATHS, FRUITLESS = 2, 5  # deaths in a row without progress: quarantined in a sweep; refused anywhere
UNREADABLE: dict[str, Any] = {"host": "a machine that is not known", "place": "", "pid": 0, "started": "", "owner": ""}


class Busy(StoreError):
    """Another process trains this run now."""


class Watch:
    """Memory that a watcher has of leases: the text last seen, and when it was new, by its own monotonic clock."""

    def __init__(self) -> None:
        self.seen: dict[Path, tuple[str, float]] = {}

    def stale(self, path: Path, text: str) -> bool:
        """Say whether a lease has not changed for STALE seconds of watching."""
        before, since = self.seen.get(path, ("", 0.0))
        if text != before:
            self.seen[path] = (text, time.monotonic())
            return False
        return time.monotonic() - since > STALE


class Lock:
    """The right to train one run. `tell` puts how far it is into the next heartbeat; `lost` says that another took it.

    Entering raises Busy where a live process holds it; it takes up to STALE seconds to find another machine's dead.
    With `give_up` it waits for that process instead, as long as it lives, and raises Stopped once `give_up()` is true.
    """

    def __init__(self, run: Run, give_up: Callable[[], bool] | None = None):
        self.run, self.path, self.give_up = run, run.path / "lease", give_up
        self.owner, self.beat, self.lost = secrets.token_hex(8), 0, False
        self.progress: dict[str, Any] = {}
        self.left = threading.Event()
        self.heart = threading.Thread(target=self._keep, daemon=True)

    def tell(self, **progress: Any) -> None:
        """Set what the next heartbeat says beside being alive: step, target, rate."""
        self.progress = progress

    def __enter__(self) -> Lock:
        watch = Watch()
        while True:
            try:
                publish(self.path, self._content())
                break
            except FileExistsError:
                self._make_way(watch)
            except StoreError:  # it may be there all the same: the folder's own sync comes last
                self._leave()
                raise
        self.heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.left.set()
        self.heart.join()  # a beat under way would bring the lease back
        self._leave()

    def _leave(self) -> None:
        if (_read(self.path) or {}).get("owner") == self.owner:
            self.path.unlink(missing_ok=True)

    def _make_way(self, watch: Watch) -> None:
        """Remove a lease that nobody holds, wait for another machine's to show life; Busy where it lives."""
        first = _read(self.path)
        if first is None or not _alive(first):
            count_death(self.run)
            return
        if self.give_up is not None:
            self._wait(first, watch)
            return
        if _is_here(first):
            raise Busy(f"{self._held_by(first)}; wait for it")
        print(f"{self._held_by(first)}, if it shows life within {STALE:g} s", file=sys.stderr, flush=True)
        while not watch.stale(self.path, canonical_json(first)):
            time.sleep(min(1.0, STALE / 10))
            now = _read(self.path)
            if now is None or (first == UNREADABLE and now != first):
                return
            if now != first:
                raise Busy(f"{self._held_by(now)}; wait for it")
        count_death(self.run, lost=first)

    def _wait(self, holder: dict[str, Any], watch: Watch) -> None:
        """Wait until a process leaves a run, dies, or, on another machine, falls silent."""
        print(f"{self._held_by(holder)}; waiting for it", file=notices(), flush=True)
        now = _read(self.path)
        while now is not None and _alive(now):
            if not _is_here(now) and watch.stale(self.path, canonical_json(now)):
                count_death(self.run, lost=now)
                return
            if self.give_up is not None and self.give_up():
                raise Stopped(f"{self._held_by(now)}; stopped waiting for it, the same command continues")
            time.sleep(min(0.2, STALE / 10))
            now = _read(self.path)

    def _held_by(self, holder: dict[str, Any]) -> str:
        return f"run {self.path.parent.name}: process {holder['pid']} on {holder['host']} trains it now"

    def _content(self) -> bytes:
        pid = os.getpid()
        mine = {"host": socket.gethostname(), "place": _place(), "pid": pid, "started": _process_start(pid)}
        return canonical_json({**mine, "owner": self.owner, "beat": self.beat, **self.progress}).encode()

    def _keep(self) -> None:
        """The heartbeat, in a thread of its own."""
        while not self.left.wait(HEARTBEAT):
            now = _read(self.path)
            if now == UNREADABLE:
                continue
            if (now or {}).get("owner") != self.owner:
                self.lost = True
                return
            self.beat += 1
            with contextlib.suppress(StoreError):  # a full disk: the next beat may come through
                publish(self.path, self._content(), replace=True)


def holder_of(path: Path, watch: Watch | None = None) -> dict[str, Any] | None:
    """Holder of a lease; None if it has none or its process is gone. Of other machines as far as `watch` can tell."""
    lease = _read(path)
    if lease is None or not _alive(lease):
        return None
    if watch is not None and not _is_here(lease) and watch.stale(path, canonical_json(lease)):
        return None
    return lease


def set_aside(run: Run) -> Path:
    """Rename a run's folder, if there is one, to make way for another; Busy where somebody trains it now.

    -> its new name
    """
    if not run.path.exists():
        return run.set_aside()
    with Lock(run):  # nobody can take it on the way
        aside = run.set_aside()
    (aside / "lease").unlink(missing_ok=True)
    return aside


def count_death(run: Run, lost: dict[str, Any] | None = None) -> bool:
    """Remove the lease of a process that is gone and note its death; `lost`: another machine's, as it was last seen.

    -> whether one was removed. Of several that try, one does.
    """
    path, aside = run.path / "lease", run.path / f".lease.{secrets.token_hex(4)}.tmp"
    lease = _read(path)
    if lease is not None and lease != lost and _alive(lease):
        return False
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unusable(path, error) from None
    if overtaken := _read(aside) != lease:  # another was faster and holds it by now
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(aside)
    aside.unlink(missing_ok=True)
    if overtaken:
        return False
    if lost is not None:
        note(run, "lost", f"its machine, {lost['host']}, fell silent")
    else:
        note(run, "died", "its process was killed")
    return True


def note(run: Run, kind: str, said: str) -> None:
    """Note a trouble of a run beside its newest checkpoint's step, if the disk takes it."""
    with contextlib.suppress(StoreError):
        run.append({"event": kind, "kind": kind, "step": run.saved_step, "said": said}, "troubles.jsonl")


def troubles(run: Run) -> list[dict[str, Any]]:
    """The troubles since the run last made progress, the newest last."""
    step = run.saved_step
    return [t for t in run.troubles() if t.get("step") == step]


def quarantined(run: Run) -> bool:
    """Say whether its process died twice without progress in between: a sweep leaves such a run alone."""
    return len([t for t in troubles(run) if t["kind"] == "died"]) >= DEATHS


def check_progress(run: Run) -> None:
    """RunError for a run that came no further in its last attempts."""
    fruitless = [t for t in troubles(run) if t["kind"] in ("died", "lost")]
    if len(fruitless) >= FRUITLESS:
        why = f"no progress in {len(fruitless)} tries, each ended at step {run.saved_step}"
        raise RunError(f"run {run.path.name}: {why} ({fruitless[-1]['said']}); `run --fresh` starts anew")


def status(run: Run, watch: Watch | None = None) -> str:
    """done, diverged, running, quarantined, failed, resumable, pending, or damaged: derived from the files."""
    try:
        result = run.result()
    except StoreError:
        return "damaged"
    if result is not None:
        return str(result["status"])
    if holder_of(run.path / "lease", watch) is not None:
        return "running"
    if quarantined(run):
        return "quarantined"
    if [t["kind"] for t in troubles(run)][-1:] == ["failed"]:
        return "failed"
    return "resumable" if run.checkpoints() else "pending"


def _read(path: Path) -> dict[str, Any] | None:
    """A lease's content; None if there is none, {} if it makes no sense: nobody's; UNREADABLE as long as it is."""
    try:
        lease = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except OSError:  # of another user; or over a network, where its owner has just replaced it
        return UNREADABLE
    except ValueError:
        return {}
    named = isinstance(lease, dict) and isinstance(lease.get("pid"), int) and {"host", "started"} <= lease.keys()
    return lease if named else {}


def _alive(lease: dict[str, Any]) -> bool:
    """Say whether a lease's process may be alive: it is, if it is of this machine; unknown, so yes, if of another."""
    if not lease:
        return False
    return not _is_here(lease) or bool(_process_start(lease["pid"]) == lease["started"])


def _is_here(lease: dict[str, Any]) -> bool:
    return bool(lease.get("host") == socket.gethostname() and lease.get("place") == _place())


def _place() -> str:
    """Mark that tells this machine's processes from those of another machine, container or boot of the same name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot[:8]}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _process_start(pid: int) -> str | None:
    """Start time of a process of this machine, so that a reused pid is not taken for it; None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # no clock that is set moves it
        return None if fields[0] in "ZX" else fields[19]  # a zombie holds nothing
    except OSError:
        if Path("/proc/self").exists():
            return None
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.Error:
        return None
