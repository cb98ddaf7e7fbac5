"""Checks of what a run is asked to be: name, config and last step, the data's substitute, device, threads and time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from .. import paper
from ..config import BUDGETS, Budget, Config
from ..errors import ParameterError, choices, quoted, whole
from ..tasks import download, sequences
from . import recipe


def resolve(
    experiment: str | Config, budget: Budget, changes: Mapping[str, Any] | None = None
) -> tuple[str, Config, int | None]:
    """The name, config and last step (None: the schedule's end) of a run; a changed `train.steps` is such an end."""
    if budget not in BUDGETS:
        raise ParameterError(f"budget: {budget!r} is unknown; choose one of {choices(BUDGETS)}")
    own = isinstance(experiment, str) and experiment not in paper.EXPERIMENTS and sequences.is_data(experiment)
    if own or isinstance(experiment, Config):
        if budget == "smoke":
            raise ParameterError("budget: smoke is a version of a named experiment; a config of one's own has none")
        if isinstance(experiment, Config):
            name, config, until = "custom", experiment, None
        else:
            config, until, changes = recipe.of_file(experiment, changes or {}), None, None
            path = Path(experiment).absolute()
            name = f"{path.name}/" if path.is_dir() else path.name  # no name of an experiment
    else:
        known = paper.experiment(experiment)
        name, (config, until) = known.id, known.at(budget)
    if changes:
        changed = config.set(changes)
        cycle = changed.train.schedule == "one_cycle"
        if cycle and until is not None and changed.train.steps == config.train.steps:
            changed = changed.set({"train.steps": until})  # a cycle that is cut means nothing
        if cycle or changed.train.steps != config.train.steps:
            until = None  # a number that is asked for is the end
        if changed != config:
            name, config = f"{name}*", changed
    return name, config, until


def substitute(experiments: list[str], say: Callable[[str], None] = print) -> list[str]:
    """The same experiments where their data are at hand or can be fetched; else their substitutes on embedded data.

    `say` is told what was replaced. A data set that is there but altered is an error, not a reason to substitute.
    """
    chosen = []
    for name in experiments:
        known = paper.experiment(name)
        while known.data is not None and known.substitute is not None and not download.obtainable(known.data):
            say(f"{known.id}: {known.data} cannot be had here; {known.substitute} takes its place")
            known = paper.experiment(known.substitute)
        chosen.append(known.id)
    return chosen


def last_step(until: int | None, config: Config, last: int | None) -> int | None:
    """The step to go to: `until` where it is given and can be meant, else the budget's last."""
    if until is None:
        return last
    whole("until", until, what="a step to go to")
    if config.train.schedule == "one_cycle":
        raise ParameterError(
            f"until: {until} received; one cycle has a score at its end alone: --time-limit stops it to go on later, "
            "train.steps makes it shorter"
        )
    return until


def check_count(name: str, value: object) -> int:
    """A number of threads or workers, or a ParameterError."""
    return whole(name, value, 1, 1024, f"a number of {name}")


def check_time_limit(seconds: object) -> None:
    """None, or seconds above 0; else a ParameterError."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 1e9
    if seconds is not None and not number:
        raise ParameterError(f"time_limit: {quoted(seconds)} is not a time; seconds above 0 are needed, or None")


def seconds(text: str | None) -> float | None:
    """The seconds of a time such as 90s, 8m, 2h or 90; None of none."""
    if text is None:
        return None
    parts = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]*)?)([smh]?)", text)
    found = float(parts[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[parts[2]] if parts else 0.0
    if not 0 < found < 1e9:
        raise ParameterError(f"time-limit: {text!r} is not a time; write 90s, 8m or 2h")
    return found


def check_device(name: str) -> str:
    """`auto` resolved, `cpu` or `cuda`; a ParameterError for any other, and for `cuda` where there is none."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise ParameterError(f"device: {name!r} is unknown; choose one of auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ParameterError("device: 'cuda' cannot be used: torch finds no CUDA device here; choose cpu")
    return name


@contextmanager
def pinned_threads(count: int) -> Iterator[None]:
    """torch on so many threads while inside, then on as many as before."""
    check_count("threads", count)
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
