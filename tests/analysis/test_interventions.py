"""The probes find what the mathematics says, and a probed net is left as it was."""

import time

import pytest
import torch
from torch.testing import assert_close

from workbench.analysis import interventions, statistics
from workbench.config import Model, Pixels, Treebank
from workbench.errors import ParameterError
from workbench.models.build import build
from workbench.tasks import Batch, spec
from workbench.training import evaluate

SPEC = spec(Pixels(name="pixels", source="digits"))


def a_net(kind="plain", **fields):
    settings = {"kind": kind, "hidden": 6, "depth": 3, **fields}
    if kind == "sums":
        settings |= {"kind": "residual", "shortcut": "sum"}
    if kind == "dense":
        settings = {"kind": kind, "growth": 3, "blocks": (2,), "norm": "after"}
    return build(Model.model_validate(settings), SPEC, torch.Generator().manual_seed(1)).eval()


def a_language_net(length):
    fields = {"kind": "plain", "hidden": 6, "depth": 2, "embedding": 4}
    text = Treebank(name="treebank", unit="char", length=length)
    net = build(Model.model_validate(fields), spec(text), torch.Generator().manual_seed(1)).eval().double()
    with torch.no_grad():
        net.embedding.weight.mul_(50)  # it starts so small that it says nothing
    return net


def a_batch(rng, count=4):
    return Batch(torch.randn(12, count, 1, generator=rng), torch.arange(count))


def test_the_gradient_of_neurons_that_stay_on_is_u_to_the_k():
    us = [0.9, 1.0, 1.01]
    expected = torch.tensor(us, dtype=torch.float64) ** torch.arange(51, dtype=torch.float64)[:, None]
    assert_close(interventions.through_time(us, 50), expected)


def test_of_a_neuron_that_alternates_the_size_of_the_gradient_is_shown():
    """a is 1 and u above -1, so it stays on, and its gradient (-0.5)^k is shown as 0.5^k."""
    assert_close(interventions.through_time([-0.5], 20)[:, 0], 0.5 ** torch.arange(21, dtype=torch.float64))


@pytest.mark.parametrize("kind", ["plain", "residual", "sums", "dense", "lstm", "rnn_tanh"])
def test_a_gradient_map_has_every_layer_and_step_and_changes_nothing(kind, rng):
    net, batch = a_net(kind), a_batch(rng)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    began = time.perf_counter()
    gradient, seconds = interventions.gradient_map(net, batch, "class")
    assert gradient.shape == (len(interventions.recurrent(net)), 12)
    assert 0 < seconds < time.perf_counter() - began
    assert bool((gradient[-1, :-1] == 0).all()), "the last layer is read at the last step alone"
    assert gradient[-1, -1] > 0
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_frozen_layer_and_weights_without_use_change_no_gradient_map(rng):
    net, batch = a_net(), a_batch(rng)
    whole, _ = interventions.gradient_map(net, batch, "class")
    net.layers[0].requires_grad_(False)
    net.spare = torch.nn.Linear(2, 2)
    assert torch.equal(interventions.gradient_map(net, batch, "class")[0], whole)


