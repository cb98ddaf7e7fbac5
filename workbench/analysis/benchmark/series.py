"""All measurements in a row, each handed over when it is done: a machine may be gone before the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ... import recurrence
from .correctness import correctness
from .layers import SHAPES, layers, scaling
from .startup import start
from .timing import Row
from .training_steps import training_step

EVERYONE = ("nn.LSTM", "nn.GRU", "nn.RNN")
ROUNDS = 5


def everything(
    threads: Sequence[int] = (1, 2),
    device: str = "cpu",
    repeats: int = ROUNDS,
) -> Iterator[tuple[str, list[Row]]]:
    """Every engine against the specification; what a beginning costs; a training step; every shape, forward alone and
    with backward; every axis. About twenty minutes on two cores. -> the name of each part, and its rows.
    """
    ours = ["auto", *(engine for engine in recurrence.available() if engine != "cpu")]  # which is what auto is there
    parts: dict[str, Callable[[], list[Row]]] = {
        "correctness": lambda: correctness(device),
        "first use": lambda: start(),
        "training step": lambda: training_step(threads, device, repeats=repeats),
        "layers": lambda: layers(list(SHAPES), threads, device, ours, repeats, EVERYONE, forward=True),
        "scaling": lambda: scaling(threads=threads, device=device),
    }
    for name, part in parts.items():
        yield name, part()
