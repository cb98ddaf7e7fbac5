"""Settings of a task of one's own sequences: where they lie, what is asked, how they are split, filled and scaled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ...config import Task
from ...config.task import Limit, Size

Share = Annotated[float, Field(ge=0, le=0.5)]
Name = Annotated[str, BeforeValidator(lambda name: str(name) if type(name) in (int, float) else name)]  # --set target=7
Place = Annotated[str, AfterValidator(lambda path: path and str(Path(os.path.expanduser(path)).absolute()))]
Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(lambda names: (names,) if isinstance(names, str | int | float) else names),
    Field(strict=False, min_length=1),
]


class Sequences(Task):
    """Sequences of one's own, from a file (.npz, .npy, .csv, .parquet, .ts) or a folder of .wav files.

    A sequence has any number of steps, each with the same channels, and one answer, or one a step. What a format needs
    of `target`, `group`, `split`, `sequence`, `time` and `columns` is said by its reader. The test is the file
    `test_path`, what `split` says, or a share `test` drawn by `split_seed`; of the rest a share `valid`, drawn by the
    run's seed, is held out. Where `group` is given, no group is on two sides. Numbers asked for are scaled like the
    channels, so that their squared error is a share of the training answers' variance.
    """

    name: Literal["sequences"]
    path: Place = Field("", description="file or folder; made absolute")
    test_path: Place | None = Field(None, description="a second file or folder like the first: the test")
    target: Name | None = Field(None, description="the answers: a column, or an array's name")
    answer: Literal["class", "real"] = "class"
    each_step: bool = Field(False, description="whether there is an answer to each step, not one to a sequence")
    group: Name | None = Field(None, description="who a sequence is from: a column, or an array's name")
    split: Name | None = Field(None, description="train, valid or test of each sequence: a column, or an array's name")
    sequence: Name | None = Field(None, description="tables with a row a step: the column that names the sequence")
    time: Name | None = Field(None, description="tables with a row a step: the column that orders the steps")
    columns: Names | None = Field(
        None, description="tables: the channels (a row a step) or the steps (a row a sequence); None: all others"
    )
    missing: Literal["error", "mean", "previous"] = Field(
        "error", description="missing values: refused, the channel's training mean, or the value of the step before"
    )
    scaling: Literal["training", "sequence", "none"] = Field(
        "training",
        description="each channel less its mean, over its standard deviation, of all training steps or of the "
        "sequence's own; or as it is",
    )
    test: Share = 0.2
    valid: Share = 0.1
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    longest: Annotated[Size | None, Field(description="steps kept of each sequence, its first ones; None: all")] = None
    step: float = Field(1.0, gt=0, description="the time of one step, in `unit`")
    unit: str = Field("steps", min_length=1, max_length=20)
    limit: Limit = None

    @model_validator(mode="after")
    def _no_switch_is_wired_to_nothing(self) -> Self:
        if self.test_path is not None and self.split is not None:
            raise ValueError("test_path and split both say which the test is; give one")
        named = "test_path" if self.test_path is not None else "split" if self.split is not None else None
        for name, default in (("test", 0.2), ("split_seed", 0)):
            if named and getattr(self, name) != default:
                raise ValueError(f"{name} draws the test; it has no meaning where {named} names it; leave it out")
        if self.time is not None and self.sequence is None:
            raise ValueError("time orders the steps of a sequence; it has no meaning without sequence")
        return self
