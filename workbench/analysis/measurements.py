"""Measurements of properties, kept in results/bench/properties.json, a row a claim and seed: the seeds of a claim.

scripts/properties.py makes them. A row counts under the present numerics alone, while its claim reads as it did when
the measured run began, and if that run is the claim's own: the id of a run says which net, data and schedule it had.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from .. import files, paper
from ..config import run_id
from ..paper.claims import Claim, claims, present, table_hash, unchanged
from ..runs.provenance import NUMERICS, commit
from ..runs.record import Record
from ..tasks import data_hashes, load
from .counting import Store
from .properties import CURVES, EXACT, WEIGHTS, holds
from .verdicts import SEARCH, Seed, Verdict, judge, of_parent

MEASURED = (*EXACT, *CURVES, *WEIGHTS)  # claims with a function of their own; a score answers the others
NOTHING = "no record holds this measurement yet"
ROBUST = "abstract-relu_robust"  # a run that diverged answers it, where every other claim has lost a seed


class Measured(NamedTuple):
    """A seed's answer to a claim, and the number that was measured, None where there is none yet."""

    seed: Seed
    value: float | None = None


def judged(store: Store, claim: Claim, experiments: Sequence[str]) -> tuple[Verdict, int, paper.Experiment | None]:
    """The verdict on a claim of MEASURED, with what was measured and why it waits; the step of the furthest of its
    runs, and that run's experiment."""
    asides: list[str] = []
    missing: list[str] = []
    waits, furthest = [NOTHING], (0, "")
    if claim.id in CURVES:
        found = {name: store.seeds(claim, name) for name in experiments}
        asides = [f"{name}: {aside}" for name, (_, _, aside) in found.items() if aside]
        counting = {name: counted for name, (_, counted, _) in found.items()}
        answers = of_records(claim, list(counting.values()))
        missing = [name for name, counted in counting.items() if not counted]
        waits = [" and ".join(map(store.command, experiments)), *(asides or ["not begun"])]
        furthest = max(((r.step, name) for name, counted in counting.items() for r in counted), default=furthest)
    else:
        answers = stored(claim, experiments, store.tables, own=store.own)
    values = [answer.value for answer in answers if answer.value is not None]
    said = judge(claim, [answer.seed for answer in answers])
    if said.word == "under way" and missing:  # what there is may be at its end
        said = replace(said, note=f"{len(missing)} of {len(experiments)} experiments without a record that counts")
    notes = [said.note, f"measured {', '.join(f'{v:.4g}' for v in values)}" if values else "", *asides]
    if said.word == "not run" and not claim.cannot:
        notes = waits
    if claim.least == 1 and values:
        said = replace(said, ours=values[0])  # chance has no part in it
    if any(paper.EXPERIMENTS[name].parent for name in experiments if name in paper.EXPERIMENTS):
        said = of_parent(said)
    return replace(said, note="; ".join(filter(None, notes))), furthest[0], paper.EXPERIMENTS.get(furthest[1])


def of_records(claim: Claim, counting: Sequence[Sequence[Record]]) -> list[Measured]:
    """A claim's seeds from the records of each of its experiments: one has an answer once it ended in all of them."""
    by_seed = [{record.seed: record for record in records} for records in counting]
    found = []
    for n in sorted({n for records in by_seed for n in records}):
        runs = [records[n] for records in by_seed if n in records]
        step = max(record.step for record in runs)
        diverged = any(record.status == "diverged" for record in runs)
        ended = len(runs) == len(counting) and all(record.run.result() is not None for record in runs)
        if diverged and claim.id != ROBUST:
            found.append(Measured(Seed(n, None, "lost", step)))
        elif diverged or ended:
            found.append(_answer(claim, n, CURVES[claim.id](runs), step))
        else:
            found.append(Measured(Seed(n, None, "under way", step)))
    return found


def stored(
    claim: Claim, experiments: Sequence[str], tables: Mapping[str, Mapping[str, str]], *, own: bool = False
) -> list[Measured]:
    """A claim's seeds from the rows that are kept of the layer or of an experiment, one's own first (with `own` no
    others); `tables`: every table of claims so far."""
    from .benchmark import record

    found: dict[int, Measured] = {}
    for folder in [files.results()] if own else [files.results(), files.published()]:
        path = folder / "bench" / "properties.json"
        for row in record.read(path)["rows"] if path.is_file() else ():
            n = int(row["seed"])
            if row["claim"] != claim.id or row["numerics"] != NUMERICS or not 0 <= n < SEARCH or n in found:
                continue
            config = paper.experiment(experiments[0]).config if claim.id not in EXACT else None  # of a trained net
            run = "" if config is None else run_id(config, n, data_hashes(config.task))
            if row["run"] == run and unchanged(claim.id, row["claims"], tables):
                found[n] = _answer(claim, n, float(row["value"]))
    return [found[n] for n in sorted(found)]


def _answer(claim: Claim, seed: int, value: float, step: float = 0) -> Measured:
    """A seed's answer; one without a number is lost."""
    if math.isnan(value):
        return Measured(Seed(seed, None, "lost", step))
    return Measured(Seed(seed, value if claim.kind == "solved" else float(holds(claim, value)), "ended", step), value)


# --- measuring ---


def of_the_layer() -> Iterator[dict[str, Any]]:
    """A row a claim that needs no training, and seed."""
    for claim in (c for c in claims() if c.id in EXACT):
        for seed in range(claim.least):
            device = f"CPU, {torch.backends.cpu.get_cpu_capability()}"
            row = _row(claim, seed, EXACT[claim.id](seed))
            yield row | {"run": "", "numerics": NUMERICS, "claims": table_hash(present()), "device": device}


def of_weights(record: Record) -> Iterator[dict[str, Any]]:
    """A row a claim that asks the trained net of a record, if that is at its end and its weights are kept."""
    asked = [c for c in claims() if c.id in WEIGHTS and record.experiment in c.experiments]
    if asked and not record.smoke and record.run.result() is not None and record.run.checkpoints():
        net, task = record.net(), load(record.config.task, record.seed, record.config.train.batch)
        device = record.budgets[-1]["provenance"]["device"]
        for claim in asked:
            row = _row(claim, record.seed, WEIGHTS[claim.id](net, task))
            yield row | {"run": record.id, "numerics": record.numerics, "claims": record.claims, "device": device}


def _row(claim: Claim, seed: int, value: float) -> dict[str, Any]:
    return {"table": "property", "claim": claim.id, "seed": seed, "value": value, "commit": commit()}
