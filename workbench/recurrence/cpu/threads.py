"""Share pieces of work out to threads, as many as PyTorch uses.

For calls into C, which let other Python threads run meanwhile. The caller works too, and takes whatever the others
have not begun: on a busy machine it never waits for a thread that has not been given a core.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import torch

_WORTH = 1 << 21  # multiply-adds: about 0.1 ms
_pool: ThreadPoolExecutor | None = None


def share(work: Callable[..., object], pieces: Iterable[tuple[int, ...]], operations: int) -> None:
    """Call `work(*piece)` for every piece, in any order, and return when all are done.

    Below some number of operations in all the caller works alone: to wake a thread costs more than it saves.
    """
    if operations < _WORTH:
        for piece in pieces:
            work(*piece)
        return
    left = deque(pieces)
    helpers = min(torch.get_num_threads(), len(left)) - 1

    def drain() -> None:
        while True:
            try:
                piece = left.popleft()
            except IndexError:
                return
            work(*piece)

    futures: list[Future[None]] = []
    try:
        with suppress(RuntimeError):  # where the interpreter is ending no thread can be had
            while len(futures) < helpers:
                futures.append(_threads().submit(drain))
        drain()
    finally:
        for future in futures:
            if not future.cancel():
                future.result()


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(os.cpu_count() or 1, "recurrence")
    return _pool


def _forget() -> None:
    """A forked child has the pool's object but none of its threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
