"""Fig. 2's ratios as a verdict needs them: one number a process start, of the mean time of a hundred training batches.

A start loads everything anew, so that what one process happens to be lucky with (memory, clock, cache) is drawn again.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ... import files
from ...errors import RunError
from ...paper import claims
from . import figure2, record
from .timing import Row, load

LSTM = "LSTM, 1 layer"
INDRNNS = {1: "IndRNN, 1 layer", 2: "IndRNN, 2 layers"}
LENGTHS, BATCHES = (256, 512, 1024), 100  # as the paper has them
_SCRIPT = """
import json, sys
from workbench.analysis.benchmark import ratios
print(json.dumps(ratios.start(*json.loads(sys.argv[1]))))
"""


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
        times = figure2.times_of([LSTM, *INDRNNS.values()], T, device, 1, batches)
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
    about = kept["about"]
    names = dict.fromkeys((about["processor"], about["device"], f"torch {about['torch']}", about["date"]))
    return Ratios(values, ", ".join(names), about.get("claims"))


def setting(claim: claims.Claim) -> tuple[int, int]:
    """The layers of the IndRNN and the length that a claim of kind ratio names: `IndRNN of 2, T = 512`."""
    layers, _, length = claim.metric.rpartition("IndRNN of ")[2].partition(", T = ")
    return int(layers), int(length)
