"""A whole layer with one or two inputs, as first layers have, in C: one pass over the states forward, one backward.

    h_t = f(W x_t + b + u * h_{t-1})        Li et al. 2018, eq. (2)

Memory is what it waits for, so each thread takes neighbouring sequences, as many as there are. The gradients of W, b
and u are summed by blocks that depend on nothing but B: the result is the same for every number of threads.
"""

from __future__ import annotations

import ctypes
from functools import cache
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from . import compiler
from .compiler import COUNT, POINTER
from .memory import empty
from .structs import Gradients, Made, Pull, blocks, gradient, layer, total
from .threads import share

INPUTS = 2  # at most
_SOURCE = Path(__file__).with_name("layer_narrow.c")
_STEP = 10  # what one step of one chain costs, in multiply-adds of a matrix product


@cache
def library(dtype: torch.dtype, activation: str) -> ctypes.CDLL:
    """layer_narrow.c for one dtype and activation."""
    found = compiler.library(_SOURCE, "-ffp-contract=fast", *compiler.defines(dtype, activation))
    found.forward.argtypes = [POINTER, COUNT, COUNT]
    found.backward.argtypes = [POINTER] * 4 + [COUNT] * 3
    found.forward.restype = found.backward.restype = None
    return found


def forward(x: Tensor, weight: Tensor, bias: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """The states h (T, B, N)."""
    (T, B, _), N = x.shape, len(weight)
    h, w = empty((T, B, N), x.dtype), weight.t().contiguous()
    call, own = library(x.dtype, activation).forward, ctypes.byref(layer(x, w, bias, u, h0, h))
    share(lambda _, begin, end: call(own, begin, end), _ranges(B), T * B * N * _STEP)
    return h


def backward(made: Made, g: Tensor, pull: Pull | None, for_x: bool, for_w: bool) -> Gradients:
    """As that of `layer_fused`; there is none of x: a first layer's input needs none."""
    x, weight, u, h0, h, activation = made
    assert not for_x
    (T, B, M), N = x.shape, len(weight)
    own, grad_h0 = layer(x, x, u, u, h0, h), torch.empty_like(h0)
    to, compiled = gradient(g, pull, None, grad_h0), library(x.dtype, activation)
    parts = blocks(B)
    height, sums = parts[0][2], x.new_zeros(len(parts), 2 + M, N)

    def call(first: int, begin: int, end: int) -> None:
        scratch = x.new_zeros(-(-(end - begin) // height) * (2 + M) * N + (end - begin + 1) * N)
        pointers = sums[first].data_ptr(), scratch.data_ptr()
        compiled.backward(ctypes.byref(own), ctypes.byref(to), *pointers, begin, end, height)

    share(call, _ranges(B), T * B * N * _STEP)
    whole = total(sums)
    return None, whole[2:].t().contiguous(), whole[0], whole[1], grad_h0


def _ranges(B: int) -> list[tuple[int, int, int]]:
    """The number of the first block, begin and end of the sequences of each thread."""
    parts = blocks(B)
    count = min(torch.get_num_threads(), len(parts))
    cuts = [len(parts) * i // count for i in range(count + 1)]
    return [(low, parts[low][1], parts[high - 1][2]) for low, high in pairwise(cuts)]
