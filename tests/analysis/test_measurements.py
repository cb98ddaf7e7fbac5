"""Measurements of properties: which of them a claim may count, and the word that they give it."""

import math
from types import SimpleNamespace

import pytest
from constructed import PRESENT, UNDER_WAY, Constructed, curve, with_u

import workbench as wb
from workbench import paper
from workbench.analysis import claims, counting, measurements, properties, tables
from workbench.analysis.benchmark import record as kept
from workbench.config import run_id
from workbench.paper import claims as claims_table
from workbench.paper.claims import claim
from workbench.runs.provenance import NUMERICS

ADDING, PIXELS, TEXT = "adding_indrnn_T1000", "seqmnist_plain6", "ptbchar_plain6_T50"


@pytest.fixture
def shown(monkeypatch, store):
    def row(name, records=(), experiment=None):
        monkeypatch.setattr(counting, "records", lambda own=False, of=None: records)
        return next(r for r in claims.rows() if r["claim"] == name and experiment in (None, r["experiment"]))

    return row


def robust(seed, *errors, names=(PIXELS, "permmnist_plain6", TEXT), state=0.99):
    made = [curve(name, *errors) for name in names]
    for record in made:
        record.seed = seed
    return made


def test_a_seed_counts_once_it_ended_in_every_experiment(shown):
    name, good = "abstract-relu_robust", (0.5, 0.01, 0.01)
    three = [r for seed in range(3) for r in robust(seed, *good)]
    row = shown(name, three)
    assert (row["verdict"], row["n"], row["ours"]) == ("reproduced", 3, 1)
    assert row["note"] == "3 of 3; measured 0.5, 0.5, 0.5"  # of text a value of 0.01 is within what is allowed
    two = [r for r in three if r.seed < 2]
    assert shown(name, two)["verdict"] == "undecided"
    assert shown(name, three[:-1])["note"].startswith("2 of 2; 1 of 3 seeds still trains")
    assert shown(name, [*two, *robust(2, 0.01, 0.5)])["verdict"] == "undecided"
    row = shown(name, [r for seed in range(3) for r in robust(seed, 0.01, 0.5)])
    assert row["verdict"] == "not reproduced"
    assert shown(name)["note"].startswith(
        "workbench run seqmnist_plain6 --budget paper and workbench run permmnist_plain6"
    )


def test_what_has_not_begun_is_counted_and_nothing_that_ended_still_trains(shown):
    row = shown("abstract-relu_robust", [r for s in range(3) for r in robust(s, 0.5, 0.01, 0.01, names=[PIXELS])])
    assert (row["verdict"], row["note"]) == ("under way", "2 of 3 experiments without a record that counts")
    other = Constructed("permmnist_plain6", 0, UNDER_WAY, step=9_000)  # whose schedule is longer
    row = shown("abstract-relu_robust", [*robust(0, 0.5, 0.01, 0.01, names=[PIXELS]), other])
    assert (row["step"], row["steps"]) == (9_000, claims.rows(["permmnist_plain6"])[0]["steps"])


def test_a_run_that_diverged_answers_robustness_and_is_lost_to_any_other_claim(shown):
    three = [r for seed in range(3) for r in robust(seed, 0.5, 0.01, 0.01)]
    three[0] = Constructed(PIXELS, 0, None)
    row = shown("abstract-relu_robust", three)
    assert (row["verdict"], row["note"].startswith("2 of 3; measured inf")) == ("undecided", True)
    for seed in range(3):
        three[3 * seed] = Constructed(PIXELS, seed, None)
    assert shown("abstract-relu_robust", three)["verdict"] == "not reproduced"
    low = [with_u(name, seed, [0.9]) for name in (ADDING, PIXELS) for seed in range(3)]
    assert shown("abstract-no_explosion", low)["verdict"] == "reproduced"
    low[0] = Constructed(ADDING, 0, None)
    row = shown("abstract-no_explosion", low)
    assert (row["verdict"], row["note"].partition(";")[0]) == ("undecided", "2 of 3, 1 lost")
    low[0] = with_u(ADDING, 0, [0.9], value=UNDER_WAY)
    assert shown("abstract-no_explosion", low)["verdict"] == "undecided"
    high = [with_u(name, seed, [1.1]) for name in (ADDING, PIXELS) for seed in range(3)]
    assert shown("abstract-no_explosion", high)["verdict"] == "not reproduced"


def test_a_wrong_net_or_older_numerics_are_set_aside_of_a_property_too(shown):
    old = [with_u(name, seed, [0.9], numerics=1) for name in (ADDING, PIXELS) for seed in range(3)]
    row = shown("abstract-no_explosion", old)
    assert (row["verdict"], row["n"]) == ("not run", 0)
    assert row["note"].endswith(f"{ADDING}: 3 of another numerics set aside; {PIXELS}: 3 of another numerics set aside")


def test_a_cycle_of_a_property_is_reached(shown):
    names = [f"{name}_cycle" for name in (PIXELS, "permmnist_plain6", TEXT)]
    row = shown(
        "abstract-relu_robust", [r for s in range(3) for r in robust(s, 0.5, 0.01, names=names)], ", ".join(names)
    )
    assert row["verdict"] == "reached"


