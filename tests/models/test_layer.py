"""The parts: batch norm over time and batch, dropout shared over time, initial values, the clamp."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import workbench as wb
from workbench import tasks
from workbench.config import Model
from workbench.errors import ParameterError
from workbench.models.build import KINDS, build, clamp_, recurrent_weights
from workbench.models.conv_indrnn import ConvIndRNN
from workbench.models.layer import Linear, SharedDropout, Unit, recurrences
from workbench.models.norms import BatchNorm
from workbench.models.sequence import Span
from workbench.tasks import Spec

SPEC = Spec(1, 10, 20, "class")


def test_batch_norm_has_one_mean_and_variance_per_feature_over_time_and_batch(rng):
    x = torch.randn(7, 5, 3, generator=rng, dtype=torch.float64)
    out = BatchNorm(3).double()(x)
    flat = out.reshape(-1, 3)
    assert_close(flat.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    assert_close(flat.var(0, unbiased=False), torch.ones(3, dtype=torch.float64), atol=1e-4, rtol=0)


def test_batch_norm_is_torchs_on_batch_feature_time(rng):
    x = torch.randn(7, 5, 3, generator=rng)
    ours, theirs = BatchNorm(3), torch.nn.BatchNorm1d(3)
    assert_close(ours(x), theirs(x.permute(1, 2, 0)).permute(2, 0, 1))
    assert_close(ours.running_var, theirs.running_var)


def test_dropout_draws_one_mask_for_all_time_steps():
    drop = SharedDropout(0.2)
    drop.generator = torch.Generator().manual_seed(1)
    out = drop(torch.ones(9, 40, 60))
    assert_close(out, out[:1].expand(9, 40, 60), atol=0, rtol=0)
    assert set(out.unique().tolist()) == {0.0, 1.25}
    assert out.mean().item() == pytest.approx(1, abs=0.05)
    assert not torch.equal(out[0], drop(torch.ones(9, 40, 60))[0])


def test_dropout_over_steps_draws_a_mask_for_each():
    drop = SharedDropout(0.2, "step")
    drop.generator = torch.Generator().manual_seed(1)
    out = drop(torch.ones(9, 40, 60))
    assert set(out.unique().tolist()) == {0.0, 1.25}
    assert len({tuple(step.flatten().tolist()) for step in out}) == 9
    assert out.mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("over", ["sequence", "step"])
def test_a_process_that_has_a_part_of_a_batch_takes_its_part_of_the_mask(over):
    drop, masks = SharedDropout(0.5, over), []
    for share in (None, SimpleNamespace(whole=8, rows=slice(2, 6))):
        drop.ranks, drop.generator = SimpleNamespace(share=share), torch.Generator().manual_seed(1)
        masks.append(drop.mask(torch.ones(3, 8 if share is None else 4, 5), 5))
    assert torch.equal(masks[0][..., 2:6, :], masks[1])


@pytest.mark.parametrize("norm", ["after", "before", "none"])
def test_a_units_dropout_follows_its_norm_whether_fused_or_not(norm, rng):
    """Over steps nothing is fused; with equal masks at all steps the two ways are one."""
    x = torch.randn(5, 4, 3, generator=rng)
    units = [Unit(3, 6, norm=norm, dropout=0.5, dropout_over=over, generator=rng) for over in ("sequence", "step")]
    units[1].load_state_dict(units[0].state_dict())
    mask = units[0].dropout.mask(x, 6)
    for unit, kept in zip(units, (mask, mask.expand(5, 4, 6)), strict=True):
        unit.dropout.mask = lambda *_, kept=kept: kept
    assert_close(units[0](x), units[1](x))


def test_dropout_does_nothing_in_evaluation():
    x = torch.ones(3, 2, 2)
    for over in ("sequence", "step"):
        assert SharedDropout(0.5, over).eval()(x) is x


@pytest.mark.parametrize(("init", "limit"), [
    ("kaiming", math.sqrt(6 / 65 / 128)), ("kaiming2", math.sqrt(6 / 5 / 128)), ("he", math.sqrt(6 / 128)),
    ("glorot", math.sqrt(6 / 228)), ("narrow", 0.04),
])  # fmt: skip
def test_uniform_initial_weights_fill_their_range(init, limit, rng):
    weight = Linear(128, 100, init=init, generator=rng).weight
    assert weight.abs().max() <= limit
    assert weight.abs().max() > 0.99 * limit
    assert abs(weight.mean().item()) < 0.03 * limit


@pytest.mark.parametrize(("init", "deviation"), [("small", 0.001), ("readout", math.sqrt(2 / 128))])
def test_normal_initial_weights_have_their_deviation(init, deviation, rng):
    assert Linear(128, 100, init=init, generator=rng).weight.std().item() == pytest.approx(deviation, rel=0.05)


def test_u_starts_in_zero_to_the_bound_and_near_one_in_the_last_layer(rng):
    net = build(Model(kind="plain", depth=3, hidden=500, gamma=5.0, last_near_one=True), SPEC, rng)
    u_max = 5 ** (1 / 20)
    first, second, last = recurrent_weights(net).values()
    for u in (first, second):
        assert 0 <= u.min() < 0.02
        assert 0.98 * u_max < u.max() <= u_max
    assert 1 / u_max <= last.min() < last.max() <= u_max


def test_without_the_last_layers_range_all_layers_start_alike(rng):
    net = build(Model(kind="plain", depth=2, hidden=500, gamma=5.0), SPEC, rng)
    assert all(u.min() < 0.02 for u in recurrent_weights(net).values())


U_MAX = 4 ** (1 / 20)


@pytest.mark.parametrize(
    ("start", "low", "high"),
    [("uniform", 0, U_MAX), ("near_one", 1 / U_MAX, U_MAX), ("mixed", -U_MAX, U_MAX), ("ones", 1, 1)],
)
def test_every_start_fills_its_range(start, low, high, rng):
    net = build(Model(kind="plain", depth=2, hidden=500, gamma=4.0, start=start), SPEC, rng)
    for u in recurrent_weights(net).values():
        assert low - 1e-6 <= u.min() <= low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) <= u.max() <= high + 1e-6


def test_the_last_layers_range_outranks_the_start_and_the_bound_outranks_both(rng):
    first, last = recurrent_weights(
        build(Model(kind="plain", depth=2, hidden=99, gamma=4.0, start="mixed", last_near_one=True), SPEC, rng)
    ).values()
    assert first.min() < 0 < 0.9 < last.min()
    ones = recurrent_weights(build(Model(kind="plain", hidden=9, u_max=0.8, start="ones"), SPEC, rng))
    assert [u.unique().tolist() for u in ones.values()] == [[pytest.approx(0.8)]]


def test_the_clamp_is_symmetric_and_leaves_the_rest():
    unit = Unit(1, 3, bound=1.5)
    with torch.no_grad():
        unit.u.copy_(torch.tensor([-2.0, 0.25, 3.0]))
    clamp_(unit)
    assert unit.u.tolist() == [-1.5, 0.25, 1.5]


def test_the_same_generator_gives_the_same_net():
    nets = [build(Model(kind="lstm", hidden=8), SPEC, torch.Generator().manual_seed(3)) for _ in range(2)]
    for a, b in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(a, b)


def test_building_a_baseline_does_not_touch_the_global_generator():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    build(Model(kind="lstm"), SPEC)
    # the readout draws from the global generator where none is given; the recurrence's throw-away values must not
    build(Model(kind="lstm"), SPEC, torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    assert torch.equal(torch.rand(1), expected)


def test_lstm_starts_with_forget_gates_open_and_one_bias():
    rnn = build(Model(kind="lstm", hidden=4), SPEC).rnn
    assert rnn.bias_ih_l0.tolist() == [0] * 4 + [1] * 4 + [0] * 8
    assert not rnn.bias_hh_l0.requires_grad
    assert rnn.bias_hh_l0.tolist() == [0] * 16


def test_irnn_starts_with_the_identity():
    assert torch.equal(build(Model(kind="irnn", hidden=4), SPEC).rnn.weight_hh_l0, torch.eye(4))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_answers_once_a_sequence(kind):
    config = Model(kind=kind) if kind == "dense" else Model(kind=kind, depth=2, hidden=8)
    net = build(config, tasks.Spec(3, 7, 11, "class"))
    assert net(torch.randn(11, 4, 3)).shape == (4, 7)
    assert net(torch.randn(11, 4, 3), torch.tensor([1, 11, 5, 2])).shape == (4, 7)


def test_more_neurons_or_permuted_ones_change_nothing_else(rng):
    """Neurons of one layer are independent: permuting them permutes the states."""
    unit = Unit(3, 6, generator=rng)
    x, order = torch.randn(10, 2, 3, generator=rng), torch.randperm(6, generator=rng)
    other = Unit(3, 6)
    with torch.no_grad():
        other.fc.weight.copy_(unit.fc.weight[order])
        other.fc.bias.copy_(unit.fc.bias[order])
        other.u.copy_(unit.u[order])
    assert_close(other(x), unit(x)[..., order])


def test_a_module_names_its_sizes_when_it_is_printed(rng):
    """The text of a net in a notebook."""
    assert repr(wb.IndRNN(2, 3, num_layers=2, bound=1.5)) == "IndRNN(2, 3, num_layers=2, bound=1.5)"
    assert "activation=relu, bound=None" in repr(ConvIndRNN(1, 2, 3))
    assert repr(SharedDropout(0.25)) == "SharedDropout(p=0.25, over=sequence)"


@pytest.mark.parametrize("module", ["IndRNN", "ConvIndRNN"])
def test_an_engine_that_cannot_run_here_is_refused_when_the_module_is_made(module, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    make = {
        "IndRNN": lambda: wb.IndRNN(2, 3, backend="triton"),
        "ConvIndRNN": lambda: ConvIndRNN(1, 2, 3, backend="triton"),
    }
    with pytest.raises(ParameterError, match="backend: 'triton' cannot run here: no CUDA device"):
        make[module]()


def test_a_matrix_that_happens_to_be_called_u_is_no_recurrent_weight():
    """It would be clamped, drawn and trained at the rate of u."""
    net = nn.Module()
    net.u, net.u_l0 = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))
    assert list(recurrences(net)) == ["u_l0"]


def test_a_unit_in_training_norms_the_real_steps_of_a_padded_batch_alone(rng):
    unit, x = Unit(3, 4, norm="after", generator=rng), torch.randn(6, 2, 3, generator=rng)
    y = unit(x, Span(x, [6, 2]))
    h = wb.recur(unit.fc(x), unit.u)
    real = torch.cat([h[:, 0], h[:2, 1]])
    expected = (h - real.mean(0)) / (real.var(0, unbiased=False) + 1e-5).sqrt()
    expected[2:, 1] = 0
    assert_close(y, expected)
    assert_close(unit.bn.running_mean, real.mean(0) / 10)
    assert_close(unit.bn.running_var, 0.9 + real.var(0) / 10)


def test_a_unit_with_norm_behind_it_leaves_its_bare_state(rng):
    unit, x, span = Unit(3, 4, norm="after", generator=rng), torch.randn(6, 2, 3, generator=rng), Span(carry=True)
    unit(x, span)
    assert_close(span.left, [wb.recur(unit.fc(x), unit.u)[-1]])
