"""Cost of many runs, many starts and long sequences on this machine: results/load.csv, load.md and figures/load.html.

    python scripts/load.py             everything: 50,000 records, 100,000 steps (half an hour)
    python scripts/load.py --small     a tenth of it

Records are copies of one tiny run under other ids: what is measured is the store, not the training. Seconds are of the
processor, which a busy machine does not stretch; memory is measured in processes of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

import workbench as wb
from workbench import files, paper
from workbench.analysis import figures
from workbench.runs.jobs import worker
from workbench.runs.planned_run import PlannedRun
from workbench.training import Trainer

NAME = "adding_rnn_tanh_T100"
TINY = {"task.length": 4, "model.hidden": 4, "train.batch": 2, "train.steps": 2, "train.evaluate_every": 1}
COLUMNS = ("what", "size", "value", "unit", "goal")
Row = dict[str, Any]

BEGIN = """
import json, os, sys, threading, time, torch
import psutil
import workbench as wb
from workbench.runs.jobs import plan as batch
from workbench.runs import status as board
from workbench.runs.provenance import _peak_mb as peak
from workbench.runs.planned_run import PlannedRun
torch.set_num_threads(1)
def seconds(work):
    began = time.process_time()
    work()
    return time.process_time() - began
"""
LOOK = """
before = peak()
took = seconds(lambda: board.overview(own=True))
print(json.dumps([took, seconds(board.rows), peak(), peak() - before]))
"""
RESUME = """
planned = [PlannedRun(%r, "smoke", seed, %r) for seed in range(int(sys.argv[1]))]
print(json.dumps([seconds(lambda: batch.carry_out(planned, [], batch.Means(), lambda _: None))]))
"""
MANY = """
def state():
    me = psutil.Process()
    return me.memory_info().rss / 1e6, me.num_fds(), threading.active_count(), len(me.children())
