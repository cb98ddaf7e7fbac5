"""Who trains a run now: a file made exclusively, so that two processes do not do the same work."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from .config import canonical_json
from .disk import publish, unusable
from .errors import StoreError
from .store import Run


class Lease:
    """The right to train one run: a file made exclusively, that names host, process and its start.

    A lease whose process is gone on this host is stale and is taken over; one of another host is respected.
    """

    def __init__(self, run: Run):
        self.path = run.path / "lease"

    def __enter__(self) -> Lease:
        mine = {"host": socket.gethostname(), "pid": os.getpid(), "started": _process_start(os.getpid())}
        for _ in range(3):
            try:
                publish(self.path, canonical_json(mine).encode())
                return self
            except FileExistsError:
                holder = holder_of(self.path)
                if holder is not None:
                    raise StoreError(
                        f"run {self.path.parent.name}: process {holder['pid']} on {holder['host']} trains it now; "
                        f"wait for it, or delete {self.path} if that machine is gone"
                    ) from None
                try:
                    self.path.unlink(missing_ok=True)
                except OSError as error:
                    raise unusable(self.path, error) from None
        raise StoreError(f"{self.path}: other processes keep taking this lease; try again")

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)


def holder_of(path: Path) -> dict[str, Any] | None:
    """Who holds a lease, or None if nobody does or the process is gone."""
    try:
        lease = json.loads(path.read_text())
        host, pid, started = lease["host"], lease["pid"], lease["started"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # cut short by a crash: nobody
    if not isinstance(pid, int):
        return None
    if host == socket.gethostname() and _process_start(pid) != started:
        return None
    return dict(lease)


def status(run: Run) -> str:
    """done, diverged, running, resumable, pending, or damaged: derived from the files."""
    try:
        result = run.result()
    except StoreError:
        return "damaged"
    if result is not None:
        return str(result["status"])
    if holder_of(run.path / "lease") is not None:
        return "running"
    return "resumable" if run.checkpoints() else "pending"


def _process_start(pid: int) -> str | None:
    """When a process of this machine started, so that a reused pid is not taken for it; None if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return None
    except OSError:
        return None
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return "unknown"
