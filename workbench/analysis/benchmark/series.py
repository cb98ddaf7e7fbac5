"""All measurements in a row, each handed over when it is done: a machine may be gone before the last.

Two of them stand here: whether every engine equals the specification, in value and gradient, on odd shapes, in every
dtype; and what a beginning costs: importing the package beyond torch, and compiling the C of engine `cpu` for once.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ... import recurrence
from ...errors import ParameterError
from ...files import check_place
from ...recurrence.activation import ACTIVATIONS
from ...runs.asked import check_count, check_device
from . import figure2, record
from .layers import SHAPES, engines_on, layers, scaling, sizes_of
from .timing import Row, flushed_everywhere
from .training_steps import training_step

EVERYONE = ("nn.LSTM", "nn.GRU", "nn.RNN")
ROUNDS = 5
_SHAPES = ((1, 1, 1), (33, 3, 7), (784, 5, 40), (100, 32, 128), (2048, 1, 130), (50, 3, 2001))  # (T, B, N)
_ROUNDINGS = {torch.float64: 200, torch.float32: 200, torch.bfloat16: 4, torch.float16: 4}  # of the largest number
_NAMES = ("h", "grad a", "grad u", "grad h0")
_SCRIPT = """
import json, pathlib, sys, time
begin = time.perf_counter()
import torch
torch.set_num_threads(1)
then = time.perf_counter()
from workbench import files, recurrence
ready = time.perf_counter()
files.cache = lambda: pathlib.Path(sys.argv[1])
x, w, u = torch.rand(4, 2, 8), torch.rand(8, 8), torch.rand(8)
recurrence.layer(x, w, None, u)
layer = time.perf_counter()
from torch import nn
recurrence.layer(x, w, None, u, norm=nn.BatchNorm1d(8), backend="auto" if {torch_only} else "cpu")
recurrence.layer(x[..., :1], w[:, :1].contiguous(), None, u)
recurrence.recur(x, u)
print(json.dumps({{"torch": then - begin, "import": ready - then, "first layer": layer - ready,
                  "all of it": time.perf_counter() - ready}}))
