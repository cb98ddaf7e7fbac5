"""Records that come from elsewhere, taken over after checking."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ..errors import StoreError
from ..files import make_folder, runs, unusable
from . import bundle
from .folder import Run, find, open_run, travels
from .lock import Lock
from .provenance import NUMERICS
from .record import Record


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
