"""NTU RGB+D as one array: every .skeleton file read once, the two actors of each kept, mapped into memory on use.

The array lies in the user's cache under a name made of what it was made from (names, sizes and dates of the files, or
their CRCs in a .zip), so that other files make another one. Making it can be stopped at any time and goes on where it
stopped; while one process makes it, others wait.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...config import canonical_json
from ...errors import DataError, MissingData, reading, understood
from ...files import make_folder, publish, unusable
from ...progress import counted
from .. import download
from . import ntu_file
from .clips import Clips
from .ntu_names import Name, Source, parse

VERSION = 1  # raised when a file gives another array
SHAPE = (2, ntu_file.JOINTS, 3)
_FRAME = 4 * int(np.prod(SHAPE))  # bytes


@dataclass(frozen=True)
class Recording:
    """A .skeleton file, loose or in a .zip: `stamp` changes when it does."""

    origin: str
    stamp: str
    content: Callable[[], bytes]


def recordings(folder: Path) -> dict[Name, Recording]:
    """Every .skeleton file in a folder, in the folders in it and in its .zip files; loose ones come first."""
    found: dict[Name, Recording] = {}
    for path in sorted([*folder.glob("*.skeleton"), *folder.glob("*/*.skeleton")]):
        name = parse(path.name, str(path.parent))
        with reading(path):
            about = path.stat()
        found.setdefault(name, Recording(str(path), f"{about.st_size} {about.st_mtime_ns}", path.read_bytes))
    for path in sorted(folder.glob("*.zip")):
        with understood(f"{path}: cannot be read"):
            packed = zipfile.ZipFile(path)
            members = packed.infolist()
        for member in members:
            if member.filename.endswith(".skeleton"):
                name = parse(Path(member.filename).name, str(path))
                stamp = f"{member.file_size} {member.CRC:08x}"
                found.setdefault(name, Recording(f"{path}/{member.filename}", stamp, _member(packed, member)))
    return found


def _member(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def content() -> bytes:
        with packed.open(member) as stream:
            return stream.read(ntu_file.LARGEST + 1)

    return content


def clips(source: Source, folder: Path, wanted: Sequence[Name], there: Mapping[Name, Recording]) -> Clips:
    """The wanted clips, through the cache, from the recordings that are there in a folder.

    MissingData names the first recording that is not there, DataError one that cannot be read.
    """
    missing = [name for name in wanted if name not in there]
    if missing or not wanted:
        first = f", {missing[0]}.skeleton first" if missing else ""
        raise MissingData(
            f"{folder}: {len(missing):,} of {len(wanted):,} recordings are missing{first}; {download.SETS['ntu'].ask}"
        )
    chosen = {name: there[name] for name in wanted}
    key = [VERSION, [[str(name), recording.stamp] for name, recording in chosen.items()]]
    digest = hashlib.sha256(canonical_json(key).encode()).hexdigest()[:16]
    cache = make_folder(download.cache() / "skeletons" / f"{source}-{digest}")
    with _alone(cache):
        if not (cache / "index.json").exists():
            _make(cache, chosen, source)
    return _open(cache)


def _make(cache: Path, chosen: dict[Name, Recording], source: str) -> None:
    """Read every recording into the array; what an earlier attempt has read is kept."""
    try:
        with _opened(cache / "frames.part") as frames, _opened(cache / "index.part") as index:
            done = _resume(frames, index, [str(name) for name in chosen])
            rest = list(chosen.items())[len(done) :]
            for i, (name, recording) in enumerate(counted(rest, f"{source}: reading", "clip", first=len(done))):
                clip = _clip(name, recording)
                done.append([str(name), len(clip), zlib.crc32(clip.tobytes())])
                frames.write(clip.tobytes())
                index.write(canonical_json(done[-1]).encode() + b"\n")
                if i % 256 == 255:
                    frames.flush()
                    index.flush()
            frames.flush()
            os.fsync(frames.fileno())
        (cache / "frames.part").replace(cache / "frames.f32")
        publish(cache / "index.json", canonical_json(done).encode())
        (cache / "index.part").unlink()
    except OSError as error:
        raise unusable(cache, error) from None


def _clip(name: Name, recording: Recording) -> np.ndarray:
    with understood(f"{recording.origin}: cannot be read"):
        content = recording.content()
    clip = ntu_file.actors(ntu_file.parse(content, recording.origin))
    if len(clip) == 0:
        raise DataError(f"{recording.origin}: no body in any frame; {name} is not on the list of unusable clips")
    return clip


def _resume(frames: IO[bytes], index: IO[bytes], names: Sequence[str]) -> list[list[Any]]:
    """The rows of an unfinished index whose frames are all there and as written; both files are cut behind them."""
    done: list[list[Any]] = []
    kept = 0
    for line, expected in zip(index.read().split(b"\n")[:-1], names, strict=False):
        try:
            name, length, check = json.loads(line)
            if name != expected or zlib.crc32(frames.read(length * _FRAME)) != check:
                break
        except (ValueError, TypeError):
            break
        done.append([name, length, check])
        kept += len(line) + 1
    for part, size in ((frames, sum(row[1] for row in done) * _FRAME), (index, kept)):
        part.seek(size)
        part.truncate()
    return done


def _open(cache: Path) -> Clips:
    """A finished array, mapped; its size is checked now, each clip when it is read."""
    try:
        rows = json.loads((cache / "index.json").read_bytes())
        names = [parse(name) for name, _, _ in rows]
        length, checks = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
        frames = np.memmap(cache / "frames.f32", np.float32, "r").reshape(-1, *SHAPE)
        if len(frames) != length.sum():
            raise DataError(f"{len(frames)} frames found, {length.sum()} expected")
    except (OSError, ValueError, TypeError, DataError) as error:
        raise DataError(f"{cache}: altered ({error}); delete that folder, and it is made anew") from None
    label = np.array([name.action - 1 for name in names])
    return Clips(str(cache), [str(name) for name in names], frames, np.cumsum(length) - length, length, label, checks)


def _opened(path: Path) -> IO[bytes]:
    path.touch()
    return path.open("r+b")


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One process at a time; a dead one holds nothing. Without flock (Windows) two are not kept apart."""
    try:
        from fcntl import LOCK_EX, flock
    except ImportError:
        yield
        return
    with (cache / "lock").open("wb") as lock:
        flock(lock, LOCK_EX)
        yield
