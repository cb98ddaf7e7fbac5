"""`wb.IndRNN`: used like torch.nn.RNN; laws of lengths, directions, states and packing."""

import copy

import pytest
import torch
from torch.nn.utils import parametrize, prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

import workbench as wb
from workbench.errors import FixedError, KindError, ParameterError


def net(**settings):
    torch.manual_seed(0)
    return wb.IndRNN(3, 5, **settings)


def by_hand(rnn, x, h0=None):
    """One layer, one direction, written out."""
    h = torch.zeros(x.shape[1], 5) if h0 is None else h0
    states = []
    for x_t in x:
        h = torch.relu(x_t @ rnn.weight_ih_l0.T + rnn.bias_l0 + rnn.u_l0 * h)
        states.append(h)
    return torch.stack(states)


def test_one_layer_is_the_equation(rng):
    rnn, x, h0 = net(), torch.randn(7, 4, 3, generator=rng), torch.randn(1, 4, 5, generator=rng)
    out, h_n = rnn(x, h0)
    assert_close(out, by_hand(rnn, x, h0[0]))
    assert_close(h_n, out[-1:])


@pytest.mark.parametrize(
    "settings", [{}, {"num_layers": 3}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}]
)
def test_shapes_are_torchs(settings, rng):
    x = torch.randn(7, 4, 3, generator=rng)
    ours, theirs = net(**settings)(x), torch.nn.RNN(3, 5, **settings)(x)
    assert [t.shape for t in ours] == [t.shape for t in theirs]
    ours, theirs = net(**settings)(x[:, 0]), torch.nn.RNN(3, 5, **settings)(x[:, 0])
    assert [t.shape for t in ours] == [t.shape for t in theirs]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [[7, 7, 7, 7], [1, 7, 3, 5]])
def test_a_padded_sequence_answers_as_it_does_alone(bidirectional, lengths, rng):
    rnn, x = net(num_layers=2, bidirectional=bidirectional), torch.randn(7, 4, 3, generator=rng)
    out, h_n = rnn(x, lengths=lengths)
    for b, end in enumerate(lengths):
        alone, h_alone = rnn(x[:end, b : b + 1])
        assert_close(out[:end, b : b + 1], alone)
        assert_close(h_n[:, b : b + 1], h_alone)
        assert not out[end:, b].any()


@pytest.mark.parametrize("garbage", [1e6, torch.inf, torch.nan])
def test_what_stands_in_the_padding_changes_nothing(garbage, rng):
    rnn, x, lengths = net(num_layers=2, bidirectional=True), torch.randn(7, 2, 3, generator=rng), [4, 7]
    results = []
    for stands in (0.0, garbage):
        x[4:, 0] = stands
        leaf = x.clone().requires_grad_()
        out, h_n = rnn(leaf, lengths=lengths)
        results.append([out, h_n, *torch.autograd.grad(out.sum(), [leaf, *rnn.parameters()])])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("enforce_sorted", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_go_in_and_come_out(enforce_sorted, bidirectional, rng):
    lengths = torch.tensor([7, 5, 3] if enforce_sorted else [3, 7, 5])
    rnn, x = net(bidirectional=bidirectional), torch.randn(7, 3, 3, generator=rng)
    packed, h_n = rnn(pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted))
    out, back = pad_packed_sequence(packed)
    expected, h_expected = rnn(x, lengths=lengths)
    assert torch.equal(back, lengths)
    assert_close(out, expected)
    assert_close(h_n, h_expected)


def test_a_state_may_be_carried(rng):
    rnn, x = net(num_layers=2), torch.randn(9, 4, 3, generator=rng)
    whole, h_whole = rnn(x)
    head, h = rnn(x[:4])
    tail, h = rnn(x[4:], h)
    assert_close(torch.cat([head, tail]), whole)
    assert_close(h, h_whole)


def test_batch_first_is_the_transpose(rng):
    x = torch.randn(7, 4, 3, generator=rng)
    out, _ = net(batch_first=True)(x.transpose(0, 1))
    assert_close(out, net()(x)[0].transpose(0, 1))