def keep(folder, **changes):
    """Measurements of a claim of trained weights by seeds 0 to 2, changed."""
    run = [run_id(paper.experiment(ADDING).config, seed, {}) for seed in range(3)]
    rows = [
        {"table": "property", "claim": "abstract-no_vanishing", "seed": seed, "value": 0.5, "run": run[seed]}
        | {
            "numerics": NUMERICS,
            "claims": PRESENT,
            "device": "CPU",
            "commit": "",
        }
        | {key: value(seed) if callable(value) else value for key, value in changes.items()}
        for seed in range(3)
    ]
    kept.write(folder / "bench" / "properties.json", rows)


def test_a_measurement_that_is_kept_gives_its_claim_a_word(shown, store):
    keep(store)
    row = shown("abstract-no_vanishing")
    assert (row["verdict"], row["n"], row["ours"], row["note"]) == (
        "reproduced",
        3,
        1,
        "3 of 3; measured 0.5, 0.5, 0.5",
    )
    keep(store, value=0.01)
    assert shown("abstract-no_vanishing")["verdict"] == "not reproduced"
    keep(store, value=lambda seed: math.nan if seed else 0.5)
    assert shown("abstract-no_vanishing")["note"].startswith("1 of 3, 2 lost")


@pytest.mark.parametrize(
    "changes",
    [
        {"numerics": NUMERICS - 1},
        {"claims": None},
        {"claims": "0" * 16},
        {"run": "of another net"},
        {"run": lambda seed: ""},
        {"seed": lambda n: n + 100, "run": lambda n: run_id(paper.experiment(ADDING).config, n + 100, {})},
        {"claim": "abstract-no_explosion"},
    ],
)
def test_a_measurement_of_something_else_is_none(shown, store, changes):
    keep(store, **changes)
    row = shown("abstract-no_vanishing")
    assert (row["verdict"], row["n"], row["note"]) == ("not run", 0, measurements.NOTHING)


def test_two_seeds_are_no_three_of_a_property(shown, store):
    keep(store, seed=lambda seed: min(seed, 1))
    assert shown("abstract-no_vanishing")["verdict"] == "not run" or shown("abstract-no_vanishing")["n"] == 2
    rows = kept.read(store / "bench" / "properties.json")["rows"][:2]
    kept.write(store / "bench" / "properties.json", rows)
    row = shown("abstract-no_vanishing")
    assert (row["verdict"], row["n"]) == ("undecided", 2)


def test_one_neuron_is_solved_by_its_error(shown, store):
    run = [run_id(paper.experiment("adding_indrnn_T5000").config, seed, {}) for seed in range(3)]
    for value, word in ((0.009, "reproduced"), (0.01, "not reproduced")):
        keep(store, claim="2018-one_neuron", run=lambda seed: run[seed], value=value)
        assert shown("2018-one_neuron")["verdict"] == word


def test_the_layer_is_measured_and_its_claims_are_reproduced(shown, store):
    rows = list(measurements.of_the_layer())
    assert len(rows) == sum(claim(name).least for name in properties.EXACT) == 8
    kept.write(store / "bench" / "properties.json", rows)
    for name in properties.EXACT:
        row = shown(name)
        assert row["verdict"] == "reproduced", name
        assert row["n"] == claim(name).least
    assert shown("table1-no_explosion")["ours"] == rows[0]["value"] < 1e-7  # what was measured, not a share of seeds
    text = tables.readable(wb.results_table()).set_index("metric")["ours (95 %)"]
    assert text["share of u outside its range"] == "1 [0.2924, 1] of the seeds"
    assert "seeds" not in text["largest relative error of the upper end of |u|"]


class Trained:
    """A record as far as one is read whose net is measured."""

    experiment, seed, smoke, numerics, claims = ADDING, 0, False, NUMERICS, PRESENT
    config = paper.experiment(ADDING).config
    id = run_id(config, 0, {})

    def __init__(self, result=True, checkpoints=True, **changes):
        self.budgets = [{"provenance": {"device": "NVIDIA H100"}}]
        self.run = SimpleNamespace(result=lambda: result or None, checkpoints=lambda: [1] * checkpoints)
        vars(self).update(changes)

    def net(self):
        return "best"


def test_a_trained_net_is_measured_at_its_end_and_the_row_counts(shown, store, monkeypatch):
    monkeypatch.setitem(
        properties.WEIGHTS, "abstract-no_vanishing", lambda net, task: 0.5 if net == "best" else math.nan
    )
    (row,) = measurements.of_weights(Trained())
    assert {name: row[name] for name in ("claim", "seed", "value", "run", "device")} == {
        "claim": "abstract-no_vanishing",
        "seed": 0,
        "value": 0.5,
        "run": Trained.id,
        "device": "NVIDIA H100",
    }
    kept.write(store / "bench" / "properties.json", [row])
    assert shown("abstract-no_vanishing")["note"].startswith("1 of 1; 1 of 3 seeds, two more needed; measured 0.5")
    for other in ({"result": False}, {"checkpoints": False}, {"smoke": True}, {"experiment": "adding_lstm_T1000"}):
        assert list(measurements.of_weights(Trained(**other))) == [], other


def test_every_claim_that_asks_the_weights_is_one_of_the_table():
    assert {*measurements.MEASURED} <= {each.id for each in claims_table.claims()}
    assert {each.id for each in claims_table.claims() if each.kind == "property"} - {*measurements.MEASURED} == {
        "abstract-21_layers",
        "abstract-dense_characters",
        "abstract-dense_pixels",
    }  # of which a score is asked
