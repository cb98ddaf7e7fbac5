"""Names of experiments for a reader, in figures, tables and explorers alike: `IndRNN, 6 layers`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from .. import paper  # whose experiments are not there yet while its files are found, this one among them


def reader_name(name: str) -> str:
    """Net and task of an experiment in words; a name with `*` is that of one with changes, an unknown one stays."""
    return _said(name, "title")


def reader_names(names: Sequence[str]) -> dict[str, str]:
    """Name -> the least that tells these experiments apart in words: their nets, else their tasks, else both."""
    distinct = list(dict.fromkeys(names))
    for part in ("net", "task_words", "title"):
        found = {name: _said(name, part) for name in distinct}
        if len(set(found.values())) == len(distinct):
            return found
    return {name: f"{reader_name(name)} ({name})" for name in distinct}


def in_words(text: str) -> str:
    """A text with the names of experiments in words, but for those in a command (`workbench run NAME`).

    Several names joined by commas are then joined by semicolons, since words hold commas.
    """
    return _pattern().sub(lambda found: reader_name(found[1]) + (";" if found[2] else ""), text)


@cache
def _pattern() -> re.Pattern[str]:
    names = "|".join(sorted(paper.EXPERIMENTS, key=len, reverse=True))
    return re.compile(rf"(?<!run )\b((?:{names})\b\*?)(,(?= (?:{names})\b))?")


def _said(name: str, part: str) -> str:
    """A part of an experiment's words, marked where there are changes; the name itself where it has none."""
    known = paper.EXPERIMENTS.get(name.removesuffix("*"))
    words = "" if known is None else str(getattr(known, part))
    return f"{words}{', changed' * name.endswith('*')}" if words else name
