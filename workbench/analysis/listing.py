"""Lists of the command line: rows of plain values, shown as columns or as JSON; tables for a terminal of any width."""

from __future__ import annotations

import json
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from ..errors import DataError, MissingData, ParameterError, printable

if TYPE_CHECKING:
    import pandas as pd

    from ..paper import Exhibit, Experiment

DATA_COLUMNS = ("name", "state", "detail", "title")


def of(what: str) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The rows of a list by its name, and the columns that are shown of them."""
    if what == "experiments":
        return experiments(), ("id", "where", "parameters", "claim", "recorded")
    if what == "data":
        return data_sets(), DATA_COLUMNS
    if what == "runs":
        return runs(), ("id", "experiment", "seed", "smoke", "status", "step", "published")
    raise ParameterError(f"list: {what!r} cannot be listed; choose one of data, experiments, runs")


def experiments() -> list[dict[str, Any]]:
    """A row an experiment: claim, exact parameter count, budgets, what is recorded."""
    from .. import paper, tasks
    from ..models.build import count_of
    from ..runs.record import records

    recorded: dict[str, list[dict[str, Any]]] = {}
    for record in records():
        if record.status != "damaged":
            shown = ("id", "seed", "smoke", "step", "status")
            recorded.setdefault(record.experiment, []).append({name: getattr(record, name) for name in shown})
    rows, more = [], dict[str, Any]()
    for known in paper.EXPERIMENTS.values():
        steps = {"smoke": known.at("smoke")[0].train.steps, "quick": known.quick, "paper": known.config.train.steps}
        count = count_of(known.config.model, tasks.spec(known.config.task))
        more = {"parent": known.parent, "parameters": count, "budgets": steps, "data": known.data, "note": known.note}
        rows.append(_named(known) | more | {"recorded": recorded.get(known.id, [])})
    for exhibit in paper.EXHIBITS.values():  # a table or figure that its notebook computes at once
        none = dict.fromkeys(("smoke", "quick", "paper"))
        more = {"parent": None, "parameters": None, "budgets": none, "data": None, "recorded": []}
        rows.append(_named(exhibit) | more | {"note": f"workbench reproduce {exhibit.notebook}. {exhibit.note}"})
    return rows


def _named(known: Experiment | Exhibit) -> dict[str, Any]:
    claim = [{"metric": c.metric, "value": c.value, "source": c.source} for c in known.claims]
    return {"id": known.id, "where": known.where, "title": known.title, "claim": claim}


def runs() -> list[dict[str, Any]]:
    """A row a record, with every column that one of them has."""
    from ..runs.status import list_records

    found: list[dict[str, Any]] = json.loads(list_records().to_json(orient="records"))
    return found


def data_sets(names: list[str] | None = None, fetch: bool = False) -> list[dict[str, Any]]:
    """A row a data set: where it is or how to get it, its files with their hashes, address, licence, citation.

    `state`: here, missing or damaged. With `fetch`, what is missing is fetched first.
    """
    from ..tasks import download

    rows = []
    for name in names or ():
        download.hashes(name)  # refuses a wrong name before anything is fetched
    for name in names or list(download.SETS):
        folder, detail, state = None, "", "here"
        try:
            folder = detail = str(download.locate(name, fetch=fetch))
        except DataError as error:
            detail, state = str(error), "missing" if isinstance(error, MissingData) else "damaged"
        found = {"name": name, "here": folder is not None, "folder": folder, "state": state, "detail": detail}
        known = ("title", "files", "url", "licence", "cite")
        rows.append(found | {each: getattr(download.SETS[name], each) for each in known})
    return rows


def show(rows: list[dict[str, Any]], as_json: bool, columns: tuple[str, ...]) -> None:
    """JSON, or columns just wide enough."""
    if as_json:
        print(json.dumps(rows))
        return
    table = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *table]) for i in range(len(columns))]
    for line in [list(columns), *table]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, list):
        if value and "metric" in value[0]:
            return "; ".join(f"{c['metric']} {c['value']:g}" for c in value[:1])
        return ", ".join(f"seed {r['seed']}{' (smoke)' if r['smoke'] else ''} to {r['step']:,}" for r in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else printable(str(value))


def table(frame: pd.DataFrame, width: int = 80) -> str:
    """Any table for a terminal of so many characters: cells go on below, no word is cut, empty columns are left out."""
    kept = [name for name in frame.columns if frame[name].astype(str).str.strip().any()]
    cells = [[str(v) for v in row] for row in [kept, *frame[kept].to_numpy()]]
    columns = list(zip(*cells, strict=True))
    most = [max(len(cell) for cell in column) for column in columns]
    least = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    least = [a if name == "verdict" else b for name, a, b in zip(kept, most, least, strict=True)]
    widths = _shared(most, least, width - 2 * (len(kept) - 1))
    folded = [
        [textwrap.wrap(c, w, break_long_words=False, break_on_hyphens=False) for c, w in zip(row, widths, strict=True)]
        for row in cells
    ]
    apart = [""] * any(len(cell) > 1 for row in folded for cell in row)  # a line between rows of several lines
    lines = []
    for row in folded:
        lines += [
            "  ".join(part.ljust(w) for part, w in zip(parts, widths, strict=True)).rstrip()
            for parts in zip_longest(*row, fillvalue="")
        ] + apart
    return "\n".join(lines[: len(lines) - len(apart)]) + "\n"


def _shared(most: list[int], least: list[int], width: int) -> list[int]:
    """Widths that fit into so many characters: the widest column gives way first, none goes below its longest word."""
    widths = list(most)
    while sum(widths) > width:
        wide = max((i for i in range(len(widths)) if widths[i] > least[i]), key=lambda i: widths[i], default=None)
        if wide is None:
            break
        widths[wide] -= 1
    return widths
