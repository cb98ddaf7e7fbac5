"""CUDA graphs: work recorded once and replayed without Python, whose dispatch is most of a small net's training step.

A step is two recordings, since whether it is applied is decided between them: `learn` (clamp, forward, backward) and
`apply` (clip, Adam). A recording always reads and writes the same memory, so there is one a shape of batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import torch
from torch import Generator, Tensor, nn

from ..config import Config
from ..errors import ParameterError, choices, quoted
from ..tasks.contract import Batch, Spec

CHOICES = ("auto", "on", "off")
SMALL = 1 << 23  # T * B * N up to which `auto` records; reckoned from launch times, until a GPU run measures it
KINDS = ("plain", "residual", "dense")  # nets whose step neither synchronises nor reads the host's memory
SHAPES = 4  # of batches, each with its own recording; others are trained on without
WARM = 3  # calls before a recording, in which kernels are compiled and memory is found
_Found = TypeVar("_Found")


def wanted(choice: str, config: Config, spec: Spec, device: torch.device, processes: int) -> bool:
    """Decide whether a run's steps are recorded: never for `off`; for `auto` where they can be and the net is small.

    A ParameterError for `on` where they cannot be, and for a choice that is none.
    """
    if choice not in CHOICES:
        raise ParameterError(f"graphs: {quoted(choice)} is unknown; choose one of {choices(CHOICES)}")
    reasons = {
        f"the device is {device.type}; a CUDA device is needed": device.type != "cuda",
        f"it cannot be done by {processes} processes; start one": processes > 1,
        "a language net carries its state from chunk to chunk": spec.target == "token",
        f"a net of kind {config.model.kind!r} cannot be recorded; {choices(KINDS)} can": config.model.kind not in KINDS,
    }
    reason = next((reason for reason, holds in reasons.items() if holds), None)
    if choice == "on" and reason is not None:
        raise ParameterError(f"graphs: 'on' received, but {reason}")
    small = spec.steps * config.train.batch * config.model.hidden <= SMALL
    return reason is None and (choice == "on" or (choice == "auto" and small))


class Recording(Generic[_Found]):
    """One shape's step: `learn` replays it on a batch and gives what it found, `apply` what follows if it is applied.

    What was found lies in the same memory at each replay. Recording changes neither net nor optimizer.
    """

    def __init__(self, batch: Batch, steps: Steps[_Found]):
        self.x, self.y = batch.x.to(steps.device, copy=True), batch.y.to(steps.device, copy=True)
        own = batch._replace(x=self.x, y=self.y)
        with unchanged(steps.net, steps.optimizer):
            warm(lambda: steps.apply(steps.learn(own)))

            def learn() -> None:
                self.found = steps.learn(own)

            self._learn = record(learn, steps.chance)
            self._apply = record(lambda: steps.apply(self.found))

    def learn(self, batch: Batch) -> _Found:
        self.x.copy_(batch.x)
        self.y.copy_(batch.y)
        self._learn()
        return self.found

    def apply(self) -> None:
        self._apply()


class Steps(Generic[_Found]):
    """The training steps of a net as recordings, made when a shape is first met."""

    def __init__(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        chance: Generator,
        learn: Callable[[Batch], _Found],
        apply: Callable[[_Found], None],
    ):
        self.net, self.optimizer, self.chance, self.learn, self.apply = net, optimizer, chance, learn, apply
        self.device = chance.device
        self.made: dict[tuple[Any, ...], Recording[_Found]] = {}

    def of(self, batch: Batch) -> Recording[_Found] | None:
        """The recording for such a batch; None for padded ones, whose lengths are read, and for one shape too many."""
        shape = (batch.x.shape, batch.x.dtype, batch.y.shape, batch.y.dtype, batch.samplings)
        if shape not in self.made and batch.lengths is None and len(self.made) < SHAPES:
            self.made[shape] = Recording(batch, self)
        return self.made.get(shape) if batch.lengths is None else None

    def forget(self) -> None:
        """Throw the recordings away: the memory that they know has been replaced."""
        self.made.clear()


@contextmanager
def unchanged(net: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Put back, in place, what steps inside change; moments that there were none of become 0."""
    kept = [(value, value.detach().clone()) for value in (*net.parameters(), *net.buffers(), *_moments(optimizer))]
    try:
        yield
    finally:
        with torch.no_grad():
            for value in _moments(optimizer):
                value.zero_()
            for value, before in kept:
                value.copy_(before)


def _moments(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]


def graphed(call: Callable[[], Any]) -> Callable[[], Any]:
    """The call as a graph: same inputs and memory at each replay. It must neither synchronise nor read the device."""
    warm(call)
    return record(call)


def warm(call: Callable[[], Any]) -> None:
    """Call it a few times beside the main stream, as a recording needs it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM):
            call()
    torch.cuda.current_stream().wait_stream(stream)


def record(call: Callable[[], Any], chance: Generator | None = None) -> Callable[[], Any]:
    """Record a call, which is not executed; what it draws from `chance` is drawn anew at each replay."""
    graph = torch.cuda.CUDAGraph()
    if chance is not None:
        graph.register_generator_state(chance)
    with torch.cuda.graph(graph):
        call()
    return graph.replay
