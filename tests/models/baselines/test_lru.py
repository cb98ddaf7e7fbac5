"""The LRU: its turning frame against the complex equation, walked step by step; where it starts."""

import math

import pytest
import torch
from torch.testing import assert_close

from workbench.models.baselines.lru import LRU, PHASE, RADII


def eigenvalues(unit):
    return torch.exp(torch.complex(-unit.nu.exp(), unit.theta.exp()))


def walk(unit, x, h):
    """The paper's two equations in complex numbers, step by step: x (T, B, N), h (1, B, 2 N) -> y, h_T."""
    own, h, out = eigenvalues(unit), torch.view_as_complex(h[0].unflatten(-1, (-1, 2))), []
    B = torch.complex(unit.into[::2], unit.into[1::2])
    C = torch.complex(unit.out[:, ::2], -unit.out[:, 1::2])
    for x_t in x:
        h = own * h + unit.gamma.exp() * (x_t.to(B.dtype) @ B.T)
        out.append((h @ C.T).real + unit.skip * x_t)
    return torch.stack(out), torch.view_as_real(h).flatten(-2)[None]


@pytest.mark.parametrize("T", [1, 2, 33, 200])
def test_the_unit_equals_its_equations_in_value_and_gradient(T, rng):
    unit = LRU(6, 6, rng).double()
    x = torch.randn(T, 4, 6, generator=rng, dtype=torch.float64, requires_grad=True)
    h0 = torch.randn(1, 4, 12, generator=rng, dtype=torch.float64, requires_grad=True)
    ours, wanted = unit.recurrence(x, h0), walk(unit, x, h0)
    assert_close(ours, wanted)
    g = torch.randn(ours[0].shape, generator=rng, dtype=torch.float64)
    leaves = [x, h0, unit.nu, unit.theta, unit.gamma, unit.into, unit.out, unit.skip]
    gradients = [torch.autograd.grad((y * g).sum() + h.square().sum(), leaves) for y, h in (ours, wanted)]
    assert_close(*gradients)


def test_an_impulse_turns_and_decays_by_the_power_of_its_eigenvalue():
    """One neuron that turns by an eighth and halves at each step: Re(lambda^k) exactly."""
    unit = LRU(1, 1).double()
    with torch.no_grad():
        unit.nu.fill_(math.log(math.log(2)))
        unit.theta.fill_(math.log(math.pi / 4))
        unit.gamma.zero_()
        unit.into.copy_(torch.tensor([[1.0], [0.0]]))
        unit.out.copy_(torch.tensor([[1.0, 0.0]]))
        unit.skip.zero_()
    x = torch.zeros(9, 1, 1, dtype=torch.float64)
    x[0] = 1
    h, r = unit.recurrence(x)[0].flatten(), math.sqrt(0.5)
    assert_close(h, torch.tensor([1, r / 2, 0, -r / 8, -1 / 16, -r / 32, 0, r / 128, 1 / 256], dtype=torch.float64))


def test_float32_keeps_the_phase_over_thousands_of_steps(rng):
    """Angles are multiplied in double precision: what is left is the rounding of the recurrence itself."""
    unit, x = LRU(4, 4, rng).requires_grad_(False), torch.randn(2000, 1, 4, generator=rng)
    y, _ = unit.recurrence(x)
    exact, _ = unit.double().recurrence(x.double())
    assert float((y - exact).norm() / exact.norm()) < 1e-5


def test_it_starts_in_the_ring_with_states_of_the_inputs_size(rng):
    """gamma makes the state of a neuron as large as what enters it (section 3.4), for white inputs."""
    unit = LRU(256, 256, rng).requires_grad_(False)
    own, (low, high) = eigenvalues(unit), RADII
    assert low <= float(own.abs().min()) < float(own.abs().max()) <= high
    assert 0 < float(unit.theta.exp().min()) < float(unit.theta.exp().max()) <= PHASE
    area = (own.abs().square() - low**2) / (high**2 - low**2)  # uniform by area
    assert float(area.mean()) == pytest.approx(0.5, abs=3 / math.sqrt(12 * 256))
    assert_close(unit.gamma.exp().square() + own.abs().square(), torch.ones(256))
    _, last = unit.recurrence(torch.randn(4000, 8, 256, generator=rng))
    assert 0.8 < float(last.square().mean() * 2) < 1.2


def test_a_step_of_training_gives_finite_gradients_to_all(rng):
    block = LRU(1, 8, rng)
    y, _ = block(torch.randn(784, 2, 1, generator=rng))
    y[-1].square().sum().backward()
    assert all(bool(p.grad.isfinite().all()) and bool(p.grad.any()) for p in block.parameters())
