"""Scores: each example once, whatever the batches; statistics as the protocol asks."""

import pytest
import torch
from torch.testing import assert_close

from workbench import evaluate
from workbench.config import Model
from workbench.models.build import build
from workbench.tasks import Batch, Spec


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
