"""The nets: one class of settings for all kinds, and which setting has a meaning for which kind."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from .. import files
from ..errors import quoted
from .frozen import Frozen
from .task import Size

Kind = Literal[
    "plain", "residual", "dense", "lstm", "gru", "rnn_tanh", "irnn", "sru", "lru", "mingru", "s5", "transformer"
]
Share = Annotated[float, Field(ge=0, lt=1)]


def _known(kind: str) -> str:
    """A kind of net, ours or of a file added to models/."""
    if kind not in FIELDS:
        dict(files.modules("models"))
    if kind not in FIELDS:
        raise ValueError(f"{quoted(kind)} received; choose one of {', '.join(map(repr, FIELDS))}")
    return kind


class Model(Frozen):
    """A net. `gamma` bounds the gradient over the whole sequence: |u| <= gamma^(1/T); `u_max` is that bound itself;
    neither leaves u free. The dropouts of single places are None where they equal `dropout`."""

    kind: Annotated[str, AfterValidator(_known)]
    depth: Annotated[int, Field(ge=1, le=1000)] = Field(1, description="layers; of a residual net, blocks of two")
    hidden: Size = 128
    growth: Size = Field(16, description="dense: features that each layer adds, k of the paper")
    blocks: Annotated[tuple[Size, ...], Field(strict=False, min_length=1, max_length=100)] = (8, 6, 4)
    shortcut: Literal["block", "sum"] = Field(
        "block",
        description="residual: around recurrence, norm, FC, twice (2020 code), or between the sums of every second "
        "plain layer (2018 code, character level)",
    )
    differences: bool = Field(False, description="dense: x_t - x_(t-1) beside x_t wherever features are passed on")
    heads: Size = 4
    activation: Literal["relu", "tanh", "identity", "leaky_relu"] = "relu"
    norm: Literal["after", "before", "none"] = "none"
    norm_over: Literal["sequence", "step", "chunk"] = Field(
        "sequence",
        description="statistics over batch and time together, or over the batch for each time step, counted from the "
        "zero state (step, 2020 code) or from the beginning of each chunk (chunk, 2018 code)",
    )
    norm_kind: Literal["batch", "layer", "rms"] = Field(
        "batch",
        description="statistics of each feature over the batch (batch), or of each single step over its features, rms "
        "without their mean: then batches of one and streams are normed as batches are",
    )
    norm_gain: float = Field(1.0, gt=0, le=100, description="first value of the norms' gains")
    dropout: Share = 0.0
    dropout_over: Literal["sequence", "step"] = Field(
        "sequence", description="one mask for all steps of a sequence, or another for each step"
    )
    dropout_first: Share | None = Field(None, description="dense: after the first layer")
    dropout_bottleneck: Share | None = Field(None, description="dense: after each bottleneck")
    dropout_transition: Share | None = Field(None, description="dense: after each transition")
    dropout_last: Share | None = Field(
        None, description="after the last layer (dense: the last transition, like the other transitions if None)"
    )
    dropout_head: Share | None = Field(
        None, description="treebank: after the layer in front of a tied decoder, like dropout_last if None"
    )
    dropout_words: Share = Field(0.0, description="treebank: whole rows of the embedding")
    dropout_input: Share = Field(0.0, description="treebank: the embedded input")
    embedding: Size | None = Field(None, description="treebank: features of an embedded token")
    tied: bool = Field(True, description="treebank: the embedding is the decoder too, after a layer of its width")
    freeze_last_token: bool = Field(
        False, description="treebank: no gradient to the last token from the lookup (a fault of the official code)"
    )
    gamma: float | None = Field(None, ge=1)
    u_max: float | None = Field(None, gt=0, le=100)
    start: Literal["uniform", "near_one", "mixed", "ones"] = Field(
        "uniform",
        description="first values of u: uniform in [0, bound], in [gamma^(-1/T), gamma^(1/T)], in [-bound, bound] (the "
        "bound being 1 where u is free), or all 1",
    )
    last_near_one: bool = Field(False, description="last layer's u starts in [gamma^(-1/T), gamma^(1/T)]")
    init: Literal["kaiming", "kaiming2", "he", "small"] = Field(
        "kaiming", description="uniform after Kaiming with slope 8, 2 or 0 (he), or normal with deviation 0.001"
    )
    readout_init: Literal["readout", "glorot"] = "readout"

    @model_validator(mode="after")
    def _no_switch_is_wired_to_nothing(self) -> Self:
        if self.gamma is not None and self.u_max is not None:
            raise ValueError("gamma and u_max both bound u; give one")
        if self.norm == "none" and (self.norm_over != "sequence" or self.norm_gain != 1):
            raise ValueError("norm_over and norm_gain have no meaning without norm; leave them out")
        if self.norm_kind != "batch" and self.norm == "none":
            raise ValueError("norm_kind has no meaning without norm; leave it out")
        if self.norm_kind != "batch" and self.norm_over != "sequence":
            raise ValueError(f"norm_over has no meaning for norm_kind {self.norm_kind!r}; leave it out")
        if self.dropout_head is not None and not self.tied:
            raise ValueError("dropout_head has no meaning where nothing is tied: there is no head; leave it out")
        dropouts = [getattr(self, field) for field in type(self).model_fields if field.startswith("dropout")]
        if self.dropout_over != "sequence" and not any(isinstance(p, float) and p > 0 for p in dropouts):
            raise ValueError("dropout_over has no meaning where nothing is dropped; leave it out")
        if self.kind == "transformer" and self.hidden % self.heads:
            raise ValueError(f"heads: {self.heads} received; a divisor of hidden {self.hidden} is needed")
        meaningful = FIELDS[self.kind]
        for field, info in type(self).model_fields.items():
            if field not in meaningful and field not in _ALWAYS and getattr(self, field) != info.default:
                raise ValueError(f"{field} has no meaning for kind {self.kind!r}; leave it out")
        return self

    @property
    def has_u(self) -> bool:
        """True for a kind of net whose neurons have recurrent weights of their own, which `gamma` bounds."""
        return "gamma" in FIELDS[self.kind]

    @property
    def has_batch_norm(self) -> bool:
        """True for a net whose training depends on the batch: its statistics are stored, and a score says which."""
        return self.norm != "none" and self.norm_kind == "batch"


_ALWAYS = {"kind", "dropout", "readout_init", "dropout_words", "dropout_input", "dropout_last", "embedding", "tied"}
_BASELINE = {"depth", "hidden"}
_INDRNN = {"activation", "norm", "norm_over", "norm_kind", "norm_gain", "gamma", "u_max", "start", "last_near_one"}
_INDRNN |= {"init", "freeze_last_token", "dropout_head", "dropout_over"}
FIELDS = dict.fromkeys(get_args(Kind), _BASELINE) | {  # kind -> the fields that have a meaning for it
    "plain": _INDRNN | _BASELINE,
    "residual": _INDRNN | _BASELINE | {"shortcut"},
    "dense": _INDRNN
    | {"growth", "blocks", "differences"}
    | {f"dropout_{p}" for p in ("first", "bottleneck", "transition")},
    "transformer": _BASELINE | {"heads"},
}
