"""Triton kernels of the recurrence, forward and backward, one chain (a sample's neuron) a lane.

`engine_triton.py` launches them.

Time is cut into chunks of `length` steps, which run side by side once the state before each is known; one chunk of T
steps is the plain loop. `engine_scan.py` has the mathematics of what lies between chunks.

What keeps the memory busy while each step waits for the last: loads run FLIGHT steps ahead into shared memory (a loop
of `num_stages`), UNROLL steps share one wait, and addresses of loads and stores are counted apart, since an address
used by both would travel through every stage in registers (72 registers and 94 instructions a step against 26 and 34;
15 when eight steps share a wait). Importing this module imports triton.
"""
# Triton's language is not Python's: a kernel's arguments are pointers, and its decorators carry no types.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, no-any-return"

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra import libdevice

from .activation import SLOPE
from .engine_scan import GROWTH

LEAK = tl.constexpr(SLOPE)
LIMIT = tl.constexpr(GROWTH)
INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)  # the interpreter has no libdevice
_kernel = triton.jit(do_not_specialize=("T", "length", "chunks", "N"))  # of the length only UNROLL is compiled in


@triton.jit
def _value(z, ACTIVATION: tl.constexpr):
    if ACTIVATION == "relu":
        z = tl.maximum(z, 0.0, propagate_nan=tl.PropagateNan.ALL)
    elif ACTIVATION == "leaky_relu":
        z = tl.where(z > 0, z, z * LEAK)
    elif ACTIVATION == "tanh":
        z = 1 - 2 / (tl.exp(2 * z) + 1) if INTERPRETED else libdevice.tanh(z)
    return z


@triton.jit
def _pull(g, h, ACTIVATION: tl.constexpr):
    """The gradient g of h, pulled back through h = f(z)."""
    if ACTIVATION == "relu":
        g = tl.where(h > 0, g, 0.0)
    elif ACTIVATION == "leaky_relu":
        g = tl.where(h > 0, g, g * LEAK)
    elif ACTIVATION == "tanh":
        g = g * (1 - h * h)
    return g


@triton.jit
def _place(T, length, chains, N, BLOCK: tl.constexpr):
    """This program's chunk and its bounds in time; its chains, which of them exist, and their neurons."""
    chain = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    chunk = tl.program_id(1)
    start = chunk * length
    return chunk, start, tl.minimum(start + length, T), chain, chain < chains, chain % N


