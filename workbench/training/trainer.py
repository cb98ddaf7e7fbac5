"""One training loop for every task: the paper's optimiser and schedules, stoppable and resumable at any step.

`Trainer` holds the whole state of a run in memory and knows nothing of disks; `runs` keeps it in a record. Nothing
random is part of that state (seeds.py), so `state()` and `load()` continue bit by bit.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import NamedTuple, cast

import torch
from torch import Tensor

from .. import recurrence, tasks
from ..config import Config
from ..errors import DataError, ParameterError
from ..models.build import build, clamp_, draw_masks, set_backend, set_generator, set_ranks
from ..models.distributed import ALONE, Ranks
from ..recurrence import engine_triton
from ..seeds import check_seed, generator
from ..tasks.contract import Batch, Resident
from . import evaluate
from .cuda_graphs import Given, Steps, side_by_side, wanted
from .denormals import flushed
from .device_steps import FEW, DeviceSteps, Tried, found, set_precision
from .gradients import recurrent
from .optimizer import optimizer
from .resumable import EVERY, FIRST, GIVE_UP, Diverged, Unread
from .schedule import Schedule


class Begun(NamedTuple):
    """A step that was begun: what it finds, its answers that are scored, and whether the device decides on it."""

    tried: Tried
    answers: int
    decided: bool


class Trainer(DeviceSteps):
    """A run in memory: `advance()` trains one step, `evaluation()` scores, `state()` and `load()` save and resume.

    On a device a step may be begun and finished later, while other runs begin theirs: `begin()`, then `finish()`; and
    the device decides by itself whether a step is applied: what steps found is read many at a time, by `settle()`.
    Of several `ranks`, each holds the whole run and trains on its part of each batch; all do each of these together.
    `graphs`: whether a step is recorded once and replayed, see cuda_graphs.py; auto, on or off. `task`: what the
    config's task would load, where it is at hand already.
    """

    def __init__(
        self,
        config: Config,
        seed: int,
        *,
        device: str = "cpu",
        backend: str = "auto",
        ranks: Ranks = ALONE,
        graphs: str = "auto",
        task: tasks.Task | None = None,
    ):
        self.config, self.seed, self.device, self.ranks = config, check_seed(seed), torch.device(device), ranks
        ranks.check(config.train.batch)
        task = tasks.load(config.task, seed, config.train.batch) if task is None else task
        self.task = tasks.laid(task, self.device)
        self.net = build(config.model, self.task.spec, generator(seed, "init")).to(self.device)
        if config.train.watch_layers and not recurrent(self.net):
            raise ParameterError(f"train.watch_layers: True received; a {config.model.kind} has no recurrent layer")
        self.backend = recurrence.chosen(backend, self.device)
        set_backend(self.net, backend)
        self.rng = torch.Generator(self.device)
        set_generator(self.net, self.rng)
        set_ranks(self.net, ranks)
        self.parallel = ranks.parallel(self.net)
        self.graphs, self.together = graphs, self.device.type != "cpu" and ranks.count == 1  # masks: in one draw
        recorded = wanted(graphs, config, self.task.spec, self.device, ranks.count)
        set_precision(config.train.precision, self.device)
        self.optimizer = optimizer(self.net, config.train, self.device if recorded else None)
        self.schedule = Schedule(config.train)
        self.weights = [p for p in self.net.parameters() if p.requires_grad]
        self.statistics = list(self.net.buffers())
        if recorded and self.statistics:
            self.statistics = [side_by_side(self.statistics)]
        self.step, self.evaluated, self.bad_steps, self.loss = 0, 0, 0, math.nan
        self.decides = recorded or self.together
        self.in_a_row, self._unread = torch.zeros((), dtype=torch.int32, device=self.device), []
        self.carried, self.best, self.recorded = None, None, None
        self.interrupted = lambda: False
        self.resident: Resident | None = None
        self._ahead: tuple[int, Given] | None = None  # drawn while the device was busy: of which step
        self._begun: Begun | None = None
        if recorded:
            self.resident = tasks.resident(self.task, self.device)
            self.recorded = Steps(self.net, self.optimizer, self.rng, self._decided, more=[self.in_a_row])
        self._set_lr()
        self._clear_sums()

    def advance(self) -> float:
        """One step on the batch that the seed gives this step; returns its loss, on a device the newest that was read.

        Order, as in the official code: clamp u, forward, backward, clamp the gradient's elements, Adam; where
        `clip_norm` is set, the gradient is scaled before its elements are clamped. A step whose loss or gradient is not
        finite is not applied; three in a row raise Diverged.
        """
        self.begin()
        return self.finish()

    def begin(self) -> None:
        """Give the next step to the device, which may still work on it when this returns."""
        step, given = self._ahead or (-1, None)
        if given is None or step != self.step:
            given = self._given(self.step)
        self._ahead = None
        if isinstance(given, Batch) and given.x.is_floating_point():
            self._check_finite(given.x)
        recording = None if self.recorded is None else self._recording(given)
        self.rng.manual_seed(generator(self.seed, "dropout", self.step).initial_seed())
        if not self.net.training:
            self.net.train()
        learn = recording or (self._decided if self.decides else self._learn)
        with flushed() if self.config.train.flush_denormal else nullcontext():
            self._begun = Begun(learn(given), self._answers(given), self.decides)

    def finish(self) -> float:
        """The end of the step that was begun; returns the loss of the newest step that was read.

        Where the device decides, the first steps are read one by one, then so many at a time, and all before a row of
        the curve or the end; of three bad ones in a row one hears that much later, but nothing after them is applied.
        """
        if self._begun is None:
            raise ParameterError("finish: no step was begun; begin() comes before it")
        (tried, answers, decided), self._begun = self._begun, None
        if decided:
            self._ahead = self.step + 1, self._given(self.step + 1)
            self.carried = tried.state
        told = tried.told.clone() if decided else self._decide(tried)
        self._unread.append(Unread(told, answers, self.schedule.state()))
        self.step += 1
        self.schedule.step(self.step)
        if self._lr != self.schedule.lr:
            self._set_lr()
        soon = not decided or self.step <= FIRST or len(self._unread) == EVERY or math.isnan(self.loss)
        if soon or self.due or self.ended:
            self.settle()
        return self.loss

    def _decide(self, tried: Tried) -> Tensor:
        """Apply a step if its loss and gradient are finite, which is read; its findings, of all ranks."""
        *own, norm = tried.told.tolist()
        told = [*self.ranks.total(*own), norm]
        if all(map(math.isfinite, told)):
            self._apply(tried)
            self.carried = tried.state and [h.detach() for h in tried.state]
        else:
            for b, kept in zip(self.statistics, tried.before, strict=True):
                b.copy_(kept)  # a forward pass that overflowed would poison batch norm for good
        return torch.tensor(told, dtype=torch.float64)

    def _answers(self, given: Given) -> int:
        """The answers that a batch asks for: all of one that lies on a device, where nothing is read."""
        if isinstance(given, Tensor):
            return len(given)
        return evaluate.counted(given.y, self.task.spec.target) if given.y.is_cpu else given.y.numel()

    def _given(self, step: int) -> Given:
        """The batch of a step, or its rows where the data lie on the device; in memory that a device reads itself."""
        if self.resident is not None:
            return self.resident.rows(step)
        batch = self.task.batch(step)
        if self.device.type == "cuda" and batch.x.is_cpu:
            batch = batch._replace(x=batch.x.pin_memory(), y=batch.y.pin_memory())
        return batch

    def _learn(self, given: Given) -> Tried:
        """Clamp u, forward, backward; reads nothing of the device, so that it can be recorded.

        The loss is a mean over the whole batch: of each process's part as much as it has of the answers, and as often
        as there are processes, since the gradients are averaged over them.
        """
        target, ranks = self.task.spec.target, self.ranks
        if self.resident is not None and isinstance(given, Tensor):
            given = self.resident.batch(given.to(self.device))
        batch = cast(Batch, given)
        clamp_(self.net)
        if self.together:
            draw_masks(self.net, batch.x.shape[1], self.rng)
        before = [b.clone() for b in self.statistics]
        with ranks.part(batch) as part:
            y = part.y.to(self.device, non_blocking=part.y.is_cpu)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.train.precision == "bf16"):
                output, state = evaluate.answer(self.parallel, part, target, self.carried)
            loss = evaluate.loss_of(output.float() if output.dtype == torch.bfloat16 else output, y, target)
            self.optimizer.zero_grad(set_to_none=True)
            if ranks.count > 1:
                weight = evaluate.counted(part.y, target) / evaluate.counted(batch.y, target)
                loss = loss * weight if weight else output.sum() * 0.0  # the mean of none is not a number
            (loss if ranks.count == 1 else loss * ranks.count).backward()
        output, loss = output.detach(), loss.detach()
        gradients = [p.grad for p in self.weights if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        if self.together and engine_triton.takes(norms) and (target == "real" or output.numel() <= FEW):
            told, *bad = found(norms, loss, output, y, target == "class", self.in_a_row)
            return Tried(told, gradients, before, state, (bad[0], bad[1]))
        right = (output.argmax(-1) == y).sum() if target == "class" else loss.new_zeros(())
        told = torch.stack((loss.double(), right.double(), norms.double().norm()))
        return Tried(told, gradients, before, state)

    def _apply(self, tried: Tried) -> None:
        """Scale the gradient down to `clip_norm`, clamp its elements, step."""
        if self.config.train.clip_norm is not None:
            share = (self.config.train.clip_norm / tried.told[2]).clamp(max=1)
            torch._foreach_mul_(tried.gradients, share.to(tried.gradients[0].dtype))
        if self.config.train.clip is not None:
            torch._foreach_clamp_min_(tried.gradients, -self.config.train.clip)
            torch._foreach_clamp_max_(tried.gradients, self.config.train.clip)
        self.optimizer.step()
        if self.config.train.clamp == "after":
            clamp_(self.net)

    def settle(self) -> None:
        """Read at once what the steps since the last reading found, and count it.

        Raises Diverged where three in a row were not finite; the run is then as it was at that step.
        """
        unread, self._unread = self._unread, []
        told = torch.stack([one.told for one in unread]).tolist() if unread else []
        for step, (one, values) in enumerate(zip(unread, told, strict=True), self.step - len(unread)):
            self.loss, right, norm = values
            if math.isfinite(self.loss) and math.isfinite(norm):
                self.bad_steps = 0
                self._count(right, norm, one.answers)
                continue
            self.bad_steps += 1
            self._skipped += 1
            if self.bad_steps >= GIVE_UP:  # more, where a run that diverged is taken up again
                self.step = step
                self.schedule.load(one.schedule)
                self._set_lr()
                raise Diverged(f"diverged at step {step}: loss {self.loss}, {GIVE_UP} non-finite steps in a row")

    def _count(self, right: float, norm: float, answers: int) -> None:
        self._loss_sum += self.loss * answers
        self._seen += answers
        self._steps += 1
        self._right += int(right)
        if self.config.train.watch_gradient:
            self._norm_sum += norm
            self._norm_max = max(self._norm_max, norm)

    @property
    def ended(self) -> bool:
        """True once the schedule is at its end."""
        steps = self.config.train.steps
        return self.schedule.ended or (steps is not None and self.step >= steps)

    @property
    def due(self) -> bool:
        """True while an evaluation follows this step and is not done yet."""
        return self.step % self.config.train.evaluate_every == 0 and self.step > self.evaluated

    def _check_finite(self, x: Tensor) -> None:
        if not bool(torch.isfinite(x).all()):
            step, row, feature = (int(i) for i in (~torch.isfinite(x)).nonzero()[0])
            raise DataError(f"batch {self.step}, row {row}, step {step}, feature {feature}: a non-finite input")
