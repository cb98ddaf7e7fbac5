"""Records that go elsewhere and come from there: a campaign's bundle, in at most 5 files of at most 15 MB; `adopt`.

    campaign.json        every file of every run with its SHA-256, and the parts with theirs
    campaign.tar.1 ...   one tar, cut into parts

`pack` leaves out what does not fit, the least worth first, and says so; `unpack` verifies before anything is used. A
bundle may be packed anew over itself: killed at any moment, there is the old one or the new one.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ..config import canonical_json, parse_json
from ..errors import StoreError
from ..files import make_folder, publish, unusable, using
from ..files import runs as own_runs
from .folder import Run, find, open_run, travels
from .lock import set_aside
from .record import Record

NAME = "campaign.json"
PART, PARTS = 15_000_000, 4  # bytes, files beside campaign.json: what a borrowed device lets out at once
FILES = 50_000
OVERHEAD = 2_048  # bytes of a tar member around its content, at most


def pack(runs: Sequence[Run], folder: Path, say: Callable[[str], None] = print, *, parts: int = PARTS) -> list[Path]:
    """Write the runs, the most worth first, as a bundle of at most so many `parts`; returns its files.

    Records come before checkpoints; of a run that is not at its end the newest checkpoint, else none is needed.
    """
    chosen = _choose(runs, parts, say)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in chosen.items():
            member = tarfile.TarInfo(f"runs/{path.parent.name}/{path.name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    whole = buffer.getvalue()
    pieces = [whole[at : at + PART] for at in range(0, len(whole), PART)]
    make_folder(folder)
    there = {path: int(path.suffix[1:]) for path in folder.glob("campaign.tar.*") if path.suffix[1:].isdigit()}
    first = 1 if not there or min(there.values()) > len(pieces) else max(there.values()) + 1
    paths = [folder / f"campaign.tar.{n}" for n in range(first, first + len(pieces))]
    for path, piece in zip(paths, pieces, strict=True):
        publish(path, piece, replace=True)
    listed = {
        "parts": {path.name: hashlib.sha256(piece).hexdigest() for path, piece in zip(paths, pieces, strict=True)},
        "runs": sorted({path.parent.name for path in chosen}),
    }
    publish(folder / NAME, canonical_json(listed).encode() + b"\n", replace=True)
    for path in there:
        path.unlink(missing_ok=True)
    return [folder / NAME, *paths]


def unpack(bundle: Path, folder: Path) -> Path:
    """Verify a bundle and lay its runs into an empty folder; returns that folder. StoreError for anything amiss."""
    root = bundle if bundle.is_dir() else bundle.parent
    try:
        listed = parse_json((root / NAME).read_text(encoding="utf-8"), NAME)
        parts = dict(listed["parts"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{root / NAME}: not a bundle: {type(error).__name__}: {error}") from None
    if len(parts) > PARTS or not all(re.fullmatch(r"campaign\.tar\.[0-9]{1,9}", name) for name in parts):
        raise StoreError(f"{root / NAME}: not a bundle: at most {PARTS} parts campaign.tar.N belong to one")
    whole = b"".join(_part(root / name, parts[name]) for name in sorted(parts, key=lambda n: int(n.rpartition(".")[2])))
    try:
        with tarfile.open(fileobj=io.BytesIO(whole), mode="r:") as tar:  # compressed, it could be a bomb
            members = tar.getmembers()
            if len(members) > FILES:
                raise StoreError(f"{root}: the bundle holds {len(members):,} files, more than {FILES:,}")
            if sum(member.size for member in members) > PART * PARTS:
                raise StoreError(f"{root}: the bundle holds more than {PART * PARTS:,} bytes")
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise StoreError(f"{root}: not a bundle: {error}") from None
    except OSError as error:
        raise unusable(folder, error, len(whole)) from None
    return folder


def _choose(runs: Sequence[Run], parts: int, say: Callable[[str], None]) -> dict[Path, bytes]:
    """The files that fit, with their content: every run's record, then checkpoints."""
    room = PART * parts
    chosen: dict[Path, bytes] = {}
    records: list[list[Path]] = []
    newest: list[list[Path]] = []
    for run in (run for run in runs if (run.path / "spec.json").exists()):
        try:
            newest.append(run.checkpoints()[:1] if run.result() is None else [])
        except StoreError as error:
            say(f"{error}; left out of the bundle")
            continue
        records.append([p for p in sorted(run.path.iterdir()) if travels(p.name) and p.suffix != ".pt"])
    for group in filter(None, [*records, *newest]):
        try:
            contents = {path: path.read_bytes() for path in group}
        except FileNotFoundError:
            say(f"{group[0]}: left out of the bundle, a newer one took its place")
            continue
        size = sum(len(content) + OVERHEAD for content in contents.values())
        if size > room:
            say(f"{group[0].parent.name}/{group[0].name}: left out of the bundle, {size:,} bytes do not fit")
            continue
        room -= size
        chosen |= contents
    return chosen


