"""Training steps that a device decides on by itself, recorded where that can be: nothing is read of it for a step."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import ParameterError, RunError
from ..models.build import set_generator
from . import evaluate
from .cuda_graphs import Given, Recording
from .resumable import GIVE_UP
from .scored import Scored

FEW = 1 << 15  # outputs that one block of a kernel looks through


class Tried(NamedTuple):
    """Findings of a step before it is applied: `told` (3,) in float64, the loss, the right answers (0 unless of
    classes) and the norm of all gradients, read at once; batch norm's statistics before it; the state to carry on;
    and whether it is not to be applied, as 0.0 or 1.0 and as a truth value, where a kernel said so."""

    told: Tensor
    gradients: list[Tensor]
    before: list[Tensor]
    state: evaluate.State
    bad: tuple[Tensor, Tensor] | None = None


class DeviceSteps(Scored):
    """A run whose steps a device may decide on: `decides` says whether it does."""

    decides: bool
    graphs: str
    statistics: list[Tensor]
    _learn: Callable[[Given], Tried]
    _apply: Callable[[Tried], None]

    def _decided(self, given: Given) -> Tried:
        """A whole step, applied only if its loss and gradient are finite and three in a row never were not.

        Nobody reads which it was, so that it can be recorded, and the host never waits.
        """
        tried = self._learn(given)
        if tried.bad is None:
            wrong = (tried.told * 0).sum() != 0  # 0 times what is not finite is not a number
            wrong = wrong | (self.in_a_row >= GIVE_UP)
            self.in_a_row.add_(1).mul_(wrong)
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
        if tried.state is None:
            return tried
        before = self.carried or [torch.zeros_like(h) for h in tried.state]
        state = [torch.where(wrong, old, h.detach()) for old, h in zip(before, tried.state, strict=True)]
        return tried._replace(state=state)

    def _recording(self, given: Given) -> Recording[Tried] | None:
        """The recording of a step on such a batch, if there is one; where none can be made, none is tried again."""
        try:
            return None if self.recorded is None else self.recorded.of(given)
        except RuntimeError as error:
            why = str(error).partition("\n")[0]
            if self.graphs == "on":
                raise RunError(f"graphs: 'on' received, but this step cannot be recorded: {why}") from None
            warnings.warn(f"a training step could not be recorded, so graphs are off: {why}", stacklevel=2)
            self.recorded, self.rng = None, torch.Generator(self.device)  # the old one may think it is recorded
            set_generator(self.net, self.rng)
            return None

    def close(self) -> None:
        """Let go of what was recorded: the run is over, or goes on elsewhere."""
        if self.recorded is not None:
            self.recorded.forget()


def found(
    norms: Tensor, loss: Tensor, output: Tensor, y: Tensor, classes: bool, in_a_row: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """`told` and both of `bad` of a step, by a kernel that counts those in a row too: many operators in one."""
    from .triton_findings import find

    told = loss.new_empty(3, dtype=torch.float64)
    bad, wrong = loss.new_empty((), dtype=torch.float32), loss.new_empty((), dtype=torch.bool)
    with torch.accelerator.device_index(loss.device.index) if loss.is_cuda else nullcontext():
        sizes = len(norms), *(output.shape if classes else (1, 1))
        blocks = dict(zip(("BLOCK", "ROWS", "COLUMNS"), (1 << (n - 1).bit_length() for n in sizes), strict=True))
        tensors = (norms, loss, output.contiguous(), y, told, bad, wrong, in_a_row)
        find[(1,)](*tensors, *sizes, **blocks, CLASSES=classes, GIVE_UP=GIVE_UP)
    return told, bad, wrong


def set_precision(precision: str, device: torch.device) -> None:
    """Matrix products on a CUDA device in so many bits, torch's own and cuDNN's alike; a ParameterError elsewhere."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    elif precision != "fp32":
        raise ParameterError(f"train.precision: {precision!r} received; device {device.type!r} has fp32 alone")
