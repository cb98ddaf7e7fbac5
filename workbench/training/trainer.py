"""One training loop for every task: the paper's optimiser and schedules, stoppable and resumable at any step.

`Trainer` holds the whole state of a run in memory and knows nothing of disks; `runs` keeps it in a record. Nothing
random is part of that state (seeds.py), so `state()` and `load()` continue bit by bit.
"""

from __future__ import annotations

import math
import warnings
from contextlib import nullcontext
from typing import NamedTuple, cast

import torch
from torch import Tensor

from .. import recurrence, tasks
from ..config import Config
from ..errors import DataError, ParameterError, RunError
from ..models.build import build, clamp_, draw_masks, set_backend, set_generator, set_ranks
from ..models.distributed import ALONE, Ranks
from ..recurrence import engine_triton
from ..seeds import check_seed, generator
from ..tasks.contract import Batch, Resident
from . import evaluate
from .cuda_graphs import Given, Recording, Steps, side_by_side, wanted
from .optimizer import optimizer
from .schedule import Schedule
from .scored import Scored

GIVE_UP = 3  # non-finite steps in a row
FEW = 1 << 15  # outputs that one block of a kernel looks through


class Diverged(RunError):
    """Loss or gradient was not finite three steps in a row."""


class Tried(NamedTuple):
    """Findings of a step before it is applied: `told` (3,) in float64, the loss, the right answers (0 unless of
    classes) and the norm of all gradients, read at once; batch norm's statistics before it; the state to carry on;
    and whether loss or norm are not finite, as 0.0 or 1.0 and as a truth value, where a kernel said so."""

    told: Tensor
    gradients: list[Tensor]
    before: list[Tensor]
    state: evaluate.State
    bad: tuple[Tensor, Tensor] | None = None


class Begun(NamedTuple):
    """A step that was begun: what it finds, its answers that are scored, and whether it was recorded."""

    tried: Tried
    answers: int
    recorded: bool


