"""Whole layers in C: product and recurrence in one equal both one after the other, whichever way the sizes ask for."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from workbench.errors import ParameterError
from workbench.recurrence import layer, recur
from workbench.recurrence.activation import ACTIVATIONS
from workbench.recurrence.cpu import compiler, layer_fused, layer_large, layer_narrow
from workbench.recurrence.cpu import engine as cpu

from .drawn import TOLERANCE, distance, draw, draw_u, gradients

LAYERS = [
    (1, 1, 1, 1),
    (2, 3, 2, 7),
    (33, 7, 5, 130),
    (784, 3, 1, 17),
    (20, 33, 40, 48),
    (3, 130, 17, 3),
    (2, 4097, 3, 2),
]
pytestmark = pytest.mark.skipif(compiler.missing() is not None, reason=str(compiler.missing()))


@pytest.fixture(params=["fused", "chunked"])
def way(request, monkeypatch):
    """Both ways to run a layer, whatever the sizes."""
    monkeypatch.setattr(cpu, "LARGE", 1 if request.param == "chunked" else 10**9)
    return request.param


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize(("T", "B", "M", "N"), LAYERS)
def test_a_layer_equals_product_and_loop(T, B, M, N, activation, dtype, way, rng):
    inputs = draw(rng, T, B, M), draw(rng, N, M) / M**0.5, draw(rng, N), 0.95 * draw_u(rng, N), draw(rng, B, N)
    inputs, g = [v.to(dtype) for v in inputs], draw(rng, T, B, N, dtype=dtype)
    assert cpu.fuses(inputs[0], inputs[1], activation)
    ours = gradients(lambda *v: layer(*v, activation=activation, backend="cpu"), inputs, g)
    theirs = gradients(
        lambda x, w, b, u, h0: recur(x @ w.t() + b, u, h0, activation=activation, backend="loop"),
        [v.double() for v in inputs],
        g.double(),
    )
    for name, x, y in zip(("h", "x", "weight", "bias", "u", "h0"), ours, theirs, strict=True):
        assert x.dtype == dtype, name
        assert distance(x, y) < (1 if way == "fused" else 2) * TOLERANCE[dtype], name  # PyTorch sums as it likes


@pytest.mark.parametrize("M", [1, 5])
@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (3,), (4,), (1, 2, 3), (0, 1, 2, 3, 4)])
def test_a_layer_gives_the_gradients_that_are_wanted(wanted, M, way, rng):
    sizes = (6, 2, M), (9, M), (9,), (9,), (2, 9)
    every = [draw(rng, *s, dtype=torch.float64) for s in sizes]

    def grads(backend):
        inputs = [v.clone().requires_grad_(i in wanted) for i, v in enumerate(every)]
        layer(*inputs, backend=backend).square().sum().backward()
        return [v.grad for v in inputs]

    for i, (x, y) in enumerate(zip(grads("cpu"), grads("loop"), strict=True)):
        assert (x is None) == (i not in wanted)
        if x is not None:
            assert_close(x, y)


def test_a_layer_without_bias_or_state_begins_from_zero(way, rng):
    inputs, g = (draw(rng, 6, 2, 3), draw(rng, 9, 3), draw_u(rng, 9)), draw(rng, 6, 2, 9)
    without = gradients(lambda x, w, u: layer(x, w, None, u, backend="cpu"), inputs, g)
    zeros = gradients(lambda x, w, u: layer(x, w, torch.zeros(9), u, torch.zeros(2, 9), backend="cpu"), inputs, g)
    assert all(torch.equal(x, y) for x, y in zip(without, zeros, strict=True))


@pytest.mark.parametrize("backend", ["loop", "torch", "scan"])
def test_a_layer_is_run_by_the_engine_that_is_named(backend, monkeypatch, rng):
    monkeypatch.setattr(cpu, "layer", lambda *_: pytest.fail("engine cpu, which nobody named"))
    inputs = draw(rng, 3, 2, 4), draw(rng, 5, 4), None, draw_u(rng, 5)
    assert layer(*inputs, backend=backend).shape == (3, 2, 5)


def test_a_long_narrow_product_of_torch_without_bias_has_the_gradients_of_the_formula(rng):
    """200 rows: a block whose gradient of W is summed by itself, and what is left of the next."""
    inputs, g = (draw(rng, 50, 4, 3), draw(rng, 9, 3), 0.9 * draw_u(rng, 9)), draw(rng, 50, 4, 9)
    ours = gradients(lambda x, w, u: layer(x, w, None, u, backend="torch"), inputs, g)
    theirs = gradients(lambda x, w, u: recur(x @ w.t(), u, backend="loop"), inputs, g)
    for x, y in zip(ours, theirs, strict=True):
        assert distance(x, y) < TOLERANCE[torch.float32]


def specified(x, w, b, u, h0, activation="relu"):
    """A layer in two steps, by the specification."""
    return recur(x @ w.t() + b, u, h0, activation=activation, backend="loop")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize(("T", "B", "N"), [(1, 1, 1), (33, 7, 130), (784, 3, 17), (60, 50, 33)])
@pytest.mark.parametrize("M", [1, 2])
def test_a_first_layer_equals_product_and_loop(T, B, M, N, activation, dtype, rng):
    """One or two inputs that want no gradient go a way of their own."""
    x, *inputs = draw(rng, T, B, M), draw(rng, N, M) / 4, draw(rng, N) / 4, 0.95 * draw_u(rng, N), draw(rng, B, N)
    x, inputs, g = x.to(dtype), [v.to(dtype) for v in inputs], draw(rng, T, B, N, dtype=dtype)
    ours = gradients(lambda *v: layer(x, *v, activation=activation, backend="cpu"), inputs, g)
    theirs = gradients(
        lambda *v: specified(x.double(), *v, activation=activation), [v.double() for v in inputs], g.double()
    )
    for name, a, b in zip(("h", "weight", "bias", "u", "h0"), ours, theirs, strict=True):
        assert a.dtype == dtype, name
        assert distance(a, b) < TOLERANCE[dtype], name


@pytest.mark.parametrize(
    ("M", "N", "wants", "way"),
    [
        (2, 600, False, layer_narrow),
        (2, 600, True, layer_fused),
        (3, 2, False, layer_fused),
        (511, 512, True, layer_fused),
        (512, 512, True, layer_large),
    ],
)
def test_the_sizes_of_a_layer_decide_how_it_is_run(M, N, wants, way):
    assert cpu._way(torch.zeros(1, 1, M, requires_grad=wants), torch.zeros(N, M)) is way


def test_a_layers_sequence_may_be_cut_anywhere(way, rng):
    x, w, u = draw(rng, 20, 2, 3), draw(rng, 33, 3), draw_u(rng, 33)
    whole = layer(x, w, None, u, backend="cpu")
    for cut in (1, 7, 19):
        head = layer(x[:cut], w, None, u, backend="cpu")
        assert_close(torch.cat([head, layer(x[cut:], w, None, u, head[-1], backend="cpu")]), whole)


@pytest.mark.parametrize("call", ["recur", "layer"])
def test_gradients_pass_gradcheck(call, way, rng):
    sizes = ((5, 2, 4), (4,), (2, 4)) if call == "recur" else ((5, 2, 3), (4, 3), (4,), (4,), (2, 4))
    inputs = [draw(rng, *s, dtype=torch.float64).requires_grad_() for s in sizes]
    step = recur if call == "recur" else layer
    assert torch.autograd.gradcheck(lambda *v: step(*v, backend="cpu"), inputs)


@pytest.mark.parametrize("engine", ["cpu", "loop"])
def test_strided_and_expanded_inputs_and_gradients(engine, rng):
    """A sum's gradient is one number seen as a whole array; transposed batches and shared states are views too."""
    x, w = draw(rng, 5, 7, 3, dtype=torch.float64).permute(1, 0, 2), draw(rng, 3, 6, dtype=torch.float64).t()
    u, h0 = draw(rng, 12, dtype=torch.float64)[::2] / 3, draw(rng, 1, 6, dtype=torch.float64).expand(5, 6)
    b = draw(rng, 1, dtype=torch.float64).expand(6)

    def strided(*v):
        return layer(*v, backend=engine)

    leaves = [v.requires_grad_() for v in (x, w, b, u, h0)]
    ours = torch.autograd.grad(strided(*leaves).sum(), leaves)
    theirs = gradients(lambda *v: layer(*v, backend="loop"), [v.contiguous() for v in leaves], torch.ones(7, 5, 6))[1:]
    assert_close(list(ours), theirs)
    a = draw(rng, 6, 5, 7, dtype=torch.float64).permute(2, 1, 0).requires_grad_()
    (ours,) = torch.autograd.grad(recur(a, u, h0, backend=engine).sum(), a)
    theirs = gradients(lambda v: recur(v, u, h0, backend="loop"), [a.contiguous()], torch.ones(7, 5, 6))[1]
    assert_close(ours, theirs)


