"""The table of results as text, CSV, LaTeX, HTML, JSON and markdown, printed or written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import files, paper
from ..config import canonical_json
from ..errors import ParameterError, choices
from ..files import make_folder, publish
from .claims import results_table, why_not_run

if TYPE_CHECKING:
    import pandas as pd

VERDICTS = ("reproduced", "not reproduced", "on course", "inconclusive", "not run")
FORMATS = ("csv", "html", "json", "latex", "markdown", "text")


def write_tables(folder: Path | None = None) -> Path:
    """Write the table as CSV, LaTeX, HTML and JSON into results/tables/ (or another folder); returns the folder."""
    folder = make_folder(folder or files.results() / "tables")
    table = results_table()
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
    """The table in one of FORMATS."""
    check_format(format_)
    if format_ == "json":
        return canonical_json([_plain(row) for row in table.to_dict("records")]) + "\n"
    if format_ == "csv":
        guarded = table.map(lambda v: f"'{v}" if isinstance(v, str) and v[:1] in (*"=+-@\t\r",) else v)
        return str(guarded.to_csv(index=False))
    shown = readable(table)
    if format_ == "latex":
        return str(shown.to_latex(index=False, escape=True))
    if format_ == "html":
        return str(shown.to_html(index=False, escape=True, na_rep=""))
    if format_ == "markdown":
        return markdown(shown)
    return str(shown.to_string(index=False)) + "\n"


def markdown(table: pd.DataFrame) -> str:
    """Any table of texts and numbers, in the markdown of a README."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    lines += ["| " + " | ".join(str(v).replace("|", "\\|") for v in row) + " |" for row in table.to_numpy()]
    return "\n".join(lines) + "\n"


def tally(results: pd.DataFrame) -> dict[str, int]:
    """How many of the paper's own claims have which verdict, the strongest first."""
    own = results[results["paper"].notna() & (results["verdict"] != "reference")]
    counts = own["verdict"].value_counts()
    return {verdict: int(counts.get(verdict, 0)) for verdict in VERDICTS}


def not_run(results: pd.DataFrame) -> pd.DataFrame:
    """What the paper and its logs claim and no record stands beside: experiments of a table, how many numbers, why."""
    import pandas as pd

    open_ = results[(results["verdict"] == "not run") & results["paper"].notna()]
    why = open_["experiment"].map(lambda name: why_not_run(paper.experiment(name)))
    rows = [
        {"table": where, "experiments": ", ".join(group["experiment"].unique()), "numbers": len(group), "why": reason}
        for (where, reason), group in open_.groupby(["table", why], sort=False)
    ]
    return pd.DataFrame(rows, columns=["table", "experiments", "numbers", "why"])


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

    def number(value: object) -> str:
        return "" if value is None or value != value else f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"

    out = []
    for row in (_plain(r) for r in table.to_dict("records")):
        interval = ""
        if row["low"] is not None:
            interval = f" [{number(row['low'])}, {number(row['high'])}]"
        elif row["examples_low"] is not None:  # one seed: at least what the size of the test set leaves open
            interval = f" [{number(row['examples_low'])}, {number(row['examples_high'])} over examples]"
        of = f" of {int(row['steps']):,}" if row["steps"] else ""
        out.append(
            {
                "table": row["table"],
                "experiment": row["experiment"],
                "metric": row["metric"],
                "ours (95 %)": number(row["ours"]) + interval if row["ours"] is not None else _missing(row),
                "n": row["n"],
                "paper": number(row["paper"]),
                "source": row["source"],
                "step": f"{int(row['step']):,}{of}" if row["step"] is not None else "",
                "parity": "" if row["parity"] is None else f"{100 * row['parity']:.1f} points",
                "verdict": row["verdict"],
                "note": row["note"] or "",
            }
        )
    return pd.DataFrame(out)


def _missing(row: dict[str, Any]) -> str:
    """Why there is no number of ours."""
    begun = row["step"] is not None and row["metric"].startswith("steps to")
    return f"not by step {int(row['step']):,}" if begun else ""
