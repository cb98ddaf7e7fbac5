"""Threads: as many as PyTorch's, and not a bit of difference between one and many."""

from __future__ import annotations

import pytest
import torch

from workbench.recurrence import compiler, cpu, layer, recur

from .drawn import distance, draw, draw_u, gradients, python

pytestmark = pytest.mark.skipif(compiler.missing() is not None, reason=str(compiler.missing()))


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(params=["fused", "chunked"])
def way(request, monkeypatch):
    """Both ways to run a layer, whatever the sizes."""
    monkeypatch.setattr(cpu, "LARGE", 1 if request.param == "chunked" else 10**9)
    return request.param


def at_each_number_of_threads(step, inputs, g, threads):
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(gradients(lambda *v: step(*v, backend="cpu"), inputs, g))
    return results


def test_the_number_of_threads_does_not_change_the_recurrence(threads, rng):
    inputs, g = (draw(rng, 300, 50, 33), draw_u(rng, 33), draw(rng, 50, 33)), draw(rng, 300, 50, 33)
    one, two, three = at_each_number_of_threads(recur, inputs, g, threads)
    assert all(torch.equal(x, y) and torch.equal(x, z) for x, y, z in zip(one, two, three, strict=True))


def test_the_number_of_threads_does_not_change_a_layer(way, threads, rng):
    sizes = (60, 50, 64), (66, 64), (66,), (66,), (50, 66)
    inputs, g = [draw(rng, *s) / 8 for s in sizes], draw(rng, 60, 50, 66)
    one, *others = at_each_number_of_threads(layer, inputs, g, threads)
    for other in others:
        for x, y in zip(one, other, strict=True):
            assert torch.equal(x, y) if way == "fused" else distance(x, y.double()) < 1e-6


def test_the_same_call_gives_the_same_bits(way, threads, rng):
    threads(2)
    inputs = [draw(rng, *s) / 8 for s in ((30, 40, 90), (80, 90), (80,), (80,), (40, 80))]
    first, second = (gradients(lambda *v: layer(*v, backend="cpu"), inputs, torch.ones(30, 40, 80)) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_a_forked_child_makes_threads_of_its_own():
    script = """
import os, torch, warnings
from workbench.recurrence import recur
warnings.simplefilter("ignore")  # Python's own, about forking beside threads
a, u = torch.ones(2000, 2, 128), torch.full((128,), 0.5)
torch.set_num_threads(2)
whole = recur(a, u, backend="cpu").numpy().tobytes()
child = os.fork()
if child == 0:  # PyTorch's own threads do not survive a fork: nothing large but ours runs here
    os._exit(recur(a, u, backend="cpu").numpy().tobytes() != whole)
print(os.waitpid(child, 0)[1])
"""
    assert python(script) == ["0"]
