"""Measure what one time step costs where a sequence is read as it arrives: results/step_latency.csv.

    python scripts/latency.py

One sequence (B = 1), one thread, a step after another with the state carried; of each way the median and the 99th
percentile of its time, and the median of its processor time, which other work on the machine hardly changes, in
microseconds over 2,000 steps, after 200 to warm up, the ways in turns. `net.step` is ours by torch,
`onnxruntime` the same net's ONNX model. Needs onnx, onnxscript and onnxruntime.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

import workbench as wb
from workbench import files
from workbench.analysis.benchmark import record
from workbench.models import count
from workbench.runs import export, pretrained

STEPS, WARM, TURNS = 500, 50, 4
COLUMNS = ("net", "parameters", "way", "median_us", "p99_us", "processor_us", "steps", "threads", "cpu", "torch")


def ways(name: str, net: nn.Module) -> Iterator[tuple[str, Callable[[], None]]]:
    """The ways of reading that are timed of a net; each call is one step."""
    import onnxruntime

    card = pretrained.card_of(net)
    x = torch.rand(1, card.spec.inputs)
    carried: dict[str, list[Tensor] | None] = {"state": None}

    def step() -> None:
        _, carried["state"] = net.step(x, carried["state"])  # type: ignore[operator]

    yield "net.step", step
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(export.onnx_bytes(net), options)
    names = [given.name for given in session.get_inputs()]
    states = [state.numpy() for state in export.Carrying(net).zeros(1)]  # type: ignore[arg-type]
    fed = dict(zip(names, [x.unsqueeze(0).numpy(), *states], strict=True))

    def run() -> None:
        _, *after = session.run(None, fed)
        fed.update(zip(names[1:], after, strict=True))

    yield "onnxruntime", run


def layer(hidden: int, layers: int) -> Callable[[], None]:
    """A step of `wb.IndRNN`."""
    rnn = wb.IndRNN(1, hidden, layers).eval()
    x, carried = torch.rand(1, 1), {"state": torch.zeros(layers, 1, hidden)}

    def step() -> None:
        _, carried["state"] = rnn.step(x, carried["state"])

    return step


def timed(call: Callable[[], None]) -> list[tuple[float, float]]:
    """Seconds, and the processor's, of each of so many calls, after some that warm up."""
    seconds = []
    for index in range(WARM + STEPS):
        began, worked = time.perf_counter(), time.process_time()
        call()
        if index >= WARM:
            seconds.append((time.perf_counter() - began, time.process_time() - worked))
    return seconds


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    calls: dict[tuple[str, int, str], Callable[[], None]] = {}
    for hidden, layers in ((128, 1), (128, 6)):
        rnn = wb.IndRNN(1, hidden, layers)
        calls[f"wb.IndRNN(1, {hidden}, {layers})", count(rnn), "rnn.step"] = layer(hidden, layers)
    for name in pretrained.names():
        net = wb.pretrained(name)
        if pretrained.card_of(net).model.has_u and net.streams:
            calls |= {(name, count(net), way): call for way, call in ways(name, net)}
    seconds: dict[tuple[str, int, str], list[tuple[float, float]]] = {key: [] for key in calls}
    with torch.no_grad():
        for _ in range(TURNS):
            for key, call in calls.items():
                seconds[key] += timed(call)
    where = (1, record.about("cpu")["processor"], torch.__version__)
    rows = []
    for key, values in seconds.items():
        (median, late), (worked, _) = 1e6 * np.quantile(values, (0.5, 0.99), axis=0).T
        rows.append((*key, *(f"{value:.0f}" for value in (median, late, worked)), len(values), *where))
        print(*rows[-1], sep="  ")
    table = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    files.publish_rows(files.project() / "results" / "step_latency.csv", COLUMNS, table)


if __name__ == "__main__":
    main()
