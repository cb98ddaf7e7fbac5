"""Copy this store's records and executed notebooks into results/published, to be committed.

    python scripts/publish.py                the records of the paper's experiments, and every executed notebook
    python scripts/publish.py STUDY ...      those of some notebooks alone, the variants of their sweeps among them

Every record is verified first. A finished run goes without its checkpoint, an unfinished one with its newest if that is
under 4 MB, so that anyone can continue it. Smoke records stay at home, but for one of each kind of net, which
`workbench tables --verify` computes again.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from workbench import files
from workbench.errors import RunError
from workbench.runs.folder import Run, find
from workbench.runs.jobs import notebook_parameters
from workbench.runs.record import Record

LARGEST = 4_000_000  # bytes of a checkpoint that is committed


def publish(record: Record, folder: Path) -> None:
    """Replace the published copy of a record by this one."""
    target = folder / record.id
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in ("spec.json", "chance.json", "events.jsonl", "result.json"):
        if (record.run.path / name).exists():
            shutil.copyfile(record.run.path / name, target / name)
    if record.run.result() is None:
        for path in record.run.checkpoints()[:1]:
            if path.stat().st_size <= LARGEST:
                shutil.copyfile(path, target / path.name)


def of_study(name: str, folder: Path) -> None:
    """Publish what a notebook shows, all of it at its end, in place of what was published of it before."""
    planned_runs = notebook_parameters.planned(notebook_parameters.check(notebook_parameters.find(name), {}))
    for planned_run in planned_runs:
        record = Record(planned_run.run)
        record.verify()
        if record.run.result() is None:
            raise RunError(f"{planned_run.label}: not at its end; `workbench reproduce {name}` trains it")
        publish(record, folder)
    book = files.results() / "notebooks" / f"{name}_quick.ipynb"
    shutil.copyfile(book, files.published() / "notebooks" / book.name)
    size = sum(
        path.stat().st_size for planned_run in planned_runs for path in (folder / planned_run.run.path.name).iterdir()
    )
    print(f"{name}: {len(planned_runs)} runs, {size:,} bytes")


def of_paper(folder: Path) -> int:
    """Publish what this store has of the paper's experiments, and its notebooks; how often it is behind."""
    complaints = 0
    for run in find(files.runs()):
        record = Record(run)
        record.verify()
        if record.smoke and not record.experiment.startswith("seqdigits"):
            continue
        if record.experiment.endswith("*") or record.experiment == "custom" or not record.budgets:
            continue
        published = Record(Run(folder / record.id))
        if (published.run.path / "spec.json").exists() and published.step > record.step:
            print(f"{record.experiment} seed {record.seed}: the published one is further", file=sys.stderr)
            complaints += 1
            continue
        publish(record, folder)
        print(f"{record.experiment} seed {record.seed}: step {record.step:,}")
    books = files.published() / "notebooks"
    books.mkdir(parents=True, exist_ok=True)
    for path in sorted((files.results() / "notebooks").glob("*_quick.ipynb")):
        shutil.copyfile(path, books / path.name)
        print(path.name)
    return complaints


def main() -> None:
    folder = files.published() / "runs"
    for name in sys.argv[1:]:
        of_study(name, folder)
    if not sys.argv[1:] and of_paper(folder):
        sys.exit(1)


if __name__ == "__main__":
    main()
