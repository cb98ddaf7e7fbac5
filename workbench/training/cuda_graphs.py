"""CUDA graphs: work recorded once and replayed without Python, whose dispatch is most of a small net's training step.

A whole step is one recording: batch, clamp, forward, backward, clip, Adam, and, decided there, whether all of it is
applied. A recording always reads and writes the same memory, so there is one a shape of batch. Each trainer records
on a stream of its own: what one leaves behind, the end of another cannot take away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
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
Given = Batch | Tensor  # a batch, or the rows of its examples where the data lie on the device
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
    """One shape's step: called with what a step is given, it replays the step on that and returns what was found.

    What was found lies in the same memory at each replay. Recording changes neither net nor optimizer.
    """

    def __init__(self, given: Given, steps: Steps[_Found]):
        self.held = tuple(value.to(steps.device, copy=True) for value in _tensors(given))
        own = self.held[0] if isinstance(given, Tensor) else given._replace(x=self.held[0], y=self.held[1])
        with unchanged(steps.net, steps.optimizer, steps.more):
            warm(lambda: steps.step(own), steps.stream)

            def step() -> None:
                self.found = steps.step(own)

            self._replay = record(step, steps.rng, steps.stream)

    def __call__(self, given: Given) -> _Found:
        for held, value in zip(self.held, _tensors(given), strict=True):
            held.copy_(value, non_blocking=True)
        self._replay()
        return self.found


class Steps(Generic[_Found]):
    """The training steps of a net as recordings, made when a shape is first met, on one stream.

    `more`: what a step changes besides net and optimizer; making a recording changes none of it.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        rng: Generator,
        step: Callable[[Given], _Found],
        more: Sequence[Tensor] = (),
    ):
        self.net, self.optimizer, self.rng, self.step, self.more = net, optimizer, rng, step, more
        self.device = rng.device
        self.stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        self.made: dict[tuple[Any, ...], Recording[_Found]] = {}

    def of(self, given: Given) -> Recording[_Found] | None:
        """The recording for such a batch; None for padded ones, whose lengths are read, and for one shape too many."""
        if isinstance(given, Batch) and given.lengths is not None:
            return None
        shape = (*((v.shape, v.dtype) for v in _tensors(given)), isinstance(given, Batch) and given.samplings)
        if shape not in self.made and len(self.made) < SHAPES:
            self.made[shape] = Recording(given, self)
        return self.made.get(shape)

    def forget(self) -> None:
        """Throw the recordings away: the memory that they know has been replaced, or the run is over."""
        self.made.clear()


def _tensors(given: Given) -> tuple[Tensor, ...]:
    return (given,) if isinstance(given, Tensor) else (given.x, given.y)


def side_by_side(values: Sequence[Tensor]) -> Tensor:
    """Lay tensors into one stretch of memory (n,) int64, of which they become views: one kernel keeps or restores all.

    Their values stay; each begins at a multiple of 16 bytes, as kernels like it.
    """
    words = [2 * -(-value.nbytes // 16) for value in values]
    whole = torch.zeros(sum(words), dtype=torch.int64, device=values[0].device)
    for value, piece in zip(values, whole.split(words), strict=True):
        part = piece.view(torch.uint8)[: value.nbytes].view(value.dtype).view(value.shape)
        value.data = part.copy_(value)
    return whole


@contextmanager
def unchanged(net: nn.Module, optimizer: torch.optim.Optimizer, others: Sequence[Tensor] = ()) -> Iterator[None]:
    """Put back, in place, what steps inside change; moments that there were none of become 0."""
    values = (*net.parameters(), *net.buffers(), *_moments(optimizer), *others)
    kept = [(value, value.detach().clone()) for value in values]
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
    stream = torch.cuda.Stream()
    warm(call, stream)
    return record(call, stream=stream)


def warm(call: Callable[[], Any], stream: torch.cuda.Stream | None) -> None:
    """Call it a few times beside the main stream, as a recording needs it."""
    assert stream is not None
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM):
            call()
    torch.cuda.current_stream().wait_stream(stream)


def record(
    call: Callable[[], Any], rng: Generator | None = None, stream: torch.cuda.Stream | None = None
) -> Callable[[], Any]:
    """Record a call, which is not executed; what it draws from `rng` is drawn anew at each replay."""
    graph = torch.cuda.CUDAGraph()
    if rng is not None:
        graph.register_generator_state(rng)
    with torch.cuda.graph(graph, stream=stream):
        call()
    return graph.replay


def beside(stream: torch.Stream | None) -> Any:
    """Work inside is put on that stream; without one, nothing changes."""
    return nullcontext() if stream is None else stream
