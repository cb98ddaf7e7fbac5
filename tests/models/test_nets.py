"""Plain, residual and dense nets: their laws, their first values, and the nets that have no official twin, by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from workbench.config import Model
from workbench.models.build import build, recurrent_weights, set_backend, set_generator
from workbench.models.dense import pieces
from workbench.models.layer import Linear, SharedDropout, Unit
from workbench.models.norms import BatchNorm
from workbench.models.sequence import WHOLE, Span
from workbench.seeds import generator
from workbench.tasks import Spec

SPEC, F64 = Spec(3, 4, 9, "class"), torch.float64
NETS = {
    "plain": {"kind": "plain", "depth": 3, "hidden": 5},
    "residual": {"kind": "residual", "depth": 2, "hidden": 5},
    "sums": {"kind": "residual", "depth": 2, "hidden": 5, "shortcut": "sum"},
    "dense": {"kind": "dense", "growth": 2, "blocks": (2, 1)},
    "differences": {"kind": "dense", "growth": 2, "blocks": (2, 1), "differences": True},
    "bidirectional": {"kind": "bidirectional", "depth": 2, "hidden": 5},
}
every_net = pytest.mark.parametrize("name", NETS)
every_norm = pytest.mark.parametrize("norm", ["after", "before", "none"])


def net_of(name, norm="after", **settings):
    net = build(Model(**NETS[name], norm=norm, **settings), SPEC, generator(0, "init")).double()
    set_backend(net, "torch")
    return net


def text(rng, T=9, B=4):
    return torch.randn(T, B, 3, generator=rng, dtype=F64)


@every_norm
@every_net
def test_a_padded_sequence_answers_as_it_does_alone(name, norm, rng):
    net, x, lengths = net_of(name, norm), text(rng), [9, 1, 4, 7]
    net.train()(x)  # statistics other than 0 and 1
    out = net.eval()(x, torch.tensor(lengths))
    for b, end in enumerate(lengths):
        assert_close(out[b : b + 1], net(x[:end, b : b + 1]), rtol=0, atol=1e-14)


@every_norm
@every_net
def test_padding_is_nothing_to_learn_from(name, norm, rng):
    x, lengths = text(rng), torch.tensor([9, 2, 4, 7])
    real = (torch.arange(9)[:, None] < lengths)[..., None]
    nets = [net_of(name, norm).train() for _ in range(2)]
    for net, padding in zip(nets, (0.0, math.nan), strict=True):
        (net(torch.where(real, x, padding), lengths) ** 3).sum().backward()
    one, two = nets
    for key, value in one.state_dict().items():
        assert torch.equal(two.state_dict()[key], value), key
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


@pytest.mark.parametrize(
    "kind", ["lstm", "sru", "lru", "mingru", "transformer", "convolution", "linear", "bidirectional"]
)
@pytest.mark.parametrize("spec", [SPEC, replace(SPEC, each_step=True)], ids=["once", "each step"])
def test_a_padding_of_no_numbers_reaches_no_answer_and_no_gradient(kind, spec, rng):
    net = build(Model(kind=kind, **({} if kind == "linear" else {"hidden": 4})), spec, generator(0, "init")).double()
    x, lengths = text(rng), torch.tensor([9, 2, 4, 7])
    real, found = (torch.arange(9)[:, None] < lengths)[..., None], []
    for padding in (0.0, math.nan):
        out = net(torch.where(real, x, padding), lengths)
        found.append([out, *torch.autograd.grad(out.square().sum(), [p for p in net.parameters() if p.requires_grad])])
    assert_close(*found, rtol=0, atol=0)
    assert net(x[:, :0]).shape == ((9, 0, 4) if spec.each_step else (0, 4))


@every_net
def test_statistics_of_padded_batches_are_those_of_the_real_steps(name, rng):
    """Two sequences of unequal length give the first norm what their steps laid end to end give it."""
    x, net = text(rng, B=2), net_of(name, norm="before")
    seen, norm = [], next(m for m in net.modules() if isinstance(m, BatchNorm))
    norm.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    net.train()(x, [9, 4])
    steps = torch.cat([seen[0][:, 0], seen[0][:4, 1]])
    assert_close(norm.running_mean, 0.1 * steps.mean(0))
    assert_close(norm.running_var, 0.9 + 0.1 * steps.var(0))


@every_norm
@every_net
def test_gradients_are_right(name, norm, rng):
    net = net_of(name, norm, activation="tanh")
    names, values = zip(*net.named_parameters(), strict=True)
    x = text(rng, T=3, B=2).requires_grad_()

    def run(x, *values):
        return torch.func.functional_call(net, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *values), fast_mode=True)


@every_net
def test_a_config_reaches_every_part_of_a_net(name):
    settings = {"activation": "tanh", "init": "small", "readout_init": "glorot", "dropout": 0.5, "dropout_over": "step"}
    net = net_of(name, **settings)
    units = [m for m in net.modules() if isinstance(m, Unit)]
    assert {(unit.activation, unit.dropout.over) for unit in units} == {("tanh", "step")}
    *matrices, readout = [m.weight for m in net.modules() if isinstance(m, Linear)]
    assert len(matrices) > 1
    assert all(weight.abs().max() < 0.005 for weight in matrices)
    assert 0.7 < readout.abs().max() / math.sqrt(6 / sum(readout.shape)) <= 1


@every_net
def test_a_net_is_a_pure_function_of_its_config_and_generator(name):
    for a, b in zip(net_of(name).parameters(), net_of(name).parameters(), strict=True):
        assert torch.equal(a, b)


@every_net
def test_a_net_is_trained_under_one_generator(name, rng):
    net, x = net_of(name, dropout=0.5).train(), text(rng)
    outputs = []
    for _ in range(2):
        set_generator(net, torch.Generator().manual_seed(1))
        outputs.append(net(x))
    assert torch.equal(*outputs)
    assert not torch.equal(net(x), outputs[0])


# --- shapes of the nets ---


@pytest.mark.parametrize(
    ("settings", "recurrences"),
    [
        ({"kind": "plain", "depth": 6}, 6),
        ({"kind": "residual", "depth": 5}, 11),
        ({"kind": "residual", "depth": 10, "shortcut": "sum"}, 21),
        ({"kind": "dense"}, 40),
    ],
)
def test_a_net_has_the_papers_number_of_recurrences(settings, recurrences):
    assert len(recurrent_weights(build(Model(**settings, norm="after"), SPEC))) == recurrences


@pytest.mark.parametrize("growth", [16, 48])
def test_a_dense_net_has_the_papers_widths(growth):
    net = build(Model(kind="dense", growth=growth), SPEC)
    widths = [net.first.u.numel()]
    for block in net.blocks:
        widths += [block.transition.fc.in_features, block.transition.u.numel()]
    assert widths == {16: [96, 224, 112, 208, 104, 168, 84], 48: [288, 672, 336, 624, 312, 504, 252]}[growth]


def test_a_residual_net_without_its_blocks_is_its_first_and_last_part(rng):
    """Nothing is applied to a sum: where the blocks' last FC give 0, x passes by them unchanged."""
    net, x = net_of("residual").eval(), text(rng)
    with torch.no_grad():
        for block in net.blocks:
            block.fc.weight.zero_()
    assert_close(net(x), net.readout(net.final(net.fc(x))[-1]))


