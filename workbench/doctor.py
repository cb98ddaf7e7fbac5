"""Examination of this machine, row by row: what is found, and where that is a fault, what it means and what to do.

States: ok; note (works, but worth a look); missing (optional); broken (needed). One fault hides no other: each part is
examined on its own, and without torch what needs none is examined all the same.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from . import __version__, files
from .errors import DataError, MissingData, ParameterError, StoreError, WorkbenchError

Row = dict[str, str]
CORE = ("torch", "numpy", "pandas", "pydantic", "typer")
STUDY = ("jupyterlab", "jupyter_server", "ipywidgets", "plotly", "anywidget", "papermill")
OLDEST = {"torch": (2, 9), "jupyter_server": (2, 20)}
ROOM_NEEDED = 1.0  # GB, for a default study's runs and figures
NVIDIA = Path("/proc/driver/nvidia/version")


def examine() -> list[Row]:
    """Everything, in the order in which a person would mend it: what, state, detail, means, do."""
    rows = [_row("workbench", "ok", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")]
    rows += [_package(name) for name in (*CORE, *STUDY)]
    trouble = _unusable_torch()
    if trouble is None:
        parts = [_devices, _engines, _data, _store, _records, _locks, _kernel, _browser]
    else:
        rows.append(trouble)
        parts = [_store, _kernel, _browser]
    return [*rows, *(row for part in parts for row in part())]


def line(row: Row) -> str:
    """A row in one line: what is found; what it means; what to do."""
    return "; ".join(filter(None, (row["detail"], row["means"], row["do"])))


def complaint(rows: list[Row]) -> WorkbenchError | None:
    """The error with which to end: of the store, of the data or of this machine; None where nothing is broken."""
    broken = [row["what"] for row in rows if row["state"] == "broken"]
    if not broken:
        return None
    kinds = {"results": StoreError, "records": StoreError} | {n: DataError for n in broken if n.startswith("data ")}
    kind = next((kinds[name] for name in sorted(kinds, reverse=True) if name in broken), WorkbenchError)
    return kind(f"doctor: broken: {', '.join(broken)}; see above what to do")


def _row(what: str, state: str, detail: str, means: str = "", do: str = "") -> Row:
    return {"what": what, "state": state, "detail": detail, "means": means, "do": do}


def _package(name: str) -> Row:
    from importlib.metadata import PackageNotFoundError, version

    needed = name in CORE
    means = "nothing runs without it" if needed else "notebooks and explorers need it; `run` and `list` do not"
    try:
        found = version(name)
    except PackageNotFoundError:
        return _row(name, "broken" if needed else "missing", "not installed", means, "`make setup` installs it")
    except FileNotFoundError:  # what the package importlib_metadata makes of it
        found = ""
    if not found:  # of a package that was removed, or installed, by half
        return _row(name, "broken", "its version cannot be read", means, "`make clean setup` installs it anew")
    oldest = OLDEST.get(name)
    if oldest and tuple(map(int, re.findall(r"\d+", found)[:2])) < oldest:
        wanted = ".".join(map(str, oldest))
        return _row(name, "broken", f"{found} is too old", f"{wanted} or newer is needed", "`make setup` installs it")
    return _row(name, "ok", found)


def _unusable_torch() -> Row | None:
    """The row of a torch that cannot be loaded."""
    try:
        importlib.import_module("torch")
    except Exception as error:  # a library that is missing or of another build: OSError, ImportError, RuntimeError
        said = f"cannot be loaded: {type(error).__name__}: {error}"
        return _row("torch build", "broken", said, "it is of another system or Python", "`make setup` installs one")
    return None


def _devices() -> Iterator[Row]:
    torch = importlib.import_module("torch")
    yield _row("CPU", "ok", f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads")
    driver = NVIDIA.exists() or shutil.which("nvidia-smi") is not None
    if torch.cuda.is_available():
        yield _row("CUDA", "ok", torch.cuda.get_device_name())
    elif torch.version.cuda is None and driver:
        said = f"there is an NVIDIA driver, and torch {torch.__version__} is a CPU build"
        do = "`make clean setup TORCH=cuda` installs the other build"
        yield _row("CUDA", "note", said, "the GPU is not used", do)
    elif torch.version.cuda is None:
        yield _row("CUDA", "missing", "this torch is a CPU build", "everything runs without it")
    else:
        said = f"torch {torch.__version__} finds no device"
        do = "update the driver (nvidia-smi tells what it supports)" if driver else ""
        yield _row("CUDA", "note" if driver else "missing", said, "everything runs on the CPU", do)


def _engines() -> Iterator[Row]:
    from . import recurrence

    torch = importlib.import_module("torch")
    with contextlib.suppress(ParameterError):  # a compiler that is there may compile nothing: only trying tells
        recurrence.recur(torch.zeros(1, 1, 1), torch.zeros(1), backend="cpu")
    for name in recurrence.ENGINES:
        reason = recurrence.unavailable(name)
        if reason is None:
            yield _row(f"engine {name}", "ok", "works")
        else:
            yield _row(f"engine {name}", "missing", reason, "`auto` takes another engine: slower, equal in results")


def _data() -> Iterator[Row]:
    from .tasks import download

    for name in download.SETS:
        what = f"data {name}"
        try:
            yield _row(what, "ok", str(download.locate(name, fetch=False)))
        except MissingData as error:
            means = "experiments on it cannot run; the tour takes embedded data"
            do = f"`workbench data {name}` fetches it, or says where to ask"
            yield _row(what, "missing", f"not on this machine: {error}", means, do)
        except DataError as error:
            means = "experiments on it are refused: their numbers would be those of other data"
            yield _row(what, "broken", str(error), means)  # which says what to do, for each kind another thing


def _store() -> Iterator[Row]:
    row, elsewhere = partial(_row, "results"), "WORKBENCH_RESULTS=FOLDER names another"
    try:
        folder = files.make_folder(files.results())
        files.publish(folder / ".doctor", b"written by workbench doctor\n", replace=True)
        (folder / ".doctor").unlink()
        free = shutil.disk_usage(folder).free / 1e9
    except (OSError, WorkbenchError) as error:
        do = f"make room or make it writable, or {elsewhere}"
        yield row("broken", f"cannot be written: {error}", "no run can be recorded; those recorded stay", do)
        return
    if free > ROOM_NEEDED:
        yield row("ok", f"{folder}, {free:.1f} GB free")
    else:
        room = f"{folder}: {1000 * free:.0f} MB free, {ROOM_NEEDED:g} GB needed"
        yield row("broken", room, "runs will stop at a checkpoint, resumable", f"make room, or {elsewhere}")


def _records() -> Iterator[Row]:
    from .runs.record import records

    row = partial(_row, "records")
    try:
        found = records()
    except WorkbenchError as error:
        yield row("broken", str(error), "nothing recorded can be shown", "see results")
        return
    damaged = {record.id: _reason(record.verify) for record in found if record.status == "damaged"}
    if not damaged:
        yield row("ok", f"{len(found)}")
        return
    run = next(iter(damaged))
    others = f" ({len(damaged)} of {len(found)} are damaged: {', '.join(damaged)})" if len(damaged) > 1 else ""
    means = "it is left out of tables and figures, the others are shown"
    do = f"move the folder {run} away, then run or import it again; `workbench tables --verify` checks every hash"
    yield row("broken", f"{damaged[run]}{others}", means, do)


def _reason(verify: Callable[[], object]) -> str:
    try:
        verify()
    except WorkbenchError as error:
        return str(error)
    return "it cannot be read"


def _locks() -> Iterator[Row]:
    from .runs.folder import find
    from .runs.lock import holder_of

    row = partial(_row, "leases")
    try:
        locks = [path for run in find(files.runs()) if (path := run.path / "lease").exists()]
    except WorkbenchError:
        return  # `results` says why
    stale = [path.parent.name for path in locks if holder_of(path) is None]
    if not stale:
        yield row("ok", f"{len(locks)} runs are trained now")
        return
    said = f"stale: the process that trained {', '.join(stale[:3])}{', ...' * (len(stale) > 3)} is gone"
    means = "it was killed; at most the steps since its last checkpoint are lost"
    yield row("note", said, means, "the same command continues it; nothing needs to be removed")


def _kernel() -> Iterator[Row]:
    row, needs = partial(_row, "kernel"), "notebooks need it; `run` and `list` do not"
    try:
        from jupyter_client.kernelspec import NoSuchKernel

        from .runs.jobs.kernel import foreign
    except ImportError as error:
        yield row("missing", f"{error.name} is not installed", needs, "`make setup` installs it")
        return
    try:
        place = foreign()
    except NoSuchKernel:
        yield row("missing", "ipykernel is not installed", needs, "`make setup` installs it")
        return
    except (OSError, ValueError) as error:
        place = f"one that cannot be read ({error})"
    if place is None:
        yield row("ok", "`python3` is this Python")
        return
    means = "`reproduce`, `lab` start this Python all the same; another JupyterLab or papermill would start that one"
    do = f"`{sys.executable} -m ipykernel install --sys-prefix` with JUPYTER_PATH unset, or remove that folder"
    yield row("note", f"`python3` is another Python's: {place}", means, do)


def _browser() -> Iterator[Row]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    use = "browser tests and pictures"
    if path is None and importlib.util.find_spec("choreographer") is not None:  # what draws pictures finds more of them
        path = importlib.import_module("choreographer.browsers.chromium").Chromium.find_browser(skip_local=False)
        use = "pictures; browser tests look for it on PATH"
    if path is not None:
        yield _row("browser", "ok", f"{Path(path).name} (for {use})")
        return
    do = "apt-get install chromium" if sys.platform == "linux" else "install any Chromium"
    yield _row("browser", "missing", "no Chromium found", "only browser tests and pictures need it", do)
