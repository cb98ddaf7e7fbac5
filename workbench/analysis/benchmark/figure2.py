"""Fig. 2 measured here: what a training batch of the adding problem costs an LSTM, an SRU and IndRNNs, side by side.

As in the paper: the batch is fetched, and forward, loss and backward run; the optimiser does not. All nets take turns,
batch after batch, so that whatever else the machine does falls on all of them. Milliseconds are those of this machine;
what can be compared with the paper's P100 is the ratio to the LSTM of the same run, and that is an old baseline too.

A verdict needs such a ratio a process start, of the mean time of a hundred batches: a start loads everything anew, so
that what one process happens to be lucky with (memory, clock, cache) is drawn again.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from scipy.stats import gmean

from ... import files, tasks
from ...config import Adding, Model
from ...errors import RunError, whole
from ...models.build import build
from ...paper import claims
from ...paper.published import published
from ...runs.asked import check_device, pinned_threads
from ...seeds import generator
from ...training import evaluate
from ...training.denormals import flushed
from . import record
from .timing import Row, load

LSTM = "LSTM, 1 layer"
INDRNNS = {1: "IndRNN, 1 layer", 2: "IndRNN, 2 layers"}
NETS: dict[str, dict[str, Any]] = {
    LSTM: {"kind": "lstm"},
    "SRU, 1 layer": {"kind": "sru"},
    **{net: {"kind": "plain", "depth": depth, "gamma": 2.0} for depth, net in INDRNNS.items()},
}
LENGTHS, BATCHES = (256, 512, 1024), 100  # of a ratio, as the paper has them
_PUBLISHED = {f"{net} ({layers})": f"{net.removeprefix('cuDNN ')}, {layers}" for net, layers in (
    ("cuDNN LSTM", "1 layer"), ("SRU", "1 layer"), ("IndRNN", "1 layer"), ("IndRNN", "2 layers")
)}  # fmt: skip
_SCRIPT = """
import json, sys
from workbench.analysis.benchmark import figure2
print(json.dumps(figure2.start(*json.loads(sys.argv[1]))))
"""


def training_batches(
    lengths: Sequence[int] = (256, 512, 1024), device: str = "auto", threads: int = 1, batches: int = 9
) -> pd.DataFrame:
    """A row a net and length, 128 units, batch 32, float32: the median over `batches` batches after one that does not
    count, and how many times faster than the LSTM.

    Columns: `net`, `T`, `ms`, `iqr` (the quartiles' distance over the median), `faster` (than the LSTM), `batches`.
    """
    whole("batches", batches)
    rows = []
    for T in lengths:
        times = times_of(NETS, T, device, threads, batches)
        median = {name: statistics.median(seconds) for name, seconds in times.items()}
        for name, seconds in times.items():
            low, _, high = statistics.quantiles(seconds, n=4) if batches > 1 else (0.0, 0.0, 0.0)
            row = {"net": name, "T": T, "ms": 1e3 * median[name], "iqr": (high - low) / median[name]}
            rows.append({**row, "faster": median[LSTM] / median[name], "batches": batches})
    return pd.DataFrame(rows)


def times_of(nets: Iterable[str], T: int, device: str, threads: int, batches: int) -> dict[str, list[float]]:
    """Seconds of each batch of each of NETS, which take turns, after one batch that does not count."""
    device = check_device(device)
    with pinned_threads(threads), flushed():
        rivals = {name: _batch(Model.model_validate(NETS[name]), T, device) for name in nets}
        times: dict[str, list[float]] = {name: [] for name in rivals}
        for index in range(batches + 1):
            for name, run in rivals.items():
                times[name].append(run(index))
    return {name: seconds[1:] for name, seconds in times.items()}


def published_batches() -> pd.DataFrame:
    """The bars of Fig. 2, read off the figure to 0.1 ms: columns `net`, `T`, `ms`, `faster` (than the LSTM)."""
    bars = [r for r in published("fig2_timing") if r["source"].startswith("paper v2 Fig. 2")]
    table = pd.DataFrame(
        {
            "net": [_PUBLISHED[r["model"]] for r in bars],
            "T": [int(re.sub(r"\D", "", r["setting"])) for r in bars],
            "ms": [float(r["value"]) for r in bars],
        }
    )
    lstm = table[table["net"] == LSTM].set_index("T")["ms"]
    return table.assign(faster=table["T"].map(lstm) / table["ms"])


def recorded_batches(device: str = "cpu") -> tuple[pd.DataFrame, str] | None:
    """The newest record of ratios on a kind of device, as `published_batches` has them, each the mean logarithm's over
    the process starts; and in words where, when and how often they were measured. None without a record."""
    kept = record.newest(f"ratios-{device}")
    if kept is None:
        return None
    rows = pd.DataFrame(kept["rows"])
    table = rows.assign(net=rows["layers"].map(INDRNNS)).groupby(["net", "T"], as_index=False)["lstm"].agg(gmean)
    counts = f"{rows['start'].nunique()} process starts of {rows['batches'].max()} batches"
    return table.rename(columns={"lstm": "faster"}), f"{counts}, one thread: {_where(kept['about'])}"


def _where(about: dict[str, Any]) -> str:
    return ", ".join(dict.fromkeys((about["processor"], about["device"], f"torch {about['torch']}", about["date"])))


def _batch(model: Model, T: int, device: str) -> Callable[[int], float]:
    """A function of the batch's number: fetch it, run forward, loss and backward; the seconds that took."""
    task = tasks.load(Adding(name="adding", length=T), 0, 32)
    net = build(model, task.spec, generator(0, "init")).to(device)
    return partial(_seconds, task, net, device)


def _seconds(task: Any, net: torch.nn.Module, device: str, index: int) -> float:
    net.zero_grad(set_to_none=True)
    begin = time.perf_counter()
    batch = task.batch(index)
    output, _ = evaluate.answer(net, batch, "real")
    evaluate.loss_of(output, batch.y.to(device), "real").backward()
    if device != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - begin


# --- ratios, a number a process start ---


class Ratios(NamedTuple):
    """Ratios of one setting on one device, a number a start; the table of claims that they were measured under."""

    values: list[float]
    device: str
    claims: str | None


def starts(
    count: int, device: str = "cpu", lengths: Sequence[int] = LENGTHS, batches: int = BATCHES
) -> Iterator[list[Row]]:
    """Measure in so many processes, one after the other; the rows of each when it is done. Two minutes each."""
    for index in range(count):
        asked = json.dumps([device, list(lengths), batches])
        done = subprocess.run([sys.executable, "-c", _SCRIPT, asked], capture_output=True, text=True)
        if done.returncode:
            raise RunError(f"process start {index}: {(done.stderr.strip() or 'no word').splitlines()[-1]}")
        yield [{"table": "ratio", "start": index, **row} for row in json.loads(done.stdout)]


def start(device: str, lengths: Sequence[int], batches: int) -> list[Row]:
    """A row an IndRNN and length, in this process: how many times faster than the LSTM, by mean times, on one thread.

    The nets take turns, batch after batch, after one batch that does not count.
    """
    rows: list[Row] = []
    for T in lengths:
        times = times_of([LSTM, *INDRNNS.values()], T, device, 1, batches)
        mean = {net: statistics.fmean(seconds) for net, seconds in times.items()}
        row = {"T": T, "batches": batches, "threads": 1, "device": device, "load": load()}
        rows += [
            row | {"layers": layers, "ms": 1e3 * mean[net], "lstm_ms": 1e3 * mean[LSTM], "lstm": mean[LSTM] / mean[net]}
            for layers, net in INDRNNS.items()
        ]
    return rows


def write(path: Path, rows: Sequence[Row], device: str) -> None:
    """Keep the rows with what they were measured on, and under which table of claims."""
    record.write(path, rows, device, threads=1, claims=claims.table_hash(claims.present()))


def place(device: str) -> Path:
    """The file of one's own ratios on a kind of device, where `workbench tables` reads them."""
    return files.results() / "bench" / f"ratios-{device}.json"


def recorded(claim: claims.Claim, device: str, *, own: bool = False) -> Ratios | None:
    """The ratios that a claim is about, measured on a kind of device; one's own come before the published ones."""
    kept = record.newest(f"ratios-{device}", own=own)
    if kept is None:
        return None
    layers, T = setting(claim)
    values = [row["lstm"] for row in kept["rows"] if (row["layers"], row["T"], row["batches"]) == (layers, T, BATCHES)]
    return Ratios(values, _where(kept["about"]), kept["about"].get("claims"))


def setting(claim: claims.Claim) -> tuple[int, int]:
    """The layers of the IndRNN and the length that a claim of kind ratio names: `IndRNN of 2, T = 512`."""
    layers, _, length = claim.metric.rpartition("IndRNN of ")[2].partition(", T = ")
    return int(layers), int(length)
