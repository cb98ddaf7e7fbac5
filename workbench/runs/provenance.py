"""Provenance of a result: where, with what and at what cost it was computed."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import torch

from .. import __version__
from . import instructions

NUMERICS = 2  # raised by hand whenever a change alters a trained bit on the CPU; records without one have 1

PACKAGES = ("torch", "numpy", "pandas", "pydantic")


def provenance(threads: int, device: str, backend: str, attempts: int) -> dict[str, Any]:
    """Versions, code, device class, threads, engine, instruction sets. No names of users, hosts or folders."""
    cpu = f"CPU, {torch.backends.cpu.get_cpu_capability()}"
    return {
        "workbench": __version__,
        "numerics": NUMERICS,
        "code": code(),
        "commit": commit(),
        "python": platform.python_version(),
        **{name: torch.__version__ if name == "torch" else version(name) for name in PACKAGES},
        **(
            {"triton": import_module("triton").__version__} if device.startswith("cuda") and find_spec("triton") else {}
        ),
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else cpu,
        "threads": threads,
        "backend": backend,
        "instructions": {"capability": torch.backends.cpu.get_cpu_capability(), **instructions.in_force()},
        "attempts": attempts,
    }


@cache
def code() -> str:
    """Twelve hex digits over the package's own sources: which code computed this, commit or not."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for source in sorted(package.rglob("*.py")):
        digest.update(source.relative_to(package).as_posix().encode() + source.read_bytes())
    return digest.hexdigest()[:12]


@cache
def commit() -> str | None:
    """The checkout's commit, whole; None outside of one, or without git. It says nothing of changes not committed."""
    package = Path(__file__).parents[1]
    ask = ["git", "-C", str(package), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True)
        top, head = done.stdout.splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return head if (Path(top) / package.name).resolve() == package.resolve() else None  # an environment in another's


class Meter:
    """Wall and CPU seconds, peak memory and, where the device tells, energy of a run, over all its attempts.

    What a killed process did after its last checkpoint is not in it.
    """

    def __init__(self, before: dict[str, float] | None = None, device: str = "cpu"):
        self.before = before or {"wall_s": 0.0, "cpu_s": 0.0, "peak_mb": 0.0}
        self.device = device
        self.wall, self.cpu, self.energy = time.monotonic(), time.process_time(), energy(device)

    @contextmanager
    def others(self) -> Iterator[None]:
        """Inside, the processor works for other runs of this process; a GPU may still be at this one."""
        wall, cpu = time.monotonic(), time.process_time()
        yield
        self.cpu += time.process_time() - cpu
        self.wall += time.monotonic() - wall if self.device == "cpu" else 0.0

    def read(self) -> dict[str, float]:
        cost = {
            "wall_s": round(self.before["wall_s"] + time.monotonic() - self.wall, 3),
            "cpu_s": round(self.before["cpu_s"] + time.process_time() - self.cpu, 3),
            "peak_mb": max(self.before["peak_mb"], _peak_mb()),
        }
        if self.device.startswith("cuda"):
            cost["gpu_peak_mb"] = max(
                self.before.get("gpu_peak_mb", 0.0), torch.accelerator.max_memory_allocated() / 1e6
            )
        now = energy(self.device)
        if now is not None and self.energy is not None:
            cost["energy_j"] = round(self.before.get("energy_j", 0.0) + now - self.energy, 1)
        return cost


def energy(device: str) -> float | None:
    """Joules a GPU has used since its driver was loaded, by all of its work; None where it does not tell."""
    if not device.startswith("cuda"):
        return None
    try:
        import pynvml  # of nvidia-ml-py, where it happens to be installed

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties().uuid}")
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except Exception:  # no package, no driver, an old device: each has an error of its own
        return None


def _peak_mb() -> float:
    """The most memory this process ever held, in MB; where Linux does not tell, as the system counts it."""
    try:  # its own: what getrusage tells a child on Linux begins at what its parent held
        status = Path("/proc/self/status").read_text()
        return round(int(status.partition("VmHWM:")[2].split()[0]) * 1.024e-3, 1)
    except (OSError, IndexError, ValueError):
        if sys.platform == "win32":
            return round(psutil.Process().memory_info().peak_wset / 1e6, 1)
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, kilobytes elsewhere
        return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)
