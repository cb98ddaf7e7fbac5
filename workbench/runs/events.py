"""Shapes of the lines and the result of a record, checked before anything reads on.

A check in a record tells damage, not malice: whoever forges a record can make its checks right too.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Step = Annotated[int, Field(ge=0, lt=2**63)]
Scores = dict[str, float | None]  # None: not finite, on the way to divergence


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
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None
