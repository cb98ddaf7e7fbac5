"""Exact parameter counts, against the published table and the paper's own round numbers (section 5.1)."""

import csv

import pytest

from workbench import paper, places, tasks
from workbench.models.build import build, count

ROWS = {  # our experiment -> (experiment, model) of results/paper/tables/parameter_counts.csv
    "adding_indrnn_T100": ("adding", "IndRNN 2 layers"),
    "adding_lstm_T100": ("adding", "LSTM 1 layer, no peepholes (forget bias 1)"),
    "adding_irnn_T100": ("adding", "RNN-tanh / IRNN 1 layer"),
    "adding_rnn_tanh_T100": ("adding", "RNN-tanh / IRNN 1 layer"),
    "seqmnist_plain6": ("seq/perm MNIST", "IndRNN 6 layers"),
    "seqmnist_plain12": ("seq/perm MNIST", "IndRNN 12 layers"),
    "permmnist_plain6": ("seq/perm MNIST", "IndRNN 6 layers"),
    "permmnist_plain12": ("seq/perm MNIST", "IndRNN 12 layers"),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_net_has_as_many_parameters_as_the_published_one(name):
    with (places.paper() / "tables" / "parameter_counts.csv").open() as file:
        published = {(r["experiment"], r["model"]): int(r["parameters"]) for r in csv.DictReader(file)}
    config = paper.experiment(name).config
    assert count(build(config.model, tasks.spec(config.task))) == published[ROWS[name]]