def test_under_autocast_the_product_is_bfloat16_and_u_stays_float32(rng):
    values = [draw(rng, *s) for s in ((6, 2, 3), (5, 3), (5,), (5,), (2, 5))]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = gradients(lambda *v: layer(*v, backend="cpu"), values, torch.ones(6, 2, 5))
    assert out[0].dtype == torch.bfloat16
    assert all(x.dtype == torch.float32 for x in out[1:])
    assert distance(out[0], layer(*values, backend="loop").double()) < 0.05


def test_empty_batches_are_allowed():
    assert layer(torch.zeros(3, 0, 2), torch.ones(4, 2), None, torch.ones(4), backend="cpu").shape == (3, 0, 4)


@pytest.mark.parametrize("backend", ["auto", "loop"])
@pytest.mark.parametrize("sizes", [((3, 2), (4, 2), (4,)), ((5, 3, 2), (4, 3), None), ((5, 3, 2), (4, 2), (1,))])
def test_a_product_that_does_not_fit_is_named_and_no_bias_is_broadcast(sizes, backend):
    x, weight, bias = (None if size is None else torch.zeros(size) for size in sizes)
    with pytest.raises(ParameterError, match=r"x, weight, bias: shapes \(.* received; \(T, B, M\), \(N, M\)"):
        layer(x, weight, bias, torch.zeros(4), backend=backend)
