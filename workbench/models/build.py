"""From a config to a net, and what holds for every net."""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator, Tensor, nn

from ..config import Model
from ..tasks.contract import Spec
from .baselines import Baseline
from .layer import SharedDropout, Unit
from .stacks import Plain

KINDS: dict[str, Callable[[Model, Spec, Generator | None], nn.Module]] = {
    "plain": Plain,
    "lstm": Baseline,
    "rnn_tanh": Baseline,
    "irnn": Baseline,
}


def build(model: Model, spec: Spec, generator: Generator | None = None) -> nn.Module:
    """The net of a config for a task's spec, freshly initialised: x (T, B, inputs) -> (B, outputs).

    `generator` makes the first values reproducible; None draws them from torch's global generator.
    """
    return KINDS[model.kind](model, spec, generator)


def count(net: nn.Module) -> int:
    """How many numbers training may change; frozen second biases do not count."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def clamp_(net: nn.Module) -> None:
    """Project the u of every layer into its bound."""
    for module in net.modules():
        if isinstance(module, Unit):
            module.clamp_()


def recurrent_weights(net: nn.Module) -> dict[str, Tensor]:
    """Layer name -> u (N,), in the order of use; empty for nets without one."""
    return {name: module.u.detach() for name, module in net.named_modules() if isinstance(module, Unit)}


def set_generator(net: nn.Module, generator: Generator | None) -> None:
    """Let all dropout draw from one generator (None: torch's global one)."""
    for module in net.modules():
        if isinstance(module, SharedDropout):
            module.generator = generator


def set_backend(net: nn.Module, backend: str) -> None:
    """Choose the engine of every layer."""
    for module in net.modules():
        if isinstance(module, Unit):
            module.backend = backend
