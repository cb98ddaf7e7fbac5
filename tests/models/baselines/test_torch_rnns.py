"""The rivals: exact sizes and answers, laws of time and padding, and twins that walk through time by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from workbench import paper, tasks
from workbench.config import Model
from workbench.errors import ParameterError
from workbench.models.baselines.sru import ALPHA, SRU, STRETCH, layer
from workbench.models.baselines.torch_rnns import Baseline
from workbench.models.baselines.transformer import Block, Transformer, positions
from workbench.models.build import KINDS as NETS
from workbench.models.build import build, count, set_generator
from workbench.tasks.contract import Spec

SPEC = Spec(inputs=3, outputs=5, steps=12, target="class")
KINDS = ("lstm", "gru", "rnn_tanh", "irnn", "sru", "lru", "mingru", "s5", "transformer")
RECURRENT = KINDS[:-1]


def net(kind, rng, **settings):
    return build(Model(**{"kind": kind, "hidden": 8, **settings}), SPEC, rng)


@pytest.mark.parametrize(
    ("kind", "depth", "expected"),
    [
        ("lstm", 1, 4 * (8 * 3 + 8 * 8 + 8)),
        ("gru", 1, 3 * (8 * 3 + 8 * 8 + 8)),
        ("gru", 2, 3 * (8 * 3 + 8 * 8 + 8) + 3 * (8 * 8 + 8 * 8 + 8)),
        ("irnn", 1, 8 * 3 + 8 * 8 + 8),
        ("sru", 1, 4 * 8 * 3 + 4 * 8),  # a product more for the highway, 3 inputs against 8 units; v and b of two gates
        ("sru", 2, 4 * 8 * 3 + 4 * 8 + 3 * 8 * 8 + 4 * 8),
        ("lru", 2, (3 * 8 + 8) + 2 * (6 * 8 * 8 + 8 * 8)),  # an FC in front; B, C, GLU and 8 vectors a block
        ("mingru", 2, (3 * 8 + 8) + 2 * (3 * 8 * 8 + 5 * 8)),
        ("s5", 2, (3 * 8 + 8) + 2 * (4 * 8 * 8 + 13 * 4)),  # 8 features, 4 neurons that turn
        ("transformer", 2, (3 * 8 + 8) + 2 * (12 * 8 * 8 + 13 * 8) + 2 * 8),
    ],
)
def test_parameters_are_counted_with_one_bias_a_gate(kind, depth, expected, rng):
    assert count(net(kind, rng, depth=depth)) == expected + (8 * 5 + 5)


@pytest.mark.parametrize(
    ("small", "large"),
    [(f"{s}_transformer", f"{s}_plain6") for s in ("seqmnist", "seqdigits")]
    + [(f"seqdigits_{net}", "seqdigits_plain6") for net in ("lru", "mingru", "s5")]
    + [(f"adding_{net}_T100", "adding_indrnn_T100") for net in ("lru", "mingru", "transformer")],
)
def test_a_later_net_has_as_many_parameters_as_the_indrnn_beside_it(small, large):
    ours, theirs = (
        count(build(known.config.model, tasks.spec(known.config.task)))
        for known in map(paper.experiment, (large, small))
    )
    assert abs(theirs / ours - 1) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_padding_behind_an_end_changes_no_answer(kind, rng):
    model, x, lengths = (
        net(kind, rng, depth=2).eval(),
        torch.randn(12, 4, 3, generator=rng),
        torch.tensor([12, 1, 7, 5]),
    )
    padded = model(x, lengths)
    for row, n in enumerate(lengths.tolist()):
        assert_close(padded[row], model(x[:n, row : row + 1])[0])
    x[5:, 3] = 1e3
    assert torch.equal(model(x, lengths)[3], padded[3])


@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize("cut", [1, 5, 11])
def test_a_sequence_may_be_cut_anywhere(kind, cut, rng):
    layers = net(kind, rng, depth=2)
    x = torch.randn(12, 4, 3, generator=rng)
    whole, last = layers.features(x)
    head, between = layers.features(x[:cut])
    tail, end = layers.features(x[cut:], between)
    assert_close(torch.cat([head, tail]), whole)
    assert_close(end, last)
    assert len(last) == (4 if kind == "lstm" else 2)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_comes_from_the_nets_own_generator(kind, rng):
    model, x = net(kind, rng, depth=2, dropout=0.5), torch.randn(12, 4, 3, generator=rng)
    chance, untouched = torch.Generator(), torch.get_rng_state()
    set_generator(model, chance)
    twice = [model.train()(x) for _ in range(2) if chance.manual_seed(3)]
    assert torch.equal(*twice)
    assert not torch.equal(model(x), twice[0])
    assert torch.equal(torch.get_rng_state(), untouched)


@pytest.mark.parametrize("kind", RECURRENT)
def test_dropout_of_the_last_place_reaches_a_single_layer(kind, rng):
    model, x = net(kind, rng, dropout_last=0.5).train(), torch.randn(12, 4, 3, generator=rng)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


@pytest.mark.parametrize("kind", KINDS)
def test_for_tokens_there_is_no_readout(kind, rng):
    model = Model(kind=kind, hidden=8)
    trunk = NETS[kind](model, replace(SPEC, target="token"), rng)
    assert count(trunk) == count(net(kind, rng)) - (8 * 5 + 5)
    assert trunk.width == trunk.features(torch.zeros(4, 2, 3))[0].shape[-1] == 8


def test_published_names_stay():
    """Records carry a hash over the names of all parameters."""
    wanted = [f"rnn.{kind}_{to}_l0" for kind in ("weight", "bias") for to in ("ih", "hh")]
    assert list(Baseline(Model(kind="lstm"), SPEC).state_dict()) == [*wanted, "readout.weight", "readout.bias"]


def test_the_gru_has_one_bias_for_its_candidate(rng):
    layers = net("gru", rng, hidden=4)
    x, rnn = torch.randn(6, 2, 3, generator=rng), layers.rnn
    with torch.no_grad():
        rnn.bias_ih_l0.normal_(generator=rng)
    h = torch.zeros(2, 4)
    for x_t in x:
        r_x, z_x, n_x = (x_t @ rnn.weight_ih_l0.T + rnn.bias_ih_l0).chunk(3, -1)
        r_h, z_h, n_h = (h @ rnn.weight_hh_l0.T).chunk(3, -1)
        z = torch.sigmoid(z_x + z_h)
        h = (1 - z) * torch.tanh(n_x + torch.sigmoid(r_x + r_h) * n_h) + z * h
    assert_close(layers.features(x)[1], [h[None]])


# --- SRU ---


def walk(layer, x, c):
    """The five equations of the paper, step by step."""
    (w, w_f, w_r, *skip), (v_f, v_r), (b_f, b_r) = (
        layer.products.weight.split(layer.hidden),
        layer.v,
        layer.bias,
    )
    out = []
    for x_t in x:
        f = torch.sigmoid(x_t @ w_f.T + v_f * c + b_f)
        r = torch.sigmoid(x_t @ w_r.T + v_r * c + b_r)
        c = f * c + (1 - f) * (x_t @ w.T)
        out.append(r * c + (1 - r) * (x_t @ skip[0].T if skip else math.sqrt(3) * x_t))
    return torch.stack(out), c


@pytest.mark.parametrize("T", [1, 2, STRETCH, STRETCH + 1, 2 * STRETCH + 5])
@pytest.mark.parametrize("inputs", [3, 8])
def test_an_sru_layer_equals_its_equations_in_value_and_gradient(T, inputs, rng):
    sru = SRU(inputs, 8, rng).double()
    x = torch.randn(T, 4, inputs, generator=rng, dtype=torch.float64, requires_grad=True)
    c0 = torch.randn(1, 4, 8, generator=rng, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        sru.bias.normal_(generator=rng)
    h, c = sru(x, c0)
    h_walked, c_walked = walk(sru, x, c0[0])
    assert_close((h, c[0]), (h_walked, c_walked))
    g = torch.randn(h.shape, generator=rng, dtype=torch.float64)
    wanted = [x, c0, *sru.parameters()]
    ours = torch.autograd.grad((h * g).sum() + c.square().sum(), wanted)
    assert_close(ours, torch.autograd.grad((h_walked * g).sum() + c_walked.square().sum(), wanted))


@pytest.mark.parametrize("inputs", [1, 3])
def test_an_sru_layer_passes_gradcheck(inputs, rng):
    products = 9 if inputs == 3 else 12
    shapes = ((5, 2, inputs), (products, inputs), (products,), (2, 3), (2, 3))
    leaves = [torch.randn(s, generator=rng, dtype=torch.float64, requires_grad=True) for s in shapes]
    assert torch.autograd.gradcheck(layer, leaves)


def test_an_sru_layer_takes_batches_laid_out_the_other_way(rng):
    sru, x = SRU(8, 8, rng), torch.randn(5, 12, 8, generator=rng)
    turned, straight = x.clone().requires_grad_(), x.transpose(0, 1).clone().requires_grad_()
    for leaf, seen in ((turned, turned.transpose(0, 1)), (straight, straight)):
        sru(seen)[0].square().sum().backward()
        assert leaf.grad is not None
    assert torch.equal(turned.grad.transpose(0, 1), straight.grad)


@pytest.mark.parametrize(("forget", "states"), [(200.0, [3, 3, 3]), (-200.0, [2, 5, 7]), (0.0, [2.5, 3.75, 5.375])])
def test_an_open_forget_gate_holds_its_state_and_a_shut_one_takes_the_input(forget, states):
    """With the reset gate open all the time, h is c; at 0 the forget gate goes halfway at each step."""
    x = torch.tensor([1.0, 2.5, 3.5]).view(3, 1, 1).expand(3, 1, 2)
    weight, bias = torch.tensor([[1.0, 1], [0, 0], [0, 0], [9, 9]]), torch.tensor([0, forget, 200, 0])
    h, last = layer(x, weight, bias, torch.zeros(2, 1), torch.full((1, 1), 3.0))
    assert h.flatten().tolist() == states
    assert last.flatten().tolist() == states[-1:]


def test_the_first_layers_keep_the_variance(rng):
    """The highway's scale is there for that (Lei et al. 2018): x of variance 1 comes out with about 1."""
    assert pytest.approx(3) == ALPHA**2
    x = torch.randn(200, 50, 64, generator=rng)
    with torch.no_grad():
        h, _ = SRU(64, 64, rng)(x)
    assert 0.7 < float(h[20:].var()) < 1.4