def test_without_a_bound_u_starts_below_one_and_the_clamp_does_nothing():
    rnn = wb.IndRNN(1, 2000)
    assert 0 <= rnn.u_l0.min() < rnn.u_l0.max() < 1
    with torch.no_grad():
        rnn.u_l0.fill_(3)
    assert rnn.clamp_() is rnn
    assert rnn.u_l0.min() == 3


def test_with_a_bound_u_starts_between_zero_and_it_also_where_it_is_computed():
    rnn = wb.IndRNN(1, 2000, bound=1.5)
    assert 0 <= rnn.u_l0.min() < 0.1 < 1.4 < rnn.u_l0.max() < 1.5
    parametrize.register_parametrization(rnn, "u_l0", torch.nn.Identity())
    rnn.bound = 0.5
    rnn.reset_parameters()
    assert 0 <= rnn.u_l0.min() < 0.1 < 0.4 < rnn.u_l0.max() < 0.5


def test_with_a_bound_the_clamp_projects():
    rnn = wb.IndRNN(1, 2, num_layers=2, bidirectional=True, bound=1.5)
    with torch.no_grad():
        rnn.u_l1_reverse.copy_(torch.tensor([-2.0, 2.0]))
    rnn.clamp_()
    assert rnn.u_l1_reverse.tolist() == [-1.5, 1.5]


def test_it_can_be_copied_saved_and_loaded(rng, tmp_path):
    rnn, x = net(num_layers=2, dropout=0.3), torch.randn(4, 2, 3, generator=rng)
    torch.save(rnn.state_dict(), tmp_path / "rnn.pt")
    other = wb.IndRNN(3, 5, 2, dropout=0.3)
    other.load_state_dict(torch.load(tmp_path / "rnn.pt", weights_only=True))
    assert_close(other.eval()(x)[0], copy.deepcopy(rnn).eval()(x)[0])


def test_no_bias_and_float64(rng):
    rnn = wb.IndRNN(3, 5, bias=False, dtype=torch.float64)
    assert rnn.bias_l0 is None
    assert rnn(torch.randn(4, 2, 3, generator=rng, dtype=torch.float64))[0].dtype == torch.float64


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("engine", ["auto", *wb.available()])
def test_an_empty_batch_has_an_empty_answer_and_gradients_of_zero(engine, batch_first):
    settings = {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}
    rnn, x = net(backend=engine, **settings), torch.zeros((0, 5, 3) if batch_first else (5, 0, 3))
    theirs = torch.nn.RNN(3, 5, **settings)(x)
    for more in ({}, {"hx": torch.zeros(4, 0, 5)}, {"lengths": []}, {"lengths": torch.zeros(0, dtype=torch.int64)}):
        rnn.zero_grad()
        out, h_n = rnn(x, **more)
        assert [out.shape, h_n.shape] == [t.shape for t in theirs]
        (out.sum() + h_n.sum()).backward()
        assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in rnn.parameters())


def test_dropout_is_obeyed_when_it_is_set_later(rng):
    x = torch.randn(7, 4, 3, generator=rng)
    never = net(num_layers=2)(x)[0]
    rnn = net(num_layers=2, dropout=0.5)
    assert not torch.equal(rnn(x)[0], never)
    rnn.dropout = 0.0
    assert torch.equal(rnn(x)[0], never)
    rnn.dropout = 0.5
    assert not torch.equal(rnn(x)[0], never)
    assert torch.equal(rnn.eval()(x)[0], never)


def test_one_mask_drops_for_all_steps_and_scales_what_stays(rng):
    rnn = wb.IndRNN(3, 50, 2, dropout=0.25, activation="identity", bias=False)
    with torch.no_grad():
        rnn.weight_ih_l1.copy_(torch.eye(50))
        rnn.u_l1.zero_()
    below = wb.IndRNN(3, 50, activation="identity", bias=False)
    below.load_state_dict({name: rnn.state_dict()[name] for name in below.state_dict()})
    x = torch.randn(7, 4, 3, generator=rng)
    ratio = rnn(x)[0] / below(x)[0]
    assert_close(ratio, ratio[:1].expand_as(ratio))
    dropped = ratio[0].abs() < 1e-6
    assert_close(ratio[0][~dropped], torch.full((int((~dropped).sum()),), 4 / 3))
    assert 0.1 < dropped.float().mean() < 0.4


