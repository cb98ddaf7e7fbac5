"""What the measurement of coverage leaves out has a reason that is said and counted."""

import re
import runpy
import tomllib
from pathlib import Path

import workbench

ROOT = Path(__file__).parent.parent
MADE = runpy.run_path(str(ROOT / "scripts" / "excluded.py"))
SOURCES = sorted(Path(workbench.__file__).parent.rglob("*.py"))
PATTERNS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["report"]["exclude_also"]


def test_every_line_that_is_left_out_says_why():
    reasons = set()
    for path in SOURCES:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "no cover" in line or any(re.search(pattern, line) for pattern in PATTERNS):
                reasons.add(MADE["why"](line))
                assert MADE["why"](line), f"{path}: {line}"
    assert {"needs a CUDA device", MADE["REASONS"]["@_kernel"]} <= reasons


def test_a_line_that_says_nothing_has_no_reason():
    assert MADE["why"]("def warm():  # pragma: no cover") is None
    assert MADE["why"]("def warm():  # pragma: no cover (a moon)") == "needs a moon"
    assert MADE["why"]("def warm():") is None


def test_what_is_left_out_belongs_to_the_line_that_opens_it(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        "@_kernel\ndef states(\n    a,\n):\n    return a\n\n\nif TYPE_CHECKING:\n    import b\nx = 1 # no cover\n"
    )
    found = MADE["excluded"](path, {1, 5, 8, 9, 10}, [*PATTERNS, "no cover"])
    assert found[MADE["REASONS"]["@_kernel"]] == found[MADE["REASONS"]["if TYPE_CHECKING:"]] == 2
    assert found["NO REASON: line 10: x = 1 # no cover"] == 1
