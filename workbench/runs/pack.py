"""Pack of published records: a plain zip, `NAME.zip`, with the files of many runs, read where it lies.

    RUN/spec.json, RUN/chance.json, RUN/events.jsonl, RUN/result.json     as in a run's folder (folder.py), deflated

`NAME.checkpoints.zip` beside it holds RUN/ck-<step>-<sha>.pt of runs that can be carried on. The same records give the
same bytes. `Packed` is a path into a pack, so that who reads a run's folder reads a packed run as well. The records'
own checks and the zip's tell damage; names and sizes are looked at before anything is unpacked.
"""

from __future__ import annotations

import errno
import fnmatch
import io
import os
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import StoreError
from ..files import make_folder, publish, unusable

if sys.platform == "win32":
    from pathlib import WindowsPath as _Path
else:
    from pathlib import PosixPath as _Path

LARGEST = 16_000_000  # bytes of a pack
UNPACKED, RATIO = 64_000_000, 50  # bytes of all its files, and how many times the pack's own; records come to 2 times
FILES = 20_000
CHECKPOINTS = ".checkpoints.zip"
_MEMBER = re.compile(
    r"([0-9a-f]{16})/(spec\.json|chance\.json|events\.jsonl|result\.json|ck-\d{1,19}-[0-9a-f]{16}\.pt)"
)
_MOMENT = (1980, 1, 1, 0, 0, 0)  # a zip's earliest
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, RuntimeError)

Files = Mapping[str, bytes]  # of a run: name -> content
_Contents = dict[str, dict[str, tuple[zipfile.ZipFile, zipfile.ZipInfo]]]  # run -> name -> where it is


