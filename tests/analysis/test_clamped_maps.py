"""Clamped affine maps: composed by hand, against each other, and against the loop."""

import pytest
import torch
from torch.testing import assert_close

import workbench as wb
from workbench.analysis import clamped_maps, figures
from workbench.analysis.clamped_maps import Clamped


def one(*four):
    return Clamped(*(torch.tensor([float(v)], dtype=torch.float64) for v in four))


def test_two_maps_by_hand():
    """First 1 + 2h within 0 and 3, then 1 - h within -10 and 10: 0 -> 0; 1 -> -2; the ends 0 and 3 become -2 and 1."""
    both = one(-1, 1, -10, 10).after(one(2, 1, 0, 3))
    assert [float(v) for v in both] == [-2, 0, -2, 1]
    assert [float(both(torch.tensor([h]))) for h in (-5.0, 0.0, 1.0, 9.0)] == [1, 0, -2, -2]


def test_composition_is_associative(rng):
    f, g, h = (clamped_maps.draw(1000, rng) for _ in range(3))
    assert_close(tuple(h.after(g).after(f)), tuple(h.after(g.after(f))), rtol=0, atol=1e-12)


def test_drawn_maps_have_ordered_ends_and_slopes_of_both_signs(rng):
    drawn = clamped_maps.draw(1000, rng)
    assert (drawn.low <= drawn.high).all()
    assert (drawn.q < 0).any()
    assert (drawn.q > 0).any()
    assert 0 < clamped_maps.composition_error(1000, rng) < 1e-13


@pytest.mark.parametrize("T", [1, 2, 3, 64, 100])
def test_prefixes_are_the_loops_states(T, rng):
    a, u = torch.randn(T, 9, generator=rng, dtype=torch.float64), torch.linspace(-1, 1, 9, dtype=torch.float64)
    assert_close(clamped_maps.prefixes(a, u), wb.recur(a[:, None], u, backend="loop")[:, 0], rtol=0, atol=1e-12)


def test_without_chunks_a_weight_over_one_breaks_them_and_the_engine_stands(rng):
    table = clamped_maps.breakdown([1.0, 1.2], 1000, rng, chains=8).set_index(["u", "way"])
    assert table.loc[(1.2, "maps composed over all of T"), "broken"] > 50
    assert (table["broken"].drop((1.2, "maps composed over all of T")) == 0).all()
    assert (table["error"] < 1e-5).all()
    names = [trace.name for trace in figures.breakdown(table.reset_index()).data]
    assert names == ["maps composed over all of T", "engine scan, in chunks", "loop"]


def test_at_u_one_a_neuron_is_the_reflected_walk(rng):
    h, walk, lowest = clamped_maps.queue(200, rng)
    assert_close(h, walk - lowest, rtol=0, atol=1e-12)
    assert h.min() == 0
    assert len(figures.queue(h, walk, lowest).data) == 3
