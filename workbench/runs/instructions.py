"""The instruction sets that a process computes with: fixed before torch starts, so that bits do not depend on the CPU.

ATen, MKL and oneDNN each choose by the processor they find, and each choice rounds differently: 40 steps of
seqdigits_plain6 gave losses 1.161, 1.152 and 1.198 under three of them. AVX2 with FMA is what nearly every x86 has.
Measured with AVX-512 at hand (one thread, batch 64): a step of seqmnist_plain6 costs 1 % more, of seqmnist_lstm 50 %,
all of it MKL's; so timings (`bench`) are taken without. A choice of the user's own wins; what is in force is recorded.
Loads no torch: it has to come first.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import MutableMapping
from pathlib import Path

FIXED = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def fix(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set what is not set, for this process while it has no torch, or in the environment of one to be started.

    Nothing where the processor lacks AVX2 or does not tell: ATen would believe us and crash.
    """
    late = environment is os.environ and "torch" in sys.modules
    if has_avx2() and not late:
        for name, value in FIXED.items():
            environment.setdefault(name, value)


def in_force() -> dict[str, str | None]:
    """The value of each in this process; None where the library chooses, as in a notebook's kernel."""
    return {name: os.environ.get(name) for name in FIXED}


def has_avx2() -> bool:
    """Say whether this is an x86 that says it has AVX2 and FMA (Linux)."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        told = Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0].split()
    except OSError:
        return False
    return {"avx2", "fma"} <= set(told)
