"""A bad input: a value, the door it comes in by, how the command ends and what its one line must say.

Doors: `python` (a call), `cli` (a command line), `notebook` (parameters of a notebook), `widget` (what a page sends to an
explorer), `file` (something on disk), `env` (a variable of the environment). `files` lie in an empty folder, `{here}` in
texts; `begun` and `done` put a small run into the store first and `damage` harms its folder.
"""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

import workbench as wb
from workbench import paper, tasks
from workbench.runs.jobs import plan

FAILED, PARAMETER, DATA, STORE = 1, 2, 3, 4  # the exit codes


@dataclass(frozen=True)
class Link:
    """A symbolic link, in `files`; its own name makes a loop."""

    to: str


@dataclass(frozen=True)
class Case:
    id: str
    section: Literal["Sizes", "Sequence", "Training", "Parameters", "Data", "Store"]
    door: Literal["python", "cli", "notebook", "widget", "file", "env"]
    call: Callable[[Path], object] | tuple[str, ...]  # a function of the folder, or a command line
    code: int
    says: tuple[str, ...]  # fragments of the one line: the name, the value, what is allowed
    files: Mapping[str, str | bytes | Link | None] = field(default_factory=dict)  # None: a folder
    env: Mapping[str, str] = field(default_factory=dict)
    run: Literal["", "begun", "done"] = ""
    damage: Callable[[Path], object] | None = None
    skip: bool = False


ADDING = "adding_indrnn_T100"
TINY = {"task.length": 4, "model.hidden": 4, "train.batch": 2, "train.steps": 2, "train.evaluate_every": 1}
CONFIG = paper.experiment(ADDING).config
DIGITS = paper.experiment("seqdigits_plain6").at("smoke")[0]
SPEC = tasks.spec(CONFIG.task)
CUDA = torch.cuda.is_available()
NAN, INF = math.nan, math.inf
a, u, x = torch.zeros(5, 2, 3), torch.zeros(3), torch.zeros(5, 4, 2)


def layer(**options: Any) -> wb.IndRNN:
    """A layer of 2 inputs and 3 neurons, its options those of a case."""
    return wb.IndRNN(**{"input_size": 2, "hidden_size": 3, **options})


def tiny_run(_: Path) -> wb.Record:
    return wb.run(ADDING, "smoke", changes=TINY, progress=False)


def smoke(*options: str) -> tuple[str, ...]:
    return ("run", ADDING, "--budget", "smoke", *options)


def refused(section: str, door: str, code: int, *rows: tuple[Any, ...], **shared: Any) -> list[Case]:
    """Cases that share section, door and exit code; a row is id, call, fragments and, if any, more fields."""
    return [
        Case(id=r[0], section=section, door=door, call=r[1], code=code, says=r[2], **shared, **(r[3] if r[3:] else {}))
        for r in rows
    ]


def run(**options: Any) -> Callable[[Path], object]:
    return lambda _: wb.run(**{"experiment": ADDING, "budget": "smoke", "changes": TINY, "progress": False, **options})


def reproduce(*targets: str, **options: Any) -> Callable[[Path], object]:
    return lambda _: plan.reproduce(targets or (ADDING,), **{"budget": "smoke", "say": print, **options})


def grid(*pairs: str, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A sweep over these fields."""
    return ("sweep", ADDING, *(part for pair in pairs for part in ("--grid", pair)), "--budget", "smoke", *more)


def placed(*options: str) -> tuple[str, ...]:
    return ("reproduce", ADDING, "--budget", "smoke", *options)
