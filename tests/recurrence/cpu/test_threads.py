"""Threads: as many as PyTorch's, and not a bit of difference between one and many."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
import torch

from workbench.recurrence import layer, normalize, recur
from workbench.recurrence.cpu import compiler, states
from workbench.recurrence.cpu import engine as cpu
from workbench.recurrence.cpu import threads as threading
from workbench.recurrence.cpu.threads import share

from ..drawn import distance, draw, draw_u, gradients, python

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


def test_a_thread_that_outlives_the_main_one_works_alone():
    script = """
import concurrent.futures.thread, threading, time, torch
from workbench.recurrence import recur

def late():
    while not concurrent.futures.thread._shutdown:
        time.sleep(0.01)
    print(float(recur(torch.ones(2000, 2, 128), torch.zeros(128), backend="cpu").sum()))

torch.set_num_threads(2)
threading.Thread(target=late).start()
"""
    assert python(script) == ["512000.0"]


@pytest.fixture
def woken(monkeypatch):
    """The helpers that were asked for; none comes."""
    asked: list[Future[None]] = []

    class Idle:
        def submit(self, work):
            asked.append(Future())
            return asked[-1]

    monkeypatch.setattr(threading, "_threads", Idle)
    return asked


def steps_of(kind, T):
    """One pass forward and one backward over T steps, by one of the ways; what a step costs: 2**21 / T of the first."""
    B, M, N = {"chains": (2, 1, 64), "norm": (2, 1, 64), "narrow": (32, 1, 64), "fused": (32, 8, 8)}[kind]
    u, x = torch.full((N,), 0.5, requires_grad=True), torch.ones(T, B, N if kind in ("chains", "norm") else M)
    if kind == "chains":
        return recur(x, u, backend="cpu")
    if kind == "norm":
        return normalize(x.requires_grad_(), torch.nn.BatchNorm1d(N), backend="cpu")
    return layer(x.requires_grad_(kind == "fused"), torch.ones(N, M), None, u, backend="cpu")


@pytest.mark.parametrize(
    ("kind", "forward", "backward"),
    [("chains", 2048, 2048), ("norm", 4096, 4096), ("narrow", 103, 103), ("fused", 512, 256)],
)
def test_only_what_is_worth_it_is_shared_out(kind, forward, backward, threads, woken):
    """From 2**21 multiply-adds on: a product with M inputs has M + 8 for each neuron and step, twice backward."""
    threads(2)
    for T in (forward, forward - 1, backward, backward - 1):
        h = steps_of(kind, T)
        assert bool(woken) == (forward <= T)
        woken.clear()
        h.sum().backward()
        assert bool(woken) == (backward <= T)
        woken.clear()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_more_threads_work_than_torch_may_use(count, threads, woken):
    threads(count)
    done = []
    share(lambda piece: done.append(piece), [(0,), (1,), (2,), (3,)], 1 << 21)
    assert len(woken) == count - 1
    assert done == [0, 1, 2, 3]
    woken.clear()
    share(lambda piece: None, [(0,)], 1 << 21)
    assert not woken


def test_chains_are_cut_into_two_pieces_a_thread_of_whole_cache_lines(threads):
    threads(2)
    assert states.pieces(1000) == [(0, 256), (256, 512), (512, 768), (768, 1000)]
    assert states.pieces(65) == [(0, 64), (64, 65)]
    assert states.pieces(64) == [(0, 64)]
