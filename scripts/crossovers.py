"""Measure where one implementation overtakes another, for the thresholds that `backend="auto"` goes by.

    python scripts/crossovers.py [--threads 2] [--device cuda] [FILE]

FILE is results/published/bench/crossovers.json unless given.

Each pair takes turns. On one thread of a CPU it is the processor's time that counts, so that other work on the machine
does not. The file holds every measurement, and the thresholds that follow; tests/recurrence/test_crossovers.py compares
them with the constants in the code, which a person sets.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from workbench import files
from workbench.errors import ParameterError
from workbench.files import check_place, publish
from workbench.recurrence import layer, normalize, recur
from workbench.recurrence.cpu import engine as cpu
from workbench.runs.asked import check_count, check_device
from workbench.training.cuda_graphs import graphed

WIDE = (128, 256, 512, 1024)  # N of a square layer, (20, 128, N, N)
NORMED = (  # (T, B, N)
    (1, 2, 8), (16, 8, 8), (64, 16, 16), (64, 32, 32), (128, 32, 32), (128, 32, 64), (256, 32, 64), (512, 64, 128)
)  # fmt: skip
LENGTHS, CHAINS = (128, 256, 512, 1024, 4096), (16, 128, 512, 1024, 4096)  # of the recurrence alone
TINY = ((1, 1, 4, 4), (1, 1, 128, 128), (2, 4, 16, 16), (20, 4, 16, 16))  # (T, B, inputs, N)


def in_rounds(calls: dict[str, Callable[[], object]], device: str, repeats: int) -> dict[str, float]:
    """The median milliseconds of each call, all taking turns; short ones are repeated within a turn."""
    clock = time.thread_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            times = 1 if not taken[name] or taken[name][0] > 0.01 else 10
            begin = clock()
            for _ in range(times):
                call()
            if device != "cpu":
                torch.accelerator.synchronize()
            taken[name].append((clock() - begin) / times)
    return {name: 1e3 * statistics.median(seconds[1:]) for name, seconds in taken.items()}


def draw(*shape: int, device: str = "cpu") -> torch.Tensor:
    return torch.randn(*shape, device=device)


def wide(repeats: int) -> list[dict]:
    """Whole layers: products in C (`layer_fused`) or by PyTorch (`layer_large`)."""
    rows = []
    for N in WIDE:
        x, g = draw(20, 128, N), draw(20, 128, N)
        leaves = [x, draw(N, N) / N**0.5, draw(N), draw(N).clamp(-1, 1)]
        for leaf in leaves:
            leaf.requires_grad_()

        def run(large: int, leaves=leaves, g=g) -> None:
            cpu.LARGE = large
            torch.autograd.grad(layer(*leaves, backend="cpu"), leaves, g)

        rows.append({"N": N} | in_rounds({"fused": lambda: run(10**9), "chunked": lambda: run(1)}, "cpu", repeats))
    return rows


def normed(repeats: int) -> list[dict]:
    """Batch norm and dropout, forward and backward: in C, or by PyTorch. C has been faster at every size."""
    rows = []
    for T, B, N in NORMED:
        h, g, norm, mask = draw(T, B, N).requires_grad_(), draw(T, B, N), nn.BatchNorm1d(N), torch.ones(B, N)

        def run(backend: str, h=h, g=g, norm=norm, mask=mask) -> None:
            torch.autograd.grad(normalize(h, norm, mask, backend=backend), [h, *norm.parameters()], g)

        rows.append(
            {"values": T * B * N} | in_rounds({"c": lambda: run("cpu"), "torch": lambda: run("torch")}, "cpu", repeats)
        )
    return rows


def long(device: str, repeats: int) -> Iterator[dict]:
    """The recurrence alone, step by step (`torch`, on CUDA `triton`) or by the scan over time."""
    step = "torch" if device == "cpu" else "triton"
    for T, chains in [(T, CHAINS[0]) for T in LENGTHS] + [(LENGTHS[-2], chains) for chains in CHAINS[1:]]:
        a, u = draw(T, 1, chains, device=device).requires_grad_(), torch.rand(chains, device=device)
        g = torch.ones_like(a)
        calls = {e: lambda e=e: torch.autograd.grad(recur(a, u, backend=e), a, g) for e in (step, "scan")}  # noqa: B023
        if device != "cpu":  # as training has them, without what it costs to launch a kernel from Python
            calls = {name: graphed(call) for name, call in calls.items()}
        yield {"T": T, "chains": chains} | in_rounds(calls, device, repeats)


def tiny(repeats: int) -> list[dict]:
    """Layers so small that calling costs more than computing."""
    rows = []
    for T, B, M, N in TINY:
        x, w, b, u = draw(T, B, M), draw(N, M), draw(N), torch.rand(N)
        calls = {e: lambda e=e: layer(x, w, b, u, backend=e) for e in ("cpu", "torch", "loop")}  # noqa: B023
        rows.append({"T": T, "B": B, "inputs": M, "N": N} | in_rounds(calls, "cpu", repeats))
    return rows


def least(rows: list[dict], size: str, new: str, old: str) -> int | None:
    """The smallest size from which on `new` is always faster than `old`, by two per cent or more."""
    found = None
    for row in sorted(rows, key=lambda row: row[size], reverse=True):
        if row[new] > 0.98 * row[old]:
            break
        found = row[size]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=files.published() / "bench" / "crossovers.json")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    try:
        given.device = check_device(given.device)
        check_count("threads", given.threads)
        check_count("repeats", given.repeats)
        check_place("file", given.file, folder=False)
    except ParameterError as error:
        parser.error(str(error))
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    about = {
        "processor": platform.processor() or platform.machine(),
        "threads": given.threads,
        "torch": torch.__version__,
    }
    if given.device != "cpu":
        about["device"] = torch.cuda.get_device_name()
    written = json.loads(given.file.read_text()) if given.file.exists() else {}
    measured: dict[str, list[dict]] = {"long": []}

    def keep(thresholds: dict[str, int | None]) -> None:
        written[f"{given.device}, {given.threads} threads"] = about | {"thresholds": thresholds, "measured": measured}
        publish(given.file, json.dumps(written, indent=1).encode() + b"\n", replace=True)

    for row in long(given.device, given.repeats):
        measured["long"].append(row)
        keep({})  # whoever is cut off has what was measured
    step = "torch" if given.device == "cpu" else "triton"
    thin = [row for row in measured["long"] if row["chains"] == CHAINS[0]]
    wider = [row for row in measured["long"] if row["T"] == LENGTHS[-2] and row["scan"] < 0.98 * row[step]]
    thresholds: dict[str, int | None] = {
        "scan.STEPS": least(thin, "T", "scan", step),
        "scan.CHAINS": max((row["chains"] for row in wider), default=None),
    }
    if given.device == "cpu":
        measured |= {"wide": wide(given.repeats), "normed": normed(given.repeats), "tiny": tiny(given.repeats)}
        thresholds["cpu.LARGE"] = least(measured["wide"], "N", "chunked", "fused")
    keep(thresholds)
    print(json.dumps(written, indent=1))


if __name__ == "__main__":
    main()
