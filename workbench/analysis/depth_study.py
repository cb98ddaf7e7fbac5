"""Effect of depth on the variants of a study: how large they are, what they cost, how much gradient arrives where."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from .. import tasks
from ..models.build import build, count
from ..training import Trainer
from ..training.gradients import recurrent
from .statistics import mean as interval
from .variants import Variants

START, END = "first weights", "last evaluation"


def sizes(variants: Variants) -> pd.DataFrame:
    """A row a variant: recurrent layers, parameters, and the processor milliseconds that a step took, evaluations and
    all, of the seed that took the fewest: other work on the machine only adds to them."""
    rows = []
    for each, records in variants.runs.items():
        if not records:  # nothing of it is here
            continue
        config = records[0].config
        net = build(config.model, tasks.spec(config.task))
        spent = [1000 * r.budgets[-1]["cost"]["cpu_s"] / r.budgets[-1]["step"] for r in records if r.budgets]
        size = {"layers": len(recurrent(net)), "parameters": count(net), "ms a step": min(spent, default=math.nan)}
        rows.append({"group": each.group, "variant": each.name, **size})
    return pd.DataFrame(rows)


def layered(table: pd.DataFrame, variants: Variants) -> pd.DataFrame:
    """A table of variants (`Variants.table`) with the recurrent layers of each."""
    return table.merge(sizes(variants)[["group", "variant", "layers"]], on=["group", "variant"])


def gradients(variants: Variants) -> pd.DataFrame:
    """A row a run, moment and layer: group, variant, seed, moment, layer (1 reads the input), gradient.

    The norm of the loss's gradient by the layer's output, all steps together, of the first validation batch: with the
    first weights, computed here, and as recorded at the last evaluation (`train.watch_layers`).
    """
    rows: list[dict[str, Any]] = []
    for each, records in variants.runs.items():
        for record in records:
            watched = [row["layers"] for row in record.evaluations if "layers" in row]
            moments = [(START, Trainer(record.config, record.seed).by_layer()), *((END, last) for last in watched[-1:])]
            for moment, norms in moments:
                named = {"group": each.group, "variant": each.name, "seed": record.seed, "moment": moment}
                rows += [named | {"layer": i, "gradient": norm} for i, norm in enumerate(norms, 1)]
    return pd.DataFrame(rows).astype({"gradient": float})  # one that was not finite is none


def arriving(gradients: pd.DataFrame) -> pd.DataFrame:
    """A row a variant and moment: layers, and the power of ten, `mean`, `low`, `high` (t, 95 %, over seeds), between
    the gradient that arrives at the lowest layer and the one at the highest; nothing arriving at all gives none."""
    rows = []
    for (group, variant, moment), runs in gradients.groupby(["group", "variant", "moment"], sort=False):
        ends = [(run.iloc[0], run.iloc[-1]) for _, run in runs.sort_values("layer").groupby("seed")["gradient"]]
        powers = [math.log10(low / high) for low, high in ends if low > 0 and high > 0]
        known = [power for power in powers if math.isfinite(power)]
        row: dict[str, Any] = {"group": group, "variant": variant, "moment": moment}
        row |= {"layers": int(runs["layer"].max()), "seeds": len(ends)}
        if known:
            found = interval(known)
            row |= {"with a value": found.n, "mean": found.mean, "low": found.low, "high": found.high}
        rows.append(row)
    return pd.DataFrame(rows)
