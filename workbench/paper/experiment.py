"""Experiments: a config, the budgets it has, and the published numbers it stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ..config import Budget, Config, Task


@dataclass(frozen=True)
class Claim:
    """A published number: what is measured, its value, where it stands. `ours` is False for rows that the paper
    quotes from others, `log` True for numbers of the official logs."""

    metric: str
    value: float
    source: str
    ours: bool = True
    log: bool = False


@dataclass(frozen=True)
class Experiment:
    """One cell or curve: `quick` steps are minutes on two cores and the beginning of the paper's run; `smoke` changes
    the config into one of seconds; `curve` names the official learning curve in results/paper/curves. Under one cycle
    `quick` steps are a cycle of their own, since the beginning of one means nothing. `parent` names the experiment
    whose net and data this one has under another schedule; `net` is what a reader calls the net, the end of `title`."""

    id: str
    where: str
    title: str
    config: Config
    quick: int
    smoke: dict[str, Any]
    claims: tuple[Claim, ...] = ()
    curve: str | None = None
    data: str | None = None
    substitute: str | None = None
    note: str = ""
    seeds: int = field(default=3)
    parent: str | None = None
    net: str = ""

    @property
    def task_words(self) -> str:
        """The task for a reader: the title without the net at its end."""
        return self.title.removesuffix(f", {self.net}")

    @classmethod
    def of(cls, id: str, words: str, net: str, task: Task, model: Mapping[str, Any], train: Any, **more: Any) -> Self:
        """One on a task, in `words` and as a config, of a net, in words and its fields; `train`: a config or fields."""
        config = Config.parse({"task": task, "model": model, "train": train})
        return cls(id=id, title=f"{words}, {net}", net=net, config=config, **more)

    def at(self, budget: Budget) -> tuple[Config, int | None]:
        """The config of a budget and the step it goes to; None means the end of the schedule."""
        if budget == "smoke":
            return self.config.set(self.smoke), None
        if budget == "quick" and self.config.train.schedule == "one_cycle":
            return self.config.set({"train.steps": self.quick}), None
        return self.config, self.quick if budget == "quick" else None
