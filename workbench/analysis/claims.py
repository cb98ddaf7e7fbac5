"""Ours beside theirs: claims and records in, rows with a verdict out. Nothing here is typed in; verdicts are computed.

The claims are results/paper/claims.csv; how a word is earned stands in verdicts.py. A row counts the seeds that were
begun under the claim as it reads now, with its net, schedule and protocol, under the present numerics, each at its own
end. Records of older numerics are rows of their own at the end, which decide nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pandas as pd

from .. import paper
from ..config import Treebank
from ..paper import Experiment
from ..paper import claims as table
from ..paper.claims import STEPS, Claim
from ..paper.published import quoted
from ..runs.provenance import NUMERICS
from ..runs.record import Record
from ..tasks import spec
from ..tasks.download import SETS
from . import learning_curves, measurements, statistics, verdicts
from .counting import METRICS, SUBSETS, Store, measure, terms_of
from .verdicts import Verdict

COLUMNS = (
    "table experiment metric ours n low high paper source budget step steps device protocol verdict "
    "examples examples_low examples_high claim note"
).split()
SHARES = ("test error %", "test accuracy %", *SUBSETS)  # of examples: they have an interval over examples too
QUOTED = ", quoted from others"  # how the source of such a number ends
OLDER = "older records, numerics"  # how the source of records of other numerics begins
OWN_METRICS = {"pixels": ("test error %",), "speech": ("test accuracy %", *SUBSETS)}
OF_TARGET = {"class": "test accuracy %", "real": "test MSE", "token": "test perplexity"}  # where a task names none
BEST, VALIDATION = "best validation weights", "rows of the validation curve"
PROTOCOLS = {
    "clean": f"{BEST}; batch norm statistics re-estimated on training images without dropout",
    "running": f"{BEST}; batch norm statistics as training left them",
    "validation": f"{BEST}; batch norm statistics re-estimated on validation images (as published)",
    "test": f"{BEST}; batch norm statistics of the batch that is scored (as published)",
    "dynamic evaluation": f"{BEST}, which go on learning from the text that was scored",
}
DEVICES = {"cpu": "the CPU", "cuda": "a GPU"}  # kinds, of which each has a row of its own for a ratio


def results_table(experiments: Sequence[str] | None = None, *, own: bool = False) -> pd.DataFrame:
    """`rows` as a DataFrame, a row a claim: ours, the paper's, n, interval, step of steps, protocol, verdict."""
    return pd.DataFrame(rows(experiments, own=own), columns=COLUMNS)


def rows(experiments: Sequence[str] | None = None, *, own: bool = False) -> list[dict[str, Any]]:
    """A row a claim, and one below it for a cycle of ours; then others' numbers, experiments of ours, older records.

    Of every experiment or of the named ones, and of the parents of named cycles; from all records, published ones
    too, or from one's `own` alone.
    """
    known = None if experiments is None else [paper.experiment(n) for n in experiments if n not in paper.EXHIBITS]
    names = set(paper.EXPERIMENTS) if known is None else {n for e in known for n in (e.id, e.parent) if n}
    names |= set(experiments or ()) & set(paper.EXHIBITS)
    subjects = [(claim, *subject) for claim in table.claims() for subject in _subjects(claim)]
    answering = {name for _, these, _ in subjects for name in these}
    asked = [subject for subject in subjects if known is None or names & set(subject[1])]
    store = Store.read(own, None if known is None else names | {n for _, a, b in asked for n in (*a, *b)})
    found: list[dict[str, Any]] = []
    for claim, these, against in asked:
        if claim.kind == "ratio":
            found += [_timed(store, claim, device) for device in DEVICES]
        else:
            found.append(_judged(store, claim, these, against))
    found += _of_others(store, names)
    if known is None:
        found += _references(found)
    for of_ours in (e for n, e in paper.EXPERIMENTS.items() if n in names - answering and not e.claims):
        found += [_own(store, of_ours, metric) for metric in _metrics(of_ours)]
    return found + _older(store, names)


def why_not_run(known: Experiment) -> str:
    """Reason why an experiment has no record yet: its data are not to be had without asking, or nobody has begun."""
    data = SETS.get(known.data or "")
    return f"needs {data.title.split(',')[0]}, which must be asked for" if data and data.needs else "not begun"


