"""Records that come from elsewhere: taken over after checking, or computed again to see that they come out the same."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path

from . import places, store
from .errors import StoreError, WorkbenchError
from .record import Record, records


def adopt(folder: Path) -> tuple[int, int]:
    """Copy every run below `folder` (or its `runs`) into this store, unless the one here is as far.

    Each is verified first: spec, events, result, hash of its checkpoints. -> (runs taken over, runs kept)
    """
    root = folder / "runs" if (folder / "runs").is_dir() else folder
    found = list(store.find(root))
    if not found:
        raise StoreError(f"{folder}: no runs there; a folder that holds runs (or a `runs` folder) is needed")
    taken = kept = 0
    for run in found:
        theirs = Record(run)
        theirs.run.spec(), theirs.run.events(), theirs.run.result(), theirs.run.load_checkpoint()
        target = places.runs() / run.path.name
        if target.exists() and Record(store.Run(target)).step >= theirs.step:
            kept += 1
            continue
        store.Run(target).set_aside()
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        shutil.copytree(run.path, temporary, ignore=shutil.ignore_patterns("lease", "*.bad", ".*"))
        temporary.rename(target)
        taken += 1
    return taken, kept


def rerun_one() -> list[str]:
    """Compute one finished smoke record again, chosen at random, in a folder of its own, and compare it bit by bit.

    -> a line if it came out different; none if it is the same, or if no smoke record of this machine's class exists.
    """
    from .study import run

    smoke = [r for r in records() if r.status == "done" and r.smoke]
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
        return [f"{chosen.run.path}: computed again it gives weights {second['weights_sha256'][:16]}, not the recorded ones"]
    return []
