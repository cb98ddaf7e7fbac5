"""Places of files, whatever the current folder is, and writing them: whole or not there.

One error for a disk that refuses.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import errno
import importlib
import io
import os
import pkgutil
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import ParameterError, StoreError, quoted

_PACKAGE = Path(__file__).resolve().parent


def project() -> Path:
    """The folder that holds notebooks/ and results/: the checkout, or what an installed wheel carries of it."""
    carried = _PACKAGE / "_project"
    return carried if carried.is_dir() else _PACKAGE.parent


def results() -> Path:
    """Folder for runs, tables, figures and executed notebooks: $WORKBENCH_RESULTS, else the checkout's results/,
    else (installed from a wheel) the user's data folder."""
    chosen = os.environ.get("WORKBENCH_RESULTS")
    if chosen is not None:
        return _folder(chosen)
    if (_PACKAGE / "_project").is_dir():
        return _user_data() / "results"
    return _PACKAGE.parent / "results"


def runs() -> Path:
    """One folder a run, named by its id."""
    return results() / "runs"


def published() -> Path:
    """Folder of what the project publishes: records and executed notebooks, committed, never written by a run."""
    return project() / "results" / "published"


def paper() -> Path:
    """The published numbers: tables/*.csv and the learning curves of the official logs, curves/*.csv."""
    return project() / "results" / "paper"


def lab_config() -> Path:
    """Folder of Jupyter's configuration path with the settings of JupyterLab that `workbench lab` changes."""
    return _PACKAGE / "notebook" / "lab"


def notebooks() -> Path:
    """The notebooks' sources."""
    return project() / "notebooks"


def cache() -> Path:
    """The user's folder for what can be had again."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")
        return Path(local) / "indrnn-workbench" / "indrnn-workbench" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "indrnn-workbench"
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(chosen) if os.path.isabs(chosen) else Path.home() / ".cache") / "indrnn-workbench"


def modules(folder: str) -> Iterator[tuple[str, ModuleType]]:
    """Every file and folder in a folder of the package, imported, by name: so one that is added there is found."""
    package = importlib.import_module(f"{__package__}.{folder}")
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda each: each.name):
        yield found.name, importlib.import_module(f"{package.__name__}.{found.name}")


def names_of(path: str) -> dict[str, tuple[str, str]]:
    """Public name -> (module, name there): the imports for type checkers of a file, its one table of such names."""
    block = next(node for node in ast.parse(Path(path).read_text("utf-8")).body if isinstance(node, ast.If))
    lines = [line for line in block.body if isinstance(line, ast.ImportFrom)]
    return {name.asname or name.name: (line.module or "", name.name) for line in lines for name in line.names}


def make_absolute() -> None:
    """Make the settings that name folders absolute, once, before anything changes the current folder."""
    for name in ("WORKBENCH_RESULTS", "WORKBENCH_DATA"):
        if os.environ.get(name, "").strip():
            os.environ[name] = str(Path(os.path.expanduser(os.environ[name])).absolute())


def _folder(chosen: str) -> Path:
    """Folder that WORKBENCH_RESULTS names, there already or one that can be made."""
    path = Path(os.path.expanduser(chosen)).absolute()
    try:
        usable = bool(chosen.strip()) and stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        usable = not path.is_symlink()
    except (OSError, ValueError) as error:
        raise StoreError(f"WORKBENCH_RESULTS: {quoted(chosen)} cannot be used: {error}") from None
    if not usable:
        raise StoreError(f"WORKBENCH_RESULTS: {quoted(chosen)} is not a folder; name one, or unset it")
    return path


def _user_data() -> Path:
    chosen = os.environ.get({"win32": "LOCALAPPDATA", "darwin": ""}.get(sys.platform, "XDG_DATA_HOME"), "")
    if os.path.isabs(chosen):
        return Path(chosen) / "indrnn-workbench"
    try:
        home = Path.home()
    except RuntimeError as error:  # nobody knows a home of this user
        raise StoreError(f"results: {error} HOME or WORKBENCH_RESULTS names a folder") from None
    places = {"win32": "AppData/Local", "darwin": "Library/Application Support"}
    return home / places.get(sys.platform, ".local/share") / "indrnn-workbench"


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
        with contextlib.suppress(OSError):  # of a disk that went away; what happened is said already
            temporary.unlink()
    _sync_folder(path.parent)


def publish_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file of rows, whole or not at all, in the place of the one that is there."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    publish(path, text.getvalue().encode(), replace=True)


def make_folder(path: Path) -> Path:
    """A folder, made where it is not there yet; StoreError where the disk refuses."""
    with using(path):
        path.mkdir(parents=True, exist_ok=True)
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


@contextlib.contextmanager
def using(path: Path) -> Iterator[None]:
    """Inside, an OSError is the error to raise where the disk refuses a place."""
    try:
        yield
    except OSError as error:
        raise unusable(path, error) from None


def unusable(path: Path, error: OSError, size: int = 0) -> StoreError:
    """Return the error to raise where the disk refuses."""
    if error.errno == errno.ENOSPC:
        needs = f"needs {size} bytes, " if size else ""
        return StoreError(f"{path}: no space: {needs}has {shutil.disk_usage(path.parent).free}")
    hint = "; make it writable, or WORKBENCH_RESULTS=FOLDER names another place" if _refused(path, error) else ""
    return StoreError(f"{path}: {error.strerror or error}{hint}")


def _refused(path: Path, error: OSError) -> bool:
    """Say whether the results' folder may not be written."""
    try:
        within = path.absolute().is_relative_to(results())
    except StoreError:
        within = False
    return within and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows has no descriptor of a folder
        with using(folder):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
