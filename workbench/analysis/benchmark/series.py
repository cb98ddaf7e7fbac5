"""All measurements in a row, each handed over when it is done: a machine may be gone before the last.

One of them is what a beginning costs: importing the package beyond torch, and compiling the C of engine `cpu` for once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ... import recurrence
from ...errors import ParameterError
from ...files import check_place
from ...runs.asked import check_count, check_device
from . import figure2, record
from .correctness import correctness
from .layers import SHAPES, engines_on, layers, scaling
from .timing import Row, flushed_everywhere
from .training_steps import training_step

EVERYONE = ("nn.LSTM", "nn.GRU", "nn.RNN")
ROUNDS = 5
_SCRIPT = """
import json, time
begin = time.perf_counter()
import torch
torch.set_num_threads(1)
then = time.perf_counter()
import workbench.recurrence as recurrence
ready = time.perf_counter()
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


def everything(
    threads: Sequence[int] = (1, 2),
    device: str = "cpu",
    repeats: int = ROUNDS,
) -> Iterator[tuple[str, list[Row]]]:
    """Every engine against the specification; what a beginning costs; a training step; every shape, forward alone and
    with backward; every axis. About twenty minutes on two cores. -> the name of each part, and its rows.
    """
    ours = ["auto", *(engine for engine in engines_on(device) if engine != "cpu")]  # which is what auto is there
    parts: dict[str, Callable[[], list[Row]]] = {
        "correctness": lambda: correctness(device),
        "first use": start,
        "training step": lambda: training_step(threads, device, repeats=repeats),
        "layers": lambda: layers(list(SHAPES), threads, device, ours, repeats, EVERYONE, forward=True),
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
            environment = os.environ | {"XDG_CACHE_HOME": cache}
            done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
            found.append(json.loads(done.stdout))
    return [
        {"table": "start", "what": name, "ms": 1e3 * sorted(one[name] for one in found)[len(found) // 2]}
        for name in found[0]
    ]
