"""Batch norm with padding, and with statistics for every step: exact answers and laws."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import batch_norm
from torch.testing import assert_close

from workbench.errors import ParameterError
from workbench.models.layer import Unit
from workbench.models.norms import BatchNorm, StepNorm
from workbench.models.sequence import Span

F64 = torch.float64


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng, dtype=F64)


@pytest.fixture
def padded(rng):
    """x (6, 3, 2), the lengths of its sequences, and which of its steps are real."""
    lengths = torch.tensor([2, 6, 3])
    return normal(rng, 6, 3, 2), lengths, torch.arange(6)[:, None] < lengths


def test_only_real_steps_enter_the_statistics(padded):
    x, lengths, real = padded
    bn = BatchNorm(2).double()
    out = bn(x, Span(x, lengths))
    steps = x[real]
    assert_close(bn.running_mean, 0.1 * steps.mean(0))
    assert_close(bn.running_var, 0.9 + 0.1 * steps.var(0))
    assert_close(out[real], (steps - steps.mean(0)) / (steps.var(0, unbiased=False) + 1e-5).sqrt())
    assert not out[~real].any()


def test_what_stands_in_the_padding_moves_nothing_and_gets_no_gradient(padded):
    x, lengths, real = padded
    other = torch.where(real[..., None], x, 1e6).requires_grad_()
    one, two = BatchNorm(2).double(), BatchNorm(2).double()
    expected, out = one(x, Span(x, lengths)), two(other, Span(other, lengths))
    assert torch.equal(out, expected)
    assert torch.equal(one.running_var, two.running_var)
    (out**3).sum().backward()
    assert not other.grad[~real].any()
    assert other.grad[real].all()


def test_lengths_without_padding_change_nothing(padded):
    x, _, _ = padded
    assert torch.equal(BatchNorm(2).double()(x, Span(x, [6, 6, 6])), BatchNorm(2).double()(x))


def test_one_real_step_is_too_few_for_statistics():
    x = torch.zeros(4, 1, 2)
    with pytest.raises(ParameterError, match="one value per feature"):
        BatchNorm(2)(x, Span(x, [1]))


@pytest.mark.parametrize(("lengths", "message"), [
    ([1, 2], "lengths: torch.int64 of shape"), ([1, 2, 7], "lengths: 7 is outside 1...6"), ([0, 1, 1], "lengths: 0 is"),
    ([1.0, 2.0, 3.0], "lengths: torch.float32"), ("long", "lengths: 'long'"),
])  # fmt: skip
def test_wrong_lengths_are_named(padded, lengths, message):
    with pytest.raises(ParameterError, match=message):
        Span(padded[0], lengths)


# --- statistics for every step ---


def test_norm_over_steps_is_torchs_batch_norm_of_each_step(rng):
    x, weight = normal(rng, 5, 4, 3), normal(rng, 5, 4, 3)
    norm = StepNorm(3, 5, gain=0.1).double()
    with torch.no_grad():
        norm.bias.copy_(normal(rng, 3))
    mean, var = torch.zeros(21, 3, dtype=F64), torch.ones(21, 3, dtype=F64)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    out = norm(ours, Span(start=2))
    gain, bias = norm.weight.detach().clone().requires_grad_(), norm.bias.detach().clone().requires_grad_()
    expected = torch.stack(
        [batch_norm(theirs[t], mean[2 + t], var[2 + t], gain, bias, True, 0.1, 1e-5) for t in range(5)]
    )
    assert_close(out, expected)
    assert_close(norm.running_mean, mean)
    assert_close(norm.running_var, var)
    (out * weight).sum().backward()
    (expected * weight).sum().backward()
    assert_close(ours.grad, theirs.grad)
    assert_close(norm.weight.grad, gain.grad)
    assert_close(norm.bias.grad, bias.grad)


@pytest.mark.parametrize(("start", "first"), [(0, 0), (3, 3), (8, 8), (9, 8), (1000, 8)])
def test_steps_beyond_twice_the_chunk_share_their_rows(rng, start, first):
    norm = StepNorm(2, 4).double()
    norm(normal(rng, 6, 3, 2), Span(start=start))
    touched = (norm.running_mean != 0).any(1).nonzero().squeeze(1).tolist()
    assert touched == list(range(first, first + 6))
    assert len(norm.running_mean) == 17


def test_over_a_chunk_every_chunk_has_the_same_rows(rng):
    norm = StepNorm(2, 4, over="chunk").double()
    norm(normal(rng, 3, 3, 2), Span(start=1000))
    assert (norm.running_mean != 0).all(1).tolist() == [True, True, True, False]
    with pytest.raises(ParameterError, match="5 steps received; norm over steps has statistics for 4"):
        norm(normal(rng, 5, 3, 2))


def test_stored_statistics_are_those_of_the_position(rng):
    norm, x = StepNorm(2, 4).double().eval(), normal(rng, 3, 2, 2)
    norm.running_mean.copy_(normal(rng, 17, 2))
    norm.running_var.copy_(torch.rand(17, 2, generator=rng, dtype=F64))
    whole = norm(x, Span(start=2))
    assert_close(torch.cat([norm(x[:1], Span(start=2)), norm(x[1:], Span(start=3))]), whole)
    expected = (x[1] - norm.running_mean[3]) / (norm.running_var[3] + 1e-5).sqrt()
    assert_close(whole[1], expected)


def test_momentum_zero_leaves_the_tables_alone(rng):
    norm = StepNorm(2, 4).double()
    norm.momentum = 0.0
    norm(normal(rng, 3, 2, 2))
    assert not norm.running_mean.any()
    assert (norm.running_var == 1).all()


def test_what_norm_over_steps_cannot_do_is_said():
    norm = StepNorm(2, 4)
    with pytest.raises(ParameterError, match="10 steps received; norm over steps has statistics for 9"):
        norm(torch.zeros(10, 2, 2), Span(start=8))
    with pytest.raises(ParameterError, match="1 sequence received"):
        norm(torch.zeros(3, 1, 2))
    norm.momentum = None
    with pytest.raises(ParameterError, match="bn_statistics: 'running' is needed"):
        norm(torch.zeros(3, 2, 2))


@pytest.mark.parametrize("over", ["sequence", "step"])
@pytest.mark.parametrize("norm", ["after", "before", "none"])
def test_gradients_of_a_unit_are_right(rng, norm, over):
    unit = Unit(2, 3, norm=norm, over=over, steps=2, activation="tanh", generator=rng).double()
    unit.backend = "torch"
    names, values = zip(*unit.named_parameters(), strict=True)
    x, h0 = normal(rng, 3, 3, 2).requires_grad_(), normal(rng, 3, 3).requires_grad_()

    def run(x, h0, *values):
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(unit, parameters, (x, Span(states=[h0])))

    assert torch.autograd.gradcheck(run, (x, h0, *values))


# --- rounding in float32 ---


def gradients(module, call, dtype):
    module = copy.deepcopy(module).to(dtype).train()
    call(module).backward()
    return {name: p.grad for name, p in module.named_parameters()} | dict(module.named_buffers())


def errors(found, exact):
    """Of each tensor, relative to its norm, in order; one that is 0 but for rounding has none."""
    exact = {name: value.double() for name, value in exact.items() if float(value.double().norm()) > 1e-12}
    return sorted(float((found[name] - value).norm() / value.norm()) for name, value in exact.items())


@pytest.mark.parametrize("way", ["whole", "padded", "shared", "step"])
def test_no_kind_of_batch_norm_loses_precision_to_many_values(way, rng):
    T, B, N = (3, 3000, 8) if way == "step" else (784, 4, 8)
    x, g = (torch.randn(T, B, N, generator=rng) for _ in range(2))
    x.relu_()
    norm = StepNorm(N, T) if way == "step" else BatchNorm(N)
    if way == "shared":
        norm.ranks = SimpleNamespace(share=object(), gather=lambda v: [v], sum=lambda v: v)
    lengths = torch.tensor([700, 784, 3, 650]) if way == "padded" else None

    def call(module):
        leaf = x.to(module.weight.dtype).requires_grad_()
        module.register_parameter("input", torch.nn.Parameter(leaf.detach()))
        return (module(module.input, Span(leaf, lengths)) * g.to(leaf.dtype)).sum()

    exact, found = gradients(norm, call, F64), gradients(norm, call, torch.float32)
    assert len(exact) == 6
    assert errors(found, exact)[-1] < 5e-7


def test_norm_over_steps_can_be_differentiated_twice(rng):
    norm, x = StepNorm(3, 2).double(), normal(rng, 2, 4, 3).requires_grad_()
    norm.momentum = 0.0
    for training in (True, False):
        norm.train(training)
        assert torch.autograd.gradgradcheck(lambda *v: norm(v[0]), (x, *norm.parameters()))


def test_twice_over_several_processes_is_refused(rng):
    norm, x = BatchNorm(3).double(), normal(rng, 2, 4, 3).requires_grad_()
    norm.ranks = SimpleNamespace(share=object(), gather=lambda v: [v], sum=lambda v: v)
    with pytest.raises(ParameterError, match="create_graph: True received; one process alone"):
        torch.autograd.grad(norm(x).square().sum(), x, create_graph=True)
