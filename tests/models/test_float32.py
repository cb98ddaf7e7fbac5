"""Gradients of a six-layer net in float32 beside those in float64: no engine is less exact than engine `cpu`.

A relu's state that rounding lifts above zero, or lets fall, changes the gradient by a leap: one such flip in a million
states is up to 3e-3 at worst. That is no want of accuracy, so float64 is given the signs that float32 found.
"""

import copy
from statistics import median

import pytest
import torch

from workbench import recurrence
from workbench.models import build
from workbench.models.build import set_backend
from workbench.paper import experiment
from workbench.tasks import Spec
from workbench.training import evaluate

SEEDS = 5
ENGINES = [name for name in ("loop", "torch", "scan") if name in recurrence.available()]


def net_of(activation, N, seed):
    changes = {"hidden": N, "dropout": 0.0, "activation": activation}
    config = experiment("seqmnist_plain6").config.model.model_copy(update=changes)
    return build(config, Spec(1, 10, 784, "class"), torch.Generator().manual_seed(seed)).train()


def states(net, x, backend):
    """States h of every layer, and the answer."""
    found = []
    with torch.no_grad():
        for layer in copy.deepcopy(net).layers:
            fc = layer.fc
            h = recurrence.layer(x, fc.weight, fc.bias, layer.u, activation=layer.activation, backend=backend)
            x = recurrence.normalize(h, layer.bn, backend=backend)
            found.append(h)
        return found, net.readout(x[-1])


def exact(net, x, y, signs):
    """Gradients of the net in whose relus the signs of the states are given, or of the net as it is."""
    net = copy.deepcopy(net)
    for layer, positive in zip(net.layers, signs, strict=True):
        a, states = layer.fc(x), []
        h = torch.zeros_like(a[0])
        for a_t, m_t in zip(a.unbind(0), positive.to(a.dtype).unbind(0), strict=True):
            h = m_t * (a_t + layer.u * h)
            states.append(h)
        x = layer.bn(torch.stack(states))
    return gradients(net, lambda net: net.readout(x[-1]), y)


def gradients(net, call, y):
    evaluate.loss_of(call(net), y, "class").backward()
    return {name: p.grad.double() for name, p in net.named_parameters()}


def errors(found, true):
    """Of each parameter, relative to its norm, in order; one that is 0 but for rounding has none."""
    return sorted(float((found[n] - v).norm() / v.norm()) for n, v in true.items() if float(v.norm()) > 1e-12)


def measured(activation, B, N, seed, engines):
    """The median and worst error of the gradients of each engine, and how many of its states have a sign of their own.

    The latter is None where the activation has no kink.
    """
    net = net_of(activation, N, seed)
    x, y = torch.rand(784, B, 1, generator=torch.Generator().manual_seed(seed + 1)), torch.arange(B) % 10
    wide = copy.deepcopy(net).double()
    true, right = gradients(copy.deepcopy(wide), lambda net: net(x.double()), y), states(wide, x.double(), "auto")[0]
    found = {}
    for engine in engines:
        own = copy.deepcopy(net)
        set_backend(own, engine)
        ours = gradients(own, lambda net: net(x), y)
        seen, answer = states(net, x, engine)
        assert torch.equal(own(x), answer)  # so these are the signs that the gradients were made of
        flips = None
        if activation == "relu":
            flips = sum(int(((h > 0) != (h64 > 0)).sum()) for h, h64 in zip(seen, right, strict=True))
        off = errors(ours, exact(wide, x.double(), y, [h > 0 for h in seen]) if flips else true)
        found[engine] = off[len(off) // 2], off[-1], flips
    return found


@pytest.mark.skipif("cpu" not in recurrence.available(), reason="engine cpu is what the others are held to")
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("B", "N"), [(4, 32), (32, 8)])
def test_over_seeds_no_engine_is_less_exact_than_twice_engine_cpu(B, N, activation):
    """The median over seeds of the median, and of the worst, relative error of the gradients of all parameters."""
    engines = [name for name in ENGINES if recurrence.refuses(name, activation) is None]
    rows = [measured(activation, B, N, seed, ["cpu", *engines]) for seed in range(SEEDS)]
    for which in (0, 1):
        theirs = median(row["cpu"][which] for row in rows)
        for engine in engines:
            assert median(row[engine][which] for row in rows) < 2 * theirs, (engine, which)
    if activation == "relu":
        assert (
            sum(row[engine][2] for row in rows for engine in ["cpu", *engines]) < 50
        )  # of more than ten million states


def test_the_signs_given_to_float64_are_those_of_a_relu():
    net, x, y = net_of("relu", 8, 0).double(), torch.rand(784, 2, 1, dtype=torch.float64), torch.tensor([3, 1])
    true = gradients(copy.deepcopy(net), lambda net: net(x), y)
    seen = states(net, x, "auto")[0]
    assert errors(exact(net, x, y, [h > 0 for h in seen]), true)[-1] < 1e-9
    seen[2][400, 1] *= -1
    assert errors(exact(net, x, y, [h > 0 for h in seen]), true)[-1] > 1e-6
