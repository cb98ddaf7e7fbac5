"""Results of the variants of a study: scores over seeds with intervals, and differences from a reference, seed by seed.

Intervals are Student's t at 95 %, over seeds. Two variants under one seed share data order and, where their shapes
agree, first values, so they are compared in pairs. A difference is claimed where p < 0.05 after Holm's correction
(1979) over the comparisons of one call, and its interval then excludes 0. Variants of which a seed has no value are not
compared: those that failed may not be left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..errors import ParameterError, RunError, choices, quoted
from ..paper.claims import STEPS
from ..runs import variants
from ..runs.planned_run import take
from ..runs.record import Record
from ..runs.variants import Variant
from . import counting
from .statistics import LEVEL, Interval, holm, possible
from .statistics import mean as interval

_REDUCED = re.compile(r"(last|highest|lowest|first step) (\w+)(?: ([<>]) (-?\d*\.?\d+(?:e[+-]?\d+)?))?")


def curve(record: Record) -> pd.DataFrame:
    """A record's curve with accuracies in per cent, and `u_max`, the largest |u| of all layers."""
    frame = record.curve.drop(columns="outcome", errors="ignore")  # which is a word
    for column in map(str, frame):
        if column.endswith("_accuracy"):
            frame[column] = 100 * frame[column].astype(float)
    largest = [max((float(u.abs().max()) for u in layers.values()), default=math.nan)
               for layers in record.recurrent_weights().values()]  # fmt: skip
    return frame.assign(u_max=largest) if len(frame) else frame


def value(record: Record, measure: str) -> float | None:
    """One number of a record, None where it has none.

    `measure`: a metric of the paper's tables (`test accuracy %`, `test MSE`, ...), of the weights that validation
    chose, or the same on validation (`valid accuracy %`); or of the curve `last COLUMN`, `highest COLUMN`, `lowest
    COLUMN`, `first step COLUMN < number` (or >); `log10` in front takes the logarithm. Columns are those of `curve`.
    """
    if measure.startswith("log10 "):
        plain = value(record, measure.removeprefix("log10 "))
        return math.log10(plain) if plain is not None and plain > 0 else None
    if measure in (*counting.METRICS, STEPS):
        return counting.measure(record, measure)
    on_test = measure.replace("valid ", "test ", 1)
    if on_test in counting.METRICS and on_test != measure:
        scores = record.budgets[-1].get("valid", {}) if record.budgets else {}
        return counting.scored(scores, on_test)
    found = _REDUCED.fullmatch(measure)
    if found is None or (found[1] == "first step") != (found[3] is not None):
        forms = "last, highest or lowest COLUMN, first step COLUMN < number"
        raise ParameterError(
            f"measure: {quoted(measure)} is unknown; choose {forms}, or one of {choices(counting.METRICS)}"
        )
    frame = curve(record)
    if found[2] not in frame:
        if len(frame):
            raise ParameterError(
                f"measure: {quoted(found[2])} is no column of the curve; choose one of {choices(frame)}"
            )
        return None
    rows = frame[["step", found[2]]].dropna()
    if found[1] == "first step":
        limit = float(found[4])
        rows = rows[rows[found[2]] < limit if found[3] == "<" else rows[found[2]] > limit]
        return float(rows["step"].min()) if len(rows) else None
    if not len(rows):
        return None
    seen = rows[found[2]]
    return float({"last": seen.iloc[-1], "highest": seen.max(), "lowest": seen.min()}[found[1]])


