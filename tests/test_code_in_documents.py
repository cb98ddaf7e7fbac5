"""Python in the README and in docs/ runs as it is typed; what it trains, at the smoke budget."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(code, id=f"{page.stem}-{index}")
    for page in PAGES
    for index, code in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S))
]


@pytest.mark.parametrize("code", BLOCKS)
def test_code_runs_as_it_is_typed(tmp_path, monkeypatch, code):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path))
    exec(compile(code.replace('"quick"', '"smoke"'), "<document>", "exec"), {})
