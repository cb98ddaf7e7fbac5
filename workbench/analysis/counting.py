"""Records that count for a claim: begun under the claim as it reads now, with its net, schedule and protocol."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from .. import paper
from ..config import Config, run_id
from ..paper import Experiment
from ..paper import claims as table
from ..paper.claims import SOLVED, STEPS, Claim
from ..runs.provenance import NUMERICS
from ..runs.record import Record, records
from ..tasks import data_hashes
from . import properties, verdicts
from .verdicts import Seed, Terms

METRICS: dict[str, Callable[[Mapping[str, float]], float]] = {
    "test error %": lambda test: 100 * (1 - test["accuracy"]),
    "test accuracy %": lambda test: 100 * test["accuracy"],
    "test MSE": lambda test: test["mse"],
    "test BPC": lambda test: test["bpc"],
    "test perplexity": lambda test: test["perplexity"],
    "test accuracy %, over 5,000 steps": lambda test: 100 * test["accuracy_long"],
}
SUBSETS = {"test accuracy %, over 5,000 steps": "_long"}  # metrics of a part of the test split, and its name there


def measure(record: Record, metric: str, step: int | None = None) -> float | None:
    """A metric of the paper for one record, scored at a step (None: the newest), or None if it was not scored there."""
    if metric == STEPS:
        return arrival(*_errors(record))
    there = [e for e in record.budgets if step is None or e["step"] == step]
    return scored(there[-1].get("test", {}), metric) if there else None


def scored(scores: Mapping[str, float | None], metric: str) -> float | None:
    """A metric of the paper from the scores of a split, or None where they have none: of another task, not finite."""
    try:
        return float(METRICS[metric]({name: value for name, value in scores.items() if value is not None}))
    except KeyError:
        return None


def _errors(record: Record) -> tuple[list[float], list[float]]:
    """Steps of a record's curve and the squared errors on validation there; none of another task."""
    curve = record.curve
    return (list(curve["step"]), list(curve["valid_mse"])) if "valid_mse" in curve else ([], [])


def arrival(steps: Sequence[float], errors: Sequence[float]) -> float | None:
    """The step of the first of two consecutive validation rows below 0.01, None where there are no such two."""
    pairs = zip(steps, errors, errors[1:], strict=False)
    return next((step for step, error, following in pairs if error < SOLVED and following < SOLVED), None)


def absent(steps: Sequence[float], errors: Sequence[float]) -> float:
    """The last step at which a net without an `arrival` is known not to be there: a last row below 0.01 may be the
    first of two."""
    return max((step for step, error in zip(steps, errors, strict=True) if not error < SOLVED), default=0)


@dataclass(frozen=True)
class Store:
    """The records of every experiment, or of some, without smoke runs and damaged ones."""

    by_name: Mapping[str, Sequence[Record]]
    own: bool = False

    @classmethod
    def read(cls, own: bool = False, names: Collection[str] | None = None) -> Store:
        """Every record, or one's own alone, or those of the named experiments."""
        by_name: dict[str, list[Record]] = {}
        for record in records(own=own, of=names):
            if record.status != "damaged" and not record.smoke:
                by_name.setdefault(record.experiment.removesuffix("*"), []).append(record)
        return cls(by_name, own)

    @cached_property
    def tables(self) -> Mapping[str, Mapping[str, str]]:
        """Every table of claims so far."""
        return table.history()

    def plain(self, name: str) -> list[Record]:
        """The records of an experiment without changes that have been scored."""
        return [r for r in self.by_name.get(name, ()) if r.experiment == name and r.budgets]

    def command(self, name: str) -> str:
        """Command that trains an experiment to its end, although one's own record of other numerics may be there."""
        old = any(r.numerics != NUMERICS and not r.published for r in self.plain(name))
        return f"workbench run {name} --budget paper{' --fresh' * old}"

    def seeds(self, claim: Claim, name: str) -> tuple[list[Seed], list[Record], str]:
        """The seeds of an experiment that a claim may count, their records, and what was set aside and why."""
        wanted = terms_of(claim, paper.experiment(name))
        pairs, counting, changed = [], [], 0
        for record in self.by_name.get(name, ()):
            its = _terms(record.config, record.spec["data"], record.numerics)
            if record.experiment != name and its != wanted:
                continue  # of a sweep, which says in its name that it is another net
            if its == wanted and not table.unchanged(claim.id, record.claims, self.tables):
                changed += 1
                continue
            pairs.append((_seed(record, claim), its))
            if its == wanted and record.seed < verdicts.SEARCH:
                counting.append(record)
        counted, aside = verdicts.admitted(pairs, wanted)
        late = f"{changed} begun before the claim was written as it is now: set aside" if changed else ""
        return counted, counting, "; ".join(filter(None, (aside, late)))


def terms_of(claim: Claim, known: Experiment) -> Terms:
    """Terms a seed must share with a claim's row: the experiment's net, schedule and data, the claim's protocol."""
    its = _terms(known.config, data_hashes(known.config.task), NUMERICS)
    others = {"test batch": "test", "dynamic evaluation": "dynamic evaluation"}  # of which no record has the second yet
    return its._replace(protocol=others.get(claim.protocol, its.protocol))


def _terms(config: Config, data: Mapping[str, str], numerics: int) -> Terms:
    protocol = config.train.bn_statistics
    alike = config.model_copy(update={"train": config.train.model_copy(update={"bn_statistics": "clean"})})
    return Terms(run_id(alike, 0, data), protocol, numerics)


def _seed(record: Record, claim: Claim) -> Seed:
    """A record's answer to a claim, that of its own end; of an order in steps, where it was there."""
    if record.status == "diverged":
        return Seed(record.seed, None, "lost", record.step)
    ended, step = record.run.result() is not None, float(record.step)
    value = measure(record, claim.metric) if ended or claim.metric == STEPS else None
    if claim.metric == STEPS and value is None and not ended:
        step = absent(*_errors(record))
    if claim.kind == "property" and value is not None:
        value = float(properties.holds(claim, value))
    return Seed(record.seed, value, "ended" if ended else "under way", step)
