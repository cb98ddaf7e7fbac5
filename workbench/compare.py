"""Ours beside theirs: records and claims in, rows with a verdict out. Nothing here is typed in; verdicts are computed.

`reproduced`      at the schedule's end, 3 seeds or more, the interval contains or betters the claim and its half-width
                  is at most half the distance to the nearest other published number of the task
`not reproduced`  the same, but worse than the claim
`on course`       not at the end yet, but the learning curve lies on the official one at equal steps
`inconclusive`    recorded, but not enough to say
`not run`         no record; `note` has the command
`reference`       a number that the paper quotes from others, or another number of the same run
`no claim`        ours alone: the paper has no such experiment
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import paper, places
from .disk import make_folder, publish
from .errors import ParameterError, StoreError, choices
from .paper import Claim, Experiment
from .record import Record, records

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "table experiment metric ours n low high paper source budget step steps device protocol verdict parity note".split()
)
FORMATS = ("csv", "html", "json", "latex", "markdown", "text")
TOLERANCE = 0.01  # of accuracy: learning curves this near are the same curve
PROTOCOLS = {
    "clean": "best validation weights; batch norm statistics re-estimated on training images without dropout",
    "running": "best validation weights; batch norm statistics as training left them",
    "validation": "best validation weights; batch norm statistics re-estimated on validation images (as published)",
}


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval (bootstrap over seeds; none for a single seed)."""

    mean: float
    n: int
    low: float | None
    high: float | None


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval of one value a seed."""
    data = np.asarray(values, dtype=float)
    if len(data) < 2:
        return Estimate(float(data.mean()), len(data), None, None)
    rng = np.random.default_rng(0)
    means = rng.choice(data, (10_000, len(data))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(data.mean()), len(data), float(low), float(high))


def rows(experiments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """One row a claim of every experiment (or the named ones), those without a claim one row each."""
    by_name: dict[str, list[Record]] = {}
    for record in records():
        if record.status != "damaged" and not record.smoke:
            by_name.setdefault(record.experiment, []).append(record)
    names = list(paper.EXPERIMENTS) if experiments is None else [paper.experiment(n).id for n in experiments]
    out = []
    for name in names:
        known = paper.experiment(name)
        measured = [r for r in by_name.get(name, []) if r.budgets]
        for claim in known.claims or (Claim(_metric(known), math.nan, "", ours=False),):
            out.append(_row(known, claim, measured))
    return out


def results_table(experiments: Sequence[str] | None = None) -> pd.DataFrame:
    """`rows` as a DataFrame, a row a claim: ours, the paper's, n, interval, step of steps, protocol, verdict."""
    import pandas as pd

    return pd.DataFrame(rows(experiments), columns=COLUMNS)


def measure(record: Record, metric: str, step: int | None = None) -> float | None:
    """A metric of the paper for one record, scored at a step (None: the newest), or None if it was not scored there."""
    if metric == "steps to MSE < 0.01":
        curve = record.curve
        below = list(curve.loc[curve["valid_mse"] < 0.01, "step"]) if len(curve) else []
        return float(below[0]) if below else None
    scored = [e for e in record.budgets if step is None or e["step"] == step]
    test = scored[-1].get("test", {}) if scored else {}
    if metric == "test error %" and "accuracy" in test:
        return 100 * (1 - float(test["accuracy"]))
    if metric == "test MSE" and "mse" in test:
        return float(test["mse"])
    return None


def official_curve(experiment: str) -> pd.DataFrame:
    """The official learning curve of an experiment: step, train_accuracy, valid_accuracy, valid_batch_accuracy."""
    import pandas as pd

    stem = paper.experiment(experiment).curve
    if stem is None:
        return pd.DataFrame(columns=["step", "train_accuracy", "valid_accuracy", "valid_batch_accuracy"])
    log = pd.read_csv(places.paper() / "curves" / f"{stem}.csv")
    log["column"] = log["split"].replace("val", "valid") + "_" + log["metric"]
    wide = log[log["split"] != "test"].pivot_table(index="step", columns="column", values="value").reset_index()
    return wide.rename(columns={"valid_accuracy_batchstat_bn": "valid_batch_accuracy"})


