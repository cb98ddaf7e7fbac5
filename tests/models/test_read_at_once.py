"""Nets without a memory to compare with: a convolution sees so far and not ahead, a linear model three numbers."""

import pytest
import torch
from torch.testing import assert_close

from workbench.config import Model
from workbench.models.build import build, count
from workbench.seeds import generator
from workbench.tasks import Spec

F64 = torch.float64


def net_of(each_step=False, **model):
    spec = Spec(2, 3, 40, "class", each_step)
    return build(Model(**model), spec, generator(0, "init")).double().eval()


@pytest.mark.parametrize("kind", [{"kind": "convolution", "depth": 2, "hidden": 4}, {"kind": "linear"}])
def test_a_padded_sequence_answers_as_it_does_alone(kind, rng):
    net, x, lengths = net_of(**kind), torch.randn(9, 4, 2, generator=rng, dtype=F64), [9, 1, 4, 7]
    out = net(x, torch.tensor(lengths))
    for b, end in enumerate(lengths):
        assert_close(out[b : b + 1], net(x[:end, b : b + 1]), rtol=0, atol=1e-13)


def test_a_convolution_sees_as_far_as_its_depth_says_and_never_ahead(rng):
    net, x = net_of(True, kind="convolution", depth=3, hidden=4), torch.randn(40, 1, 2, generator=rng, dtype=F64)
    x.requires_grad_()
    seen = torch.autograd.grad(net(x)[35].sum(), x)[0].abs().sum(-1).flatten() > 0
    reach = 4 * (2**3 - 1) + 1
    assert seen.nonzero().flatten().tolist() == list(range(36 - reach, 36))


def test_a_linear_model_reads_mean_deviation_and_last_value():
    net = net_of(kind="linear")
    with torch.no_grad():
        net.readout.weight.zero_()
        net.readout.weight[0, 0] = net.readout.weight[1, 2] = net.readout.weight[2, 5] = 1.0
    x = torch.tensor([[[1.0, 7.0]], [[5.0, 9.0]]], dtype=F64)
    assert_close(net(x), torch.tensor([[3.0, 2.0, 9.0]], dtype=F64), rtol=1e-6, atol=0)


def test_their_parameters_are_counted_by_hand():
    assert count(net_of(kind="linear")) == 3 * (3 * 2 + 1)
    layers = (5 * 2 * 4 + 4 + 8) + (5 * 4 * 4 + 4 + 8)
    assert count(net_of(kind="convolution", depth=2, hidden=4)) == layers + 3 * 5
