"""Large arrays on huge pages: a page fault each 4 KiB costs more than the arithmetic that fills the page."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

_LARGE = 32 << 20  # bytes from which the allocator takes fresh pages each time
_PAGE = 2 << 20
_HUGE = 14  # MADV_HUGEPAGE of <sys/mman.h>


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A new array; if it is large, its memory is asked to be on huge pages before anything touches it."""
    array = torch.empty(shape, dtype=dtype)
    if array.nbytes >= _LARGE and sys.platform == "linux":
        begin = -(-array.data_ptr() // _PAGE) * _PAGE
        end = (array.data_ptr() + array.nbytes) // _PAGE * _PAGE
        _libc().madvise(begin, end - begin, _HUGE)  # advice: a refusal changes nothing
    return array


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc
