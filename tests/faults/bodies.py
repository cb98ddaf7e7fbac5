"""The work of the processes that are killed: a run of half a second, with a checkpoint every twentieth of it."""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import time
from pathlib import Path

import torch

import workbench as wb
from workbench import files
from workbench.errors import WorkbenchError
from workbench.runs import lock, memory_check, train_and_record
from workbench.runs.folder import open_run
from workbench.runs.record import Record
from workbench.runs.status import overview
from workbench.training import evaluate

NAME = "seqdigits_plain6"
CHANGES = {"model.hidden": 8, "model.depth": 2, "train.evaluate_every": 40, "train.steps": 160, "task.limit": 64}
TINY = {"task.length": 4, "model.hidden": 4, "train.batch": 2, "train.steps": 2, "train.evaluate_every": 1}
torch.set_num_threads(1)


def train(seed: int = 0, **options) -> Record:
    return wb.run(NAME, "paper", seed=seed, changes=CHANGES, progress=False, **options)


def tiny(seed: int = 0) -> Record:
    return wb.run("adding_rnn_tanh_T100", "smoke", seed=seed, changes=TINY, progress=False)


def _quietly(results: Path) -> None:
    """The store to use; stderr into a file beside it."""
    os.environ["WORKBENCH_RESULTS"] = str(results)
    sys.stderr = Path(f"{results}.stderr").open("a", buffering=1)  # noqa: SIM115 (for the rest of the process)


def trained(results: Path, seed: int = 0, every: float = 0.02) -> None:
    """A run with frequent checkpoints, to its end; exits as the command line would."""
    _quietly(results)
    train_and_record.FIRST_CHECKPOINT, train_and_record.CHECKPOINT_EVERY, train_and_record.CHECKPOINT_SHARE = (
        every,
        every,
        1.0,
    )
    lock.FRUITLESS = sys.maxsize  # kills come so fast here that five can fall before the first checkpoint
    try:
        train(seed)
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)


def endless(results: Path) -> None:
    """A run that goes on until it is asked to stop: without patience, which would end it."""
    _quietly(results)
    long = {"train.steps": 10**6, "train.evaluate_every": 20, "train.patience": None}
    try:
        wb.run(NAME, "paper", changes=CHANGES | long, progress=False)
    except WorkbenchError as error:
        sys.exit(error.code)


def written(results: Path, first: int, count: int, pause: float = 0.0) -> None:
    """`count` runs of their own, or the same as others'; says how many it trained itself by its exit code."""
    _quietly(results)
    for seed in range(first, first + count):
        try:
            tiny(seed)
        except lock.Busy as error:
            print(error, file=sys.stderr)
        time.sleep(pause)


def read(results: Path, reads: int) -> None:
    """Look at every record again and again; anything but whole records is an error."""
    _quietly(results)
    done = 0
    while done < reads:
        for row in overview(own=True):
            assert row["status"] != "damaged", row
            record = wb.Record(open_run(files.runs(), row["id"]))
            record.run.spec()
            assert [e["step"] for e in record.run.events()] == sorted(e["step"] for e in record.run.events())
            result = record.run.result()
            assert result is None or result["step"] == 2
            done += 1
        time.sleep(0)


def starved(results: Path, megabytes: int) -> None:
    """A run under a limit of address space that its activations exceed."""
    _quietly(results)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + megabytes * 2**20, resource.RLIM_INFINITY))
    memory_check.available = lambda _: 2**60  # as where nothing tells how little there is
    try:
        wb.run("adding_indrnn_T100", "paper", changes={"task.length": 20_000, "train.batch": 64}, progress=False)
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)


def spoiled(bad_steps: set[int], value: float) -> Record:
    """A run whose loss is not finite at some steps, or jumps."""
    loss_of, count = evaluate.loss_of, iter(range(10**6))

    def once(output, y, target):
        loss = loss_of(output, y, target)
        return loss * value if torch.is_grad_enabled() and next(count) in bad_steps else loss

    evaluate.loss_of = once
    try:
        return train()
    finally:
        evaluate.loss_of = loss_of


def book(path: Path, *cells: str) -> Path:
    """A notebook of these cells, the first of them its parameters."""
    written = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {"tags": ["parameters"] * (n == 0)}, "outputs": [],
         "execution_count": None, "source": cell} for n, cell in enumerate(["size: int = 1  # a number", *cells])
    ]  # fmt: skip
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": written, "metadata": about, "nbformat": 4, "nbformat_minor": 5}))
    return path


def wait_for(claim, seconds: float = 60.0):
    """The first true value of `claim()`; an error where none comes in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := claim():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{claim} did not come true within {seconds} s")


def flip(path: Path, chance: random.Random) -> None:
    """Change one bit of a file, or cut it short."""
    content = bytearray(path.read_bytes())
    at = chance.randrange(len(content))
    if chance.random() < 0.2:
        content = content[:at]
    else:
        content[at] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
