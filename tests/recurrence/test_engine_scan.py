"""The scan over time: its mathematics, its chunk edges, and the places where summaries alone would overflow."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from workbench.recurrence import engine_scan, recur
from workbench.recurrence.engine_scan import CHUNK


def clamped(f, h):
    q, p, lo, hi = f
    return (p + q * h).clamp(lo, hi)


def both(a, u, h0, g, activation="relu"):
    """h, grad a, grad u, grad h0 of the scan and of the loop."""
    results = []
    for engine in ("scan", "loop"):
        inputs = [v.clone().requires_grad_() for v in (a, u, h0)]
        h = recur(*inputs, activation=activation, backend=engine)
        h.backward(g)
        results.append([h.detach(), *(v.grad for v in inputs)])
    return results


def test_clamped_affine_maps_compose_to_one_of_their_kind(rng):
    f, g = (torch.randn(4, 20_000, generator=rng, dtype=torch.float64) for _ in range(2))
    for m in (f, g):
        m[2:] = m[2:].sort(0).values
    lo, hi = (g[1] + g[0] * f[2:]).clamp(g[2], g[3]).sort(0).values
    both_in_one = (g[0] * f[0], g[1] + g[0] * f[1], lo, hi)
    h = 3 * torch.randn(20_000, generator=rng, dtype=torch.float64)
    assert_close(clamped(both_in_one, h), clamped(g, clamped(f, h)), rtol=0, atol=1e-13)


def test_the_closed_form_for_zero_start_and_nonnegative_u(rng):
    a, u = torch.randn(200, 1, 6, generator=rng, dtype=torch.float64), torch.linspace(0, 1, 6, dtype=torch.float64)
    P = recur(a, u, activation="identity", backend="scan")
    t = torch.arange(200)
    power = u ** (t[:, None] - t).clamp(min=0)[..., None]  # (t, s, N)
    past = torch.where((t <= t[:, None])[..., None], power * P[:, 0], torch.inf)
    reflected = P[:, 0] - past.min(1).values.clamp(max=0)
    assert_close(recur(a, u, backend="scan")[:, 0], reflected, rtol=0, atol=1e-12)


def test_at_u_one_a_neuron_is_a_queue(rng):
    a, u = torch.randn(500, 2, 3, generator=rng, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    walk = a.cumsum(0)
    assert_close(recur(a, u, backend="scan"), walk - walk.cummin(0).values.clamp(max=0), rtol=0, atol=1e-11)


@pytest.mark.parametrize("T", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 5 * CHUNK - 1])
@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_chunk_edges(T, activation, rng):
    a, g = (torch.randn(T, 2, 5, generator=rng, dtype=torch.float64) for _ in range(2))
    u = torch.tensor([-1.0, -0.7, 0.0, 0.9, 1.0], dtype=torch.float64)
    h0 = torch.randn(2, 5, generator=rng, dtype=torch.float64)
    assert_close(*both(a, u, h0, g, activation), rtol=1e-11, atol=1e-11)


def test_gradcheck_across_chunks(rng, monkeypatch):
    monkeypatch.setattr(engine_scan, "CHUNK", 4)
    a = torch.randn(14, 1, 2, generator=rng, dtype=torch.float64, requires_grad=True)
    u = torch.tensor([0.95, -0.9], dtype=torch.float64, requires_grad=True)
    h0 = torch.randn(1, 2, generator=rng, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *v: recur(*v, backend="scan"), (a, u, h0))


@pytest.mark.parametrize("scale", [1.05, 1.5, 4.0, 1e3, 1e30])
@pytest.mark.parametrize("sign", [1, -1])
def test_where_the_loop_is_finite_so_is_the_scan(scale, sign, rng):
    """u**64 overflows long before the states do: relu holds them."""
    a = torch.randn(400, 3, 5, generator=rng) - (2.0 if sign > 0 else 0.0)
    a[:, :, 0] = -1.0  # never on
    u = sign * scale * torch.rand(5, generator=rng)
    h0 = torch.zeros(3, 5)
    a[..., torch.isinf(recur(a, u, h0, backend="loop")).any(0).any(0)] = -1.0  # drop the neurons that explode
    g = torch.zeros_like(a)
    g[-1] = 1
    ours, theirs = both(a, u, h0, g)
    assert theirs[0].isfinite().all()
    assert theirs[0].any() or sign > 0
    assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_an_unstable_balance_is_kept():
    """h = 1 is a fixed point of 2 h - 1, and no summary of 64 steps could tell it from its neighbours."""
    a, u, h0 = torch.full((300, 1, 1), -1.0), torch.tensor([2.0]), torch.ones(1, 1)
    assert torch.equal(recur(a, u, h0, backend="scan"), torch.ones(300, 1, 1))


def test_a_summary_beyond_the_largest_float_is_not_used():
    a, g, top = torch.zeros(192, 1, 1), torch.zeros(192, 1, 1), torch.finfo(torch.float32).max
    a[:2], g[126:128], g[191] = 0.6 * top, 0.6 * top, -0.9 * top  # a chunk from 0 overflows, the sequence does not
    ours, theirs = both(a, torch.ones(1), torch.full((1, 1), -0.9 * top), g, "identity")
    assert all(theirs[i].isfinite().all() and torch.equal(ours[i], theirs[i]) for i in (0, 1, 3))


def test_a_state_below_zero_reaches_every_chunk():
    """With u = -1 and a = 5 the states 4 and 1 alternate from h0 = -3, and relu never acts."""
    a = torch.full((200, 1, 1), 5.0)
    a[0] = 1.0
    h = recur(a, -torch.ones(1), torch.full((1, 1), -3.0), backend="scan")
    assert h.flatten().tolist() == [4.0, 1.0] * 100


@pytest.mark.parametrize("value", [torch.finfo(torch.float32).max, -torch.finfo(torch.float32).max, 1e38])
@pytest.mark.parametrize("u", [0.0, 1.0, -1.0, 0.5])
def test_the_largest_floats_make_no_nan(value, u):
    a = torch.zeros(200, 1, 2)
    a[10::70, :, 0] = value
    a[11::70, :, 0] = -value
    weights, h0 = torch.full((2,), u), torch.tensor([[-1.0, 3.0]])
    ours, theirs = both(a, weights, h0, torch.ones_like(a))
    assert not any(v.isnan().any() for v in ours[:2] + ours[3:])
    assert_close(ours[:2] + ours[3:], theirs[:2] + theirs[3:])


def test_a_nan_stays_where_the_loop_puts_it(rng):
    a = torch.randn(300, 1, 3, generator=rng)
    a[100, 0, 1] = torch.nan
    u = torch.tensor([0.5, 0.5, 1.0])
    assert_close(recur(a, u, backend="scan"), recur(a, u, backend="loop"), equal_nan=True)


def test_float32_errs_no_more_than_a_few_times_the_loop(rng):
    a, u = torch.randn(5000, 2, 16, generator=rng), torch.linspace(-1, 1, 16)
    exact = recur(a.double(), u.double(), backend="loop")
    error = {e: float((recur(a, u, backend=e).double() - exact).abs().max()) for e in ("loop", "scan")}
    assert error["scan"] < 8 * error["loop"]


def test_a_scan_says_why_it_refuses():
    assert engine_scan.refuses("relu") is None
    assert engine_scan.refuses("identity") is None
    assert "pieces" in str(engine_scan.refuses("leaky_relu"))
    assert "tanh" in str(engine_scan.refuses("tanh"))


@pytest.mark.parametrize(("B", "N"), [(0, 3), (2, 0)])
def test_an_empty_batch_or_layer_gives_an_empty_answer(B, N):
    a = torch.zeros(100, B, N, requires_grad=True)
    h = recur(a, torch.zeros(N), backend="scan")
    h.sum().backward()
    assert h.shape == a.grad.shape == (100, B, N)
