"""Records that come from elsewhere: taken over after checking, or computed again to see that they come out the same."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path

import torch

from . import places, recurrence, store
from .disk import make_folder, unusable
from .errors import StoreError, WorkbenchError
from .lease import Lease
from .provenance import provenance
from .record import Record, records


def adopt(folder: Path) -> tuple[int, int]:
    """Copy every run below `folder` (or its `runs`) into this store, unless the one here is as far.

    All are verified before the first is copied: plain files only, spec, events, result, every checkpoint.
    -> (runs taken over, runs kept)
    """
    root = folder / "runs" if os.path.isdir(folder / "runs") else folder
    found = [Record(run) for run in store.find(root)]
    if not found:
        raise StoreError(f"{folder}: no runs there; a folder that holds runs (or a `runs` folder) is needed")
    for theirs in found:
        for path in theirs.run.path.iterdir():
            if path.is_symlink() or not path.is_file():
                raise StoreError(f"{path}: not a plain file; the folder of a run holds nothing else")
        theirs.verify()
    taken = sum(_take(theirs, store.Run(places.runs() / theirs.id)) for theirs in found)
    return taken, len(found) - taken


def _take(theirs: Record, target: store.Run) -> bool:
    """Copy one verified run, unless the one here is as far; a damaged one is set aside for it."""
    if target.path.exists():
        ours = Record(target)
        if ours.status != "damaged" and ours.step >= theirs.step:
            return False
        with Lease(target):
            pass  # nobody trains it now
        target.set_aside()
    temporary = target.path.with_name(f".{target.path.name}.{os.getpid()}.tmp")
    try:
        make_folder(target.path.parent)
        shutil.copytree(theirs.run.path, temporary, ignore=shutil.ignore_patterns("lease", "*.bad", ".*"))
        temporary.rename(target.path)
    except OSError as error:
        raise unusable(target.path, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


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
    processor, this torch and these engines: only then are equal bits promised.
    """
    from .study import check_device, run

    here = provenance(1, check_device("auto"), recurrence.chosen("auto", torch.device(check_device("auto"))), 1)
    alike = ("device", "torch", "backend", "system")
    smoke = [
        r
        for r in records()
        if r.status == "done" and r.smoke and all(r.budgets[-1]["provenance"][k] == here[k] for k in alike)
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
    if store.pure(first) != store.pure(second):
        return [
            f"{chosen.run.path}: computed again it gives weights {second['weights_sha256'][:16]}, not the recorded ones"
        ]
    return []
