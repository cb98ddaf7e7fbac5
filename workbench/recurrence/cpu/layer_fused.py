"""A whole layer in C: the matrix products and the recurrence alternate while values are in cache.

    h_t = f(W x_t + b + u * h_{t-1})        Li et al. 2018, eq. (2)

Neither the pre-activations nor their gradients are ever stored whole. The batch is cut into blocks of sequences, each
worked on by one thread from the first step to the last, with its own sums of the gradients of W, b and u; these are
added in the order of the blocks, so that the result is the same for every number of threads.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from . import compiler
from .compiler import COUNT, POINTER
from .memory import empty
from .structs import Gradients, Made, Pull, blocks, gradient, layer, total
from .threads import share

_SOURCE = Path(__file__).with_name("layer_fused.c")
_ROWS = 192  # rows (steps times sequences) a chunk of the backward pass: what the second-level cache holds


@cache
def library(dtype: torch.dtype, activation: str) -> ctypes.CDLL:
    """layer_fused.c for one dtype and activation."""
    found = compiler.library(_SOURCE, "-ffp-contract=fast", *compiler.defines(dtype, activation))
    found.forward.argtypes = [POINTER, COUNT, COUNT]
    found.backward.argtypes = [POINTER] * 5 + [COUNT] * 3
    found.scratch.argtypes = [COUNT] * 4
    found.wide.restype = found.scratch.restype = COUNT
    found.forward.restype = found.backward.restype = None
    return found


def forward(x: Tensor, weight: Tensor, bias: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """The states h (T, B, N)."""
    compiled = library(x.dtype, activation)
    (T, B, M), N = x.shape, len(weight)
    h, w = empty((T, B, N), x.dtype), _panels(weight.t(), compiled.wide())
    own = ctypes.byref(layer(x, w, bias, u, h0, h))
    share(lambda _, begin, end: compiled.forward(own, begin, end), blocks(B), T * B * N * (M + 8))
    return h


def backward(made: Made, g: Tensor, pull: Pull | None, for_x: bool, for_w: bool) -> Gradients:
    """The gradients of what the layer was made of, from that of its states; see `structs.Gradients`."""
    x, weight, u, h0, h, activation = made
    compiled = library(x.dtype, activation)
    (T, B, M), N = x.shape, len(weight)
    parts, w = blocks(B), _panels(weight, compiled.wide())
    grad_x, grad_h0 = empty((T, B, M), x.dtype) if for_x else None, torch.empty_like(h0)
    grad_w, sums = x.new_zeros(len(parts), *w.shape) if for_w else None, x.new_zeros(len(parts), 2, N)
    own, to = layer(x, w, u, u, h0, h), gradient(g, pull, grad_x, grad_h0)

    def call(block: int, begin: int, end: int) -> None:
        steps = -(-T // -(-T * (end - begin) // _ROWS))  # chunks of nearly equal height, none a mere rest
        scratch = x.new_empty(compiled.scratch(M, N, end - begin, steps))
        kept = None if grad_w is None else grad_w[block].data_ptr(), sums[block].data_ptr(), scratch.data_ptr()
        compiled.backward(ctypes.byref(own), ctypes.byref(to), *kept, begin, end, steps)

    share(call, parts, 2 * T * B * N * (M + 8))
    grad_bias, grad_u = total(sums)
    grad_weight = None if grad_w is None else total(grad_w).transpose(0, 1).reshape(N, -1)[:, :M].contiguous()
    return grad_x, grad_weight, grad_bias, grad_u, grad_h0


def _panels(matrix: Tensor, wide: int) -> Tensor:
    """The columns of a matrix (K, C), `wide` of them neighbours in memory: (C / wide, K, wide), zeros beyond C."""
    K, C = matrix.shape
    if C % wide:
        matrix = torch.nn.functional.pad(matrix.detach(), (0, -C % wide))
    return matrix.reshape(K, -1, wide).transpose(0, 1).contiguous()
