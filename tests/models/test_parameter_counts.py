"""Exact parameter counts, against the published table and the paper's own round numbers (section 5.1)."""

import csv

import pytest
import torch

from workbench import files, paper, tasks
from workbench.config import Model
from workbench.models.build import build, count, count_of
from workbench.tasks import Spec

with (files.paper() / "tables" / "parameter_counts.csv").open() as table:
    PUBLISHED = {(row["experiment"], row["model"]): int(row["parameters"]) for row in csv.DictReader(table)}

ADDING, PIXELS, NTU = Spec(2, 1, 100, "real"), Spec(1, 10, 784, "class"), Spec(150, 60, 20, "class")
CHARACTERS, WORDS = Spec(50, 50, 50, "token"), Spec(10_000, 10_000, 50, "token")
AFTER, NORM = {"norm": "after"}, {"norm": "before", "norm_over": "step"}
TIED, OLD = {"embedding": 600, **NORM}, {"embedding": 2000, **NORM}
BIG, PLAIN6 = {"kind": "residual", "hidden": 2000}, {"kind": "plain", "depth": 6}
ROWS = {
    ("adding", "RNN-tanh / IRNN 1 layer"): (Model(kind="rnn_tanh"), ADDING),
    ("adding", "LSTM 1 layer, no peepholes (forget bias 1)"): (Model(kind="lstm"), ADDING),
    ("adding", "IndRNN 2 layers"): (Model(kind="plain", depth=2), ADDING),
    ("seq/perm MNIST", "IndRNN 6 layers"): (Model(**PLAIN6, **AFTER), PIXELS),
    ("seq/perm MNIST", "IndRNN 12 layers"): (Model(kind="plain", depth=12, **AFTER), PIXELS),
    ("seq/perm MNIST", "res-IndRNN 5 blocks"): (Model(kind="residual", depth=5, **AFTER), PIXELS),
    ("seq/perm MNIST", "dense-IndRNN (8,6,4) k=16"): (Model(kind="dense", **AFTER), PIXELS),
    ("PTB char", "IndRNN 6 layers (2018 code, untied, embedding 2000)"): (
        Model(**PLAIN6, hidden=2000, tied=False, **OLD),
        CHARACTERS,
    ),
    ("PTB char", "res-IndRNN 11 layers (2018 code)"): (
        Model(**BIG, depth=5, shortcut="sum", tied=False, **OLD),
        CHARACTERS,
    ),
    ("PTB char", "res-IndRNN 21 layers (2018 code)"): (
        Model(**BIG, depth=10, shortcut="sum", tied=False, **OLD),
        CHARACTERS,
    ),
    ("PTB char", "dense-IndRNN (8,6,4) k=256, embedding 600, tied"): (
        Model(kind="dense", growth=256, **TIED),
        CHARACTERS,
    ),
    ("PTB char", "IndRNN 6 layers, embedding 600, tied (2020 code)"): (
        Model(**PLAIN6, hidden=2000, **TIED),
        CHARACTERS,
    ),
    ("PTB char", "res-IndRNN 5 blocks, embedding 600, tied (2020 code)"): (Model(**BIG, depth=5, **TIED), CHARACTERS),
    ("PTB char", "res-IndRNN 10 blocks, embedding 600, tied (2020 code)"): (
        Model(**BIG, depth=10, **TIED),
        CHARACTERS,
    ),
    ("PTB word", "res-IndRNN 5 blocks, embedding 600, tied"): (Model(**BIG, depth=5, **TIED), WORDS),
    ("PTB word", "dense-IndRNN (8,6,4) k=256, embedding 600, tied"): (Model(kind="dense", growth=256, **TIED), WORDS),
    ("PTB word", "IndRNN 6 layers, embedding 600, tied"): (Model(**PLAIN6, hidden=2000, **TIED), WORDS),
    ("PTB word", "res-IndRNN 11 layers, tied (CVPR, embedding 2000)"): (
        Model(**BIG, depth=5, shortcut="sum", **OLD),
        WORDS,
    ),
    ("NTU RGB+D", "IndRNN 4 layers"): (Model(kind="plain", depth=4, hidden=512, **AFTER), NTU),
    ("NTU RGB+D", "IndRNN 6 layers"): (Model(**PLAIN6, hidden=512, **AFTER), NTU),
    ("NTU RGB+D", "res-IndRNN 5 blocks"): (Model(kind="residual", depth=5, hidden=512, **AFTER), NTU),
    ("NTU RGB+D", "dense-IndRNN (8,6,4) k=48"): (Model(kind="dense", growth=48, **AFTER), NTU),
    ("NTU RGB+D", "dense-IndRNN-aug (8,6,4) k=48, geometric + time-difference features"): (
        Model(kind="dense", growth=48, differences=True, **AFTER),
        Spec(1944, 60, 20, "class"),
    ),
}
PEEPHOLES = ("adding", "LSTM 1 layer with peepholes (official Theano layer)")
EXPERIMENTS = {  # our experiment -> its row
    "adding_indrnn_T100": ("adding", "IndRNN 2 layers"),
    "adding_lstm_T100": ("adding", "LSTM 1 layer, no peepholes (forget bias 1)"),
    "adding_irnn_T100": ("adding", "RNN-tanh / IRNN 1 layer"),
    "adding_rnn_tanh_T100": ("adding", "RNN-tanh / IRNN 1 layer"),
    **{f"{task}_{net}": ("seq/perm MNIST", model)
       for task in ("seqmnist", "permmnist")
       for net, model in (("plain6", "IndRNN 6 layers"), ("plain12", "IndRNN 12 layers"),
                          ("res", "res-IndRNN 5 blocks"), ("dense", "dense-IndRNN (8,6,4) k=16"))},
}  # fmt: skip


def test_every_published_row_is_one_of_ours():
    assert PUBLISHED.keys() == {*ROWS, PEEPHOLES}


@pytest.mark.parametrize("row", ROWS, ids=": ".join)
def test_a_net_has_as_many_parameters_as_the_published_one(row):
    assert count_of(*ROWS[row]) == PUBLISHED[row]


def test_the_peepholes_that_our_lstm_lacks_are_three_numbers_a_neuron():
    lstm = Model(kind="lstm")
    assert count_of(lstm, ADDING) + 3 * lstm.hidden == PUBLISHED[PEEPHOLES]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_the_published_net(name):
    config = paper.experiment(name).config
    assert count_of(config.model, tasks.spec(config.task)) == PUBLISHED[EXPERIMENTS[name]]


@pytest.mark.parametrize(
    "kind",
    ["plain", "residual", "dense", "lstm", "gru", "rnn_tanh", "irnn", "sru", "lru", "mingru", "s5", "transformer"],
)
@pytest.mark.parametrize("spec", [Spec(3, 7, 20, "class"), Spec(30, 30, 20, "token")], ids=["class", "token"])
def test_counting_without_a_net_is_counting_one(kind, spec):
    model = Model(kind=kind, embedding=12 if spec.target == "token" else None)
    assert count_of(model, spec) == count(build(model, spec))


def test_counting_allocates_nothing():
    """A net for which no machine has room: 4 million million weights."""
    with torch.device("meta"):
        assert build(Model(kind="plain", hidden=2_000_000), PIXELS).layers[0].u.is_meta
    assert count_of(Model(kind="plain", depth=2, hidden=2_000_000), PIXELS) > 4e12
