"""Calls of the Triton engine to its kernels, on stand-ins (stand_ins.py): grids, chunks, types, what is read where."""

from __future__ import annotations

import pytest
import torch
from stand_ins import stand_in

from workbench.errors import ParameterError
from workbench.recurrence import autograd, engine_triton, recur
from workbench.recurrence.activation import ACTIVATIONS


@pytest.fixture
def launched(monkeypatch):
    """The launches of a test, by name."""
    seen = []

    def launch(name, on, run):
        seen.append((name, on))
        run(on)

    stand_in(monkeypatch, launch)
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


@pytest.mark.parametrize("rival", [engine_triton.NOT_PREFETCHED, engine_triton.OFFICIAL])
def test_the_rivals_of_our_kernels_are_the_loop_too(launched, rival, rng):
    """They are there to be timed: without reading ahead, and with the official kernel's 512 threads a block."""
    inputs, g = draw(rng, 16, 2, 40)
    ours, theirs = both(lambda *v: autograd.recur(*v, "relu", rival, False), inputs, g)
    for x, y in zip(ours, theirs, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-13, atol=1e-13)
    assert {on.flow["FLIGHT"] // on.flow["UNROLL"] for _, on in launched} == {1}
    wide = rival is engine_triton.OFFICIAL
    assert {(on.flow["BLOCK"], on.flow["num_warps"]) for _, on in launched} == {(512, 16) if wide else (32, 1)}
