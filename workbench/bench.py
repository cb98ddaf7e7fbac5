"""Timing side by side with torch.nn, in one run: everything that is compared takes turns, round after round.

    rows = bench.layers(["mnist", "mnist_l1"])       one layer, forward and backward, against torch.nn.LSTM
    rows += bench.training_step()                    a whole step of the six-layer net for sequential MNIST
    print(bench.report(rows))

Milliseconds are those of this machine at this hour; only ratios of one run mean something elsewhere. The `floor` of a
layer is what no implementation in full precision avoids: its matrix products, into memory that is already there, and
its bytes at the speed of a copy.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from . import recurrence
from .errors import ParameterError, choices
from .study import pinned_threads

# name -> (T, B, inputs, N): sizes of the paper's experiments, and of its first figure of speed (256, 512, 1024 steps)
_SQUARE = {
    "T256": (256, 32, 128, 128),
    "T512": (512, 32, 128, 128),
    "T1024": (1024, 32, 128, 128),
    "mnist": (784, 32, 128, 128),
    "adding1000": (1000, 50, 128, 128),
    "adding5000": (5000, 50, 128, 128),
    "ntu": (20, 128, 512, 512),
    "ptb": (50, 128, 2000, 2000),
}
_FIRST_INPUTS = {"T256": 1, "T512": 1, "T1024": 1, "mnist": 1, "adding1000": 2, "adding5000": 2}
SHAPES = _SQUARE | {
    f"{name}_l1": (T, B, inputs, N) for name, inputs in _FIRST_INPUTS.items() for T, B, _, N in [_SQUARE[name]]
}
_PATIENCE = 1.0  # seconds: what is slower than this takes part in every third round only
_COPY = 64 << 20  # bytes of the copy that measures the memory: beyond any cache

Row = dict[str, Any]


def layers(
    shapes: Sequence[str] = ("mnist", "mnist_l1"),
    threads: Sequence[int] = (1,),
    device: str = "cpu",
    engines: Sequence[str] = ("auto", "torch"),
    repeats: int = 9,
) -> list[Row]:
    """Forward and backward of one layer: each engine, torch.nn.LSTM and the floor, a row each.

    `shapes`: names in SHAPES, or "T,B,inputs,N". A layer with one or two inputs is a first layer: no gradient of its
    input is asked for. `lstm`: how many times faster than torch.nn.LSTM; `floor`: the floor's time over this one's.
    """
    for engine in engines:
        if engine != "auto" and (reason := recurrence.unavailable(engine)) is not None:
            raise ParameterError(f"engines: {engine!r} cannot run here: {reason}")
    rows: list[Row] = []
    for shape in shapes:
        T, B, M, N = sizes = _sizes(shape)
        for count in threads if device == "cpu" else [torch.get_num_threads()]:
            with pinned_threads(count):
                times = _take_turns(_layer_rivals(sizes, device, engines), repeats, device)
                row = {"shape": shape, "T": T, "B": B, "inputs": M, "N": N, "device": device, "threads": count}
                rows += _compared(row, times, _layer_floor(times, sizes))
    return rows


def training_step(
    threads: Sequence[int] = (1,), device: str = "cpu", backend: str = "auto", repeats: int = 5, T: int = 784
) -> list[Row]:
    """A training step of `seqmnist_plain6`, at its published sizes if T is 784, against six layers of torch.nn.LSTM and
    the official composition: layer by layer a product, a Python loop over time, batch norm on the (B, N, T) view.

    The floor is the products of its five square layers.
    """
    rows: list[Row] = []
    for count in threads if device == "cpu" else [torch.get_num_threads()]:
        with pinned_threads(count):
            times = _take_turns(_step_rivals(T, device, backend), repeats, device)
            row = {"shape": "seqmnist_plain6 step", "device": device, "threads": count}
            rows += _compared(row, times, 5 * statistics.median(times["products"]))
    return rows


def report(rows: Sequence[Row]) -> str:
    """The rows as a table to read: milliseconds, spread, and the two ratios."""
    import pandas as pd

    columns = ["shape", "threads", "what", "ms", "spread", "lstm", "official", "floor"]
    table = pd.DataFrame(rows).reindex(columns=columns).dropna(axis="columns", how="all")
    formats: dict[str, Callable[[float], str]] = {
        "ms": "{:.2f}".format,
        "spread": "{:.0%}".format,
        "lstm": "{:.2f}x".format,
        "official": "{:.2f}x".format,
        "floor": "{:.0%}".format,
    }
    load = f"load {max(row['load'] for row in rows):.1f} on {os.cpu_count()} cores" if rows else "nothing was measured"
    text: str = table.to_string(index=False, na_rep="", formatters=dict(formats.items()))
    return f"{text}\n{load}; lstm, official: times faster than these; floor: share of it; spread: quartiles over median"


def _sizes(shape: str) -> tuple[int, int, int, int]:
    if shape in SHAPES:
        return SHAPES[shape]
    parts = shape.split(",")
    if len(parts) != 4 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise ParameterError(f"shapes: {shape!r} is not T,B,inputs,N nor one of {choices(SHAPES)}")
    T, B, M, N = (int(part) for part in parts)
    return T, B, M, N


def _layer_rivals(
    sizes: tuple[int, int, int, int], device: str, engines: Sequence[str]
) -> dict[str, Callable[[], Any]]:
    T, B, M, N = sizes
    chance = torch.Generator().manual_seed(0)
    x, g, weight, u = (torch.randn(*s, generator=chance).to(device) for s in ((T, B, M), (T, B, N), (N, M), (N,)))
    leaves = [weight.div_(M**0.5), torch.zeros_like(u), u.clamp_(-1, 1)] + [x] * (M > 2)
    for leaf in leaves:
        leaf.requires_grad_()
    lstm = nn.LSTM(M, N, device=device)
    theirs = [*lstm.parameters(), *leaves[3:]]

    def run(engine: str) -> None:
        h = recurrence.layer(x, weight, leaves[1], u, backend=engine)
        torch.autograd.grad(h, leaves, g)

    rivals: dict[str, Callable[[], Any]] = {engine: partial(run, engine) for engine in engines}
    rivals["nn.LSTM"] = lambda: torch.autograd.grad(lstm(x)[0], theirs, g)
    return rivals | {"products": _products(x.detach(), g, weight.detach(), M > 2), "copy": _copy(device)}


def _products(x: Tensor, g: Tensor, weight: Tensor, for_x: bool) -> Callable[[], None]:
    """The matrix products of a layer, forward and backward, into memory that is already there."""
    x, g = x.flatten(0, 1), g.flatten(0, 1)
    h, grad_x, grad_weight = torch.empty_like(g), torch.empty_like(x), torch.empty_like(weight)

    def products() -> None:
        torch.mm(x, weight.t(), out=h)
        torch.mm(g.t(), x, out=grad_weight)
        if for_x:
            torch.mm(g, weight, out=grad_x)

    return products


def _copy(device: str) -> Callable[[], Tensor]:
    source = torch.ones(_COPY // 4, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def _layer_floor(times: dict[str, list[float]], sizes: tuple[int, int, int, int]) -> float:
    """Products and bytes. Forward writes h; backward reads its gradient and h; with a wide input, whose product cannot
    be fused with the step, the pre-activations are read and their gradient is written too."""
    T, B, M, N = sizes
    passes = 5 if M > 2 else 3
    copied = statistics.median(times["copy"]) / (2 * _COPY)  # seconds a byte read or written
    products = statistics.median(times["products"]) if M > 2 else 0.0  # with one or two inputs: within the bytes
    return products + passes * 4 * T * B * N * copied


def _step_rivals(T: int, device: str, backend: str) -> dict[str, Callable[[], Any]]:
    from .models import build, set_backend
    from .paper import experiment
    from .tasks.contract import Spec

    config, spec = experiment("seqmnist_plain6").config, Spec(inputs=1, outputs=10, steps=T, target="class")
    B, N, depth = config.train.batch, config.model.hidden, config.model.depth
    chance = torch.Generator().manual_seed(0)
    ours = build(config.model, spec, chance)
    set_backend(ours, backend)
    nets = {
        "ours": ours,
        "nn.LSTM": _LastStep(nn.LSTM(1, N, depth), nn.Linear(N, 10)),
        "official": _Official(N, depth, config.model.dropout),
    }
    x = torch.rand(T, B, 1, generator=chance).to(device)
    y = torch.randint(10, (B,), generator=chance).to(device)
    wide, weight = torch.randn(T, B, N, generator=chance).to(device), torch.randn(N, N, generator=chance).to(device)
    rivals: dict[str, Callable[[], Any]] = {name: _step(net.to(device), x, y) for name, net in nets.items()}
    return rivals | {"products": _products(wide, wide, weight, True)}


def _step(net: nn.Module, x: Tensor, y: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()

    return step


class _LastStep(nn.Module):
    """A recurrent net of torch.nn, read at its last step."""

    def __init__(self, rnn: nn.LSTM, readout: nn.Linear):
        super().__init__()
        self.rnn, self.readout = rnn, readout

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.readout(self.rnn(x)[0][-1])
        return out


class _Official(nn.Module):
    """The six layers as the official PyTorch code composes them where it runs without its CUDA kernel."""

    def __init__(self, N: int, depth: int, dropout: float):
        super().__init__()
        self.products = nn.ModuleList(nn.Linear(1 if i == 0 else N, N) for i in range(depth))
        self.weights = nn.ParameterList(torch.rand(N) for _ in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm1d(N) for _ in range(depth))
        self.readout, self.dropout = nn.Linear(N, 10), dropout

    def forward(self, x: Tensor) -> Tensor:
        for product, u, norm in zip(self.products, self.weights, self.norms, strict=True):
            T, B, M = x.shape
            a = product(x.reshape(T * B, M)).view(T, B, -1)
            h, states = torch.zeros_like(a[0]), []
            for a_t in a.unbind(0):
                h = torch.relu(a_t + u.expand_as(h) * h)
                states.append(h)
            x = norm(torch.stack(states).permute(1, 2, 0)).permute(2, 0, 1)
            mask = nn.functional.dropout(torch.ones_like(x[0]), self.dropout)
            x = x * mask
        out: Tensor = self.readout(x[-1])
        return out


def _take_turns(rivals: dict[str, Callable[[], Any]], repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of each rival in each round, after one round that does not count."""
    if repeats < 1:
        raise ParameterError(f"repeats: {repeats} received; at least 1 is needed")
    first = {name: _seconds(call, device) for name, call in rivals.items()}
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(repeats):
        for name, call in rivals.items():
            if turn % 3 == 0 or first[name] < _PATIENCE:
                times[name].append(_seconds(call, device))
    return times


def _seconds(call: Callable[[], Any], device: str) -> float:
    begin = time.perf_counter()
    call()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def _compared(row: Row, times: dict[str, list[float]], floor: float) -> Iterator[Row]:
    """A row for each rival: its median, its spread, how many times faster than others, and its share of the floor."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    for name, seconds in times.items():
        if name in ("copy", "products"):
            continue
        median = statistics.median(seconds)
        low, _, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else (median, median, median)
        faster = {
            key: statistics.median(times[rival]) / median
            for key, rival in (("lstm", "nn.LSTM"), ("official", "official"))
            if rival in times
        }
        measured = {"what": name, "ms": 1e3 * median, "spread": (high - low) / median, "floor": floor / median}
        yield row | measured | faster | {"rounds": len(seconds), "load": load}
    yield row | {"what": "floor", "ms": 1e3 * floor, "floor": 1.0, "rounds": len(times["products"]), "load": load}
