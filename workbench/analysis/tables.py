"""The table of results as text, CSV, LaTeX, HTML, JSON and markdown, printed or written."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from html import escape
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import files
from ..config import canonical_json
from ..errors import ParameterError, choices
from ..files import make_folder, publish
from ..paper.claims import STEPS, Claim
from ..paper.claims import claims as every_claim
from . import claims, verdicts

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("table", "experiment", "metric", "ours (95 %)", "n", "paper", "source", "step", "verdict", "note")
FORMATS = ("csv", "html", "json", "latex", "markdown", "text")


def write_tables(folder: Path | None = None) -> Path:
    """Write the table as CSV, LaTeX, HTML and JSON into results/tables/ (or another folder); returns the folder."""
    folder = make_folder(folder or files.results() / "tables")
    table = claims.results_table()
    for format_, text in ((f, render(table, f)) for f in ("csv", "latex", "html", "json")):
        ending = "tex" if format_ == "latex" else format_
        publish(folder / f"results.{ending}", text.encode(), replace=True)
    return folder


def check_format(format_: str) -> str:
    """The format, or a ParameterError that offers those there are."""
    if format_ not in FORMATS:
        raise ParameterError(f"format: {format_!r} is unknown; choose one of {choices(FORMATS)}")
    return format_


def render(table: pd.DataFrame, format_: str) -> str:
    """The table in one of FORMATS; those for readers begin with `summary`, CSV and JSON hold rows alone."""
    check_format(format_)
    if format_ == "json":
        return canonical_json([_plain(row) for row in table.to_dict("records")]) + "\n"
    if format_ == "csv":
        guarded = table.map(lambda v: f"'{v}" if isinstance(v, str) and v[:1] in (*"=+-@\t\r",) else v)
        return str(guarded.to_csv(index=False))
    shown, said = readable(table), summary(table)
    if format_ == "latex":
        return f"% {said}\n{shown.to_latex(index=False, escape=True)}"
    if format_ == "html":
        return f"<p>{escape(said)}</p>\n{shown.to_html(index=False, escape=True, na_rep='')}"
    if format_ == "markdown":
        return f"{said}\n\n{markdown(shown)}"
    return f"{said}\n{in_words(table)}\n\n{text(shown)}"


def text(table: pd.DataFrame, most: int = 24) -> str:
    """Any table for a terminal: a cell of more than `most` characters goes on below (notes: thrice as many); no empty
    columns."""
    kept = [name for name in table.columns if table[name].astype(str).str.strip().any()]
    widest = [3 * most if name == "note" else most for name in kept]
    rows = [
        [textwrap.wrap(str(v), width, break_long_words=False) or [""] for v, width in zip(row, widest, strict=True)]
        for row in [kept, *table[kept].to_numpy()]
    ]
    widths = [max(len(line) for cell in column for line in cell) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for row in rows
        for parts in zip_longest(*row, fillvalue="")
    ]
    return "\n".join(lines) + "\n"


def markdown(table: pd.DataFrame) -> str:
    """Any table of texts and numbers, in the markdown of a README."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    lines += ["| " + " | ".join(str(v).replace("|", "\\|") for v in row) + " |" for row in table.to_numpy()]
    return "\n".join(lines) + "\n"


def summary(results: pd.DataFrame) -> str:
    """The first line of every summary: rows by verdict, zeroes too, and how many claims cannot be tried here."""
    judged = results[results["claim"].notna()]
    cycles = int(judged["claim"].duplicated().sum())
    said = verdicts.summary(results["verdict"], claims.cannot(results))
    return f"{said}; claims {len(judged) - cycles}, of which {cycles} have a second row, under a cycle of ours"


def in_words(results: pd.DataFrame) -> str:
    """Say what holds, in one sentence: claims by the best that is known of each."""
    judged = results[results["claim"].notna()]
    words = [set(group) for _, group in judged.groupby("claim")["verdict"]]
    holds = sum("reproduced" in each for each in words)
    fails = sum("not reproduced" in each for each in words)
    reached = sum("reached" in each and "reproduced" not in each for each in words)
    begun = sum(bool(each & {"undecided", "under way"}) for each in words)
    none = sum(each == {"not run"} for each in words)
    return (
        f"Of {len(words)} claims of the paper and its logs {holds} hold under the paper's own schedule and {fails} do "
        f"not; {reached} more are reached under a schedule of ours. {begun} have begun without an answer; of {none} "
        f"nothing that counts has run, and {sum(map(bool, claims.cannot(results)))} of these cannot be tried here."
    )


