"""The table of results as text, CSV, LaTeX, HTML, JSON and markdown, printed or written."""

from __future__ import annotations

import math
import re
import shutil
import textwrap
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import files
from ..config import canonical_json
from ..errors import ParameterError, choices
from ..files import make_folder, publish
from ..paper import reader_names
from ..paper.claims import ABSTRACT, STEPS, Claim
from ..paper.claims import claims as every_claim
from . import claims, html, listing, properties, verdicts

SHOWN = ("table", "experiment", "metric", "ours (95 %)", "n", "paper", "source", "step", "verdict", "note")
FORMATS = ("csv", "html", "json", "latex", "markdown", "text")
# The word of a claim with several rows: the first of these that one of them has. The paper's own schedule comes before
# a cycle of ours; a ratio that fails on one device fails.
DECIDING = ("not reproduced", "reproduced", "reached", "not reached", "undecided", "under way", "not run")
ANSWERED = DECIDING[:4]

_OTHERS = re.compile(r"\bof (a search|another (config|protocol)) set aside")
_BESIDE = re.compile(r"set aside$|^ended at steps? |examples seen$|^[\d.,]+ hours of wall time( in all)?$")


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
        return canonical_json([plain(row) for row in table.to_dict("records")]) + "\n"
    if format_ == "csv":
        guarded = table.map(lambda v: f"'{v}" if isinstance(v, str) and v[:1] in (*"=+-@\t\r",) else v)
        return str(guarded.to_csv(index=False))
    if format_ == "text":
        return in_short(table)
    shown, said = readable(table), summary(table)
    if format_ == "latex":
        return f"% {said}\n{shown.to_latex(index=False, escape=True)}"
    if format_ == "html":
        return f"<p>{escape(said)}</p>\n{html.table(shown)}"
    return f"{said}\n\n{markdown(shown)}"


def in_short(results: pd.DataFrame, width: int | None = None) -> str:
    """The summary, for a terminal of so many characters: the counts, the abstract's sentences, claims with an answer,
    claims without one and why, what is not run; then what is no claim. Parts without a row are left out.
    """
    others = results[results["claim"].isna() & results["ours"].notna() & ~_older(results)]
    whole = {name for names in ABSTRACT.values() for name in names} <= set(results["claim"])
    parts = {
        "The abstract, sentence by sentence": once(abstract(results)) if whole else None,
        "Claims with an answer": answered(results),
        "Begun, and what would decide it": begun(results),
        "Not run, and why": _reasons(results) if whole else not_run(results),
        "Experiments of ours and numbers of others, with records that count": _tests(others),
    }
    width = width or shutil.get_terminal_size((80, 24)).columns
    said = [summary(results)]  # one line, whatever its length: it is read by scripts too
    there = {title: rows for title, rows in parts.items() if rows is not None and len(rows)}
    said += [f"{title}:\n\n{listing.table(rows, width)}" for title, rows in there.items()]
    hidden = int(_older(results).sum())
    older = f", and {hidden} rows of older records, which decide nothing" if hidden else ""
    more = f"Every row, with the command that trains it{older}: `workbench tables --format markdown`."
    said.append(textwrap.fill(more, width, break_long_words=False))
    return "\n\n".join(part.rstrip("\n") for part in said) + "\n"


def _older(results: pd.DataFrame) -> pd.Series[bool]:
    return results["source"].fillna("").str.startswith(claims.OLDER)


def answered(results: pd.DataFrame) -> pd.DataFrame:
    """The claims that a verdict has decided, in few columns."""
    return _tests(results[results["claim"].notna() & results["verdict"].isin(ANSWERED)])


def begun(results: pd.DataFrame) -> pd.DataFrame:
    """The claims with records that count and no answer, and what would decide them."""
    return _tests(results[results["claim"].notna() & results["verdict"].isin(("undecided", "under way"))])


def older(results: pd.DataFrame) -> pd.DataFrame:
    """The records of an earlier numerics, with what they reached; which numerics stands in the note."""
    return readable(results[_older(results)]).drop(columns=["paper", "verdict", "source"])


