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
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import ParameterError
from .autograd import Gradients
from .cpu.batchnorm import Norm

NAME = "triton"
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
CHUNK = 256  # near the root of 100,000 steps, where a scan's three kernels should cost alike; not yet timed
UNROLL = 16  # steps that share one wait for memory; fewer if T is no multiple of it
ROWS = 64  # sums of as many sequences a kernel adds up by itself; of more they are added before
OPTIONS = {"num_warps": 1, "enable_fp_fusion": False}  # two roundings a step, as in the loop; see `launch`


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
    prefetched: bool = True  # read ahead into shared memory; otherwise, for comparison, as the compiler likes
    threads: int | None = None  # of a block, each with one chain and one step at a time: the official kernel has 512

    def forward(self, a: Tensor, u: Tensor, h0: Tensor | None, activation: str, over: bool) -> Tensor:
        """a (T, B, N), u (N,), h0 (B, N) or None for zeros -> h (T, B, N), over a contiguous `a` nobody else reads."""
        return self.states(a, u, h0, activation, over, moments=False)[0]

    def states(
        self, a: Tensor, u: Tensor, h0: Tensor | None, activation: str, over: bool, *, moments: bool
    ) -> tuple[Tensor, Tensor]:
        """The same, and with `moments` the sums (2, rows, N) of h and its square in float64, see triton_kernels.py."""
        _check(a)
        from . import triton_kernels, triton_scan

        a, u, h0 = a.contiguous(), u.contiguous(), None if h0 is None else h0.contiguous()
        h = a if over else torch.empty_like(a)
        (T, B, N), length = a.shape, self._length(len(a))
        chunks, wide, before = -(-T // length), wide_of(a.dtype), u if h0 is None else h0[None]
        flow = self.flow(a, activation, length, 1)
        if chunks > 1:
            h0 = a.new_zeros(B, N) if h0 is None else h0
            before, p, lo, hi = (a.new_empty(chunks, B, N, dtype=wide) for _ in range(4))
            top, link = {"TOP": torch.finfo(wide).max}, {"ACTIVATION": activation} | settings(a.dtype, 4)
            launch(triton_scan.summarise_states, (a, u, p, lo, hi), (T, length, B * N, N), chunks - 1, flow | top)
            launch(triton_scan.link_states, (a, u, h0, p, lo, hi, before), (T, length, chunks, B * N, N), 1, link)
        sums = a.new_empty(2, B, N, dtype=torch.float64) if moments else u
        flow |= {"ZERO": h0 is None, "MOMENTS": moments}
        launch(triton_kernels.states, (a, u, before, h, sums), (T, length, B * N, N), chunks, flow, self.warps)
        return h, few(sums) if moments else sums

    def backward(self, g: Tensor, h: Tensor, u: Tensor, h0: Tensor, activation: str) -> Gradients:
        """From the gradients g of h (T, B, N), those of a (T, B, N), u (N,) and h0 (B, N)."""
        from . import triton_scan

        g, u, h0 = g.contiguous(), u.contiguous(), h0.contiguous()
        (T, B, N), length = h.shape, self._length(len(h))
        chunks, after = -(-T // length), None
        if chunks > 1:
            after, p, lowest = (h.new_empty(chunks, B, N, dtype=wide_of(h.dtype)) for _ in range(3))
            flow = self.flow(h, activation, length, 2)
            link = {"ACTIVATION": activation} | settings(h.dtype, 4)
            launch(triton_scan.summarise_gradients, (g, h, u, p, lowest), (T, length, B * N, N), chunks, flow)
            launch(triton_scan.link_gradients, (g, h, u, p, lowest, after), (T, length, chunks, B * N, N), 1, link)
        d, learned, grad_h0, _ = gradients(g, h, u, h0, activation, after, by=self)
        assert grad_h0 is not None
        return d, learned[0].to(u.dtype), grad_h0

    def _length(self, T: int) -> int:
        return T if self.length is None else min(T, max(self.length, T // 65535 + 1))  # a grid holds 65535 chunks

    def flow(self, h: Tensor, activation: str, length: int, streams: int) -> dict[str, Any]:
        """The constants of a kernel that runs through the steps of (T, B, N) with so many arrays to read."""
        one = {"ACTIVATION": activation, "UNROLL": math.gcd(len(h), length, UNROLL)} | settings(h.dtype, streams)
        if self.threads is not None:
            one |= {"BLOCK": self.threads, "UNROLL": 1}
        return one if self.prefetched else one | {"FLIGHT": one["UNROLL"]}

    @property
    def warps(self) -> int:
        """Warps of a block."""
        return 1 if self.threads is None else self.threads // 32


ONE_AFTER_THE_OTHER, IN_CHUNKS = Kernels(), Kernels(CHUNK)
NOT_PREFETCHED, OFFICIAL = Kernels(prefetched=False), Kernels(prefetched=False, threads=512)
forward, backward = ONE_AFTER_THE_OTHER.forward, ONE_AFTER_THE_OTHER.backward


class Behind(NamedTuple):
    """Operations behind the states: batch norm and dropout, the mean and variance (2, N) in float64 that they had,
    and sums (2, rows, N) of the gradient, see `triton_norm.weigh`; the last two None for dropout alone."""

    norm: Norm
    found: Tensor | None
    sums: Tensor | None


def gradients(
    g: Tensor,
    h: Tensor,
    u: Tensor,
    h0: Tensor | None,
    activation: str,
    after: Tensor | None = None,
    behind: Behind | None = None,
    by: Kernels = ONE_AFTER_THE_OTHER,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """The gradients of a (T, B, N), of u and a bias (2, N), of h0 (B, N), of a norm's scale and shift (2, N).

    From g (T, B, N), that of the states h or of what stands `behind` them; all contiguous, h0 None for zeros.
    """
    from . import triton_kernels

    (T, B, N), length = h.shape, by._length(len(h))
    chunks, wide, nothing = -(-T // length), wide_of(h.dtype), u
    d, grad_h0 = torch.empty_like(h), None if h0 is None else torch.empty_like(h0)
    learned, normed = h.new_empty(2, chunks * B, N, dtype=wide), None
    norm = Norm(None, None, None, 0.0, None) if behind is None else behind.norm
    given: tuple[Tensor | None, ...] = (None, None, norm.scale, norm.mask, None)
    rows = 0
    if behind is not None and behind.sums is not None:
        normed = h.new_empty(2, N, dtype=wide)
        given, rows = (behind.sums, behind.found, norm.scale, norm.mask, normed), behind.sums.shape[1]
    flow = by.flow(h, activation, length, 2)
    flow |= {"ZERO": h0 is None, "AFTER": after is not None, "NORM": normed is not None}
    flow |= {"DROP": norm.mask is not None, "EPS": norm.eps}
    tensors = (g, h, u, h0, after, d, learned, grad_h0, *given)
    filled = tuple(nothing if tensor is None else tensor for tensor in tensors)  # a kernel does not look at those
    launch(triton_kernels.gradients, filled, (T, length, rows, B * N, N), chunks, flow, by.warps)
    return d, learned.sum(1), grad_h0, normed


def settings(dtype: torch.dtype, streams: int) -> dict[str, Any]:
    """A kernel's constants: `streams` arrays are read ahead at once, and they share 16 KiB of shared memory."""
    lanes = 32 * max(1, 4 // dtype.itemsize)  # a thread moves 4 bytes at least: fewer cannot be fetched ahead
    return wide(dtype) | {"BLOCK": lanes, "FLIGHT": 16384 // (32 * max(4, dtype.itemsize) * streams)}


def wide(dtype: torch.dtype) -> dict[str, Any]:
    """A kernel's constant that says in what it computes."""
    import triton.language as tl

    return {"WIDE": tl.float64 if dtype == torch.float64 else tl.float32}


def few(sums: Tensor) -> Tensor:
    """Sums (2, rows, N) of as many rows as a kernel adds up by itself."""
    return sums if sums.shape[1] <= ROWS else sums.sum(1, keepdim=True)


def launch(
    kernel: Any,
    tensors: tuple[Tensor, ...],
    sizes: tuple[int, ...],
    chunks: int,
    constants: dict[str, Any],
    warps: int = 1,
) -> None:
    """Run a kernel over blocks of chains and over chunks; sizes end with the number of chains and N."""
    blocks = -(-sizes[-2] // constants["BLOCK"])
    if blocks == 0:
        return
    with torch.accelerator.device_index(tensors[0].device.index) if tensors[0].is_cuda else nullcontext():
        kernel[blocks, chunks](*tensors, *sizes, **constants, **OPTIONS | {"num_warps": warps})


def wide_of(dtype: torch.dtype) -> torch.dtype:
    """The dtype to compute in: half precision is only stored."""
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
