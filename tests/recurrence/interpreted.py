"""The Triton kernels on the CPU, in Triton's interpreter; test_engine_triton.py runs this file in a process of its own.

Shapes are tiny: the interpreter takes a millisecond for an operation.
"""

from __future__ import annotations

import pytest
import torch

from workbench.recurrence import autograd, engine_triton, recur

pytestmark = [  # numpy, under the interpreter
    pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning"),
]
ACTIVATIONS = ("relu", "tanh", "identity", "leaky_relu")


def draw(rng, T, B, N, dtype):
    """a, u of both signs, h0 signed, and a gradient for h."""
    a, u, h0, g = (torch.randn(*s, generator=rng, dtype=torch.float64) for s in ((T, B, N), (N,), (B, N), (T, B, N)))
    return [v.to(dtype) for v in (a, u.clamp(-1.1, 1.1), h0)], g.to(dtype)


def run(call, inputs, g):
    """h and the gradients of a, u, h0."""
    inputs = [v.detach().clone().requires_grad_() for v in inputs]
    h = call(*inputs)
    h.backward(g)
    return [h.detach(), *(v.grad for v in inputs)]


def assert_near(ours, theirs, tolerance):
    for x, y in zip(ours, theirs, strict=True):
        assert float((x.to(y.dtype) - y).abs().max()) <= tolerance * (1 + float(y.abs().max()))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("T", "B", "N"), [(1, 1, 1), (11, 3, 13), (16, 1, 2)])
def test_the_kernel_equals_loop(activation, T, B, N, rng):
    for dtype in (torch.float32, torch.float64):
        inputs, g = draw(rng, T, B, N, dtype)
        ours = run(lambda *v: recur(*v, activation=activation, backend="triton"), inputs, g)
        theirs = run(lambda *v: recur(*v, activation=activation, backend="loop"), inputs, g)
        if activation != "tanh":  # the interpreter has no tanh of the device's library
            assert all(torch.equal(ours[i], theirs[i]) for i in (0, 1, 3))
        assert_near(ours, theirs, 16 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype, rng):
    inputs, g = draw(rng, 8, 2, 5, dtype)
    inputs[0] = inputs[0].abs() + 1.5  # away from the kink, where rounding would decide the gradient
    ours = run(lambda *v: recur(*v, backend="triton"), inputs, g)
    theirs = run(lambda *v: recur(*v, backend="loop"), [v.float() for v in inputs], g.float())
    assert_near(ours, theirs, 2 * torch.finfo(dtype).eps)  # the interpreter cuts bfloat16, where a device rounds


@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize("length", [4, 5, 16])
def test_the_scan_in_chunks_equals_loop(activation, length, rng):
    inputs, g = draw(rng, 16, 2, 16, torch.float64)
    inputs[0] += 1  # or relu is off so often that every chunk forgets what was before it
    ours = run(lambda *v: autograd.recur(*v, activation, engine_triton.Kernels(length), False), inputs, g)
    theirs = run(lambda *v: recur(*v, activation=activation, backend="loop"), inputs, g)
    assert_near(ours, theirs, 1e-14)


@pytest.mark.parametrize("u", [0.0, 33.0, -1e30])
def test_where_the_loop_is_finite_so_is_the_scan(u):
    """h = 1 is a fixed point of 33 h - 32, which 33**8 would lose; the powers of -1e30 leave the range of floats."""
    a, weights, h0 = torch.full((24, 1, 2), -32.0), torch.full((2,), u), torch.tensor([[1.0, 0.0]])
    a[:, 0, 1] = 1.0 if u <= 0 else -1.0
    g = torch.zeros_like(a)
    g[-1] = 1.0
    ours = run(lambda *v: autograd.recur(*v, "relu", engine_triton.Kernels(8), False), [a, weights, h0], g)
    theirs = run(lambda *v: recur(*v, backend="loop"), [a, weights, h0], g)
    assert theirs[0].isfinite().all()
    assert all(torch.equal(x, y) for x, y in zip(ours, theirs, strict=True))


def test_a_summary_beyond_the_largest_float_is_not_used():
    a, g, top = torch.zeros(12, 1, 1), torch.zeros(12, 1, 1), torch.finfo(torch.float32).max
    a[:2], g[6:8], g[11] = 0.6 * top, 0.6 * top, -0.9 * top  # a chunk from 0 overflows, the sequence does not
    inputs = [a, torch.ones(1), torch.full((1, 1), -0.9 * top)]
    ours = run(lambda *v: autograd.recur(*v, "identity", engine_triton.Kernels(4), False), inputs, g)
    theirs = run(lambda *v: recur(*v, activation="identity", backend="loop"), inputs, g)
    assert all(theirs[i].isfinite().all() and torch.equal(ours[i], theirs[i]) for i in (0, 1, 3))


def test_states_are_written_over_a_product_and_not_over_an_argument(rng):
    (a, u, h0), _ = draw(rng, 4, 2, 3, torch.float32)
    kept = a.clone()
    expected = recur(a, u, h0, backend="loop")
    assert torch.equal(recur(a, u, h0, backend="triton"), expected)
    assert torch.equal(a, kept)
    assert torch.equal(autograd.recur(a, u, h0, "relu", engine_triton, True), expected)
    assert torch.equal(a, expected)


def test_autograd_knows_what_was_written_over(rng):
    (a, u, h0), g = draw(rng, 4, 2, 3, torch.float32)
    a.requires_grad_()
    product = a * 1
    square = product**2
    h = autograd.recur(product, u, h0, "relu", engine_triton, True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(square.sum(), a, retain_graph=True)
    assert torch.equal(torch.autograd.grad(h, a, g)[0], run(lambda *v: recur(*v, backend="loop"), [a, u, h0], g)[1])


def test_an_empty_batch_gives_an_empty_answer():
    a = torch.zeros(3, 0, 2, requires_grad=True)
    recur(a, torch.zeros(2), backend="triton").sum().backward()
    assert a.grad.shape == (3, 0, 2)
