"""Where, with what and at what cost a result was computed."""

from __future__ import annotations

import platform
import resource
import time
from typing import Any

import torch

from . import __version__


def provenance(threads: int, device: str, backend: str, attempts: int) -> dict[str, Any]:
    """Versions, device class, threads, engine. No environment, no names of users, hosts or folders."""
    import numpy

    cpu = f"CPU, {torch.backends.cpu.get_cpu_capability()}"
    return {
        "workbench": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else cpu,
        "threads": threads,
        "backend": backend,
        "attempts": attempts,
    }


class Meter:
    """Wall and CPU seconds and peak memory of a run, over all its attempts."""

    def __init__(self, before: dict[str, float] | None = None):
        self.before = before or {"wall_s": 0.0, "cpu_s": 0.0, "peak_mb": 0.0}
        self.wall, self.cpu = time.monotonic(), time.process_time()

    def read(self) -> dict[str, float]:
        return {
            "wall_s": round(self.before["wall_s"] + time.monotonic() - self.wall, 3),
            "cpu_s": round(self.before["cpu_s"] + time.process_time() - self.cpu, 3),
            "peak_mb": max(self.before["peak_mb"], _peak_mb()),
        }


def _peak_mb() -> float:
    """The most memory this process ever held, in MB (kilobytes on Linux, bytes on macOS)."""
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)
