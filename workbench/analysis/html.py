"""Tables and verdicts as HTML: whole names, no NaN, no empty columns; a verdict has its word and its colour."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape, unescape

import pandas as pd

# Word -> its mark and its colour, behind white letters: legible on a light and on a dark page. Other words are plain.
LOOKS = {
    "reproduced": ("\u2713", "#00704f"),
    "reached": ("\u2713", "#005f9e"),
    "not reproduced": ("\u2717", "#a3330a"),
    "not reached": ("\u2717", "#875300"),
    "undecided": ("?", "#6a4a8c"),
    "under way": ("\u2026", "#4f5b66"),
}
_CELL = "text-align:left;vertical-align:top;padding:3px 10px;white-space:normal;line-height:1.6"
_STAYS = "position:sticky;background:var(--jp-layout-color0,Canvas)"  # while the rest of a wide table scrolls
_LONG = 60  # letters of a cell that is not squeezed to a word's width


class Html(str):
    """Text that a notebook shows as HTML, and a terminal as the words in it."""

    def _repr_html_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self)).split())


def verdict(word: str, said: str = "") -> str:
    """A verdict's word, or what is `said` with it, on its colour."""
    if word not in LOOKS:
        return escape(said or word)
    mark, colour = LOOKS[word]
    style = f"background-color:{colour};color:#ffffff;border-radius:4px;padding:1px 6px;white-space:nowrap"
    return f'<span style="{style}">{mark} {escape(said or word)}</span>'


def counts(words: Mapping[str, int], before: str = "", behind: str = "") -> Html:
    """Verdicts by number in one line, zeroes too."""
    shown = ", ".join(verdict(word, f"{word} {n}") for word, n in words.items())
    return Html(f'<p style="line-height:2">{escape(before)} {shown}, {escape(behind)}</p>\n')


def table(frame: pd.DataFrame) -> Html:
    """Any table, whole: a column `verdict` has its colours; no numbers of rows, no column without a word."""
    if not len(frame):
        return Html("<p>None yet.</p>\n")
    texts = frame.astype(object).where(frame.notna(), "").astype(str)
    kept = [name for name in texts.columns if texts[name].str.strip().any()]
    rows = [
        [verdict(cell) if name == "verdict" else escape(cell) for name, cell in zip(kept, row, strict=True)]
        for row in texts[kept].to_numpy()
    ]
    return grid([str(name) for name in kept], rows)


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> Html:
    """A table of cells that are HTML already under a head of plain words; the first cell of a row names it.

    Where it is wider than the page it scrolls, and the first column and a column `verdict` stay in sight.
    """
    titled = f'<caption style="text-align:left">{escape(caption)}</caption>' if caption else ""
    places = [_place(name, index, [row[index] for row in rows]) for index, name in enumerate(head)]
    heads = "".join(
        f'<th scope="col" style="{where}">{escape(name)}</th>' for name, where in zip(head, places, strict=True)
    )
    lines = "".join(
        f'<tr><th scope="row" style="{places[0]};font-weight:normal">{row[0]}</th>'
        + "".join(f'<td style="{where}">{cell}</td>' for cell, where in zip(row[1:], places[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    body = f"<table>{titled}<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    return Html(f'<div style="overflow-x:auto" tabindex="0">{body}</div>\n')


def _place(name: str, index: int, cells: Sequence[str]) -> str:
    """The style of a column: where it stays when the others scroll, and room for long words."""
    stays = f";{_STAYS};left:0" if not index else f";{_STAYS};right:0" if name == "verdict" else ""
    long = any(len(re.sub(r"<[^>]*>", "", cell)) > _LONG for cell in cells)
    return _CELL + stays + ";min-width:16em" * long
