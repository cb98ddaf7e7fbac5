"""Files that are whole or not there, and one error for a disk that refuses."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from pathlib import Path

from . import places
from .errors import ParameterError, StoreError, quoted


def publish(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Write a file so that a reader, a crash or a power cut finds all of it or nothing.

    Without `replace` the first writer wins and a second meets FileExistsError. StoreError where the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError as error:
        raise unusable(path, error, len(content)) from None
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def make_folder(path: Path) -> Path:
    """A folder, made where it is not there yet; StoreError where the disk refuses."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(path, error) from None
    return path


def check_place(name: str, path: Path, *, folder: bool = True) -> None:
    """ParameterError where an argument names no folder (or, without `folder`, no file) that can be made there."""
    try:
        there = _nearest(path.absolute())
    except (OSError, ValueError) as error:
        raise ParameterError(f"{name}: {quoted(str(path))} cannot be used: {error}") from None
    if folder and not there.is_dir():
        raise ParameterError(f"{name}: {quoted(str(path))}: {there} is no folder; a folder to be made is needed")
    if not folder and (there.is_dir() if there == path.absolute() else not there.is_dir()):
        kind = "a folder" if there.is_dir() else "no folder"
        raise ParameterError(f"{name}: {quoted(str(path))}: {there} is {kind}; a file to be written is needed")


def _nearest(path: Path) -> Path:
    """The path itself or the first folder above it that is there, a broken link too."""
    for place in (path, *path.parents):
        try:
            os.lstat(place)
            return place
        except (FileNotFoundError, NotADirectoryError):
            continue
    return path


def unusable(path: Path, error: OSError, size: int = 0) -> StoreError:
    """What to raise where the disk refuses."""
    if error.errno == errno.ENOSPC:
        needs = f"needs {size} bytes, " if size else ""
        return StoreError(f"{path}: no space: {needs}has {shutil.disk_usage(path.parent).free}")
    hint = "; make it writable, or WORKBENCH_RESULTS=FOLDER names another place" if _refused(path, error) else ""
    return StoreError(f"{path}: {error.strerror or error}{hint}")


def _refused(path: Path, error: OSError) -> bool:
    """Whether the results' folder may not be written."""
    try:
        within = path.absolute().is_relative_to(places.results())
    except StoreError:
        within = False
    return within and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows has no descriptor of a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise unusable(folder, error) from None
        finally:
            os.close(descriptor)