def test_a_gradient_map_is_the_derivative_by_differences(rng):
    """Without norm: shifting one state by a little changes the loss by the gradient times the shift."""
    net, batch = a_net(depth=1).double(), a_batch(rng, 1)
    batch = Batch(batch.x.double(), batch.y)
    gradient, _ = interventions.gradient_map(net, batch, "class")
    unit = interventions.unit_of(net, 0)

    def loss(shift):
        hook = unit.register_forward_hook(lambda module, inputs, h: h + shift)
        try:
            return torch.nn.functional.cross_entropy(net(batch.x), batch.y)
        finally:
            hook.remove()

    parts = []
    for i in range(6):
        shift = torch.zeros(12, 1, 6, dtype=torch.float64)
        shift[-1, 0, i] = 1e-6
        parts.append((loss(shift) - loss(-shift)) / 2e-6)
    assert_close(torch.stack(parts).norm(), gradient[0, -1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("kind", "layer"), [("plain", 1), ("sums", 1), ("sums", 2)])
def test_states_are_those_of_the_equation(kind, layer, rng):
    net, x = a_net(kind), a_batch(rng).x
    a, h = interventions.states(net, x, layer)
    u = interventions.unit_of(net, layer).u
    state = torch.zeros_like(h[0])
    for t in range(len(a)):
        state = torch.relu(a[t] + u * state)
        assert_close(h[t], state)


def test_an_edit_holds_inside_and_is_gone_outside(rng):
    net, x = a_net(), a_batch(rng).x
    with torch.no_grad():
        whole = net(x)
        kept = interventions.unit_of(net, 1).u[2].item()
        with interventions.edited(net, 1, 2, u=0.5):
            assert interventions.unit_of(net, 1).u[2] == 0.5
        with pytest.raises(RuntimeError), interventions.edited(net, 1, 2, u=0.5):
            raise RuntimeError
        assert interventions.unit_of(net, 1).u[2].item() == kept
        assert torch.equal(net(x), whole)


@pytest.mark.parametrize("silent", [(), (2,), (0, 2, 5), tuple(range(6))])
def test_silenced_neurons_have_no_part_in_what_follows(silent, rng):
    """As if the weights that read them were 0."""
    net, x = a_net(), a_batch(rng).x
    with torch.no_grad():
        with interventions.silenced(net, 1, silent):
            hushed = net(x)
        interventions.unit_of(net, 2).fc.weight[:, list(silent)] = 0
        assert_close(net(x), hushed)


def test_what_silencing_each_neuron_changes_is_what_each_silence_changes(rng):
    net, batch = a_net(), a_batch(rng, 9)
    before = interventions.answers(net, batch, "class")
    found = list(interventions.silencing(net, batch, "class", 1))
    assert len(found) == 6
    for neuron, change in enumerate(found):
        with interventions.silenced(net, 1, [neuron]):
            after = interventions.answers(net, batch, "class")
        assert change.mean == pytest.approx(float((after - before).mean()))
        assert change == interventions.change(before, after, "class")
    assert torch.equal(interventions.answers(net, batch, "class"), before)


@pytest.mark.parametrize(("target", "score"), [("class", "accuracy"), ("real", "mse"), ("token", "bpc")])
def test_answers_are_the_score_example_by_example(target, score, rng):
    net, batch = a_net(), a_batch(rng, 9)
    if target == "real":
        net, batch = torch.nn.Sequential(net, torch.nn.Linear(10, 1)), Batch(batch.x, torch.randn(9, generator=rng))
    if target == "token":
        text = torch.randint(50, (13, 9), generator=rng)
        net, batch = a_language_net(12), Batch(text[:-1], text[1:])
    answers = interventions.answers(net, batch, target)
    assert answers.shape == (9,)
    whole = interventions.evaluate.score(net, [batch], target)[score]
    assert float(answers.mean()) == pytest.approx(whole, rel=1e-6)
    batch = Batch(batch.x[:, 4:5], batch.y[..., 4:5])
    assert float(answers[4]) == pytest.approx(interventions.evaluate.score(net, [batch], target)[score], rel=1e-5)


def test_a_change_of_right_answers_is_matched_and_of_errors_a_mean():
    before, after = torch.tensor([1.0, 1, 0, 1]), torch.tensor([0.0, 1, 1, 0])
    assert interventions.change(before, after, "class") == statistics.matched(2, 1, 4)
    for target in ("real", "token"):
        assert interventions.change(before, after, target) == statistics.mean([-1.0, 0.0, 1.0, -1.0])


def test_the_answer_as_it_forms_is_the_answer_had_the_sequence_ended_there(rng):
    net, x = a_net(), a_batch(rng).x
    logits, features = interventions.forming(net, x)
    for end in (1, 5, 12):
        with torch.no_grad():
            assert_close(logits[end - 1], net(x[:end]))
    parts = interventions.shares(net, features, 3)
    assert_close(parts.sum(-1) + net.readout.bias[3].detach(), logits[..., 3])


def test_a_cut_holds_inside_and_is_gone_outside():
    net = a_net()
    before = [interventions.unit_of(net, layer).u.clone() for layer in range(3)]
    with interventions.cut(net, 0.5):
        assert max(interventions.unit_of(net, layer).u.detach().abs().max() for layer in range(3)) == 0.5
    with pytest.raises(RuntimeError), interventions.cut(net, 0.5):
        raise RuntimeError
    assert all(torch.equal(interventions.unit_of(net, layer).u, u) for layer, u in enumerate(before))


def test_a_neuron_or_layer_that_is_not_there_is_refused():
    with pytest.raises(ParameterError, match="neuron: 6 received; 0 to 5"), interventions.edited(a_net(), 0, 6, None):
        pass
    with pytest.raises(ParameterError, match="layer: 3 received"):
        interventions.unit_of(a_net(), 3)


def test_contributions_add_up_to_the_answer_less_the_empty_one(rng):
    """The completeness of integrated gradients, up to the rule's error."""
    net = a_net().double()
    x = torch.rand(12, 1, 1, generator=rng, dtype=torch.float64)
    parts = interventions.contributions(net, x, -1.0, 3, points=2000)
    with torch.no_grad():
        whole = (net(x) - net(torch.full_like(x, -1.0)))[0, 3]
    assert_close(parts.sum(), whole, rtol=1e-3, atol=1e-5)


class Squares(torch.nn.Module):
    """x (T, B, 1) -> the sum over steps of (t + 1) x_t^2, (B, 1)."""

    def forward(self, x):
        return (torch.arange(1.0, len(x) + 1)[:, None] * x[..., 0].square()).sum(0, keepdim=True).T


@pytest.mark.parametrize("points", [1, 2, 32])
def test_contributions_are_read_in_the_middle_of_each_part_of_the_way(points):
    """There a gradient that changes in a line is summed exactly by any number of points, and at either end by none."""
    x = torch.tensor([3.0, -2.0, 5.0]).view(3, 1, 1)
    found = interventions.contributions(Squares(), x, -1.0, 0, points)
    assert_close(found, torch.tensor([1 * (9.0 - 1), 2 * (4 - 1), 3 * (25 - 1)]))


def test_contributions_of_tokens_add_up_to_the_score_less_that_of_an_empty_text(rng):
    net = a_language_net(12)
    tokens = torch.randint(0, 50, (12, 1), generator=rng)
    parts = interventions.contributions_of_tokens(net, tokens, 7, 3, points=2000)
    assert parts.shape == (12,)
    with torch.no_grad():
        whole = (net(tokens)[0] - net(torch.full_like(tokens, 7))[0])[-1, 0, 3]
    assert_close(parts.sum(), whole, rtol=1e-3, atol=1e-6)
    assert whole.abs() > 1e-4


def test_dependences_are_the_contributions_to_what_is_expected_after_each_token(rng):
    net = a_language_net(9)
    tokens = torch.randint(0, 50, (9, 1), generator=rng)
    found = interventions.dependences(net, tokens, 7, points=3)
    assert found.shape == (9, 9)
    assert float(found.triu(1).abs().max()) == 0, "what comes later adds nothing"
    with torch.no_grad():
        best = net(tokens)[0][:, 0].argmax(-1)
    for end in (1, 4, 9):
        alone = interventions.contributions_of_tokens(net, tokens[:end], 7, int(best[end - 1]), points=3)
        assert_close(found[end - 1, :end], alone)
    assert float(found.abs().max()) > 1e-4


def test_a_net_cut_to_nothing_lives_in_the_present_alone(rng):
    """With every |u| at 0 the answer depends on the last input only."""
    net, batch = a_net(), a_batch(rng)
    other = Batch(torch.cat([torch.randn(11, 4, 1, generator=rng), batch.x[-1:]]), batch.y)
    scores = {}
    for bound in (0.0, 1.0):
        with interventions.cut(net, bound):
            scores[bound] = [evaluate.score(net, [each], "class") for each in (batch, other)]
    assert_close(scores[0.0][1], scores[0.0][0])
    assert scores[1.0][0]["loss"] != scores[1.0][1]["loss"]