class Trainer(Scored):
    """A run in memory: `advance()` trains one step, `evaluation()` scores, `state()` and `load()` save and resume.

    On a device a step may be begun and finished later, while other runs begin theirs: `begin()`, then `finish()`.
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
        self.task = tasks.load(config.task, seed, config.train.batch) if task is None else task
        self.net = build(config.model, self.task.spec, generator(seed, "init")).to(self.device)
        self.backend = recurrence.chosen(backend, self.device)
        set_backend(self.net, backend)
        self.chance = torch.Generator(self.device)
        set_generator(self.net, self.chance)
        set_ranks(self.net, ranks)
        self.parallel = ranks.parallel(self.net)
        self.graphs, self.together = graphs, self.device.type != "cpu" and ranks.count == 1  # masks: in one draw
        recorded = wanted(graphs, config, self.task.spec, self.device, ranks.count)
        _set_precision(config.train.precision, self.device)
        self.optimizer = optimizer(self.net, config.train, self.device if recorded else None)
        self.schedule = Schedule(config.train)
        self.weights = [p for p in self.net.parameters() if p.requires_grad]
        self.statistics = list(self.net.buffers())
        if recorded and self.statistics:
            self.statistics = [side_by_side(self.statistics)]
        self.step, self.evaluated, self.bad_steps = 0, 0, 0
        self.carried, self.best, self.recorded = None, None, None
        self.interrupted = lambda: False
        self.resident: Resident | None = None
        self._ahead: tuple[int, Given] | None = None  # drawn while the device was busy: of which step
        self._begun: Begun | None = None
        if recorded:
            self.resident = tasks.resident(self.task, self.device)
            self.recorded = Steps(self.net, self.optimizer, self.chance, self._decided)
        self._set_lr()
        self._clear_sums()

    def advance(self) -> float:
        """One step on the batch that the seed gives this step; returns its loss.

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
        if isinstance(given, Batch):
            self._check_finite(given.x)
        recording = self._recording(given)
        self.chance.manual_seed(generator(self.seed, "dropout", self.step).initial_seed())
        if not self.net.training:
            self.net.train()
        tried = self._learn(given) if recording is None else recording(given)
        answers = len(given) if isinstance(given, Tensor) else evaluate.counted(given.y, self.task.spec.target)
        self._begun = Begun(tried, answers, recording is not None)

    def finish(self) -> float:
        """The end of the step that was begun: its findings are read, once; returns its loss."""
        if self._begun is None:
            raise ParameterError("finish: no step was begun; begin() comes before it")
        (tried, answers, recorded), self._begun = self._begun, None
        if self.recorded is not None:
            self._ahead = self.step + 1, self._given(self.step + 1)
        *own, norm = tried.told.tolist()
        value, right = self.ranks.total(*own)
        if math.isfinite(value) and math.isfinite(norm):
            if not recorded:
                self._apply(tried)
            self.carried = tried.state and [h.detach() for h in tried.state]
            self.bad_steps = 0
            self._add(value, right, answers)
            if self.config.train.watch_gradient:
                self._norm_sum += norm
                self._norm_max = max(self._norm_max, norm)
        else:
            if not recorded:
                for b, kept in zip(self.statistics, tried.before, strict=True):
                    b.copy_(kept)  # a forward pass that overflowed would poison batch norm for good
            self.bad_steps += 1
            self._skipped += 1
            if self.bad_steps == GIVE_UP:
                raise Diverged(f"diverged at step {self.step}: loss {value}, {GIVE_UP} non-finite steps in a row")
        self.step += 1
        self.schedule.step(self.step)
        if self._lr != self.schedule.lr:
            self._set_lr()
        return value

    def _given(self, step: int) -> Given:
        """The batch of a step, or its rows where the data lie on the device; in memory that a device reads itself."""
        if self.resident is not None:
            return self.resident.rows(step)
        batch = self.task.batch(step)
        if self.device.type == "cuda":
            batch = batch._replace(x=batch.x.pin_memory(), y=batch.y.pin_memory())
        return batch

    def _decided(self, given: Given) -> Tried:
        """A whole step, applied only if its loss and gradient are finite, which nobody reads: for a recording."""
        tried = self._learn(given)
        if tried.bad is None:
            wrong = (tried.told * 0).sum() != 0  # 0 times what is not finite is not a number
            bad = wrong.float()
        else:
            bad, wrong = tried.bad
        self.optimizer.found_inf = bad  # type: ignore[attr-defined]
        try:
            self._apply(tried)
        finally:
            del self.optimizer.found_inf  # type: ignore[attr-defined]
        for b, kept in zip(self.statistics, tried.before, strict=True):
            torch.where(wrong, kept, b, out=b)
        return tried

    def _learn(self, given: Given) -> Tried:
        """Clamp u, forward, backward; reads nothing of the device, so that it can be recorded.

        The loss is a mean over the whole batch: of each process's part as much as it has of the answers, and as often
        as there are processes, since the gradients are averaged over them.
        """
        target, ranks = self.task.spec.target, self.ranks
        if self.resident is not None and isinstance(given, Tensor):
            given = self.resident.batch(given)
        batch = cast(Batch, given)
        clamp_(self.net)
        if self.together:
            draw_masks(self.net, batch.x.shape[1], self.chance)
        before = [b.clone() for b in self.statistics]
        with ranks.part(batch) as part:
            y = part.y.to(self.device)
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
            told, *bad = _found(norms, loss, output, y, target == "class")
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

    def _recording(self, given: Given) -> Recording[Tried] | None:
        """The recording of a step on such a batch, if there is one; where none can be made, none is tried again."""
        if self.recorded is None:
            return None
        try:
            return self.recorded.of(given)
        except RuntimeError as error:
            why = str(error).partition("\n")[0]
            if self.graphs == "on":
                raise RunError(f"graphs: 'on' received, but this step cannot be recorded: {why}") from None
            warnings.warn(f"a training step could not be recorded, so graphs are off: {why}", stacklevel=2)
            self.recorded, self.chance = None, torch.Generator(self.device)  # the old one may think it is recorded
            set_generator(self.net, self.chance)
            return None

    def close(self) -> None:
        """Let go of what was recorded: the run is over, or goes on elsewhere."""
        if self.recorded is not None:
            self.recorded.forget()

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

    def _add(self, loss: float, right: float, n: int) -> None:
        self._loss_sum += loss * n
        self._seen += n
        self._steps += 1
        self._right += int(right)


def _found(norms: Tensor, loss: Tensor, output: Tensor, y: Tensor, classes: bool) -> tuple[Tensor, Tensor, Tensor]:
    """`told` and both of `bad` of a step, by a kernel: thirteen operators in one."""
    from .triton_findings import find

    told = loss.new_empty(3, dtype=torch.float64)
    bad, wrong = loss.new_empty((), dtype=torch.float32), loss.new_empty((), dtype=torch.bool)
    with torch.cuda.device(loss.device) if loss.is_cuda else nullcontext():
        sizes = len(norms), *(output.shape if classes else (1, 1))
        blocks = dict(zip(("BLOCK", "ROWS", "COLUMNS"), (1 << (n - 1).bit_length() for n in sizes), strict=True))
        find[(1,)](norms, loss, output.contiguous(), y, told, bad, wrong, *sizes, **blocks, CLASSES=classes)
    return told, bad, wrong


def _set_precision(precision: str, device: torch.device) -> None:
    """Matrix products on a CUDA device in so many bits, torch's own and cuDNN's alike; a ParameterError elsewhere."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    elif precision != "fp32":
        raise ParameterError(f"train.precision: {precision!r} received; device {device.type!r} has fp32 alone")
