"""Properties: each measure is exact where the answer is known, and notices what it is there to notice."""

import math

import pytest
import torch
from constructed import Constructed, curve, with_u

import workbench as wb
from workbench.analysis import interventions, properties
from workbench.config import Adding, Model
from workbench.models.build import build
from workbench.paper import claims as claims_table
from workbench.tasks import Batch, load, spec


def claim(name):
    return claims_table.claim(name)


# --- of the layer ---


@pytest.mark.parametrize("name", properties.EXACT)
def test_every_property_of_the_layer_holds(name):
    assert properties.holds(claim(name), properties.EXACT[name](7))


def broken(monkeypatch, place, name, change):
    """The measure of a claim, with one function that it uses changed."""
    right = getattr(place, name)
    monkeypatch.setattr(place, name, lambda *given, **more: change(right, *given, **more))


def off(factor):
    return lambda right, *given, **more: right(*given, **more) * factor


@pytest.mark.parametrize("factor", [1 + 2e-7, 1 - 2e-7])
def test_a_bound_or_a_clamp_that_is_off_is_noticed(monkeypatch, factor):
    for place, name in ((properties, "bound"), (wb.models.bounds, "bound")):
        with monkeypatch.context() as patch:
            broken(patch, place, name, off(factor))
            assert not properties.holds(claim("table1-no_explosion"), properties.upper_end(0)), place
    monkeypatch.setattr(properties.Recurrent, "clamp_", lambda unit: unit.u.data.clamp_(max=unit.bound))
    assert not properties.holds(claim("table1-no_explosion"), properties.upper_end(0))  # its lower side is open


@pytest.mark.parametrize("name", ["table1-long_memory", "table1-short_memory"])
def test_a_gradient_that_is_off_at_the_lower_end_is_noticed(monkeypatch, name):
    broken(monkeypatch, properties, "through_time", off(1 + 2e-5))
    assert not properties.holds(claim(name), properties.EXACT[name](0))


def test_a_gradient_that_does_not_fall_with_u_is_noticed(monkeypatch):
    broken(monkeypatch, properties, "through_time", lambda right, us, T: right([us[0]] * len(us), T))
    assert properties.lower_end(0) == math.inf


def test_what_is_no_number_holds_nowhere(monkeypatch):
    """`max` would leave a NaN out, and no comparison finds it."""
    for name, place in (("table1-short_memory", "through_time"), ("table1-no_explosion", "bound")):
        turn = iter(range(10**6))
        with monkeypatch.context() as patch:
            broken(patch, properties, place, lambda f, *a, turn=turn, **m: f(*a, **m) * (math.nan if next(turn) else 1))
            assert math.isnan(properties.EXACT[name](0)), name
    broken(monkeypatch, properties, "recurrent_weights", lambda f, net: {k: math.nan * u for k, u in f(net).items()})
    assert properties.start(0) == 1


@pytest.mark.parametrize(("k", "off"), [(1, 1e-11), (400, -1e-11), (784, 1e-11)])
def test_a_gradient_that_is_off_at_one_lag_is_noticed(monkeypatch, k, off):
    def one_off(right, us, T):
        found = right(us, T)
        found[k, 1] *= 1 + off
        return found

    broken(monkeypatch, properties, "through_time", one_off)
    assert not properties.holds(claim("section3-gradient_is_u_to_the_k"), properties.powers(0))


def test_the_gradient_is_that_of_so_many_steps_as_the_claim_says(monkeypatch):
    asked = set()
    right = interventions.through_time
    monkeypatch.setattr(properties, "through_time", lambda us, T: asked.add((len(us), T)) or right(us, T))
    properties.lower_end(0)
    properties.short_memory(0)
    assert asked == {(n, T) for n in (2, 100) for T in (20, 100, 500, 784, 1000, 5000)}
    assert {T for T, gamma in properties.RANGES if gamma == 5} == {20, 784}


