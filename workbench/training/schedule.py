"""The learning rate: dropped by patience, with the best state restored, or every so many steps; or one cycle."""

from __future__ import annotations

import math
from typing import Any

from ..config import Train


class Schedule:
    """The learning rate `lr` of the next step: dropped by patience, or every so many steps; or one cycle."""

    def __init__(self, train: Train):
        self.train, self.lr = train, train.lr
        if train.schedule == "one_cycle":
            self.lr = cycled(train, 0)
        self.best, self.best_step, self.waited, self.dropped = math.inf, 0, 0, 0

    @property
    def ended(self) -> bool:
        stop = self.train.early_stop
        return self.dropped >= self.train.drops or (stop is not None and self.waited >= stop)

    def step(self, step: int) -> None:
        """After a training step: the drops of a schedule by steps, the next rate of a cycle."""
        if self.train.schedule == "one_cycle":
            self.lr = cycled(self.train, step)
        if self.train.drop_every is not None and step % self.train.drop_every == 0:
            self._drop()

    def evaluation(self, loss: float, step: int) -> str:
        """After an evaluation: `best` for a new best, `restore` where patience ends, else `wait`.

        Patience ends at the first evaluation after more than int(patience / r + 0.5) without a new best, r doubling
        at each drop: the 102nd, 52nd, 27th in a row for patience 100 (official code). A cycle only waits, but with
        `early_stop` it has a best too.
        """
        if self.train.schedule == "one_cycle" and self.train.early_stop is None:
            return "wait"
        if loss < self.best:
            self.best, self.best_step, self.waited = loss, step, 0
            return "best"
        patience = self.train.patience
        if patience is not None and self.waited > int(patience / 2**self.dropped + 0.5):
            self.waited = 0
            self._drop()
            return "restore"
        self.waited += 1
        return "wait"

    def _drop(self) -> None:
        self.dropped += 1
        if not self.ended:
            self.lr *= self.train.factor

    def state(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "train"}

    def load(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def cycled(train: Train, step: int) -> float:
    """The rate of step `step`, counted from 0, of one cycle: up in a line to `lr`, down half a cosine to 0."""
    steps = train.steps or 0
    rising = round(train.warmup * steps)
    if step < rising:
        return train.lr * (step + 1) / rising
    return train.lr * (1 + math.cos(math.pi * min((step - rising) / max(steps - rising, 1), 1))) / 2
