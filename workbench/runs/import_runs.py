"""Records that come from elsewhere: taken over after checking, or computed again to see that they come out the same."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path

import torch

from .. import recurrence
from ..errors import StoreError, WorkbenchError
from ..files import make_folder, runs, unusable
from . import bundle
from .folder import Run, find, open_run, pure, travels
from .lock import Lock
from .provenance import NUMERICS, provenance
from .record import Record, records


def adopt(folder: Path) -> tuple[int, int]:
    """Copy every run below `folder` (its `runs`, a pack, a campaign's bundle) into this store, unless ours is as far.

    Of any numerics; of two records of a run one of the present numerics is worth more than a longer one of another.

    All are verified before the first is copied: plain files only, spec, events, result, every checkpoint.
    -> (runs taken over, runs kept)
    """
    if folder.name == bundle.NAME or os.path.isfile(folder / bundle.NAME):
        with tempfile.TemporaryDirectory() as unpacked:
            return adopt(bundle.unpack(folder, Path(unpacked)))
    root = folder / "runs" if os.path.isdir(folder / "runs") else folder
    found = [Record(run) for run in find(root, packs=True)]
    if not found:
        raise StoreError(f"{folder}: no runs there; a folder that holds runs (or a `runs` folder) is needed")
    for theirs in found:
        for path in theirs.run.path.iterdir():
            if path.is_symlink() or not path.is_file():
                raise StoreError(f"{path}: not a plain file; the folder of a run holds nothing else")
        theirs.verify()
    taken = sum(_take(theirs, Run(runs() / theirs.id)) for theirs in found)
    return taken, len(found) - taken


def _take(theirs: Record, target: Run) -> bool:
    """Copy one verified run, unless ours is worth as much; which is set aside, or dropped where theirs continues it."""
    ours = Record(target) if target.path.exists() else None
    if ours is not None and ours.status != "damaged" and _worth(ours) >= _worth(theirs):
        return False
    temporary = target.path.with_name(f".{target.path.name}.{os.getpid()}.tmp")
    try:
        make_folder(temporary)
        for path in theirs.run.path.iterdir():
            if travels(path.name):
                (temporary / path.name).write_bytes(path.read_bytes())
        if ours is not None:
            with Lock(target):
                pass  # nobody trains it now
            aside = target.set_aside()
        temporary.rename(target.path)
        if ours is not None and ours.status != "damaged" and _continues(ours, theirs):
            shutil.rmtree(aside)
    except OSError as error:
        raise unusable(target.path, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def _continues(ours: Record, theirs: Record) -> bool:
    return ours.numerics == theirs.numerics and theirs.events[: len(ours.events)] == ours.events


def _worth(record: Record) -> tuple[bool, bool, int]:
    return record.numerics == NUMERICS, *record.reach


def take(run_id: str, files: dict[str, bytes]) -> bool:
    """A run that was trained on another machine, from the files of its folder; whether it was further than ours."""
    with tempfile.TemporaryDirectory() as folder:
        run = open_run(Path(folder), run_id)
        make_folder(run.path)
        for name, content in files.items():
            if travels(name) and Path(name).name == name:
                (run.path / name).write_bytes(content)
        return adopt(Path(folder))[0] == 1


def verify() -> list[str]:
    """Re-read every record and check every hash; a line for each that is damaged, none if all is well."""
    complaints = []
    for record in records():
        try:
            record.verify()
        except StoreError as error:
            complaints.append(str(error))
    return complaints


def rerun_one() -> list[str]:
    """Compute one finished smoke record again, chosen at random, in a folder of its own, and compare it bit by bit.

    -> a line if it came out different; none if it is the same, or if no smoke record was made with this class of
    processor, this torch and these engines by one process: only then are equal bits promised.
    """
    from .run import check_device, run

    here = provenance(1, check_device("auto"), recurrence.chosen("auto", torch.device(check_device("auto"))), 1)
    alike = ("device", "torch", "backend", "system")
    smoke = [
        r
        for r in records()
        if r.status == "done"
        and r.smoke
        and all(r.budgets[-1]["provenance"][k] == here[k] for k in alike)
        and r.budgets[-1]["provenance"].get("ranks", 1) == 1
    ]
    if not smoke:
        return []
    chosen = random.choice(smoke)  # noqa: S311 (which one is checked is no secret)
    before = os.environ.get("WORKBENCH_RESULTS")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WORKBENCH_RESULTS"] = folder
        try:
            again = run(chosen.experiment, "smoke", chosen.seed, threads=chosen.spec["threads"], progress=False)
            first, second = chosen.budgets[-1], again.budgets[-1]
        except WorkbenchError as error:
            return [f"{chosen.run.path}: cannot be computed again: {error}"]
        finally:
            if before is None:
                os.environ.pop("WORKBENCH_RESULTS")
            else:
                os.environ["WORKBENCH_RESULTS"] = before
    if pure(first) != pure(second):
        return [
            f"{chosen.run.path}: computed again it gives weights {second['weights_sha256'][:16]}, not the recorded ones"
        ]
    return []
