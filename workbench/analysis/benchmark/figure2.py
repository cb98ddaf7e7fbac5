"""Fig. 2 measured here: what a training batch of the adding problem costs an LSTM, an SRU and IndRNNs, side by side.

As in the paper: the batch is fetched, and forward, loss and backward run; the optimiser does not. All nets take turns,
batch after batch, so that whatever else the machine does falls on all of them. Milliseconds are those of this machine;
what can be compared with the paper's P100 is the ratio to the LSTM of the same run, and that is an old baseline too.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from ...config import Adding, Model
from ...errors import whole
from ...models.build import build
from ...paper.published import published
from ...runs.run import check_device, pinned_threads
from ...seeds import generator
from ...tasks import load
from ...training import evaluate
from .timing import flushed

if TYPE_CHECKING:
    import pandas as pd

NETS: dict[str, dict[str, Any]] = {
    "LSTM, 1 layer": {"kind": "lstm"},
    "SRU, 1 layer": {"kind": "sru"},
    "IndRNN, 1 layer": {"kind": "plain", "depth": 1, "gamma": 2.0},
    "IndRNN, 2 layers": {"kind": "plain", "depth": 2, "gamma": 2.0},
}
_PUBLISHED = {f"{net} ({layers})": f"{net.removeprefix('cuDNN ')}, {layers}" for net, layers in (
    ("cuDNN LSTM", "1 layer"), ("SRU", "1 layer"), ("IndRNN", "1 layer"), ("IndRNN", "2 layers")
)}  # fmt: skip


def training_batches(
    lengths: Sequence[int] = (256, 512, 1024), device: str = "auto", threads: int = 1, batches: int = 9
) -> pd.DataFrame:
    """A row a net and length, 128 units, batch 32, float32: the median over `batches` batches after one that does not
    count, and how many times faster than the LSTM.

    Columns: `net`, `T`, `ms`, `spread` (quartiles over median), `faster` (than the LSTM), `batches`.
    """
    import pandas as pd

    whole("batches", batches)
    rows = []
    for T in lengths:
        times = times_of(NETS, T, device, threads, batches)
        median = {name: statistics.median(seconds) for name, seconds in times.items()}
        for name, seconds in times.items():
            low, _, high = statistics.quantiles(seconds, n=4) if batches > 1 else (0.0, 0.0, 0.0)
            row = {"net": name, "T": T, "ms": 1e3 * median[name], "spread": (high - low) / median[name]}
            rows.append({**row, "faster": median["LSTM, 1 layer"] / median[name], "batches": batches})
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
    import pandas as pd

    bars = [r for r in published("fig2_timing") if r["source"].startswith("paper v2 Fig. 2")]
    table = pd.DataFrame(
        {
            "net": [_PUBLISHED[r["model"]] for r in bars],
            "T": [int(re.sub(r"\D", "", r["setting"])) for r in bars],
            "ms": [float(r["value"]) for r in bars],
        }
    )
    lstm = table[table["net"] == "LSTM, 1 layer"].set_index("T")["ms"]
    return table.assign(faster=table["T"].map(lstm) / table["ms"])


def _batch(model: Model, T: int, device: str) -> Callable[[int], float]:
    """A function of the batch's number: fetch it, run forward, loss and backward; the seconds that took."""
    task = load(Adding(name="adding", length=T), 0, 32)
    net = build(model, task.spec, generator(0, "init")).to(device)
    return partial(_seconds, task, net, device)


def _seconds(task: Any, net: torch.nn.Module, device: str, index: int) -> float:
    net.zero_grad(set_to_none=True)
    begin = time.perf_counter()
    batch = task.batch(index)
    output, _ = evaluate.answer(net, batch, "real")
    evaluate.loss_of(output, batch.y.to(device), "real").backward()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - begin
