"""Structures of layer.h, which tell C about a whole layer, and the blocks of sequences that sum apart."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from torch import Tensor

from .compiler import COUNT, POINTER

_BLOCK = 16  # sequences a block
_BLOCKS = 32  # at most, each holding a gradient of W of its own: more sequences than these hold make larger blocks


class Layer(ctypes.Structure):
    """h_t = f(W x_t + b + u * h_{t-1}): x (T, B, M), bias and u (N,), h0 (B, N), h (T, B, N); w varies."""

    _fields_ = (
        *((name, COUNT) for name in ("T", "B", "M", "N")),
        *((name, POINTER) for name in ("x", "w", "bias", "u", "h0", "h")),
    )


class Gradient(ctypes.Structure):
    """g (T, B, N), with `Pull` the gradient of what became of h; grad_x, or None where it is not wanted; grad_h0."""

    _fields_ = tuple((name, POINTER) for name in ("g", "gain", "center", "slope", "level", "grad_x", "grad_h0"))


class Made(NamedTuple):
    """A layer's states h (T, B, N), and what they were made of: x (T, B, M), weight (N, M), u (N,), h0 (B, N)."""

    x: Tensor
    weight: Tensor
    u: Tensor
    h0: Tensor
    h: Tensor
    activation: str


# Of x, weight, bias, u and h0, from the gradient g of h, or of what a `Pull` says became of it; the first two are None
# where they are not wanted.
Gradients = tuple[Tensor | None, Tensor | None, Tensor, Tensor, Tensor]


class Pull(NamedTuple):
    """Pulls a gradient g back to h, through batch norm and dropout: g * gain + (h - center) * slope + level.

    map (3, B, N): center, gain, and what does not matter here; slopes (2, B, N): slope and level. Of center, slope and
    level each row is alike.
    """

    map: Tensor
    slopes: Tensor


def layer(x: Tensor, w: Tensor, bias: Tensor, u: Tensor, h0: Tensor, h: Tensor) -> Layer:
    """The arrays, contiguous, as C wants them."""
    return Layer(*x.shape, h.shape[2], *(t.data_ptr() for t in (x, w, bias, u, h0, h)))


def gradient(g: Tensor, pull: Pull | None, grad_x: Tensor | None, grad_h0: Tensor) -> Gradient:
    """Likewise for the backward pass."""
    to = Gradient(g=g.data_ptr(), grad_h0=grad_h0.data_ptr())
    if grad_x is not None:
        to.grad_x = grad_x.data_ptr()
    if pull is not None:
        to.center, to.slope, row = pull.map.data_ptr(), pull.slopes.data_ptr(), grad_h0.nbytes
        to.gain, to.level = to.center + row, to.slope + row
    return to


def blocks(B: int) -> list[tuple[int, int, int]]:
    """Number, begin and end of each block of sequences; they depend on nothing but B."""
    height = max(_BLOCK, -(-B // _BLOCKS))
    return [(block, begin, min(begin + height, B)) for block, begin in enumerate(range(0, B, height))]


def addresses(*arrays: Tensor | None) -> list[int | None]:
    """The addresses of contiguous arrays, NULL for None."""
    return [None if array is None else array.data_ptr() for array in arrays]


def total(parts: Tensor) -> Tensor:
    """The sum over the first dimension, in order."""
    whole = parts[:1].sum(0)
    for part in parts[1:]:
        whole += part
    return whole
