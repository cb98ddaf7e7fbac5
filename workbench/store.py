"""The records: one folder a run, written atomically, verified on reading, listed as a DataFrame.

    spec.json            what is computed, pinned settings; published once, before the first step
    events.jsonl         the curve so far, a line an evaluation, a line for each budget reached; each line has a check
    ck-<step>-<sha>.pt   the newest two checkpoints, named by the hash of their bytes
    result.json          only when the schedule is at its end (or the run diverged); holds a check of its own payload
    lease                the process that trains it now

Status is derived from these files, never stored. Nothing outside the folder is written; nothing here unpickles code.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from .config import SCHEMA, Config, canonical_json, parse_json
from .errors import ParameterError, StoreError

Event = dict[str, Any]


def publish(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Write a file so that a reader, a crash or a power cut finds all of it or nothing.

    Without `replace` the first writer wins and a second meets FileExistsError. StoreError where the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError as error:
        raise _unusable(path, error, len(content)) from None
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


class Run:
    """One run's folder: read what is there, add to it. Holding the lease is the caller's business (`lease`)."""

    def __init__(self, path: Path):
        self.path = path

    # --- reading ---

    def spec(self) -> dict[str, Any]:
        """What is computed; StoreError where it cannot be read or its id does not match the folder's name."""
        spec = _read_json(self.path / "spec.json")
        if not isinstance(spec, dict) or not {"schema", "id", "config", "seed", "data"} <= spec.keys():
            raise StoreError(f"{self.path / 'spec.json'}: not a spec of a run")
        if spec["schema"] > SCHEMA:
            raise StoreError(
                f"{self.path / 'spec.json'}: schema {spec['schema']} is newer than this version's {SCHEMA}; update"
            )
        if spec["id"] != self.path.name:
            raise StoreError(f"{self.path / 'spec.json'}: id {spec['id']!r} does not match its folder")
        return spec

    def events(self) -> list[Event]:
        """Every whole line of events.jsonl; a last line cut short by a crash is not one, any other damage is an error."""
        return [event for event, _ in self._lines()]

    def result(self) -> dict[str, Any] | None:
        """The result if the run is at its end, verified; None if there is none."""
        path = self.path / "result.json"
        if not path.exists():
            return None
        result = _read_json(path)
        check = result.pop("check", None) if isinstance(result, dict) else None
        if check is None or check != _check(result):
            raise StoreError(f"{path}: altered or not a result: its check does not match its content")
        return dict(result)

    def checkpoints(self) -> list[Path]:
        """The checkpoints' files, the newest first."""
        return sorted(self.path.glob("ck-*-*.pt"), key=_step_of, reverse=True)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The newest checkpoint whose hash is right and whose numbers are finite; bad ones are set aside as *.bad."""
        for path in self.checkpoints():
            try:
                content = path.read_bytes()
            except OSError as error:
                raise _unusable(path, error, 0) from None
            if hashlib.sha256(content).hexdigest()[:16] == path.stem.rpartition("-")[2]:
                state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
                if state["id"] != self.path.name:
                    raise StoreError(f"{path}: a checkpoint of run {state['id']}, not of {self.path.name}")
                if all(bool(torch.isfinite(v).all()) for v in state["trainer"]["net"].values() if v.is_floating_point()):
                    return state
            path.rename(path.with_suffix(".pt.bad"))
        return None

    # --- writing ---

    def create(self, spec: dict[str, Any]) -> None:
        """Make the folder and publish the spec; a run that is already there must have the same content."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(self.path, error, 0) from None
        try:
            publish(self.path / "spec.json", json.dumps(spec, indent=1, sort_keys=True).encode() + b"\n")
        except FileExistsError:
            self.spec()

    def append(self, event: Event) -> None:
        """Add a line to events.jsonl, durable when this returns."""
        line = canonical_json({**event, "check": _check(event)[:16]}) + "\n"
        path = self.path / "events.jsonl"
        try:
            with path.open("ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unusable(path, error, len(line)) from None

    def save_checkpoint(self, step: int, trainer: dict[str, Any], cost: dict[str, float]) -> None:
        """Publish the state at a step together with how far events.jsonl had come; keep the newest two."""
        events = self._events_bytes()
        state = {
            "id": self.path.name,
            "trainer": trainer,
            "cost": cost,
            "events": {"bytes": len(events), "sha256": hashlib.sha256(events).hexdigest()},
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        path = self.path / f"ck-{step}-{hashlib.sha256(content).hexdigest()[:16]}.pt"
        publish(path, content, replace=True)
        for older in [p for p in self.checkpoints() if p != path][1:]:
            older.unlink(missing_ok=True)

    def rewind_events(self, checkpoint: dict[str, Any] | None) -> None:
        """Cut events.jsonl back to a checkpoint: what came after it will come again, the same."""
        events = self._events_bytes()
        keep = checkpoint["events"]["bytes"] if checkpoint else 0
        if checkpoint and hashlib.sha256(events[:keep]).hexdigest() != checkpoint["events"]["sha256"]:
            raise StoreError(f"{self.path / 'events.jsonl'}: altered since its checkpoint; `run --fresh` starts anew")
        if len(events) != keep:
            publish(self.path / "events.jsonl", events[:keep], replace=True)

    def finish(self, result: dict[str, Any]) -> None:
        """Publish the result; the first one wins, and a second must agree with it outside provenance and cost."""
        content = {**result, "check": _check(result)}
        try:
            publish(self.path / "result.json", json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")
        except FileExistsError:
            first = self.result()
            if first is not None and pure(first) != pure(result):
                raise StoreError(f"{self.path / 'result.json'}: another process recorded a different result") from None

    def set_aside(self) -> None:
        """Rename the folder, so that a fresh run can take its place; nothing is deleted."""
        if self.path.exists():
            n = 1
            while (aside := self.path.with_name(f"{self.path.name}.replaced-{n}")).exists():
                n += 1
            self.path.rename(aside)

    def _events_bytes(self) -> bytes:
        path = self.path / "events.jsonl"
        try:
            return path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise _unusable(path, error, 0) from None

    def _lines(self) -> Iterator[tuple[Event, int]]:
        content = self._events_bytes()
        for number, line in enumerate(content.splitlines(keepends=True), 1):
            if not line.endswith(b"\n"):
                return
            try:
                event = json.loads(line)
                check = event.pop("check")
            except (ValueError, AttributeError, KeyError):
                check, event = None, {}
            if check != _check(event)[:16]:
                raise StoreError(f"{self.path / 'events.jsonl'}, line {number}: altered: its check does not match")
            yield event, number


def find(root: Path) -> Iterator[Run]:
    """Every run below a folder of runs: folders with a name of 16 hex digits; links are not followed."""
    if not root.is_dir():
        return
    for entry in sorted(os.scandir(root), key=lambda e: e.name):
        name = entry.name
        if entry.is_dir(follow_symlinks=False) and len(name) == 16 and set(name) <= set("0123456789abcdef"):
            yield Run(Path(entry.path))


def open_run(root: Path, run_id: str) -> Run:
    """The run of an id; a ParameterError for anything that is not an id (so no path can be smuggled in)."""
    if len(run_id) != 16 or not set(run_id) <= set("0123456789abcdef"):
        raise ParameterError(f"run: {run_id[:40]!r} is not an id; 16 hex digits are needed")
    return Run(root / run_id)


def config_of(run: Run) -> Config:
    """The config of a run, validated again."""
    return Config.parse(run.spec()["config"], origin=str(run.path / "spec.json"))


def pure(result: dict[str, Any]) -> dict[str, Any]:
    """A result without the parts that are about where and at what cost it was computed."""
    return {k: v for k, v in result.items() if k not in ("provenance", "cost")}


def _check(payload: object) -> str:
    return hashlib.sha256(canonical_json(payload).encode()).hexdigest()


def _step_of(path: Path) -> int:
    step = path.stem.split("-")[1]
    return int(step) if step.isdigit() else -1


def _read_json(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StoreError(f"{path}: missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from None
    try:
        return parse_json(text, str(path))
    except ParameterError as error:
        raise StoreError(str(error)) from None


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows has no descriptor of a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unusable(path: Path, error: OSError, size: int) -> StoreError:
    import errno
    import shutil

    if error.errno == errno.ENOSPC:
        return StoreError(f"{path}: no space: needs {size} bytes, has {shutil.disk_usage(path.parent).free}")
    return StoreError(f"{path}: {error.strerror or error}")
