"""The recurrence alone in C, chain by chain: the part of engine `cpu` that is bit for bit as `loop`."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from . import compiler
from .compiler import COUNT, POINTER
from .threads import share

SOURCE = Path(__file__).with_name("states.c")
STATE = {torch.float32: torch.float32, torch.float64: torch.float64, torch.bfloat16: torch.float32}
_STEP = 8  # what one step of one chain costs, in multiply-adds of a matrix product
_LANES = 64  # chains a thread takes are a multiple: whole vectors and whole cache lines


@cache
def library(dtype: torch.dtype, activation: str) -> ctypes.CDLL:
    """states.c for one dtype and activation."""
    found = compiler.library(SOURCE, "-ffp-contract=off", *compiler.defines(dtype, activation))
    found.forward.argtypes = [POINTER] * 4 + [COUNT] * 4
    found.backward.argtypes = [POINTER] * 7 + [COUNT] * 4
    found.add_up.argtypes = [POINTER, POINTER, COUNT, COUNT]
    found.forward.restype = found.backward.restype = found.add_up.restype = None
    return found


def forward(a: Tensor, u: Tensor, h0: Tensor, h: Tensor, activation: str) -> None:
    """Write the states into h (T, B, N), which may be a itself; all contiguous."""
    T, C = a.shape[0], h0.numel()
    call, per_chain = library(a.dtype, activation).forward, _per_chain(u, h0)
    pointers = (a.data_ptr(), per_chain.data_ptr(), h0.data_ptr(), h.data_ptr())
    share(lambda begin, end: call(*pointers, T, C, begin, end), pieces(C), T * C * _STEP)


def backward(g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str, d: Tensor, arriving: Tensor) -> Tensor:
    """Write the gradient of a into d (T, B, N), which may be g itself; return that of u (N,).

    arriving (B, N) holds what reaches the last state from later steps, then what reaches h0: its gradient.
    """
    T, C = h.shape[0], h0.numel()
    compiled, per_chain = library(h.dtype, activation), _per_chain(u, h0)
    sums, grad_u = torch.empty_like(per_chain), torch.empty(u.shape, dtype=per_chain.dtype)
    pointers = tuple(t.data_ptr() for t in (g, h, per_chain, h0, d, sums, arriving))
    share(lambda begin, end: compiled.backward(*pointers, T, C, begin, end), pieces(C), T * C * _STEP)
    compiled.add_up(sums.data_ptr(), grad_u.data_ptr(), *h0.shape)
    return grad_u.to(u.dtype)


def _per_chain(u: Tensor, h0: Tensor) -> Tensor:
    return torch.empty(h0.shape, dtype=STATE[h0.dtype]).copy_(u.detach())


def pieces(C: int) -> list[tuple[int, int]]:
    """The chains [0, C) in two pieces a thread, so that a slow thread can be helped."""
    height = max(_LANES, -(-C // (2 * torch.get_num_threads()) // _LANES) * _LANES)
    return [(begin, min(begin + height, C)) for begin in range(0, C, height)]
