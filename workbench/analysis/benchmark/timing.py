"""Rivals take turns: seconds of each in each round, and rows that compare their medians."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...errors import ParameterError

Row = dict[str, Any]
Rivals = dict[str, Callable[[], Any]]

PATIENCE = 1.0  # seconds: what is slower than this takes part in every third round only
YARDSTICKS = ("products", "copy")  # timed with the rivals, for the floor
COPY = 64 << 20  # bytes of the copy that measures the memory: beyond any cache
AGAINST = {  # column: the rival that the others are so many times faster than
    "lstm": "nn.LSTM",
    "gru": "nn.GRU",
    "rnn": "nn.RNN",
    "loop": "loop",
    "official": "official",
}


def interleave(rivals: Rivals, repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of each rival in each round, after one round that does not count."""
    if repeats < 1:
        raise ParameterError(f"repeats: {repeats} received; at least 1 is needed")
    for call in rivals.values():
        seconds(call, device)
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(repeats):
        for name, call in rivals.items():
            if turn % 3 == 0 or times[name][0] < PATIENCE:
                times[name].append(seconds(call, device))
    return times


def seconds(call: Callable[[], Any], device: str) -> float:
    """Time one call, in seconds, on the clock of the wall."""
    begin = time.perf_counter()
    call()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def copy(device: str) -> Callable[[], Tensor]:
    """A copy of COPY bytes, whose speed is the memory's."""
    source = torch.ones(COPY // 4, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def copied(times: dict[str, list[float]]) -> float:
    """Seconds a byte, read or written, at the speed of that copy."""
    return statistics.median(times["copy"]) / (2 * COPY)


def compared(row: Row, times: dict[str, list[float]], floor: float | None) -> Iterator[Row]:
    """A row for each rival: its median, its spread, how many times faster than others, and its share of the floor."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    for name, taken in times.items():
        if name in YARDSTICKS:
            continue
        median = statistics.median(taken)
        low, _, high = statistics.quantiles(taken, n=4) if len(taken) > 1 else (median, median, median)
        faster = {c: statistics.median(times[rival]) / median for c, rival in AGAINST.items() if rival in times}
        measured = {"what": name, "ms": 1e3 * median, "spread": (high - low) / median}
        share = {} if floor is None else {"floor": floor / median}
        yield row | measured | share | faster | {"rounds": len(taken), "load": load}
    if floor is not None:
        yield row | {"what": "floor", "ms": 1e3 * floor, "floor": 1.0, "rounds": len(times["products"]), "load": load}