class Packed(_Path):
    """A run in a pack (`NAME.zip/RUN`) or a file of it, as a path that can be read; nothing can be written there."""

    def exists(self) -> bool:
        return self.is_dir() or self.is_file()

    def is_dir(self) -> bool:
        return self._is_run() and self.name in _contents(self.parent)

    def is_file(self) -> bool:
        return not self._is_run() and self._member() is not None

    def is_symlink(self) -> bool:
        return False

    def iterdir(self) -> Generator[Packed, None, None]:
        for name in self._names():
            yield self / name

    def glob(self, pattern: str) -> Generator[Packed, None, None]:
        for name in fnmatch.filter(self._names(), pattern):
            yield self / name

    def read_bytes(self) -> bytes:
        member = self._member()
        if member is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        archive, info = member
        try:
            return archive.read(info)
        except _DAMAGE as error:
            raise StoreError(f"{self}: altered: the pack cannot give it: {error}") from None

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Times of the pack; the size of a file in it is the length of what it gives."""
        return os.stat(self.parent if self._is_run() else self.parent.parent, follow_symlinks=follow_symlinks)

    def signature(self) -> str:
        """Text that changes with a run in a pack, and with no other run in it."""
        found = _contents(self.parent)[self.name]
        return " ".join(f"{name}.{info.CRC:08x}.{info.file_size}" for name, (_, info) in sorted(found.items()))

    def _is_run(self) -> bool:
        return self.parent.name.endswith(".zip")

    def _names(self) -> list[str]:
        packs = (self.parent, self.parent.with_suffix(CHECKPOINTS))
        return sorted(name for pack in packs for name in _contents(pack).get(self.name, ()))

    def _member(self) -> tuple[zipfile.ZipFile, zipfile.ZipInfo] | None:
        run = self.parent
        pack = run.parent.with_suffix(CHECKPOINTS) if self.suffix == ".pt" else run.parent
        return _contents(pack).get(run.name, {}).get(self.name)


def find(root: Path) -> Iterator[Packed]:
    """Every run in the packs of a folder, or in the one pack that `root` is."""
    for pack in _packs(root):
        for run in _contents(pack):
            yield pack / run


def lookup(root: Path, run: str) -> Packed | None:
    """The run of an id in the packs of a folder; None if it is in none."""
    return next((pack / run for pack in _packs(root) if run in _contents(pack)), None)


def _packs(root: Path) -> list[Packed]:
    """The packs of a folder; links are not followed."""
    if root.name.endswith(".zip") and os.path.isfile(root):
        return [Packed(root)]
    try:
        with os.scandir(root) as entries:
            names = sorted(e.name for e in entries if e.name.endswith(".zip") and e.is_file(follow_symlinks=False))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise StoreError(f"{root}: cannot be read: {error}") from None
    return [Packed(root / name) for name in names if not name.endswith(CHECKPOINTS)]


def put(pack: Path, runs: Mapping[str, Files]) -> None:
    """Replace these runs in a pack, made where it is not there yet; a run without files is taken out of it."""
    pack = Path(pack)  # of a Packed path the file itself
    kept: dict[str, Files] = {run.name: {path.name: path.read_bytes() for path in run.iterdir()} for run in find(pack)}
    wanted = {run: files for run, files in (kept | dict(runs)).items() if files}
    make_folder(pack.parent)
    for path, of_checkpoints in ((pack, False), (pack.with_suffix(CHECKPOINTS), True)):
        before, after = (_members(held, of_checkpoints) for held in (kept, wanted))
        if not after:
            path.unlink(missing_ok=True)
        elif before != after:  # another zlib may pack the same otherwise
            content = _zipped(after)
            _opened(content, path)
            publish(path, content, replace=True)


def _members(runs: Mapping[str, Files], of_checkpoints: bool) -> dict[str, bytes]:
    return {
        f"{run}/{name}": content
        for run, files in sorted(runs.items())
        for name, content in sorted(files.items())
        if name.endswith(".pt") == of_checkpoints
    }


def _zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _MOMENT)
            info.create_system, info.external_attr = 3, 0o644 << 16  # as Unix writes it, wherever it is written
            archive.writestr(info, content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def _contents(pack: Path) -> _Contents:
    """Contents of a pack, read once for every state of its file; {} where there is none."""
    try:
        stat = os.stat(pack)
        if stat.st_size > LARGEST:
            raise StoreError(f"{pack}: {stat.st_size:,} bytes are more than the {LARGEST:,} that a pack may have")
        return _read(str(pack), (stat.st_mtime_ns, stat.st_size, stat.st_ino))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise unusable(pack, error) from None


@lru_cache(maxsize=256)
def _read(pack: str, _state: tuple[int, int, int]) -> _Contents:
    contents: _Contents = {}
    path = Path(pack)
    archive = _opened(path.read_bytes(), path)
    for info in archive.infolist():
        run, _, name = info.filename.partition("/")
        contents.setdefault(run, {})[name] = archive, info
    return contents


def _opened(content: bytes, path: Path) -> zipfile.ZipFile:
    """A pack from its bytes, StoreError where it is none or holds what no pack does; nothing is unpacked yet."""
    if len(content) > LARGEST or content.count(b"PK\1\2") > FILES:  # each file's line in the list at its end
        raise StoreError(f"{path}: a pack holds at most {FILES:,} files and {LARGEST:,} bytes")
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except _DAMAGE as error:
        raise StoreError(f"{path}: not a pack of records: {error}") from None
    infos: list[Any] = archive.infolist()
    for info in infos:
        member = _MEMBER.fullmatch(info.filename)
        if member is None or (member[2].endswith(".pt") != path.name.endswith(CHECKPOINTS)):
            raise StoreError(f"{path}: {info.filename[:80]!r}: no file of a record; `RUN/spec.json` and the like are")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
            raise StoreError(f"{path}: {info.filename}: packed otherwise than by deflate, or encrypted")
    if len({info.filename for info in infos}) < len(infos):
        raise StoreError(f"{path}: a file stands in it twice")
    if (claimed := sum(info.file_size for info in infos)) > min(UNPACKED, RATIO * len(content)):
        raise StoreError(f"{path}: {claimed:,} bytes unpacked are more than {UNPACKED:,}, or {RATIO} times its own")
    return archive
