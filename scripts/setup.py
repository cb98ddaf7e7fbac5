"""Make the environment: a virtual environment with the tested versions. Needs Python 3.11 or newer and nothing else.

An interpreter that has torch 2.9 or newer already keeps it (the environment then sees that interpreter's packages);
otherwise `--torch cpu` or `--torch cuda` chooses the build, and without either pip decides. Every other package is
installed from requirements.lock: the file that arrives has one of the hashes that stand there, or nothing is installed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EVERY = 5.0  # seconds between lines where there is no terminal
LARGE = 50.0  # MB of a file that is named before it is fetched
OLDEST, NEWEST = (3, 11), (3, 14)
SIZES = {"cpu": (1.5, 2), "cuda": (7.0, 8), "kept": (0.8, 2), "": (1.5, 2)}  # GB on disk, minutes at 20 MB/s


def torch_here() -> str | None:
    """The version of the interpreter's torch if it is 2.9 or newer.

    From within a virtual environment it is the interpreter below that counts: the new one sees no other's packages.
    """
    code = "import torch; print(torch.__version__)"
    below = getattr(sys, "_base_executable", sys.executable)
    outside = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "__PYVENV_LAUNCHER__")}
    done = subprocess.run([below, "-c", code], capture_output=True, text=True, check=False, env=outside)
    version = done.stdout.strip()
    if done.returncode != 0 or not version:
        return None
    major, minor = (int(part) for part in version.split(".")[:2])
    return version if (2, 9) <= (major, minor) < (3, 0) else None


def say(what: str) -> None:
    print(f"setup: {what}", flush=True)


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], cwd=ROOT, check=False)
    if done.returncode != 0:
        sys.exit(f"setup: failed: {' '.join(str(part) for part in command)}")


def install(python: Path, *wanted: str, total: int = 0) -> None:
    """Let pip install something; says which package it is at, of `total`, which large file, and what pip complains of.

    Places of the user's pip settings that do not exist are not ours to complain of.
    """
    command = [str(python), "-m", "pip", "install", "--progress-bar", "off", *wanted]
    said: list[str] = []
    done, spoke = 0, time.monotonic()
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        for line in pip.stdout or ():
            said.append(line.rstrip())
            first, _, rest = line.strip().partition(" ")
            if first == "WARNING:" and not rest.startswith("Location "):
                say(line.strip())
            elif first == "Downloading" and (size := re.search(r"\(([0-9.]+) MB\)$", rest)) and float(size[1]) > LARGE:
                print("\r\x1b[K" * sys.stdout.isatty(), end="")
                say(f"{rest.partition('-')[0]}, {size[1]} MB")
            elif first in ("Collecting", "Ignoring", "Requirement") and total:
                done += 1
                name = rest.removeprefix("already satisfied: ").partition("=")[0].partition(":")[0]
                if sys.stdout.isatty():
                    print(f"\r\x1b[Ksetup: {min(done, total)} of {total}: {name}", end="", flush=True)
                elif time.monotonic() - spoke > EVERY:
                    spoke = time.monotonic()
                    say(f"{min(done, total)} of {total}: {name}")
            elif first == "Installing" and total:
                print("\r\x1b[K" * sys.stdout.isatty(), end="")
                say(f"all {total} are here, unpacking ...")
    if pip.returncode != 0:
        complaint = next((n for n, line in enumerate(said) if line.startswith("ERROR:")), -20)
        print("\n".join(said[complaint:]), file=sys.stderr)
        sys.exit(f"setup: failed: {' '.join(command)}")


def install_torch(python: Path, build: str) -> None:
    """The tested torch in the build asked for; uv knows where each build is published."""
    pin = next(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))
    if build:
        install(python, "uv")
        backend = "cpu" if build == "cpu" else "auto"
        run(python, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--torch-backend", backend, pin)
    else:
        install(python, pin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path(".venv"))
    parser.add_argument("--torch", default="", choices=["", "cpu", "cuda"])
    options = parser.parse_args()
    if not OLDEST <= sys.version_info[:2] < NEWEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"setup: Python {found} found; 3.11, 3.12 or 3.13 is needed (make setup PYTHON=python3.12)")
    kept = torch_here() if not options.torch else None
    room, minutes = SIZES["kept" if kept else options.torch]
    free = shutil.disk_usage(ROOT).free / 1e9
    say(f"about {room:g} GB and {minutes} minutes (a CUDA build of torch takes about 7 GB); {free:.0f} GB are free")
    if free < room + 1:
        sys.exit(f"setup: {free:.1f} GB are free in {ROOT}, {room + 1:g} GB are needed")
    target = ROOT / options.venv
    if not (target / "pyvenv.cfg").exists() and any(path.is_file() for path in target.rglob("*")):
        sys.exit(f"setup: {target} holds files and is no virtual environment; choose another folder")
    try:
        venv.create(target, with_pip=True, clear=True, system_site_packages=kept is not None)
    except subprocess.CalledProcessError:
        how = "on Debian and Ubuntu `apt install python3-venv` adds what is missing"
        sys.exit(f"setup: this Python cannot make a virtual environment with pip; {how}")
    except OSError as error:
        sys.exit(f"setup: {target} cannot be made: {error}")
    python = target / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if kept:
        say(f"torch {kept} of this Python is kept")
    else:
        say("torch ...")
        install_torch(python, options.torch)
    count = len(re.findall(r"^[A-Za-z0-9]", (ROOT / "requirements.lock").read_text(), re.M))
    say(f"the other packages, {count} ...")  # all there is to install stands in the lock
    install(python, "--no-deps", "--require-hashes", "-r", "requirements.lock", total=count)
    install(python, "--no-deps", "--no-build-isolation", "-e", ".")
    say(f"done; `{python} -m workbench doctor` says what works here")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nsetup: stopped; the same command begins again")