class Variants:
    """A study's variants and their records: `wb.Variants(study.values)` trains what is not recorded, or takes what
    is recorded where `records` is `published`; `variants["64 steps"]` is a group of them, `variants["64 steps", "784
    steps"]` are two. `runs`: variant -> its records, one a
    seed."""

    def __init__(self, values: Mapping[str, Any], runs: Mapping[Variant, Sequence[Record]] | None = None):
        if runs is None:
            own = values.get("records", "own") == "own"
            runs = {each: take(mine, values["device"], own=own) for each, mine in variants.runs(values).items()}
        self.values, self.runs = values, runs

    def __getitem__(self, groups: str | tuple[str, ...]) -> Variants:
        wanted = (groups,) if isinstance(groups, str) else groups
        known = {each.group for each in self.runs}
        if strangers := [group for group in wanted if group not in known]:
            raise ParameterError(f"group: {quoted(strangers[0])} is unknown; choose one of {choices(known)}")
        return Variants(self.values, {each: records for each, records in self.runs.items() if each.group in wanted})

    def scores(self, measure: str) -> pd.DataFrame:
        """A row a run: group, variant, seed, status, the step it came to, and its value."""
        if not any(self.runs.values()):
            groups = ", ".join(dict.fromkeys(each.group for each in self.runs))
            raise RunError(f"{groups}: nothing of it is recorded yet; the button above trains it")
        rows = [
            {"group": each.group, "variant": each.name, "seed": r.seed, "status": r.status}
            | {"step": r.budgets[-1]["step"] if r.budgets else r.step, measure: value(r, measure)}
            for each, records in self.runs.items()
            for r in records
        ]
        found = pd.DataFrame(rows).astype({measure: float})
        return found.replace({measure: [math.inf, -math.inf]}, math.nan)  # which is no value

    def weights(self) -> pd.DataFrame:
        """A row a run: group, variant, seed, and the beginning of the hash of its last weights: are two trained
        alike?"""
        return pd.DataFrame(
            {"group": each.group, "variant": each.name, "seed": r.seed, "weights": r.budgets[-1]["weights_sha256"][:12]}
            for each, records in self.runs.items()
            for r in records
            if r.budgets and r.budgets[-1].get("weights_sha256")
        )

    def table(self, measure: str) -> pd.DataFrame:
        """A row a variant: seeds, how many of them diverged and how many have a value, its mean and 95 % interval."""
        rows = []
        for (group, name), runs in self.scores(measure).groupby(["group", "variant"], sort=False):
            known = runs[measure].dropna()
            found = interval(list(known)).cut(*possible(measure)) if len(known) else Interval(math.nan, 0)
            diverged = int((runs["status"] == "diverged").sum())
            rows.append((group, name, len(runs), diverged, found.n, found.mean, found.low, found.high))
        counts = ["seeds", "diverged", "with a value"]
        return pd.DataFrame(rows, columns=["group", "variant", *counts, measure, "low", "high"])

    def against(self, reference: str, measure: str) -> pd.DataFrame:
        """A row a comparison with the variant `reference` of the same group: mean difference, its interval, p, Holm's
        p.

        `note` says why two variants are not compared. Groups without that variant are left out.
        """
        scores, rows = self.scores(measure), []
        least, most = possible(measure)
        for group, runs in scores.groupby("group", sort=False):
            if reference not in set(runs["variant"]):
                continue
            table = runs.pivot(index="seed", columns="variant", values=measure)
            for name in runs["variant"].unique():
                if name == reference:
                    continue
                lacking = [f"{n}: {int(table[n].isna().sum())} of {len(table)} seeds without a value"
                           for n in (name, reference) if table[n].isna().any()]  # fmt: skip
                note = "; ".join(lacking) or ("one seed only" if len(table) < 2 else "")
                row = {"group": group, "variant": name, "reference": reference, "pairs": len(table), "note": note}
                if not note:
                    found = interval(list(table[name] - table[reference])).cut(least - most, most - least)
                    row |= {"difference": found.mean, "low": found.low, "high": found.high, "p": found.p}
                rows.append(row)
        if not rows:
            raise ParameterError(
                f"reference: no variant {quoted(reference)}; choose one of {choices(set(scores['variant']))}"
            )
        columns = ["group", "variant", "reference", "pairs", "difference", "low", "high", "p", "holm", "note"]
        frame = pd.DataFrame(rows, columns=columns)
        compared = frame["note"] == ""
        frame.loc[compared, "holm"] = holm(list(frame.loc[compared, "p"]))
        return frame

    def findings(self, reference: str, measure: str) -> Markdown:
        """Each comparison of `against` as a sentence that says no more than its interval does, as a list."""
        rows: list[dict[str, Any]] = self.against(reference, measure).to_dict("records")  # type: ignore[assignment]
        diverged = self.table(measure).set_index(["group", "variant"])["diverged"]
        several, compared = len({row["group"] for row in rows}) > 1, sum(not row["note"] for row in rows)
        how = f"mean difference, paired by seed, [95 % interval], p after Holm; comparisons: {compared}"
        said = [_sentence(row, int(diverged[row["group"], row["variant"]]), several) for row in rows]
        title = f"{measure[0].upper()}{measure[1:]} against *{reference}*: {how}."
        return Markdown("\n".join([title, "", *(f"- {line}" for line in said)]))

    def curves(self, column: str) -> pd.DataFrame:
        """A row an evaluation of each run: group, variant, seed, whether it diverged, step, and a column of `curve`."""
        frames = [
            curve(r)[["step", column]].assign(
                group=each.group, variant=each.name, seed=r.seed, diverged=r.status == "diverged"
            )
            for each, records in self.runs.items()
            for r in records
            if r.evaluations
        ]
        return pd.concat(frames, ignore_index=True)[["group", "variant", "seed", "diverged", "step", column]]


class Markdown(str):
    """Text that a notebook shows as markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


def _sentence(row: Mapping[str, Any], lost: int, several: bool) -> str:
    """A comparison in words; `lost`: the seeds that diverged, `several`: whether its group is named."""
    name = f"{row['group']}, {row['variant']}" if several else row["variant"]
    end = f"; {lost} of {row['pairs']} seeds diverged" if lost else ""
    if row["note"]:
        return f"**{name}**: not compared ({row['note']}){end}."
    shown = row["holm"] < LEVEL
    verdict = ("higher" if row["difference"] > 0 else "lower") if shown else "no difference shown"
    p = "p < 0.001" if row["holm"] < 0.001 else f"p = {row['holm']:.2g}"
    numbers = f"{row['difference']:+.3g} [{row['low']:+.3g}, {row['high']:+.3g}], {p}"
    return f"**{name}**: {verdict}, {numbers}{end}."
