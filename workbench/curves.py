"""Learning curves beside the official ones, at equal steps: how a small budget verifies a big claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from . import paper, places
from .record import Record

if TYPE_CHECKING:
    import pandas as pd


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
    """Ours, the official log and the difference in points at every step that both have: each seed, then their mean."""
    import pandas as pd

    rows = []
    for record in measured:
        if not _has_curve(record):
            continue
        both = record.curve.merge(official_curve(record.experiment), on="step", suffixes=(" ours", " official"))
        for column, label in (("train_accuracy", "train"), ("valid_batch_accuracy", "validation, batch statistics")):
            for _, row in both.iterrows():
                ours, official = 100 * row[f"{column} ours"], 100 * row[f"{column} official"]
                rows.append((record.experiment, label, int(row["step"]), str(record.seed), ours, official))
    columns = ["experiment", "accuracy", "step", "seed", "ours, %", "official log, %"]
    table, by = pd.DataFrame(rows, columns=columns), ["experiment", "accuracy", "step"]
    means = table.groupby(by).agg({"seed": "size", "ours, %": "mean", "official log, %": "mean"}).reset_index()
    means = means[means["seed"].astype(int) > 1].assign(seed="mean")
    table = pd.concat([table, means]).sort_values([*by, "seed"], ignore_index=True)[columns]
    table["difference, points"] = table["ours, %"] - table["official log, %"]
    return table.round(2)


def parity_of(measured: Sequence[Record]) -> float | None:
    """The mean absolute difference to the official curve (train, and validation with batch statistics), over seeds."""
    found = [parity(record)[["train_accuracy", "valid_batch_accuracy"]] for record in measured if _has_curve(record)]
    values = [frame.abs().to_numpy().mean() for frame in found if len(frame)]
    return float(np.mean(values)) if values else None


def _has_curve(record: Record) -> bool:
    known = paper.EXPERIMENTS.get(record.experiment)
    return known is not None and known.curve is not None and len(record.curve) > 0