# --- Transformer ---


def test_no_step_looks_ahead(rng):
    trunk, x = net("transformer", rng, depth=2), torch.randn(9, 2, 3, generator=rng)
    before, state = trunk.features(x)
    x[5:] += 1
    after, _ = trunk.features(x)
    assert_close(after[:5], before[:5])
    assert not torch.isclose(after[5:], before[5:]).all(-1).any()
    assert state == []


def test_attention_without_a_question_is_the_mean_of_what_was_seen():
    block = Block(Model(kind="transformer", hidden=8, heads=2))
    values = torch.arange(4.0).view(4, 1, 1).expand(4, 1, 8)
    asked = torch.cat([torch.zeros(4, 1, 16), values], -1)
    assert_close(block.attend(asked)[:, 0, 0], torch.tensor([0.0, 0.5, 1.0, 1.5]))


def test_a_block_equals_its_equations(rng):
    block = Block(Model(kind="transformer", hidden=8, heads=2), rng)
    x = torch.randn(6, 1, 8, generator=rng)
    seen = block.before(x[:, 0])
    q, k, v = (seen @ block.ask.weight.T + block.ask.bias).split(8, -1)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = q[:, head] @ k[:, head].T / math.sqrt(4)
        scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf)
        heads.append(scores.softmax(-1) @ v[:, head])
    y = x[:, 0] + block.mix(torch.cat(heads, -1))
    wide = block.widen(block.between(y))
    gelu = wide * (1 + torch.erf(wide / math.sqrt(2))) / 2
    assert_close(block(x)[:, 0], y + block.narrow(gelu))


def test_positions_are_sines_of_falling_pitch():
    p = positions(50, 6)
    assert_close(p[0], torch.tensor([0.0, 1, 0, 1, 0, 1]))
    assert_close(p[7, 2:4], torch.tensor([math.sin(7 / 10_000 ** (2 / 6)), math.cos(7 / 10_000 ** (2 / 6))]))
    assert positions(4, 5).shape == (4, 5)


def test_first_values_come_from_the_generator_alone():
    for kind in KINDS:
        one, two = (net(kind, torch.Generator().manual_seed(1)) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert isinstance(one, Transformer)


def test_a_transformer_says_why_it_reads_no_single_steps(rng):
    with pytest.raises(ParameterError, match="step: a Transformer looks back on a whole sequence"):
        net("transformer", rng).eval().step(torch.zeros(3, SPEC.inputs))
