"""Triton kernels of batch norm and dropout behind a recurrence, one chain (a sample's neuron) a lane.

    y = ((h - mean) / sqrt(variance + eps) * gain + shift) * mask = level + h * scale

The states' kernel leaves the sums that mean and variance come from; here they become a line, and y. Sums are added in
one order, without atomics. Importing this module imports triton.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, no-any-return"

from __future__ import annotations

import triton.language as tl

from .triton_kernels import kernel, place


@kernel
def normalize(
    h, sums, gain, shift, drop, y, found, mean_, variance_, tracked, T, length, rows, chains: tl.constexpr, N,
    WIDE: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr,
    NORM: tl.constexpr, DROP: tl.constexpr, EPS: tl.constexpr, SHARE: tl.constexpr,
):  # fmt: skip
    """y (T, chains) from h, in stretches of `length` steps, and sums (2, rows, N) of h and of its square.

    found (2, N): mean and variance, in float64. The stored mean_ and variance_ (N,) move towards them by SHARE, and
    tracked counts one more; SHARE None leaves them.
    """
    stretch, start, stop, chain, real, neuron = place(T, length, chains, N, BLOCK)
    scale = tl.full((BLOCK,), 1.0, WIDE)
    level = tl.zeros((BLOCK,), WIDE)
    if NORM:
        plain = tl.zeros((BLOCK,), tl.float64)
        square = tl.zeros((BLOCK,), tl.float64)
        at = sums + neuron
        for _ in tl.range(0, rows, loop_unroll_factor=8):
            plain += tl.load(at, mask=real, other=0)
            square += tl.load(at + rows * N, mask=real, other=0)
            at += N
        count = (T * (chains // N)).to(tl.float64)
        mean = plain / count
        variance = tl.maximum(square / count - mean * mean, 0.0, propagate_nan=tl.PropagateNan.ALL)
        slope = tl.load(gain + neuron, mask=real, other=0).to(tl.float64) / tl.sqrt(variance + EPS)
        scale = slope.to(WIDE)
        level = tl.load(shift + neuron, mask=real, other=0).to(tl.float64) - mean * scale.to(tl.float64)
        level = level.to(WIDE)
        first = chain < tl.where(stretch == 0, N, 0)
        tl.store(found + neuron, mean, mask=first)
        tl.store(found + N + neuron, variance, mask=first)
        if SHARE is not None:
            old = tl.load(mean_ + neuron, mask=first, other=0)
            tl.store(mean_ + neuron, old + SHARE * (mean.to(WIDE) - old), mask=first)
            old = tl.load(variance_ + neuron, mask=first, other=0)
            new = (variance * (count / (count - 1))).to(WIDE)
            tl.store(variance_ + neuron, old + SHARE * (new - old), mask=first)
            if (tl.program_id(0) == 0) & (tl.program_id(1) == 0):
                tl.store(tracked, tl.load(tracked) + 1)
    if DROP:
        keep = tl.load(drop + chain, mask=real, other=0).to(WIDE)
        scale = scale * keep
        level = level * keep
    at = start.to(tl.int64) * chains + chain
    for t in tl.range(start, stop, UNROLL):
        for k in tl.static_range(UNROLL):
            inside = chain < tl.where(t + k < stop, chains, 0)
            h_t = tl.load(h + at + k * chains, mask=inside, other=0).to(WIDE)
            tl.store(y + at + k * chains, level + h_t * scale, mask=inside)
        at += UNROLL * chains


@kernel
def weigh(
    g, h, found, drop, sums, T, length, chains: tl.constexpr, N,
    WIDE: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr, FLIGHT: tl.constexpr, DROP: tl.constexpr,
):  # fmt: skip
    """sums (2, chains): of the gradient g (T, chains) of y, and of g * (h - mean), times the mask, in float64."""
    _, start, stop, chain, real, neuron = place(T, length, chains, N, BLOCK)
    mean = tl.load(found + neuron, mask=real, other=0)
    center = mean.to(WIDE)
    plain = tl.zeros((BLOCK,), tl.float64)
    weighed = tl.zeros((BLOCK,), tl.float64)
    gradient = g + start.to(tl.int64) * chains + chain
    state = h + start.to(tl.int64) * chains + chain
    for _ in tl.range(start, stop, UNROLL, num_stages=FLIGHT // UNROLL):
        few = tl.zeros((BLOCK,), WIDE)
        some = tl.zeros((BLOCK,), WIDE)
        for k in tl.static_range(UNROLL):
            g_t = tl.load(gradient + k * chains, mask=real, other=0).to(WIDE)
            h_t = tl.load(state + k * chains, mask=real, other=0).to(WIDE)
            few += g_t
            some += g_t * (h_t - center)
        plain += few.to(tl.float64)
        weighed += some.to(tl.float64)
        gradient += UNROLL * chains
        state += UNROLL * chains
    weighed -= plain * (mean - center.to(tl.float64))
    if DROP:
        keep = tl.load(drop + chain, mask=real, other=0).to(tl.float64)
        plain *= keep
        weighed *= keep
    tl.store(sums + chain, plain, mask=real)
    tl.store(sums + chains + chain, weighed, mask=real)
