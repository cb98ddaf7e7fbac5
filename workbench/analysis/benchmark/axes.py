"""Growth of time with the length, the batch, the neurons, the depth and the threads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ... import recurrence
from ...errors import ParameterError, choices
from ...models.indrnn import IndRNN
from ...runs.run import pinned_threads
from .layers import Contest
from .timing import Rivals, Row, compared, interleave

AXES: dict[str, dict[int, tuple[int, int, int, int]]] = {  # axis -> its values, with (T, B, inputs, N)
    "T": {T: (T, 1, 16, 16) for T in (100, 1_000, 10_000, 100_000, 1_000_000)},
    "B": {B: (100, B, 128, 128) for B in (1, 4, 16, 64, 256)},
    "N": {N: (100, 32, N, N) for N in (16, 64, 256, 1024)},
}
DEPTHS = (1, 2, 4, 8, 16)  # of a net of IndRNN layers, (100, 32, 128, 128)
LIMIT = 10.0  # seconds: a rival that took a tenth of it is left out of the next value, often ten times as large


def scaling(
    axes: Sequence[str] = ("T", "B", "N", "depth", "threads"),
    threads: Sequence[int] = (1,),
    device: str = "cpu",
    engines: Sequence[str] | None = None,
    repeats: int = 3,
    limit: float = LIMIT,
) -> list[Row]:
    """Forward and backward of every engine and of nn.LSTM along each axis, a row a value, `axis` and `value` named.

    `engines`: auto and all that work here, unless given. T ends at a million steps, B = 1, N = 16. `threads` are those
    of the axis `threads`, at (784, 32, 128, 128); the other axes have the first of them. `limit` in seconds a call.
    """
    engines = ["auto", *recurrence.available()] if engines is None else engines
    if unknown := [axis for axis in axes if axis not in (*AXES, "depth", "threads")]:
        raise ParameterError(f"axes: {unknown[0]!r} is unknown; choose one of {choices([*AXES, 'depth', 'threads'])}")
    rows: list[Row] = []
    with pinned_threads(threads[0]):
        for axis in (axis for axis in axes if axis in AXES):
            ours, theirs = list(engines), ["nn.LSTM"]
            for value, sizes in AXES[axis].items():
                found = _timed(axis, value, Contest(sizes, device).calls(ours, theirs, True), device, repeats)
                slow = {row["what"] for row in found if row["ms"] > 100 * limit}
                ours, theirs = [e for e in ours if e not in slow], [t for t in theirs if t not in slow]
                rows += found
        for depth in DEPTHS if "depth" in axes else ():
            rows += _timed("depth", depth, _deep(depth, device), device, repeats)
    for count in threads if "threads" in axes and device == "cpu" else ():
        with pinned_threads(count):
            rivals = Contest((784, 32, 128, 128), device).calls(engines, ["nn.LSTM"], True)
            rows += _timed("threads", count, rivals, device, repeats)
    return rows


def _timed(axis: str, value: int, rivals: Rivals, device: str, repeats: int) -> list[Row]:
    row = {"table": "scaling", "axis": axis, "value": value, "device": device, "threads": torch.get_num_threads()}
    return list(compared(row, interleave(rivals, repeats, device), None)) if rivals else []


def _deep(depth: int, device: str) -> Rivals:
    """Stacks of layers, IndRNN's and LSTM's, on one input."""
    x = torch.rand(100, 32, 128, generator=torch.Generator().manual_seed(0)).to(device)
    nets = {"auto": IndRNN(128, 128, depth, bound=1.0), "nn.LSTM": nn.LSTM(128, 128, depth)}
    return {name: partial(_learn, net.to(device), x) for name, net in nets.items()}


def _learn(net: nn.Module, x: Tensor) -> None:
    torch.autograd.grad(net(x)[0].sum(), list(net.parameters()))
