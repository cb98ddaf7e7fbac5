"""The Triton kernels of whole layers on the CPU, in Triton's interpreter; test_engine_triton.py runs this file.

Given the same statistics, states and gradients are bit for bit those of the loop and of PyTorch's operators, one by
one (engine `torch` rounds once where a processor multiplies and adds in one); the statistics answer to float64.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench.models.layer import BatchNorm
from workbench.recurrence import engine_triton, layer, neurons, recur, triton_layer
from workbench.recurrence.cpu.batchnorm import Norm
from workbench.recurrence.engine_triton import Behind

pytestmark = [  # numpy, under the interpreter
    pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning"),
]
SHAPES = [(11, 3, 5), (16, 2, 40), (32, 4, 3)]  # T, B, N


def norm_of(N, rng, dtype=torch.float32):
    norm = BatchNorm(N).to(dtype)
    for parameter in norm.parameters():
        parameter.data = torch.randn(N, generator=rng, dtype=dtype)
    return norm


def draw(rng, T, B, N, dtype=torch.float32):
    """a, u of both signs, h0, a mask of zeros and twos, and a gradient."""
    a, u, h0, g = (torch.randn(*s, generator=rng).to(dtype) for s in ((T, B, N), (N,), (B, N), (T, B, N)))
    mask = torch.empty(B, N, dtype=dtype).bernoulli_(0.5, generator=rng).div_(0.5)
    return a + 0.5, u.clamp(-1.1, 1.1), h0, mask, g


@pytest.mark.parametrize("activation", ["relu", "identity", "leaky_relu"])
@pytest.mark.parametrize("shape", SHAPES)
def test_given_the_statistics_states_and_gradients_are_those_of_the_loop_bit_for_bit(shape, activation, rng):
    T, B, N = shape
    a, u, h0, mask, g = draw(rng, T, B, N)
    norm, count = norm_of(N, rng), T * B
    h, sums = engine_triton.ONE_AFTER_THE_OTHER.states(a, u, h0, activation, False, moments=True)
    leaves = [v.clone().requires_grad_() for v in (a, u, h0)]
    expected = recur(*leaves, activation=activation, backend="loop")
    assert torch.equal(h, expected)
    sums, y = sums.sum(1, keepdim=True), torch.empty_like(h)
    found = triton_layer._normalize(h, y, sums, norm, mask)
    gain, shift = (v.detach().double() for v in (norm.weight, norm.bias))
    mean, variance = found
    inverse = 1 / torch.sqrt(variance + norm.eps)
    scale = (gain / torch.sqrt(variance + norm.eps)).float()
    assert torch.equal(y, (shift - mean * scale.double()).float() * mask + h * (scale * mask))

    weighed = triton_layer._weigh(g, h, found, mask).sum(1, keepdim=True)
    behind = Behind(Norm(norm.weight, norm.bias, None, norm.eps, mask), found, weighed)
    d, learned, grad_h0, normed = engine_triton.gradients(g, h, u, h0, activation, behind=behind)
    plain, product = weighed[:, 0]
    slope = inverse * gain
    scale, slope = slope.float() * mask, slope / -count
    factor = (slope * inverse * inverse * product).float()
    level = (slope * plain - mean * factor.double()).float()
    pulled = (level + h * factor) + g * scale
    theirs = torch.autograd.grad(expected, leaves, pulled)
    assert torch.equal(d, theirs[0])
    assert torch.equal(grad_h0, theirs[2])
    torch.testing.assert_close(learned, torch.stack((theirs[1], d.sum((0, 1)))), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(normed, torch.stack((product * inverse, plain)).float())


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_mean_and_deviation_are_those_of_float64(shape, offset, rng):
    T, B, N = shape
    a, u, _, mask, _ = draw(rng, T, B, N)
    norm = norm_of(N, rng)
    h, sums = engine_triton.ONE_AFTER_THE_OTHER.states(a + offset, u * 0.01, None, "relu", False, moments=True)
    found = triton_layer._normalize(h, torch.empty_like(h), sums, norm, mask)
    exact = torch.stack((h.double().mean((0, 1)), h.double().var((0, 1), correction=0)))
    torch.testing.assert_close(found[0], exact[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(found[1].sqrt(), exact[1].sqrt(), rtol=1e-6, atol=0)
    if not offset:
        weighed = triton_layer._weigh(h - 1, h, found, mask).sum(1)
        g, off = (h - 1).double() * mask, h.double() - found[0]
        torch.testing.assert_close(weighed, torch.stack((g.sum((0, 1)), (g * off).sum((0, 1)))), rtol=1e-6, atol=1e-6)


def run(call, leaves, g):
    """The answer and the gradients of all leaves."""
    leaves = [None if v is None else v.detach().clone().requires_grad_() for v in leaves]
    y = call(*leaves)
    y.backward(g)
    return [y.detach(), *(v.grad for v in leaves if v is not None)]


def by_hand(norm, mask, activation="relu"):
    """The layer in PyTorch's own operators, in the dtype of what is given."""

    def call(x, weight, bias, u, h0, gain, shift):
        a = x if weight is None else nn.functional.linear(x, weight, bias)
        h = recur(a, u, h0, activation=activation, backend="loop")
        if gain is not None:
            center = h - h.mean((0, 1))
            h = center / torch.sqrt(center.square().mean((0, 1)) + norm.eps) * gain + shift
        return h if mask is None else h * mask

    return call


