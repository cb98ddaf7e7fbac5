"""Which frames are shown: a frame from each part, in order, and every frame has its chance."""

import pytest
import torch

from workbench.tasks.skeletons import features


def shown(n, steps=20, count=2000, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return features.frames(torch.full((count,), n), torch.full((count,), steps), features.draw(count, steps, rng))


@pytest.mark.parametrize("n", [40, 41, 59, 60, 125, 300])
def test_a_long_clip_shows_one_frame_of_each_part(n):
    got, part = shown(n), n // 20
    for step in range(19):
        assert set(got[:, step].tolist()) == set(range(part * step, part * (step + 1)))
    assert set(got[:, 19].tolist()) == set(range(part * 19, n))


@pytest.mark.parametrize("n", [21, 30, 39])
def test_a_middling_clip_shows_consecutive_frames(n):
    got = shown(n)
    assert bool((got.diff(dim=1) == 1).all())
    assert set(got[:, 0].tolist()) == set(range(n - 20 + 1))


@pytest.mark.parametrize("n", [1, 7, 15, 16, 19])
def test_a_short_clip_is_shown_whole_or_late_and_cut(n):
    got = shown(n)
    late = (got >= 0).int().argmax(1)
    assert set(late.tolist()) == set(range(max(20 - n, 5)))
    for row, first in zip(got[:200].tolist(), late.tolist(), strict=False):
        there = [frame for frame in row if frame >= 0]
        assert row[first : first + len(there)] == there == list(range(there[0], there[0] + len(there)))
        assert len(there) == min(n, 20 - first)


def test_a_clip_of_exactly_so_many_frames_loses_up_to_four():
    got = shown(20)
    assert set((got < 0).sum(1).tolist()) == {0, 1, 2, 3, 4}
    assert set(got.amax(1).tolist()) == {15, 16, 17, 18, 19}


def test_clips_of_every_length_and_number_of_steps_show_frames_they_have(rng):
    lengths, steps = torch.randint(1, 200, (5000,), generator=rng), torch.randint(2, 41, (5000,), generator=rng)
    got = features.frames(lengths, steps, features.draw(5000, 40, rng))
    assert got.shape == (5000, 40)
    assert bool((got < lengths[:, None]).all())
    assert bool((got >= -1).all())
    assert bool(((got >= 0).sum(1) <= steps).all())
    assert bool(((got >= 0).sum(1) >= 1).all())
    assert bool((got[torch.arange(40) >= steps[:, None]] == -1).all())


def test_random_lengths_are_normal_about_the_usual_one(rng):
    got = features.random_steps(20_000, 20, rng).double()
    assert got.min() >= 5
    assert got.max() <= 40
    assert abs(got.mean() - 19.5) < 0.15  # int() takes half a frame off
    assert abs(got.std() - 5) < 0.15


def test_a_length_that_is_outside_twice_is_the_usual_one(rng):
    """Around 3, drawings below 5 are outside: those outside twice become 3."""
    got = features.random_steps(20_000, 3, rng)
    assert set(got.tolist()) >= {3, 5, 6}
    assert not {4, 2, 1, 0} & set(got.tolist())
