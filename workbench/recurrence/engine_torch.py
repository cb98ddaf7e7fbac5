"""Engine `torch`: pure PyTorch, in place, backward written by hand; it needs no compiler and runs on any device.

Two kernels a step forward and three backward, on views made once (`unbind`): indexing h[t] under autograd costs
O(T^2) in the backward pass; not too many at once, since Python searches all of them for garbage now and then.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .activation import ACTIVATIONS
from .autograd import SUMMED, Gradients

NAME = "torch"
_VIEWS = 1024  # steps


def forward(a: Tensor, u: Tensor, h0: Tensor, activation: str, over: bool) -> Tensor:
    """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N), written over `a` if nobody else reads it."""
    wide = torch.promote_types(a.dtype, torch.float32)
    if a.dtype != wide:  # half precision: a state that is rounded at every step drifts, and u near 1 would be 1
        return forward(a.to(wide), u.to(wide), h0.to(wide), activation, True).to(a.dtype)
    h = a if over else a.clone(memory_format=torch.contiguous_format)
    value_, before = ACTIVATIONS[activation].value_, h0
    for part in h.split(_VIEWS):
        for h_t in part.unbind(0):
            value_(h_t.addcmul_(u, before))
            before = h_t
    return h


def backward(g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Gradients:
    """From the gradients g of h (T, B, N): those of a (T, B, N), u (N,) and h0 (B, N)."""
    wide = torch.promote_types(h.dtype, torch.float32)
    if h.dtype != wide:
        d, grad_u, grad_h0 = backward(g.to(wide), h.to(wide), u.to(wide), h0.to(wide), activation)
        return d.to(h.dtype), grad_u.to(u.dtype), grad_h0.to(h0.dtype)
    d, pull_ = g.clone(memory_format=torch.contiguous_format), ACTIVATIONS[activation].pull_
    per_chain, few = torch.zeros_like(h0), torch.zeros_like(h0)  # grad u of each (sample, neuron): of all, of SUMMED
    after: Tensor | None = None
    for first in reversed(range(0, len(h), _VIEWS)):
        steps = slice(first, first + _VIEWS)
        states = (h[first - 1] if first else h0, *h[steps].unbind(0))
        each = zip(reversed(d[steps].unbind(0)), states[:0:-1], states[-2::-1], strict=True)
        for count, (d_t, h_t, before) in enumerate(each):
            if after is not None:
                d_t.addcmul_(u, after)
            pull_(d_t, h_t)
            if count % SUMMED == 0:
                per_chain.add_(few)
                few = d_t * before
            else:
                few.addcmul_(d_t, before)
            after = d_t
    return d, per_chain.add_(few).sum(0), u * d[0]
