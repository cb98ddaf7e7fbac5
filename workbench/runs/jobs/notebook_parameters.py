"""A notebook's typed parameters, checked before anything runs, and the runs that it shows under them.

Papermill only warns about an unknown parameter, checks no type and runs a parameter's name as code: the checks here
come first, on the command line, and again inside the kernel, where every notebook opens with `wb.Study(globals())`.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import files, paper
from ...config import BUDGETS, parse_value
from ...config.frozen import nearest
from ...errors import ParameterError, choices, quoted, whole
from .. import sweep, variants
from ..asked import check_device, substitute
from ..planned_run import PlannedRun

TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "list": list}
MOST_SEEDS = 1000
RECORDS = ("published", "own")  # what a notebook shows: what there is, or what it trains itself where it is missing


@dataclass(frozen=True)
class Parameter:
    """One annotated line of the parameters cell: `seeds: int = 3  # help`; `u: float | None = None` may stay None."""

    name: str
    type: type
    default: Any

    def check(self, value: Any) -> Any:
        """The value if it fits, else a ParameterError with name, value and what is allowed."""
        if value is None and self.default is None:
            return None
        if self.type is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1023:
            value = float(value)
        matches: bool = type(value) is self.type  # bool is no int here
        if not matches:
            wanted = self.type.__name__
            raise ParameterError(f"{self.name}: {quoted(value)} received; a value of type {wanted} is needed")
        if isinstance(value, float) and not math.isfinite(value):
            raise ParameterError(f"{self.name}: {value!r} received; a finite number is needed")
        if self.name in ("experiments", "baselines", "beside", "longer"):
            for name in value:
                paper.experiment(name)
        elif self.name == "sweeps":
            variants.read(value)
        elif self.name == "budget" and value not in BUDGETS:
            raise ParameterError(f"budget: {value!r} is unknown; choose one of {choices(BUDGETS)}")
        elif self.name == "records" and value not in RECORDS:
            raise ParameterError(f"records: {value!r} is unknown; choose one of {choices(RECORDS)}")
        elif self.name == "device":
            check_device(value)
        elif self.name == "seeds":
            whole("seeds", value, 1, MOST_SEEDS, "a number of seeds")
        return value


def find(name: str) -> Path:
    """The notebook of a name (`fig4_adding`), or of an exhibit (`timing`); ParameterError offers those there are."""
    if name in tuple(paper.EXHIBITS):
        name = paper.EXHIBITS[name].notebook
    known = {path.stem: path for path in sorted(files.notebooks().glob("*.ipynb"))}
    if name not in tuple(known):
        hint = nearest(name, [*known, *paper.EXPERIMENTS], 3, f"choose a notebook ({choices(known)}) or an experiment")
        raise ParameterError(f"{quoted(name)}: no notebook or experiment of that name; {hint}")
    return known[name]


def parameters(path: Path) -> dict[str, Parameter]:
    """The parameters of a notebook, from its one cell tagged `parameters`."""
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
        kernel = book.get("metadata", {}).get("kernelspec", {})
        language = str(kernel.get("language", "python"))
        tagged = ["".join(c["source"]) for c in book["cells"] if "parameters" in c.get("metadata", {}).get("tags", [])]
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ParameterError(f"{path}: not a notebook: {type(error).__name__}: {error}") from None
    if language.lower() != "python":  # whatever its name, this Python runs it
        raise ParameterError(f"{path}: kernel: {quoted(kernel.get('name'))} runs {quoted(language)}; choose python3")
    if len(tagged) != 1:
        raise ParameterError(f"{path}: {len(tagged)} cells are tagged `parameters`; exactly one is needed")
    found = {}
    try:
        for line in ast.parse(tagged[0]).body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value is not None:
                kind = ast.unparse(line.annotation).removesuffix(" | None").split("[")[0]
                found[line.target.id] = Parameter(line.target.id, TYPES[kind], ast.literal_eval(line.value))
    except (SyntaxError, ValueError, KeyError, RecursionError) as error:
        needed = f"lines `name: type = value` are needed, the type one of {choices(TYPES)}"
        raise ParameterError(f"{path}: its parameters cannot be read ({error}); {needed}") from None
    return found


def check(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a notebook with the given ones in place, each checked."""
    known = parameters(path)
    for name in given:
        if name not in known:
            raise ParameterError(f"{name}: {path.stem} has no such parameter; {nearest(name, known)}")
    if given.get("notebook", path.stem) != path.stem:
        raise ParameterError(f"notebook: {quoted(given['notebook'])} received; the name of this one is {path.stem!r}")
    return {name: p.check(given.get(name, p.default)) for name, p in known.items()}


def at_hand(values: Mapping[str, Any], say: Callable[[str], None] = print) -> dict[str, Any]:
    """The parameters with every experiment whose data cannot be had replaced by its substitute; `say` is told."""
    lists = {n: substitute(values[n], say) for n in ("experiments", "baselines") if n in values}
    if "sweeps" in values:
        lists["sweeps"] = variants.at_hand(values["sweeps"], say)
    return {**values, **lists}


def planned(values: Mapping[str, Any]) -> list[PlannedRun]:
    """The runs a notebook shows under its parameters, each once.

    By convention `experiments` run with `seeds` seeds and `baselines` with one; the variants of `sweeps` see
    `variant.runs`, the combinations of `grid` `sweep.planned_runs`.
    """
    budget, runs = values.get("budget", "quick"), []
    for name in values.get("experiments", []):
        runs += [PlannedRun(name, budget, seed) for seed in range(values["seeds"])]
    runs += [PlannedRun(name, budget, 0) for name in values.get("baselines", [])]
    if "sweeps" in values:
        runs += [
            planned_run for of_a_seed in zip(*variants.runs(values).values(), strict=True) for planned_run in of_a_seed
        ]
    if "grid" in values:
        grid = sweep.parse(values["grid"], values["experiment"])
        runs += sweep.planned_runs(values["experiment"], grid, budget, values["seeds"])
    return list(dict.fromkeys(runs))


def given(pairs: list[str]) -> dict[str, Any]:
    """`name=value` pairs of a command line; names must be identifiers (papermill would run them as code)."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not all(part.isidentifier() for part in name.split(".")):
            raise ParameterError(f"{pair!r}: name=value is needed, the name an identifier")
        if name in values:
            raise ParameterError(f"{name}: given twice")
        values[name] = parse_value(text)
    return values
