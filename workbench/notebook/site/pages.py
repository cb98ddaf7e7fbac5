"""All explorers as static pages in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import ParameterError, choices, quoted
from ...files import check_place, make_folder, publish
from ..explorers import EXPLORERS
from .static_page import page


def pages(folder: Path, names: Sequence[str] | None = None) -> Iterator[Path]:
    """Write explorers' pages into a folder, all unless named -> the files, each when it is written."""
    for name in names or ():
        if name not in EXPLORERS:
            raise ParameterError(f"export: {quoted(name)} is no explorer; choose one of {choices(EXPLORERS)}")
    check_place("out", folder)
    make_folder(folder)
    for name in names or EXPLORERS:
        path = folder / f"explore_{name}.html"
        publish(path, page(EXPLORERS[name](), {}), replace=True)
        yield path
