"""Ours beside theirs: records and claims in, rows with a verdict out. Nothing here is typed in; verdicts are computed.

`reproduced`      at the schedule's end, 3 seeds or more, the interval contains or betters the claim and its half-width
                  is at most half the distance to the nearest other published number of the task
`not reproduced`  the same, but worse than the claim
`on course`       not at the end yet, but the learning curve lies on the official one at equal steps: a point apart at
                  most (a per cent of BPC or perplexity), or twice what two official runs of one configuration are
`inconclusive`    recorded, but not enough to say; a seed that has no number (it diverged before its first score, or has
                  not come below the error that is asked for) leaves nothing decided
`not run`         no record; `note` has the command and says why
`reference`       a number that the paper quotes from others, or another number of the same run
`no claim`        ours alone: the paper has no such experiment
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import paper
from ..paper import Claim, Experiment
from ..paper.published import quoted
from ..runs.record import Record, records
from ..tasks.download import SETS
from . import learning_curves

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "table experiment metric ours n low high paper source budget step steps device protocol verdict "
    "examples examples_low examples_high parity note"
).split()
TOLERANCE = 0.01  # of accuracy, or relative: learning curves this near are the same curve
METRICS: dict[str, Callable[[Mapping[str, float]], float]] = {
    "test error %": lambda test: 100 * (1 - test["accuracy"]),
    "test accuracy %": lambda test: 100 * test["accuracy"],
    "test MSE": lambda test: test["mse"],
    "test BPC": lambda test: test["bpc"],
    "test perplexity": lambda test: test["perplexity"],
    "test accuracy %, over 5,000 steps": lambda test: 100 * test["accuracy_long"],
}
SUBSETS = {"test accuracy %, over 5,000 steps": "_long"}  # metrics of a part of the test split, and its name there
QUOTED = ", quoted from others"  # how the source of such a claim ends
HIGHER_IS_BETTER = {"test accuracy %", *SUBSETS}
OWN_METRICS = {
    "adding": ("test MSE",),
    "pixels": ("test error %",),
    "skeletons": ("test accuracy %",),
    "speech": ("test accuracy %", *SUBSETS),
}
PROTOCOLS = {
    "clean": "best validation weights; batch norm statistics re-estimated on training images without dropout",
    "running": "best validation weights; batch norm statistics as training left them",
    "validation": "best validation weights; batch norm statistics re-estimated on validation images (as published)",
    "test": "best validation weights; batch norm statistics of the batch that is scored (as published)",
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


def over_examples(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of n independent examples (Wilson 1927)."""
    z = 1.959964
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def rows(experiments: Sequence[str] | None = None, *, own: bool = False) -> list[dict[str, Any]]:
    """One row a claim of every experiment (or the named ones), those without a claim one row each.

    From all records, published ones too, or from one's `own` alone.
    """
    by_name: dict[str, list[Record]] = {}
    for record in records(own=own):
        if record.status != "damaged" and not record.smoke:
            by_name.setdefault(record.experiment, []).append(record)
    names = list(paper.EXPERIMENTS) if experiments is None else [paper.experiment(n).id for n in experiments]
    out = []
    for name in names:
        known = paper.experiment(name)
        measured = [r for r in by_name.get(name, []) if r.budgets]
        for claim in known.claims or [Claim(metric, math.nan, "", ours=False) for metric in _metrics(known)]:
            out.append(_row(known, claim, measured))
    return out if experiments is not None else out + _references(out)


