"""Rivals take turns: seconds of each in each round, and rows that compare their medians."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ...errors import ParameterError
from ...training.denormals import flushed

Row = dict[str, Any]
Rivals = dict[str, Callable[[], Any]]

PATIENCE = 1.0  # seconds: what is slower than this takes part in every third round only
YARDSTICKS = ("products", "products in cache", "copy", "copy of h")  # timed with the rivals, for the floor
COPY = 64 << 20  # bytes of the copy that measures the memory: beyond any cache of a CPU
COPY_ON_DEVICE = 2 << 30  # there 64 MiB lie in the cache, and take no longer than a launch
PRECISIONS = ("fp32", "tf32")  # of matrix products, ours and the rivals' alike; on a CPU the first alone
# column: the rival that the others are so many times faster than
AGAINST = {"lstm": "nn.LSTM", "gru": "nn.GRU", "rnn": "nn.RNN", "loop": "loop", "official": "official"}


def interleave(rivals: Rivals, repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of each rival in each round, after one round that does not count."""
    if repeats < 1:
        raise ParameterError(f"repeats: {repeats} received; at least 1 is needed")
    times: dict[str, list[float]] = {name: [] for name in rivals}
    with flushed():
        for call in rivals.values():
            seconds(call, device)
        for turn in range(repeats):
            for name, call in rivals.items():
                if turn % 3 == 0 or times[name][0] < PATIENCE:
                    times[name].append(seconds(call, device))
    return times


def flushed_everywhere() -> bool:
    """True if all threads of a product flush too, as they must for a fair race: else six layers of nn.LSTM at T = 784
    stood at 120 times our step on one processor and at 12 on another. A thread keeps the setting that it was made
    under: where torch's threads were made before `flushed`, and are two, half of a large tensor is not flushed."""
    with flushed():
        return not bool((torch.full((1 << 20,), 1e-30) * 1e-10).any())


def seconds(call: Callable[[], Any], device: str) -> float:
    """Time one call, in seconds: on the clock of the wall, or of a device, from its begin to its end."""
    if device == "cpu":
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin
    start, end = (torch.Event(device, enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def load() -> float:
    """Processes that want to run, on average over a minute; NaN where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def copied(device: str) -> int:
    """Bytes of the copy that measures a memory."""
    return COPY if device == "cpu" else COPY_ON_DEVICE


@contextmanager
def products_in(precision: str, device: str) -> Iterator[Row]:
    """Matrix products of torch and of cuDNN alike in a precision; gives the row's column, none on a CPU."""
    if device == "cpu":
        yield {}
        return
    places: tuple[Any, ...] = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [place.allow_tf32 for place in places]  # torch's own default is True for cuDNN alone: no fair race
    try:
        for place in places:
            place.allow_tf32 = precision == "tf32"
        yield {"precision": precision}
    finally:
        for place, was in zip(places, before, strict=True):
            place.allow_tf32 = was


def copy(device: str, size: int) -> Callable[[], Tensor]:
    """A copy of so many bytes, whose speed is that of the memory where as many lie."""
    source = torch.ones(max(1, size // 4), device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> list[float]:
    """Times that ours was faster, a number a round; where one of them is slow, of the rounds that both have."""
    if len(theirs) > len(ours):
        theirs = theirs[::3]
    elif len(ours) > len(theirs):
        ours = ours[::3]
    return [slow / fast for slow, fast in zip(theirs, ours, strict=True)]


def compared(row: Row, times: dict[str, list[float]], floor: float | None) -> Iterator[Row]:
    """A row for each rival: its median, its spread, how many times faster than others, and the floor's share of it.

    Times faster is the other's time over this one's: the median over the rounds, and their range, `_low` to `_high`.
    """
    for name, taken in times.items():
        if name in YARDSTICKS:
            continue
        median = statistics.median(taken)
        low, _, high = statistics.quantiles(taken, n=4) if len(taken) > 1 else (median, median, median)
        rounds = {c: ratios(times[rival], taken) for c, rival in AGAINST.items() if rival in times}
        faster = {c: statistics.median(found) for c, found in rounds.items()}
        faster |= {f"{c}_low": min(found) for c, found in rounds.items()}
        faster |= {f"{c}_high": max(found) for c, found in rounds.items()}
        measured = {"what": name, "ms": 1e3 * median, "iqr": (high - low) / median}
        share = {} if floor is None else {"floor": floor / median}
        yield row | measured | share | faster | {"rounds": len(taken), "load": load()}
    if floor is not None:
        yield row | {"what": "floor", "ms": 1e3 * floor, "floor": 1.0, "rounds": len(times["products"]), "load": load()}