def test_the_sums_of_2018_are_written_out(rng):
    net, x = net_of("sums", norm="before").eval(), text(rng)
    a, b, c, d, e = net.layers

    def rest(layer, total):
        return layer.recurrent(total)

    s0 = a.fc(x)
    s2 = c.fc(b(rest(a, s0))) + s0
    s4 = e.fc(d(rest(c, s2))) + s2
    assert_close(net(x), net.readout(rest(e, s4)[-1]))


# --- differences ---


def test_the_differences_of_a_constant_sequence_are_zero_after_its_first_step(rng):
    x = text(rng)[:1].expand(9, 4, 3)
    same, change = pieces(x, WHOLE, True)
    assert same is x
    assert torch.equal(change[0], x[0])
    assert not change[1:].any()


def test_the_sum_of_the_differences_is_the_sequence(rng):
    x = text(rng)
    assert_close(pieces(x, WHOLE, True)[1].cumsum(0), x)


def test_differences_reach_over_the_cut_of_a_carried_sequence(rng):
    x = text(rng)
    head, tail = Span(carry=True), None
    first = pieces(x[:4], head, True)[1]
    tail = Span(states=head.left, carry=True)
    assert_close(torch.cat([first, pieces(x[4:], tail, True)[1]]), pieces(x, WHOLE, True)[1])


# --- first values and places of dropout ---


@pytest.mark.parametrize("name", ["residual", "sums", "dense"])
def test_only_the_last_recurrence_starts_near_one(name):
    us = list(recurrent_weights(net_of(name, gamma=5.0, last_near_one=True)).values())
    u_max = 5 ** (1 / 9)
    assert all(1 / u_max <= u <= u_max for u in us[-1].tolist())
    early = torch.cat(us[:-1])
    assert early.min() < 0.2
    assert 1 < early.max() <= u_max


def test_u_max_is_the_bound_itself():
    net = net_of("plain", u_max=0.99)
    assert [layer.bound for layer in net.layers] == [0.99] * 3
    assert all(u.min() >= 0 and u.max() <= 0.99 for u in recurrent_weights(net).values())
    near = build(Model(kind="plain", hidden=50, u_max=0.99, last_near_one=True), SPEC, generator(0, "init"))
    assert 2 ** (-1 / 9) <= near.layers[0].u.min() < near.layers[0].u.max() <= 0.99


def test_the_gains_of_batch_norm_start_where_the_config_says():
    gains = [m.weight for m in net_of("dense", norm_gain=0.1).modules() if isinstance(m, BatchNorm)]
    assert len(gains) == 1 + 2 * 3 + 2
    assert {round(gain, 6) for gain in torch.cat(gains).tolist()} == {0.1}


P = {"dropout": 0.1}
PLACES = {
    "plain": (P | {"dropout_last": 0.2}, [0.1, 0.1, 0.2]),
    "residual": (P | {"dropout_last": 0.2}, [0.1] * 4 + [0.2]),
    "sums": (P, [0.1] * 5),
    "dense": (
        P | {"dropout_first": 0.2, "dropout_bottleneck": 0.3, "dropout_transition": 0.4},
        [0.2, 0.3, 0.1, 0.3, 0.1, 0.4, 0.3, 0.1, 0.4],
    ),
    "differences": (P | {"dropout_transition": 0.4, "dropout_last": 0.5}, [0.1] * 5 + [0.4] + [0.1] * 2 + [0.5]),
    "bidirectional": (P | {"dropout_last": 0.2}, [0.1, 0.1, 0.2, 0.2]),
}


@every_net
def test_dropout_stands_in_its_places(name):
    settings, expected = PLACES[name]
    net = net_of(name, **settings)
    assert [m.p for m in net.modules() if isinstance(m, SharedDropout)] == expected
