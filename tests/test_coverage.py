"""The measurement of coverage counts every child, and leaves out nothing but what is no code."""

import inspect
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import coverage
import pytest

import workbench
from workbench import files

ROOT = Path(__file__).parent.parent
SOURCES = sorted(Path(workbench.__file__).parent.rglob("*.py"))
PATTERNS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["report"]["exclude_also"]


@pytest.fixture(scope="module")
def excluded():
    return runpy.run_path(str(ROOT / "scripts" / "excluded.py"))


def test_no_line_asks_to_be_left_out_and_every_pattern_has_its_reason(excluded):
    found = 0
    for path in SOURCES:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"pragma:?\s*no", line, re.I), f"{path}: {line}"
            if any(re.search(pattern, line) for pattern in PATTERNS):
                found += 1
                assert excluded["why"](line), f"{path}: {line}"
    assert found > 0


def test_what_is_left_out_belongs_to_the_line_that_opens_it(excluded, tmp_path):
    path = tmp_path / "a.py"
    text = "if TYPE_CHECKING:\n    import b\n\n\nclass A:\n    def f(self) -> int: ...\n\n\nx = 1  # no cover\n"
    path.write_text(text)
    found = excluded["excluded"](path, {1, 2, 6, 9}, [*PATTERNS, r"\.\.\.$", "no cover"])
    assert found == {
        "imports for the type checker alone": 2,
        "a signature without a body": 1,
        "NO REASON: line 9: x = 1  # no cover": 1,
    }


CHILD = "import os, signal, workbench.files as files; files.{call}(); {end}"
ENDS = {"published": "os._exit(5)", "notebooks": "os.kill(os.getpid(), signal.SIGTERM)", "paper": "pass"}


@pytest.mark.parametrize("call", ENDS)
def test_a_child_counts_wherever_it_runs_and_however_it_ends(call, tmp_path):
    """By `os._exit`, by SIGTERM as Jupyter ends a kernel, or by itself; in a folder that is not the checkout."""
    code = CHILD.format(call=call, end=ENDS[call])
    (tmp_path / "parent.py").write_text(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {code!r}])\n")
    run = [sys.executable, "-m", "coverage", "run", f"--rcfile={ROOT / 'pyproject.toml'}", "parent.py"]
    environment = os.environ | {"COVERAGE_FILE": str(tmp_path / ".coverage"), "PYTHONPATH": str(SOURCES[0].parents[1])}
    subprocess.run(run, cwd=tmp_path, env=environment, check=True, stderr=subprocess.DEVNULL)
    lines, first = inspect.getsourcelines(getattr(files, call))
    seen = set()
    for path in tmp_path.glob(".coverage.*"):
        data = coverage.CoverageData(str(path))
        data.read()
        seen |= set(data.lines(files.__file__) or ())
    assert first + len(lines) - 1 in seen
