"""Ways in which the properties draw: how often, and configs out of the schema itself."""

from __future__ import annotations

import os
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from workbench.config import Model, Train

FULL = os.environ.get("PROPERTIES") == "full"
STRANGE = st.sampled_from([None, True, -1, 0, 1.5, 2**63, "", "x", float("nan"), float("inf"), [], {}, (0,)])
REACH = 6  # whole numbers and shares are drawn near their lower limit: nets stay small


def many(few: int) -> settings:
    """`few` examples, the same ones at every run; in `PROPERTIES=full` thirty times as many, others each time."""
    unhurried = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    return settings(
        max_examples=30 * few if FULL else few,
        derandomize=not FULL,
        database=None,
        deadline=None,
        suppress_health_check=unhurried,
    )


def fields(section: type) -> dict[str, st.SearchStrategy[Any]]:
    """field -> values of its type and within its limits, small ones, now and then a strange one."""
    hints = get_type_hints(section, include_extras=True)
    known = {}
    for name, info in section.model_fields.items():  # type: ignore[attr-defined]
        if name in ("name", "kind"):
            continue
        known[name] = st.one_of(*[_of(hints[name], info.metadata)] * 9, STRANGE)
    return known


def _of(kind: Any, limits: list[Any]) -> st.SearchStrategy[Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        own = [m for part in inner[1:] for m in getattr(part, "metadata", [part])]
        return _of(inner[0], [*limits, *own])
    if origin in (Union, types.UnionType):
        return st.one_of(*(_of(part, limits) for part in inner))
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is tuple:
        return st.lists(_of(inner[0], []), min_size=1, max_size=3).map(tuple)
    low, above, high, below = (
        next((getattr(m, k) for m in limits if hasattr(m, k)), None) for k in ("ge", "gt", "le", "lt")
    )
    if kind is int:
        first = low if low is not None else 0
        return st.integers(first, first + REACH)
    if kind is float:
        first = low if low is not None else above if above is not None else 0.0
        last = min(x for x in (high, below, first + REACH) if x is not None)
        return st.floats(first, last, exclude_min=above is not None, exclude_max=below is not None)
    return {bool: st.booleans(), type(None): st.none()}[kind]


def changes(task: type) -> st.SearchStrategy[dict[str, Any]]:
    """Up to four changed fields of a config, by path."""
    paths = {
        f"{section}.{field}": values
        for section, kind in (("task", task), ("model", Model), ("train", Train))
        for field, values in fields(kind).items()
    }
    pair = st.sampled_from(sorted(paths)).flatmap(lambda path: st.tuples(st.just(path), paths[path]))
    return st.lists(pair, max_size=4).map(dict)