def _tests(results: pd.DataFrame) -> pd.DataFrame:
    """Rows in few columns: where it stands, the test, ours, verdict, the reason."""
    rows = [plain(row) for row in results.to_dict("records")]
    shown = [(row["table"], _test(row), ours(row), str(row["n"]), row["verdict"], _reason(row["note"])) for row in rows]
    return pd.DataFrame(shown, columns=["where", "test", "ours (95 %)", "n", "verdict", "note"])


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Any table with the names of experiments in a reader's words."""
    return table.map(lambda value: reader_names.in_words(value) if isinstance(value, str) else value)


def once(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose first column says what is repeated below only once."""
    first = table.columns[0]
    return table.assign(**{first: table[first].where(~table[first].duplicated(), "")})


def markdown(table: pd.DataFrame) -> str:
    """Any table of texts and numbers, in the markdown of a README."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    lines += ["| " + " | ".join(str(v).replace("|", "\\|") for v in row) + " |" for row in table.to_numpy()]
    return "\n".join(lines) + "\n"


def summary(results: pd.DataFrame) -> str:
    """The first line of every summary: claims by verdict, zeroes too, and how many of them cannot be tried here."""
    words, known = words_of(results), _claims()
    others = list(results.loc[results["claim"].isna(), "verdict"])
    said = verdicts.summary([*words.values(), *others], [known[name].cannot for name in words])
    return f"{len(words)} claims of the paper and its logs: {said}"


def headline(results: pd.DataFrame) -> html.Html:
    """The same for a page, each word of a claim on its colour."""
    before, _, said = summary(results).partition(": ")
    counts = verdicts.tally(words_of(results).values())
    claimed = {word: n for word, n in counts.items() if word in DECIDING}
    return html.counts(claimed, f"{before}:", said[said.index("of which") :])


def words_of(results: pd.DataFrame) -> dict[str, str]:
    """The one word of each claim: of its rows (a cycle of ours, another device) the first of DECIDING."""
    found: dict[str, list[str]] = {}
    for name, word in results.loc[results["claim"].notna(), ["claim", "verdict"]].itertuples(index=False):
        found.setdefault(name, []).append(word)
    return {name: min(words, key=DECIDING.index) for name, words in found.items()}


def not_run(results: pd.DataFrame) -> pd.DataFrame:
    """Claims of the paper and its logs that nothing here answers: a row a place and reason, with the claims' number.

    A claim whose cycle has begun stands here too, as long as the paper's own schedule has not.
    """
    open_ = results[(results["verdict"] == "not run") & results["claim"].notna()]
    open_ = open_[~open_["experiment"].str.contains("_cycle")]
    rows = [
        (where, _named(group["experiment"]), group["claim"].nunique(), why)
        for (where, why), group in open_.groupby(["table", open_["note"].map(_why)], sort=False)
    ]
    return pd.DataFrame(rows, columns=["table", "experiments", "claims", "why"])


def _reasons(results: pd.DataFrame) -> pd.DataFrame:
    """`not_run` in short: a row a reason, with how many claims of which places."""
    rows = []
    for why, group in not_run(results).groupby("why", sort=False):
        places = zip(group["table"], group["claims"], strict=True)
        rows.append((why, group["claims"].sum(), "; ".join(f"{where}: {n}" for where, n in places)))
    return pd.DataFrame(rows, columns=["why", "claims", "where"])


def abstract(results: pd.DataFrame) -> pd.DataFrame:
    """The abstract's sentences, for people: sentence, test, ours, verdict, note; a cycle below where it has begun."""
    by_claim: dict[str, list[dict[str, Any]]] = {}
    for row in (plain(r) for r in results[results["claim"].notna()].to_dict("records")):
        if row["verdict"] != "not run" or not str(row["experiment"]).endswith("_cycle"):
            by_claim.setdefault(row["claim"], []).append(row)
    rows = []
    for sentence, names in ABSTRACT.items():
        for row in (row for name in names for row in by_claim[name]):
            note = (_why if row["verdict"] == "not run" else _reason)(row["note"])
            rows.append((sentence, _test(row), ours(row), row["verdict"], note))
    return pd.DataFrame(rows, columns=["sentence", "test", "ours (95 %)", "verdict", "note"])


def _test(row: Mapping[str, Any]) -> str:
    """The test of a row, in one line: experiment, metric and what is claimed of it."""
    apart = ", " if _kind(row) in ("property", "ratio") else " "
    return f"{_who(row)}{': ' * bool(row['experiment'])}{_metric(row)}{apart}{_theirs(row)}".strip()


def _metric(row: Mapping[str, Any]) -> str:
    """The metric of a row; a claim about cuDNN's LSTM is held against torch's own on a CPU, which has no cuDNN."""
    metric = str(row["metric"])
    return metric.replace("cuDNN's", "torch's") if str(row["device"]).partition(":")[0] == "cpu" else metric


def _who(row: Mapping[str, Any]) -> str:
    """The experiments of a row; of a ratio with its kind of device, of which each has a row."""
    device = str(row["device"]).partition(":")[0]
    return str(row["experiment"]) + (f" on {claims.DEVICES[device]}" if _kind(row) == "ratio" else "")


def _reason(note: str) -> str:
    """The part of a note that says why: without what was set aside, and without steps, examples and hours."""
    return "; ".join(part for part in note.split("; ") if not _BESIDE.search(part))


def _why(note: str) -> str:
    """The reason of a row that is not run, without its command and its numbers."""
    if "set aside" not in note:
        return note.rpartition("; ")[2]
    return f"{'other' if _OTHERS.search(note) else 'older'} records only, none that counts"


def _named(experiments: pd.Series[str]) -> str:
    return ", ".join(dict.fromkeys(name for joined in experiments for name in joined.split(", ") if name))


def plain(row: dict[Any, Any]) -> dict[str, Any]:
    """NaN and numpy numbers as JSON has them."""
    out: dict[str, Any] = {}
    for key, value in row.items():
        value = value.item() if isinstance(value, np.generic) else value
        out[str(key)] = None if isinstance(value, float) and math.isnan(value) else value
    return out


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A table's main columns, rounded, for people."""
    out = []
    for row in (plain(r) for r in table.to_dict("records")):
        of = f" of {int(row['steps']):,}" if row["steps"] else ""
        step = f"{int(row['step']):,}{of}" if row["step"] is not None else ""
        over = ""
        if row["examples_low"] is not None:  # the interval over test examples stands apart and never decides
            ends = f"{_number(row['examples_low'])} to {_number(row['examples_high'])}"
            over = f"over {int(row['examples']):,} examples {ends}"
        note = "; ".join(filter(None, (row["note"], over)))
        named = (row["table"], _who(row), _metric(row), ours(row), int(row["n"]), _theirs(row), row["source"])
        out.append((*named, step, row["verdict"], note))
    return pd.DataFrame(out, columns=SHOWN)


def ours(row: Mapping[str, Any]) -> str:
    """Our number with its interval over seeds; of one seed, that and nothing more."""
    if row["ours"] is None:
        return ""
    interval = f" [{_number(row['low'])}, {_number(row['high'])}]" if row["low"] is not None else ""
    claim = _claims().get(row["claim"])
    by_chance = claim is not None and claim.least > 1  # else it is what was measured
    what = {"solved": " of the seeds", "order": " of the pairs", "property": " of the seeds" * by_chance}
    return _number(row["ours"]) + interval + what.get(_kind(row), "")


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
    if claim.kind == "ratio":
        return f"{'over ' * claim.abstract}{_number(row['paper'], 6)} times"
    return properties.asked(claim)


def _kind(row: Mapping[str, Any]) -> str:
    claim = _claims().get(row["claim"])
    return claim.kind if claim else ""


def _claims() -> dict[str, Claim]:
    return {claim.id: claim for claim in every_claim()}


def _number(value: object, digits: int = 4) -> str:
    if value is None or value != value:
        return ""
    return f"{value:,.{digits}g}" if isinstance(value, float) else f"{value:,}"
