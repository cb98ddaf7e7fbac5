"""The state of a run in memory: all that training needs to go on bit by bit."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..config import Config
from ..errors import RunError, StoreError
from ..models.build import misfit
from ..models.distributed import Ranks
from . import evaluate
from .cuda_graphs import Steps
from .optimizer import moments_misfit
from .schedule import Schedule

GIVE_UP = 3  # non-finite steps in a row
FIRST, EVERY = 5, 32  # steps of a run that are read one by one; steps that are read at once, on a device


class Diverged(RunError):
    """Loss or gradient was not finite three steps in a row."""


class Unread(NamedTuple):
    """A step that is over and not yet read: `told` (3,) in float64, its loss, right answers and gradients' norm; its
    answers; the schedule's state before it ended."""

    told: Tensor
    answers: int
    schedule: dict[str, Any]


class Resumable:
    """A run whose `state()` another of the same config and seed takes up by `load()`."""

    config: Config
    ranks: Ranks
    device: torch.device
    net: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    recorded: Steps[Any] | None
    carried: evaluate.State  # what a language net remembers of the chunk before
    best: dict[str, Any] | None
    step: int
    evaluated: int
    bad_steps: int  # in a row, up to the newest that was read
    in_a_row: Tensor  # () int32, bad steps up to the newest, where the device decides what is applied
    loss: float  # of the newest step that was read
    _unread: list[Unread]
    settle: Callable[[], None]  # reads them
    _loss_sum: float  # since the last row of the curve: losses, right answers, answers and steps
    _right: int
    _seen: int
    _steps: int
    _norm_sum: float  # of the gradients since then, the largest norm, the steps not applied
    _norm_max: float
    _skipped: int
    _lr: float | None = None  # the rate that the optimizer has

    def state(self) -> dict[str, Any]:
        """All that training needs to go on bit by bit: tensors, numbers and lists only."""
        self.settle()
        return {
            **self._snapshot(),
            "schedule": self.schedule.state(),
            "step": self.step,
            "evaluated": self.evaluated,
            "bad_steps": self.bad_steps,
            "carried": self.carried
            and [self.ranks.joined(h, self.config.train.batch).cpu().clone() for h in self.carried],
            "sums": (self._loss_sum, self._right, self._seen, self._steps),
            "norms": (self._norm_sum, self._norm_max, self._skipped),
            "best": self.best,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a `state()` of the same config and seed; StoreError where it cannot be one."""
        try:
            for part in (state, *([state["best"]] if state["best"] else [])):
                reason = misfit(self.net, part["net"], slack=10 * self.config.train.lr * self.config.train.u_lr)
                if reason := reason or moments_misfit(self.optimizer, part["optimizer"]):
                    raise StoreError(f"checkpoint of step {state['step']}: {reason}")
            self.net.load_state_dict(state["net"])
            self._load_optimizer(state["optimizer"])
            self.schedule.load(state["schedule"])
            self.step, self.evaluated, self.best = state["step"], state["evaluated"], state["best"]
            self.bad_steps = state["bad_steps"]
            self.in_a_row.fill_(self.bad_steps)
            self.loss, self._unread = math.nan, []
            carried = state.get("carried")
            self.carried = carried and [self.ranks.own(h).to(self.device) for h in carried]
            self._loss_sum, self._right, self._seen, self._steps = state["sums"]
            self._norm_sum, self._norm_max, self._skipped = state.get("norms", (0.0, 0.0, 0))
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise StoreError(f"checkpoint: not the state of such a run: {type(error).__name__}: {error}") from None
        self._set_lr()

    def _snapshot(self) -> dict[str, Any]:
        optimizer = copy.deepcopy(self.optimizer.state_dict())
        for group in optimizer["param_groups"]:  # as where nothing is recorded: another device may take it up
            group |= {"lr": float(group["lr"]), "capturable": False}
        return {
            "net": {k: v.detach().cpu().clone() for k, v in self.net.state_dict().items()},
            "optimizer": optimizer,
        }

    def _load_optimizer(self, state: dict[str, Any]) -> None:
        self._lr = None
        kept = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(copy.deepcopy(state))  # torch would train on in the moments that it is given
        for group, own in zip(self.optimizer.param_groups, kept, strict=True):
            group |= own
        if self.recorded is not None:
            self.recorded.forget()

    def _set_lr(self) -> None:
        """Give the optimizer the schedule's rate."""
        self._lr = self.schedule.lr
        for group in self.optimizer.param_groups:
            lr = torch.tensor(self.schedule.lr * group["factor"], dtype=torch.float32).item()
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)  # a recording reads it there; a copy would wait for the device
            else:
                group["lr"] = lr  # the same number
