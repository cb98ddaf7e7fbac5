"""From a config to a net, and what holds for every net."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import UnionType
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode

from ..config import Model
from ..errors import ParameterError, quoted
from ..tasks.contract import Spec
from .baselines.torch_rnns import OWN, TORCH, Baseline
from .baselines.transformer import Transformer
from .dense import Dense
from .distributed import Ranks
from .language import Language
from .layer import SharedDropout, Unit, recurrences
from .net import KINDS
from .norms import BatchNorm
from .plain import Plain
from .residual import residual

KINDS |= dict.fromkeys((*TORCH, *OWN), Baseline)
KINDS |= {"plain": Plain, "residual": residual, "dense": Dense, "transformer": Transformer}


def build(model: Model, spec: Spec, generator: Generator | None = None) -> nn.Module:
    """The net of a config for a task's spec, freshly initialised.

    It answers once, x (T, B, inputs), lengths (B,) or None -> (B, outputs); where the target is `token` at every step,
    see `Language`. `generator` makes the first values reproducible; None draws them from torch's global generator.
    """
    _expect("model", model, Model, "a Model, such as config.model,")
    _expect("spec", spec, Spec, "a Spec, such as tasks.spec(config.task),")
    _expect("generator", generator, Generator | None, "a torch.Generator, or None,")
    kind = KINDS[model.kind]
    return Language(model, spec, generator, kind) if spec.target == "token" else kind(model, spec, generator)


def _expect(name: str, value: object, kind: type | UnionType, wanted: str) -> None:
    if not isinstance(value, kind):
        raise ParameterError(f"{name}: {quoted(value)} received; {wanted} is needed")


def count(net: nn.Module) -> int:
    """Count the numbers that training may change; frozen second biases do not count."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def count_of(model: Model, spec: Spec) -> int:
    """Count the numbers that training may change in the net of a config, without making it: 80 million cost nothing."""
    return count(without_values(model, spec))


def without_values(model: Model, spec: Spec) -> nn.Module:
    """The net of a config as its modules and shapes alone, which costs nothing."""
    with torch.device("meta"), _Blank():
        return build(model, spec)


class _Blank(TorchFunctionMode):
    """First values are not drawn: on a device without values it does nothing, but costs seconds of imports."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in (Tensor.normal_, Tensor.uniform_) else func(*args, **(kwargs or {}))


def clamp_(net: nn.Module) -> None:
    """Project the u of every layer into its bound."""
    bounded = {found.u: found.bound for found in recurrences(net).values() if found.bound is not None}
    if bounded:
        with torch.no_grad():
            torch._foreach_clamp_min_(list(bounded), [-bound for bound in bounded.values()])
            torch._foreach_clamp_max_(list(bounded), list(bounded.values()))


def misfit(net: nn.Module, weights: Mapping[str, Tensor], slack: float) -> str | None:
    """Reason why stored weights cannot be those of a net: a name, a shape, a number; None if they can.

    |u| may lie over its bound by `slack`, since the clamp comes before the next forward pass, not after the step.
    """
    wanted = net.state_dict()
    if stranger := min(weights.keys() ^ wanted.keys(), default=None):
        return f"{stranger} is {'unknown here' if stranger in weights else 'missing'}"
    for name, value in weights.items():
        if value.shape != wanted[name].shape:
            return f"{name} has shape {tuple(value.shape)}, {tuple(wanted[name].shape)} is needed"
        if not bool(torch.isfinite(value).all()):
            return f"{name} is not finite"
    for name, _, _, bound in recurrences(net).values():
        if bound is not None and (largest := float(weights[name].abs().max())) > bound + slack:
            return f"{name} reaches {largest:.4g}, more than {slack:.4g} over its bound {bound:.4g}"
    return None


def weights_sha256(net: nn.Module) -> str:
    """A hash over the names and bytes of all parameters and statistics."""
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def recurrent_weights(net: nn.Module) -> dict[str, Tensor]:
    """Layer name -> u (N,), in the order of use; empty for nets without one."""
    return {name: found.u.detach() for name, found in recurrences(net).items()}


def set_generator(net: nn.Module, generator: Generator | None) -> None:
    """Let all dropout draw from one generator (None: torch's global one)."""
    for module in net.modules():
        if isinstance(module, SharedDropout):
            module.generator = generator


def draw_masks(net: nn.Module, B: int, generator: Generator) -> None:
    """Draw the dropout masks of all layers for the next pass of B sequences, those of one rate at once.

    Two kernels a rate in place of two a layer; other numbers than the layers would draw one by one.
    """
    units: dict[float, list[Unit]] = {}
    for unit in net.modules():
        if isinstance(unit, Unit) and unit.dropout.p > 0 and unit.dropout.over == "sequence":
            units.setdefault(1 - unit.dropout.p, []).append(unit)
    for keep, alike in units.items():
        drawn = torch.empty(sum(B * len(unit.u) for unit in alike), device=generator.device)
        drawn.bernoulli_(keep, generator=generator).div_(keep)
        for unit, mask in zip(alike, drawn.split([B * len(unit.u) for unit in alike]), strict=True):
            unit.dropout.drawn = mask.view(B, -1)


def set_ranks(net: nn.Module, ranks: Ranks) -> None:
    """Let batch norm and dropout know of the processes that train on the other parts of a batch."""
    modules = list(net.modules())
    words = {m.dropout_words for m in modules if isinstance(m, Language)}  # drops of the vocabulary, not of a sample
    for module in modules:
        if isinstance(module, BatchNorm | SharedDropout) and module not in words:
            module.ranks = ranks


def set_backend(net: nn.Module, backend: str) -> None:
    """Choose the engine of every layer."""
    for found in recurrences(net).values():
        found.layer.backend = backend  # type: ignore[assignment]