"""


def everything(threads: Sequence[int] = (1, 2), device: str = "cpu") -> Iterator[tuple[str, list[Row]]]:
    """Every engine against the specification; what a beginning costs; a training step; every shape, forward alone and
    with backward; every axis. About twenty minutes on two cores. -> the name of each part, and its rows.
    """
    ours = ["auto", *(engine for engine in engines_on(device) if engine != "cpu")]  # which is what auto is there
    parts: dict[str, Callable[[], list[Row]]] = {
        "correctness": lambda: correctness(device),
        "first use": start,
        "training step": lambda: training_step(threads, device, ROUNDS),
        "layers": lambda: layers(list(SHAPES), threads, device, ours, ROUNDS, EVERYONE, forward=True),
        "scaling": lambda: scaling(threads=threads, device=device),
    }
    for name, part in parts.items():
        yield name, part()


def asked_for(
    shapes: Sequence[str],
    threads: Sequence[int],
    device: str,
    *,
    step: bool = False,
    all_: bool = False,
    starts: int | None = None,
    out: Path | None = None,
    say: Callable[[str], None] = print,
) -> list[Row]:
    """The rows of `workbench bench`: `layers`, with `step` a training step too; `everything`; or Fig. 2's ratios alone.

    `out` keeps them, part after part; ratios lie where `tables` reads them unless it is given. ParameterError for what
    cannot be meant together.
    """
    if out is not None:
        check_place("out", out, folder=False)
    if all_ and (shapes or step):
        raise ParameterError("--all: it has every shape and the step; leave --shapes and --step out")
    if starts is not None and (all_ or shapes or step or threads):
        raise ParameterError("--starts: it measures Fig. 2's ratios alone, on one thread; leave the others out")
    for shape in shapes:
        sizes_of(shape)
    device = check_device(device)
    flushed_everywhere()  # makes torch's threads
    keep: Callable[[Path, Sequence[Row], str], None] = record.write
    parts: Iterator[tuple[str, list[Row]]]
    counts = [check_count("threads", count) for count in threads or ([1, 2] if all_ else [1])]
    if starts is not None:
        out, keep = out or figure2.place(device), figure2.write
        series = enumerate(figure2.starts(check_count("starts", starts), device), 1)
        parts = ((f"start {n} of {starts}", found) for n, found in series)
    else:
        parts = everything(counts, device) if all_ else _some(list(shapes or SHAPES), counts, device, step)
    rows: list[Row] = []
    for name, found in parts:
        rows += found
        say(f"{name}: {len(found)} rows")
        if out is not None:
            keep(out, rows, device)
    return rows


def _some(shapes: Sequence[str], threads: Sequence[int], device: str, step: bool) -> Iterator[tuple[str, list[Row]]]:
    for shape in shapes:
        yield f"layers, {shape}", layers([shape], threads=threads, device=device)
    if step:
        yield "training step", training_step(threads=threads, device=device)


def start(repeats: int = 3) -> list[Row]:
    """Milliseconds, in processes of their own with an empty cache: torch's import, ours beyond it, and until the first
    layer, then all of C, is compiled and has run."""
    found: list[dict[str, float]] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            script = _SCRIPT.format(torch_only=recurrence.unavailable("cpu") is not None)
            done = subprocess.run([sys.executable, "-c", script, cache], capture_output=True, check=True)
            found.append(json.loads(done.stdout))
    return [
        {"table": "start", "what": name, "ms": 1e3 * sorted(one[name] for one in found)[len(found) // 2]}
        for name in found[0]
    ]


# --- every engine against the specification ---


def correctness(device: str = "cpu") -> list[Row]:
    """A row an engine, activation and dtype: the largest error of h and the gradients of a, u and h0 over odd shapes.

    `error` in roundings of the largest number in sight, against the loop in float32 for half precision; `exact`: which
    of the four were equal bit for bit everywhere; `ok`: below what `allowed` says.
    """
    rows: list[Row] = []
    for engine in ("auto", *recurrence.available()[1:]):
        for activation in ACTIVATIONS:
            if engine == "auto" or recurrence.refuses(engine, activation) is None:
                rows += [_checked(engine, activation, dtype, device) for dtype in _ROUNDINGS]
    return [row for row in rows if row["error"] is not None]


def _checked(engine: str, activation: str, dtype: torch.dtype, device: str) -> Row:
    worst, exact = 0.0, set(_NAMES)
    row: Row = {"table": "correctness", "what": engine, "activation": activation, "dtype": str(dtype), "device": device}
    for T, B, N in _SHAPES:
        inputs, g = _drawn(T, B, N, dtype, device)
        try:
            ours = _outcome(engine, activation, inputs, g)
        except ParameterError as refused:  # a dtype that the engine does not take
            return row | {"error": None, "refused": str(refused)}
        wide = dtype if dtype.itemsize >= 4 else torch.float32
        theirs = _outcome("loop", activation, [v.to(wide) for v in inputs], g.to(wide))
        for name, x, y in zip(_NAMES, ours, theirs, strict=True):
            scale = torch.finfo(dtype).eps * (1 + float(y.abs().max()))
            error = float((x.to(y.dtype) - y).abs().max()) / scale
            worst = max(worst, math.inf if math.isnan(error) else error)
            if not torch.equal(x.to(y.dtype), y):
                exact.discard(name)
    allowed = _ROUNDINGS[dtype]
    return row | {"error": worst, "allowed": allowed, "exact": sorted(exact), "ok": worst <= allowed}


def _drawn(T: int, B: int, N: int, dtype: torch.dtype, device: str) -> tuple[list[Tensor], Tensor]:
    """a, u, h0 and the gradient of h; in half precision away from the kink, where rounding would decide a gradient."""
    chance = torch.Generator().manual_seed(0)
    a, h0, g = (torch.randn(*s, generator=chance, dtype=torch.float64) for s in ((T, B, N), (B, N), (T, B, N)))
    u = 2 * torch.rand(N, generator=chance, dtype=torch.float64) - 1
    if dtype.itemsize < 4:
        a, u, h0 = a.abs() + 1.5, 0.9 * u, h0.abs()
    return [v.to(device, dtype) for v in (a, u, h0)], g.to(device, dtype)


def _outcome(engine: str, activation: str, inputs: list[Tensor], g: Tensor) -> list[Tensor]:
    """h and the gradients of a, u and h0."""
    leaves = [v.clone().requires_grad_() for v in inputs]
    h = recurrence.recur(*leaves, activation=activation, backend=engine)
    return [h.detach(), *torch.autograd.grad(h, leaves, g)]
