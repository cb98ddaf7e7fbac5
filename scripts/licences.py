"""Write LICENSES.md: the licence of every package that requirements.lock installs, and of torch.

A package that this platform does not take is fetched for its metadata and not installed. A licence that is not known to
allow what we do ends the command with 1.
"""

from __future__ import annotations

import argparse
import email
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "LICENSES.md"
ALLOWED = "MIT BSD BSL Apache ISC PSF 0BSD MPL Zlib CC0".split()  # how each part may begin
ELSEWHERE = (("win_amd64", "3.12"), ("macosx_11_0_arm64", "3.12"), ("manylinux2014_x86_64", "3.12"))
READ_BY_HAND = {
    "axe-playwright-python": "MIT AND MPL-2.0",  # in its LICENSE, and at the top of the axe-core it carries
    "docutils": "BSD-2-Clause AND PSF-2.0",  # the rest public domain; its GPL part, an editor's mode, is in no wheel
    "kaleido": "MIT",  # these two give the licence's whole text in place of its name
    "logistro": "MIT",
}
HEADER = """# Licences

The packages that the environment is made of, none of which is distributed with this project, by their own metadata.
Written by `python scripts/licences.py` from requirements.lock. This project's own licence is in LICENSE.

| package | version | licence |
| --- | --- | --- |
"""


def locked() -> dict[str, str]:
    """name -> version of every package of the lock, and torch."""
    found = re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.M)
    found += re.findall(r"^(torch)==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    return dict(sorted(found))


def licence(get: Callable[[str], list[str]]) -> str:
    """Licence from a package's metadata: SPDX expression, else its classifiers, else its free text if that is short."""
    if expression := get("License-Expression"):
        return expression[0]
    prefix = "License :: "
    classes = [
        c.rpartition(" :: ")[2] for c in get("Classifier") if c.startswith(prefix) and not c.endswith("Approved")
    ]
    text = [line for line in get("License") if line and "\n" not in line and len(line) < 60]
    return " AND ".join(classes or text[:1]) or "unknown"


def read(name: str, version: str) -> str:
    """The licence of an installed package of any version, or of one that is fetched."""
    if name in READ_BY_HAND:
        return READ_BY_HAND[name]
    try:
        held = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        held = fetched(name, version)
    return licence(lambda field: [str(value) for value in held.get_all(field) or []]) if held is not None else "unknown"


def fetched(name: str, version: str) -> email.message.Message | None:
    """The metadata in a package's wheel, for the first platform that has one."""
    for platform, python in ELSEWHERE:
        with tempfile.TemporaryDirectory() as folder:
            where = ["--only-binary=:all:", "--platform", platform, "--python-version", python, "--dest", folder]
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *where, f"{name}=={version}"]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                wheel = zipfile.ZipFile(next(Path(folder).glob("*.whl")))
                about = next(member for member in wheel.namelist() if member.endswith(".dist-info/METADATA"))
                return email.message_from_bytes(wheel.read(about))
    return None


def is_allowed(text: str) -> bool:
    """Test that every part of a licence, or a choice of it, is known to allow use beside MIT code."""
    parts = re.split(" AND ", text.replace("(", "").replace(")", ""))
    return all(any(c.strip().startswith(tuple(ALLOWED)) or _by_name(c) for c in part.split(" OR ")) for part in parts)


def _by_name(text: str) -> bool:
    """Licences as classifiers and free texts write them."""
    free = r"(The )?(MIT|BSD|Apache|ISC|Mozilla Public|Python Software Foundation|Modified BSD|New BSD|3-Clause BSD).*"
    return re.fullmatch(free, text.strip()) is not None


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = {name: (version, read(name, version)) for name, version in locked().items()}
    lines = [f"| {name} | {version} | {text} |\n" for name, (version, text) in rows.items()]
    PAGE.write_text(HEADER + "".join(lines), encoding="utf-8")
    strange = [f"{name}: {text}" for name, (_, text) in rows.items() if not is_allowed(text)]
    print(f"licences: {len(rows)} packages; " + ("; ".join(strange) or "all of them allow what we do"))
    sys.exit(1 if strange else 0)


if __name__ == "__main__":
    main()
