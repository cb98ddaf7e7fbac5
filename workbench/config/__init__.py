"""Frozen, validated configs of what is computed, JSON both ways, and the content hash that names a run.

Unknown fields, wrong types and values out of range die here, with the field's path. `Config.set` changes fields by
their path (`model.hidden`, `train.lr`, `task.length`), the same in code, notebooks and on the command line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from ..errors import ParameterError, quoted
from .frozen import Frozen, canonical_json, fault, nearest, parse_json, parse_value
from .model import Kind, Model
from .task import Adding, AnyTask, Pixels, Skeletons, Speech, Task, Treebank
from .train import Train

__all__ = [
    "BUDGETS", "SCHEMA", "Adding", "Budget", "Config", "Kind", "Model", "Pixels", "Skeletons", "Speech", "Task",
    "Train", "Treebank", "canonical_json", "fault", "parse_json", "parse_value", "run_id",
]  # fmt: skip

SCHEMA = 1  # raised when the meaning of a stored config changes

Budget = Literal["smoke", "quick", "paper"]
BUDGETS: tuple[Budget, ...] = ("smoke", "quick", "paper")
_LANGUAGE = ("embedding", "tied", "dropout_words", "dropout_input", "dropout_head", "freeze_last_token", "norm_over")


class Config(Frozen):
    """One experiment's computation: task, model, training. The seed and how far to go stand beside it."""

    task: AnyTask
    model: Model
    train: Train

    @model_validator(mode="after")
    def _language_nets_read_language(self) -> Self:
        if self.train.u_lr != 1 and not self.model.has_u:
            raise ValueError(f"train.u_lr has no meaning for kind {self.model.kind!r}, which has no u; leave it out")
        if self.train.wrap_test and self.task.name != "pixels":
            raise ValueError(f"train.wrap_test has no meaning for task {self.task.name!r}; leave it out")
        if self.task.name == "treebank":
            if self.model.embedding is None:
                raise ValueError("model.embedding: a value is needed where the task is treebank")
            if self.model.has_batch_norm and self.train.bn_statistics != "running":
                raise ValueError("train.bn_statistics: 'running' is needed for the batch norm of a language net")
            return self
        for field in _LANGUAGE:
            if getattr(self.model, field) != Model.model_fields[field].default:
                raise ValueError(f"model.{field} has no meaning for task {self.task.name!r}; leave it out")
        return self

    @classmethod
    def parse(cls, value: Mapping[str, Any] | str, origin: str = "config") -> Config:
        """From a mapping or JSON text; a ParameterError names the field, the value and what is allowed."""
        if isinstance(value, str):
            value = parse_json(value, origin)
        if not isinstance(value, Mapping):
            raise ParameterError(f"{origin}: {quoted(value)} received; task, model and train are needed")
        try:
            return cls(**value)
        except TypeError as error:
            raise ParameterError(f"{origin}: {error}") from None

    @classmethod
    def read(cls, path: str) -> Config:
        """From a file of JSON."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ParameterError(f"config: {path} cannot be read: {error}") from None
        return cls.parse(text, origin=path)

    def set(self, changes: Mapping[str, Any]) -> Config:
        """This config with fields changed by path: config.set({"model.hidden": 64, "train.lr": 1e-3})."""
        tree = self.model_dump()
        if not isinstance(changes, Mapping):
            raise ParameterError(f"changes: {quoted(changes)} received; {{'model.hidden': 64}} and the like are needed")
        for path, value in changes.items():
            section, _, field = str(path).partition(".")
            known = [f"{s}.{f}" for s in tree for f in tree[s] if f not in ("name", "kind")]
            if path not in known and path != "model.kind":
                raise ParameterError(f"{path}: no such field; {nearest(str(path), known)}")
            tree[section][field] = value
        return Config.parse(tree)


def run_id(config: Config, seed: int, data: Mapping[str, str]) -> str:
    """The name of a run: 16 hex digits of a hash of what is computed, the seed and the data, and of nothing else.

    Of a config that is what differs from the defaults: a default never changes its meaning without a new SCHEMA, and a
    new field with a default leaves old identities alone.
    """
    fields = config.model_dump(exclude_defaults=True)
    content = {"schema": SCHEMA, "config": fields, "seed": seed, "data": dict(data)}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:16]
