"""Language nets against the official numbers: three chunks of one stream, state and statistics carried over."""

import pytest
import torch
from torch.testing import assert_close

from workbench.config import Model
from workbench.models.build import build, recurrent_weights, set_backend
from workbench.tasks import Spec
from workbench.training import evaluate

from . import twins
from .test_twins import ENGINES, remember
from .twins import EXACT, arrays, of

LANGUAGE = {"embedding": 6, "norm": "before", "norm_over": "step", "freeze_last_token": True}
NETS = {
    "ptb_plain": Model(kind="plain", depth=2, hidden=8, **LANGUAGE),
    "ptb_residual": Model(kind="residual", depth=2, hidden=8, **LANGUAGE),
    "ptb_dense": Model(kind="dense", growth=4, blocks=(2, 2, 1), **LANGUAGE),
}
CHUNKS = ("chunk0.", "chunk1.", "chunk2.")
OUTSIDE = ("embedding.", "decoder.")


def ours(name):
    """The trunk: all between embedding and decoder."""
    return name if name.startswith(OUTSIDE) else f"trunk.{twins.ours(name)}"


def net_with(twin, name, backend="torch"):
    net = build(NETS[name], Spec(11, 11, int(twin["stats_T"]), "token")).double()
    set_backend(net, backend)
    parameters = of(twin, "param.", ours)
    assert parameters.keys() == dict(net.named_parameters()).keys()
    net.load_state_dict(net.state_dict() | parameters)
    return net


def carried(twin, prefix, net):
    """A file's states in our net's order."""
    states = of(twin, prefix, ours)
    return [states[name] for name in recurrent_weights(net)]


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("name", NETS)
def test_three_chunks_give_the_official_numbers(name, backend):
    twin = arrays(name)
    net = net_with(twin, name, backend).train()
    states = remember(net)
    state = None
    for chunk in CHUNKS:
        given = state and [h.requires_grad_() for h in state]
        net.zero_grad()
        output, left = net(twin[f"{chunk}input"], given, int(twin[f"{chunk}start"]))
        loss = evaluate.loss_of(output, twin[f"{chunk}target"], "token")
        loss.backward()
        assert_close(output.detach(), twin[f"{chunk}output_train"], **EXACT)
        assert_close(loss.detach(), twin[f"{chunk}loss"], **EXACT)
        for key, expected in of(twin, f"{chunk}h.", ours).items():
            assert_close(states[key].float(), expected, rtol=1e-5, atol=1e-6)
        for key, expected in of(twin, f"{chunk}grad.", ours).items():
            assert_close(net.get_parameter(key).grad, expected, **EXACT)
        statistics = of(twin, f"{chunk}stats.", ours)
        assert len(statistics) == 2 * len(left) + 2
        for key, expected in statistics.items():
            assert_close(net.state_dict()[key], expected, **EXACT)
        state = [h.detach() for h in left]
        for ours_, expected in zip(state, carried(twin, f"{chunk}state_out.", net), strict=True):
            assert_close(ours_, expected, **EXACT)
        if given is not None:
            for h, expected in zip(given, carried(twin, f"{chunk}grad_state_in.", net), strict=True):
                assert_close(h.grad, expected, **EXACT)


@pytest.mark.parametrize("name", NETS)
def test_the_gradient_reaches_the_state_before_the_first_chunk(name):
    twin = arrays(name)
    if not of(twin, "chunk0.grad_state_in."):
        return  # the official dense net could be run without a given state only
    net = net_with(twin, name).train()
    zero = [torch.zeros_like(h).requires_grad_() for h in carried(twin, "chunk0.state_out.", net)]
    output, _ = net(twin["chunk0.input"], zero)
    evaluate.loss_of(output, twin["chunk0.target"], "token").backward()
    for h, expected in zip(zero, carried(twin, "chunk0.grad_state_in.", net), strict=True):
        assert_close(h.grad, expected, **EXACT)


@pytest.mark.parametrize("name", NETS)
@torch.no_grad()
def test_stored_statistics_give_the_official_scores(name):
    twin = arrays(name)
    net, state = net_with(twin, name), None
    net.load_state_dict(net.state_dict() | of(twin, "chunk2.stats.", ours))
    for chunk in CHUNKS:
        output, state = net.eval()(twin[f"{chunk}input"], state, int(twin[f"{chunk}start"]))
        assert_close(output, twin[f"{chunk}output_eval"], **EXACT)
        assert_close(evaluate.loss_of(output, twin[f"{chunk}target"], "token"), twin[f"{chunk}loss_eval"], **EXACT)
        for h, expected in zip(state, carried(twin, f"{chunk}state_out_eval.", net), strict=True):
            assert_close(h, expected, **EXACT)


@pytest.mark.parametrize(("frozen", "key"), [(True, "grad"), (False, "grad_full")])
def test_the_last_token_learns_from_the_lookup_unless_it_is_frozen(frozen, key):
    twin = arrays("ptb_plain")
    net = net_with(twin, "ptb_plain").train()
    if not frozen:
        net.embedding.padding_idx = None
    output, _ = net(twin["lastindex.input"])
    loss = evaluate.loss_of(output, twin["lastindex.target"], "token")
    loss.backward()
    assert_close(output.detach(), twin["lastindex.output_train"], **EXACT)
    assert_close(net.embedding.weight.grad, twin[f"lastindex.{key}.embedding.weight"], **EXACT)


@pytest.mark.parametrize("name", NETS)
def test_float32_stays_within_what_the_official_code_itself_keeps(name):
    twin = arrays(name)
    net = net_with(twin, name, "auto").float().train()
    output, _ = net(twin["chunk0.input"])
    evaluate.loss_of(output, twin["chunk0.target"], "token").backward()
    for key, value in of(twin, "chunk0.grad.", ours).items():
        tolerance = 1e-5 + 1e-4 * value.abs().max().item()
        assert_close(net.get_parameter(key).grad.double(), value, rtol=0, atol=tolerance)
