"""Where things are: the project's folders, or those of an installed copy, whatever the current folder is."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from .errors import StoreError, quoted

_PACKAGE = Path(__file__).resolve().parent


def project() -> Path:
    """The folder that holds notebooks/ and results/: the checkout, or what an installed wheel carries of it."""
    carried = _PACKAGE / "_project"
    return carried if carried.is_dir() else _PACKAGE.parent


def results() -> Path:
    """Where runs, tables, figures and executed notebooks go: $WORKBENCH_RESULTS, else the checkout's results/,
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
    """What the project itself publishes: records and executed notebooks, committed, never written by a run."""
    return project() / "results" / "published"


def paper() -> Path:
    """The published numbers: tables/*.csv and the learning curves of the official logs, curves/*.csv."""
    return project() / "results" / "paper"


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


def make_absolute() -> None:
    """Make the settings that name folders absolute, once, before anything changes the current folder."""
    for name in ("WORKBENCH_RESULTS", "WORKBENCH_DATA"):
        if os.environ.get(name, "").strip():
            os.environ[name] = str(Path(os.path.expanduser(os.environ[name])).absolute())


def _folder(chosen: str) -> Path:
    """What WORKBENCH_RESULTS names: a folder, or a name where one can be made."""
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
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Application Support"
    else:
        root = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return root / "indrnn-workbench"
