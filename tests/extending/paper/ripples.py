"""Experiments on ripples: a net of the paper, and one that was added."""

from __future__ import annotations

from ..config import Config
from .experiment import Experiment

SMOKE = {"task.limit": 10, "model.hidden": 4, "train.batch": 5, "train.steps": 4, "train.evaluate_every": 2}
NETS = {
    "plain": {"kind": "plain", "hidden": 8, "gamma": 2.0},
    "twice": {"kind": "twice", "hidden": 8, "gamma": 2.0},
}


def experiments() -> list[Experiment]:
    """A plain IndRNN, and the added net."""
    return [
        Experiment(
            id=f"ripples_{net}",
            where="not in the paper",
            title=f"ripples, {net}",
            config=Config.parse(
                {
                    "task": {"name": "ripples"},
                    "model": model,
                    "train": {"batch": 10, "lr": 1e-2, "steps": 60, "evaluate_every": 20, "u_lr": 0.5},
                }
            ),
            quick=40,
            smoke=SMOKE,
            data="ripples",
            substitute="seqdigits_plain6",
        )
        for net, model in NETS.items()
    ]