def _subjects(claim: Claim) -> Iterable[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The experiments that a claim names, then those that are the same under a cycle of ours, where all have one."""
    yield claim.experiments, claim.against
    cycles = {e.parent: e.id for e in paper.EXPERIMENTS.values() if e.parent}
    named = (*claim.experiments, *claim.against)
    if named and all(name in cycles for name in named):
        yield tuple(cycles[n] for n in claim.experiments), tuple(cycles[n] for n in claim.against)


def _judged(store: Store, claim: Claim, these: Sequence[str], against: Sequence[str]) -> dict[str, Any]:
    """The row of a claim: its verdict by the test of its kind."""
    known = paper.EXPERIMENTS.get(these[0]) if these else None
    line = _line(claim, these) | {"steps": _steps(known) if known else None}
    if claim.id in measurements.MEASURED:
        said, step, furthest = measurements.judged(store, claim, these)
        return line | ({"step": step, "steps": _steps(furthest)} if furthest else {}) | _said(said)
    measurable = known is not None and len(these) == 1 and claim.metric in (*METRICS, STEPS)
    if known is None or not measurable:
        said = verdicts.judge(claim)
        line["protocol"] = PROTOCOLS.get(claim.protocol)
        return line | _said(replace(said, note=claim.cannot or measurements.NOTHING))
    seeds, counting, aside = store.seeds(claim, known.id)
    rivals, beside, rivals_aside = store.seeds(claim, against[0]) if against else ([], [], "")
    said = verdicts.judge(claim, seeds, rivals)
    notes = [said.note, aside, f"{against[0]}: {rivals_aside}" if rivals_aside else ""]
    if said.word == "not run" and not claim.cannot:
        notes[0] = " and ".join(store.command(name) for name in (known.id, *against))
        notes.insert(1, "" if aside or rivals_aside else "not begun")
    if known.parent:
        said = verdicts.of_parent(said)
    notes.append(_cost(known, [r for r in counting if r.run.result() is not None]))
    line |= _where(counting, claim.metric, said.ours if claim.kind == "value" else None)
    in_steps = claim.metric == STEPS  # which alone counts seeds under way
    line["protocol"] = VALIDATION if in_steps else _protocol(known, terms_of(claim, known).protocol)
    if counting or beside:
        ended = all(r.run.result() is not None for r in (*counting, *beside))
        line["budget"] = "paper" if ended or (said.ours is not None and not in_steps) else "quick"
    return line | _said(replace(said, note="; ".join(filter(None, notes))))


def _line(claim: Claim, these: Sequence[str]) -> dict[str, Any]:
    """The content of a claim's row before it is judged."""
    return dict.fromkeys(COLUMNS) | {
        "table": claim.place,
        "experiment": ", ".join(these),
        "metric": claim.metric,
        "paper": claim.value,
        "source": claim.source,
        "claim": claim.id,
    }


def _timed(store: Store, claim: Claim, device: str) -> dict[str, Any]:
    """The row of a ratio on a kind of device: its verdict is that of the device that was measured."""
    from .benchmark import figure2

    kept = figure2.recorded(claim, device, own=store.own)
    line = _line(claim, claim.experiments) | {"device": device}
    told = kept is not None and table.unchanged(claim.id, kept.claims, store.tables)
    said = verdicts.judge(claim, ratios=kept.values, device=kept.device) if kept and told else verdicts.judge(claim)
    if said.word == "not run":
        late = "measured before the claim was written as it is now: set aside"
        why = late if kept and not told else f"not begun on {DEVICES[device]}"
        return line | _said(replace(said, note=f"workbench bench --starts {claim.least} --device {device}; {why}"))
    return line | _said(said) | {"device": f"{device}: {kept.device}" if kept else device}


def _said(said: Verdict) -> dict[str, Any]:
    return {
        "ours": said.ours, "n": said.n, "low": said.low, "high": said.high, "verdict": said.word, "note": said.note
    }  # fmt: skip


def _cost(known: Experiment, ended: Sequence[Record]) -> str:
    """Say what the ended seeds took: `ended at steps 900, 1,000; 28,800 to 32,000 examples seen; 0.2 hours of wall time
    in all`; the ledger's core-hours are processor time."""
    if not ended:
        return ""
    ends = sorted({int(r.budgets[-1]["step"]) for r in ended})
    batch = known.config.train.batch
    seen = " to ".join(f"{n * batch:,}" for n in dict.fromkeys((ends[0], ends[-1])))
    hours = sum(r.budgets[-1]["cost"].get("wall_s", 0.0) for r in ended) / 3600
    at = f"ended at step{'s' if len(ends) > 1 else ''} {', '.join(f'{n:,}' for n in ends)}"
    return f"{at}; {seen} examples seen; {hours:.1f} hours of wall time{' in all' * (len(ended) > 1)}"


def _where(counting: Sequence[Record], metric: str, mean: float | None) -> dict[str, Any]:
    """Reach of the records, their devices, and the interval over examples of a mean."""
    newest = max((r.budgets[-1] for r in counting if r.budgets), key=lambda e: int(e["step"]), default=None)
    examples = int(newest.get("test", {}).get("n" + SUBSETS.get(metric, ""), 0)) if newest and metric in SHARES else 0
    low, high = statistics.wilson(mean / 100, examples) if mean is not None and examples else (None, None)
    devices = sorted({r.budgets[-1]["provenance"]["device"] for r in counting if r.budgets})
    return {
        "step": max((r.step for r in counting), default=None),
        "device": " / ".join(devices) or None,
        "examples": examples or None,
        "examples_low": None if low is None else 100 * low,
        "examples_high": None if high is None else 100 * high,
    }


def _described(known: Experiment, metric: str, measured: Sequence[Record], word: Verdict) -> dict[str, Any]:
    """A row that decides nothing: the mean over seeds, each at its own end, or at the furthest step that is scored."""
    steady = [r for r in measured if r.status != "diverged"]
    ended = [r for r in steady if r.run.result() is not None]
    step = max((int(r.budgets[-1]["step"]) for r in ended or steady), default=None)
    found = [(r, measure(r, metric, None if ended else step)) for r in ended or steady]
    there, values = [r for r, v in found if v is not None], [v for _, v in found if v is not None and math.isfinite(v)]
    ours = statistics.mean(values).cut(*statistics.possible(metric)) if values else None
    lost = ", ".join(f"{r.step:,}" for r in sorted(measured, key=lambda r: r.step) if r not in steady)
    diverged = f"{len(measured) - len(steady)} of {len(measured)} diverged at step {lost}" if lost else ""
    notes = (word.note, diverged)
    return (
        dict.fromkeys(COLUMNS)
        | {"table": known.where, "experiment": known.id, "metric": metric, "source": "", "steps": _steps(known)}
        | {"protocol": _protocol(known, known.config.train.bn_statistics)}
        | _where(there, metric, ours.mean if ours else None)
        | ({"step": step, "budget": "paper" if ended else "quick"} if there else {})
        | _said(replace(word, note="; ".join(filter(None, notes))))
        | ({"ours": ours.mean, "n": ours.n, "low": ours.low, "high": ours.high} if ours else {})
    )


def _of_others(store: Store, names: Collection[str]) -> list[dict[str, Any]]:
    """A row for each number that the paper quotes and that an experiment here stands beside."""
    found = []
    for known in (e for name, e in paper.EXPERIMENTS.items() if name in names):
        present = [r for r in store.plain(known.id) if r.numerics == NUMERICS]
        for claim in (c for c in known.claims if not c.ours):
            row = _described(known, claim.metric, present, Verdict("reference"))
            found.append(row | {"paper": claim.value, "source": claim.source})
    return found


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


def _own(store: Store, known: Experiment, metric: str) -> dict[str, Any]:
    """The row of an experiment that no claim is about."""
    present = [r for r in store.plain(known.id) if r.numerics == NUMERICS]
    note = "" if present else f"workbench run {known.id}; {why_not_run(known)}"
    return _described(known, metric, present, Verdict("no claim", note))


def _older(store: Store, names: Collection[str]) -> list[dict[str, Any]]:
    """A row for the records of each experiment under other numerics than the present: shown, never counted."""
    found = []
    for known in (e for name, e in paper.EXPERIMENTS.items() if name in names):
        plain = store.plain(known.id)
        for numerics in sorted({r.numerics for r in plain} - {NUMERICS}, reverse=True):
            measured = [r for r in plain if r.numerics == numerics]
            word = Verdict("no claim", f"numerics {numerics}, now {NUMERICS}: decides nothing")
            for metric in _metrics(known):
                row = _described(known, metric, measured, word)
                found.append(row | {"source": f"{OLDER} {numerics}"})
    return found


def _metrics(known: Experiment) -> tuple[str, ...]:
    task = known.config.task
    if isinstance(task, Treebank) and task.unit == "char":
        return ("test BPC",)
    return OWN_METRICS.get(task.name, (OF_TARGET[spec(task).target],))


def _protocol(known: Experiment, statistics: str) -> str:
    """Say which weights are scored, and by which statistics; of a cycle the last ones are."""
    train = known.config.train
    said = PROTOCOLS[statistics] if known.config.model.has_batch_norm else BEST
    return said.replace(BEST, "last weights") if train.schedule == "one_cycle" and train.early_stop is None else said


def _steps(known: Experiment) -> int | None:
    """The length of the schedule; of an open-ended one, that of the official run."""
    return known.config.train.steps or _official_end(known.id)


@cache
def _official_end(name: str) -> int | None:
    curve = learning_curves.official_curve(name)
    return int(curve["step"].max()) if len(curve) else None
