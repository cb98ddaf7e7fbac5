"""The bidirectional net: its twin, its laws, and nets that answer at every step."""

import pytest
import torch
from torch.testing import assert_close

import workbench as wb
from workbench.config import Model
from workbench.errors import ParameterError
from workbench.models.build import build, count, recurrent_weights, set_backend
from workbench.seeds import generator
from workbench.tasks import Batch, Spec
from workbench.training import evaluate

SPEC, EACH = Spec(3, 4, 9, "class"), Spec(3, 4, 9, "class", each_step=True)
KINDS = ["bidirectional", "plain", "residual", "dense", "lstm", "mingru", "transformer"]


def net_of(kind="bidirectional", spec=SPEC, **settings):
    sizes = {"growth": 2, "blocks": (2, 1)} if kind == "dense" else {"hidden": 4, "depth": 2}
    net = build(Model(kind=kind, **sizes, **settings), spec, generator(0, "init")).double()
    set_backend(net, "torch")
    return net


def text(rng, T=9, B=4):
    return torch.randn(T, B, 3, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("lengths", [None, torch.tensor([9, 1, 4, 7])])
def test_it_is_the_bidirectional_layer_read_where_each_way_ends(lengths, rng):
    net, x = net_of(), text(rng)
    layer = wb.IndRNN(3, 4, 2, bidirectional=True, backend="torch").double()
    with torch.no_grad():
        for index, pair in enumerate(net.layers):
            for unit, suffix in zip(pair, ("", "_reverse"), strict=True):
                getattr(layer, f"weight_ih_l{index}{suffix}").copy_(unit.fc.weight)
                getattr(layer, f"bias_l{index}{suffix}").copy_(unit.fc.bias)
                getattr(layer, f"u_l{index}{suffix}").copy_(unit.u)
    out, h_n = layer(x, lengths=lengths)
    assert_close(net(x, lengths), net.readout(torch.cat([h_n[-2], h_n[-1]], -1)))
    each = net_of(spec=EACH)
    each.load_state_dict(net.state_dict())
    answers, ends = each(x, lengths), torch.tensor([9] * 4) if lengths is None else lengths
    real = torch.arange(9)[:, None] < ends
    assert_close(answers[real], net.readout(out)[real])


def test_it_has_twice_the_neurons_each_with_a_u_of_its_own():
    net = net_of(norm="after", gamma=2.0)
    assert count(net) == 2 * (4 * (3 + 1 + 1 + 2)) + 2 * (4 * (8 + 1 + 1 + 2)) + 4 * (8 + 1)
    assert len(recurrent_weights(net)) == 4


def test_a_language_net_must_not_read_ahead():
    with pytest.raises(ParameterError, match="must not read ahead"):
        build(Model(kind="bidirectional", embedding=4), Spec(5, 5, 9, "token"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_net_that_answers_at_every_step_answers_last_as_one_that_answers_once(kind, rng):
    x, lengths = text(rng), torch.tensor([9, 2, 4, 7])
    once, each = net_of(kind).eval(), net_of(kind, EACH).eval()
    answers = each(x, lengths)
    assert answers.shape == (9, 4, 4)
    if kind != "bidirectional":  # whose ways end at different steps
        assert_close(answers[lengths - 1, torch.arange(4)], once(x, lengths))


@pytest.mark.parametrize("target", ["class", "real"])
def test_what_is_asked_of_each_step_is_a_mean_over_real_steps(target, rng):
    spec = Spec(3, 4 if target == "class" else 1, 9, target, each_step=True)
    net, x, lengths = net_of(spec=spec).eval(), text(rng), torch.tensor([9, 2, 4, 7])
    real = torch.arange(9)[:, None] < lengths
    y = torch.randint(4, (9, 4), generator=rng) if target == "class" else text(rng)[..., 0]
    padded = y.masked_fill(~real, -1 if target == "class" else torch.nan)
    scores = evaluate.score(net, [Batch(x, padded, lengths)], target)
    out = net(x, lengths)[real]
    assert scores["n"] == 22
    if target == "class":
        assert scores["accuracy"] == (out.argmax(-1) == y[real]).sum().item() / 22
        assert scores["loss"] == pytest.approx(torch.nn.functional.cross_entropy(out, y[real]).item())
    else:
        assert scores["mse"] == pytest.approx((out[:, 0] - y[real]).square().mean().item())
    halves = [Batch(x[:, b], padded[:, b], lengths[b]) for b in (slice(0, 1), slice(1, 4))]
    cut = evaluate.score(net, halves, target)
    assert cut == pytest.approx(scores)
