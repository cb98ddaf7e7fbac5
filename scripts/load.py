"""What many runs and long sequences cost on this machine: results/load.csv and results/figures/load.html.

    python scripts/load.py             everything: sweeps to 10,000 runs, 100,000 steps (minutes of processor time)
    python scripts/load.py --small     a tenth of it

Runs are copies of one tiny run under other ids: what is measured is the store, not the training.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

import workbench as wb
from workbench import batch, board, figures, paper, places
from workbench.record import overview
from workbench.train import Trainer
from workbench.trial import Trial

NAME = "adding_rnn_tanh_T100"
TINY = {"task.length": 4, "model.hidden": 4, "train.batch": 2, "train.steps": 2, "train.evaluate_every": 1}


def seconds(work: Callable[[], Any]) -> float:
    """Seconds of this process's own processor time, which a busy machine does not stretch."""
    before = time.process_time()
    work()
    return time.process_time() - before


def train_none(trials: list[Trial]) -> None:
    """A batch that finds every run recorded."""
    batch.carry_out(trials, [], batch.Means(), lambda _: None)


def multiply(trials: list[Trial]) -> None:
    """Every trial's record, copied from the one that was trained, under its own id and seed."""
    first = wb.run(NAME, "smoke", 0, changes=TINY, progress=False).run
    spec, events, result = first.spec(), first.events(), first.result()
    for trial in trials[1:]:
        run = trial.run
        run.create({**spec, "id": run.path.name, "seed": trial.seed}, {})
        for event in events:
            run.append(event)
        run.finish({**(result or {}), "id": run.path.name})


def sweeps(counts: list[int]) -> list[dict[str, Any]]:
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["WORKBENCH_RESULTS"] = folder
            os.fsync = lambda _: None  # copies need not outlive a power cut
            trials = [Trial(NAME, "smoke", seed, tuple(TINY.items())) for seed in range(count)]
            multiply(trials)
            first = seconds(lambda: overview(own=True))
            again = seconds(lambda: overview(own=True))
            shown = seconds(lambda: board.rows())
            resumed = seconds(partial(train_none, trials))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            rows += [
                {"what": "overview, no index", "size": count, "value": first, "unit": "s"},
                {"what": "overview", "size": count, "value": again, "unit": "s"},
                {"what": "board", "size": count, "value": shown, "unit": "s"},
                {"what": "reproduce, all recorded", "size": count, "value": resumed, "unit": "s"},
                {"what": "peak memory", "size": count, "value": peak, "unit": "MB"},
            ]
            print(json.dumps(rows[-5:]), flush=True)
    return rows


def lengths(steps: list[int]) -> list[dict[str, Any]]:
    """A training step of the two-layer IndRNN, batch 1, 16 units, by the length of its sequences."""
    rows = []
    known = paper.experiment("adding_indrnn_T100").config
    for T in steps:
        trainer = Trainer(known.set({"task.length": T, "model.hidden": 16, "train.batch": 1}), 0)
        trainer.advance()
        took = min(seconds(trainer.advance) for _ in range(3))
        rows.append({"what": "training step", "size": T, "value": took, "unit": "s"})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def picture(rows: list[dict[str, Any]]) -> Any:
    """Cost against size, both logarithmic: a line a thing measured."""
    figure = figures.blank("runs, or steps of a sequence", "seconds", "What size costs")
    palette = list(figures.COLOURS.values())
    timed = [row for row in rows if row["unit"] == "s"]
    for index, what in enumerate(dict.fromkeys(row["what"] for row in timed)):
        line = [row for row in timed if row["what"] == what]
        figure.add_scatter(
            x=[row["size"] for row in line],
            y=[row["value"] for row in line],
            name=what,
            mode="lines+markers",
            line={"color": palette[index % len(palette)]},
        )
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tenth of everything")
    parser.add_argument("--out", type=Path, help="another folder than results/")
    options = parser.parse_args()
    torch.set_num_threads(1)
    out = options.out or places.project() / "results"
    small = 10 if options.small else 1
    rows = lengths([T // small for T in (1_000, 10_000, 100_000)])
    rows += sweeps([count // small for count in (100, 1_000, 10_000)])
    out.mkdir(parents=True, exist_ok=True)
    with (out / "load.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["what", "size", "value", "unit"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "value": f"{row['value']:.4g}"} for row in rows)
    (out / "figures").mkdir(exist_ok=True)
    picture(rows).write_html(out / "figures" / "load.html", include_plotlyjs="directory")
    print(out / "load.csv")


if __name__ == "__main__":
    main()
