"""Notebooks executed by papermill, its pitfalls wrapped: whole outputs only, errors that count as errors."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import ParameterError, RunError
from ...files import make_folder, unusable
from ..planned_run import PlannedRun
from ..provenance import code

WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path, values: Mapping[str, Any], output: Path) -> None:
    """Run a notebook in a kernel of its own and publish the result under `output`; RunError where a cell fails.

    Runs into a temporary name first: whatever lies at `output` is whole. To be called in a process of its own, since
    papermill changes the current folder of the whole process.
    """
    # A format checker that nbformat loads costs 2-3 s of every start, and notebooks do not need it.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from .kernel import OwnKernel

    if output.resolve() == path.resolve():
        raise ParameterError(f"{output}: the output would overwrite its own source")
    if not path.is_file():
        raise ParameterError(f"{path}: no such notebook")
    make_folder(output.parent)
    temporary = output.with_name(f".{output.stem}.{os.getpid()}.{secrets.token_hex(3)}.tmp.ipynb")
    try:
        papermill.execute_notebook(
            str(path),
            str(temporary),
            parameters=dict(values),
            kernel_name="python3",
            language="python",
            kernel_manager_class=OwnKernel,
            progress_bar=False,
            store_widget_state=False,
            extra_arguments=["--IPKernelApp.log_level=40"],  # its warning about TCP concerns other hosts, not 127.0.0.1
            cwd=str(output.parent),
        )
        _tidy(temporary)
        temporary.replace(output)
    except PapermillExecutionError as error:
        failed = output.with_suffix(".failed.ipynb")
        temporary.replace(failed)
        raise RunError(f"{path.stem}: {error.ename}: {error.evalue} (in {failed})") from None
    except NoSuchKernel as error:
        raise RunError(
            f"kernel: {error.name!r} is not installed in {sys.prefix}; `pip install ipykernel` adds it"
        ) from None
    except DeadKernelError:
        raise RunError(
            f"{path.stem}: its kernel was killed; what it recorded stays, the same command goes on"
        ) from None
    except OSError as error:
        raise unusable(Path(error.filename or output), error) from None
    finally:
        temporary.unlink(missing_ok=True)


def _tidy(path: Path) -> None:
    """Take times and folders of this machine out of an executed notebook, so that equal runs give equal files; and
    widgets that have no other form, which are dead without their kernel."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["metadata"].pop("papermill", None)
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        cell["metadata"].pop("papermill", None)
        cell["metadata"].pop("execution", None)
        if "outputs" in cell:
            bare = [{WIDGET}, {WIDGET, "text/plain"}]
            cell["outputs"] = [output for output in cell["outputs"] if set(output.get("data", ())) not in bare]
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def fingerprint(path: Path, values: Mapping[str, Any], planned_runs: Sequence[PlannedRun]) -> str:
    """A hash of all that an executed notebook depends on: source, parameters, the package's code, its runs' records."""
    digest = hashlib.sha256(path.read_bytes())
    digest.update(json.dumps(dict(values), sort_keys=True).encode())
    digest.update(code().encode())
    own = values.get("records") != "published"
    for record in filter(None, (planned_run.found(own=own) for planned_run in planned_runs)):
        digest.update(f"{record.id} {record.step} {len(record.budgets)}".encode())
    return digest.hexdigest()
