"""Batch norm and dropout in C: torch's batch norm, value for value, on their own and behind a layer."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from workbench.errors import ParameterError
from workbench.recurrence import batchnorm, layer, normalize
from workbench.recurrence.cpu import compiler
from workbench.recurrence.cpu import engine as cpu

pytestmark = pytest.mark.skipif(compiler.missing() is not None, reason=str(compiler.missing()))
SHAPES = [(2, 1, 1), (1, 5, 3), (33, 7, 17), (784, 3, 40), (40, 33, 130)]


def draw(rng, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)


def a_norm(rng, N, dtype=torch.float64, **settings):
    norm = nn.BatchNorm1d(N, **settings).to(dtype)
    with torch.no_grad():
        for value in (*norm.parameters(), norm.running_mean, norm.running_var):
            if value is not None:
                value.copy_(draw(rng, N).abs() + 0.5)
    return norm


def a_mask(rng, B, N, dtype=torch.float64, keep=0.7):
    return torch.empty(B, N, dtype=dtype).bernoulli_(keep, generator=rng) / keep


def outcome(call, norm, inputs, g):
    """The output, all gradients and the running statistics after one call."""
    leaves = [v.detach().clone().requires_grad_() for v in inputs]
    y = call(norm, *leaves)
    learned = [] if norm is None else list(norm.parameters())
    grads = torch.autograd.grad(y, [*leaves, *learned], g.to(y.dtype))
    stored = [] if norm is None else [b.clone() for b in norm.buffers()]
    return [y.detach(), *grads, *stored]


def distance(x, y):
    """Relative to the whole array, absolute where that is below 1."""
    return float((x.double() - y.double()).norm() / (1 + y.double().norm()))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("backend", ["cpu", "torch"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dropout", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_gradients_and_running_statistics_are_torchs(shape, dropout, training, backend, dtype, tolerance, rng):
    h, g, norm = draw(rng, *shape).relu(), draw(rng, *shape), a_norm(rng, shape[2]).train(training)
    mask = a_mask(rng, *shape[1:]) if dropout else None
    theirs = outcome(lambda n, v: batchnorm.in_torch(v, n, mask), copy.deepcopy(norm), [h], g)
    norm, narrow = norm.to(dtype), None if mask is None else mask.to(dtype)
    ours = outcome(lambda n, v: normalize(v, n, narrow, backend=backend), norm, [h.to(dtype)], g)
    for x, y in zip(ours, theirs, strict=True):
        assert distance(x, y) < tolerance


@pytest.mark.parametrize("backend", ["cpu", "torch", "loop", "auto"])
@pytest.mark.parametrize("shape", [(784, 4, 32), (784, 32, 8), (25_000, 1, 3)])
def test_many_values_a_feature_cost_no_precision_in_float32(shape, backend, rng):
    """Added one by one they would cost two digits or three."""
    h, g = draw(rng, *shape).relu().float().double(), draw(rng, *shape).float().double()
    exact = outcome(lambda n, v: batchnorm.in_torch(v, n, None), nn.BatchNorm1d(shape[2]).double(), [h], g)
    found = outcome(lambda n, v: normalize(v, n, None, backend=backend), nn.BatchNorm1d(shape[2]), [h.float()], g)
    for ours, theirs in zip(found, exact, strict=True):
        assert float((ours.double() - theirs).norm() / theirs.double().norm()) < 5e-7


@pytest.mark.parametrize("backend", ["cpu", "torch"])
@pytest.mark.parametrize("affine", [True, False])
def test_in_half_precision_only_what_is_stored_is_rounded(affine, backend, rng):
    h, g, norm = draw(rng, 60, 4, 5).bfloat16(), draw(rng, 60, 4, 5).bfloat16(), nn.BatchNorm1d(5, affine=affine)
    y, grad, *_ = outcome(lambda n, v: normalize(v, n, None, backend=backend), norm, [h], g)
    exact = outcome(lambda n, v: batchnorm.in_torch(v, n, None), nn.BatchNorm1d(5, affine=affine), [h.float()], g)
    assert y.dtype == grad.dtype == torch.bfloat16
    assert torch.equal(y, exact[0].bfloat16())
    assert distance(grad, exact[1]) < 5e-3


def test_whether_values_fit_a_cache_changes_nothing(monkeypatch, rng):
    h, g, mask, results = draw(rng, 50, 4, 6), draw(rng, 50, 4, 6), a_mask(rng, 4, 6), []
    for values in (1, 100, 10**9):
        monkeypatch.setattr(batchnorm, "_CACHE", values)
        norm = nn.BatchNorm1d(6).double()
        results.append(outcome(lambda n, v: normalize(v, n, mask, backend="torch"), norm, [h], g))
    assert_close(results[1:], [results[0]] * 2, rtol=1e-12, atol=1e-13)


def test_dropout_alone_is_the_mask(rng):
    h, g, mask = draw(rng, 9, 4, 5), draw(rng, 9, 4, 5), a_mask(rng, 4, 5)
    y, grad_h = outcome(lambda _, v: normalize(v, None, mask, backend="cpu"), None, [h], g)
    assert torch.equal(y, h * mask)
    assert torch.equal(grad_h, g * mask)


def test_a_mean_far_above_the_deviation_costs_no_precision(rng):
    """A one-pass sum of squares would leave nothing of a variance of 1 around 10,000 in float32."""
    h = (draw(rng, 500, 4, 3) + 10_000).float()
    norm = nn.BatchNorm1d(3)
    y = normalize(h, norm, backend="cpu").detach()
    exact = h.double()
    exact = (exact - exact.mean((0, 1))) / (exact.var((0, 1), correction=0) + norm.eps).sqrt()
    assert float((y - exact).abs().max()) < 2e-3  # the mean itself, stored as float32, is off by up to 5e-4


@pytest.mark.parametrize("backend", ["cpu", "torch"])
@pytest.mark.parametrize("settings", [{"momentum": None}, {"momentum": 0.0}, {"momentum": 0.3}, {"affine": False}])
def test_running_statistics_follow_torchs_over_several_batches(settings, backend, rng):
    ours, theirs = (nn.BatchNorm1d(6, **settings).double() for _ in range(2))
    for _ in range(3):
        h = draw(rng, 5, 4, 6) + 1
        assert_close(normalize(h, ours, backend=backend), batchnorm.in_torch(h, theirs, None), rtol=1e-12, atol=1e-12)
        assert_close(dict(ours.named_buffers()), dict(theirs.named_buffers()), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_without_running_statistics_those_of_the_batch_are_used_in_evaluation_too(backend, rng):
    norm, h = nn.BatchNorm1d(6, track_running_stats=False).double().eval(), draw(rng, 5, 4, 6)
    assert_close(normalize(h, norm, backend=backend), batchnorm.in_torch(h, norm, None), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("M", [1, 2, 5])
def test_gradients_pass_gradcheck_behind_a_layer_and_alone(M, training, rng):
    norm, mask = a_norm(rng, 4).train(training), a_mask(rng, 3, 4)
    norm.momentum = 0.0  # or each evaluation would change what the next one gives
    u, h = draw(rng, 4).requires_grad_(), draw(rng, 6, 3, 4).requires_grad_()
    sizes = ((6, 3, M), (4, M), (4,), (3, 4))
    x, w, b, h0 = (draw(rng, *s).requires_grad_() for s in sizes)
    for needs_x in (True, False):
        x.requires_grad_(needs_x)
        leaves = [v for v in (x, w, b, u, h0, *norm.parameters()) if v.requires_grad]
        assert torch.autograd.gradcheck(lambda *_: layer(x, w, b, u, h0, backend="cpu", norm=norm, mask=mask), leaves)
    assert torch.autograd.gradcheck(lambda *_: normalize(h, norm, mask, backend="cpu"), [h, *norm.parameters()])


def test_of_mixed_dtypes_torch_decides_what_they_mean(rng):
    h, mask = draw(rng, 5, 3, 4), a_mask(rng, 3, 4)
    assert batchnorm.alike(h, a_norm(rng, 4), mask)
    assert batchnorm.alike(h, nn.BatchNorm1d(4, affine=False, track_running_stats=False), None)
    assert not batchnorm.alike(h, a_norm(rng, 4).float(), mask)
    assert not batchnorm.alike(h, a_norm(rng, 4), mask.float())


@pytest.mark.parametrize("backend", ["loop", "torch", "scan", "cpu", "auto"])
@pytest.mark.parametrize(("normed", "masked"), [(True, False), (False, True), (True, True), (False, False)])
def test_behind_every_engine_comes_what_was_asked_for(normed, masked, backend, rng):
    x, w, b, u = draw(rng, 9, 3, 5), draw(rng, 4, 5), draw(rng, 4), draw(rng, 4).clamp(-1, 1)
    norm, mask = a_norm(rng, 4) if normed else None, a_mask(rng, 3, 4) if masked else None
    expected = batchnorm.in_torch(layer(x, w, b, u, backend="loop"), copy.deepcopy(norm), mask)
    assert_close(layer(x, w, b, u, backend=backend, norm=norm, mask=mask), expected)


@pytest.mark.parametrize("training", [True, False])
def test_a_gradient_that_can_be_differentiated_again_is_the_same(training, rng):
    norm, mask, g = a_norm(rng, 4).train(training), a_mask(rng, 3, 4), draw(rng, 6, 3, 4)
    norm.momentum = 0.0
    sizes = (6, 3, 5), (4, 5), (4,), (4,), (3, 4)
    inputs, h = [draw(rng, *s).requires_grad_() for s in sizes], draw(rng, 6, 3, 4).requires_grad_()
    for call, leaves in (
        (lambda: layer(*inputs, backend="cpu", norm=norm, mask=mask), [*inputs, *norm.parameters()]),
        (lambda: normalize(h, norm, mask, backend="cpu"), [h, *norm.parameters()]),
    ):
        once, again = (torch.autograd.grad(call(), leaves, g, create_graph=graph) for graph in (False, True))
        assert_close(again, once, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("large", [1, 10**9])
@pytest.mark.parametrize("M", [1, 2, 6])
@pytest.mark.parametrize("training", [True, False])
def test_behind_a_layer_it_is_what_it_is_alone(M, training, large, monkeypatch, rng):
    monkeypatch.setattr(cpu, "LARGE", large)  # products in C, or left to torch
    inputs = draw(rng, 50, 9, M), draw(rng, 18, M), draw(rng, 18), draw(rng, 18).clamp(-1, 1), draw(rng, 9, 18)
    norm, mask, g = a_norm(rng, 18).train(training), a_mask(rng, 9, 18), draw(rng, 50, 9, 18)

    def together(n, *v):
        return layer(*v, backend="cpu", norm=n, mask=mask)

    def apart(n, *v):
        return batchnorm.in_torch(layer(*v, backend="loop"), n, mask)

    theirs = outcome(apart, copy.deepcopy(norm), inputs, g)
    for x, y in zip(outcome(together, norm, inputs, g), theirs, strict=True):
        assert distance(x, y) < 1e-12


@pytest.mark.parametrize("M", [1, 6])
def test_without_gradients_the_answer_is_the_same(M, rng):
    x, w, u = draw(rng, 9, 4, M), draw(rng, 5, M), draw(rng, 5)
    norm, mask = a_norm(rng, 5), a_mask(rng, 4, 5)
    norm.momentum = 0.0
    with torch.no_grad():
        plain = layer(x, w, None, u, backend="cpu", norm=norm, mask=mask)
    assert torch.equal(plain, layer(x, w, None, u.requires_grad_(), backend="cpu", norm=norm, mask=mask))


def test_the_number_of_threads_changes_nothing(rng):
    inputs = [draw(rng, *s, dtype=torch.float32) for s in ((300, 40, 2), (66, 2), (66,), (66,), (40, 66))]
    inputs[3].clamp_(-1, 1)
    mask, g, results = a_mask(rng, 40, 66, torch.float32), draw(rng, 300, 40, 66), []
    before = torch.get_num_threads()
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        norm = nn.BatchNorm1d(66)
        results.append(outcome(lambda n, *v: layer(*v, backend="cpu", norm=n, mask=mask), norm, inputs, g))
    torch.set_num_threads(before)
    assert all(torch.equal(x, y) for other in results[1:] for x, y in zip(results[0], other, strict=True))


@pytest.mark.parametrize("backend", ["loop", "torch"])
def test_the_pure_torch_engines_do_it_like_torch(backend, rng):
    x, w, u, norm = draw(rng, 9, 4, 3), draw(rng, 5, 3), draw(rng, 5), nn.BatchNorm1d(5).double()
    expected = batchnorm.in_torch(layer(x, w, None, u, backend="loop"), copy.deepcopy(norm), None)
    assert_close(layer(x, w, None, u, backend=backend, norm=norm), expected, rtol=1e-12, atol=1e-12)
    assert int(norm.num_batches_tracked) == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"h": torch.zeros(3, 4)}, r"^h: shape \(3, 4\)"),
        ({"norm": nn.BatchNorm1d(3)}, "^norm: made for 3 features; h has 4"),
        ({"mask": torch.ones(4)}, r"^mask: shape \(4,\).*\(2, 4\)"),
        ({"h": torch.zeros(1, 1, 4), "mask": None}, "^batch: .*at least 2"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(arguments, named):
    with pytest.raises(ParameterError, match=named):
        normalize(**({"h": torch.zeros(3, 2, 4), "norm": nn.BatchNorm1d(4), "mask": None} | arguments))


@pytest.mark.parametrize("backend", ["cpu", "torch"])
@pytest.mark.parametrize("training", [True, False])
def test_a_scale_without_a_shift_counts(training, backend, rng):
    """BatchNorm1d(bias=False) once lost its learned scale."""
    norm, h, g = a_norm(rng, 5, bias=False).train(training), draw(rng, 6, 4, 5), draw(rng, 6, 4, 5)
    theirs = outcome(lambda n, v: batchnorm.in_torch(v, n, None), copy.deepcopy(norm), [h], g)
    ours = outcome(lambda n, v: normalize(v, n, backend=backend), norm, [h], g)
    assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
@pytest.mark.parametrize("settings", [{"affine": False}, {"bias": False}])
def test_second_derivatives_without_a_scale_or_a_shift(settings, backend, rng):
    norm, h = nn.BatchNorm1d(3, momentum=0.0, **settings).double(), draw(rng, 4, 2, 3).requires_grad_()
    y, g = normalize(h, norm, backend=backend), draw(rng, 4, 2, 3)
    once, again = (torch.autograd.grad(y, h, g, create_graph=graph, retain_graph=True)[0] for graph in (False, True))
    assert_close(again, once, rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradgradcheck(lambda v: normalize(v, norm, backend=backend), h)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
@pytest.mark.parametrize("made", [nn.BatchNorm1d, nn.LayerNorm, lambda N: None])
def test_a_mask_may_change_after_the_pass_and_may_be_learned(made, backend, rng):
    h, g, mask = draw(rng, 6, 3, 4), draw(rng, 6, 3, 4), a_mask(rng, 3, 4)
    norm = made(4) and made(4).double()
    expected = outcome(lambda n, v, m: batchnorm.in_torch(v, n, m), copy.deepcopy(norm), [h, mask], g)
    found = outcome(lambda n, v, m: normalize(v, n, m, backend=backend), copy.deepcopy(norm), [h, mask], g)
    assert_close(found, expected, rtol=1e-10, atol=1e-10)
    drops, v = mask.clone(), h.clone().requires_grad_()
    y = normalize(v, norm, drops, backend=backend)
    drops.zero_()
    if backend == "cpu":
        assert_close(torch.autograd.grad(y, v, g)[0], expected[1], rtol=1e-10, atol=1e-10)
    else:  # as torch says it
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(y, v, g)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_an_empty_batch_does_not_poison_the_running_statistics(backend):
    norm = nn.BatchNorm1d(4)
    for empty in (torch.zeros(5, 0, 4), torch.zeros(1, 1, 4)):
        with pytest.raises(ParameterError, match=r"batch: states of shape .* in training it needs T"):
            normalize(empty, norm, backend=backend)
    assert norm.running_mean.isfinite().all()
    assert norm.running_var.isfinite().all()
    assert normalize(torch.zeros(5, 0, 4), norm.eval(), backend=backend).shape == (5, 0, 4)