@_kernel
def states(
    a, u, before, h, T, length, chains, N,
    ACTIVATION: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr, FLIGHT: tl.constexpr,
):  # fmt: skip
    """h (T, chains) from a (T, chains) and the state before each chunk (C, chains); h may lie over a."""
    chunk, start, stop, chain, real, neuron = _place(T, length, chains, N, BLOCK)
    weight = tl.load(u + neuron, mask=real, other=0).to(WIDE)
    state = tl.load(before + chunk.to(tl.int64) * chains + chain, mask=real, other=0).to(WIDE)
    source = a + start.to(tl.int64) * chains + chain
    target = h + start.to(tl.int64) * chains + chain
    for _ in tl.range(start, stop, UNROLL, num_stages=FLIGHT // UNROLL):
        for k in tl.static_range(UNROLL):
            z = tl.load(source + k * chains, mask=real, other=0).to(WIDE) + weight * state
            state = _value(z, ACTIVATION)
            tl.store(target + k * chains, state, mask=real)
        source += UNROLL * chains
        target += UNROLL * chains


@_kernel
def gradients(
    g, h, u, h0, after, d, grad_u, grad_h0, T, length, chains, N,
    ACTIVATION: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr, FLIGHT: tl.constexpr,
):  # fmt: skip
    """d (T, chains), grad u (C, chains), grad h0 (chains), from g, h and the gradient that comes after each chunk.

    A step adds d_{t+1} h_t to grad u, so h is read once; the first step's share, d_1 h_0, is added at the end.
    """
    chunk, start, stop, chain, real, neuron = _place(T, length, chains, N, BLOCK)
    weight = tl.load(u + neuron, mask=real, other=0).to(WIDE)
    between = chunk.to(tl.int64) * chains + chain
    grad = tl.load(after + between, mask=real, other=0)
    total = tl.zeros_like(grad)
    last = (stop - 1).to(tl.int64) * chains + chain
    gradient = g + last
    state = h + last
    target = d + last
    for _ in tl.range(start, stop, UNROLL, num_stages=FLIGHT // UNROLL):
        for k in tl.static_range(UNROLL):
            h_t = tl.load(state - k * chains, mask=real, other=0).to(WIDE)
            total += grad * h_t
            grad = _pull(tl.load(gradient - k * chains, mask=real, other=0).to(WIDE) + weight * grad, h_t, ACTIVATION)
            tl.store(target - k * chains, grad, mask=real)
        gradient -= UNROLL * chains
        state -= UNROLL * chains
        target -= UNROLL * chains
    first = chain < tl.where(chunk == 0, chains, 0)
    total += grad * tl.load(h0 + chain, mask=first, other=0).to(WIDE)
    tl.store(grad_u + between, total, mask=real)
    tl.store(grad_h0 + chain, weight * grad, mask=first)


@_kernel
def summarise_states(
    a, u, p, lo, hi, T, length, chains, N,
    ACTIVATION: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr, FLIGHT: tl.constexpr,
    TOP: tl.constexpr,
):  # fmt: skip
    """Summarise each chunk's map on a state h, min(hi, max(lo, p + u^L h)): p, lo, hi (C, chains)."""
    chunk, start, stop, chain, real, neuron = _place(T, length, chains, N, BLOCK)
    weight = tl.load(u + neuron, mask=real, other=0).to(WIDE)
    linear = tl.zeros_like(weight)
    low = linear - TOP
    high = linear + TOP
    source = a + start.to(tl.int64) * chains + chain
    for _ in tl.range(start, stop, UNROLL, num_stages=FLIGHT // UNROLL):
        for k in tl.static_range(UNROLL):
            a_t = tl.load(source + k * chains, mask=real, other=0).to(WIDE)
            linear = a_t + weight * linear
            low = _value(a_t + weight * low, ACTIVATION)
            high = _value(a_t + weight * high, ACTIVATION)
        source += UNROLL * chains
    between = chunk.to(tl.int64) * chains + chain
    tl.store(p + between, linear, mask=real)
    tl.store(lo + between, tl.minimum(low, high), mask=real)
    tl.store(hi + between, tl.maximum(low, high), mask=real)


@_kernel
def link_states(
    a, u, h0, p, lo, hi, before, T, length, chunks, chains, N,
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
                state = _value(tl.load(source, mask=real, other=0).to(WIDE) + weight * state, ACTIVATION)
                source += chains


@_kernel
def summarise_gradients(
    g, h, u, p, lowest, T, length, chains, N,
    ACTIVATION: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr, FLIGHT: tl.constexpr,
):  # fmt: skip
    """Summarise each chunk's map on a gradient d from after it, p + [lowest state > 0] u^L d: p, lowest (C, chains)."""
    chunk, start, stop, chain, real, neuron = _place(T, length, chains, N, BLOCK)
    weight = tl.load(u + neuron, mask=real, other=0).to(WIDE)
    grad = tl.zeros_like(weight)
    least = grad + 1
    last = (stop - 1).to(tl.int64) * chains + chain
    gradient = g + last
    state = h + last
    for _ in tl.range(start, stop, UNROLL, num_stages=FLIGHT // UNROLL):
        for k in tl.static_range(UNROLL):
            h_t = tl.load(state - k * chains, mask=real, other=0).to(WIDE)
            grad = _pull(tl.load(gradient - k * chains, mask=real, other=0).to(WIDE) + weight * grad, h_t, ACTIVATION)
            if ACTIVATION == "relu":
                least = tl.minimum(least, h_t)
        gradient -= UNROLL * chains
        state -= UNROLL * chains
    between = chunk.to(tl.int64) * chains + chain
    tl.store(p + between, grad, mask=real)
    tl.store(lowest + between, least, mask=real)


@_kernel
def link_gradients(
    g, h, u, p, lowest, after, T, length, chunks, chains, N,
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
                grad = _pull(tl.load(gradient, mask=real, other=0).to(WIDE) + weight * grad, h_t, ACTIVATION)
                gradient -= chains
                state -= chains