def _references(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each number that the tables quote from others and that no experiment here stands beside."""
    covered = {(row["table"], row["metric"], row["paper"]) for row in rows if row["source"].endswith(QUOTED)}
    return [
        dict.fromkeys(COLUMNS)
        | {"table": q.table, "experiment": q.model, "metric": q.metric, "paper": q.value, "n": 0}
        | {"source": f"paper {q.table}{QUOTED}", "verdict": "reference", "note": "no experiment here"}
        for q in quoted()
        if (q.table, q.metric, q.value) not in covered
    ]


def results_table(experiments: Sequence[str] | None = None, *, own: bool = False) -> pd.DataFrame:
    """`rows` as a DataFrame, a row a claim: ours, the paper's, n, interval, step of steps, protocol, verdict."""
    import pandas as pd

    return pd.DataFrame(rows(experiments, own=own), columns=COLUMNS)


def measure(record: Record, metric: str, step: int | None = None) -> float | None:
    """A metric of the paper for one record, scored at a step (None: the newest), or None if it was not scored there."""
    if metric == "steps to MSE < 0.01":
        curve = record.curve
        below = list(curve.loc[curve["valid_mse"] < 0.01, "step"]) if "valid_mse" in curve else []
        return float(below[0]) if below else None
    scored = [e for e in record.budgets if step is None or e["step"] == step]
    test = {name: value for name, value in (scored[-1].get("test", {}) if scored else {}).items() if value is not None}
    try:
        return float(METRICS[metric](test))
    except KeyError:  # of another task, or not finite
        return None


def _row(known: Experiment, claim: Claim, measured: list[Record]) -> dict[str, Any]:
    diverged = [r for r in measured if r.status == "diverged"]
    steady = [r for r in measured if r.status != "diverged"] or diverged
    newest = max((r.budgets[-1] for r in steady), key=lambda e: int(e["step"]), default=None)
    step = newest["step"] if newest else None  # seeds are averaged at one step, the furthest that is scored
    reached = {r.seed: measure(r, claim.metric, None if r in diverged else step) for r in measured}
    values = {seed: value for seed, value in reached.items() if value is not None}
    ours = estimate(list(values.values())) if values else None
    nearness = learning_curves.parity_of(measured) if known.curve and claim.metric in METRICS else None
    spread = learning_curves.official_pair(known.id, int(step)) if nearness is not None and step else None
    on_the_way = [r for r in measured if r not in diverged and r.seed not in values]
    late = on_the_way if claim.metric.startswith("steps to") else []
    reaches_end = bool(measured) and all(r.run.result() is not None for r in measured)
    lost = [r for r in diverged if r.seed not in values]  # the mean knows nothing of them, so it decides nothing
    decided = not lost and not late and (reaches_end or (claim.metric.startswith("steps to") and bool(values)))
    examples = int(newest.get("test", {}).get("n" + SUBSETS.get(claim.metric, ""), 0)) if newest else 0
    low, high = _interval(claim.metric, ours.mean, examples) if ours and examples else (None, None)
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
        "verdict": verdict(claim, ours, decided, nearness, bool(measured), _gap(known, claim), spread),
        "examples": examples or None,
        "examples_low": low,
        "examples_high": high,
        "parity": nearness,
        "note": _note(diverged, lost, late if values else [], len(measured)) if measured else _to_run(known),
    }


def why_not_run(known: Experiment) -> str:
    """Why there is no record of an experiment yet: its data are not to be had without asking, or nobody has begun."""
    data = SETS.get(known.data or "")
    return f"needs {data.title.split(',')[0]}, which must be asked for" if data and data.needs else "not begun"


def _to_run(known: Experiment) -> str:
    """The command of the shortest run that can be compared, how far it goes, and why there is none yet."""
    of = known.config.train.steps or _official_steps(known)
    until = f"step {known.quick:,}" + (f" of {of:,}" if of else "")
    return f"workbench run {known.id} (to {until}); {why_not_run(known)}"


def _note(diverged: Sequence[Record], lost: Sequence[Record], late: Sequence[Record], of: int) -> str:
    """What the mean does not know: `2 of 3 diverged at step 40, 80; 1 without a score`, `1 of 3 not by step 6,000`."""
    said = []
    if diverged:
        steps = ", ".join(f"{step:,}" for step in sorted(int(r.budgets[-1]["step"]) for r in diverged))
        said.append(f"{len(diverged)} of {of} diverged at step {steps}")
    if lost:
        said.append(f"{len(lost)} without a score")
    if late:
        said.append(f"{len(late)} of {of} not by step {min(r.step for r in late):,}")
    return "; ".join(said)


def verdict(
    claim: Claim,
    ours: Estimate | None,
    decided: bool,
    nearness: float | None,
    begun: bool,
    gap: float = math.inf,
    spread: float | None = None,
) -> str:
    """The word for a row; see the top of this file."""
    if math.isnan(claim.value):
        return "no claim" if begun else "not run"
    if not begun:
        return "reference" if not claim.ours else "not run"
    if not claim.ours:
        return "reference"
    if decided and ours is not None and ours.n >= 3 and ours.low is not None and ours.high is not None:
        worse = ours.high < claim.value if claim.metric in HIGHER_IS_BETTER else ours.low > claim.value
        if worse:
            return "not reproduced"
        if (ours.high - ours.low) / 2 <= gap / 2:
            return "reproduced"
    if nearness is not None and nearness <= max(TOLERANCE, 2 * (spread or 0.0)):
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


def _interval(metric: str, value: float, n: int) -> tuple[float | None, float | None]:
    """The interval over examples of an error rate or accuracy in per cent; other metrics are no shares."""
    if metric not in ("test error %", "test accuracy %", *SUBSETS):
        return None, None
    low, high = over_examples(value / 100, n)
    return 100 * low, 100 * high


def _metrics(known: Experiment) -> tuple[str, ...]:
    task = known.config.task
    if task.name == "treebank":
        return ("test BPC" if task.unit == "char" else "test perplexity",)
    return OWN_METRICS[task.name]


def _official_steps(known: Experiment) -> int | None:
    """How long the official run was, where the schedule is open-ended."""
    curve = learning_curves.official_curve(known.id)
    return int(curve["step"].max()) if len(curve) else None
