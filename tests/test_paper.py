"""paper.py against the published tables: every claim stands there with this value, every curve file exists."""

import csv

import pytest

from workbench import files, paper, tasks
from workbench.config import Config

TABLES = files.paper() / "tables"


def rows(name):
    with (TABLES / name).open() as file:
        return list(csv.DictReader(file))


def test_the_claims_of_table_2_are_the_printed_ones():
    printed = {
        (r["experiment"], r["model"]): float(r["value"])
        for r in rows("table2_mnist.csv")
        if r["source"] == "paper v2 Table 2"
    }
    task = {"seqmnist": "sequential MNIST", "permmnist": "permuted MNIST"}
    model = {"plain6": "IndRNN (6 layers)", "plain12": "IndRNN (12 layers)", "lstm": "LSTM", "irnn": "IRNN"}
    model |= {"res": "res-IndRNN (12 layers)", "dense": "dense-IndRNN"}
    checked = 0
    for known in paper.EXPERIMENTS.values():
        for claim in known.claims:
            if claim.source.startswith("paper Table 2"):
                prefix, _, net = known.id.partition("_")
                assert claim.value == printed[task[prefix], model[net]], known.id
                checked += 1
    assert checked == 12


def test_the_logs_errors_are_the_logged_ones():
    logged = {
        r["source"].split()[-1]: float(r["value"])
        for r in rows("table2_mnist.csv")
        if r["metric"] == "test error %" and r["source"].startswith("official log")
    }
    claims = [c for e in paper.EXPERIMENTS.values() if e.where == "Table 2" for c in e.claims if c.log]
    found = {c.source.split()[-1]: c.value for c in claims}
    assert found == {number: logged[number] for number in found}
    assert len(found) == 8


@pytest.mark.parametrize("name", paper.EXPERIMENTS)
def test_every_experiment_is_whole(name):
    known = paper.EXPERIMENTS[name]
    assert known.id == name
    assert Config.parse(known.config.model_dump_json()) == known.config
    smoke, until = known.at("smoke")
    assert until is None
    assert smoke.train.steps <= 200
    assert known.quick % known.config.train.evaluate_every == 0
    if known.curve:
        assert (files.paper() / "curves" / f"{known.curve}.csv").is_file()
    if known.substitute:
        assert known.substitute in paper.EXPERIMENTS


def test_settings_are_the_specifications():
    mnist, adding = paper.experiment("seqmnist_plain6").config, paper.experiment("adding_indrnn_T1000").config
    assert (mnist.model.depth, mnist.model.hidden, mnist.model.dropout, mnist.model.gamma) == (6, 128, 0.1, 5.0)
    assert (mnist.train.batch, mnist.train.lr, mnist.train.weight_decay, mnist.train.patience) == (32, 2e-4, 1e-4, 100)
    assert (adding.model.depth, adding.model.gamma, adding.train.lr, adding.train.drop_every) == (2, 2.0, 2e-4, 20_100)
    assert paper.experiment("adding_lstm_T100").config.train.lr == 2e-3
    assert tasks.spec(adding.task).steps == 1000
