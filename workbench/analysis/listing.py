"""Lists of the command line: rows of plain values, shown as columns or as JSON."""

from __future__ import annotations

import json
from typing import Any

from ..errors import printable


def experiments() -> list[dict[str, Any]]:
    """A row an experiment: claim, exact parameter count, budgets, what is recorded."""
    from .. import paper, tasks
    from ..models.build import count_of
    from ..runs.record import records

    recorded: dict[str, list[dict[str, Any]]] = {}
    for record in records():
        if record.status != "damaged":
            recorded.setdefault(record.experiment, []).append(
                {
                    "id": record.id,
                    "seed": record.seed,
                    "smoke": record.smoke,
                    "step": record.step,
                    "status": record.status,
                }
            )
    rows = []
    for known in paper.EXPERIMENTS.values():
        rows.append(
            {
                "id": known.id,
                "where": known.where,
                "title": known.title,
                "parent": known.parent,
                "claim": [{"metric": c.metric, "value": c.value, "source": c.source} for c in known.claims],
                "parameters": count_of(known.config.model, tasks.spec(known.config.task)),
                "budgets": {
                    "smoke": known.at("smoke")[0].train.steps,
                    "quick": known.quick,
                    "paper": known.config.train.steps,
                },
                "data": known.data,
                "recorded": recorded.get(known.id, []),
                "note": known.note,
            }
        )
    for exhibit in paper.EXHIBITS.values():  # a table or figure that its notebook computes at once
        rows.append(
            {
                "id": exhibit.id,
                "where": exhibit.where,
                "title": exhibit.title,
                "parent": None,
                "claim": [{"metric": c.metric, "value": c.value, "source": c.source} for c in exhibit.claims],
                "parameters": None,
                "budgets": dict.fromkeys(("smoke", "quick", "paper")),
                "data": None,
                "recorded": [],
                "note": f"workbench reproduce {exhibit.notebook}. {exhibit.note}",
            }
        )
    return rows


def data_sets(names: list[str] | None = None, fetch: bool = False) -> list[dict[str, Any]]:
    """A row a data set: where it is or how to get it, its files with their hashes, address, licence, citation.

    `state`: here, missing or damaged. With `fetch`, what is missing is fetched first.
    """
    from ..errors import DataError, MissingData
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
        known = download.SETS[name]
        rows.append(
            {
                "name": name,
                "here": folder is not None,
                "folder": folder,
                "state": state,
                "detail": detail,
                "title": known.title,
                "files": known.files,
                "url": known.url,
                "licence": known.licence,
                "cite": known.cite,
            }
        )
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
