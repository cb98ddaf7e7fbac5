"""The adding problem: Fig. 4, and later nets at its shortest length."""

from __future__ import annotations

from typing import Any

from ..config import Adding, Train
from .experiment import Experiment

LENGTHS = (100, 500, 1000, 5000)
QUICK = {100: 4_000, 500: 4_000, 1000: 2_000, 5000: 400}
SMOKE = {"model.hidden": 16, "train.steps": 100, "train.evaluate_every": 50}
SMOKE_LENGTH = {100: 20, 500: 30, 1000: 40, 5000: 50}
END = 60_300  # the official schedule: lr x 0.1 every 20,100 steps, until it is below 1e-6 (from 2e-4)
# Later than the paper, with as many parameters as its IndRNN, within 5 %.
LATER: dict[str, tuple[str, dict[str, Any]]] = {
    "lru": ("LRU, 2 layers", {"depth": 2, "hidden": 37}),
    "mingru": ("minGRU, 2 layers", {"depth": 2, "hidden": 53}),
    "transformer": ("Transformer, 2 layers", {"depth": 2, "hidden": 26, "heads": 2}),
}
TITLES = {"indrnn": "IndRNN, 2 layers", "lstm": "LSTM", "irnn": "IRNN", "rnn_tanh": "RNN-tanh"}
_NOTE = (
    "The official code clips gradients at every step inside the recurrence; here each element of the parameters' "
    "gradients is clamped to the same +-10, which is never reached."
)
_NOTE_LSTM = " The official LSTM looks at its cell through peepholes (384 parameters more); torch.nn.LSTM has none."
_NOTE_LATER = "Later than the paper: as many parameters as the IndRNN of two layers, within 5 %; the LSTM's rate."


def _experiment(net: str, length: int) -> Experiment:
    if net == "indrnn":
        model = {"kind": "plain", "depth": 2, "gamma": 2.0, "last_near_one": True, "init": "small"}
    else:
        model = {"kind": net, **(LATER[net][1] if net in LATER else {})}
    title = LATER[net][0] if net in LATER else TITLES[net]
    # lr: paper section 5.1; which lengths are "long" for IRNN's 1e-5 is not said, we take 500 and more.
    lr = 2e-3 if net in ("lstm", "rnn_tanh", *LATER) else 1e-5 if net == "irnn" and length >= 500 else 2e-4
    train = Train(batch=32, lr=lr, steps=END, drop_every=20_100, evaluate_every=100)
    return Experiment.of(
        f"adding_{net}_T{length}",
        f"adding problem, T = {length}",
        title,
        Adding(name="adding", length=length),
        model | {"readout_init": "glorot"},
        train,
        where="not in the paper" if net in LATER else "Fig. 4",
        quick=QUICK[length],
        smoke={**SMOKE, "task.length": SMOKE_LENGTH[length]},
        note=_NOTE_LATER if net in LATER else _NOTE + _NOTE_LSTM * (net == "lstm"),
    )


def experiments() -> list[Experiment]:
    """Every net at every length, RNNs with a recurrent matrix up to 1,000 steps, the later ones at 100."""
    of_paper = [_experiment(net, T) for T in LENGTHS for net in TITLES if T < 5000 or net == "indrnn"]
    return of_paper + [_experiment(net, LENGTHS[0]) for net in LATER]
