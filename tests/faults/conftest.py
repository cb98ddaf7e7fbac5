"""Counts and outcomes of the fault tests: how often each fault is tried, and the table of what survived.

`make faults` tries each as often as RELIABILITY asks (FAULTS=full) and writes results/faults.csv; otherwise a share.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from faults import bodies

from workbench.store import pure

FULL = os.environ.get("FAULTS") == "full"
TABLE = Path(__file__).parent.parent.parent / "results" / "faults.csv"


@dataclass
class Fault:
    """One kind of fault: its number and name, how often it is tried, how often all of it held."""

    number: int
    name: str
    tries: int
    tried: int = 0
    survived: int = 0
    note: str = ""

    def __iter__(self) -> Iterator[int]:
        """The tries, counted: a body that raises was tried and did not survive."""
        for index in range(self.tries):
            self.tried += 1
            yield index
            self.survived += 1


@dataclass
class Faults:
    seen: list[Fault] = field(default_factory=list)

    def __call__(self, number: int, name: str, full: int, few: int, note: str = "") -> Fault:
        self.seen.append(Fault(number, name, full if FULL else few, note=note))
        return self.seen[-1]


OUTCOMES = Faults()


@pytest.fixture
def fault() -> Faults:
    """fault(number, name, full, few): how often it is tried in all, and how often in a short run."""
    return OUTCOMES


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not FULL or not OUTCOMES.seen:
        return
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["fault", "what", "tries", "survived", "note"])
        for f in sorted(OUTCOMES.seen, key=lambda f: f.number):
            writer.writerow([f.number, f.name, f.tried, f.survived, f.note])
    lines = ["# Faults\n", "Written by `make faults`; what each means stands in tests/faults.\n"]
    lines += ["| # | fault | tries | survived | note |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {f.number} | {f.name} | {f.tried:,} | {f.survived:,} | {f.note} |"
        for f in sorted(OUTCOMES.seen, key=lambda f: f.number)
    ]
    TABLE.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def forks() -> multiprocessing.context.ForkServerContext:
    """Processes that have torch loaded when they begin, each in a state of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "pandas", "sklearn.datasets", "workbench.study", "workbench.adopt"])
    return context


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict]:
    """seed -> what an undisturbed run records, outside provenance and cost."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RESULTS", str(tmp_path_factory.mktemp("quiet")))
        return {seed: pure(bodies.train(seed).run.result()) for seed in (0, 1)}
