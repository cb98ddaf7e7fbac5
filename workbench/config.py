"""What is computed: frozen, validated configs, JSON both ways, and the content hash that names a run.

Unknown fields, wrong types and values out of range die here, with the field's path. `Config.set` changes fields by
their path (`model.hidden`, `train.lr`, `task.length`), the same in code, notebooks and on the command line.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import ParameterError, choices, quoted

SCHEMA = 1  # raised when the meaning of a stored config changes

Budget = Literal["smoke", "quick", "paper"]
BUDGETS: tuple[Budget, ...] = ("smoke", "quick", "paper")
Size = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, **values: Any):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ParameterError(_explain(error, type(self).model_fields)) from None


class Adding(_Frozen):
    """The adding problem (Li et al. 2019, section 5.1): sum the two marked numbers of a sequence of `length`."""

    name: Literal["adding"]
    length: Annotated[int, Field(ge=2, le=10**8)] = 100


class Pixels(_Frozen):
    """An image read pixel by pixel: MNIST (784 steps), or scikit-learn's digits (64 steps)."""

    name: Literal["pixels"]
    source: Literal["mnist", "digits"] = "mnist"
    permuted: bool = False
    limit: Size | None = Field(None, description="examples kept of each split, for smoke runs; None: all")

    @property
    def length(self) -> int:
        return 784 if self.source == "mnist" else 64


Task = Annotated[Adding | Pixels, Field(discriminator="name")]


class Model(_Frozen):
    """A net. `gamma` bounds the gradient over the whole sequence: |u| <= gamma^(1/T); None leaves u free."""

    kind: Literal["plain", "lstm", "rnn_tanh", "irnn"]
    depth: Annotated[int, Field(ge=1, le=1000)] = 1
    hidden: Size = 128
    activation: Literal["relu", "tanh", "identity", "leaky_relu"] = "relu"
    norm: Literal["after", "before", "none"] = "none"
    dropout: float = Field(0.0, ge=0, lt=1)
    gamma: float | None = Field(None, ge=1)
    last_near_one: bool = Field(False, description="last layer's u starts in [gamma^(-1/T), gamma^(1/T)]")
    init: Literal["kaiming", "small"] = "kaiming"
    readout_init: Literal["readout", "glorot"] = "readout"

    @model_validator(mode="after")
    def _baselines_have_no_u(self) -> Self:
        """A switch that is wired to nothing is an error, not decoration."""
        if self.kind != "plain":
            for field in ("gamma", "last_near_one", "norm", "activation", "init"):
                if getattr(self, field) != type(self).model_fields[field].default:
                    raise ValueError(f"{field} has no meaning for kind {self.kind!r}; leave it out")
        return self


class Train(_Frozen):
    """How it is trained: Adam, gradients clamped element by element, one of two learning-rate schedules.

    `patience`: after more than int(patience / r + 0.5) evaluations without a new best, restore the best state,
    multiply the rate by `factor` and double r; the `drops`-th drop ends training. `drop_every`: multiply the rate by
    `factor` every so many steps. `steps` ends training at the latest; None leaves it to the schedule.
    """

    batch: Size = 32
    lr: float = Field(2e-4, gt=0, le=10)
    weight_decay: float = Field(0.0, ge=0)
    decay_gains: bool = Field(False, description="whether weight decay reaches batch norm's gains")
    clip: float | None = Field(10.0, gt=0, description="every gradient element is clamped to +-clip")
    steps: Size | None = None
    evaluate_every: Size = 100
    patience: Size | None = None
    drop_every: Size | None = None
    factor: float = Field(0.1, gt=0, lt=1)
    drops: Size = 3
    bn_statistics: Literal["clean", "running", "validation"] = Field(
        "clean",
        description="for scores of the best weights: re-estimated on training images without dropout (clean), as "
        "training left them (running), or re-estimated on validation images (validation: the published protocol)",
    )

    @model_validator(mode="after")
    def _must_end(self) -> Self:
        if self.patience is not None and self.drop_every is not None:
            raise ValueError("patience and drop_every are two schedules; give one")
        if self.patience is None and self.drop_every is None and self.steps is None:
            raise ValueError("steps is needed where neither patience nor drop_every ends training")
        return self


class Config(_Frozen):
    """One experiment's computation: task, model, training. The seed and how far to go stand beside it."""

    task: Task
    model: Model
    train: Train

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

    def set(self, changes: Mapping[str, Any]) -> Config:
        """This config with fields changed by path: config.set({"model.hidden": 64, "train.lr": 1e-3})."""
        tree = self.model_dump()
        if not isinstance(changes, Mapping):
            raise ParameterError(f"changes: {quoted(changes)} received; {{'model.hidden': 64}} and the like are needed")
        for path, value in changes.items():
            section, _, field = str(path).partition(".")
            known = [f"{s}.{f}" for s in tree for f in tree[s] if f not in ("name", "kind")]
            if path not in known and path != "model.kind":
                raise ParameterError(f"{path}: no such field; {_nearest(str(path), known)}")
            tree[section][field] = value
        return Config.parse(tree)

    def canonical(self) -> dict[str, Any]:
        """What identifies it: every field that differs from its default. A default never changes its meaning
        without a new SCHEMA, and a new field with a default leaves old identities alone."""
        return self.model_dump(exclude_defaults=True)


def run_id(config: Config, seed: int, data: Mapping[str, str]) -> str:
    """The name of a run: 16 hex digits of a hash of what is computed, the seed and the data, and of nothing else."""
    content = {"schema": SCHEMA, "config": config.canonical(), "seed": seed, "data": dict(data)}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:16]


def canonical_json(value: object) -> str:
    """One text for one value: keys sorted, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def parse_json(text: str, origin: str) -> Any:
    """JSON without its loopholes: a key that stands twice, NaN and Infinity are errors."""

    def refuse(constant: str) -> None:
        raise ParameterError(f"{origin}: {constant} is not a number that JSON has")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise ParameterError(f"{origin}: the key {key!r} stands twice")
            seen[key] = value
        return seen

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
    except ParameterError:
        raise
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"{origin}: not JSON: {error}") from None


def parse_value(text: str) -> Any:
    """The value in `key=value`: JSON where it is JSON (3, 0.5, true, null), else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _explain(error: ValidationError, fields: Collection[str]) -> str:
    """The first complaint in one line: path, value received, what is allowed."""
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"] if part not in ("adding", "pixels"))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"{path}: no such field; {_nearest(path, fields)}"
    if first["type"] == "missing":
        return f"{path}: a value is needed"
    if isinstance(first.get("ctx", {}).get("error"), ParameterError):  # a section's own complaint begins with its field
        return f"{path}.{message}"
    if first["type"] == "value_error":
        return f"{path}: {message}".removeprefix(": ")
    return f"{path}: {quoted(first['input'])} received; {message[0].lower()}{message[1:]}"


def _nearest(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else f"choose one of {choices(known)}"
