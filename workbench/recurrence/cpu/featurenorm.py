"""Layer norm, RMS norm and dropout in C: one pass over the states forward, one backward.

    y = ((h - mean) / sqrt(variance + eps) * scale + shift) * mask        layer norm: Ba, Kiros and Hinton 2016
    y = h / sqrt(mean(h^2) + eps) * scale * mask                          RMS norm: Zhang and Sennrich 2019

Mean and variance are those of the features of one step of one sequence: a row of h, in cache once it is read.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from . import compiler
from .compiler import COUNT, DTYPES, POINTER, REAL
from .structs import addresses, total
from .threads import share

_SOURCE = Path(__file__).with_name("featurenorm.c")
_STEP = 8  # what one value costs, in multiply-adds of a matrix product
_BLOCK = 64  # rows a block at least
_BLOCKS = 32  # at most, each with sums of its own


class FeatureNorm(NamedTuple):
    """Norm and dropout as C wants them: scale (N,); shift (N,), None for RMS norm; mask (B, N) or None.

    `centred` says whether the mean is taken away first, as in layer norm.
    """

    scale: Tensor | None
    shift: Tensor | None
    eps: float
    mask: Tensor | None
    centred: bool


@cache
def library(dtype: torch.dtype) -> ctypes.CDLL:
    """featurenorm.c for one dtype."""
    found = compiler.library(_SOURCE, "-ffp-contract=fast", *DTYPES[dtype])
    found.forward.argtypes = [*[POINTER] * 6, *[COUNT] * 3, REAL, *[COUNT] * 2]
    found.backward.argtypes = [*[POINTER] * 7, *[COUNT] * 3, REAL, *[COUNT] * 2]
    found.forward.restype = found.backward.restype = None
    return found


def forward(h: Tensor, y: Tensor, norm: FeatureNorm) -> None:
    """Write y (T, B, N), which may be h."""
    _, B, N = h.shape
    call, arrays = library(h.dtype).forward, addresses(h, norm.scale, norm.shift, norm.mask, y)

    def work(_: int, begin: int, end: int) -> None:
        row = h.new_empty(N)
        call(*arrays, row.data_ptr(), B, N, norm.centred, norm.eps, begin, end)

    share(work, _blocks(h), h.numel() * _STEP)


def backward(g: Tensor, h: Tensor, norm: FeatureNorm, d: Tensor) -> tuple[Tensor, Tensor | None]:
    """Write the gradient of h (T, B, N) into d, which may be g, from that of y; return those of scale and shift."""
    (_, B, N), parts = h.shape, _blocks(h)
    call, arrays = library(h.dtype).backward, addresses(g, h, norm.scale, norm.mask, d)
    sums = torch.empty((len(parts), 2, N), dtype=torch.float64)

    def work(block: int, begin: int, end: int) -> None:
        scratch = h.new_empty(4 * N)
        call(*arrays, *addresses(sums[block], scratch), B, N, norm.centred, norm.eps, begin, end)

    share(work, parts, h.numel() * _STEP)
    grad_scale, grad_shift = total(sums).to(h.dtype)
    return grad_scale, None if norm.shift is None else grad_shift


def in_torch(h: Tensor, norm: FeatureNorm) -> Tensor:
    """The same in PyTorch's operations: for second derivatives."""
    if norm.centred:
        h = h - h.mean(-1, keepdim=True)
    h = h * (h.square().mean(-1, keepdim=True) + norm.eps).rsqrt()
    h = h if norm.scale is None else h * norm.scale
    h = h if norm.shift is None else h + norm.shift
    return h if norm.mask is None else h * norm.mask


def _blocks(h: Tensor) -> list[tuple[int, int, int]]:
    """Number, begin and end of each block of rows; they depend on nothing but how many there are."""
    rows = h.shape[0] * h.shape[1]
    height = max(_BLOCK, -(-rows // _BLOCKS))
    return [(block, begin, min(begin + height, rows)) for block, begin in enumerate(range(0, rows, height))]
