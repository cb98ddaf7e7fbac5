"""Publish this store's records and executed notebooks in results/published, to be committed.

    python scripts/publish.py                the records of the paper's experiments, and every executed notebook
    python scripts/publish.py STUDY ...      those of some notebooks alone, the variants of their sweeps among them
    python scripts/publish.py --books FILE ...   executed notebooks alone
    python scripts/publish.py --remove ID ...    take records out again

Records lie in one pack an experiment, its variants among them, results/published/runs/EXPERIMENT.zip
(workbench/runs/pack.py). Every record is verified first. A finished run goes without its checkpoint; the newest of an
unfinished one goes into EXPERIMENT.checkpoints.zip if it is under 4 MB, so that anyone can continue it. Smoke records
stay at home, but for one of each kind of net.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from workbench import files
from workbench.errors import RunError, ended, reading
from workbench.runs import pack
from workbench.runs.folder import find, lookup
from workbench.runs.jobs import notebook_parameters
from workbench.runs.provenance import NUMERICS
from workbench.runs.record import Record

LARGEST = 4_000_000  # bytes of a checkpoint that is committed


def publish(records: Iterable[Record], folder: Path) -> None:
    """Replace the published copies of these records by what they are now, each pack written once."""
    packs: dict[str, dict[str, pack.Files]] = {}
    for record in records:
        packs.setdefault(record.experiment.removesuffix("*"), {})[record.id] = published_files(record)
    for experiment, runs in packs.items():
        pack.put(folder / f"{experiment}.zip", runs)


def published_files(record: Record) -> pack.Files:
    """The files of a record that are published, by name."""
    names = ("spec.json", "chance.json", "events.jsonl", "result.json")
    paths = [path for name in names if (path := record.run.path / name).exists()]
    contents = {path.name: path.read_bytes() for path in paths}
    if record.run.result() is None and record.numerics == NUMERICS:  # of another, nobody can continue it
        newest = {path.name: path.read_bytes() for path in record.run.checkpoints()[:1]}
        contents |= {name: content for name, content in newest.items() if len(content) <= LARGEST}
    return contents


def remove(ids: Iterable[str], folder: Path) -> None:
    """Take records out of their packs."""
    runs = {name: lookup(folder, name) for name in ids}
    for name, run in runs.items():
        if run is None:
            raise RunError(f"{name}: not among the published records")
    for name, run in runs.items():
        pack.put(run.path.parent, {name: {}})


def of_study(name: str, folder: Path) -> None:
    """Publish what a notebook shows, all of it as far as its budget goes, in place of what was published of it."""
    source = notebook_parameters.find(name)
    planned_runs = notebook_parameters.planned(notebook_parameters.check(source, {}))
    book, records = files.results() / "notebooks" / f"{source.stem}_quick.ipynb", []
    if not book.is_file():
        raise RunError(f"{book}: not executed; `workbench reproduce {name}` executes it")
    for planned_run in planned_runs:
        records.append(record := Record(planned_run.run))
        record.verify()
        if not planned_run.answered_by(record):
            raise RunError(f"{planned_run.label}: not to its budget's end; `workbench reproduce {name}` trains it")
    publish(records, folder)
    put_book(book)
    size = sum(len(content) for record in records for content in published_files(record).values())
    print(f"{name}: {len(records)} runs, {size:,} bytes before they are packed")


def put_book(book: Path) -> None:
    """Publish an executed notebook, without the line breaks and indents that are a quarter of it."""
    with reading(book, ValueError):
        content = json.loads(book.read_text(encoding="utf-8"))
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n"
    files.publish(files.make_folder(files.published() / "notebooks") / book.name, text.encode(), replace=True)


def of_paper(folder: Path) -> int:
    """Publish what this store has of the paper's experiments, and its notebooks; how often it is behind."""
    complaints, chosen = 0, []
    for run in find(files.runs()):
        record = Record(run)
        record.verify()
        if record.smoke and not record.experiment.startswith("seqdigits"):
            continue
        if record.experiment.endswith("*") or record.experiment == "custom" or not record.budgets:
            continue
        there = lookup(folder, record.id)
        if there is not None and Record(there).rank > record.rank:
            print(f"{record.experiment} seed {record.seed}: the published one is further", file=sys.stderr)
            complaints += 1
            continue
        chosen.append(record)
        print(f"{record.experiment} seed {record.seed}: step {record.step:,}")
    publish(chosen, folder)
    for path in sorted((files.results() / "notebooks").glob("*_quick.ipynb")):
        put_book(path)
        print(path.name)
    return complaints


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY")
    parser.add_argument("--books", nargs="+", type=Path, metavar="FILE", default=[])
    parser.add_argument("--remove", nargs="+", metavar="ID", default=[])
    given, folder = parser.parse_args(), files.published() / "runs"
    remove(given.remove, folder)
    for book in given.books:
        put_book(book)
    for name in given.studies:
        of_study(name, folder)
    return 0 if given.remove or given.books or given.studies else int(of_paper(folder) > 0)


if __name__ == "__main__":
    sys.exit(ended(main))