def not_run(results: pd.DataFrame) -> pd.DataFrame:
    """Claims of the paper and its logs that nothing here answers: a row a place and reason, with the claims' number.

    A claim whose cycle has begun stands here too, as long as the paper's own schedule has not.
    """
    import pandas as pd

    open_ = results[(results["verdict"] == "not run") & results["claim"].notna()]
    open_ = open_[~open_["experiment"].str.contains("_cycle")]
    why = open_["note"].map(_why)
    rows = [
        {"table": where, "experiments": _named(group["experiment"]), "claims": len(group), "why": reason}
        for (where, reason), group in open_.groupby(["table", why], sort=False)
    ]
    return pd.DataFrame(rows, columns=["table", "experiments", "claims", "why"])


def abstract() -> pd.DataFrame:
    """The abstract's sentences, for people: sentence, test, ours, verdict, note."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "sentence": row["sentence"],
                "test": f"{row['experiment']}: {row['metric']} {_theirs(row)}".strip(),
                "ours (95 %)": _ours(row),
                "verdict": row["verdict"],
                "note": _why(row["note"]) if row["verdict"] == "not run" else row["note"],
            }
            for row in claims.abstract()
        ]
    )


def _why(note: str) -> str:
    """The reason of a row that is not run, without its command and its numbers."""
    return "older records only, none that counts" if "set aside" in note else note.rpartition("; ")[2]


def _named(experiments: pd.Series[str]) -> str:
    return ", ".join(dict.fromkeys(name for joined in experiments for name in joined.split(", ") if name))


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """NaN and numpy numbers as JSON has them."""
    out: dict[str, Any] = {}
    for key, value in row.items():
        value = value.item() if isinstance(value, np.generic) else value
        out[str(key)] = None if isinstance(value, float) and math.isnan(value) else value
    return out


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A table's main columns, rounded, for people."""
    import pandas as pd

    out = []
    for row in (_plain(r) for r in table.to_dict("records")):
        of = f" of {int(row['steps']):,}" if row["steps"] else ""
        out.append(
            {
                "table": row["table"],
                "experiment": row["experiment"],
                "metric": row["metric"],
                "ours (95 %)": _ours(row),
                "n": int(row["n"]),
                "paper": _theirs(row),
                "source": row["source"],
                "step": f"{int(row['step']):,}{of}" if row["step"] is not None else "",
                "verdict": row["verdict"],
                "note": "; ".join(filter(None, (row["note"], _over_examples(row)))),
            }
        )
    return pd.DataFrame(out, columns=SHOWN)


def _ours(row: Mapping[str, Any]) -> str:
    """Our number with its interval over seeds; of one seed, that and nothing more."""
    if row["ours"] is None:
        return ""
    interval = f" [{_number(row['low'])}, {_number(row['high'])}]" if row["low"] is not None else ""
    claim = _claims().get(row["claim"])
    by_chance = claim is not None and claim.least > 1  # else it is what was measured
    what = {"solved": " of the seeds", "order": " of the pairs", "property": " of the seeds" * by_chance}
    return _number(row["ours"]) + interval + what.get(claim.kind if claim else "", "")


def _theirs(row: Mapping[str, Any]) -> str:
    """Say what is claimed, in the words of its kind."""
    claim = _claims().get(row["claim"])
    if claim is None or claim.kind == "value":
        return _number(row["paper"], 6)
    if claim.kind == "order":
        cycle = "_cycle" if str(row["experiment"]).endswith("_cycle") else ""
        return f"{'before' if claim.metric == STEPS else 'below'} {claim.against[0]}{cycle}"
    if claim.kind == "solved":
        return "solved" if claim.value else "not solved"
    return f"{_number(row['paper'], 6)} {'times' if claim.kind == 'ratio' else '(bound)'}"


def _over_examples(row: Mapping[str, Any]) -> str:
    """The interval over test examples, which stands apart and never decides."""
    if row["examples_low"] is None:
        return ""
    ends = f"{_number(row['examples_low'])} to {_number(row['examples_high'])}"
    return f"over {int(row['examples']):,} examples {ends}"


def _claims() -> dict[str, Claim]:
    return {claim.id: claim for claim in every_claim()}


def _number(value: object, digits: int = 4) -> str:
    if value is None or value != value:
        return ""
    return f"{value:,.{digits}g}" if isinstance(value, float) else f"{value:,}"
