"""Compare requirements.lock with the published vulnerabilities; ends with 1 for a known one.

The auditor is put into an environment of its own, for this call. Where the data cannot be reached a line says so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AUDITOR = "pip-audit==2.10.1"


def audited() -> list[dict[str, object]] | None:
    """A row a package of the lock; None where the auditor or its data cannot be reached."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        install = [python, "-m", "pip", "install", "--quiet", AUDITOR]
        if subprocess.run(install, capture_output=True, check=False).returncode != 0:
            return None
        options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        command = [python, "-m", "pip_audit", "-r", ROOT / "requirements.lock", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, object]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = audited()
    known = [row for row in rows or [] if "skip_reason" not in row]
    if not known:
        print("audit: the data on vulnerabilities cannot be reached from here; nothing was checked")
        return
    bad = [f"{row['name']} {row['version']}: {v['id']}" for row in known for v in row["vulns"]]  # type: ignore[attr-defined]
    print(f"audit: {len(known)} of {len(rows or [])} packages checked; " + ("; ".join(bad) or "no known vulnerability"))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
