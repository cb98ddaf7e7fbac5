"""The recurrence alone in C: bit for bit the loop, in every dtype and activation."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from workbench.recurrence import recur
from workbench.recurrence.activation import ACTIVATIONS
from workbench.recurrence.cpu import compiler

from ..drawn import TOLERANCE, distance, draw, draw_u, gradients

EXACT = [f for f in ACTIVATIONS if f != "tanh"]
SHAPES = [(1, 1, 1), (2, 3, 7), (33, 7, 130), (33, 130, 17), (784, 3, 17), (40, 17, 257)]
pytestmark = pytest.mark.skipif(compiler.missing() is not None, reason=str(compiler.missing()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", EXACT)
@pytest.mark.parametrize(("T", "B", "N"), SHAPES)
def test_states_and_gradients_are_bit_for_bit_those_of_loop(T, B, N, activation, dtype, rng):
    inputs = draw(rng, T, B, N, dtype=dtype), draw_u(rng, N, dtype), draw(rng, B, N, dtype=dtype)
    g = draw(rng, T, B, N, dtype=dtype)
    ours, theirs = (
        gradients(lambda *v, e=e: recur(*v, activation=activation, backend=e), inputs, g) for e in ("cpu", "loop")
    )
    for name, x, y in zip(("h", "grad a", "grad u", "grad h0"), ours, theirs, strict=True):
        assert torch.equal(x, y) if name != "grad u" else distance(x, y) < 10 * TOLERANCE[dtype], name


def test_tanh_is_within_one_unit_in_the_last_place_in_float32():
    z = torch.cat([torch.linspace(-12, 12, 400_001), torch.logspace(-30, 1, 20_000)])
    h = recur(z[None, None], torch.zeros(len(z)), activation="tanh", backend="cpu").flatten()
    exact = torch.tanh(z.double())
    unit = (torch.nextafter(exact.float().abs(), torch.tensor(2.0)) - exact.float().abs()).double()
    assert float(((h.double() - exact).abs() / unit).max()) <= 1


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_not_a_number_and_infinity_show_as_they_do_in_loop(activation):
    a = torch.zeros(4, 1, 20)
    a[1, 0, 3], a[1, 0, 4], a[1, 0, 5] = torch.nan, torch.inf, -torch.inf
    ours, theirs = (
        gradients(
            lambda *v, e=e: recur(*v, activation=activation, backend=e), (a, torch.ones(20)), torch.ones(4, 1, 20)
        )
        for e in ("cpu", "loop")
    )
    for x, y in zip(ours, theirs, strict=True):
        assert_close(x, y, equal_nan=True)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_bfloat16_is_the_loop_in_float32_rounded_once(activation, rng):
    inputs = draw(rng, 50, 3, 17).bfloat16(), torch.linspace(-1, 2 ** (1 / 50), 17), draw(rng, 3, 17).bfloat16()
    h = recur(*inputs, activation=activation, backend="cpu")
    wide = recur(*(v.float() for v in inputs), activation=activation, backend="loop")
    assert h.dtype == torch.bfloat16
    assert_close(h, wide.bfloat16(), rtol=0 if activation != "tanh" else 2**-8, atol=0)


@pytest.mark.parametrize("backend", ["cpu", "loop", "torch"])
def test_u_may_stay_float32_beside_bfloat16(backend, rng):
    a, u = (0.1 + draw(rng, 784, 2, 4).abs()).bfloat16() / 784, torch.full((4,), 2 ** (1 / 784))
    h, grad_a, grad_u = gradients(lambda *v: recur(*v, backend=backend), (a, u), torch.ones(784, 2, 4))
    assert (h.dtype, grad_a.dtype, grad_u.dtype) == (torch.bfloat16, torch.bfloat16, torch.float32)
    assert distance(h, recur(a.double(), u.double(), backend="loop")) < 2**-8  # u in bfloat16 is 1: 19 % off


def test_inputs_are_left_alone_and_a_changed_output_is_noticed(rng):
    a, u = draw(rng, 4, 2, 3), draw_u(rng, 3).requires_grad_()
    kept = a.clone()
    h = recur(a, u, backend="cpu")
    assert torch.equal(a, kept)
    with torch.no_grad():
        h.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.sum().backward()


def test_empty_batches_are_allowed():
    assert recur(torch.zeros(3, 0, 4), torch.ones(4), backend="cpu").shape == (3, 0, 4)