@pytest.mark.parametrize(("layer", "value"), [(0, -1e-3), (0, 1.1), (1, 0.9), (1, 1.1)])
def test_one_first_value_outside_its_range_is_noticed(monkeypatch, layer, value):
    def changed(right, *given):
        net = right(*given)
        with torch.no_grad():
            net.layers[layer].u[5] = value
        return net

    broken(monkeypatch, properties, "build", changed)
    assert properties.start(0) == 1 / 256  # in each of the four nets of two layers of 128


@pytest.mark.parametrize("part", [1e-6, -1e-6])
def test_neurons_that_see_each_other_are_noticed(monkeypatch, part):
    broken(monkeypatch, properties, "layer", lambda right, x, w, b, u, h0: right(x, w, b, u, h0 + part * h0.roll(1, 1)))
    assert not properties.holds(claim("section3-independent"), properties.independence(0))


def test_a_layer_that_remembers_nothing_is_not_independent(monkeypatch):
    broken(monkeypatch, properties, "layer", lambda right, x, w, b, u, h0: right(x, w, b, 0 * u, h0))
    assert properties.independence(0) == math.inf


# --- of records ---

ADDING, PIXELS, TEXT = "adding_indrnn_T1000", "seqmnist_plain6", "ptbchar_plain6_T50"


def test_no_explosion_is_the_largest_weight_of_either_sign_in_any_layer_of_any_net():
    ends = {ADDING: 2 ** (1 / 1000), PIXELS: 5 ** (1 / 784)}
    rows = [with_u(ADDING, 0, [0.1], [ends[ADDING], 0.0]), with_u(PIXELS, 0, [0.5, -0.1])]
    assert properties.explosion(rows) == pytest.approx(1)
    rows[1] = with_u(PIXELS, 0, [0.5, -ends[PIXELS] * 1.001], [0.1, 0.1])
    assert properties.explosion(rows) == pytest.approx(1.001**784)
    assert math.isnan(properties.explosion([Constructed(ADDING, 0, 0.5)]))  # a run without a row


@pytest.mark.parametrize(
    ("errors", "ratio"),
    [
        ((0.5, 0.01, 0.025), 2),
        ((0.5, 0.01, 0.0249), 1.99),
        ((0.01, 0.5), 49.5),
        ((0.5, 0.004), 0),
        ((0.0, 0.1), math.inf),
    ],
)
def test_robustness_is_the_last_error_less_half_a_point_over_the_best(errors, ratio):
    assert properties.robustness([curve(PIXELS, *errors)]) == pytest.approx(ratio)


def test_robustness_is_that_of_the_worst_run_and_none_is_diverged():
    good, text = curve(PIXELS, 0.5, 0.01, 0.01), curve(TEXT, 2.0, 1.3, 1.32)
    assert properties.robustness([good, text]) == pytest.approx(1)
    assert properties.robustness([good, curve(TEXT, 2.0, 1.3, 2.66)]) == pytest.approx(2.64 / 1.3)
    lost = curve(TEXT, 2.0, 1.3, 1.32)
    lost.status = "diverged"
    assert properties.robustness([good, lost]) == math.inf
    assert properties.robustness([good, Constructed(TEXT, 0, None)]) == math.inf  # before its first row
    assert properties.robustness([curve(PIXELS, 0.01, math.nan), text]) == math.inf
    assert properties.robustness([curve(PIXELS, math.nan, 0.01, 0.025), text]) == pytest.approx(2)


NTU = "ntu_cs_plain6"


