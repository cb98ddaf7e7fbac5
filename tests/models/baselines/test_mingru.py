"""The minGRU: its walk against the equations, its gates at their ends."""

import pytest
import torch
from torch.testing import assert_close

from workbench.models.baselines.mingru import MinGRU, walk


def by_hand(unit, x, h):
    """The paper's equations step by step: x (T, B, N), h (B, N) -> h (T, B, N)."""
    (w_z, w_h), (b_z, b_h), out = unit.products.weight.chunk(2), unit.products.bias.chunk(2), []
    for x_t in x:
        z = torch.sigmoid(x_t @ w_z.T + b_z)
        h = (1 - z) * h + z * (x_t @ w_h.T + b_h)
        out.append(h)
    return torch.stack(out)


@pytest.mark.parametrize("T", [1, 2, 33, 200])
def test_the_unit_equals_its_equations_in_value_and_gradient(T, rng):
    unit = MinGRU(6, 6, rng).double()
    with torch.no_grad():
        unit.products.bias.normal_(generator=rng)
    x = torch.randn(T, 4, 6, generator=rng, dtype=torch.float64, requires_grad=True)
    h0 = torch.randn(1, 4, 6, generator=rng, dtype=torch.float64, requires_grad=True)
    ours, wanted = unit.recurrence(x, h0)[0], by_hand(unit, x, h0[0])
    assert_close(ours, wanted)
    g = torch.randn(ours.shape, generator=rng, dtype=torch.float64)
    leaves = [x, h0, unit.products.weight, unit.products.bias]
    assert_close(*(torch.autograd.grad((h * g).sum(), leaves) for h in (ours, wanted)))


def test_the_walk_passes_gradcheck(rng):
    shapes = ((5, 2, 3), (5, 2, 3), (2, 3))
    assert torch.autograd.gradcheck(
        walk, [torch.randn(s, generator=rng, dtype=torch.float64, requires_grad=True) for s in shapes]
    )


def test_the_walk_takes_halves_of_a_product(rng):
    """Views with gaps, as `chunk` leaves them."""
    f, b = torch.rand(7, 3, 8, generator=rng).chunk(2, -1)
    h0 = torch.zeros(3, 4)
    assert torch.equal(walk(f, b, h0), walk(f.contiguous(), b.contiguous(), h0))


@pytest.mark.parametrize(("gate", "states"), [(-200.0, [3, 3, 3]), (200.0, [1, 2.5, 3.5]), (0.0, [2, 2.25, 2.875])])
def test_a_shut_gate_holds_its_state_and_an_open_one_takes_the_input(gate, states):
    unit = MinGRU(1, 1)
    with torch.no_grad():
        unit.products.weight.copy_(torch.tensor([[0.0], [1.0]]))
        unit.products.bias.copy_(torch.tensor([gate, 0.0]))
    x = torch.tensor([1.0, 2.5, 3.5]).view(3, 1, 1)
    assert unit.recurrence(x, torch.full((1, 1, 1), 3.0))[0].flatten().tolist() == states


def test_a_step_of_training_gives_finite_gradients_to_all(rng):
    block = MinGRU(1, 8, rng)
    y, _ = block(torch.randn(784, 2, 1, generator=rng))
    y[-1].square().sum().backward()
    assert all(bool(p.grad.isfinite().all()) and bool(p.grad.any()) for p in block.parameters())
