"""Triton kernels of the scan: what a chunk of steps does to any state, and the states and gradients between chunks.

`engine_scan.py` has the mathematics, `engine_triton.py` launches them. Importing this module imports triton.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, no-any-return"

from __future__ import annotations

import triton.language as tl

from .engine_scan import GROWTH
from .triton_kernels import kernel, place, pull, value

LIMIT = tl.constexpr(GROWTH)


@kernel
def summarise_states(
    a, u, p, lo, hi, T, length, chains: tl.constexpr, N,
    ACTIVATION: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr, FLIGHT: tl.constexpr,
    TOP: tl.constexpr,
):  # fmt: skip
    """Summarise each chunk's map on a state h, min(hi, max(lo, p + u^L h)): p, lo, hi (C, chains)."""
    chunk, start, stop, chain, real, neuron = place(T, length, chains, N, BLOCK)
    weight = tl.load(u + neuron, mask=real, other=0).to(WIDE)
    linear = tl.zeros_like(weight)
    low = linear - TOP
    high = linear + TOP
    source = a + start.to(tl.int64) * chains + chain
    for _ in tl.range(start, stop, UNROLL, num_stages=FLIGHT // UNROLL):
        for k in tl.static_range(UNROLL):
            a_t = tl.load(source + k * chains, mask=real, other=0).to(WIDE)
            linear = a_t + weight * linear
            low = value(a_t + weight * low, ACTIVATION)
            high = value(a_t + weight * high, ACTIVATION)
        source += UNROLL * chains
    between = chunk.to(tl.int64) * chains + chain
    tl.store(p + between, linear, mask=real)
    tl.store(lo + between, tl.minimum(low, high), mask=real)
    tl.store(hi + between, tl.maximum(low, high), mask=real)


@kernel
def link_states(
    a, u, h0, p, lo, hi, before, T, length, chunks, chains: tl.constexpr, N,
    ACTIVATION: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr, FLIGHT: tl.constexpr,
):  # fmt: skip
    """The state before each chunk (C, chains): from the summaries, or step by step where they left their range."""
    chain = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = chain < chains
    weight = tl.load(u + chain % N, mask=real, other=0).to(WIDE)
    start = tl.load(h0 + chain, mask=real, other=0).to(WIDE)
    power = weight * 0 + 1
    for _ in range(length):
        power *= weight
    wild = (tl.abs(power) <= LIMIT) == 0
    state = start
    at = chain.to(tl.int64)
    target = before + chain
    for _ in tl.range(0, chunks - 1, num_stages=FLIGHT):
        tl.store(target, state, mask=real)
        linear = tl.load(p + at, mask=real, other=0)
        state = linear + power * state
        if ACTIVATION == "relu":
            low = tl.load(lo + at, mask=real, other=0)
            high = tl.load(hi + at, mask=real, other=0)
            state = tl.minimum(tl.maximum(state, low), high)
        wild = wild | ((tl.abs(linear) + tl.abs(state) < float("inf")) == 0)
        at += chains
        target += chains
    tl.store(target, state, mask=real)
    if tl.max((wild & real).to(tl.int32)) > 0:
        state = start
        source = a + chain
        target = before + chain
        for chunk in tl.range(chunks):
            tl.store(target, state, mask=real)
            target += chains
            for _ in tl.range(chunk * length, tl.minimum(chunk * length + length, T), num_stages=8):
                state = value(tl.load(source, mask=real, other=0).to(WIDE) + weight * state, ACTIVATION)
                source += chains


@kernel
def summarise_gradients(
    g, h, u, p, lowest, T, length, chains: tl.constexpr, N,
    ACTIVATION: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr, FLIGHT: tl.constexpr,
):  # fmt: skip
    """Summarise each chunk's map on a gradient d from after it, p + [lowest state > 0] u^L d: p, lowest (C, chains)."""
    chunk, start, stop, chain, real, neuron = place(T, length, chains, N, BLOCK)
    weight = tl.load(u + neuron, mask=real, other=0).to(WIDE)
    grad = tl.zeros_like(weight)
    least = grad + 1
    last = (stop - 1).to(tl.int64) * chains + chain
    gradient = g + last
    state = h + last
    for _ in tl.range(start, stop, UNROLL, num_stages=FLIGHT // UNROLL):
        for k in tl.static_range(UNROLL):
            h_t = tl.load(state - k * chains, mask=real, other=0).to(WIDE)
            grad = pull(tl.load(gradient - k * chains, mask=real, other=0).to(WIDE) + weight * grad, h_t, ACTIVATION)
            if ACTIVATION == "relu":
                least = tl.minimum(least, h_t)
        gradient -= UNROLL * chains
        state -= UNROLL * chains
    between = chunk.to(tl.int64) * chains + chain
    tl.store(p + between, grad, mask=real)
    tl.store(lowest + between, least, mask=real)


@kernel
def link_gradients(
    g, h, u, p, lowest, after, T, length, chunks, chains: tl.constexpr, N,
    ACTIVATION: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr, FLIGHT: tl.constexpr,
):  # fmt: skip
    """The gradient that reaches each chunk from the next (C, chains); step by step where summaries left their range."""
    chain = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = chain < chains
    weight = tl.load(u + chain % N, mask=real, other=0).to(WIDE)
    power = weight * 0 + 1
    for _ in range(length):
        power *= weight
    wild = (tl.abs(power) <= LIMIT) == 0
    grad = tl.zeros_like(weight)
    at = (chunks - 1).to(tl.int64) * chains + chain
    target = after + at
    for _ in tl.range(0, chunks - 1, num_stages=FLIGHT):
        tl.store(target, grad, mask=real)
        passes = tl.load(lowest + at, mask=real, other=0) > 0
        grad = tl.load(p + at, mask=real, other=0) + tl.where(passes, power, 0.0) * grad
        wild = wild | ((tl.abs(grad) < float("inf")) == 0)
        at -= chains
        target -= chains
    tl.store(target, grad, mask=real)
    if tl.max((wild & real).to(tl.int32)) > 0:
        grad = tl.zeros_like(weight)
        target = after + (chunks - 1).to(tl.int64) * chains + chain
        gradient = g + (T - 1).to(tl.int64) * chains + chain
        state = h + (T - 1).to(tl.int64) * chains + chain
        for back in tl.range(chunks):
            tl.store(target, grad, mask=real)
            target -= chains
            start = (chunks - 1 - back) * length
            for _ in tl.range(start, tl.minimum(start + length, T), num_stages=8):
                h_t = tl.load(state, mask=real, other=0).to(WIDE)
                grad = pull(tl.load(gradient, mask=real, other=0).to(WIDE) + weight * grad, h_t, ACTIVATION)
                gradient -= chains
                state -= chains