def test_dropout_of_everything_leaves_the_biases(rng):
    with pytest.warns(UserWarning, match="num_layers is 1"):
        wb.IndRNN(3, 5, dropout=1)
    rnn, x = net(num_layers=2, dropout=1), torch.randn(7, 4, 3, generator=rng)
    other = torch.randn(7, 4, 3, generator=rng)
    assert torch.equal(rnn(x)[0], rnn(other)[0])
    assert not torch.equal(rnn.eval()(x)[0], rnn(other)[0])


def test_what_may_be_set_later_is_obeyed(rng):
    rnn, x = net(), torch.randn(7, 4, 3, generator=rng)
    rnn.batch_first = True
    assert_close(rnn(x.transpose(0, 1))[0].transpose(0, 1), net()(x)[0])
    rnn.batch_first, rnn.nonlinearity, rnn.backend = False, "tanh", "loop"
    assert_close(rnn(x)[0], net(activation="tanh")(x)[0])
    assert (rnn.activation, rnn.mode) == ("tanh", "INDRNN_TANH")
    rnn.bound = 0.1
    assert rnn.clamp_().u_l0.max() <= 0.1


@pytest.mark.parametrize(
    "name", ["input_size", "hidden_size", "num_layers", "bias", "bidirectional", "mode", "proj_size"]
)
def test_what_the_weights_rest_on_may_not_be_set_later(name):
    rnn = net(num_layers=2)
    before = getattr(rnn, name)
    setattr(rnn, name, before)
    with pytest.raises(FixedError, match=f"{name}: 7 received; it is {before!r}") as caught:
        setattr(rnn, name, 7)
    assert isinstance(caught.value, AttributeError)
    assert getattr(rnn, name) == before


@pytest.mark.parametrize("name", ["bias", "batch_first", "bidirectional"])
@pytest.mark.parametrize("value", ["False", "True", 0, 1, None])
def test_a_switch_is_true_or_false(name, value):
    with pytest.raises(KindError, match=f"{name}: {value!r} received; True or False"):
        wb.IndRNN(3, 5, **{name: value})
    if name == "batch_first":
        with pytest.raises(TypeError, match="batch_first"):
            net().batch_first = value


def test_the_arguments_are_torchs_in_torchs_order():
    given = (2, 3, 2, "tanh", False, True, 0.5, True)
    ours, theirs = wb.IndRNN(*given), torch.nn.RNN(*given)
    names = "input_size hidden_size num_layers nonlinearity bias batch_first dropout bidirectional proj_size".split()
    assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
    assert (
        repr(ours)
        == "IndRNN(2, 3, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True, activation=tanh)"
    )
    assert repr(wb.IndRNN(2, 3)) == "IndRNN(2, 3)"
    assert (wb.IndRNN(2, 3).activation, wb.IndRNN(2, 3, nonlinearity="tanh", activation="tanh").mode) == (
        "relu",
        "INDRNN_TANH",
    )
    with pytest.raises(ValueError, match="activation: 'relu' received; nonlinearity says 'tanh'"):
        wb.IndRNN(2, 3, nonlinearity="tanh", activation="relu")
    with pytest.raises(ValueError, match="nonlinearity: 'selu' is unknown"):
        wb.IndRNN(2, 3, nonlinearity="selu")
    with pytest.raises(ValueError, match="proj_size: 2 received"):
        wb.IndRNN(2, 3, proj_size=2)


def test_inputs_have_torchs_names_and_ours(rng):
    rnn, x, h0 = net(), torch.randn(7, 4, 3, generator=rng), torch.randn(1, 4, 5, generator=rng)
    out = rnn(x, h0)[0]
    assert torch.equal(rnn(input=x, hx=h0)[0], out)
    assert torch.equal(rnn(x=x, h0=h0)[0], out)
    with pytest.raises(TypeError, match="input: received beside x"):
        rnn(x, x=x)
    with pytest.raises(TypeError, match="hx: received beside h0"):
        rnn(x, h0, h0=h0)
    with pytest.raises(TypeError, match="x: NoneType received"):
        rnn()
    with pytest.raises(TypeError, match="state: forward takes no such argument"):
        rnn(x, state=h0)


