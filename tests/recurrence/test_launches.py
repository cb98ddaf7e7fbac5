"""Calls of the Triton engine to its kernels, where there is no Triton: stand-ins in PyTorch do what each one promises.

The kernels themselves run in `test_engine_triton.py`. Here it is what `engine_triton.py` decides: grids, chunks, types,
what is read where.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from workbench import recurrence
from workbench.errors import ParameterError
from workbench.recurrence import autograd, engine_triton, recur
from workbench.recurrence.activation import ACTIVATIONS

WIDE = {"float64": torch.float64, "float32": torch.float32}


class Launch:
    """One launch of a stand-in: its grid, sizes and constants, and the chains of the tensors that it was given."""

    def __init__(self, grid, given, constants):
        self.blocks, self.grid_chunks = grid
        count = next(i for i, v in enumerate(given) if isinstance(v, int))
        self.tensors, sizes = given[:count], given[count:]
        self.T, self.length, self.chains, self.N = sizes[0], sizes[1], sizes[-2], sizes[-1]
        self.flow = constants
        self.act = ACTIVATIONS[constants["ACTIVATION"]]
        self.wide = WIDE[constants["WIDE"]]
        assert (self.blocks - 1) * constants["BLOCK"] < self.chains <= self.blocks * constants["BLOCK"]
        assert all(tensor.is_contiguous() for tensor in self.tensors)
        assert constants["FLIGHT"] >= constants.get("UNROLL", 1)

    def lines(self, tensor):
        """(..., chains) of a tensor, the same memory."""
        return tensor.view(-1, self.chains)

    def weights(self, u):
        return u.to(self.wide).repeat(self.chains // self.N)

    def steps(self, chunk):
        """The steps of a chunk; a kernel takes UNROLL of them at a time and does not stop in between."""
        steps = range(chunk * self.length, min(self.T, (chunk + 1) * self.length))
        assert len(steps) % self.flow.get("UNROLL", 1) == 0
        return steps

    def run(self, a, weight, chunk, state, linear=False):
        """The states after each step of a chunk, from the one before it."""
        for t in self.steps(chunk):
            state = a[t].to(self.wide) + weight * state
            state = state if linear else self.act.value(state)
            yield t, state

    def back(self, g, h, weight, chunk, grad):
        for t in reversed(self.steps(chunk)):
            grad = self.act.derivative(h[t].to(self.wide)) * (g[t].to(self.wide) + weight * grad)
            yield t, grad


def states(on):
    a, u, before, h = on.tensors
    a, before, h = map(on.lines, (a, before, h))
    for chunk in range(on.grid_chunks):
        for t, state in on.run(a, on.weights(u), chunk, before[chunk].to(on.wide)):
            h[t] = state


def gradients(on):
    g, h, u, h0, after, d, grad_u, grad_h0 = on.tensors
    g, h, h0, after, d, grad_u, grad_h0 = map(on.lines, (g, h, h0, after, d, grad_u, grad_h0))
    for chunk in range(on.grid_chunks):
        grad, total = after[chunk], torch.zeros_like(after[chunk])
        for t, before in on.back(g, h, on.weights(u), chunk, grad):
            total += grad * h[t].to(on.wide)
            d[t] = grad = before
        if chunk == 0:
            total += grad * h0[0].to(on.wide)
            grad_h0[0] = on.weights(u) * grad
        grad_u[chunk] = total


def summarise_states(on):
    a, u, p, lo, hi = on.tensors
    a, p, lo, hi = map(on.lines, (a, p, lo, hi))
    top = torch.full((on.chains,), on.flow["TOP"], dtype=on.wide)
    for chunk in range(on.grid_chunks):
        (*_, (_, p[chunk])) = on.run(a, on.weights(u), chunk, torch.zeros_like(top), linear=True)
        ends = [list(on.run(a, on.weights(u), chunk, state))[-1][1] for state in (-top, top)]
        lo[chunk], hi[chunk] = torch.minimum(*ends), torch.maximum(*ends)


def link_states(on):
    """From the summaries alone: the inputs of these tests stay in their range."""
    _, u, h0, p, lo, hi, before = on.tensors
    h0, p, lo, hi, before = map(on.lines, (h0, p, lo, hi, before))
    state = h0[0].to(on.wide)
    for chunk in range(len(before)):
        before[chunk] = state
        if chunk < len(before) - 1:
            state = p[chunk] + on.weights(u) ** on.length * state
            state = state.clamp(lo[chunk], hi[chunk]) if on.act.name == "relu" else state


def summarise_gradients(on):
    g, h, u, p, lowest = on.tensors
    g, h, p, lowest = map(on.lines, (g, h, p, lowest))
    for chunk in range(on.grid_chunks):
        (*_, (_, p[chunk])) = on.back(g, h, on.weights(u), chunk, torch.zeros(on.chains, dtype=on.wide))
        off = on.act.name == "relu"
        lowest[chunk] = h[list(on.steps(chunk))].to(on.wide).amin(0) if off else 1


def link_gradients(on):
    _, _, u, p, lowest, after = on.tensors
    p, lowest, after = map(on.lines, (p, lowest, after))
    grad = torch.zeros(on.chains, dtype=on.wide)
    for chunk in reversed(range(len(after))):
        after[chunk] = grad
        grad = p[chunk] + torch.where(lowest[chunk] > 0, on.weights(u) ** on.length, 0) * grad


KERNELS = (states, gradients, summarise_states, link_states, summarise_gradients, link_gradients)


@pytest.fixture
def launched(monkeypatch):
    """The launches of a test, by name, on stand-ins for Triton and the kernels."""
    seen = []

    class Kernel:
        def __init__(self, run):
            self.run = run

        def __getitem__(self, grid):
            def launch(*given, **constants):
                on = Launch(grid, given, constants)
                seen.append((self.run.__name__, on))
                self.run(on)

            return launch

    kernels = SimpleNamespace(**{run.__name__: Kernel(run) for run in KERNELS})
    language = ModuleType("triton.language")
    language.float64, language.float32 = WIDE
    monkeypatch.setitem(sys.modules, "triton", ModuleType("triton"))
    monkeypatch.setitem(sys.modules, "triton.language", language)
    monkeypatch.setitem(sys.modules, "workbench.recurrence.triton_kernels", kernels)
    monkeypatch.setattr(recurrence, "kernels", kernels, raising=False)
    monkeypatch.setattr(engine_triton, "_installed", lambda: True)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    return seen


def draw(rng, T, B, N, dtype=torch.float64):
    a, u, h0, g = (torch.randn(*s, generator=rng, dtype=torch.float64) for s in ((T, B, N), (N,), (B, N), (T, B, N)))
    return [v.to(dtype) for v in (a + 0.5, u.tanh(), h0)], g.to(dtype)


def both(call, inputs, g, activation="relu"):
    """h and the gradients of a, u, h0: by the call, and by the loop."""
    for run in (call, lambda *v: recur(*v, activation=activation, backend="loop")):
        leaves = [v.detach().clone().requires_grad_() for v in inputs]
        h = run(*leaves)
        h.backward(g)
        yield [h.detach(), *(v.grad for v in leaves)]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (11, 3, 13), (16, 2, 40)])
def test_one_launch_forward_and_one_backward_give_the_loop(launched, activation, shape, rng):
    inputs, g = draw(rng, *shape)
    ours, theirs = both(lambda *v: recur(*v, activation=activation, backend="triton"), inputs, g, activation)
    for x, y in zip(ours, theirs, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-13, atol=1e-13)
    assert [name for name, _ in launched] == ["states", "gradients"]
    for _, on in launched:
        assert (on.T, on.length, on.chains, on.N, on.grid_chunks) == (
            shape[0],
            shape[0],
            *[shape[1] * shape[2]],
            shape[2],
            1,
        )
        assert on.flow["UNROLL"] == {1: 1, 11: 1, 16: engine_triton.UNROLL}[shape[0]]


@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize(("T", "length"), [(16, 4), (21, 4), (16, 5), (40, 16), (9, 16)])
def test_in_chunks_it_is_the_loop_and_the_last_chunk_may_be_short(launched, activation, T, length, rng):
    inputs, g = draw(rng, T, 2, 16)
    run = engine_triton.Kernels(length)
    ours, theirs = both(lambda *v: autograd.recur(*v, activation, run, False), inputs, g, activation)
    for x, y in zip(ours, theirs, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-11, atol=1e-11)
    chunks = -(-T // length)
    there = {name: on.grid_chunks for name, on in launched}
    assert there["states"] == there["gradients"] == chunks
    if chunks == 1:
        assert len(there) == 2
    else:  # what follows the last chunk's state nobody asks
        assert (there["summarise_states"], there["link_states"]) == (chunks - 1, 1)
        assert (there["summarise_gradients"], there["link_gradients"]) == (chunks, 1)


def test_half_precision_is_stored_as_such_and_computed_in_float32(launched, rng):
    inputs, g = draw(rng, 8, 2, 3, torch.bfloat16)
    ours, theirs = both(lambda *v: recur(*v, backend="triton"), inputs, g)
    _, exact = both(lambda *v: recur(*v, backend="loop"), [v.float() for v in inputs], g.float())
    assert [v.dtype for v in ours] == [torch.bfloat16] * 4
    assert {on.wide for _, on in launched} == {torch.float32}
    for x, y, rough in zip(ours, exact, theirs, strict=True):
        assert float((x - y).abs().max()) <= 2**-8 * (1 + float(y.abs().max()))
        assert rough.dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", engine_triton.DTYPES)
@pytest.mark.parametrize("streams", [1, 2, 4])
def test_what_is_read_ahead_fits_into_16_kib_of_shared_memory(launched, dtype, streams):
    chosen = engine_triton.settings(dtype, streams)
    lane = max(4, dtype.itemsize)
    assert chosen["BLOCK"] * dtype.itemsize >= 32 * 4  # a thread fetches 4 bytes at least
    assert chosen["FLIGHT"] * 32 * lane * streams <= 16384
    assert chosen["FLIGHT"] // engine_triton.UNROLL >= 1


def test_a_grid_holds_65535_chunks_so_a_longer_sequence_has_longer_ones():
    few = engine_triton.Kernels(256)
    assert [few._length(T) for T in (10, 256, 100_000)] == [10, 256, 256]
    for T in (256 * 65535, 256 * 65535 + 1, 10**9):
        assert -(-T // few._length(T)) <= 65535
    assert engine_triton.ONE_AFTER_THE_OTHER._length(10**9) == 10**9


def test_states_are_written_over_a_product_only_where_nobody_else_reads_it(launched, rng):
    (a, u, h0), _ = draw(rng, 4, 2, 3)
    kept, expected = a.clone(), recur(a, u, h0, backend="loop")
    assert torch.equal(engine_triton.forward(a, u, h0, "relu", False), expected)
    assert torch.equal(a, kept)
    assert engine_triton.forward(a, u, h0, "relu", True) is a
    assert torch.equal(a, expected)


def test_what_is_not_contiguous_is_laid_out_first(launched, rng):
    (a, u, h0), _ = draw(rng, 5, 4, 6)
    turned = a.transpose(1, 2).contiguous().transpose(1, 2)
    assert not turned.is_contiguous()
    assert torch.equal(engine_triton.forward(turned, u, h0, "relu", False), recur(a, u, h0, backend="loop"))


def test_an_empty_batch_launches_nothing(launched):
    a = torch.zeros(3, 0, 2, requires_grad=True)
    recur(a, torch.zeros(2), backend="triton").sum().backward()
    assert a.grad.shape == (3, 0, 2)
    assert launched == []


def test_a_dtype_that_no_kernel_takes_is_refused(launched):
    with pytest.raises(ParameterError, match=r"a: torch.int32 on cpu received; engine 'triton' takes CUDA tensors of"):
        engine_triton.forward(torch.zeros(2, 1, 1, dtype=torch.int32), torch.zeros(1), torch.zeros(1, 1), "relu", False)


@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_on_a_device_the_scan_is_those_kernels_in_chunks_of_256(launched, activation, rng):
    inputs, g = draw(rng, 600, 1, 2)
    ours, theirs = both(lambda *v: recur(*v, activation=activation, backend="scan"), inputs, g, activation)
    for x, y in zip(ours, theirs, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-10)
    assert {on.grid_chunks for name, on in launched if name in ("states", "gradients")} == {3}
    assert {on.length for _, on in launched} == {engine_triton.CHUNK}