def ours(norm, mask, activation="relu"):
    def call(x, weight, bias, u, h0, gain, shift):
        if norm is not None:
            for name, value in (("weight", gain), ("bias", shift)):
                delattr(norm, name)
                setattr(norm, name, value)
        if weight is None:
            return neurons(x, u, h0, activation=activation, backend="triton", norm=norm, mask=mask)
        return layer(x, weight, bias, u, h0, activation=activation, backend="triton", norm=norm, mask=mask)

    return call


@pytest.mark.parametrize("state", [True, False])
@pytest.mark.parametrize("product", [True, False])
@pytest.mark.parametrize(("normed", "dropped"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_layer_and_all_its_gradients_are_those_of_torch(product, normed, dropped, state, rng, monkeypatch):
    monkeypatch.setattr(engine_triton, "ROWS", 2)  # more sequences than a kernel adds up by itself
    T, B, N, M = 11, 3, 5, 4
    a, u, h0, mask, g = draw(rng, T, B, N, torch.float64)
    x, weight, bias = (torch.randn(*s, generator=rng, dtype=torch.float64) for s in ((T, B, M), (N, M), (N,)))
    norm, mask = norm_of(N, rng, torch.float64) if normed else None, mask if dropped else None
    leaves = [x, weight, bias] if product else [a, None, None]
    leaves += [u, h0 if state else None, *((norm.weight, norm.bias) if normed else (None, None))]
    found, expected = run(ours(norm, mask), leaves, g), run(by_hand(norm, mask), leaves, g)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    if normed:
        h = recur(nn.functional.linear(x, weight, bias) if product else a, u, h0 if state else None, backend="loop")
        reference = nn.BatchNorm1d(N, dtype=torch.float64)
        reference(h.reshape(-1, N))
        for name, value in reference.named_buffers():
            torch.testing.assert_close(getattr(norm, name), value, rtol=1e-12, atol=1e-12)


def test_two_runs_give_the_same_bits_and_what_is_given_stays_as_it_was(rng):
    a, u, h0, mask, g = draw(rng, 16, 3, 5)
    kept, results = a.clone(), []
    for _ in range(2):
        norm = norm_of(5, torch.Generator().manual_seed(1))
        results.append(run(ours(norm, mask), [a, None, None, u, h0, norm.weight, norm.bias], g))
    assert all(torch.equal(x, y) for x, y in zip(*results, strict=True))
    assert torch.equal(a, kept)


def test_half_precision_is_stored_around_a_float32_state(rng):
    a, u, h0, mask, g = draw(rng, 16, 2, 5)
    norm = norm_of(5, rng)
    given = [(a.abs() + 1.5).bfloat16(), None, None, u.abs() * 0.5, h0.abs().bfloat16(), norm.weight, norm.bias]
    found = run(ours(norm, mask.bfloat16()), given, g.bfloat16())
    exact = run(by_hand(norm, mask.float()), [None if v is None else v.float() for v in given], g.bfloat16().float())
    assert [v.dtype for v in found] == [
        torch.bfloat16,
        torch.bfloat16,
        *[torch.float32],
        torch.bfloat16,
        *[torch.float32] * 2,
    ]
    for x, y in zip(found, exact, strict=True):  # the interpreter cuts bfloat16, where a device rounds
        assert float((x.float() - y).abs().max()) <= 0.03 * (1 + float(y.abs().max()))


def test_it_can_be_differentiated_twice(rng):
    a, u, h0, mask, _ = draw(rng, 8, 2, 3, torch.float64)
    norm, found = norm_of(3, rng, torch.float64), []
    for call in (ours(norm, mask), by_hand(norm, mask)):
        leaves = [v.detach().clone().requires_grad_() for v in (a, u, h0, norm.weight, norm.bias)]
        y = call(leaves[0], None, None, *leaves[1:])
        first = torch.autograd.grad(y.square().sum(), leaves, create_graph=True)
        found.append(torch.autograd.grad(sum(v.square().sum() for v in first), leaves))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize(("loss", "norm"), [(0.5, 3.0), (float("nan"), 3.0), (0.5, float("inf")), (float("-inf"), 0.0)])
def test_the_findings_of_a_step_come_from_one_kernel(loss, norm, rng):
    from workbench.training.device_steps import found as find

    norms = torch.tensor([3.0, norm, 4.0])
    output = torch.randint(3, (7, 5), generator=rng).float()  # with many that are equal: the first counts
    y = torch.randint(5, (7,), generator=rng)
    in_a_row = torch.tensor(2, dtype=torch.int32)
    told, bad, wrong = find(norms, torch.tensor(loss), output, y, True, in_a_row)
    exact = torch.tensor([loss, int((output.argmax(-1) == y).sum()), 0.0], dtype=torch.float64)
    exact[2] = norms.double().norm()
    torch.testing.assert_close(told, exact, equal_nan=True, rtol=1e-15, atol=0)
    finite = bool(torch.isfinite(exact).all())
    assert (float(bad), bool(wrong), int(in_a_row)) == (float(not finite), not finite, 0 if finite else 3)
    in_a_row.fill_(3)  # nothing after three in a row
    told, bad, wrong = find(norms, torch.tensor(loss), output[:, 0], y.float(), False, in_a_row)
    assert (float(told[1]), float(bad), bool(wrong), int(in_a_row)) == (0, 1, True, 4)
