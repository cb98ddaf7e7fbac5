"""Shared wording of the pictures: names and colours of nets, half-lives in words, ticks of logarithmic axes."""

from __future__ import annotations

import math

from ...analysis.figures.style import BLUE, GREEN, ORANGE, PINK, YELLOW, Picture

SMALLEST = 1e-30  # a gradient below is drawn there
LONGEST = 1e6  # steps; so is a half-life above
NETS = {"plain": BLUE, "residual": GREEN, "dense": YELLOW, "lstm": ORANGE, "rnn_tanh": PINK, "irnn": GREEN}
NAMES = {
    "plain": "IndRNN, plain",
    "residual": "IndRNN, residual",
    "dense": "IndRNN, dense",
    "lstm": "LSTM",
    "rnn_tanh": "RNN-tanh",
    "irnn": "IRNN",
    "gru": "GRU",
}


def fading(half: float) -> str:
    """Say in words what becomes of a memory with this half-life."""
    return "never fades" if math.isinf(half) else f"halves in {half:.3g} steps"


def span(steps: float) -> str:
    """A half-life in words."""
    return "without end" if math.isinf(steps) else f"{steps:.3g} steps"


def decades(picture: Picture) -> int:
    """Count the powers of ten that a tick of a logarithmic axis spans, so that there are about six."""
    values = [v for trace in picture.data for v in trace["y"] if v]
    reach = math.log10(max(values) / min(values)) if values else 1.0
    return max(1, round(reach / 6))
