"""The tasks: what a net reads and what it is asked for. The data behind them are workbench.tasks' business."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .frozen import Frozen

Size = Annotated[int, Field(ge=1, le=2**31 - 1)]
Limit = Annotated[Size | None, Field(description="examples kept of each split, for smoke runs; None: all")]


class Adding(Frozen):
    """The adding problem (Li et al. 2019, section 5.1): sum the two marked numbers of a sequence of `length`."""

    name: Literal["adding"]
    length: Annotated[int, Field(ge=2, le=10**8)] = 100


class Pixels(Frozen):
    """An image read pixel by pixel: MNIST (784 steps), or scikit-learn's digits (64 steps)."""

    name: Literal["pixels"]
    source: Literal["mnist", "digits"] = "mnist"
    permuted: bool = False
    limit: Limit = None

    @property
    def length(self) -> int:
        return 784 if self.source == "mnist" else 64


class Treebank(Frozen):
    """The next word or character of the Penn Treebank, in chunks of about `length` tokens with the state carried over.

    `chunks`: `random` draws each chunk's length around `length` (5 % around half of it) and sets the state to zero
    before one step in ten, `fixed` takes `length` and always carries the state (the official codes of 2020 and 2018).
    """

    name: Literal["treebank"]
    unit: Literal["word", "char"] = "word"
    length: Annotated[int, Field(ge=2, le=10_000)] = 50
    chunks: Literal["random", "fixed"] = "random"
    limit: Annotated[Size | None, Field(description="tokens kept of each split, for smoke runs; None: all")] = None


class Skeletons(Frozen):
    """An action from the joints of one or two bodies, `length` frames sampled from each clip.

    `protocol`: who or what is left for the test: subjects, cameras (NTU 60), setups (NTU 120).
    """

    name: Literal["skeletons"]
    source: Literal["ntu60", "ntu120", "utd_mhad"] = "ntu60"
    protocol: Literal["subject", "view", "setup"] = "subject"
    length: Annotated[int, Field(ge=2, le=1000)] = 20
    limit: Limit = None


class Speech(Frozen):
    """A spoken digit from its raw waveform, one sample a step: 1,148 to 18,262 steps (Free Spoken Digit Dataset)."""

    name: Literal["speech"]
    limit: Limit = None

    @property
    def length(self) -> int:
        return 18_262


Task = Annotated[Adding | Pixels | Treebank | Skeletons | Speech, Field(discriminator="name")]
