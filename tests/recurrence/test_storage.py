"""Tensors without values of their own: C is given pointers of none of them, whichever door they come in by."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

import workbench as wb
from workbench import recurrence
from workbench.errors import ParameterError
from workbench.recurrence import layer, observers, recur

ENGINES = ["auto", *(e for e in recurrence.available() if e != "triton")]
DOORS = """
import json, sys
import torch
from torch._subclasses import FakeTensorMode
import workbench as wb
from workbench.recurrence import layer, normalize, recur

def shapes(make, engine):
    net = wb.IndRNN(3, 4, 2, bidirectional=True, backend=engine, device=make.device)
    x = make(5, 2, 3).requires_grad_()
    out, last = net(x)
    out.sum().backward()
    norm = torch.nn.BatchNorm1d(4, device=make.device)
    one = recur(make(5, 2, 4), make(4), make(2, 4), backend=engine)
    whole = layer(make(5, 2, 3), make(4, 3), None, make(4), backend=engine, norm=norm, mask=make(2, 4))
    normed = normalize(one, norm, make(2, 4), backend=engine)
    return [list(v.shape) for v in (out, last, x.grad, net.u_l0.grad, one, whole, normed)]

def meta(*shape):
    return torch.empty(*shape, device="meta")

def plain(*shape):
    return torch.randn(*shape)

meta.device, plain.device = "meta", None
for engine in sys.argv[1:]:
    found = [shapes(meta, engine), shapes(plain, engine)]
    with torch.device("meta"):
        found.append(shapes(plain, engine))
    with FakeTensorMode():
        found.append(shapes(plain, engine))
    print(json.dumps(found), flush=True)
"""


def child(code, *arguments):
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def doors():
    """The call behind each door, by engine, in a process that may crash."""
    ran = child(DOORS, *ENGINES)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return dict(zip(ENGINES, map(json.loads, ran.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("engine", ENGINES)
def test_fake_and_meta_tensors_have_the_shapes_of_real_ones(engine, doors):
    on_meta, real, by_default, fake = doors[engine]
    assert on_meta == real == by_default == fake


def test_engine_cpu_refuses_another_device_in_words():
    elsewhere = child(
        "import torch\nfrom torch._subclasses import FakeTensorMode\nfrom workbench.recurrence import recur\n"
        "with FakeTensorMode():\n    recur(*(torch.empty(s, device='cuda') for s in ((5, 2, 4), (4,))), backend='cpu')"
    )
    assert elsewhere.returncode == 1
    assert "backend: 'cpu' reads the memory of the CPU; a tensor on cuda:0 received" in elsewhere.stderr


class Wrapper(torch.Tensor):
    """Holds another tensor and has no storage."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype, requires_grad=held.requires_grad)

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        opened = torch.utils._pytree.tree_map_only(cls, lambda v: v.held, (args, kwargs or {}))
        return torch.utils._pytree.tree_map_only(torch.Tensor, cls, func(*opened[0], **opened[1]))


class Own(torch.Tensor):
    """A subclass with storage and no rules."""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["wrapped", "negated", "zero", "own"])
def test_tensors_of_other_kinds_give_the_values_of_plain_ones(kind, engine, rng):
    net, x = wb.IndRNN(3, 4, backend=engine), torch.randn(1, 1, 3, generator=rng)
    x = torch.zeros_like(x) if kind == "zero" else x
    make = {
        "wrapped": Wrapper,
        "negated": lambda v: torch._neg_view(-v),
        "zero": lambda v: torch._efficientzerotensor(v.shape),
        "own": lambda v: v.as_subclass(Own),
    }[kind]
    out = net(make(x))[0]
    assert type(out) is {"wrapped": Wrapper, "own": Own}.get(kind, torch.Tensor)
    theirs = out.held if kind == "wrapped" else out.as_subclass(torch.Tensor)
    torch.testing.assert_close(theirs, net(x)[0])
    a, u = torch.zeros(1, 1, 4) if kind == "zero" else torch.randn(1, 1, 4, generator=rng), net.u_l0.detach()
    h = recur(make(a), u, backend=engine)
    theirs = h.held if kind == "wrapped" else h.as_subclass(torch.Tensor)
    torch.testing.assert_close(theirs, recur(a, u, backend="loop"))


@pytest.mark.parametrize("engine", ENGINES)
def test_freed_memory_is_refused(engine):
    a, u = torch.randn(5, 2, 4), torch.rand(4)
    a.untyped_storage().resize_(0)
    with pytest.raises(ParameterError, match="memory was freed"):
        recur(a, u, backend=engine)
    if engine in ("auto", "cpu"):
        with pytest.raises(ParameterError, match="memory was freed"):
            layer(a, torch.randn(4, 4), None, u, backend=engine)


def test_plain_tensors_are_told_from_all_others():
    ones = torch.ones(3)
    for good in (ones, torch.nn.Parameter(ones), ones.as_subclass(Own), torch.ones(0), ones[1:].detach()):
        assert observers.plain(good)
    with torch.inference_mode():
        assert observers.plain(torch.ones(3))
    sparse = torch.eye(3).to_sparse()
    for bad in (Wrapper(ones), torch._neg_view(ones), torch._efficientzerotensor(3), ones.to("meta"), sparse):
        assert not observers.plain(ones, bad)
    torch.func.vmap(lambda v: [v, ones][observers.plain(v)])(torch.ones(2, 3))
    assert not observers.plain(torch._to_functional_tensor(ones))
