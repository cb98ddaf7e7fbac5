"""Learning curves beside the published ones, at equal steps: how a small budget verifies a big claim."""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from .. import files, paper
from ..runs.record import Record

COMPARED = {
    "train_accuracy": "train accuracy, %",
    "valid_accuracy": "validation accuracy, %",
    "valid_batch_accuracy": "validation accuracy, batch statistics, %",
    "train_bpc": "train, bits a character",
    "valid_bpc": "validation, bits a character",
    "train_perplexity": "train perplexity",
    "valid_perplexity": "validation perplexity",
    "valid_mse": "validation MSE",
}
TWINS = tuple(f"permmnist_plain12_h128_drop0.1_bs32_pThre100_run{run}" for run in (9652, 9704))


def official_curve(experiment: str) -> pd.DataFrame:
    """The official learning curve of an experiment: step, train_..., valid_..., valid_batch_... (statistics of the
    batch), of its metric: accuracy (as a share), bpc or perplexity. Empty where there is no log.

    The logs of the treebank count epochs, their steps being of random length; an epoch is `evaluate_every` steps here.
    """
    known = paper.experiment(experiment)
    if known.curve is None:
        return pd.DataFrame(columns=["step", "train_accuracy", "valid_accuracy", "valid_batch_accuracy"])
    log = _log(known.curve)
    log["step"] = log["step"].fillna(log["eval"] * known.config.train.evaluate_every).astype(int)
    return log.pivot_table(index="step", columns="column", values="value").reset_index()


def _log(stem: str) -> pd.DataFrame:
    """Training and validation rows of an official log, with the name of our column beside each."""
    log = pd.read_csv(files.paper() / "curves" / f"{stem}.csv")
    log = log[log["split"] != "test"].copy()
    metric = log["metric"].str.removesuffix("_batchstat_bn")
    batch = log["metric"].str.endswith("_batchstat_bn").map({True: "batch_", False: ""})
    log["column"] = log["split"].replace("val", "valid") + "_" + batch + metric
    return log


def published_curve(experiment: str) -> pd.DataFrame:
    """The paper's curve of an adding experiment, digitised from Fig. 4: step, mse; empty for a net that it lacks."""
    net, _, length = paper.experiment(experiment).id.removeprefix("adding_").rpartition("_T")
    label = {"indrnn": "IndRNN", "lstm": "LSTM", "irnn": "IRNN", "rnn_tanh": "RNN-tanh"}.get(net)
    points = pd.read_csv(files.paper() / "tables" / "fig4_adding_digitised.csv")
    shown = points["model"].str.startswith(label) if label else False
    chosen = points[(points["T"] == int(length)) & shown]
    return chosen.rename(columns={"mse_mid": "mse"})[["step", "mse"]].reset_index(drop=True)


def theirs(experiment: str) -> pd.DataFrame:
    """The curve that ours are compared with: the official log's, or the paper's Fig. 4 (step, valid_mse); or empty."""
    known = paper.experiment(experiment)
    if known.curve is None and known.config.task.name == "adding":
        return published_curve(experiment).rename(columns={"mse": "valid_mse"})
    return official_curve(experiment)


def parity(record: Record) -> pd.DataFrame:
    """Ours minus theirs at every step that both have: step, train_accuracy, valid_accuracy, ..."""
    official = theirs(record.experiment)
    both = record.curve.merge(official, on="step", suffixes=("", "_official")) if len(record.curve) else official[:0]
    out = both[["step"]].copy()
    for column in official.columns.drop("step"):
        if f"{column}_official" in both:
            out[column] = both[column] - both[f"{column}_official"]
    return out


