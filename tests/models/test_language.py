"""Language nets of every kind: a text may be cut anywhere; embedding, dropouts and decoder."""

import pytest
import torch
from torch.testing import assert_close

from workbench.config import Model
from workbench.errors import ParameterError
from workbench.models.build import build, clamp_, count_of, recurrent_weights, set_backend, set_generator
from workbench.models.layer import Head, SharedDropout
from workbench.models.norms import BatchNorm, StepNorm
from workbench.seeds import generator
from workbench.tasks import Spec

SPEC, F64 = Spec(11, 11, 20, "token"), torch.float64
STEP = {"norm": "before", "norm_over": "step"}
NETS = {
    "plain": {"kind": "plain", "depth": 2, "hidden": 5},
    "residual": {"kind": "residual", "depth": 2, "hidden": 5},
    "sums": {"kind": "residual", "depth": 2, "hidden": 5, "shortcut": "sum"},
    "dense": {"kind": "dense", "growth": 2, "blocks": (2, 1)},
    "differences": {"kind": "dense", "growth": 2, "blocks": (2, 1), "differences": True},
}
OTHERS = {
    kind: {"kind": kind, "depth": 2, "hidden": 5}
    for kind in ("lstm", "gru", "rnn_tanh", "irnn", "sru", "lru", "mingru", "s5")
}
ALL = {**NETS, **OTHERS, "transformer": {"kind": "transformer", "hidden": 8}}


def net_of(name, **settings):
    net = build(Model(**ALL[name], **{"embedding": 6} | settings), SPEC, generator(0, "init")).double()
    set_backend(net, "torch")
    return net


def text(rng, T=12, B=3):
    return torch.randint(11, (T, B), generator=rng)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_every_kind_speaks_at_every_step(name, tied, rng):
    net, tokens = net_of(name, tied=tied), text(rng)
    logits, state = net(tokens)
    assert logits.shape == (12, 3, 11)
    again, _ = net(tokens, state, 12)
    assert_close(again.shape, logits.shape)


@pytest.mark.parametrize("cut", [1, 5, 11])
@pytest.mark.parametrize("settings", [{}, STEP], ids=["none", "step"])
@pytest.mark.parametrize("name", [*NETS, *OTHERS])
def test_a_text_may_be_cut_anywhere(name, settings, cut, rng):
    if name in OTHERS and settings:
        settings = {"tied": False}
    net, tokens = net_of(name, **settings), text(rng)
    for module in net.modules():
        if isinstance(module, StepNorm):  # statistics that differ from row to row
            module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=rng))
    net.eval()
    whole, left = net(tokens)
    head, state = net(tokens[:cut])
    tail, state = net(tokens[cut:], state, cut)
    assert_close(torch.cat([head, tail]), whole, rtol=0, atol=1e-13)
    for a, b in zip(state, left, strict=True):
        assert_close(a, b, rtol=0, atol=1e-13)


@pytest.mark.parametrize("settings", [{}, STEP], ids=["none", "step"])
@pytest.mark.parametrize("name", NETS)
def test_no_step_looks_ahead(name, settings, rng):
    net, tokens = net_of(name, **settings).eval(), text(rng)
    other = tokens.clone()
    other[7:] = (other[7:] + 1) % 11
    assert_close(net(other)[0][:7], net(tokens)[0][:7], rtol=0, atol=0)


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_right(name, rng):
    net, tokens = net_of(name, activation="tanh", **STEP).train(), text(rng, T=3)
    names, values = zip(*net.named_parameters(), strict=True)
    state = [h.detach().requires_grad_() for h in net(tokens)[1]]

    def run(*inputs):
        parameters = dict(zip(names, inputs[len(state) :], strict=True))
        return torch.func.functional_call(net, parameters, (tokens, list(inputs[: len(state)]), 3))[0]

    assert torch.autograd.gradcheck(run, (*state, *values), fast_mode=True)


@pytest.mark.parametrize("name", NETS)
def test_states_are_copies_in_the_order_of_use(name, rng):
    """One a recurrence (differences have their own), each without the states of the other steps behind it."""
    net = net_of(name)
    state = net(text(rng))[1]
    assert all(h.untyped_storage().nbytes() == h.numel() * 8 for h in state)
    if name != "differences":
        assert [h.shape[1] for h in state] == [len(u) for u in recurrent_weights(net).values()]


def test_the_state_of_another_net_is_refused(rng):
    net, tokens = net_of("plain"), text(rng)
    state = net(tokens)[1]
    for wrong in (state[:-1], [*state, state[0]], [h[:, :2] for h in state]):
        with pytest.raises(ParameterError, match=r"state|h0"):
            net(tokens, wrong, 12)


@pytest.mark.parametrize("tokens", [torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), [[1, 2]]])
def test_tokens_are_whole_numbers_of_steps_and_texts(tokens):
    with pytest.raises(ParameterError, match=r"tokens: .* is needed"):
        net_of("plain")(tokens)


@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_a_net_that_gives_no_features_is_no_language_net(kind):
    with pytest.raises(ParameterError, match=f"model.kind: '{kind}' received; such a net gives a language net no feat"):
        build(Model(kind=kind, embedding=4), SPEC)


def test_a_language_net_needs_an_embedding():
    with pytest.raises(ParameterError, match="embedding: None received"):
        build(Model(kind="plain"), SPEC)


