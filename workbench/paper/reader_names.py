"""Names of experiments for a reader, in figures, tables and explorers alike: `IndRNN, 6 layers`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from .. import paper  # whose experiments are not there yet while its files are found, this one among them
from .experiment import Experiment


def reader_name(name: str) -> str:
    """Net and task of an experiment in words; a name with `*` is that of one with changes, an unknown one stays."""
    known, changed = _known(name)
    return name if known is None else f"{known.title}{changed}"


def reader_names(names: Sequence[str]) -> dict[str, str]:
    """Name -> the least that tells these experiments apart in words: their nets, else their tasks, else both."""
    distinct = list(dict.fromkeys(names))
    for words in (_net, _task, reader_name):
        found = {name: words(name) for name in distinct}
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


def _net(name: str) -> str:
    known, changed = _known(name)
    return name if known is None or not known.net else f"{known.net}{changed}"


def _task(name: str) -> str:
    known, changed = _known(name)
    return name if known is None else f"{known.task_words}{changed}"


def _known(name: str) -> tuple[Experiment | None, str]:
    plain = name.removesuffix("*")
    return paper.EXPERIMENTS.get(plain), ", changed" * (plain != name)
