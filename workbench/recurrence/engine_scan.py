"""Engine `scan`: the exact recurrence, parallel in time, in pure PyTorch or in Triton (`triton_kernels.py`).

A step with relu is h -> max(0, a_t + u h): an affine map, clamped. Such maps compose to one of their own kind,

    (q, p, lo, hi):  h -> min(hi, max(lo, p + q h))
    g after f:       q = q_g q_f;   p = p_g + q_g p_f;   [lo, hi] = g(lo_f) and g(hi_f), sorted

for any sign of u, and composition is associative: time parallelises exactly, with no iteration to converge. What a
chunk of L steps does to any state therefore needs four numbers a chain, and three of them are the recurrence itself:

    q = u^L;   p = the chunk run from 0 without relu;   lo, hi = the chunk run from the lowest and the highest float

Chunks are summarised side by side, the states between them found one after the other, and every chunk is replayed
side by side from its own first state, so that h is made of the loop's own steps. The backward pass is linear,
d_t = m_t (g_t + u d_{t+1}) with m_t = [h_t > 0], and goes the same way in reverse.

For u >= 0 and h0 = 0 there is a closed form with P, the recurrence without relu: h_t = P_t - min(0, min_{s<=t}
u^(t-s) P_s). At u = 1 it is cumsum - cummin: the waiting times of a queue (Lindley 1952), reflection at a barrier
(Skorokhod 1961). Queues have been simulated by parallel prefix (Greenberg, Lubachevsky, Mitrani 1991); for recurrent
networks with relu we found no earlier statement.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .activation import ACTIVATIONS
from .autograd import Gradients

NAME = "scan"
CHUNK = 64
STEPS = {"cpu": 512, "cuda": 8192}  # from which it overtakes, with so few CHAINS (scripts/crossovers.py);
CHAINS = 1024  # that of CUDA is not measured yet
GROWTH = 1024.0  # |u|^L stays below, since p + q h may cancel and lose as many times the rounding error


def refuses(activation: str) -> str | None:
    """Reason why this activation cannot be scanned, or None if it can."""
    if activation == "leaky_relu":
        return "its steps compose to ever more linear pieces, so a chunk has no summary of fixed size"
    return None if activation in ("relu", "identity") else f"{activation} steps do not compose to a map of their kind"


def is_long_and_thin(a: Tensor) -> bool:
    """Are there so few chains, and so many steps, that time is the better dimension to work in?"""
    T, B, N = a.shape
    return STEPS.get(a.device.type, math.inf) <= T and B * N <= CHAINS


def forward(a: Tensor, u: Tensor, h0: Tensor, activation: str, over: bool) -> Tensor:
    """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N), not over a."""
    wide = torch.promote_types(a.dtype, torch.float32)  # half precision runs in float32
    return states(a.to(wide), u.to(wide), h0.to(wide), activation).to(a.dtype)


def backward(g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Gradients:
    """From the gradients g of h (T, B, N), those of a (T, B, N), u (N,) and h0 (B, N)."""
    wide = torch.promote_types(h.dtype, torch.float32)
    d, grad_u, grad_h0 = gradients(g.to(wide), h.to(wide), u.to(wide), h0.to(wide), activation)
    return d.to(g.dtype), grad_u.to(u.dtype), grad_h0.to(h0.dtype)


def states(a: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """The states h (T, B, N)."""
    value_ = ACTIVATIONS[activation].value_
    length = _chunk(u, a.shape[0])
    before = _states_between(a, u, h0, activation, length)  # (C, B, N)
    if before is None:
        length, before = a.shape[0], h0[None]
    h = torch.empty_like(a, memory_format=torch.contiguous_format)
    for a_s, h_s in zip(_rows(a, length), _rows(h, length), strict=True):
        value_(torch.addcmul(a_s, u, before[: len(h_s)], out=h_s))
        before = h_s
    return h


def gradients(g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Gradients:
    """Those of a (T, B, N), u (N,) and h0 (B, N), from those of h."""
    pull_ = ACTIVATIONS[activation].pull_
    length = _chunk(u, len(h))
    after = _gradients_between(g, h, u, activation, length)  # (C, B, N)
    if after is None:
        length, after = len(h), torch.zeros_like(h0)[None]
    before = [torch.cat((h0[None], h[length - 1 : -1 : length])), *_rows(h, length)]
    d = g.clone(memory_format=torch.contiguous_format)
    per_chain = torch.zeros_like(after)  # grad u of each (chunk, sample, neuron), summed once at the end
    for s, d_s in reversed(list(enumerate(_rows(d, length)))):
        d_s[: len(after)].addcmul_(u, after[: len(d_s)])
        pull_(d_s, before[s + 1])
        per_chain[: len(d_s)].addcmul_(d_s, before[s][: len(d_s)])
        after = d_s
    return d, per_chain.sum((0, 1)), u * d[0]


def _rows(x: Tensor, length: int) -> list[Tensor]:
    """For each place s in a chunk, the steps s, s + L, s + 2L, ...: views of x, shorter where the last chunk is."""
    return [x[s::length] for s in range(min(length, len(x)))]


def _chunk(u: Tensor, T: int) -> int:
    """Steps in a chunk: CHUNK, fewer where |u| > 1 would outgrow the precision of a summary, T if that leaves none."""
    largest = float(u.abs().max()) if u.numel() else 0.0
    if largest <= GROWTH ** (1 / CHUNK):
        return min(CHUNK, T)
    length = int(math.log(GROWTH) / math.log(largest)) if math.isfinite(largest) else 0
    return min(length, T) if length > 1 else T


def _states_between(a: Tensor, u: Tensor, h0: Tensor, activation: str, length: int) -> Tensor | None:
    """The state before each chunk (C, B, N); None if a number left the range of floats: summaries then mean nothing."""
    value_ = ACTIVATIONS[activation].value_
    C = -(-len(a) // length)
    top = torch.finfo(a.dtype).max  # no infinity: it would meet u = 0
    starts = (0.0, -top, top) if activation == "relu" else (0.0,)
    runs = a.new_tensor(starts)[:, None, None, None].repeat(1, C - 1, *h0.shape)  # (3, C - 1, B, N)
    for a_s in _rows(a[: (C - 1) * length], length):
        torch.addcmul(a_s, u, runs, out=runs)
        value_(runs[1:])
    q, p = u**length, runs[0]
    lo, hi = torch.aminmax(runs[1:], dim=0) if activation == "relu" else (None, None)
    states = torch.empty_like(h0[None].expand(C, *h0.shape), memory_format=torch.contiguous_format)
    states[0] = h0
    for c in range(C - 1):
        torch.addcmul(p[c], q, states[c], out=states[c + 1])
        if lo is not None and hi is not None:
            states[c + 1].clamp_(lo[c], hi[c])
    return states if C == 1 or bool(p.isfinite().all() & states.isfinite().all()) else None


def _gradients_between(g: Tensor, h: Tensor, u: Tensor, activation: str, length: int) -> Tensor | None:
    """The gradient d that reaches each chunk from the next (C, B, N), zero for the last; None as above."""
    pull_ = ACTIVATIONS[activation].pull_
    C = -(-len(h) // length)
    p = h.new_zeros(C, *h.shape[1:])
    lowest = torch.full_like(p, torch.inf)  # a gradient crosses a relu chunk only if every state in it is positive
    for g_s, h_s in zip(reversed(_rows(g, length)), reversed(_rows(h, length)), strict=True):
        p_s = p[: len(g_s)]
        pull_(torch.addcmul(g_s, u, p_s, out=p_s), h_s)
        torch.minimum(lowest[: len(h_s)], h_s, out=lowest[: len(h_s)])
    q = (u**length).expand_as(p)
    if activation == "relu":
        q = torch.where(lowest > 0, q, 0)
    after = torch.zeros_like(p)
    for c in range(C - 1, 0, -1):
        torch.addcmul(p[c], q[c], after[c], out=after[c - 1])
    return after if C == 1 or bool(after.isfinite().all()) else None