def _part(path: Path, sha256: str) -> bytes:
    with using(path):
        if path.stat().st_size > PART:
            raise StoreError(f"{path}: larger than the {PART:,} bytes a part may have")
        piece = path.read_bytes()
    if hashlib.sha256(piece).hexdigest() != sha256:
        raise StoreError(f"{path}: altered: its bytes do not give the hash in {NAME}")
    return piece


# --- taken over ---


def adopt(folder: Path) -> tuple[int, int]:
    """Copy every run below `folder` (its `runs`, a pack, a campaign's bundle) into this store, unless ours is as far.

    Of any numerics; of two records of a run one of the present numerics is worth more than a longer one of another.

    Each is verified before it is copied: plain files only, spec, events, result, every checkpoint. One that is damaged,
    or trained here now, is left out, and StoreError names it at the end. -> (runs taken over, runs kept)
    """
    if folder.name == NAME or os.path.isfile(folder / NAME):
        with using(folder), tempfile.TemporaryDirectory() as unpacked:
            return adopt(unpack(folder, Path(unpacked)))
    root = folder / "runs" if os.path.isdir(folder / "runs") else folder
    found = [Record(run) for run in find(root, packs=True)]
    if not found:
        raise StoreError(f"{folder}: no runs there; a folder that holds runs (or a `runs` folder) is needed")
    taken, left_out = 0, []
    for theirs in found:
        try:
            with using(theirs.run.path):
                taken += _take(theirs, Run(own_runs() / theirs.id))
        except StoreError as error:
            left_out.append(str(error))
    if left_out:
        said = f"{len(left_out)} of {len(found)} runs left out, {taken} taken over"
        raise StoreError(f"{said}: {'; '.join(left_out[:3])}")
    return taken, len(found) - taken


def _take(theirs: Record, target: Run) -> bool:
    """Verify a run and copy it, unless ours is worth as much; which is set aside, or dropped where theirs goes on."""
    for path in theirs.run.path.iterdir():
        if path.is_symlink() or not path.is_file():
            raise StoreError(f"{path}: not a plain file; the folder of a run holds nothing else")
    theirs.verify()
    ours = Record(target) if target.path.exists() else None
    if ours is not None and ours.status == "damaged":
        ours = None
    if ours is not None and ours.worth >= theirs.worth:
        return False
    store = make_folder(target.path.parent)
    with using(target.path), tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=store) as temporary:
        made = make_folder(Path(temporary) / target.path.name)
        copied = [path for path in theirs.run.path.iterdir() if travels(path.name)]
        known = target.content()
        continued = ours is not None and ours.numerics == theirs.numerics
        continued = continued and theirs.run.content().startswith(known)
        if continued and theirs.run.result() is None and not theirs.run.checkpoints():
            copied += target.checkpoints()  # from which one goes on
        for path in copied:
            publish(made / path.name, path.read_bytes(), replace=True)
        aside = set_aside(target)
        made.rename(target.path)
        if continued and Run(aside).content() == known:  # nobody has trained it on since
            shutil.rmtree(aside)
    return True


def take(run_id: str, files: dict[str, bytes]) -> bool:
    """A run that was trained on another machine, from the files of its folder; whether it was further than ours."""
    with using(own_runs()), tempfile.TemporaryDirectory() as folder:
        run = open_run(Path(folder), run_id)
        make_folder(run.path)
        for name, content in files.items():
            if travels(name) and Path(name).name == name:
                (run.path / name).write_bytes(content)
        return adopt(Path(folder))[0] == 1
