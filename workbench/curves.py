"""Learning curves beside the official ones, at equal steps: how a small budget verifies a big claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from . import paper, places
from .record import Record

if TYPE_CHECKING:
    import pandas as pd

# Compared with the official curve. Validation accuracy with stored statistics scatters down to chance, theirs and ours.
COMPARED = {
    "train_accuracy": "train accuracy, %",
    "valid_batch_accuracy": "validation accuracy, batch statistics, %",
    "train_bpc": "train, bits a character",
    "valid_bpc": "validation, bits a character",
    "train_perplexity": "train perplexity",
    "valid_perplexity": "validation perplexity",
}
TWINS = (
    "permmnist_plain12_h128_drop0.1_bs32_pThre100_run9652",
    "permmnist_plain12_h128_drop0.1_bs32_pThre100_run9704",
)


def official_curve(experiment: str) -> pd.DataFrame:
    """The official learning curve of an experiment: step, train_..., valid_..., valid_batch_... (statistics of the
    batch), of its metric: accuracy (as a share), bpc or perplexity. Empty where there is no log.

    The logs of the treebank count epochs, their steps being of random length; an epoch is `evaluate_every` steps here.
    """
    import pandas as pd

    known = paper.experiment(experiment)
    if known.curve is None:
        return pd.DataFrame(columns=["step", "train_accuracy", "valid_accuracy", "valid_batch_accuracy"])
    log = _log(known.curve)
    log["step"] = log["step"].fillna(log["eval"] * known.config.train.evaluate_every).astype(int)
    return log.pivot_table(index="step", columns="column", values="value").reset_index()


def _log(stem: str) -> pd.DataFrame:
    """Training and validation rows of an official log, with the name of our column beside each."""
    import pandas as pd

    log = pd.read_csv(places.paper() / "curves" / f"{stem}.csv")
    log = log[log["split"] != "test"].copy()
    metric = log["metric"].str.removesuffix("_batchstat_bn")
    batch = log["metric"].str.endswith("_batchstat_bn").map({True: "batch_", False: ""})
    log["column"] = log["split"].replace("val", "valid") + "_" + batch + metric
    return log


def published_curve(experiment: str) -> pd.DataFrame:
    """The paper's curve of an adding experiment, digitised from Fig. 4: step, mse; empty for a net that it lacks."""
    import pandas as pd

    net, _, length = paper.experiment(experiment).id.removeprefix("adding_").rpartition("_T")
    label = {"indrnn": "IndRNN", "lstm": "LSTM", "irnn": "IRNN", "rnn_tanh": "RNN-tanh"}.get(net)
    points = pd.read_csv(places.paper() / "tables" / "fig4_adding_digitised.csv")
    shown = points["model"].str.startswith(label) if label else False
    chosen = points[(points["T"] == int(length)) & shown]
    return chosen.rename(columns={"mse_mid": "mse"})[["step", "mse"]].reset_index(drop=True)


def parity(record: Record) -> pd.DataFrame:
    """Ours minus the official log at every step that both have: step, train_accuracy, valid_accuracy, ..."""
    official = official_curve(record.experiment)
    both = record.curve.merge(official, on="step", suffixes=("", "_official")) if len(record.curve) else official[:0]
    out = both[["step"]].copy()
    for column in official.columns.drop("step"):
        if f"{column}_official" in both:
            out[column] = both[column] - both[f"{column}_official"]
    return out


