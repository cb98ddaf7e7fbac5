"""The two that act: chosen by motion, each in one slot from beginning to end."""

import numpy as np
import torch
from skeleton_files import walk

from workbench.tasks.skeletons.features import FEATURES, LINES, distances
from workbench.tasks.skeletons.ntu_file import REACH, actors, motion


def still(frames, at=(1.0, 0.0, 2.0), seed=9):
    return walk(frames, seed, speed=0.0, at=at)


def stack(*bodies):
    return np.stack(bodies, 1)


def test_the_two_that_move_most_stay_the_most_moving_first():
    chair, slow, fast = still(6), walk(6, 1, speed=0.02), walk(6, 2, speed=0.05)
    np.testing.assert_array_equal(actors(stack(chair, slow, fast)), stack(fast, slow))


def test_the_order_of_the_bodies_in_the_file_changes_nothing():
    bodies = stack(still(6), walk(6, 1, speed=0.02), walk(6, 2, speed=0.05, at=(2, 0, 3)))
    np.testing.assert_array_equal(actors(bodies[:, [2, 0, 1]]), actors(bodies))


def test_the_second_slot_is_zero_where_there_is_no_second():
    body = walk(4)
    got = actors(stack(body))
    np.testing.assert_array_equal(got, stack(body, 0 * body))


def test_frames_in_which_nobody_is_seen_are_left_out():
    body = walk(6)
    body[[0, 3]] = 0
    np.testing.assert_array_equal(actors(stack(body))[:, 0], body[[1, 2, 4, 5]])
    assert actors(np.zeros((3, 0, 25, 3), np.float32)).shape == (0, 2, 25, 3)
    assert actors(np.zeros((3, 2, 25, 3), np.float32)).shape == (0, 2, 25, 3)


def test_a_body_found_again_under_another_id_keeps_its_slot():
    fast, slow = walk(8, 2, speed=0.05), walk(8, 1, speed=0.02, at=(3.0, 0, 3))
    before, after = fast.copy(), fast.copy()
    before[4:], after[:5] = 0, 0  # lost in one frame
    whole = fast.copy()
    whole[4] = 0
    np.testing.assert_array_equal(actors(stack(before, slow, after)), stack(whole, slow))


def test_a_body_found_out_of_reach_is_another_one():
    before, after = walk(8, 2), walk(8, 2) + np.float32([REACH + 0.2, 0, 0])
    before[4:], after[:4] = 0, 0
    assert actors(stack(before, after)).any((2, 3)).tolist() == [[True, False]] * 4 + [[False, True]] * 4


def test_two_seen_at_once_are_never_joined():
    a, b = walk(6, 1), walk(6, 1) + np.float32([0.1, 0, 0])
    b[:2] = 0
    got = actors(stack(a, b))
    assert got.any((2, 3)).sum() == 6 + 4


def test_motion_counts_the_frames_that_are_there():
    body = np.zeros((4, 25, 3), np.float32)
    body[1:3, :, 0] = [[1.0] * 25, [3.0] * 25]
    assert motion(body) == 2 * 25  # each joint is 1 m from its mean, twice
    assert motion(0 * body) == 0.0


def test_there_are_897_distances_a_body():
    assert (len(LINES), len(set(LINES)), FEATURES) == (39, 39, 897)
    assert distances(torch.zeros(2, 3, 25, 3)).shape == (2, 3, 897)
    assert not distances(torch.zeros(1, 25, 3)).any()


def test_a_distance_from_a_line_is_the_exact_one():
    x = torch.zeros(25, 3)
    x[3], x[2] = torch.tensor([0.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 2.0])  # the first line is 4-3: along z
    x[0], x[24] = torch.tensor([3.0, 4.0, 7.0]), torch.tensor([0.0, 0.0, 5.0])
    assert LINES[0] == (3, 2)
    got = distances(x)[:23]
    assert (got[0].item(), got[-1].item()) == (5.0, 0.0)


def test_distances_equal_those_by_herons_formula(rng):
    """As the official reader computes them, in double precision."""
    x = torch.randn(4, 25, 3, generator=rng, dtype=torch.float64)
    expected = []
    for a, b in LINES:
        for j in (j for j in range(25) if j not in (a, b)):
            sides = [(x[:, p] - x[:, q]).norm(dim=-1) for p, q in ((a, b), (j, a), (j, b))]
            half = sum(sides) / 2
            area = (half * (half - sides[0]) * (half - sides[1]) * (half - sides[2])).sqrt()
            expected.append(2 * area / sides[0])
    torch.testing.assert_close(distances(x), torch.stack(expected, -1))


def test_turning_a_body_changes_no_distance(rng):
    x = torch.randn(25, 3, generator=rng, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=rng, dtype=torch.float64))[0]
    torch.testing.assert_close(distances(x @ turn.T), distances(x))
