"""Spoken digits from raw waveforms: not in the paper; real data for sequences of thousands of steps."""

from __future__ import annotations

from typing import Any

from ..config import Speech
from .experiment import Experiment

SMOKE = {"task.limit": 10, "model.hidden": 8, "train.batch": 5, "train.steps": 4, "train.evaluate_every": 2}
TRAIN: dict[str, Any] = {"batch": 32, "lr": 1e-3, "evaluate_every": 75, "drop_every": 3_000, "drops": 2}
_PLAIN = {"kind": "plain", "depth": 3, "hidden": 64, "norm": "after", "gamma": 2.0, "last_near_one": True}
# net -> title, its settings, its rate, steps in minutes on two cores. Baselines have 3 to 7 % more parameters.
NETS: dict[str, tuple[str, dict[str, Any], float, int]] = {
    "plain": ("IndRNN, 3 layers", _PLAIN, 1e-3, 1_200),
    "lstm": ("LSTM", {"kind": "lstm", "hidden": 48}, 1e-3, 300),
    "gru": ("GRU", {"kind": "gru", "hidden": 56}, 1e-3, 300),
    "sru": ("SRU, 2 layers", {"kind": "sru", "hidden": 54, "depth": 2}, 1e-3, 300),
}
NOTE = (
    "Every sample is a step, 8,000 a second. Takes 0-4 of each speaker and digit are the official test; 5-9 choose, "
    "10-49 are learnt from. The 21 test recordings of more than 5,000 steps are scored apart too."
)


def _experiment(net: str) -> Experiment:
    title, model, lr, quick = NETS[net]
    return Experiment.of(
        f"speech_{net}",
        "spoken digits, raw waveforms",
        title,
        Speech(name="speech"),
        model,
        TRAIN | {"lr": lr},
        where="not in the paper",
        quick=quick,
        smoke=SMOKE,
        data="fsdd",
        substitute="seqdigits_plain6" if net == "plain" else f"seqdigits_{net}",
        seeds=1,
        note=NOTE,
    )


def experiments() -> list[Experiment]:
    """An IndRNN and three nets that it is compared with."""
    return [_experiment(net) for net in NETS]
