"""Triton kernels of the recurrence, forward and backward, one chain (a sample's neuron) a lane.

`engine_triton.py` launches them.

Time is cut into chunks of `length` steps, which run side by side once the state before each is known; one chunk of T
steps is the plain loop. `engine_scan.py` has the mathematics of what lies between chunks.

What keeps the memory busy while each step waits for the last: loads run FLIGHT steps ahead into shared memory (a loop
of `num_stages`), UNROLL steps share one wait, and addresses of loads and stores are counted apart, since an address
used by both would travel through every stage in registers (72 registers and 94 instructions a step against 26 and 34;
15 when eight steps share a wait). The number of chains is compiled in, so that a step's distance is a constant.
Importing this module imports triton.
"""
# Triton's language is not Python's: a kernel's arguments are pointers, and its decorators carry no types.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, no-any-return"

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra import libdevice

from .activation import SLOPE

LEAK = tl.constexpr(SLOPE)
INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)  # the interpreter has no libdevice
kernel = triton.jit(do_not_specialize=("T", "length", "chunks", "rows", "N"))  # their values; chains are compiled in


@triton.jit
def value(z, ACTIVATION: tl.constexpr):
    if ACTIVATION == "relu":
        z = tl.maximum(z, 0.0, propagate_nan=tl.PropagateNan.ALL)
    elif ACTIVATION == "leaky_relu":
        z = tl.where(z > 0, z, z * LEAK)
    elif ACTIVATION == "tanh":
        z = 1 - 2 / (tl.exp(2 * z) + 1) if INTERPRETED else libdevice.tanh(z)
    return z


@triton.jit
def pull(g, h, ACTIVATION: tl.constexpr):
    """The gradient g of h, pulled back through h = f(z)."""
    if ACTIVATION == "relu":
        g = tl.where(h > 0, g, 0.0)
    elif ACTIVATION == "leaky_relu":
        g = tl.where(h > 0, g, g * LEAK)
    elif ACTIVATION == "tanh":
        g = g * (1 - h * h)
    return g


@triton.jit
def place(T, length, chains, N, BLOCK: tl.constexpr):
    """This program's chunk and its bounds in time; its chains, which of them exist, and their neurons."""
    chain = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    chunk = tl.program_id(1)
    start = chunk * length
    return chunk, start, tl.minimum(start + length, T), chain, chain < chains, chain % N


