"""What works on this machine, in rows of (what, state, detail); states: ok, missing (optional), broken (needed)."""

from __future__ import annotations

import importlib
import platform
import shutil
import sys
from pathlib import Path

from . import __version__, places
from .errors import DataError, WorkbenchError

Row = dict[str, str]
PACKAGES = (
    "torch",
    "numpy",
    "pandas",
    "pydantic",
    "typer",
    "jupyterlab",
    "ipywidgets",
    "plotly",
    "anywidget",
    "papermill",
)
ROOM_NEEDED = 1.0  # GB, for a default study's runs and figures


def examine() -> list[Row]:
    """Everything, in the order in which a person would mend it."""
    rows = [_row("workbench", "ok", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")]
    rows += [_package(name) for name in PACKAGES]
    return [*rows, *_devices(), *_engines(), *_data(), _store(), _records(), _browser()]


def _row(what: str, state: str, detail: str) -> Row:
    return {"what": what, "state": state, "detail": detail}


def _package(name: str) -> Row:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return _row(name, "ok", version(name))
    except PackageNotFoundError:
        core = name in ("torch", "numpy", "pandas", "pydantic", "typer")
        return _row(name, "broken" if core else "missing", "not installed; `make setup` installs it")


def _devices() -> list[Row]:
    torch = importlib.import_module("torch")
    rows = [_row("CPU", "ok", f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads")]
    if torch.cuda.is_available():
        rows.append(_row("CUDA", "ok", torch.cuda.get_device_name()))
    else:
        build = "this torch is a CPU build" if torch.version.cuda is None else "no device found"
        rows.append(_row("CUDA", "missing", f"{build}; everything runs without it"))
    return rows


def _engines() -> list[Row]:
    from . import recurrence

    reasons = {name: recurrence.unavailable(name) for name in recurrence.ENGINES}
    return [_row(f"engine {name}", "ok" if r is None else "missing", r or "works") for name, r in reasons.items()]


def _data() -> list[Row]:
    from .errors import MissingData
    from .tasks import download

    rows = []
    for name in download.SETS:
        try:
            rows.append(_row(f"data {name}", "ok", str(download.locate(name, fetch=False))))
        except MissingData:
            rows.append(_row(f"data {name}", "missing", f"`workbench data {name}` fetches it"))
        except DataError as error:
            rows.append(_row(f"data {name}", "broken", str(error)))
    return rows


def _store() -> Row:
    from .disk import make_folder, publish

    try:
        folder = make_folder(places.results())
        publish(folder / ".doctor", b"written by workbench doctor\n", replace=True)
        (folder / ".doctor").unlink()
        free = shutil.disk_usage(folder).free / 1e9
    except (OSError, WorkbenchError) as error:
        return _row("results", "broken", f"cannot be written: {error}")
    state = "ok" if free > ROOM_NEEDED else "broken"
    return _row("results", state, f"{folder}, {free:.1f} GB free ({ROOM_NEEDED:g} GB needed)")


def _records() -> Row:
    from .record import records

    try:
        found = records()
    except WorkbenchError as error:
        return _row("records", "broken", str(error))
    damaged = [r.id for r in found if r.status == "damaged"]
    if damaged:
        return _row("records", "broken", f"{len(damaged)} of {len(found)} damaged: {', '.join(damaged[:3])}")
    return _row("records", "ok", f"{len(found)}")


def _browser() -> Row:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return _row("browser", "ok", f"{Path(path).name} (for browser tests and pictures)")
    hint = "apt-get install chromium" if sys.platform == "linux" else "any Chromium"
    return _row("browser", "missing", f"no Chromium; only browser tests and pictures need it ({hint})")
