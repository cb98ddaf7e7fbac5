"""Engine `triton`: the loop as one kernel for all steps, on a CUDA device; and the scan of `engine_scan.py` as kernels.

Half precision is stored as such and computed in float32: the state of a step enters the next one unrounded. The
gradient of u is kept per chain and summed once, without atomics: the same input gives the same bits. triton is
imported at the first call, not with this module.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import os
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import ParameterError
from .autograd import Gradients

NAME = "triton"
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
CHUNK = 256  # near the root of 100,000 steps, where a scan's three kernels should cost alike; not yet timed
UNROLL = 8  # steps that share one wait for memory; fewer if T is no multiple of it
OPTIONS = {"num_warps": 1, "enable_fp_fusion": False}  # two roundings a step, as in the loop


def unavailable() -> str | None:
    """Reason why this engine cannot run here, or None if it can."""
    if not torch.cuda.is_available() and not _interpreted():
        return "no CUDA device"
    return None if _installed() else "triton is not installed (PyTorch's CUDA wheels bring it)"


def takes(a: Tensor) -> bool:
    """Is this a tensor for this engine, here?"""
    return a.dtype in DTYPES and (a.is_cuda or _interpreted()) and unavailable() is None


@dataclass(frozen=True)
class Kernels:
    """The recurrence in chunks of `length` steps that run side by side; None: all steps one after the other."""

    NAME = "scan"  # in chunks it is that engine's, on a device

    length: int | None = None

    def forward(self, a: Tensor, u: Tensor, h0: Tensor, activation: str, over: bool) -> Tensor:
        """a (T, B, N), u (N,), h0 (B, N) -> h (T, B, N), written over a contiguous `a` if nobody else reads it."""
        _check(a)
        from . import triton_kernels

        a, u, h0 = a.contiguous(), u.contiguous(), h0.contiguous()
        h = a if over else torch.empty_like(a)
        (T, B, N), length = a.shape, self._length(len(a))
        chunks, wide, before = -(-T // length), _wide(a.dtype), h0[None]
        flow = {"ACTIVATION": activation, "UNROLL": math.gcd(T, length, UNROLL)} | settings(a.dtype, 1)
        if chunks > 1:
            before, p, lo, hi = (a.new_empty(chunks, B, N, dtype=wide) for _ in range(4))
            top, link = {"TOP": torch.finfo(wide).max}, {"ACTIVATION": activation} | settings(a.dtype, 4)
            _launch(triton_kernels.summarise_states, (a, u, p, lo, hi), (T, length, B * N, N), chunks - 1, flow | top)
            _launch(triton_kernels.link_states, (a, u, h0, p, lo, hi, before), (T, length, chunks, B * N, N), 1, link)
        _launch(triton_kernels.states, (a, u, before, h), (T, length, B * N, N), chunks, flow)
        return h

    def backward(self, g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Gradients:
        """From the gradients g of h (T, B, N), those of a (T, B, N), u (N,) and h0 (B, N)."""
        from . import triton_kernels

        g, u, h0 = g.contiguous(), u.contiguous(), h0.contiguous()
        (T, B, N), length = h.shape, self._length(len(h))
        chunks = -(-T // length)
        flow = {"ACTIVATION": activation, "UNROLL": math.gcd(T, length, UNROLL)} | settings(h.dtype, 2)
        after = h.new_zeros(chunks, B, N, dtype=_wide(h.dtype))
        if chunks > 1:
            p, lowest = torch.empty_like(after), torch.empty_like(after)
            link = {"ACTIVATION": activation} | settings(h.dtype, 4)
            _launch(triton_kernels.summarise_gradients, (g, h, u, p, lowest), (T, length, B * N, N), chunks, flow)
            _launch(triton_kernels.link_gradients, (g, h, u, p, lowest, after), (T, length, chunks, B * N, N), 1, link)
        d, grad_u, grad_h0 = torch.empty_like(h), torch.empty_like(after), torch.empty_like(h0)
        tensors = (g, h, u, h0, after, d, grad_u, grad_h0)
        _launch(triton_kernels.gradients, tensors, (T, length, B * N, N), chunks, flow)
        return d, grad_u.sum((0, 1)).to(u.dtype), grad_h0

    def _length(self, T: int) -> int:
        return T if self.length is None else min(T, max(self.length, T // 65535 + 1))  # a grid holds 65535 chunks


ONE_AFTER_THE_OTHER, IN_CHUNKS = Kernels(), Kernels(CHUNK)
forward, backward = ONE_AFTER_THE_OTHER.forward, ONE_AFTER_THE_OTHER.backward


def settings(dtype: torch.dtype, streams: int) -> dict[str, Any]:
    """A kernel's constants: `streams` arrays are read ahead at once, and they share 16 KiB of shared memory."""
    import triton.language as tl

    lanes = 32 * max(1, 4 // dtype.itemsize)  # a thread moves 4 bytes at least: fewer cannot be fetched ahead
    wide = tl.float64 if dtype == torch.float64 else tl.float32
    return {"WIDE": wide, "BLOCK": lanes, "FLIGHT": 16384 // (32 * max(4, dtype.itemsize) * streams)}


def _launch(
    kernel: Any, tensors: tuple[Tensor, ...], sizes: tuple[int, ...], chunks: int, constants: dict[str, Any]
) -> None:
    """Run a kernel over blocks of chains and over chunks; sizes end with the number of chains and N."""
    blocks = -(-sizes[-2] // constants["BLOCK"])
    if blocks == 0:
        return
    with torch.cuda.device(tensors[0].device) if tensors[0].is_cuda else nullcontext():
        kernel[blocks, chunks](*tensors, *sizes, **constants, **OPTIONS)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1"


@functools.cache
def _installed() -> bool:
    return importlib.util.find_spec("triton") is not None


def _check(a: Tensor) -> None:
    if not takes(a):
        allowed = "CUDA tensors of float64, float32, float16, bfloat16"
        raise ParameterError(f"a: {a.dtype} on {a.device} received; engine 'triton' takes {allowed}")
