"""The measurement of coverage leaves out nothing but what is no code, and says how much that is."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

import workbench

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
    assert found > 20


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
