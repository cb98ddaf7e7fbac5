"""A checkpoint as bytes: tensors, numbers and lists only, named by its hash, verified before anything uses it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from ..config import fault
from ..errors import StoreError


class Damaged(StoreError):
    """A checkpoint that is not what its name says: altered, cut short; or whose numbers are not finite."""


class Altered(StoreError):
    """Events that are not those that a checkpoint knows."""


Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, arbitrary_types_allowed=True)


class _Schedule(_Part):
    """All of a schedule's own; no other attribute of it can be set."""

    model_config = ConfigDict(extra="forbid")
    lr: float = Field(ge=0, le=10)  # 0 at the end of a cycle
    best: float
    best_step: Count
    waited: Count
    dropped: Count


class _Optimizer(_Part):
    state: dict[int, dict[str, Tensor]]
    param_groups: list[dict[str, Any]]


class _Snapshot(_Part):
    net: dict[str, Tensor]
    optimizer: _Optimizer


class _Trainer(_Snapshot):
    schedule: _Schedule
    step: Count
    evaluated: Count
    bad_steps: Count
    carried: list[Tensor] | None = None
    sums: tuple[float, ...]
    best: _Snapshot | None


class _Events(_Part):
    bytes: Count
    sha256: str


class _Place(_Part):
    device: str
    backend: str
    arithmetic: str
    torch: str


class _State(_Part):
    """Contents of a checkpoint, as far as it can be said without its config."""

    id: str
    config: dict[str, Any] | None = None
    trainer: _Trainer
    cost: dict[str, float]
    places: list[_Place] = []  # of its computation, each once
    events: _Events


class _Weights(_Part):
    model_config = ConfigDict(extra="forbid")
    net: dict[str, Tensor]
    best: None


class _Shown(_State):
    """Weights to be looked at and nothing to go on from, as the explorers' published records have them."""

    trainer: _Weights  # type: ignore[assignment]


def pack(state: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes of a state and the hash that goes into their file's name."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    return content, digest(content)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def unpack(content: bytes, path: Path) -> dict[str, Any]:
    """The state in a checkpoint's bytes; `path` is where they lie, for messages, and its name holds their hash.

    Damaged where they are altered, not finite or claim more elements than they hold; StoreError where torch cannot
    read them. Nothing in them is run.
    """
    if digest(content) != path.stem.rpartition("-")[2]:
        raise Damaged(f"{path}: altered: its bytes do not give the hash in its name")
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        shown = set(state["trainer"]) == set(_Weights.model_fields)
        (_Shown if shown else _State).model_validate(state)
        found = list(_tensors(state))
        if not all(v.layout == torch.strided and v.device.type == "cpu" and not v.is_quantized for v in found):
            raise StoreError(f"{path}: a tensor of another kind than plain numbers in memory")
        claimed = sum(v.numel() * v.element_size() for v in found)  # a small file can claim 10**12 elements
        finite = claimed <= len(content) and all(bool(torch.isfinite(v).all()) for v in found)
    except StoreError:
        raise
    except ValidationError as error:
        raise StoreError(f"{path}: not a checkpoint of a run: {fault(error)}") from None
    except Exception as error:  # torch.load raises whatever the parts of its format raise
        raise StoreError(f"{path}: torch {torch.__version__} cannot read it: {type(error).__name__}") from None
    if not finite:
        raise Damaged(f"{path}: its numbers are not finite")
    return state


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
