"""The scores of a run in memory: rows of its curve on validation data, its best weights on the test."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import Generator, nn

from ..errors import Stopped
from ..models.build import recurrent_weights, set_generator, weights_sha256
from ..models.norms import BatchNorm
from ..tasks.contract import Batch, Split, Task
from . import evaluate
from .gradients import gradient_map
from .resumable import Resumable

EVALUATION_BATCH = 250  # divides MNIST's 10,000 and the adding problem's 1,000 and 2,000
CLEAN_BATCHES = 50  # for clean batch norm statistics; 94 in the official code, on validation images


class Interrupted(Stopped):
    """Asked to stop in the middle of an evaluation, which will be done again."""


class Scored(Resumable):
    """A run that is scored: `evaluation()` makes a row of the curve and applies the patience rule, `test()` ends it."""

    task: Task
    rng: Generator
    interrupted: Callable[[], bool]  # asked between the batches of an evaluation

    def evaluation(self) -> dict[str, Any]:
        """Score the validation split, apply the patience rule, return a row of the curve.

        `train`: mean over the steps since the last row, with dropout. `valid`: stored batch norm statistics, the ones
        that choose; `valid_batch`: those of the batch at hand, at the training batch size, as the official log has. In
        one cycle, whose high rates leave the stored ones behind, `valid` has those of the protocol of its scores.
        """
        self.settle()
        lr, spec, train = self.schedule.lr, self.task.spec, self._mean()
        cycle = self.config.train.schedule == "one_cycle"
        net = self._copied(None) if cycle else self.net
        valid = evaluate.score(net, self._examples("valid"), spec.target)
        row: dict[str, Any] = {"step": self.step, "lr": lr, "train": train, "valid": valid}
        normed = any(isinstance(m, BatchNorm) for m in self.net.modules())
        if normed and not cycle and spec.target != "token":  # whose statistics are those of a step, over ten texts only
            batches = self._examples("valid", self.config.train.batch)
            row["valid_batch"] = evaluate.score(self.net, batches, spec.target, batch_statistics=True)
        by_loss = cycle and spec.target == "class"  # an early stop goes by the loss
        chosen_by = self.ranks.lead(  # one machine's roundings decide
            lambda: valid["loss"] if by_loss else evaluate.selection(valid, spec.target)
        )
        outcome = self.schedule.evaluation(chosen_by, self.step)
        if outcome == "best":
            self.best = self._snapshot()
        elif outcome == "restore" and self.best is not None:
            self.net.load_state_dict(self.best["net"])
            self._load_optimizer(self.best["optimizer"])
        self.evaluated = self.step
        row["outcome"] = outcome
        row["u"] = {name: u.cpu().clone() for name, u in recurrent_weights(self.net).items()}
        if self.config.train.watch_layers:
            row["layers"] = self.by_layer()
        self._set_lr()
        self._clear_sums()
        return row

    def by_layer(self) -> list[float]:
        """The gradient that arrives at each recurrent layer, the lowest first, of the first validation batch."""
        batch = next(iter(self.task.examples("valid", self.config.train.batch)))  # whoever asks to stop waits for it
        there = batch._replace(y=batch.y.to(self.device))
        found: list[float] = gradient_map(self.net, there, self.task.spec.target)[0].norm(dim=1).tolist()
        return found

    # --- scores of the best weights ---

    def test(self) -> dict[str, Any]:
        """Score the best-validation weights, or a cycle's last, on the test split, with the config's protocol.

        -> {"test": scores, "valid": scores, "best_step", "weights_sha256"}; without "test" where the config closes it.
        The weights in training do not change.
        """
        self.settle()
        net, train, target = self.best_net(), self.config.train, self.task.spec.target

        def scored(split: Split) -> evaluate.Scores:
            batches = self._examples(split)
            if split == "test" and train.wrap_test:
                batches = evaluate.wrapped(self._examples(split, train.batch), train.batch)
            return evaluate.score(net, batches, target, batch_statistics=train.bn_statistics == "test")

        return {
            **({"test": scored("test")} if train.score_test else {}),
            "valid": scored("valid"),
            "best_step": self.schedule.best_step if self.best is not None else self.step,
            "weights_sha256": weights_sha256(self.net),
        }

    def best_net(self) -> nn.Module:
        """A copy of the net with the best-validation weights (the present ones if nothing was evaluated yet)."""
        return self._copied(self.best)

    def _copied(self, best: dict[str, Any] | None) -> nn.Module:
        """A copy of the net with a snapshot's weights, the present ones if None, its statistics as the protocol has."""
        set_generator(self.net, None)  # a generator cannot be copied
        net = copy.deepcopy(self.net)
        set_generator(self.net, self.rng)
        if best is not None:
            net.load_state_dict(best["net"])
        protocol = self.config.train.bn_statistics
        if protocol == "clean":
            evaluate.reestimate_(net, self._watched(self.task.clean(i) for i in range(CLEAN_BATCHES)))
        elif protocol == "validation":
            evaluate.reestimate_(net, self._examples("valid", self.config.train.batch), momentum=0.1)
        return net

    def _examples(self, split: Split, size: int = EVALUATION_BATCH) -> Iterator[Batch]:
        return self._watched(self.task.examples(split, size))

    def _watched(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, unless somebody asks to stop: evaluations can take a minute, leaving must not."""
        for batch in batches:
            if self.interrupted():
                raise Interrupted("stopped during an evaluation")
            yield batch

    def _mean(self) -> dict[str, float]:
        answers = self._seen or math.nan  # the mean of none is no number
        row = evaluate.means(self._loss_sum, self._right, answers, self.task.spec.target)
        if self.config.train.watch_gradient:
            mean = self._norm_sum / self._steps if self._steps else math.nan
            row |= {"gradient": mean, "gradient_max": self._norm_max, "skipped": self._skipped}
        return row | {"n": self._seen}

    def _clear_sums(self) -> None:
        self._loss_sum, self._right, self._seen, self._steps = 0.0, 0, 0, 0
        self._norm_sum, self._norm_max, self._skipped = 0.0, 0.0, 0