def published_curve(experiment: str) -> pd.DataFrame:
    """The paper's curve of an adding experiment, digitised from Fig. 4: step, mse."""
    import pandas as pd

    net, _, length = paper.experiment(experiment).id.removeprefix("adding_").rpartition("_T")
    label = {"indrnn": "IndRNN", "lstm": "LSTM", "irnn": "IRNN", "rnn_tanh": "RNN-tanh"}[net]
    points = pd.read_csv(places.paper() / "tables" / "fig4_adding_digitised.csv")
    chosen = points[(points["T"] == int(length)) & (points["model"].str.startswith(label))]
    return chosen.rename(columns={"mse_mid": "mse"})[["step", "mse"]].reset_index(drop=True)


def parity(record: Record) -> pd.DataFrame:
    """Ours minus the official log at every step that both have: step, train_accuracy, valid_accuracy, ..."""
    official = official_curve(record.experiment)
    both = record.curve.merge(official, on="step", suffixes=("", "_official")) if len(record.curve) else official[:0]
    out = both[["step"]].copy()
    for column in ("train_accuracy", "valid_accuracy", "valid_batch_accuracy"):
        if f"{column}_official" in both:
            out[column] = both[column] - both[f"{column}_official"]
    return out


def parity_table(measured: Sequence[Record]) -> pd.DataFrame:
    """Ours, the official log and the difference in points at every step that both have, a row a step and seed."""
    import pandas as pd

    frames = [pd.DataFrame()]
    for record in measured:
        if not _has_curve(record):
            continue
        difference = parity(record)
        both = record.curve.merge(official_curve(record.experiment), on="step", suffixes=(" ours", " official"))
        for column, label in (("train_accuracy", "train"), ("valid_batch_accuracy", "validation, batch statistics")):
            frame = pd.DataFrame({"experiment": record.experiment, "seed": record.seed, "step": both["step"]})
            frame["accuracy"] = label
            frame["ours, %"] = (100 * both[f"{column} ours"]).round(2)
            frame["official log, %"] = (100 * both[f"{column} official"]).round(2)
            frame["difference, points"] = (100 * difference[column]).round(2)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def parity_of(measured: Sequence[Record]) -> float | None:
    """The mean absolute difference to the official curve (train, and validation with batch statistics), over seeds."""
    found = [parity(record)[["train_accuracy", "valid_batch_accuracy"]] for record in measured if _has_curve(record)]
    values = [frame.abs().to_numpy().mean() for frame in found if len(frame)]
    return float(np.mean(values)) if values else None


def write_tables(folder: Path | None = None) -> Path:
    """Write the table as CSV, LaTeX, HTML and JSON into results/tables/ (or another folder); returns the folder."""
    folder = make_folder(folder or places.results() / "tables")
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
        from .config import canonical_json

        return canonical_json([_plain(row) for row in table.to_dict("records")]) + "\n"
    if format_ == "csv":
        guarded = table.map(lambda v: f"'{v}" if isinstance(v, str) and v[:1] in ("=", "+", "-", "@") else v)
        return str(guarded.to_csv(index=False))
    shown = readable(table)
    if format_ == "latex":
        return str(shown.to_latex(index=False, escape=True))
    if format_ == "html":
        return str(shown.to_html(index=False, escape=True, na_rep=""))
    if format_ == "markdown":
        lines = ["| " + " | ".join(shown.columns) + " |", "|" + " --- |" * len(shown.columns)]
        lines += ["| " + " | ".join(str(v).replace("|", "\\|") for v in row) + " |" for row in shown.to_numpy()]
        return "\n".join(lines) + "\n"
    return str(shown.to_string(index=False)) + "\n"


def verify() -> list[str]:
    """Re-read every record and check every hash; a line for each that is damaged, none if all is well."""
    complaints = []
    for record in records():
        try:
            record.verify()
        except StoreError as error:
            complaints.append(str(error))
    return complaints