def parity_table(measured: Sequence[Record]) -> pd.DataFrame:
    """Ours, the official log and the difference at every step that both have: each seed, then their mean.

    Accuracies in per cent and points, bits a character and perplexities as they are.
    """
    import pandas as pd

    rows = []
    for record in measured:
        if not _has_curve(record):
            continue
        both = record.curve.merge(official_curve(record.experiment), on="step", suffixes=(" ours", " official"))
        for column, label in COMPARED.items():
            if f"{column} official" not in both:
                continue
            scale = 100 if column.endswith("accuracy") else 1
            for _, row in both.iterrows():
                ours, official = scale * row[f"{column} ours"], scale * row[f"{column} official"]
                rows.append((record.experiment, label, int(row["step"]), str(record.seed), ours, official))
    columns = ["experiment", "curve", "step", "seed", "ours", "official log"]
    table, by = pd.DataFrame(rows, columns=columns), ["experiment", "curve", "step"]
    means = table.groupby(by).agg({"seed": "size", "ours": "mean", "official log": "mean"}).reset_index()
    means = means[means["seed"].astype(int) > 1].assign(seed="mean")
    table = pd.concat([table, means]).sort_values([*by, "seed"], ignore_index=True)[columns]
    table["difference"] = table["ours"] - table["official log"]
    return table.round(2)


def nearness(measured: Sequence[Record]) -> pd.DataFrame:
    """How near our curves are to every official log, a row a curve; records of no official curve are left out.

    `seeds` of ours, `until` the last step that both have, `points` compared; `difference`: the mean of
    |ours - official| over steps and seeds, `twins`: that of two official runs of one configuration over the same
    steps, where there are two. Accuracies in points, bits a character and perplexities in per cent of the official
    value.
    """
    import pandas as pd

    rows = []
    for known in (one for one in paper.EXPERIMENTS.values() if one.curve is not None):
        official = official_curve(known.id)
        runs = [(record, parity(record)) for record in measured if record.experiment == known.id and _has_curve(record)]
        runs = [(record, apart) for record, apart in runs if len(apart)]
        until = max((int(apart["step"].max()) for _, apart in runs), default=None)
        for column, label in COMPARED.items():
            if column not in official:
                continue
            value = official.set_index("step")[column]
            far = [
                100
                * np.nanmean(apart[column].abs() / (1 if column.endswith("accuracy") else value[apart["step"]].values))
                for _, apart in runs
                if column in apart
            ]
            twins = twin_spread(known.id, until, column) if until and far else None
            rows.append(
                {
                    "experiment": known.id,
                    "curve": label.removesuffix(", %"),
                    "seeds": len(far),
                    "until": until if far else None,
                    "points": sum(len(apart) for _, apart in runs) if far else 0,
                    "difference": float(np.mean(far)) if far else None,
                    "twins": None if twins is None else 100 * twins,
                    "unit": "points" if column.endswith("accuracy") else "%",
                }
            )
    return pd.DataFrame(rows)


def parity_of(measured: Sequence[Record]) -> float | None:
    """The mean distance to the official curve, over COMPARED columns, steps and seeds; None where there is none.

    In accuracy as a share; for bits a character and perplexity relative to the official value.
    """
    values = []
    for record in measured:
        if _has_curve(record) and len(difference := parity(record)):
            official = official_curve(record.experiment).set_index("step").loc[difference["step"]]
            for column in COMPARED.keys() & difference.columns:
                scale = 1 if column.endswith("accuracy") else official[column].to_numpy()
                values.append(np.nanmean(difference[column].abs().to_numpy() / scale))
    return float(np.mean(values)) if values else None


def twin_spread(experiment: str, until: int, column: str | None = None) -> float | None:
    """How far two official runs of one configuration lie apart up to a step, as in `parity_of`; None without twins.

    Over all COMPARED columns, or in one of them.

    Only permuted MNIST has twins: logs 9652 and 9704 (12 layers) differ in permutation, split and shuffling alone.
    """
    if paper.experiment(experiment).id.partition("_")[0] != "permmnist":
        return None
    first, second = (_log(stem).set_index(["step", "column"])["value"] for stem in TWINS)
    apart = (first - second).dropna().abs().reset_index()
    near = apart[(apart["step"] <= until) & apart["column"].isin(COMPARED if column is None else [column])]
    return float(near.groupby("column")["value"].mean().mean()) if len(near) else None


def _has_curve(record: Record) -> bool:
    known = paper.EXPERIMENTS.get(record.experiment)
    return known is not None and known.curve is not None and len(record.curve) > 0
