"""SECURITY.md promises nothing without a test, and names no test that is not there."""

import ast
import re

from workbench import files as places

ROOT = places.project()
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_promise_names_tests_that_exist():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(rows) >= 15
    for row in rows:
        promise, shown = row.strip("| ").split(" | ")
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", shown)
        assert named, promise
        for path, test in named:
            tree = ast.parse((ROOT / path).read_text())
            assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path}::{test}"


def test_every_file_of_these_tests_stands_behind_a_promise():
    """A door that is tried is one of which the page speaks."""
    files = {path.name for path in (ROOT / "tests" / "security").glob("test_*.py")} - {"test_promises.py"}
    assert files == {name for name in files if f"tests/security/{name}::" in PAGE}


def test_the_page_says_how_to_report_and_gives_no_address_that_nobody_reads():
    assert "## How to report" in PAGE
    assert "@" not in PAGE
