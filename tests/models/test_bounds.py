"""The mathematics of |u|, against Table 1's numbers and its own laws."""

import csv
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from workbench import IndRNN, files, recur
from workbench.errors import ParameterError
from workbench.models import bound, half_life, near_one


def published():
    with (files.paper() / "tables" / "table1_recurrent_weight_ranges.csv").open() as file:
        for row in csv.DictReader(file):
            if "T=" in row["setting"] and "MAG=" in row["setting"]:
                steps = int(row["setting"].split("T=")[1].split(",")[0])
                gamma = float(row["setting"].split("MAG=")[1].split(",")[0])
                yield steps, gamma, row["metric"], float(row["value"])


def test_bounds_are_the_published_ones():
    rows = list(published())
    assert len(rows) == 12
    for steps, gamma, metric, value in rows:
        low, high = near_one(steps, gamma)
        assert (high if metric.startswith("upper") else low) == pytest.approx(value, abs=5e-9)


@pytest.mark.parametrize("steps", [1, 2, 784, 10_000])
def test_the_bound_holds_the_gradient_at_gamma_over_the_whole_sequence(steps):
    assert bound(steps, 5.0) ** steps == pytest.approx(5.0, rel=1e-9)


def test_a_bound_that_float32_cannot_tell_from_one_is_warned_about():
    with pytest.warns(UserWarning, match="bounds .u. by 1 exactly in float32") as caught:
        assert bound(10**8) > 1
    assert caught[0].filename == __file__  # the caller's line


@pytest.mark.parametrize(("u", "steps"), [(0.5, 1), (2**-0.125, 8), (1.0, math.inf), (1.2, math.inf)])
def test_half_life_is_when_an_impulse_has_halved(u, steps):
    assert half_life(u) == pytest.approx(steps)
    left = impulse(u)
    assert (left[-1] >= 1) if steps == math.inf else (left[steps] == pytest.approx(0.5))


@pytest.mark.parametrize("u", [0.0, -0.0, -0.5, -1.0, -1.5])
def test_a_state_that_would_be_negative_remembers_nothing(u):
    assert half_life(u) == 0
    assert impulse(u)[1:].tolist() == [0] * 8


def impulse(u):
    """A ReLU neuron's nine states from an input of 1 at the first step."""
    a = torch.zeros(9, 1, 1)
    a[0] = 1
    return recur(a, torch.tensor([u])).flatten()


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "3", 2**63])
def test_a_wrong_length_is_named(steps):
    with pytest.raises(ParameterError, match=f"steps: {steps!r} is not a sequence length"):
        bound(steps)


def test_a_bound_takes_any_real_number():
    assert bound(100, np.float32(2)) == bound(100, Fraction(2)) == bound(100, 2)
    assert IndRNN(2, 3, bound=np.float32(1.5)).bound == 1.5  # a warning of NumPy's would be an error here
    for wrong in (10**400, float("nan"), np.float32("inf"), True, 0, "2"):
        with pytest.raises(ParameterError, match="a finite number above 0"):
            bound(100, wrong)
        with pytest.raises(ParameterError, match="a finite number above 0"):
            IndRNN(2, 3, bound=wrong)