@kernel
def states(
    a, u, before, h, sums, T, length, chains: tl.constexpr, N,
    ACTIVATION: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr, FLIGHT: tl.constexpr,
    ZERO: tl.constexpr, MOMENTS: tl.constexpr,
):  # fmt: skip
    """h (T, chains) from a (T, chains) and the state before each chunk (C, chains), 0 if ZERO; h may lie over a.

    With MOMENTS also sums (2, chains) of h and of its square, in float64: within UNROLL steps deviations from the first
    of them are summed as they are, so that neither many steps nor a large mean costs precision. One chunk then.
    """
    chunk, start, stop, chain, real, neuron = place(T, length, chains, N, BLOCK)
    weight = tl.load(u + neuron, mask=real, other=0).to(WIDE)
    state = tl.zeros_like(weight)
    if not ZERO:
        state = tl.load(before + chunk.to(tl.int64) * chains + chain, mask=real, other=0).to(WIDE)
    plain = tl.zeros((BLOCK,), tl.float64)
    square = tl.zeros((BLOCK,), tl.float64)
    source = a + start.to(tl.int64) * chains + chain
    target = h + start.to(tl.int64) * chains + chain
    for _ in tl.range(start, stop, UNROLL, num_stages=FLIGHT // UNROLL):
        near = tl.zeros_like(weight)
        off = tl.zeros_like(weight)
        spread = tl.zeros_like(weight)
        for k in tl.static_range(UNROLL):
            z = tl.load(source + k * chains, mask=real, other=0).to(WIDE) + weight * state
            state = value(z, ACTIVATION)
            tl.store(target + k * chains, state, mask=real)
            if MOMENTS:
                seen = state.to(h.dtype.element_ty).to(WIDE)  # as it is stored
                if k == 0:
                    near = seen
                else:
                    off += seen - near
                    spread += (seen - near) * (seen - near)
        if MOMENTS:
            first = near.to(tl.float64)
            plain += first * UNROLL + off.to(tl.float64)
            square += spread.to(tl.float64) + first * (2 * off.to(tl.float64) + first * UNROLL)
        source += UNROLL * chains
        target += UNROLL * chains
    if MOMENTS:
        tl.store(sums + chain, plain, mask=real)
        tl.store(sums + chains + chain, square, mask=real)


@kernel
def gradients(
    g, h, u, h0, after, d, learned, grad_h0, sums, found, gain, drop, normed, T, length, rows, chains: tl.constexpr, N,
    ACTIVATION: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr, FLIGHT: tl.constexpr,
    ZERO: tl.constexpr, AFTER: tl.constexpr, NORM: tl.constexpr, DROP: tl.constexpr, EPS: tl.constexpr,
):  # fmt: skip
    """d (T, chains), learned (2, C, chains): grad u and the sum of d, a bias's; grad h0 (chains).

    From g, h and the gradient that comes after each chunk (C, chains), none without AFTER. A step adds d_{t+1} h_t to
    grad u, so h is read once; the first step's share, d_1 h_0, is added at the end. ZERO: h0 is 0 and has no gradient.
    With NORM or DROP g is the gradient of what batch norm and dropout made of h, see `drawn_back`.
    """
    chunk, start, stop, chain, real, neuron = place(T, length, chains, N, BLOCK)
    weight = tl.load(u + neuron, mask=real, other=0).to(WIDE)
    between = chunk.to(tl.int64) * chains + chain
    grad = tl.zeros_like(weight)
    if AFTER:
        grad = tl.load(after + between, mask=real, other=0)
    if NORM or DROP:
        scale, factor, level = drawn_back(
            sums, found, gain, drop, normed, T, rows, chains, N, chunk, chain, real, neuron, WIDE, NORM, DROP, EPS
        )
    total = tl.zeros_like(weight)
    bias = tl.zeros_like(weight)
    last = (stop - 1).to(tl.int64) * chains + chain
    gradient = g + last
    state = h + last
    target = d + last
    for _ in tl.range(start, stop, UNROLL, num_stages=FLIGHT // UNROLL):
        few = tl.zeros_like(weight)  # short sums round less
        some = tl.zeros_like(weight)
        for k in tl.static_range(UNROLL):
            h_t = tl.load(state - k * chains, mask=real, other=0).to(WIDE)
            g_t = tl.load(gradient - k * chains, mask=real, other=0).to(WIDE)
            if NORM:
                g_t = (level + h_t * factor) + g_t * scale
            elif DROP:
                g_t = g_t * scale
            few += grad * h_t
            grad = pull(g_t + weight * grad, h_t, ACTIVATION)
            some += grad
            tl.store(target - k * chains, grad, mask=real)
        total += few
        bias += some
        gradient -= UNROLL * chains
        state -= UNROLL * chains
        target -= UNROLL * chains
    if not ZERO:
        first = chain < tl.where(chunk == 0, chains, 0)
        total += grad * tl.load(h0 + chain, mask=first, other=0).to(WIDE)
        tl.store(grad_h0 + chain, weight * grad, mask=first)
    tl.store(learned + between, total, mask=real)
    tl.store(learned + tl.num_programs(1).to(tl.int64) * chains + between, bias, mask=real)


@triton.jit
def drawn_back(
    sums, found, gain, drop, normed, T, rows, chains, N, chunk, chain, real, neuron,
    WIDE: tl.constexpr, NORM: tl.constexpr, DROP: tl.constexpr, EPS: tl.constexpr,
):  # fmt: skip
    """The line by which a gradient g of y comes back to h, level + h * factor + g * scale: scale, factor and level.

    From sums (2, rows, N) of g and of g * (h - mean), the mask in them; found (2, N): mean and variance, all float64.
    The first N chains leave the gradients of gain and shift in normed (2, N).
    """
    scale = tl.full(real.shape, 1.0, WIDE)
    factor = scale
    level = scale
    if DROP:
        scale = tl.load(drop + chain, mask=real, other=0).to(WIDE)
    if NORM:
        plain = tl.zeros(real.shape, tl.float64)
        weighed = tl.zeros(real.shape, tl.float64)
        at = sums + neuron
        for _ in tl.range(0, rows, loop_unroll_factor=8):
            plain += tl.load(at, mask=real, other=0)
            weighed += tl.load(at + rows * N, mask=real, other=0)
            at += N
        mean = tl.load(found + neuron, mask=real, other=0)
        inverse = 1 / tl.sqrt(tl.load(found + N + neuron, mask=real, other=0) + EPS)
        slope = inverse * tl.load(gain + neuron, mask=real, other=0).to(tl.float64)
        scale = slope.to(WIDE) * scale
        slope = slope / -(T * (chains // N)).to(tl.float64)
        factor = (slope * inverse * inverse * weighed).to(WIDE)
        level = (slope * plain - mean * factor.to(tl.float64)).to(WIDE)
        first = chain < tl.where(chunk == 0, N, 0)
        tl.store(normed + neuron, weighed * inverse, mask=first)
        tl.store(normed + N + neuron, plain, mask=first)
    return scale, factor, level
