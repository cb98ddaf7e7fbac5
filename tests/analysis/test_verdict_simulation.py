"""The rates at which the rule errs, by simulation."""

import csv
import math
import runpy

import numpy as np
import pytest

from workbench import files
from workbench.analysis import verdicts
from workbench.analysis.verdicts import Seed

SIMULATION = runpy.run_path(str(files.project() / "scripts" / "simulate_verdicts.py"))
DRAWS = 20_000
# (question, truth, seeds) -> per cent: 95 and 2.5 by construction, 4.31 of 20 million draws, the others of 200,000
EXPECTED = {
    ("the interval holds the mean", "normal seeds", "3"): 95.0,
    ("the interval holds the mean", "normal seeds", "5"): 95.0,
    ("reproduced, though worse by exactly d", "normal seeds", "3"): 2.5,
    ("reproduced, though worse by exactly d", "normal seeds", "5"): 2.5,
    ("reproduced, though worse by exactly d", "normal seeds", "3, then 5"): 4.31,
    ("reproduced, though worse by exactly d", "normal seeds", "a look after every seed, 3 to 40"): 14.5,
    ("reproduced, and as good as claimed", "s = 0.5 d", "3"): 47.2,
    ("reproduced, and as good as claimed", "s = 0.5 d", "5"): 90.9,
    ("order reproduced, though equal", "normal seeds", "3 against 3"): 5.0,
    ("order reproduced, though equal", "normal seeds", "5 against 5"): 4.76,
    ("order reproduced, and 2 s apart", "normal seeds", "5 against 5"): 86.5,
}


@pytest.fixture(scope="module")
def rates():
    rows = SIMULATION["simulate"](DRAWS, 1)
    return {(row["question"], row["truth"], row["seeds"]): float(row["per_cent"]) for row in rows}


@pytest.mark.parametrize("case", EXPECTED, ids=" ".join)
def test_the_rule_errs_as_often_as_it_says(rates, case):
    share = EXPECTED[case] / 100
    error = 100 * math.sqrt(share * (1 - share) / DRAWS)
    assert abs(rates[case] - EXPECTED[case]) <= 3 * error + 0.005  # a cent of rounding


def test_seeds_that_are_not_normal_are_the_limit_of_the_method(rates):
    limits = {truth: rate for (_, truth, _), rate in rates.items() if "lognormal" in truth or "bad seed" in truth}
    assert len(limits) == 3
    assert all(10.5 < rate < 15 for rate in limits.values())


def test_the_simulation_judges_as_the_rule_does_draw_by_draw():
    draws = np.random.default_rng(2).normal(1.0, 0.5, (300, 5))
    said = {1: "reproduced", -1: "not reproduced", 0: "undecided"}
    found = [said[int(word)] for word in SIMULATION["words"](draws, 1.0)]
    assert found == [
        verdicts.value(0.0, 1.0, [Seed(i, float(v), "ended", 100) for i, v in enumerate(row)]).word for row in draws
    ]
    assert set(found) == set(said.values())


def test_the_simulation_tells_orders_as_the_exact_test_does():
    for n in verdicts.LOOKS:
        u = SIMULATION["critical"](n)
        assert (n, u) in ((3, 9), (5, 21))


def test_the_published_simulation_is_that_of_200_000_draws():
    path = files.project() / "results" / "verdict_simulation.csv"
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert {row["draws"] for row in rows} == {"200000"}
    found = {(row["question"], row["truth"], row["seeds"]): float(row["per_cent"]) for row in rows}
    for case, expected in EXPECTED.items():
        share = expected / 100
        assert abs(found[case] - expected) <= 3 * 100 * math.sqrt(share * (1 - share) / 200_000) + 0.005
    assert SIMULATION["page"](rows, 200_000, 0) == path.with_suffix(".md").read_text(encoding="utf-8")
