"""Hooks for saved tensors: whatever they bring back, the gradients are right or there is an error."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.testing import assert_close

from workbench import recurrence
from workbench.errors import ParameterError
from workbench.recurrence import layer, normalize, recur

ENGINES = ["auto", *(e for e in recurrence.available() if e != "triton")]
LAYOUTS = {
    "transposed": lambda v: v.transpose(0, -1).contiguous().transpose(0, -1),
    "strided": lambda v: torch.stack((v, v), -1)[..., 0],
}


def gradients(engine, unpack, rng):
    """Of all that `recur`, `layer` and `normalize` save: constants stand as expanded tensors."""
    a, x, g = (torch.randn(*s, generator=rng) for s in ((6, 2, 4), (6, 2, 3), (6, 2, 4)))
    weights = [torch.randn(*s, generator=rng).mul_(0.5).requires_grad_() for s in ((4, 3), (4,), (4,), (2, 4))]
    a, norm = a.requires_grad_(), torch.nn.BatchNorm1d(4)
    with saved_tensors_hooks(lambda v: v, unpack):
        h = recur(a, weights[2], weights[3], backend=engine)
        y = layer(x, *weights, backend=engine, norm=norm, mask=torch.ones(2, 4))
        z = normalize(a, norm, torch.ones(2, 4), backend=engine)
    return torch.autograd.grad([h, y, z], [a, *weights, *norm.parameters()], [g, g, g])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_another_layout_gives_the_same_gradients(layout, engine):
    ours = gradients(engine, LAYOUTS[layout], torch.Generator().manual_seed(0))
    assert_close(ours, gradients(engine, lambda v: v, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_expanded_tensor_is_not_read_past_its_storage(engine):
    """Ones that stand once in memory are ones."""
    a, u = torch.ones(60, 20, 40, requires_grad=True), torch.full((40,), 0.5, requires_grad=True)
    with saved_tensors_hooks(lambda v: v, lambda v: v.flatten()[:1].view(1, 1, 1)[(0,) * (3 - v.ndim)].expand(v.shape)):
        h = recur(a, u, torch.ones(20, 40), activation="identity", backend=engine)
    h.sum().backward()
    assert a.grad.isfinite().all()
    assert u.grad.isfinite().all()


@pytest.mark.parametrize("engine", [e for e in ENGINES if e != "loop"])
@pytest.mark.parametrize("broken", [lambda v: v[:1], lambda v: v.double(), lambda v: v.to("meta")])
def test_what_is_no_longer_the_saved_tensor_is_refused(broken, engine, rng):
    a, u = torch.randn(6, 2, 4, generator=rng).requires_grad_(), torch.rand(4, generator=rng)
    with saved_tensors_hooks(lambda v: v, broken):
        h = recur(a, u, backend=engine)
    with pytest.raises(ParameterError, match="h: a hook for saved tensors brought back"):
        h.sum().backward()
    x, w = torch.randn(6, 2, 3, generator=rng), torch.randn(4, 3, generator=rng).requires_grad_()
    if engine in ("auto", "cpu"):
        with saved_tensors_hooks(lambda v: v, broken):
            h = layer(x, w, None, u, backend=engine)
        with pytest.raises(ParameterError, match="a hook for saved tensors brought back"):
            h.sum().backward()
