"""Counts and outcomes of the fault tests: how often each fault is tried, and the table of what survived.

`make faults` tries each as often as RELIABILITY asks (FAULTS=full) and writes results/faults.csv, a fault as soon as it
is through; otherwise a share. FAULTS_SECONDS=900 begins no further try of a fault after so long: the table then says
how many of its goal were made.
"""

from __future__ import annotations

import csv
import math
import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import forked
import pytest
from faults import bodies

from workbench.files import publish
from workbench.runs.folder import pure

FULL = os.environ.get("FAULTS") == "full"
LONGEST = float(os.environ.get("FAULTS_SECONDS", math.inf))
TABLE = Path(__file__).parent.parent.parent / "results" / "faults.csv"
COLUMNS = ("fault", "what", "goal", "tries", "survived", "seconds", "note")


@dataclass
class Fault:
    """One kind of fault: its number and name, how often it is to be tried, how often it was and all of it held."""

    number: int
    name: str
    tries: int
    tried: int = 0
    survived: int = 0
    note: str = ""
    began: float = field(default_factory=time.monotonic)

    @property
    def more(self) -> bool:
        """Test whether to try again."""
        return self.tried < self.tries and time.monotonic() - self.began < LONGEST

    def __iter__(self) -> Iterator[int]:
        """The tries, counted: a body that raises was tried and did not survive."""
        while self.more:
            self.tried += 1
            yield self.tried - 1
            self.survived += 1

    @property
    def row(self) -> dict[str, str]:
        seconds = f"{time.monotonic() - self.began:.0f}"
        values = (self.number, self.name, self.tries, self.tried, self.survived, seconds, self.note)
        return dict(zip(COLUMNS, map(str, values), strict=True))


@pytest.fixture
def fault() -> Iterator[Callable[[int, str, int, int], Fault]]:
    """fault(number, name, full, few): how often it is tried in all, and how often in a short run."""
    seen: list[Fault] = []

    def one(number: int, name: str, full: int, few: int) -> Fault:
        seen.append(Fault(number, name, full if FULL else few))
        return seen[-1]

    yield one
    if FULL and seen:
        write([each.row for each in seen])


def write(new: list[dict[str, str]]) -> None:
    """Put rows into the table, each in the place of an earlier one of the same fault; and the table to be read."""
    kept: list[dict[str, str]] = []
    if TABLE.exists():
        with TABLE.open(newline="", encoding="utf-8") as file:
            kept = list(csv.DictReader(file))
    rows = {(row["fault"], row["what"]): row for row in [*kept, *new]}
    ordered = [rows[key] for key in sorted(rows, key=lambda key: (int(key[0]), key[1]))]
    lines = [",".join(COLUMNS), *(",".join(quoted(row[column]) for column in COLUMNS) for row in ordered)]
    publish(TABLE, "".join(f"{line}\n" for line in lines).encode(), replace=True)
    page = ["# Faults\n", "Written by `make faults`; what each means stands in tests/faults.\n"]
    page += ["What strangers ran into, its tests, what version 0.1 answered: [strangers.csv](strangers.csv).\n"]
    page += ["| # | fault | goal | tries | survived | seconds | note |", "| --- | --- | --- | --- | --- | --- | --- |"]
    page += [f"| {' | '.join(row[column] for column in COLUMNS)} |" for row in ordered]
    publish(TABLE.with_suffix(".md"), "".join(f"{line}\n" for line in page).encode(), replace=True)


def quoted(text: str) -> str:
    """A cell of a CSV file."""
    return f'"{text}"' if "," in text else text


@pytest.fixture(scope="session")
def forks() -> multiprocessing.context.ForkServerContext:
    """Processes that have torch loaded when they begin, each in a state of its own."""
    return forked.context()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes; the test is skipped where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict]:
    """seed -> what an undisturbed run records, outside provenance and cost."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RESULTS", str(tmp_path_factory.mktemp("quiet")))
        return {seed: pure(bodies.train(seed).run.result()) for seed in (0, 1)}
