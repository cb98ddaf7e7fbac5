"""Batch norm and dropout in C: statistics, map and gradient, each one pass over memory.

    y = ((h - mean) / sqrt(variance + eps) * scale + shift) * mask = (h - mean) * gain + level

With a mask that all steps share this is one affine map a chain, its gain and level (B, N).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from . import compiler
from .compiler import COUNT, DTYPES, POINTER, REAL
from .states import pieces
from .structs import Pull, addresses
from .threads import share

_SOURCE = Path(__file__).with_name("batchnorm.c")
_STEP = 4  # what one step of one chain costs, in multiply-adds of a matrix product


class Norm(NamedTuple):
    """Batch norm and dropout as C wants them: scale and shift (N,), None for dropout alone; eps of the deviation.

    statistics (2, N): mean and variance in float64, None for those of h itself; mask (B, N), its values 0 or 1 / keep,
    None for no dropout.
    """

    scale: Tensor | None
    shift: Tensor | None
    statistics: Tensor | None
    eps: float
    mask: Tensor | None

    @property
    def takes(self) -> bool:
        """Are the statistics to be taken from h itself?"""
        return self.scale is not None and self.statistics is None


class Map(NamedTuple):
    """The map applied to h: map (3, B, N): center, gain and level; inverse (N,) in float64, None for dropout alone."""

    map: Tensor
    inverse: Tensor | None


@cache
def library(dtype: torch.dtype) -> ctypes.CDLL:
    """batchnorm.c for one dtype."""
    found = compiler.library(_SOURCE, "-ffp-contract=fast", *DTYPES[dtype])
    found.take_moments.argtypes = [POINTER] * 2 + [COUNT] * 4
    found.join.argtypes = [POINTER, COUNT, COUNT, COUNT, POINTER]
    found.plan.argtypes = [POINTER, REAL, *[POINTER] * 3, *[COUNT] * 2, *[POINTER] * 2]
    found.apply.argtypes = [POINTER] * 3 + [COUNT] * 4
    found.weigh.argtypes = [POINTER] * 4 + [COUNT] * 4
    found.plan_back.argtypes = [*[POINTER] * 4, REAL, *[COUNT] * 2, *[POINTER] * 2]
    found.pull_back.argtypes = [POINTER] * 5 + [COUNT] * 4
    for name in ("take_moments", "join", "plan", "apply", "weigh", "plan_back", "pull_back"):
        getattr(found, name).restype = None
    return found


def statistics(h: Tensor) -> Tensor:
    """The mean and the (biased) variance (2, N) of h (T, B, N) over time and batch, in float64."""
    moments = torch.empty((2, *h.shape[1:]), dtype=torch.float64)
    found = torch.empty((2, h.shape[2]), dtype=torch.float64)
    _run("take_moments", h, h, moments)
    library(h.dtype).join(moments.data_ptr(), *h.shape, found.data_ptr())
    return found


def forward(h: Tensor, y: Tensor, norm: Norm) -> Map:
    """Write y (T, B, N), which may be h, with the statistics of `norm`."""
    _, B, N = h.shape
    done, inverse = h.new_empty((3, B, N)), None
    if norm.scale is None or norm.statistics is None:
        done.zero_()[1] = 1 if norm.mask is None else norm.mask
    else:
        inverse = torch.empty(N, dtype=torch.float64)
        learned = addresses(norm.scale, norm.shift, norm.mask)
        library(h.dtype).plan(norm.statistics.data_ptr(), norm.eps, *learned, B, N, inverse.data_ptr(), done.data_ptr())
    _run("apply", h, h, done, y)
    return Map(done, inverse)


def in_torch(h: Tensor, norm: Norm, steps: bool = False) -> Tensor:
    """The same in PyTorch's operations: for second derivatives. With `steps` each step has statistics of its own."""
    taken, over = norm.statistics, (1,) if steps else (0, 1)
    if norm.scale is not None or taken is not None:
        mean = h.mean(over, keepdim=True) if taken is None else taken[0].to(h.dtype)
        variance = h.var(over, correction=0, keepdim=True) if taken is None else taken[1].to(h.dtype)
        h = (h - mean) * (variance + norm.eps).rsqrt()
    if norm.scale is not None and norm.shift is not None:
        h = h * norm.scale + norm.shift
    return h if norm.mask is None else h * norm.mask


def differentiable(call: Callable[..., Tensor], g: Tensor, *inputs: Tensor | None) -> tuple[Tensor | None, ...]:
    """The gradients of the inputs of `call` that want one, each with a gradient of its own.

    Of views of them: an input may be made of another (a layer used twice), and is a constant here nevertheless.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():  # a gradient that vmap maps over comes here without it
        own = [None if v is None else v.view_as(v) for v in inputs]
        wanted = [v for v in own if v is not None and v.requires_grad]
        found = iter(torch.autograd.grad(call(*own), wanted, g, create_graph=again))
    return tuple(next(found) if v is not None and v.requires_grad else None for v in own)


def pull(g: Tensor, h: Tensor, norm: Norm, done: Map) -> tuple[Pull, Tensor | None, Tensor | None]:
    """The map that pulls the gradient g of y (T, B, N) back to h; and the gradients of scale and shift (N,)."""
    T, B, N = h.shape
    if done.inverse is None or norm.scale is None:
        return Pull(done.map, h.new_zeros((2, B, N))), None, None
    sums, learned, slopes = torch.empty((2, B, N), dtype=torch.float64), h.new_empty((2, N)), h.new_empty((2, B, N))
    _run("weigh", h, g, h, done.map, sums)
    given = addresses(sums, done.inverse, norm.scale, norm.mask)
    library(h.dtype).plan_back(*given, float(T * B * norm.takes), B, N, learned.data_ptr(), slopes.data_ptr())
    return Pull(done.map, slopes), learned[0], learned[1]


def backward(g: Tensor, h: Tensor, how: Pull, d: Tensor) -> None:
    """Write the gradient of h (T, B, N) into d, which may be g."""
    _run("pull_back", h, g, h, how.map, how.slopes, d)


def _run(name: str, h: Tensor, *arrays: Tensor) -> None:
    """Call a C function on all chains of h; the arrays are contiguous."""
    call, pointers, (T, C) = getattr(library(h.dtype), name), addresses(*arrays), (h.shape[0], h.stride(0))
    share(lambda begin, end: call(*pointers, T, C, begin, end), pieces(C), T * C * _STEP)
