"""Layer norm, RMS norm and dropout in C: torch's own, value for value, by themselves and as one with a layer."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from workbench.errors import ParameterError
from workbench.models.layer import Unit
from workbench.recurrence import batchnorm, functional, layer, normalize
from workbench.recurrence.cpu import compiler
from workbench.recurrence.cpu import engine as cpu

from .drawn import draw

pytestmark = pytest.mark.skipif(compiler.missing() is not None, reason=str(compiler.missing()))
F64 = torch.float64
SHAPES = [(1, 1, 1), (2, 5, 3), (33, 7, 17), (784, 3, 40), (40, 33, 130)]
every_kind = pytest.mark.parametrize("kind", ["layer", "rms"])


def a_norm(rng, kind, N, **settings):
    norm = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}[kind](N, eps=1e-5, **settings).double()
    with torch.no_grad():
        for value in norm.parameters():
            value.copy_(draw(rng, N).abs() + 0.5)
    return norm


def a_mask(rng, B, N, dtype=F64):
    return torch.empty(B, N, dtype=dtype).bernoulli_(0.7, generator=rng) / 0.7


def outcome(call, norm, inputs, g):
    """The output and all gradients."""
    leaves = [v.detach().clone().requires_grad_() for v in inputs]
    y = call(*leaves)
    return [y.detach(), *torch.autograd.grad(y, [*leaves, *norm.parameters()], g.to(y.dtype))]


def distance(x, y):
    """Relative to the whole array, absolute where that is below 1."""
    return float((x.double() - y.double()).norm() / (1 + y.double().norm()))


@every_kind
@pytest.mark.parametrize(("dtype", "tolerance"), [(F64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("dropout", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_torchs(shape, dropout, dtype, tolerance, kind, rng):
    h, g, norm = draw(rng, *shape, dtype=F64).relu(), draw(rng, *shape, dtype=F64), a_norm(rng, kind, shape[2])
    mask = a_mask(rng, *shape[1:]) if dropout else None
    theirs = outcome(lambda v: batchnorm.in_torch(v, norm, mask), norm, [h], g)
    narrow = None if mask is None else mask.to(dtype)
    ours = outcome(lambda v: normalize(v, norm, narrow, backend="cpu"), norm.to(dtype), [h.to(dtype)], g)
    for x, y in zip(ours, theirs, strict=True):
        assert distance(x, y) < tolerance


@every_kind
@pytest.mark.parametrize("large", [1, 10**9])
@pytest.mark.parametrize("M", [1, 2, 6])
def test_behind_a_layer_it_is_what_it_is_alone(M, large, kind, monkeypatch, rng):
    monkeypatch.setattr(cpu, "LARGE", large)  # products in C, or left to torch
    sizes = (50, 9, M), (18, M), (18,), (18,), (9, 18)
    inputs = [draw(rng, *s, dtype=F64) for s in sizes]
    inputs[3].clamp_(-1, 1)
    norm, mask, g = a_norm(rng, kind, 18), a_mask(rng, 9, 18), draw(rng, 50, 9, 18, dtype=F64)
    still = inputs[:1] if M <= 2 else []  # a first layer's x wants no gradient, and is read by C of its own
    ours, theirs = (
        outcome(lambda *v, b=b: layer(*still, *v, backend=b, norm=norm, mask=mask), norm, inputs[len(still) :], g)
        for b in ("cpu", "torch")
    )
    for x, y in zip(ours, theirs, strict=True):
        assert distance(x, y) < 1e-12
    with torch.no_grad():
        assert torch.equal(layer(*inputs, backend="cpu", norm=norm, mask=mask), ours[0])


@every_kind
def test_a_unit_is_one_with_its_norm_where_it_is_with_batch_norm(kind, rng, monkeypatch):
    units = [Unit(3, 5, norm_kind=it, dropout=0.5, generator=rng) for it in ("batch", kind)]
    monkeypatch.setattr(functional, "normalize", None)  # what comes behind a layer that has not fused it
    names = [type(unit(draw(rng, 7, 4, 3)).grad_fn).__name__ for unit in units]
    assert names == ["_LayerBackward"] * 2


@every_kind
def test_many_rows_cost_no_precision_in_float32(kind, rng):
    """Added one by one, the gradients of layer norm's gain and bias are 3e-6 off at 25,000 rows."""
    h, g = (draw(rng, 784, 32, 8).double() for _ in range(2))
    norm = a_norm(rng, kind, 8).float().double()
    exact = outcome(lambda v: batchnorm.in_torch(v, norm, None), norm, [h], g)
    found = outcome(lambda v: normalize(v, norm, backend="cpu"), norm.float(), [h.float()], g)
    for ours, theirs in zip(found, exact, strict=True):
        assert float((ours.double() - theirs).norm() / theirs.norm()) < 5e-7


@every_kind
def test_gradients_pass_gradcheck_and_can_be_differentiated_again(kind, rng):
    norm, mask, g = a_norm(rng, kind, 4), a_mask(rng, 3, 4), draw(rng, 6, 3, 4, dtype=F64)
    sizes = (6, 3, 5), (4, 5), (4,), (4,), (3, 4)
    inputs = [draw(rng, *s, dtype=F64).requires_grad_() for s in sizes]
    h = draw(rng, 6, 3, 4, dtype=F64).requires_grad_()
    for call, leaves in (
        (lambda: layer(*inputs, backend="cpu", norm=norm, mask=mask), [*inputs, *norm.parameters()]),
        (lambda: normalize(h, norm, mask, backend="cpu"), [h, *norm.parameters()]),
    ):
        assert torch.autograd.gradcheck(lambda *_, call=call: call(), leaves)
        once, again = (torch.autograd.grad(call(), leaves, g, create_graph=graph) for graph in (False, True))
        assert_close(again, once, rtol=1e-10, atol=1e-12)


@every_kind
def test_a_norm_without_gain_and_one_without_an_eps_are_torchs(kind, rng):
    h = draw(rng, 5, 4, 6)
    for norm in (a_norm(rng, kind, 6, elementwise_affine=False).float(), nn.RMSNorm(6)):
        assert_close(normalize(h, norm, backend="cpu"), batchnorm.in_torch(h, norm, None))


@every_kind
def test_the_number_of_threads_changes_nothing(kind, rng):
    inputs = [draw(rng, *s) for s in ((300, 40, 2), (66, 2), (66,), (66,), (40, 66))]
    inputs[3].clamp_(-1, 1)
    norm, mask, g, results = a_norm(rng, kind, 66).float(), a_mask(rng, 40, 66).float(), draw(rng, 300, 40, 66), []
    before = torch.get_num_threads()
    for count in (1, 3):
        torch.set_num_threads(count)
        results.append(outcome(lambda *v: layer(*v, backend="cpu", norm=norm, mask=mask), norm, inputs, g))
    torch.set_num_threads(before)
    assert all(torch.equal(x, y) for x, y in zip(*results, strict=True))


@pytest.mark.parametrize(("norm", "said"), [
    (nn.LayerNorm(3), "norm: made for 3 features; h has 4"),
    (nn.RMSNorm((2, 4)), "norm: made for 2 x 4 features; h has 4"),
])  # fmt: skip
def test_a_norm_of_other_features_is_refused(norm, said):
    with pytest.raises(ParameterError, match=said):
        normalize(torch.zeros(3, 2, 4), norm)
