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
from .compiler import ACTIVATIONS, COUNT, DTYPES, POINTER
from .memory import empty
from .threads import share

_SOURCE = Path(__file__).with_name("fused.c")
_BLOCK = 16  # sequences a block
_BLOCKS = 32  # at most, each holding a gradient of W of its own: more sequences than these hold make larger blocks
_NARROW = 4  # inputs up to which a tile of weights would be mostly zeros
_ROWS = 192  # rows (steps times sequences) a chunk of the backward pass: what the second-level cache holds


@cache
def library(dtype: torch.dtype) -> ctypes.CDLL:
    """fused.c for one dtype."""
    found = compiler.library(_SOURCE, "-ffp-contract=fast", *DTYPES[dtype])
    found.forward.argtypes = [COUNT, *[POINTER] * 6, *[COUNT] * 6]
    found.backward.argtypes = [COUNT, *[POINTER] * 11, *[COUNT] * 8]
    found.scratch.argtypes = [COUNT] * 4
    found.wide.restype = found.scratch.restype = COUNT
    found.forward.restype = found.backward.restype = None
    return found


def forward(x: Tensor, weight: Tensor, bias: Tensor, u: Tensor, h0: Tensor, activation: str) -> Tensor:
    """The states h (T, B, N)."""
    compiled = library(x.dtype)
    (T, B, M), N = x.shape, len(weight)
    w = _panels(weight.t(), compiled.wide())
    h = empty((T, B, N), x.dtype)
    pointers = [t.data_ptr() for t in (x, w, bias, u, h0, h)]
    code = ACTIVATIONS[activation]
    share(
        lambda _, begin, end: compiled.forward(code, *pointers, T, B, M, N, begin, end), _blocks(B), T * B * N * (M + 8)
    )
    return h


def backward(
    g: Tensor, x: Tensor, weight: Tensor, u: Tensor, h0: Tensor, h: Tensor, activation: str, for_x: bool, for_w: bool
) -> tuple[Tensor | None, Tensor | None, Tensor, Tensor, Tensor]:
    """From the gradient g of h (T, B, N): those of x, weight (None where not wanted), bias, u and h0."""
    compiled, code = library(x.dtype), ACTIVATIONS[activation]
    (T, B, M), N = x.shape, len(weight)
    blocks, w = _blocks(B), _panels(weight, compiled.wide())
    grad_x = empty((T, B, M), x.dtype) if for_x else None
    narrow = M if for_w and M <= _NARROW else 0
    grad_w = x.new_zeros(len(blocks), *w.shape) if for_w and not narrow else None
    sums, grad_h0 = x.new_zeros(len(blocks), 2 + narrow, N), torch.empty_like(h0)
    before = [t.data_ptr() for t in (g, x, w, u, h0, h)]

    def call(block: int, begin: int, end: int) -> None:
        steps = -(-T // -(-T * (end - begin) // _ROWS))  # chunks of nearly equal height, none a mere rest
        scratch = x.new_empty(compiled.scratch(M, N, end - begin, steps))
        after = (
            None if grad_x is None else grad_x.data_ptr(),
            None if grad_w is None else grad_w[block].data_ptr(),
            sums[block].data_ptr(),
            grad_h0.data_ptr(),
            scratch.data_ptr(),
        )
        compiled.backward(code, *before, *after, T, B, M, N, narrow, begin, end, steps)

    share(call, blocks, 2 * T * B * N * (M + 8))
    total = _total(sums)
    grad_weight = total[2:].t().contiguous() if for_w else None
    if grad_w is not None:
        grad_weight = _total(grad_w).transpose(0, 1).reshape(N, -1)[:, :M].contiguous()
    return grad_x, grad_weight, total[0], total[1], grad_h0


def _panels(matrix: Tensor, wide: int) -> Tensor:
    """The columns of a matrix (K, C), `wide` of them neighbours in memory: (C / wide, K, wide), zeros beyond C."""
    K, C = matrix.shape
    padded = torch.nn.functional.pad(matrix.detach(), (0, -C % wide))
    return padded.view(K, -1, wide).transpose(0, 1).contiguous()


def _blocks(B: int) -> list[tuple[int, int, int]]:
    """Number, begin and end of each block of sequences; they depend on nothing but B."""
    height = max(_BLOCK, -(-B // _BLOCKS))
    return [(block, begin, min(begin + height, B)) for block, begin in enumerate(range(0, B, height))]


def _total(blocks: Tensor) -> Tensor:
    """The sum over the first dimension, in order."""
    total = blocks[:1].sum(0)
    for block in blocks[1:]:
        total += block
    return total