count, states = int(sys.argv[1]), []
for seed in range(count):
    wb.run(%r, "smoke", seed, changes=%r, progress=False)
    if seed + 1 in (count // 10, count):
        states.append(state())
print(json.dumps(states))
"""
BOOK = """budget: str = "smoke"  # how far
steps: int = 10  # how many
---
import workbench as wb
record = wb.run({name!r}, budget, changes={{**{tiny!r}, "train.steps": steps}})
---
wb.figures.curves_of([record])"""


def child(code: str, *arguments: object, results: Path) -> Any:
    """Run a script in a process of its own and return its last line, read as JSON."""
    environment = {**os.environ, "WORKBENCH_RESULTS": str(results), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", BEGIN + code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def row(what: str, size: int, value: float, unit: str, goal: float | None = None) -> Row:
    """One figure, said as soon as it is known."""
    found = {"what": what, "size": size, "value": float(f"{value:.4g}"), "unit": unit, "goal": goal}
    print(json.dumps(found), flush=True)
    return found


def seconds(work: Callable[[], Any]) -> float:
    before = _cpu()
    work()
    return _cpu() - before


def _cpu() -> float:
    """Processor seconds of this process and of its children that ended."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def multiply(planned_runs: list[PlannedRun]) -> None:
    """Every trial's record, copied from one that was trained, under its own id and seed."""
    files.os.fsync = lambda _: None  # type: ignore[attr-defined]  # copies need not outlive a power cut
    first = wb.run(NAME, "smoke", 0, changes=TINY, progress=False).run
    spec, events, result = first.spec(), first.events(), first.result()
    for planned_run in planned_runs:
        run = planned_run.run
        if run.path != first.path:
            run.create({**spec, "id": run.path.name, "seed": planned_run.seed}, {})
            for event in events:
                run.append(event)
            run.finish({**(result or {}), "id": run.path.name})


def sweeps(counts: list[int]) -> Iterator[Row]:
    """Looking at so many records, the first time and from the index; the same command again when all are recorded."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        os.environ["WORKBENCH_RESULTS"] = folder
        for before, count in zip([0, *counts], counts, strict=False):
            multiply([PlannedRun(NAME, "smoke", seed, tuple(TINY.items())) for seed in range(before, count)])
            (results / "runs" / ".index.sqlite").unlink(missing_ok=True)
            yield row("overview, no index", count, child(LOOK, results=results)[0], "s")
            took, board, peak, grown = child(LOOK, results=results)
            yield row("overview", count, took, "s", {10_000: 1.0, 50_000: 3.0}.get(count))
            yield row("board", count, board, "s")
            yield row("memory of overview and board", count, grown, "MB", 300.0)
            yield row("the whole process, torch in it", count, peak, "MB")
            if count <= 10_000:
                (resumed,) = child(RESUME % (NAME, tuple(TINY.items())), count, results=results)
                yield row("reproduce, all recorded", count, resumed, "s", 5.0 if count == 10_000 else None)


def lengths(steps: list[int]) -> Iterator[Row]:
    """A training step of the two-layer IndRNN, batch 1, 16 units, by the length of its sequences."""
    known = paper.experiment("adding_indrnn_T100").config
    took = {}
    for T in steps:
        trainer = Trainer(known.set({"task.length": T, "model.hidden": 16, "train.batch": 1}), 0)
        trainer.advance()
        took[T] = min(seconds(trainer.advance) for _ in range(5))
        yield row("training step", T, took[T], "s")
    yield row(f"time({steps[-1]:,}) / time({steps[-2]:,})", steps[-1], took[steps[-1]] / took[steps[-2]], "", 12.0)


def many(count: int) -> Iterator[Row]:
    """So many runs in one process: what it holds after the last, beside what it held after the first tenth."""
    with tempfile.TemporaryDirectory() as folder:
        early, late = child(MANY % (NAME, TINY), count, results=Path(folder))
    yield row("runs in one process: memory grown", count, 100 * (late[0] / early[0] - 1), "%", 5.0)
    for what, a, b in zip(("files", "threads", "children"), early[1:], late[1:], strict=True):
        yield row(f"runs in one process: more {what}", count, b - a, "", 0.0)


def notebook(path: Path, text: str) -> Path:
    """A notebook of the cells in a text."""
    cells: list[Row] = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {"tags": ["parameters"] * (n == 0)}, "outputs": [],
         "execution_count": None, "source": cell} for n, cell in enumerate(text.split("---\n"))
    ]  # fmt: skip
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}))
    return path


def books(steps: list[int], starts: int) -> Iterator[Row]:
    """Notebooks by the number of evaluations in them; then so many, eight at a time: does each find its ports?"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        campaign = worker.Campaign.of(folder)
        full = notebook(folder / "full.ipynb", BOOK.format(name=NAME, tiny=TINY))
        bare = notebook(folder / "bare.ipynb", "steps: int = 10  # how many")

        def execute(path: Path, number: int, count: int) -> tuple[int, Path]:
            output = folder / "out" / f"{number}.ipynb"
            job = worker.Job("load", ("notebook", str(path), json.dumps({"steps": count}), str(output)))
            return worker.perform(job, campaign, say=lambda _: None).code, output

        for count in steps:
            code, output = execute(full, count, count)
            if code:
                raise SystemExit(f"{full}: ended with exit code {code}")
            cells = json.loads(output.read_text(encoding="utf-8"))["cells"]
            yield row("outputs of a notebook", count, sum(len(cell["outputs"]) for cell in cells), "", 200.0)
            yield row("size of a notebook", count, output.stat().st_size / 1e6, "MB", 2.0)
        before = _cpu()
        with ThreadPoolExecutor(8) as pool:
            codes = [code for code, _ in pool.map(lambda n: execute(bare, -n, n), range(1, starts + 1))]
        yield row("notebooks started, 8 at a time: failures", starts, sum(code != 0 for code in codes), "", 0.0)
        yield row("a notebook's start and end", starts, (_cpu() - before) / starts, "s")


def picture(rows: list[Row]) -> Any:
    """Cost against size, both logarithmic: a line a thing measured at several sizes."""
    figure = figures.blank("records, or steps of a sequence", "seconds of the processor", "What size costs")
    palette = list(figures.COLOURS.values())
    timed = [r for r in rows if r["unit"] == "s"]
    for index, what in enumerate(dict.fromkeys(r["what"] for r in timed)):
        line = [r for r in timed if r["what"] == what]
        if len(line) > 1:
            figure.add_scatter(
                x=[r["size"] for r in line],
                y=[r["value"] for r in line],
                name=what,
                mode="lines+markers",
                line={"color": palette[index % len(palette)]},
            )
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    return figure


def write(rows: list[Row], out: Path) -> None:
    """The table, the table to be read, the picture."""
    files.publish_rows(out / "load.csv", COLUMNS, rows)
    page = ["# Load\n", "Written by `make load`; what each means stands in scripts/load.py.\n"]
    page += ["| what | size | value | goal |", "| --- | ---: | ---: | ---: |"]
    for r in rows:
        goal = "" if r["goal"] is None else f"at most {r['goal']:g}"
        page.append(f"| {r['what']} | {r['size']:,} | {r['value']:g} {r['unit']} | {goal} |")
    files.publish(out / "load.md", ("\n".join(page) + "\n").encode(), replace=True)
    picture(rows).write_html(files.make_folder(out / "figures") / "load.html", include_plotlyjs="directory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tenth of everything")
    parser.add_argument("--out", type=Path, help="another folder than results/")
    options = parser.parse_args()
    torch.set_num_threads(1)
    out = options.out or files.project() / "results"
    out.mkdir(parents=True, exist_ok=True)
    small = 10 if options.small else 1
    rows: list[Row] = []
    for part in (
        lengths([T // small for T in (1_000, 10_000, 100_000)]),
        many(200 // small),
        sweeps([count // small for count in (100, 1_000, 10_000, 50_000)]),
        books([n // small for n in (100, 1_000, 3_000)], 200 // small),
    ):
        for found in part:
            rows.append(found)
            write(rows, out)  # what is measured is kept if the rest is interrupted
    print(out / "load.csv")


if __name__ == "__main__":
    main()