def parity_table(measured: Sequence[Record]) -> pd.DataFrame:
    """Ours, the official log and the difference at every step that both have: each seed, then their mean.

    Accuracies in per cent and points, bits a character and perplexities as they are. A mean is of the newest numerics
    alone; seeds of others beside it say which.
    """
    rows, shown = [], [record for record in measured if _has_curve(record)]
    newest = {name: max(r.numerics for r in shown if r.experiment == name) for name in {r.experiment for r in shown}}
    for record in shown:
        older = f", numerics {record.numerics}" if record.numerics < newest[record.experiment] else ""
        log = official_curve(record.experiment)
        both = record.curve.merge(log, on="step", suffixes=(" ours", " official"))
        for column, label in ((name, COMPARED[name]) for name in _compared(log)):
            if f"{column} official" not in both:
                continue
            scale = 100 if column.endswith("accuracy") else 1
            for _, row in both.iterrows():
                ours, official = scale * row[f"{column} ours"], scale * row[f"{column} official"]
                rows.append((record.experiment, label, int(row["step"]), f"{record.seed}{older}", ours, official))
    columns = ["experiment", "curve", "step", "seed", "ours", "official log"]
    table, by = pd.DataFrame(rows, columns=columns), ["experiment", "curve", "step"]
    means = (
        table[table["seed"].str.isdigit()]
        .groupby(by)
        .agg({"seed": "size", "ours": "mean", "official log": "mean"})
        .reset_index()
    )
    means = means[means["seed"].astype(int) > 1].assign(seed="mean")
    table = pd.concat([table, means]).sort_values([*by, "seed"], ignore_index=True)[columns]
    table["difference"] = table["ours"] - table["official log"]
    return table.round(2)


def nearness(measured: Sequence[Record]) -> pd.DataFrame:
    """Measure how near our curves are to every published one, a row a curve; records of no such curve are left out, and
    of an experiment those of older numerics than its newest.

    `seeds` of ours, `until` the last step that both have, `points` compared; `difference`: the mean of |ours - theirs|
    over steps and seeds. Beside it what the same steps can tell apart at all: `another net`, the same between the
    published curve and the nearest of other nets on the same task (`which`), who are wrong by construction; and what
    chance alone is worth: `pair`, between two official runs of one configuration, and `ours apart`, between any two
    seeds of ours, each where there are two.
    Accuracies in points, bits a character and perplexities in per cent of the official value, squared errors of the
    adding problem in per cent of its target's variance.
    """
    rows = []
    for known in paper.EXPERIMENTS.values():
        if not len(published := theirs(known.id)):
            continue
        runs = [(record, parity(record)) for record in measured if record.experiment == known.id and _has_curve(record)]
        newest = max((record.numerics for record, apart in runs if len(apart)), default=0)
        runs = [(record, apart) for record, apart in runs if len(apart) and record.numerics == newest]
        until = max((int(apart["step"].max()) for _, apart in runs), default=None)
        for column in _compared(published):
            those = [(record, apart) for record, apart in runs if column in apart and apart[column].notna().any()]
            far = [_distance(apart.set_index("step")[column], published) for _, apart in those]
            twins = official_pair(known.id, until, column) if until and far else None
            among = _among([record for record, _ in those], column, published)
            which, wrong = _nearest(known.id, column, published, until) if until and far else (None, None)
            points = sum(int(apart[column].notna().sum()) for _, apart in those)
            unit = "points" if column.endswith("accuracy") else "%"
            counted = (known.id, COMPARED[column].removesuffix(", %"), len(far), until if far else None, points)
            apart = (float(np.mean(far)) if far else None, wrong, twins, among)
            rows.append((*counted, *(None if share is None else 100 * share for share in apart), which, unit))
    distances = ["difference", "another net", "pair", "ours apart"]
    columns = ["experiment", "curve", "seeds", "until", "points", *distances, "which", "unit"]
    return pd.DataFrame(rows, columns=columns)