def shares(short, long, of=20):
    """A layer of which so many u are short (of either sign), so many long, the others neither."""
    return [
        *[0.19, -0.19] * (short // 2),
        *[0.91] * long,
        *[-0.95, 0.5][: of - short - long],
        *[0.5] * (of - short - long - 2),
    ]


def test_the_shares_of_figure_5_are_those_of_the_best_weights_layer_by_layer():
    layers = [shares(10, 2), shares(8, 4), shares(8, 4), shares(8, 6), shares(4, 8), shares(0, 14)]
    record = with_u(NTU, 0, *layers)
    assert properties.short_memory_below([record]) == pytest.approx(0.5)
    assert properties.long_memory_above([record]) == pytest.approx(0.7)
    assert properties.different_kinds([record]) == pytest.approx(0.1)  # of long ones in the first layer
    assert properties.different_kinds([with_u(NTU, 0, *layers[1:], layers[0])]) == 0  # of short ones in the fifth
    early = with_u(NTU, 0, *layers, best_step=500)
    assert properties.long_memory_above([early]) == 1
    assert all(math.isnan(properties.CURVES[c]([with_u(NTU, 0, *layers, best_step=7)])) for c in properties.AT_LEAST)


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [
        ("table1-no_explosion", 1e-7, True),
        ("table1-no_explosion", 1.01e-7, False),
        ("section3-start", 0.0, True),
        ("abstract-no_explosion", 1.01, True),
        ("abstract-no_explosion", 1.0101, False),
        ("abstract-no_vanishing", 0.1, True),
        ("abstract-no_vanishing", 0.099, False),
        ("abstract-no_vanishing", 10.0, True),
        ("abstract-no_vanishing", 10.1, False),
        ("abstract-relu_robust", 2.0, True),
        ("abstract-relu_robust", 2.01, False),
        ("abstract-21_layers", 1.36, False),
        ("abstract-21_layers", 1.359, True),
        ("fig5-long_memory_above", 0.5, True),
        ("fig5-long_memory_above", 0.49, False),
        ("fig5-short_memory_below", 0.25, True),
        ("fig5-different_kinds", 0.04, False),
    ],
)
def test_a_number_is_held_against_the_claims_own_bound(name, value, held):
    assert properties.holds(claim(name), value) is held
    assert properties.holds(claim(name), math.nan) is False


# --- of trained weights ---


class Task:
    """x (T, B, 1), all ones; y: that of `target`. One batch of each split."""

    def __init__(self, x, y):
        self.batches = {split: Batch(a, b) for split, a, b in zip(("train", "valid", "test"), x, y, strict=True)}

    def batch(self, step):
        return self.batches["train"]

    def examples(self, split, size):
        return iter([self.batches[split]])


@pytest.mark.parametrize(("u", "ratio"), [(1.0, 1.0), (0.99, 0.99**90), (1.01, 1.01**90)])
def test_vanishing_is_the_ratio_of_the_first_tenth_to_the_last(rng, u, ratio):
    net = build(Model(kind="plain", hidden=1), spec(Adding(name="adding", length=100)), rng)
    with torch.no_grad():
        net.layers[0].fc.weight.fill_(0.7)
        net.layers[0].u.fill_(u)
    task = load(Adding(name="adding", length=100), 0, 8)
    assert properties.vanishing(net, task) == pytest.approx(ratio, rel=1e-4)


class Echo(torch.nn.Module):
    """A net whose readout is given x's last step: N neurons of the test's choice."""

    def __init__(self, N):
        super().__init__()
        self.readout = torch.nn.Linear(N, 1)

    def forward(self, x):
        return self.readout(x[-1])


def test_one_neuron_is_chosen_on_validation_fitted_on_training_and_scored_on_test():
    """Neuron 1 says it all on validation, neuron 0 on training and test: the choice is validation's."""

    def states(first, second):
        return torch.stack((torch.tensor(first), torch.tensor(second)), 1)[None]

    y = [torch.tensor([0.0, 1, 2]), torch.tensor([0.0, 1, 2]), torch.tensor([0.0, 1, 2])]
    train, valid, test = (
        states([0.0, 1, 2], [1.0, 3, 5]),
        states([5.0, 5, 6], [7.0, 8, 9]),
        states([0.0, 1, 2], [1.0, 3, 6]),
    )
    # of training: y = (h - 1) / 2 of neuron 1; on test it says 0, 1 and 2.5
    assert properties.one_neuron(Echo(2), Task((train, valid, test), y)) == pytest.approx(0.25 / 3)


def test_one_neuron_is_that_of_the_last_layer_of_a_net(rng):
    net = build(Model(kind="plain", hidden=3, depth=2), spec(Adding(name="adding", length=6)), rng)
    batch = next(iter(load(Adding(name="adding", length=6), 0, 8).examples("valid", 8)))
    given, _ = properties._last(net, iter([batch]))
    _, h = interventions.states(net, batch.x, 1)
    torch.testing.assert_close(given, h[-1].double(), check_dtype=True)
