"""Large arrays in memory that is used again: a fresh page costs a fault and a pass of zeros before its first use.

A block that no array uses any more is kept for the next one. The kernel may take its pages while it waits (MADV_FREE),
and all blocks together are never larger than those that were once in use at the same time.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import weakref
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

_LARGE = 1 << 20  # bytes; smaller arrays stay in the allocator's own lists
_PAGE = 2 << 20  # a huge page: fewer faults, and fewer misses when addresses are translated
_PRIVATE = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)  # not shared with a forked child


class _Pool:
    """Blocks of memory, free ones in the order in which they became free."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # an array may die at any time, even in here
        self.free: list[mmap.mmap] = []
        self.used = self.most = 0  # bytes in use, now and at most so far

    def take(self, size: int) -> mmap.mmap:
        """A block of at least `size` bytes, the last that became free if it fits."""
        size = -(-size // _PAGE) * _PAGE
        with self.lock:
            fits = [i for i, block in enumerate(self.free) if size <= len(block) <= 2 * size]
            block = self.free.pop(fits[-1]) if fits else None
            self.used += size if block is None else len(block)
            before, self.most = self.most, max(self.most, self.used)
            while self.free and self.used + sum(map(len, self.free)) > self.most:
                del self.free[0]
        if block is None:
            try:
                block = mmap.mmap(-1, size, flags=_PRIVATE)
            except OSError as error:
                with self.lock:
                    self.used -= size
                    self.most = max(before, self.used)
                raise MemoryError(f"can't allocate memory: {size:,} bytes: {error.strerror}") from None
            _advise(block, "MADV_HUGEPAGE")
        return block

    def give_back(self, block: mmap.mmap) -> None:
        _advise(block, "MADV_FREE")
        with self.lock:
            self.used -= len(block)
            self.free.append(block)


_pool = _Pool()


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A new array (its values are whatever was there), large ones in memory that may have served before."""
    count = prod(shape)
    if count * dtype.itemsize < _LARGE or not _PRIVATE:
        return torch.empty(shape, dtype=dtype)
    block = _pool.take(count * dtype.itemsize)
    view = memoryview(block)  # torch keeps it as long as the array lives
    weakref.finalize(view, _pool.give_back, block).atexit = False
    return torch.frombuffer(view, dtype=dtype, count=count).view(shape)


def _advise(block: mmap.mmap, advice: str) -> None:
    """Advice: where it is not known, or refused, nothing changes."""
    with contextlib.suppress(AttributeError, OSError):
        block.madvise(getattr(mmap, advice))


def _forget() -> None:
    """Another thread may have held the lock, which a forked child would wait for."""
    _pool.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
