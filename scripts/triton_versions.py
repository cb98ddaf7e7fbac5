"""Try the GPU's kernels under other versions of Triton, without a GPU: results/triton.csv.

    python scripts/triton_versions.py 3.4.0 3.9.0

Each version but one that is installed is fetched into a folder of its own, used in front of this environment, and
deleted. A row for each version and architecture: how many of the kernels compile, what they spill and how many
instructions a step takes in each (offline.py of the tests), and what the tests in the interpreter said; where it is too
old for this numpy, with an older one. Other versions keep their rows.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from workbench.files import publish_rows

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "results" / "triton.csv"
ARCHITECTURES = (80, 90, 100)
INTERPRETED = ("tests/recurrence/interpreted.py", "tests/recurrence/interpreted_layer.py")
KERNELS = ("states", "gradients", "weigh", "normalize")
COLUMNS = ("triton", "architecture", "compile", "spilled", *KERNELS, "interpreter", "numpy", "torch")
OLD_NUMPY, OLD_SAYS = "numpy<2.4", "only 0-dimensional arrays can be converted"
COMPILE = """
import json, pathlib, sys, tempfile
from offline import compiled
found = {}
for kernel in sys.argv[2:]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            code = compiled(kernel, int(sys.argv[1]), pathlib.Path(folder))
            found[kernel] = [code.spilled, code.a_step]
        except Exception as error:
            print(f"{kernel}: {type(error).__name__}: {error}", file=sys.stderr)
print(json.dumps(found))
"""


def tried(version: str) -> list[dict[str, object]]:
    """The rows of a version; none where it cannot be had here."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        install = [*pip, "--no-deps", "--no-cache-dir", "--target", folder]
        if version != _installed() and subprocess.run([*install, f"triton=={version}"]).returncode != 0:
            return []
        paths = os.pathsep.join([folder, str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {
            "PYTHONPATH": paths,
            "CUDA_VISIBLE_DEVICES": "",
            "TRITON_CACHE_DIR": f"{folder}/cache",
        }
        test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *INTERPRETED]
        interpreted = environment | {"TRITON_INTERPRET": "1"}
        if OLD_SAYS in _output([*test, "-x"], interpreted):
            subprocess.run([*install, OLD_NUMPY], check=True)
        said = _output(test, interpreted).strip()
        numpy = _output([sys.executable, "-c", "import numpy; print(numpy.__version__)"], environment).strip()
        rows = []
        for architecture in ARCHITECTURES:
            text = _output([sys.executable, "-c", COMPILE, str(architecture), *KERNELS], environment)
            found = json.loads(text.splitlines()[-1]) if text else {}
            rows.append(
                {
                    "triton": version,
                    "architecture": f"sm_{architecture}",
                    "compile": f"{len(found)} of {len(KERNELS)}",
                    "spilled": sum(spilled for spilled, _ in found.values()),
                    **{kernel: round(a_step, 1) for kernel, (_, a_step) in found.items()},
                    "interpreter": said.splitlines()[-1].partition(" in ")[0] if said else "failed",
                    "numpy": numpy,
                    "torch": torch.__version__,
                }
            )
        return rows


def _installed() -> str | None:
    try:
        return importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        return None


def _output(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("versions", nargs="+")
    versions = parser.parse_args().versions
    rows: list[dict[str, object]] = []
    if OUT.exists():
        with OUT.open(newline="") as file:
            rows = list(csv.DictReader(file))
    for version in versions:
        if not (found := tried(version)):
            print(f"triton: {version} cannot be had here; its rows stay as they are", file=sys.stderr)
            continue
        rows = [row for row in rows if row["triton"] != version] + found
        rows.sort(key=lambda row: [int(part) for part in re.findall(r"\d+", str(row["triton"]))])
        publish_rows(OUT, COLUMNS, rows)  # after each: a version takes minutes


if __name__ == "__main__":
    main()
