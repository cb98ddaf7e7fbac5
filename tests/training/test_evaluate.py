"""Scores: each example once, whatever the batches; statistics as the protocol asks."""

import math

import pytest
import torch
from torch.testing import assert_close

from workbench.config import Model
from workbench.models.build import build
from workbench.models.norms import BatchNorm
from workbench.tasks import Batch, Spec
from workbench.training import dynamic_evaluation, evaluate
from workbench.training.gradients import gradient_map


@pytest.fixture
def net(rng):
    return build(Model(kind="plain", depth=2, hidden=4, norm="after", dropout=0.5), Spec(1, 3, 5, "class"), rng)


@pytest.fixture
def examples(rng):
    return Batch(torch.randn(5, 100, 1, generator=rng), torch.randint(3, (100,), generator=rng))


def split(batch, size):
    return [Batch(x, y) for x, y in zip(batch.x.split(size, 1), batch.y.split(size), strict=True)]


@pytest.mark.parametrize("size", [1, 7, 32, 100])
def test_a_score_counts_each_example_once_however_it_is_cut(net, examples, size):
    whole = evaluate.score(net, [examples], "class")
    cut = evaluate.score(net, split(examples, size), "class")
    assert cut["n"] == whole["n"] == 100
    assert cut["accuracy"] == whole["accuracy"]
    assert cut["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    right = (net.eval()(examples.x).argmax(-1) == examples.y).sum().item()
    assert whole["accuracy"] == right / 100


def test_an_example_that_is_not_finite_spoils_no_stored_statistics(net, examples):
    """On the way to divergence: momentum 0 times infinity is not 0, and a checkpoint must be finite."""
    stored = [b.clone() for b in net.buffers()]
    examples.x[2, 7] = math.inf
    assert not math.isfinite(evaluate.score(net, [examples], "class", batch_statistics=True)["loss"])
    gradient_map(net, examples, "class")
    for b, before in zip(net.buffers(), stored, strict=True):
        if b.is_floating_point():
            assert torch.equal(b, before)


def test_batch_statistics_are_those_of_the_batch_and_leave_the_stored_ones(net, examples):
    stored = [b.clone() for b in net.buffers()]
    score = evaluate.score(net, [examples], "class", batch_statistics=True)
    for b, before in zip(net.buffers(), stored, strict=True):
        if b.is_floating_point():
            assert torch.equal(b, before)
    evaluate.reestimate_(net, [examples])
    # the stored variance is the unbiased one, over 500 values: the difference is a thousandth
    assert evaluate.score(net, [examples], "class")["loss"] == pytest.approx(score["loss"], rel=1e-2)
    assert net.training


def test_reestimation_averages_the_batches(net, examples):
    halves = split(examples, 50)
    evaluate.reestimate_(net, halves)
    first = net.layers[0]
    with torch.no_grad():
        means = [torch.relu(_states(first, half.x)).mean((0, 1)) for half in halves]
    assert_close(first.bn.running_mean, (means[0] + means[1]) / 2)
    assert first.bn.momentum == 0.1
    evaluate.reestimate_(net, halves[:1], momentum=0.2)  # which goes on from there
    assert_close(first.bn.running_mean, 0.8 * (means[0] + means[1]) / 2 + 0.2 * means[0])


def _states(unit, x):
    from workbench import recur

    return recur(unit.fc(x), unit.u)


def test_mean_squared_error():
    class One(torch.nn.Linear):
        def forward(self, x):
            return torch.ones(x.shape[1], 1) + 0 * self.weight.sum()

    batch = Batch(torch.zeros(3, 4, 1), torch.tensor([0.0, 1, 2, 4]))
    score = evaluate.score(One(1, 1), split(batch, 3), "real")
    assert score == {"mse": pytest.approx((1 + 0 + 1 + 9) / 4, rel=1e-7), "n": 4}


def test_a_number_at_each_step_is_scored_where_one_is_asked_for():
    class Steps(torch.nn.Linear):
        def forward(self, x):
            return x + 0 * self.weight.sum()

    x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    y = torch.tensor([[1.0, math.nan], [0.0, 6.0], [math.nan, math.nan]])
    score = evaluate.score(Steps(1, 1), [Batch(x.unsqueeze(-1), y)], "real")
    assert score == {"mse": pytest.approx((0 + 9 + 4) / 3, rel=1e-7), "n": 3}


def test_an_answer_that_is_no_number_is_not_right():
    class Nan(torch.nn.Linear):
        def forward(self, x):
            return x.mean(0) * torch.tensor([[0.0, 1.0, 2.0]]) + 0 * self.weight.sum()

    x = torch.tensor([1.0, math.nan, math.inf, 1.0]).view(1, 4, 1)
    score = evaluate.score(Nan(1, 1), [Batch(x, torch.tensor([2, 0, 0, 0]))], "class")
    assert (score["accuracy"], score["n"]) == (0.25, 4)


class Counting(torch.nn.Linear):
    """A language net of three tokens that remembers how many it has read since the state was zero."""

    def forward(self, x, state, start):
        read = 0 if state is None else int(state[0])
        assert read == start
        logits = torch.zeros(*x.shape, 3) + 0 * self.weight.sum()
        logits[..., 0] = math.log(2)  # probabilities 1/2, 1/4, 1/4
        return logits, [torch.tensor(read + len(x))]


def test_tokens_are_scored_with_the_state_carried_and_the_padding_left_out():
    first = Batch(torch.zeros(4, 2, dtype=torch.int64), torch.tensor([[0, 0], [1, 0], [2, 1], [0, 0]]))
    second = Batch(torch.zeros(2, 2, dtype=torch.int64), torch.tensor([[1, -1], [0, -1]]), start=4)
    score = evaluate.score(Counting(1, 1), [first, second], "token")
    bits = (6 * 1 + 4 * 2) / 10  # six zeros at one bit, four others at two
    assert score["n"] == 10
    assert score["bpc"] == pytest.approx(bits, rel=1e-6)
    assert score["perplexity"] == pytest.approx(2**bits, rel=1e-6)
    assert evaluate.selection(score, "token") == score["loss"]


def test_samplings_of_one_example_are_averaged_before_they_are_judged():
    class Says(torch.nn.Linear):
        def forward(self, x):
            return x[-1]

    logits = torch.tensor([[[3.0, 0], [0, 1.0], [1.0, 0], [0, 2.0]]])  # (T = 1, B = 2 x 2, outputs)
    score = evaluate.score(Says(1, 1), [Batch(logits, torch.tensor([0, 1]), samplings=2)], "class")
    assert (score["accuracy"], score["n"]) == (1.0, 2)  # averages (1.5, 0.5) and (0.5, 1)


def test_lengths_reach_the_net():
    class Ends(torch.nn.Linear):
        def forward(self, x, lengths):
            return x.gather(0, (lengths - 1).view(1, -1, 1).expand(1, -1, x.shape[2]))[0]

    x = torch.zeros(3, 2, 2)
    x[0, 0, 1] = x[2, 1, 1] = 1  # read at 1 and at 3 steps, both say class 1
    score = evaluate.score(Ends(1, 1), [Batch(x, torch.tensor([1, 1]), lengths=torch.tensor([1, 3]))], "class")
    assert score["accuracy"] == 1


def test_a_wrapped_test_counts_its_first_examples_twice(net, examples):
    """The official MNIST code: 313 batches of 32 are 10,016 images, of which 16 are seen again."""
    wrapped = list(evaluate.wrapped(split(examples, 32), 32))
    assert [len(batch.y) for batch in wrapped] == [32] * 4
    first = Batch(examples.x[:, :28], examples.y[:28])
    once, again, both = (evaluate.score(net, batches, "class") for batches in ([examples], [first], wrapped))
    assert both["n"] == 128
    assert both["accuracy"] * 128 == pytest.approx(once["accuracy"] * 100 + again["accuracy"] * 28)


def test_a_wrapped_test_of_fewer_than_a_batch_goes_round_more_than_once(examples):
    (only,) = evaluate.wrapped([Batch(examples.x[:, :2], examples.y[:2])], 5)
    assert only.y.tolist() == [*examples.y[:2].tolist()] * 2 + [examples.y[0].item()]


def test_a_batch_without_a_target_that_counts_changes_no_score(net, examples):
    empty = Batch(examples.x[:, :0], examples.y[:0])
    assert evaluate.score(net, [examples, empty], "class") == evaluate.score(net, [examples], "class")


@pytest.mark.parametrize(("dropout", "training"), [(0, True), (0.5, False)])
def test_torchs_recurrences_can_be_differentiated_in_evaluation_mode(dropout, training, examples):
    """On a GPU theirs is cuDNN's backward pass, which knows training mode alone."""
    net, modes = torch.nn.LSTM(1, 3, 2, dropout=dropout), []
    net.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    for gradients in (torch.enable_grad(), torch.no_grad()):
        with gradients, evaluate.evaluating(net):
            net(examples.x)
    assert modes == [training, False]
    assert net.training


def test_a_layer_that_was_frozen_in_evaluation_mode_stays_so(net, examples):
    """The mode of the whole once went to every part."""
    net.train()
    frozen = next(m for m in net.modules() if isinstance(m, BatchNorm)).eval()
    before = [m.training for m in net.modules()]
    evaluate.score(net, [examples], "class", batch_statistics=True)
    evaluate.reestimate_(net, [examples])
    gradient_map(net, examples, "class")
    with dynamic_evaluation._trained(net):
        assert not any(m.training for m in net.modules())
    assert [m.training for m in net.modules()] == before
    assert not frozen.training
    assert frozen.momentum == 0.1
