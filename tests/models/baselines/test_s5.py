"""The S5: its turning frame against the complex equations, walked step by step; where it starts."""

import math

import pytest
import torch
from torch.testing import assert_close

from workbench.models.baselines.s5 import S5, STEP, hippo


def walk(unit, x, h):
    """The paper's equations in complex numbers, step by step: x (T, B, N), h (1, B, 2 P) -> y, h_T."""
    poles = torch.complex(-unit.decay.exp(), unit.turn)
    own, h, out = torch.exp(poles * unit.step.exp()), torch.view_as_complex(h[0].unflatten(-1, (-1, 2))), []
    B = ((own - 1) / poles)[:, None] * torch.complex(unit.into[::2], unit.into[1::2])
    C = torch.complex(unit.out[:, ::2], -unit.out[:, 1::2])
    for x_t in x:
        h = own * h + x_t.to(B.dtype) @ B.T
        out.append((h @ C.T).real + unit.skip * x_t)
    return torch.stack(out), torch.view_as_real(h).flatten(-2)[None]


@pytest.mark.parametrize(("T", "N"), [(1, 6), (33, 7), (200, 6)])
def test_the_unit_equals_its_equations_in_value_and_gradient(T, N, rng):
    unit = S5(N, N, rng).double()
    x = torch.randn(T, 4, N, generator=rng, dtype=torch.float64, requires_grad=True)
    h0 = torch.randn(1, 4, 2 * len(unit.step), generator=rng, dtype=torch.float64, requires_grad=True)
    ours, wanted = unit.recurrence(x, h0), walk(unit, x, h0)
    assert_close(ours, wanted)
    g = torch.randn(ours[0].shape, generator=rng, dtype=torch.float64)
    leaves = [x, h0, unit.decay, unit.turn, unit.step, unit.into, unit.out, unit.skip]
    gradients = [torch.autograd.grad((y * g).sum() + h.square().sum(), leaves) for y, h in (ours, wanted)]
    assert_close(*gradients)


def test_an_input_that_stays_is_integrated():
    """One neuron that does not turn, fed 1 for ever: (1 - exp(-k dt)), the step response of dh/dt = -h + x."""
    unit = S5(1, 1).double()
    with torch.no_grad():
        unit.decay.zero_()
        unit.turn.zero_()
        unit.step.fill_(math.log(0.1))
        unit.into.copy_(torch.tensor([[1.0], [0.0]]))
        unit.out.copy_(torch.tensor([[1.0, 0.0]]))
        unit.skip.zero_()
        h = unit.recurrence(torch.ones(9, 1, 1, dtype=torch.float64))[0].flatten()
    assert_close(h, 1 - torch.exp(-0.1 * torch.arange(1, 10, dtype=torch.float64)))


def test_it_starts_at_the_eigenvalues_of_hippo_n():
    """HiPPO-LegS with half of its low-rank part added (their equation 8), whose spectrum torch finds by itself."""
    scale = torch.arange(10, dtype=torch.float64).mul(2).add(1).sqrt()
    legs = -torch.outer(scale, scale).tril(-1) - torch.diag(torch.arange(10, dtype=torch.float64) + 1)
    values = torch.linalg.eigvals(legs + torch.outer(scale, scale) / 2)
    wanted = torch.stack(sorted(values[values.imag > 0], key=lambda value: float(value.imag)))
    real, imaginary = hippo(10)
    assert_close(real.double(), wanted.real)
    assert_close(imaginary.double(), wanted.imag, rtol=1e-6, atol=0)


def test_steps_start_evenly_by_their_logarithm(rng):
    step = S5(1, 4000, rng).step.detach()
    assert step.min() >= math.log(STEP[0])
    assert step.max() <= math.log(STEP[1])
    assert float(step.mean()) == pytest.approx(sum(map(math.log, STEP)) / 2, abs=0.1)
