"""Settings of a net's training."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from .frozen import Frozen
from .task import Size


class Train(Frozen):
    """Settings of training: Adam or AdamW, gradients scaled and clamped, one of three learning-rate schedules.

    `patience`: after more than int(patience / r + 0.5) evaluations without a new best, restore the best state,
    multiply the rate by `factor` and double r; the `drops`-th drop ends training. `drop_every`: multiply the rate by
    `factor` every so many steps. `steps` ends training at the latest; None leaves it to the schedule.
    `one_cycle`: the rate rises in a line to `lr` over the share `warmup` of `steps`, then falls along half a cosine to
    0. Its last weights count, not the best ones, unless `early_stop` is set, and its evaluations re-estimate batch
    norm's statistics first.
    """

    batch: Size = 32
    optimizer: Literal["adam", "adamw"] = Field(
        "adam",
        description="weight_decay is added to the gradient of matrices (adam), or shrinks the matrices themselves, by "
        "rate times weight_decay a step (adamw)",
    )
    lr: float = Field(2e-4, gt=0, le=10)
    u_lr: float = Field(1.0, gt=0, le=10, description="the rate of u, as a factor on that of all other weights")
    weight_decay: float = Field(0.0, ge=0)
    decay_gains: bool = Field(False, description="whether weight decay reaches the norms' gains")
    clip_norm: float | None = Field(
        None, gt=0, description="the whole gradient is scaled down to this norm, before its elements are clamped"
    )
    clip: float | None = Field(10.0, gt=0, description="every gradient element is clamped to +-clip")
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32", description="of matrix products, on a CUDA device: tf32 rounds their factors, bf16 is autocast"
    )
    flush_denormal: bool = Field(
        False,
        description="on a CPU, numbers below 1.2e-38 count as zero in the forward and backward pass: a gradient that "
        "fades is full of them, and some processors take ten times as long over them",
    )
    steps: Size | None = None
    schedule: Literal["drops", "one_cycle"] = "drops"
    warmup: float = Field(0.05, ge=0, lt=1, description="one_cycle: the share of the steps in which the rate rises")
    evaluate_every: Size = 100
    early_stop: Size | None = Field(
        None,
        description="one_cycle: ends after so many evaluations in a row without a lower loss on the validation part; "
        "the weights of the lowest loss count, not the last ones",
    )
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
    score_test: bool = Field(
        True, description="whether scores are taken on the test split too; false for runs that search for settings"
    )

    @model_validator(mode="after")
    def _must_end(self) -> Self:
        cycle = self.schedule == "one_cycle"
        if not cycle and self.warmup != 0.05:
            raise ValueError("warmup has no meaning without schedule 'one_cycle'; leave it out")
        for name in ("patience", "drop_every"):
            if cycle and getattr(self, name) is not None:
                raise ValueError(f"{name} has no meaning under schedule 'one_cycle'; leave it out")
        if not cycle and self.early_stop is not None:
            raise ValueError("early_stop has no meaning without schedule 'one_cycle'; leave it out")
        if cycle and self.steps is None:
            raise ValueError("steps is needed under schedule 'one_cycle': its rates are shares of them")
        if cycle and self.bn_statistics in ("validation", "test"):
            raise ValueError(
                f"bn_statistics: {self.bn_statistics!r} received; under schedule 'one_cycle' 'clean' or 'running' "
                "is needed"
            )
        if self.patience is not None and self.drop_every is not None:
            raise ValueError("patience and drop_every are two schedules; give one")
        if self.patience is None and self.drop_every is None and self.steps is None:
            raise ValueError("steps is needed where neither patience nor drop_every ends training")
        return self