# --- the parts ---


def test_a_tied_decoder_is_the_embedding_with_a_bias_of_its_own(rng):
    net = net_of("plain")
    assert {"embedding.weight", "decoder.bias"} < dict(net.named_parameters()).keys()
    assert "decoder.weight" not in net.state_dict()
    seen = []
    net.trunk.head.register_forward_hook(lambda *given: seen.append(given[-1]))
    logits, _ = net(text(rng))
    assert_close(logits, seen[0] @ net.embedding.weight.T + net.decoder.bias)


def test_the_head_has_the_extra_norm_only_where_norm_stands_before():
    for norm, extra in (("before", True), ("after", False), ("none", False)):
        head = net_of("plain", norm=norm).trunk.head
        assert isinstance(head, Head)
        assert (head.extra_bn is not None) == extra
    gains = [m.weight[0].item() for m in net_of("dense", norm_gain=0.5, **STEP).modules() if isinstance(m, BatchNorm)]
    assert gains == [0.5] * (len(gains) - 1) + [1.0]


@pytest.mark.parametrize("kind", ["sums", "lstm"])
def test_a_trunk_of_another_width_is_fitted_to_the_embedding(kind):
    assert net_of(kind).fit.weight.shape == (6, 5)
    assert net_of(kind, embedding=5).fit is None
    assert net_of(kind, tied=False).fit is None


def test_first_values_of_the_embedding_are_the_official_ones():
    for tied, limit in ((True, 0.01), (False, 0.04)):
        net = net_of("plain", tied=tied, embedding=600)
        assert 0.99 * limit < net.embedding.weight.abs().max() <= limit
    assert 0.9 * 0.04 < net.decoder.weight.abs().max() <= 0.04
    assert not net.decoder.bias.any()


def test_the_first_dense_block_reads_the_embedding():
    """k = 256, embedding 600: 600, 2648, 1324, 2860, 1430, 2454, 600 features, 39 recurrences."""
    with torch.device("meta"):
        net = build(Model(kind="dense", growth=256, embedding=600, **STEP), SPEC)
    a, b, c = net.trunk.blocks
    widths = [a.layers[0].bottleneck.fc.in_features]
    for transition in (a.transition, b.transition, net.trunk.head):
        widths += [transition.fc.in_features, transition.u.numel()]
    assert widths == [600, 2648, 1324, 2860, 1430, 2454, 600]
    assert c.transition is None
    assert len(recurrent_weights(net)) == 39


def test_whole_rows_of_the_embedding_are_dropped_and_the_rest_is_rescaled(rng):
    net, tokens, seen = net_of("plain", dropout_words=0.5).train(), text(rng, T=40), []
    set_generator(net, torch.Generator().manual_seed(0))
    net.dropout_input.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net(tokens)
    scale = seen[0] / net.embedding.weight[tokens]  # (T, B, E)
    of_token = {token: scale[tokens == token].unique().tolist() for token in range(11)}
    assert all(values in ([0.0], [2.0]) for values in of_token.values())
    assert {value for values in of_token.values() for value in values} == {0.0, 2.0}


def test_the_embedded_text_is_dropped_alike_at_all_steps(rng):
    net, tokens, seen = net_of("plain", dropout_input=0.5).train(), text(rng), []
    net.dropout_input.register_forward_hook(lambda *given: seen.append(given[-1]))
    net(tokens)
    kept = seen[0] != 0
    assert_close(kept, kept[:1].expand(kept.shape))
    assert 0 < kept.sum() < kept.numel()


DROPOUT = {"dropout": 0.1, "dropout_last": 0.2, "dropout_head": 0.3}
PLACES = {
    "plain": (DROPOUT, [0.1, 0.2, 0.3]),
    "residual": (DROPOUT, [0.1] * 4 + [0.2, 0.3]),
    "sums": ({"dropout": 0.1, "dropout_last": 0.2}, [0.1] * 4 + [0.2]),
    "dense": ({"dropout": 0.1, "dropout_bottleneck": 0.2, "dropout_transition": 0.3, "dropout_last": 0.4},
              [0.2, 0.1, 0.2, 0.1, 0.3, 0.2, 0.1, 0.4]),
    "lstm": ({"dropout": 0.1, "dropout_last": 0.2}, [0.1, 0.2]),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_dropout_stands_in_its_places(name):
    settings, expected = PLACES[name]
    net = net_of(name, **settings)
    assert [m.p for m in net.trunk.modules() if isinstance(m, SharedDropout)] == expected


def test_the_head_drops_like_the_last_layer_unless_it_is_said():
    net = net_of("plain", dropout=0.1, dropout_last=0.2)
    assert [m.p for m in net.trunk.modules() if isinstance(m, SharedDropout)] == [0.1, 0.2, 0.2]


def test_u_of_a_language_net_is_bounded_everywhere():
    net = net_of("dense", u_max=0.99, **STEP)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith(".u"):
                p.fill_(2)
    clamp_(net)
    assert all((u == 0.99).all() for u in recurrent_weights(net).values())


def test_a_tied_matrix_counts_once():
    model = Model(kind="plain", hidden=5, embedding=6)
    assert count_of(model, SPEC) == 11 * 6 + (6 + 2) * 5 + (5 + 2) * 6 + 11
