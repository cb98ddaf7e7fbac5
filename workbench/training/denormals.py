"""Numbers too small for full precision: what a gradient fades through, and what some processors are slow over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed() -> Iterator[None]:
    """Count as zero, on a CPU, what is below 1.2e-38.

    For the calling thread, and for threads made inside; those that torch made before keep what they had.
    """
    before = bool((torch.tensor(1e-30) * 1e-10).item() == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
