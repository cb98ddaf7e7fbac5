"""MIGRATION.md: the names that it gives exist."""

import importlib
import re
from pathlib import Path

import pytest

import workbench as wb

PAGE = (Path(__file__).parent.parent / "MIGRATION.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*) \| (`.*) \|$", PAGE, flags=re.M)


def named(cell):
    """The names of a cell, those without their package given that of the first."""
    first, *others = re.findall(r"`([\w.*<>]+)`", cell)
    package = first.rpartition(".")[0]
    return [first, *(name if name.startswith(("wb.", "workbench.")) else f"{package}.{name}" for name in others)]


@pytest.mark.parametrize("new", [name for _, cell in ROWS for name in named(cell)])
def test_a_name_of_today_is_there(new):
    if new.startswith("wb."):
        assert getattr(wb, new.removeprefix("wb."))
    else:
        importlib.import_module(new)


def test_the_page_has_the_names_that_went():
    assert len(ROWS) >= 10
    assert not hasattr(wb, "Arms")
