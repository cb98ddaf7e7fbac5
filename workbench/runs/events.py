"""Contents of a record's files: JSON under a check of its own, of a shape that is known before anything reads on.

A check tells damage, not malice: whoever forges a record can make its checks right too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..config import SCHEMA, canonical_json, fault, parse_json
from ..errors import ParameterError, StoreError

Event = dict[str, Any]
Step = Annotated[int, Field(ge=0, lt=2**63)]
Scores = dict[str, float | None]  # None: not finite, on the way to divergence


class _Spec(BaseModel):
    """The types in a spec.json; what its config means is `folder.config_of`'s business."""

    model_config = ConfigDict(strict=True, extra="forbid")
    schema_: Annotated[int, Field(ge=1, alias="schema")]
    id: str
    experiment: str = "custom"
    smoke: bool = False
    config: dict[str, Any]
    seed: Step
    data: dict[str, str]
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    numerics: Annotated[int, Field(ge=1, lt=2**31)] = 1  # version 0.1 did not say
    claims: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None  # the table of claims as it was then


class _Row(BaseModel):
    """More than these fields may stand in a row."""

    model_config = ConfigDict(strict=True)
    step: Step


class _Provenance(BaseModel):
    device: str
    torch: str
    backend: str
    system: str


class _Scored(_Row):
    test: Scores = {}
    valid: Scores = {}
    weights_sha256: str | None = None
    provenance: _Provenance
    cost: dict[str, float]


class _Result(_Scored):
    status: Literal["done", "diverged"]


class _Evaluation(_Row):
    lr: float
    outcome: str
    train: Scores = {}
    valid: Scores = {}
    valid_batch: Scores = {}
    u: dict[str, str]


class _Loss(_Row):
    loss: float | None


class _Trouble(_Row):
    kind: str
    said: str


_KINDS: dict[str, type[_Row]] = {
    "evaluation": _Evaluation,
    "loss": _Loss,
    "budget": _Scored,
    "result": _Result,
    "trouble": _Trouble,
}


def misshapen(kind: str, row: dict[str, Any]) -> str | None:
    """Reason why a row cannot be of its kind (`evaluation`, `budget`, `result`, `trouble`); None if it can."""
    try:
        _KINDS.get(kind, _Row).model_validate(row)
    except ValidationError as error:
        return fault(error)
    return None


def check_spec(spec: Any, path: Path) -> None:
    """StoreError where a spec is of no run, of another than its folder is named after, or newer than this version."""
    if not isinstance(spec, dict) or type(spec.get("schema")) is not int:
        raise StoreError(f"{path}: not a spec of a run")
    if spec["schema"] > SCHEMA:
        raise StoreError(f"{path}: schema {spec['schema']} is newer than this version's {SCHEMA}; update")
    try:
        _Spec(**spec)
    except ValidationError as error:
        raise StoreError(f"{path}: not a spec of a run: {fault(error)}") from None
    if spec["id"] != path.parent.name:
        raise StoreError(f"{path}: id {spec['id']!r} does not match its folder")


def digest(payload: object) -> str:
    """The check of a content: SHA-256 of its one text as JSON. ValueError for a number that JSON does not have."""
    return hashlib.sha256(canonical_json(payload).encode()).hexdigest()


def sealed(payload: dict[str, Any]) -> dict[str, Any]:
    """A content with its check."""
    return {**payload, "check": digest(payload)}


def read(path: Path, shape: Callable[[Any, Path], None] | None = None, *, needed: bool = False) -> dict[str, Any]:
    """The content of a file, its check compared and left out. Unless `needed` it may lack: the first records had none.

    `shape` complains of another shape before the check is compared.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise StoreError(f"{path}: missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from None
    except ParameterError as error:
        raise StoreError(str(error)) from None
    check = content.pop("check", None) if isinstance(content, dict) else ""
    if shape is not None:
        shape(content, path)
    try:
        whole = check == digest(content) or (check is None and not needed)
    except ValueError:  # 1e400 was read as a number that JSON does not have
        whole = False
    if not whole:
        what = f"altered or not a {path.stem}" if needed else "altered"
        raise StoreError(f"{path}: {what}: its check does not match its content")
    return dict(content)


def line(event: Event) -> bytes:
    """An event as a line of a file, with its check."""
    return (canonical_json({**event, "check": digest(event)[:16]}) + "\n").encode()


def of_line(text: bytes) -> Event | None:
    """The event of a line; None where its check does not match."""
    try:
        event: Event = parse_json(text.decode(), "event")
        whole = event.pop("check") == digest(event)[:16] and isinstance(event["event"], str)
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
    return event if whole else None


def lines(content: bytes, path: Path) -> Iterator[Event]:
    """Every whole line of such a file; a last one cut short by a crash is left out, other damage is an error."""
    for number, text in enumerate(content.split(b"\n")[:-1], 1):
        if (event := of_line(text)) is None:
            raise StoreError(f"{path}, line {number}: altered: its check does not match")
        if reason := misshapen("", event):
            raise StoreError(f"{path}, line {number}: not an event: {reason}")
        yield event
