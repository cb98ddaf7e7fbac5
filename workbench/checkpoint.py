"""A checkpoint as bytes: tensors, numbers and lists only, named by its hash, verified before anything uses it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import StoreError


class Damaged(StoreError):
    """A checkpoint that is not what its name says: altered, cut short; or whose numbers are not finite."""


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
        _ = state["id"], state["trainer"]["net"]
        found = list(_tensors(state))
        claimed = sum(v.numel() * v.element_size() for v in found)  # a small file can claim 10**12 elements
        finite = claimed <= len(content) and all(bool(torch.isfinite(v).all()) for v in found)
    except Exception as error:  # torch.load raises whatever the parts of its format raise
        raise StoreError(f"{path}: torch {torch.__version__} cannot read it: {type(error).__name__}") from None
    if not finite:
        raise Damaged(f"{path}: its numbers are not finite")
    return state


def moments_misfit(optimizer: torch.optim.Optimizer, stored: Mapping[str, Any]) -> str | None:
    """Why an optimizer's stored state cannot belong to these parameters: a count, a shape; None if it can."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    counts = [len(group["params"]) for group in stored["param_groups"]]
    if counts != [len(group["params"]) for group in optimizer.param_groups]:
        return f"the optimizer holds {counts} parameters"
    for index, moments in stored["state"].items():
        wanted = parameters[index].shape
        for name, value in moments.items():
            if isinstance(value, Tensor) and name != "step" and value.shape != wanted:
                return f"{name} of parameter {index} has shape {tuple(value.shape)}, {tuple(wanted)} is needed"
    return None


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