def told(near: pd.DataFrame) -> pd.DataFrame:
    """`nearness` of what has begun, for people: distances to two digits, and whether the curve tells nets apart."""
    begun = near[near["seeds"] > 0]
    far = begun[["difference", "another net", "pair", "ours apart"]].astype(float)
    shown = far.map(lambda value: "" if np.isnan(value) else f"{value:.2f}")
    alike = far[["pair", "ours apart"]].max(axis=1)
    told = begun[["experiment", "curve", "seeds", "unit"]].copy()
    told["to step"] = begun["until"].map(lambda step: f"{step:,.0f}")
    told["ours"] = shown["difference"]
    told["nearest other net"] = shown["another net"] + (" " + begun["which"]).fillna("")
    told[["two official runs", "two seeds of ours"]] = shown[["pair", "ours apart"]]
    told["it tells"] = list(map(_tells, far["difference"], far["another net"], alike))
    return told


def _tells(ours: float, other: float, alike: float) -> str:
    """The word of a curve of our net: nothing, where two runs of one net lie as far apart as another net."""
    if np.isnan(other):
        return "nothing: no other net's curve is published"
    if alike >= other:
        return "nothing: two runs of one net lie as far apart"
    return "nearer than any other net" if ours < other else "no nearer than another net"


def _nearest(experiment: str, column: str, published: pd.DataFrame, until: int) -> tuple[str | None, float | None]:
    """The other net on the same task whose published curve is nearest up to a step, and how far it is."""
    known = paper.experiment(experiment)
    others = [e.id for e in paper.EXPERIMENTS.values() if e.config.task == known.config.task and e.id != known.id]
    own = published.set_index("step")[column]
    far: dict[str, float] = {}
    for name in others:
        theirs_ = theirs(name)
        if column not in theirs_ or not len(theirs_):
            continue
        apart = (own - theirs_.set_index("step")[column]).dropna()
        apart = apart[apart.index <= until]
        if len(apart):
            far[name] = _distance(apart.rename(column), published)
    return min(far.items(), key=lambda item: item[1], default=(None, None))


def _compared(published: Container[Any]) -> list[str]:
    """Those of a published curve's columns that are compared.

    Validation accuracy with stored statistics scatters down to chance, theirs and ours, so it counts only where the log
    has no accuracy with the statistics of the batch.
    """
    left_out = {"valid_accuracy"} if "valid_batch_accuracy" in published else set()
    return [column for column in COMPARED if column in published and column not in left_out]


def _distance(difference: pd.Series[float], published: pd.DataFrame) -> float:
    """The mean of |difference| (indexed by step): accuracy as a share, MSE of the adding problem as a share of its
    target's variance, 1/6; the rest relative to the published value."""
    column = str(difference.name)
    scale: Any = 1.0
    if column.endswith("mse"):
        scale = 1 / 6
    elif not column.endswith("accuracy"):
        scale = published.set_index("step")[column].loc[difference.index].to_numpy()
    return float(np.nanmean(difference.abs().to_numpy() / scale))


def _among(measured: Sequence[Record], column: str, published: pd.DataFrame) -> float | None:
    """`_distance` between our own seeds: the mean over pairs, at the steps that they and the published curve have."""
    ours = [r.curve.set_index("step")[column] for r in measured]
    pairs = ((one - other).dropna() for one, other in combinations(ours, 2))
    common = [pair[pair.index.isin(published["step"])] for pair in pairs]
    far = [_distance(pair.rename(column), published) for pair in common if len(pair)]
    return float(np.mean(far)) if far else None


def official_pair(experiment: str, until: int, column: str) -> float | None:
    """Distance of two official runs of one configuration up to a step, as in `nearness`; None without twins.

    Only permuted MNIST has twins: logs 9652 and 9704 (12 layers) differ in permutation, split and shuffling alone.
    """
    if paper.experiment(experiment).id.partition("_")[0] != "permmnist":
        return None
    first, second = (_log(stem).set_index(["step", "column"])["value"] for stem in TWINS)
    apart = (first - second).dropna().abs().reset_index()
    near = apart.loc[(apart["step"] <= until) & (apart["column"] == column), "value"]
    return float(near.mean()) if len(near) else None


def _has_curve(record: Record) -> bool:
    return record.experiment in paper.EXPERIMENTS and len(record.curve) > 0 and len(theirs(record.experiment)) > 0
