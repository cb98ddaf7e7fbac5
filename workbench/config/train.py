"""How a net is trained."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from .frozen import Frozen
from .task import Size


class Train(Frozen):
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
    clamp: Literal["before", "after"] = Field(
        "before", description="u is clamped before each forward pass, or also after each step, before any evaluation"
    )
    bn_statistics: Literal["clean", "running", "validation", "test"] = Field(
        "clean",
        description="for scores of the best weights: re-estimated on training examples without dropout (clean), as "
        "training left them (running), re-estimated on validation examples (validation: published for MNIST), or those "
        "of the batch that is scored (test: published for NTU)",
    )

    wrap_test: bool = Field(
        False,
        description="pixels: the last batch of the test is filled up with the first images, which then count twice (a "
        "fault of the official code)",
    )

    watch_layers: bool = Field(
        False,
        description="rows of the curve also have the norm of the loss's gradient by each recurrent layer's output, all "
        "steps together, of one validation batch: how much of it arrives at which depth",
    )

    watch_gradient: bool = Field(
        False,
        description="rows of the curve also have the norm of the gradient of all weights, before its elements are "
        "clamped, mean and largest over the steps since the last row, and how many steps were not applied",
    )

    @model_validator(mode="after")
    def _must_end(self) -> Self:
        if self.patience is not None and self.drop_every is not None:
            raise ValueError("patience and drop_every are two schedules; give one")
        if self.patience is None and self.drop_every is None and self.steps is None:
            raise ValueError("steps is needed where neither patience nor drop_every ends training")
        return self