def test_torch_fx_notes_the_layer_as_one_call_and_cannot_trace_it_alone(rng):
    graph = torch.fx.symbolic_trace(torch.nn.Sequential(net(num_layers=2)))
    assert [node.op for node in graph.graph.nodes] == ["placeholder", "call_module", "output"]
    x = torch.randn(7, 4, 3, generator=rng)
    assert torch.equal(graph(x)[0], net(num_layers=2)(x)[0])
    with pytest.raises(ParameterError, match="fx cannot trace a recurrent layer; trace the net that holds it"):
        torch.fx.symbolic_trace(net())


def test_all_weights_are_those_of_each_layer_and_direction():
    rnn = net(num_layers=2, bidirectional=True)
    assert [id(p) for weights in rnn.all_weights for p in weights] == [id(p) for p in rnn.parameters()]
    assert [len(weights) for weights in net(bias=False).all_weights] == [2]


def test_what_does_not_fit_is_a_value_error_and_a_runtime_error_and_a_wrong_kind_a_type_error(rng):
    rnn, x = net(), torch.randn(7, 4, 3, generator=rng)
    shapes = (x[None],), (x[..., :2],), (x[:0],), (x, torch.zeros(2, 4, 5)), (x[:, 0], torch.zeros(1, 4, 5))
    places = (x.double(),), (x.to("meta"),), (x, torch.zeros(1, 4, 5).double()), (x, None, [0, 1, 2, 3])
    for wrong in (*shapes, *places):
        for kind in (ValueError, RuntimeError, ParameterError):
            with pytest.raises(kind):
                rnn(*wrong)
    for wrong in (([1.0],), (x, [0.0]), (x, None, "7777")):
        for kind in (TypeError, ParameterError):
            with pytest.raises(kind):
                rnn(*wrong)


def test_a_packed_sequence_comes_back_in_the_order_it_came_in(rng):
    """Lengths that are alike may be sorted in more than one way."""
    rnn, x, h0 = net(), torch.randn(4, 3, 3, generator=rng), torch.randn(1, 3, 5, generator=rng)
    order = torch.tensor([2, 0, 1])
    packed = PackedSequence(x[:, order].flatten(0, 1), torch.tensor([3, 3, 3, 3]), order, order.argsort())
    out, h_n = rnn(packed, h0)
    assert torch.equal(out.sorted_indices, order)
    whole, h_whole = rnn(x, h0)
    assert_close(out.data, whole[:, order].flatten(0, 1))
    assert_close(h_n, h_whole)
    with pytest.raises(RuntimeError, match="packed shape"):
        rnn(PackedSequence(x, torch.tensor([3, 3, 3, 3])))


@pytest.mark.parametrize(
    "settings",
    [{}, {"num_layers": 3, "activation": "identity"}, {"num_layers": 2, "bias": False, "batch_first": True}],
)
@pytest.mark.parametrize("engine", ["auto", *wb.available()])
def test_steps_are_the_whole_sequence_wherever_it_is_cut(engine, settings, rng):
    rnn, x = net(backend=engine, **settings), torch.randn(20, 4, 3, generator=rng)
    whole, h_n = rnn(x.transpose(0, 1) if rnn.batch_first else x)
    whole = whole.transpose(0, 1) if rnn.batch_first else whole
    for cut in (0, 1, 7, 19):
        state = None
        if cut:
            _, state = rnn(x[:cut].transpose(0, 1) if rnn.batch_first else x[:cut])
        for t in range(cut, 20):
            out, state = rnn.step(x[t], state)
            assert_close(out, whole[t], rtol=1e-6, atol=1e-6)
        assert_close(state, h_n, rtol=1e-6, atol=1e-6)
    state = None
    for x_t, expected in zip(x[:, 0], whole[:, 0], strict=True):
        out, state = rnn.step(x_t, state)
        assert_close(out, expected, rtol=1e-6, atol=1e-6)
    assert state.shape == (rnn.num_layers, 5)


def test_gradients_of_steps_are_those_of_the_whole(rng):
    rnn, x = net(num_layers=2), torch.randn(6, 4, 3, generator=rng)
    theirs = torch.autograd.grad(rnn(x)[0].square().sum(), list(rnn.parameters()))
    state, total = torch.zeros(2, 4, 5), 0
    for x_t in x:
        out, state = rnn.step(x_t, state)
        total = total + out.square().sum()
    assert_close(torch.autograd.grad(total, list(rnn.parameters())), theirs)