def _row(known: Experiment, claim: Claim, measured: list[Record]) -> dict[str, Any]:
    newest = max((r.budgets[-1] for r in measured), key=lambda e: int(e["step"]), default=None)
    step = newest["step"] if newest else None  # seeds are averaged at one step, the furthest that is scored
    values = {r.seed: v for r in measured if (v := measure(r, claim.metric, step)) is not None}
    ours = estimate(list(values.values())) if values else None
    nearness = parity_of(measured) if known.curve and claim.metric == "test error %" else None
    reaches_end = bool(measured) and all(r.run.result() is not None for r in measured)
    decided = reaches_end or (claim.metric.startswith("steps to") and len(values) == len(measured) > 0)
    return {
        "table": known.where,
        "experiment": known.id,
        "metric": claim.metric,
        "ours": ours.mean if ours else None,
        "n": ours.n if ours else 0,
        "low": ours.low if ours else None,
        "high": ours.high if ours else None,
        "paper": None if math.isnan(claim.value) else claim.value,
        "source": claim.source,
        "budget": ("paper" if reaches_end else "quick" if newest else None),
        "step": step,
        "steps": known.config.train.steps or _official_steps(known),
        "device": newest["provenance"]["device"] if newest else None,
        "protocol": PROTOCOLS[known.config.train.bn_statistics]
        if known.config.model.norm != "none"
        else "best validation weights",
        "verdict": verdict(claim, ours, decided, nearness, bool(measured), _gap(known, claim)),
        "parity": nearness,
        "note": "" if measured else f"workbench run {known.id} --budget quick",
    }


def verdict(
    claim: Claim, ours: Estimate | None, decided: bool, nearness: float | None, begun: bool, gap: float = math.inf
) -> str:
    """The word for a row; see the top of this file. Lower is better in every metric here."""
    if math.isnan(claim.value):
        return "no claim" if begun else "not run"
    if not begun:
        return "reference" if not claim.ours else "not run"
    if not claim.ours:
        return "reference"
    if decided and ours is not None and ours.n >= 3 and ours.low is not None and ours.high is not None:
        if ours.low > claim.value:
            return "not reproduced"
        if (ours.high - ours.low) / 2 <= gap / 2:
            return "reproduced"
    if nearness is not None and nearness <= TOLERANCE:
        return "on course"
    return "inconclusive"


def _gap(known: Experiment, claim: Claim) -> float:
    """How far the nearest other published number of the same task and metric is: what an interval must tell apart."""
    others = [
        c.value
        for e in paper.EXPERIMENTS.values()
        if e.config.task == known.config.task
        for c in e.claims
        if c.metric == claim.metric and c.log == claim.log and c.value != claim.value
    ]
    return min((abs(value - claim.value) for value in others), default=math.inf)


def _metric(known: Experiment) -> str:
    return "test MSE" if known.config.task.name == "adding" else "test error %"


def _official_steps(known: Experiment) -> int | None:
    """How long the official run was, where the schedule is open-ended."""
    curve = official_curve(known.id)
    return int(curve["step"].max()) if len(curve) else None


def _has_curve(record: Record) -> bool:
    known = paper.EXPERIMENTS.get(record.experiment)
    return known is not None and known.curve is not None and len(record.curve) > 0


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
        interval = f" [{number(row['low'])}, {number(row['high'])}]" if row["low"] is not None else ""
        of = f" of {int(row['steps']):,}" if row["steps"] else ""
        out.append(
            {
                "table": row["table"],
                "experiment": row["experiment"],
                "metric": row["metric"],
                "ours (95 %)": number(row["ours"]) + interval,
                "n": row["n"],
                "paper": number(row["paper"]),
                "source": row["source"],
                "step": f"{int(row['step']):,}{of}" if row["step"] is not None else "",
                "parity": "" if row["parity"] is None else f"{100 * row['parity']:.1f} points",
                "verdict": row["verdict"],
            }
        )
    return pd.DataFrame(out)
