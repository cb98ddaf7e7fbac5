"""The adding problem: what its sequences are, and that streams of the seed do not meet."""

import pytest
import torch

from workbench import tasks
from workbench.config import Adding

TASK = Adding(name="adding", length=10)


def task(seed=0, length=10):
    return tasks.load(Adding(name="adding", length=length), seed, 500)


@pytest.mark.parametrize("length", [2, 9, 10])
def test_one_mark_lies_in_each_half_and_the_target_is_their_sum(length):
    x, y, *_ = task(length=length).batch(0)
    assert x.shape == (length, 500, 2)
    marks = x[..., 1]
    assert torch.equal(marks[: length // 2].sum(0), torch.ones(500))
    assert torch.equal(marks[length // 2 :].sum(0), torch.ones(500))
    torch.testing.assert_close((x[..., 0] * marks).sum(0), y)


def test_marks_reach_every_step_and_numbers_fill_zero_to_one():
    x = task().batch(0).x
    assert (x[..., 1].sum(1) > 0).all()
    assert 0 <= x[..., 0].min() < 0.01
    assert 0.99 < x[..., 0].max() < 1


def test_always_answering_one_costs_a_sixth():
    y = torch.cat([batch.y for batch in task().examples("test", 500)])
    assert len(y) == 2000
    assert ((y - 1) ** 2).mean().item() == pytest.approx(1 / 6, abs=0.01)


def test_a_batch_depends_on_seed_step_and_stream_alone():
    first = task()
    assert torch.equal(first.batch(3).x, task().batch(3).x)
    others = [first.batch(4), task(seed=1).batch(3), first.clean(3), next(iter(first.examples("valid", 500)))]
    assert not any(torch.equal(first.batch(3).x, other.x) for other in others)
