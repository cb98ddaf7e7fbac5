"""Records that autograd makes of the nets: no copy of a view that was written over, no sum of gradients too many."""

from collections import Counter

import pytest
import torch
from torch.testing import assert_close

from workbench import recurrence
from workbench.config import Model
from workbench.models import build
from workbench.models.build import set_backend
from workbench.models.layer import Linear
from workbench.models.sequence import WHOLE
from workbench.tasks import Spec

COPIES = {"CopySlices", "AsStridedBackward0", "CopyBackwards", "CloneBackward0", "ToCopyBackward0"}
ENGINES = [name for name in ("loop", "torch", "cpu") if name in recurrence.available()]


def nodes(out):
    """Everything that the backward pass from `out` will do."""
    seen, left = set(), [out.grad_fn]
    while left:
        node = left.pop()
        if node is not None and node not in seen:
            seen.add(node)
            left += [following for following, _ in node.next_functions]
    return list(seen)


def count(out):
    return Counter(type(node).__name__ for node in nodes(out))


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("bias", [True, False])
def test_the_states_of_a_layer_are_written_over_its_product_without_a_copy(bias, backend, rng):
    x, w, b, u = (torch.randn(*s, generator=rng).requires_grad_() for s in ((9, 4, 3), (5, 3), (5,), (5,)))
    h = recurrence.layer(x, w, b if bias else None, u, backend=backend, norm=torch.nn.BatchNorm1d(5))
    assert not COPIES & count(h).keys()
    plain = recurrence.layer(x, w, b if bias else None, u, backend=backend)
    a = torch.nn.functional.linear(x, w, b if bias else None)
    assert torch.equal(plain, recurrence.recur(a, u, backend=backend)) or backend == "cpu"  # whose product is its own
    assert not plain._is_view()
    assert x._version == w._version == b._version == u._version == 0
    if backend != "loop":  # whose backward pass does not need what it gave
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            plain.mul_(2).sum().backward()


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("kind", [{"kind": "plain"}, {"kind": "residual"}, {"kind": "residual", "shortcut": "sum"}])
def test_a_net_of_sums_copies_nothing(kind, backend, rng):
    net = build(Model(**kind, depth=2, hidden=6, norm="after"), Spec(2, 3, 8, "class"), rng)
    set_backend(net, backend)
    out = net.train().run(torch.randn(8, 4, 2, generator=rng), WHOLE)
    assert not COPIES & count(out).keys()
    out.sum().backward()


def test_a_product_may_be_written_over_and_its_gradient_is_the_same(rng):
    fc, x = Linear(3, 5, generator=rng), torch.randn(6, 4, 3, generator=rng)
    product = fc(x)
    assert torch.equal(product, torch.nn.functional.linear(x, fc.weight, fc.bias))
    assert not product._is_view()
    (product.add_(1) ** 2).sum().backward()
    grad, fc.weight.grad = fc.weight.grad, None
    ((torch.nn.functional.linear(x, fc.weight, fc.bias) + 1) ** 2).sum().backward()
    assert_close(grad, fc.weight.grad)


def test_a_layer_of_the_dense_net_adds_one_gradient(rng):
    """A block of L layers concatenates twice L pieces; of all pieces at every layer it would be L (L + 3) / 2."""
    L = 6
    net = build(Model(kind="dense", growth=2, blocks=(L,), norm="after"), Spec(2, 3, 8, "class"), rng)
    out = net.train().run(torch.randn(8, 4, 2, generator=rng), WHOLE)
    joins = [node for node in nodes(out) if type(node).__name__ == "CatBackward0"]
    assert [len(node.next_functions) for node in joins] == [2] * L
    with torch.profiler.profile() as profile:
        out.sum().backward()
    added = sum(event.count for event in profile.key_averages() if event.key in ("aten::add", "aten::add_"))
    assert added <= 2 * L  # one where a layer's input is also passed on, and what else adds
