"""The tasks: what a net reads and what it is asked for. The data behind them are workbench.tasks' business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from .. import files
from ..errors import ParameterError, choices, quoted
from .frozen import Frozen

Size = Annotated[int, Field(ge=1, le=2**31 - 1)]
Limit = Annotated[Size | None, Field(description="examples kept of each split, for smoke runs; None: all")]


class Task(Frozen):
    """Base of the tasks' configs. A class with its own `name: Literal[...]` is known from where it is written on."""

    KNOWN: ClassVar[dict[str, type[Task]]] = {}
    name: str

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        (name,) = get_args(cls.model_fields["name"].annotation)
        Task.KNOWN[name] = cls


class Adding(Task):
    """The adding problem (Li et al. 2019, section 5.1): sum the two marked numbers of a sequence of `length`."""

    name: Literal["adding"]
    length: Annotated[int, Field(ge=2, le=10**8)] = 100


class Pixels(Task):
    """An image read pixel by pixel: MNIST (784 steps), or scikit-learn's digits (64 steps); or `repeats` times over."""

    name: Literal["pixels"]
    source: Literal["mnist", "digits"] = "mnist"
    permuted: bool = False
    permutation: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        None, description="the seed of the pixels' order alone; None: the run's (the official code draws it unseeded)"
    )
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    limit: Limit = None

    @model_validator(mode="after")
    def _an_order_is_of_something(self) -> Self:
        if self.permutation is not None and not self.permuted:
            raise ValueError("permutation has no meaning where nothing is permuted; leave it out")
        return self

    @property
    def pixels(self) -> int:
        return 784 if self.source == "mnist" else 64

    @property
    def length(self) -> int:
        return self.pixels * self.repeats


class Treebank(Task):
    """The next word or character of the Penn Treebank, in chunks of about `length` tokens with the state carried over.

    `chunks`: `random` draws each chunk's length around `length` (5 % around half of it) and sets the state to zero
    before one step in ten, `fixed` takes `length` and always carries the state (the official codes of 2020 and 2018).
    """

    name: Literal["treebank"]
    unit: Literal["word", "char"] = "word"
    length: Annotated[int, Field(ge=2, le=10_000)] = 50
    chunks: Literal["random", "fixed"] = "random"
    limit: Annotated[Size | None, Field(description="tokens kept of each split, for smoke runs; None: all")] = None


class Skeletons(Task):
    """An action from the joints of one or two bodies, `length` frames sampled from each clip.

    `protocol`: who or what is left for the test: subjects, cameras (NTU 60), setups (NTU 120).
    `random_length`: lengths about `length`, 5 to 40, one a batch: `training` as the paper has it, `always` (a sampling
    each) as the official code does. `turn` and `scale` change whole training clips at random.
    """

    name: Literal["skeletons"]
    source: Literal["ntu60", "ntu120", "utd_mhad"] = "ntu60"
    protocol: Literal["subject", "view", "setup"] = "subject"
    length: Annotated[int, Field(ge=2, le=1000)] = 20
    samplings: Annotated[int, Field(ge=1, le=1000, description="of each test clip, their answers averaged")] = 20
    random_length: Literal["never", "training", "always"] = "never"
    geometry: bool = Field(False, description="ntu: distances of joints to the lines between others, put first")
    centred: bool = Field(False, description="joints relative to the hip")
    differences: bool = Field(False, description="x_t - x_(t-1) beside x_t")
    turn: float = Field(0.0, ge=0, le=180, description="degrees: the most about the vertical axis, either way")
    scale: float = Field(0.0, ge=0, lt=1, description="the most that a body is made larger or smaller, as a share")
    limit: Limit = None

    @model_validator(mode="after")
    def _what_the_source_has(self) -> Self:
        protocols = {"ntu60": ("subject", "view"), "ntu120": ("subject", "setup"), "utd_mhad": ("subject",)}
        if self.protocol not in protocols[self.source]:
            allowed = " or ".join(protocols[self.source])
            raise ValueError(f"protocol: {self.protocol!r} received; {self.source} has {allowed}")
        if self.geometry and self.source == "utd_mhad":
            raise ValueError("geometry has no meaning for source 'utd_mhad', whose joints are others; leave it out")
        return self


class Speech(Task):
    """A spoken digit from its raw waveform, one sample a step: 1,148 to 18,262 steps (Free Spoken Digit Dataset)."""

    name: Literal["speech"]
    loudness: Literal["equal", "recorded"] = Field(
        "equal",
        description="each recording less its mean, over its standard deviation (the speakers' levels differ tenfold), "
        "or as recorded, sample / 32,768",
    )
    limit: Limit = None

    @property
    def length(self) -> int:
        return 18_262


def _by_name(value: Any) -> Any:
    """The config that a mapping's `name` calls for. A name that is not ours may be that of a file added to tasks/."""
    if not isinstance(value, Mapping):
        return value
    name = value.get("name")
    if name not in tuple(Task.KNOWN):
        dict(files.modules("tasks"))
    if name not in tuple(Task.KNOWN):
        found = "a value is needed" if name is None else f"{quoted(name)} received"
        raise ParameterError(f"name: {found}; choose one of {choices(Task.KNOWN)}")
    return Task.KNOWN[name](**value)


AnyTask = Annotated[SerializeAsAny[Task], BeforeValidator(_by_name)]
