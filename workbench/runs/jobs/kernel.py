"""This Python as the kernel `python3`, whatever kernels of that name lie where Jupyter looks.

Jupyter takes the first `python3` on its path: one of another environment, or a user's leftover, would run a notebook in
a Python that lacks all of this.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager

from ... import files


class OwnKernels(KernelSpecManager):
    """The kernels that Jupyter finds, but for `python3`, which is this Python."""

    def find_kernel_specs(self) -> dict[str, str]:
        """Kernels' names -> their folders."""
        return {**super().find_kernel_specs(), NATIVE_KERNEL_NAME: _resources()}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Spec that starts a kernel; NoSuchKernel where there is none of that name."""
        if kernel_name.lower() == NATIVE_KERNEL_NAME:
            return self._get_kernel_spec_by_name(NATIVE_KERNEL_NAME, _resources())
        return super().get_kernel_spec(kernel_name)


class OwnKernel(AsyncKernelManager):
    """A manager of one kernel of `OwnKernels`, as nbclient makes it."""

    def __init__(self, **options: Any):
        super().__init__(kernel_spec_manager=OwnKernels(), **options)


def lab(port: int, browser: bool) -> tuple[str, list[str], dict[str, str]]:
    """The program, arguments and environment that serve the notebooks in JupyterLab, on this machine only."""
    told = {"root_dir": files.notebooks(), "kernel_spec_manager_class": f"{__name__}.{OwnKernels.__name__}"}
    command = [sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--ServerApp.{name}={value}" for name, value in told.items()]
    command += ["--LabApp.default_url=/lab/tree/00_tour.ipynb"]
    command += ["--LabApp.news_url=None"]  # JupyterLab's question about news would cover the first screen
    command += ["--allow-root"] * (hasattr(os, "geteuid") and os.geteuid() == 0) + ["--no-browser"] * (not browser)
    configs = os.pathsep.join(filter(None, [str(files.lab_config()), os.environ.get("JUPYTER_CONFIG_PATH")]))
    return sys.executable, command, {**os.environ, "JUPYTER_CONFIG_PATH": configs}


def foreign() -> str | None:
    """The folder of another Python's `python3` that Jupyter would start; None where it would start this one."""
    spec = KernelSpecManager().get_kernel_spec(NATIVE_KERNEL_NAME)
    command = spec.argv[0] if spec.argv else ""
    if re.fullmatch(r"python[0-9.]*", command) or Path(command).parent == Path(sys.executable).parent:
        return None  # a bare `python` means the one that asks
    return str(spec.resource_dir)


def _resources() -> str:
    try:
        from ipykernel.kernelspec import RESOURCES
    except ImportError:
        raise NoSuchKernel(NATIVE_KERNEL_NAME) from None
    return str(RESOURCES)
