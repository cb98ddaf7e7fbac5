"""Layers, forward alone and forward with backward: one at the sizes of the paper's experiments, and how time grows.

It grows with the length, the batch, the neurons, the depth and the threads.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ... import recurrence
from ...errors import ParameterError, choices, quoted
from ...models.indrnn import IndRNN
from ...recurrence import autograd, engine_triton
from ...runs import memory_check
from ...runs.asked import pinned_threads
from ...training.cuda_graphs import graphed
from .timing import COPY, PRECISIONS, Rivals, Row, compared, copied, copy, interleave, products_in

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
_FIRST = 2  # inputs at most: a first layer, no gradient of whose input is asked for
_IN_CACHE = 1 << 20  # bytes of input and output of a product that stays in a core's cache
KERNELS = {"not prefetched": engine_triton.NOT_PREFETCHED, "official layout": engine_triton.OFFICIAL}  # rivals of ours
_THEIRS: dict[str, Callable[..., nn.RNNBase]] = {
    "nn.LSTM": nn.LSTM,
    "nn.GRU": nn.GRU,
    "nn.RNN": partial(nn.RNN, nonlinearity="relu"),
}


def layers(
    shapes: Sequence[str] = ("mnist", "mnist_l1"),
    threads: Sequence[int] = (1,),
    device: str = "cpu",
    engines: Sequence[str] = ("auto", "torch"),
    repeats: int = 9,
    rivals: Sequence[str] = ("nn.LSTM",),
    forward: bool = False,
) -> list[Row]:
    """Each engine, each rival of torch.nn and the floor, a row each; `engines` may have `loop`, a plain Python loop.

    `shapes`: names in SHAPES, or "T,B,inputs,N". A layer with one or two inputs is a first layer: no gradient of its
    input is asked for. `forward`: also forward alone, without gradients. `lstm`, `gru`, `rnn`, `loop`: how many times
    faster than these, from `_low` to `_high` over the rounds; `floor`: the floor's time over this one's; `saved`: bytes
    that training keeps for the backward pass, a step and unit. On a CUDA device `auto` and the LSTM also run as CUDA
    graphs.
    """
    for engine in engines:
        if engine != "auto" and (reason := recurrence.unavailable(engine)) is not None:
            raise ParameterError(f"engines: {engine!r} cannot run here: {reason}")
    if unknown := [name for name in rivals if name not in _THEIRS]:
        raise ParameterError(f"rivals: {unknown[0]!r} is unknown; choose one of {choices(_THEIRS)}")
    rows: list[Row] = []
    for shape in shapes:
        T, B, M, N = sizes = sizes_of(shape)
        row = {"table": "layer", "shape": shape, "T": T, "B": B, "inputs": M, "N": N, "device": device}
        for count in threads if device == "cpu" else [torch.get_num_threads()]:
            with pinned_threads(count):
                for backward in (False, True) if forward else (True,):
                    row |= {"threads": count, "which": "both" if backward else "forward"}
                    for precision in PRECISIONS[: 1 if device == "cpu" else None]:
                        with products_in(precision, device) as column:
                            rows += _timed(row | column, sizes, device, engines, rivals, repeats, backward)
    return rows


def _timed(
    row: Row,
    sizes: tuple[int, int, int, int],
    device: str,
    engines: Sequence[str],
    rivals: Sequence[str],
    repeats: int,
    backward: bool,
) -> list[Row]:
    contest = Contest(sizes, device)
    calls = contest.calls(engines, rivals, backward)
    if device != "cpu":
        calls |= {f"{name}, graph": graphed(calls[name]) for name in ("auto", "nn.LSTM") if name in calls}
    times = interleave(calls | contest.yardsticks(backward), repeats, device)
    found = list(compared(row, times, _floor(times, sizes, backward, copied(device))))
    speed = 2 * copied(device) / statistics.median(times["copy"])
    for one in found:
        if backward and one["what"] in contest.runs:
            one["saved"] = contest.bytes_held(one["what"])
        if device != "cpu":
            one["copy_bandwidth"] = speed
    return found


class Contest:
    """One layer of each kind on the same input (T, B, M), with the same gradient of its output (T, B, N)."""

    def __init__(self, sizes: tuple[int, int, int, int], device: str):
        T, B, M, N = self.sizes = sizes
        leaves = 4 * (T * B * (M + N) + N * M)  # bytes; each has a gradient
        memory_check.check_bytes(2 * leaves, device, f"shape T {T:,}, B {B:,}, inputs {M:,}, N {N:,}")
        chance = torch.Generator().manual_seed(0)
        shapes = (T, B, M), (T, B, N), (N, M), (N,)
        self.x, self.g, self.weight, self.u = (torch.randn(*s, generator=chance).to(device) for s in shapes)
        self.bias, self.device = torch.zeros_like(self.u), device
        ours = [self.weight.div_(M**0.5), self.bias, self.u.clamp_(-1, 1)]
        self.wants_x = M > _FIRST
        for leaf in ours + [self.x] * self.wants_x:
            leaf.requires_grad_()
        self.ours = ours
        self.runs: dict[str, tuple[Callable[[], Tensor], list[Tensor]]] = {}

    def calls(self, engines: Sequence[str], rivals: Sequence[str], backward: bool) -> Rivals:
        """Return what is timed: engines by name and layers of torch.nn, with or without the backward pass."""
        _, _, M, N = self.sizes
        for engine in engines:
            run = partial(recurrence.layer, self.x, self.weight, self.bias, self.u, backend=engine)
            self.runs[engine] = run, self.ours
        for name, kernels in KERNELS.items() if self.device != "cpu" and engine_triton.takes(self.x) else ():
            self.runs[name] = partial(self._by, kernels), self.ours
        for name in rivals:
            module = _THEIRS[name](M, N).to(self.device)
            self.runs[name] = lambda module=module: module(self.x)[0], list(module.parameters())  # type: ignore[misc]
        return {name: partial(self._run, name, backward) for name in self.runs}

    def yardsticks(self, backward: bool) -> Rivals:
        """The matrix products of a layer, whole and in cache; and copies, of many bytes and of as many as h has."""
        x, g, weight = self.x.detach(), self.g, self.weight.detach()
        return {
            **products(x, g, weight, self.wants_x, backward),
            "copy": copy(self.device, copied(self.device)),
            "copy of h": copy(self.device, g.nbytes),
        }

    def bytes_held(self, name: str) -> float:
        """Bytes that the forward pass keeps for the backward pass, a step and unit; input and weights not counted."""
        (run, learned), (T, B, _, N) = self.runs[name], self.sizes
        known = {v.untyped_storage().data_ptr() for v in (self.x, *learned)}
        kept: dict[int, int] = {}

        def keep(value: Tensor) -> Tensor:
            storage = value.untyped_storage()
            if storage.data_ptr() not in known:
                kept[storage.data_ptr()] = storage.nbytes()
            return value

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
            out = run()
        keep(out.detach())
        return sum(kept.values()) / (T * B * N)

    def _by(self, kernels: engine_triton.Kernels) -> Tensor:
        a = recurrence.linear(self.x, self.weight, self.bias)
        return autograd.recur(a, self.u, a.new_zeros(a.shape[1:]), "relu", kernels, True)

    def _run(self, name: str, backward: bool) -> None:
        run, learned = self.runs[name]
        with torch.set_grad_enabled(backward):
            out = run()
        if backward:
            torch.autograd.grad(out, learned + [self.x] * self.wants_x, self.g)


def products(x: Tensor, g: Tensor, weight: Tensor, for_x: bool, backward: bool = True) -> Rivals:
    """The matrix products of a layer, forward or forward and backward, into memory that is already there.

    Whole; and as many, all of the same rows, which stay in cache: what the arithmetic takes however memory is used.
    """
    x, g = x.flatten(0, 1), g.flatten(0, 1)
    h, grad_x, grad_weight = torch.empty_like(g), torch.empty_like(x), torch.empty_like(weight)

    def multiply(times: int) -> None:
        rows = len(x) // times
        for _ in range(times):
            torch.mm(x[:rows], weight.t(), out=h[:rows])
        for index in range(times):
            if backward:
                grad_weight.addmm_(g[:rows].t(), x[:rows], beta=min(index, 1))
            if backward and for_x:
                torch.mm(g[:rows], weight, out=grad_x[:rows])

    in_cache = -(-4 * len(x) * sum(weight.shape) // _IN_CACHE)
    return {"products": partial(multiply, 1), "products in cache": partial(multiply, in_cache)}


def multiplied(times: dict[str, list[float]]) -> float:
    """Seconds of the products at the fastest that was seen, whole or in cache."""
    return min(*times["products"], *times["products in cache"])


def _floor(times: dict[str, list[float]], sizes: tuple[int, int, int, int], backward: bool, size: int = COPY) -> float:
    """Seconds that no implementation in full precision avoids: the larger of the products and the bytes.

    They may overlap, so they are not added. Forward reads x and writes h; backward reads the gradient of h, h and x,
    and writes the gradient of a wide x. Each at the fastest that was seen, bytes at the speed of copying `size`.
    With one or two inputs the products hide behind the bytes.
    """
    T, B, M, N = sizes
    wide = M > _FIRST
    moved = M + N + (2 * N + M + M * wide if backward else 0)  # numbers of 4 bytes, a step and sequence
    a_byte = min(min(times["copy"]) / (2 * size), min(times["copy of h"]) / (8 * T * B * N))
    return max(multiplied(times) if wide else 0.0, 4 * T * B * moved * a_byte)


def sizes_of(shape: str) -> tuple[int, int, int, int]:
    """T, B, inputs and N of a shape: a name in SHAPES, or `T,B,inputs,N`."""
    if shape in SHAPES:
        return SHAPES[shape]
    parts = re.fullmatch(",".join([r" *0*([1-9][0-9]{0,17}) *"] * 4), shape)
    if parts is None:
        raise ParameterError(f"shapes: {quoted(shape)} is not T,B,inputs,N nor one of {choices(SHAPES)}")
    T, B, M, N = map(int, parts.groups())
    return T, B, M, N


# --- growth ---

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

    `engines`: auto and all that work on the device, unless given. T ends at a million steps, B = 1, N = 16. `threads`
    are those of the axis `threads`, at (784, 32, 128, 128); the other axes have the first of them. `limit` in seconds a
    call.
    """
    engines = ["auto", *engines_on(device)] if engines is None else engines
    if unknown := [axis for axis in axes if axis not in (*AXES, "depth", "threads")]:
        raise ParameterError(f"axes: {unknown[0]!r} is unknown; choose one of {choices([*AXES, 'depth', 'threads'])}")
    rows: list[Row] = []
    with pinned_threads(threads[0]):
        for axis in (axis for axis in axes if axis in AXES):
            ours, theirs = list(engines), ["nn.LSTM"]
            for value, sizes in AXES[axis].items():
                found = _at(axis, value, Contest(sizes, device).calls(ours, theirs, True), device, repeats)
                slow = {row["what"] for row in found if row["ms"] > 100 * limit}
                ours, theirs = [e for e in ours if e not in slow], [t for t in theirs if t not in slow]
                rows += found
        x = torch.rand(100, 32, 128, generator=torch.Generator().manual_seed(0)).to(device)
        for depth in DEPTHS if "depth" in axes else ():  # stacks of layers, IndRNN's and LSTM's, on one input
            nets = {"auto": IndRNN(128, 128, depth, bound=1.0), "nn.LSTM": nn.LSTM(128, 128, depth)}
            deep: Rivals = {name: partial(_backward, net.to(device), x) for name, net in nets.items()}
            rows += _at("depth", depth, deep, device, repeats)
    for count in threads if "threads" in axes and device == "cpu" else ():
        with pinned_threads(count):
            rivals = Contest((784, 32, 128, 128), device).calls(engines, ["nn.LSTM"], True)
            rows += _at("threads", count, rivals, device, repeats)
    return rows


def engines_on(device: str) -> list[str]:
    """Engines that work here and take tensors of the device: the compiled one those of a CPU, Triton's all others."""
    return [engine for engine in recurrence.available() if engine != ("triton" if device == "cpu" else "cpu")]


def _at(axis: str, value: int, rivals: Rivals, device: str, repeats: int) -> list[Row]:
    row = {"table": "scaling", "axis": axis, "value": value, "device": device, "threads": torch.get_num_threads()}
    return list(compared(row, interleave(rivals, repeats, device), None)) if rivals else []


def _backward(net: nn.Module, x: Tensor) -> None:
    torch.autograd.grad(net(x)[0].sum(), list(net.parameters()))