def test_a_step_runs_hooks_and_what_computes_the_weights(rng):
    rnn, x, state = net(), torch.randn(4, 3, generator=rng), torch.randn(1, 4, 5, generator=rng)
    plain = rnn.step(x, state)[0]
    seen = []
    with rnn.register_forward_pre_hook(lambda *_: seen.append(1)):
        assert_close(rnn.step(x, state)[0], plain)
    assert seen == [1]
    parametrize.register_parametrization(rnn, "weight_ih_l0", torch.nn.Softplus(), unsafe=True)
    assert not torch.allclose(rnn.step(x, state)[0], plain)
    assert_close(rnn.step(x, state)[0], rnn(x[None], state)[0][0])


def test_a_step_in_training_draws_a_mask_of_its_own_and_none_in_evaluation(rng):
    rnn, x, state = net(num_layers=2, dropout=0.5), torch.randn(9, 3, generator=rng), torch.ones(2, 9, 5)
    assert not torch.equal(rnn.step(x, state)[0], rnn.step(x, state)[0])
    rnn.dropout = 1.0
    assert torch.equal(rnn.step(x, state)[0], rnn.step(-x, state)[0])
    assert not torch.equal(rnn.step(x, state)[1][0], rnn.step(-x, state)[1][0])  # nothing drops before the first layer
    rnn.eval()
    assert_close(rnn.step(x, state)[0], rnn(x[None], state)[0][0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_step_has_the_dtype_of_its_layer_or_of_autocast(dtype, rng):
    rnn, x = net(dtype=dtype), torch.randn(4, 3, generator=rng).to(dtype)
    out, state = rnn.step(*(x, rnn.step(x)[1]))
    assert (out.dtype, state.dtype) == (dtype, dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net().step(x.float(), torch.zeros(1, 4, 5))[0].dtype == torch.bfloat16


@pytest.mark.parametrize(("args", "kind", "message"), [
    ((torch.zeros(4, 3, 3),), RuntimeError, r"x: shape \(4, 3, 3\) received; \(B, 3\)"),
    (([0.0],), TypeError, "x: list"),
    ((torch.zeros(4, 2),), RuntimeError, "2 features"),
    ((torch.zeros(4, 3), torch.zeros(4, 5)), RuntimeError, "h0: shape"),
    ((torch.zeros(4, 3), torch.zeros(1, 1, 5)), RuntimeError, "h0: shape"),
    ((torch.zeros(4, 3), torch.zeros(1, 4, 5).double()), RuntimeError, "h0: dtype"),
    ((torch.zeros(4, 3), [0.0]), TypeError, "h0: list"), ((torch.zeros(4, 3).to("meta"),), RuntimeError, "x: on meta"),
])  # fmt: skip
def test_a_step_that_does_not_fit_is_named(args, kind, message):
    with pytest.raises(kind, match=message) as caught:
        net().step(*args)
    assert isinstance(caught.value, ParameterError)


def test_a_bidirectional_layer_refuses_to_step():
    with pytest.raises(ParameterError, match="step: a bidirectional layer reads a sequence from its end too"):
        net(bidirectional=True).step(torch.zeros(4, 3))


def test_a_layer_kept_before_dropout_was_a_setting_is_read(rng):
    rnn, x = net(num_layers=2, dropout=0.5).eval(), torch.randn(7, 4, 3, generator=rng)
    state = dict(rnn.__dict__, _modules={"_drop": torch.nn.Dropout(0.5)})
    old = wb.IndRNN.__new__(wb.IndRNN)
    old.__setstate__(state)
    assert torch.equal(old(x)[0], rnn(x)[0])
    assert list(old.children()) == []


def test_the_clamp_reaches_a_pruned_u_and_refuses_a_computed_one():
    rnn = net(bound=0.5)
    prune.l1_unstructured(rnn, "u_l0", 2)
    with torch.no_grad():
        rnn.u_l0_orig.fill_(3)
    rnn.clamp_()
    assert rnn.u_l0_orig.max() == 0.5
    rnn = net(bound=0.5)
    parametrize.register_parametrization(rnn, "u_l0", torch.nn.Softplus())
    with pytest.raises(ParameterError, match=r"clamp_: u_l0 is computed .* beyond 0\.5"):
        rnn.clamp_()
