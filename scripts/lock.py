"""Write requirements.lock: every package of the environment but torch, at the tested version, with its hashes.

constraints.txt says which versions; uv finds what each platform needs of them, and the hashes of all their files. torch
and what only its GPU builds need are left out: `scripts/setup.py` installs the build that fits the machine, or keeps
the one that is there. Needs uv (`pip install uv`).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
OLDEST = "3.11"  # the oldest Python that all tested versions take
EXTRAS = ("test", "app", "slurm", "site", "sequences")
LEFT_OUT = re.compile(r"torch|triton|nvidia-.*|cuda-.*")
HEADER = """# Every package of the environment but torch, at the tested version, with the hashes of all its files.
# Written by `python scripts/lock.py` from pyproject.toml and constraints.txt; installed by `make setup`.
"""


def resolved() -> list[str]:
    """A text a package: `name==version ; marker \\`, then a line a hash."""
    options = ["--universal", "--python-version", OLDEST, "--generate-hashes", "-c", "constraints.txt"]
    silent = ["--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    extras = [part for extra in EXTRAS for part in ("--extra", extra)]
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *extras, *options, *silent]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"lock: uv could not resolve:\n{done.stderr}")
    return re.split(r"\n(?=\S)", done.stdout.strip())


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    kept = [text for text in resolved() if not LEFT_OUT.fullmatch(text.partition("==")[0])]
    LOCK.write_text(HEADER + "\n".join(kept) + "\n", encoding="utf-8")
    print(f"lock: {len(kept)} packages")


if __name__ == "__main__":
    main()
