"""The records: one folder a run, written atomically, verified on reading, listed as a DataFrame.

    spec.json            what is computed, pinned settings; published once, before the first step
    chance.json          what the seed decided and a reader may want to see: the split, the permutation
    events.jsonl         the curve so far, a line an evaluation, a line for each budget reached; each line has a check
    ck-<step>-<sha>.pt   the newest two checkpoints, named by the hash of their bytes
    result.json          only when the schedule is at its end (or the run diverged); holds a check of its own payload
    troubles.jsonl       a line each time its process died or failed; local, never published
    lease                the process that trains it now

Status is derived from these files, never stored. Nothing outside the folder is written; nothing here unpickles code.
Published records have the same files in packs (pack.py), where they are read and never written.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..config import Config, canonical_json
from ..errors import ParameterError, StoreError, quoted
from ..files import make_folder, publish, unusable, using
from . import checkpoint, events, pack
from .checkpoint import Altered, Damaged
from .events import Event

Places = Sequence[dict[str, str]]  # what bits depend on, of each place where a run was computed


class Run:
    """One run's folder: read what is there, add to it. Holding the lease is the caller's business (`lock`)."""

    def __init__(self, path: Path):
        if os.path.islink(path):
            raise StoreError(f"{path}: a link; the folder of a run is never one")
        self.path = path

    # --- reading ---

    def spec(self) -> dict[str, Any]:
        """Spec of what is computed; StoreError where it cannot be read or its id does not match the folder's name."""
        return events.read(self.path / "spec.json", events.check_spec)

    def drawn(self) -> dict[str, Any]:
        """Choices that the seed made, verified; {} where it made none that a reader may want to see."""
        path = self.path / "chance.json"
        return events.read(path) if path.exists() else {}

    def events(self) -> list[Event]:
        """The lines of events.jsonl in the order of their steps; damage is an error.

        A last line cut short by a crash is left out; of two the same by two processes that trained at once, one.
        """
        found: dict[tuple[str, int], Event] = {}
        for event in events.lines(self.content(), self.path / "events.jsonl"):
            found.setdefault((event["event"], event["step"]), event)
        return sorted(found.values(), key=lambda e: int(e["step"]))

    def troubles(self) -> list[Event]:
        """Deaths and failures of a run's process: {"kind": died | lost | failed, "step", "said"}, the whole ones."""
        with contextlib.suppress(StoreError):
            found = map(events.of_line, self.content("troubles.jsonl").split(b"\n"))
            return [t for t in found if t is not None and events.misshapen("trouble", t) is None]
        return []

    def result(self) -> dict[str, Any] | None:
        """The result if the run is at its end, verified; None if there is none."""
        path = self.path / "result.json"
        if not path.exists():
            return None
        result = events.read(path, needed=True)
        if reason := events.misshapen("result", result):
            raise StoreError(f"{path}: not a result: {reason}")
        return result

    def checkpoints(self) -> list[Path]:
        """The checkpoints' files, the newest first."""
        return sorted(self.path.glob("ck-*-*.pt"), key=_step_of, reverse=True)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The newest checkpoint whose hash is right and whose numbers are finite; bad ones are set aside as *.bad."""
        return next(self._whole_checkpoints(), None)

    def _whole_checkpoints(self) -> Iterator[dict[str, Any]]:
        for path in self.checkpoints():
            try:
                yield self.read_checkpoint(path)
            except Damaged as damage:
                print(f"{damage}; set aside", file=sys.stderr)
                with using(path):
                    path.rename(path.with_suffix(".pt.bad"))

    def read_checkpoint(self, path: Path) -> dict[str, Any]:
        """One checkpoint, verified; Damaged where it is not whole, StoreError where it is another's or unreadable."""
        with using(path):
            content = path.read_bytes()
        state = checkpoint.unpack(content, path)
        if state["id"] != self.path.name:
            difference = _difference(state.get("config"), self.spec()["config"])
            raise StoreError(f"{path}: a checkpoint of run {state['id']}, not of {self.path.name}{difference}")
        return state

    @property
    def saved_step(self) -> int:
        """The step of the newest checkpoint, 0 if there is none."""
        return max((_step_of(path) for path in self.checkpoints()), default=0)

    # --- writing ---

    def create(self, spec: dict[str, Any], drawn: dict[str, Any]) -> None:
        """Make the folder, publish the spec and what the seed decided (split, permutation); keep what is there."""
        make_folder(self.path)
        contents = {
            "chance.json": canonical_json(events.sealed(drawn)).encode() + b"\n" if drawn else b"",
            "spec.json": json.dumps(events.sealed(spec), indent=1, sort_keys=True).encode() + b"\n",
        }
        for name, content in contents.items():
            if content and not (self.path / name).exists():
                with contextlib.suppress(FileExistsError):  # another process was faster, with the same content
                    publish(self.path / name, content)

    def append(self, event: Event, name: str = "events.jsonl") -> None:
        """Add a line to a file of events, durable when this returns; where the disk refuses, none of it."""
        line, path, before = events.line(event), self.path / name, None
        try:
            with path.open("ab", buffering=0) as file:
                before = file.tell()
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, "No space left on device")
                os.fsync(file.fileno())
        except OSError as error:
            if before is not None:
                with contextlib.suppress(OSError):
                    os.truncate(path, before)
            raise unusable(path, error, len(line)) from None

    def save_checkpoint(self, step: int, trainer: dict[str, Any], cost: dict[str, float], places: Places = ()) -> None:
        """Publish the state at a step, how far events.jsonl had come and where it was computed; keep the newest two."""
        known = self.content()
        state = {
            "id": self.path.name,
            "config": self.spec()["config"],
            "trainer": trainer,
            "cost": cost,
            "places": list(places),
            "events": {"bytes": len(known), "sha256": hashlib.sha256(known).hexdigest()},
        }
        content, digest = checkpoint.pack(state)
        path = self.path / f"ck-{step}-{digest}.pt"
        publish(path, content, replace=True)
        for older in [p for p in self.checkpoints() if p != path][1:]:
            older.unlink(missing_ok=True)

    def take_up(self) -> dict[str, Any] | None:
        """The newest good checkpoint that events.jsonl fits, which is cut back to it; Altered where it fits none.

        None where none is good: the run begins anew, and its curve stays beside the new one.
        """
        refused = None
        for state in self._whole_checkpoints():
            try:
                self.rewind_events(state)
                return state
            except Altered as error:
                refused = refused or error
        if refused is not None:
            raise refused
        if b'"event":"evaluation"' in (known := self.content()):
            aside = _free(self.path / "events.jsonl")
            publish(aside, known)
            print(f"{self.path}: no checkpoint to go on from; begins anew, its curve is {aside.name}", file=sys.stderr)
        self.rewind_events(None)
        return None

    def rewind_events(self, checkpoint: dict[str, Any] | None) -> None:
        """Cut events.jsonl back to a checkpoint: what came after it will come again, the same.

        A budget's scores stay: whoever goes on further does not stop there again.
        """
        known, keep = self.content(), self.check_events(checkpoint) if checkpoint else 0
        after = [(line, events.of_line(line)) for line in known[keep:].split(b"\n")[:-1]]
        scores = [line + b"\n" for line, event in after if event is not None and event["event"] == "budget"]
        if known != (kept := known[:keep] + b"".join(scores)):
            publish(self.path / "events.jsonl", kept, replace=True)

    def check_events(self, checkpoint: dict[str, Any]) -> int:
        """Count the bytes of events.jsonl that a checkpoint knows; Altered where they are not what they were."""
        keep, sha256 = checkpoint["events"]["bytes"], checkpoint["events"]["sha256"]
        if hashlib.sha256(self.content()[:keep]).hexdigest() != sha256:
            raise Altered(f"{self.path / 'events.jsonl'}: altered since its checkpoint; `run --fresh` starts anew")
        return int(keep)

    def finish(self, result: dict[str, Any]) -> None:
        """Publish the result; the first one wins, and a second must agree with it outside provenance and cost."""
        content = events.sealed(result)
        try:
            publish(self.path / "result.json", json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")
        except FileExistsError:
            first = self.result()
            if first is not None and pure(first) != pure(result):
                raise StoreError(f"{self.path / 'result.json'}: another process recorded a different result") from None

    def set_aside(self) -> Path:
        """Rename the folder, so that another can take its place; nothing is deleted. -> its new name"""
        aside = _free(self.path)
        if self.path.exists():
            with using(self.path):
                self.path.rename(aside)
        return aside

    def content(self, name: str = "events.jsonl") -> bytes:
        """The bytes of one of its files; none where it is not there."""
        path = self.path / name
        with using(path):
            return path.read_bytes() if path.exists() else b""


def find(root: Path, *, packs: bool = False) -> Iterator[Run]:
    """Every run below a folder of runs: folders with a name of 16 hex digits; links are not followed.

    With `packs` also those in its packs, or in the one pack that `root` is.
    """
    if packs:
        yield from map(Run, pack.find(root))
        if root.is_file():
            return
    try:
        entries = sorted(os.scandir(root), key=lambda e: e.name)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise StoreError(f"{root}: cannot be read: {error}") from None
    for entry in entries:
        name = entry.name
        if entry.is_dir(follow_symlinks=False) and len(name) == 16 and set(name) <= set("0123456789abcdef"):
            yield Run(Path(entry.path))


def travels(name: str) -> bool:
    """Say whether a file of a run's folder belongs to the record, and not to this machine's work on it."""
    return name in ("spec.json", "chance.json", "events.jsonl", "result.json") or (
        name.startswith("ck-") and name.endswith(".pt")
    )


def open_run(root: Path, run_id: str) -> Run:
    """The run of an id; a ParameterError for anything that is not an id (so no path can be smuggled in)."""
    if not isinstance(run_id, str) or len(run_id) != 16 or not set(run_id) <= set("0123456789abcdef"):
        raise ParameterError(f"run: {quoted(run_id)} is not an id; 16 hex digits are needed")
    return Run(root / run_id)


def lookup(root: Path, run_id: str) -> Run | None:
    """The run of an id in a folder of runs or packs; None if it is not there."""
    run = open_run(root, run_id)
    if run.path.is_dir():
        return run
    packed = pack.lookup(root, run_id)
    return None if packed is None else Run(packed)


def config_of(run: Run) -> Config:
    """The config of a run, validated again; StoreError where this version knows no such config."""
    try:
        return Config.parse(run.spec()["config"])
    except ParameterError as error:
        raise StoreError(f"{run.path / 'spec.json'}: {error}") from None


def pure(result: dict[str, Any]) -> dict[str, Any]:
    """A result without the parts that are about where and at what cost it was computed."""
    return {k: v for k, v in result.items() if k not in ("provenance", "cost")}


def _difference(theirs: Any, ours: dict[str, Any]) -> str:
    """` (model.hidden 8, here 16)`: the fields in which two configs differ, at most three; empty if not known."""
    if not isinstance(theirs, dict):
        return ""
    paths = [(s, f) for s in ours for f in ours[s] if theirs.get(s, {}).get(f) != ours[s][f]]
    shown = ", ".join(f"{s}.{f} {theirs.get(s, {}).get(f)}, here {ours[s][f]}" for s, f in paths[:3])
    return f" ({shown})" if shown else ""


def _free(path: Path) -> Path:
    """A name beside a path, for what makes way for something new."""
    names = (path.with_name(f"{path.name}.replaced-{n}") for n in itertools.count(1))
    return next(name for name in names if not name.exists())


def _step_of(path: Path) -> int:
    step = path.stem.split("-")[1]
    return int(step) if step.isdigit() else -1
