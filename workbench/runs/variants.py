"""The variants of a study: ways of doing one thing, each an experiment with some fields changed, as a notebook writes
them.

    "64 steps | bound | seqdigits_plain6 | gamma: 2, 5 | train.steps: 600"

is a line of a notebook's parameter `sweeps`: a group of variants that are compared, a name within it, an experiment,
and fields with their values as `workbench sweep --grid` takes them. It has two variants, `bound, gamma 2` and `bound,
gamma 5`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import paper
from ..config import Budget, canonical_json
from ..errors import ParameterError, quoted
from . import sweep
from .asked import resolve, substitute
from .planned_run import PlannedRun

Changes = tuple[tuple[str, Any], ...]  # (path, value) of fields that differ from an experiment


@dataclass(frozen=True)
class Variant:
    """One of them. `settings` are the fields that have one value on its line, `varied` those that have several.

    At the smoke budget a setting yields to what the experiment's own smoke version says of that field, so that a
    variant of any size is tried in seconds.
    """

    group: str
    name: str
    experiment: str
    settings: Changes
    varied: Changes

    def changes(self, budget: Budget) -> Changes:
        """The fields in which its runs differ from the experiment."""
        smoke = paper.experiment(self.experiment).smoke if budget == "smoke" else {}
        return (*(pair for pair in self.settings if pair[0] not in smoke), *self.varied)

    def planned_run(self, budget: Budget, seed: int) -> PlannedRun:
        """Its run under a seed."""
        return PlannedRun(self.experiment, budget, seed, self.changes(budget))


def read(lines: Sequence[str]) -> list[Variant]:
    """The variants of a parameter `sweeps`, in order, every config checked; a ParameterError names the line.

    The name may be empty where a field has several values: these name the variant.
    """
    found: dict[tuple[str, str], Variant] = {}
    if not lines:
        raise ParameterError(f"sweeps: {quoted(lines)} received; at least one line is needed")
    for line in lines:
        try:
            variants = _of(line)
            for variant in variants:
                resolve(variant.experiment, "paper", dict(variant.changes("paper")))
                if found.setdefault((variant.group, variant.name), variant) is not variant:
                    raise ParameterError(f"group {quoted(variant.group)} has a variant {quoted(variant.name)} already")
        except ParameterError as error:
            raise ParameterError(f"sweeps: {quoted(line)}: {error}") from None
    if len(found) > sweep.MOST:
        raise ParameterError(f"sweeps: {len(found):,} variants; at most {sweep.MOST:,} are allowed")
    return list(found.values())


def runs(values: Mapping[str, Any]) -> dict[Variant, list[PlannedRun]]:
    """A notebook's variants, each with a run a seed; two seeds are enough to try everything at the smoke budget."""
    budget, seeds = values["budget"], values["seeds"]
    count = min(seeds, 2) if budget == "smoke" else seeds
    return {each: [each.planned_run(budget, seed) for seed in range(count)] for each in read(values["sweeps"])}


def at_hand(lines: Sequence[str], say: Callable[[str], None] = print) -> list[str]:
    """The same lines with every experiment whose data cannot be had replaced by its substitute; `say` is told."""
    out = []
    for line in lines:
        parts = line.split("|")
        parts[2] = f" {substitute([parts[2].strip()], say)[0]} "
        out.append("|".join(parts))
    return out


def _of(line: object) -> list[Variant]:
    parts = [part.strip() for part in line.split("|")] if isinstance(line, str) else []
    if len(parts) < 3 or not parts[0]:
        raise ParameterError("`group | name | experiment | field: value, ...` is needed")
    group, name, experiment, *fields = parts
    grid = sweep.parse(fields, paper.experiment(experiment).id)
    settings = tuple((path, values[0]) for path, values in grid.items() if len(values) == 1)
    several = {path: values for path, values in grid.items() if len(values) > 1}
    if not name and not several:
        raise ParameterError("a name is needed where no field has several values")
    variants = []
    for values in itertools.product(*several.values()):
        varied = tuple(zip(several, values, strict=True))
        words = [f"{path.partition('.')[2].replace('_', ' ')} {_shown(value)}" for path, value in varied]
        variants.append(Variant(group, ", ".join(filter(None, [name, *words])), experiment, settings, varied))
    return variants


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "on", False: "off"}[value]
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return value.replace("_", " ") if isinstance(value, str) else canonical_json(value)
