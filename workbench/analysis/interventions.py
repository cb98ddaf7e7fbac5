"""Looking inside a net: gradients at every layer and step, single neurons, and what becomes of it where one is changed.

Everything here asks the net itself: it runs, differentiates or alters it, and leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ParameterError
from ..models.layer import Unit, recurrences
from ..recurrence import recur
from ..tasks import Batch
from ..training import evaluate
from ..training.gradients import batch_statistics as batch_statistics
from ..training.gradients import gradient_map as gradient_map
from ..training.gradients import outputs_of as outputs_of
from ..training.gradients import recurrent as recurrent


def through_time(us: Sequence[float], steps: int) -> Tensor:
    """|d h_T / d a_(T-k)| of ReLU neurons with recurrent weights u that stay on, by differentiation. -> (k = 0..T, n).

    The exact counterpart of u^k (Li et al. 2018, eq. (4)), in double precision.
    """
    a = torch.ones(steps + 1, 1, len(us), dtype=torch.float64, requires_grad=True)
    last = recur(a, torch.tensor(us, dtype=torch.float64))[-1]
    gradient: Tensor = torch.autograd.grad(last.sum(), a)[0]
    return gradient[:, 0].abs().flip(0)


# --- single neurons: what only independent ones have ---


@torch.no_grad()
def tightened(net: nn.Module, batch: Batch, target: str, bound: float) -> evaluate.Scores:
    """Score a net with every u cut to [-bound, bound], nothing retrained."""
    before = [(found.u, found.u.clone()) for found in recurrences(net).values()]
    try:
        for u, _ in before:
            u.clamp_(-bound, bound)
        return evaluate.score(net, [batch], target)
    finally:
        for u, was in before:
            u.copy_(was)


@contextmanager
def edited(net: nn.Module, layer: int, neuron: int, u: float | None = None, silent: bool = False) -> Iterator[None]:
    """Inside, one neuron of a layer has another u, or is silent: its state is 0 at every step. Counted from 0."""
    unit = unit_of(net, layer)
    if not 0 <= neuron < len(unit.u):
        raise ParameterError(f"neuron: {neuron} received; 0 to {len(unit.u) - 1} is allowed")

    def silence(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        mask = torch.ones_like(output[0, 0])
        mask[neuron] = 0
        return output * mask

    kept = unit.u.detach().clone()
    hook = unit.register_forward_hook(silence) if silent else None
    try:
        if u is not None:
            with torch.no_grad():
                unit.u[neuron] = u
        yield
    finally:
        with torch.no_grad():
            unit.u.copy_(kept)
        if hook is not None:
            hook.remove()


def unit_of(net: nn.Module, layer: int) -> Unit:
    """The IndRNN layer of an index from 0; ParameterError where there is none."""
    units = [module for module in recurrent(net) if isinstance(module, Unit)]
    if not 0 <= layer < len(units):
        raise ParameterError(f"layer: {layer} received; this net has IndRNN layers 0 to {len(units) - 1}")
    return units[layer]


@torch.no_grad()
def states(net: nn.Module, x: Tensor, layer: int) -> tuple[Tensor, Tensor]:
    """Return what a layer's neurons are given and their states: a and h, (T, B, N), of h_t = relu(a_t + u h_(t-1))."""
    unit, seen = unit_of(net, layer), []
    hook = unit.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        net(x)
    finally:
        hook.remove()
    a = unit.enter(seen[0]) if unit.fc is not None else seen[0]
    if unit.norm == "before" and unit.bn is not None:
        a = unit.bn(a)
    return a, recur(a, unit.u, activation=unit.activation)


def contributions(net: nn.Module, x: Tensor, blank: float, output: int, points: int = 32) -> Tensor:
    """Find what each step of example x (T, 1, M) adds to an output, against an empty input of value `blank`. -> (T,)

    Integrated gradients (Sundararajan et al. 2017) along the straight line from empty to x, by the midpoint rule: they
    add up to output(x) - output(empty), up to the rule's error.
    """
    empty = torch.full_like(x, blank)
    path = _path(empty, x, points)
    return _along(path, net(path)[:, output], x - empty)


def contributions_of_tokens(net: nn.Module, tokens: Tensor, blank: int, output: int, points: int = 32) -> Tensor:
    """`contributions` of each token of one text (T, 1) to a language net's score of token `output` behind the last.

    The straight line runs from the embedding of token `blank` to those of the text. -> (T,)
    """
    embedding: Any = net.embedding
    with torch.no_grad():
        x, empty = embedding(tokens), embedding(torch.full_like(tokens, blank))
    path = _path(empty, x, points)
    hook = embedding.register_forward_hook(lambda *_: path)
    try:
        scores = net(tokens.expand(-1, points))[0][-1, :, output]
    finally:
        hook.remove()
    return _along(path, scores, x - empty)


def _path(empty: Tensor, x: Tensor, points: int) -> Tensor:
    """The middles of so many equal parts of the way from empty to x, both (T, 1, M) -> (T, points, M)."""
    share = (torch.arange(points) + 0.5) / points
    return (empty + share[None, :, None] * (x - empty)).detach().requires_grad_()


def _along(path: Tensor, outputs: Tensor, way: Tensor) -> Tensor:
    """The integral of the outputs' gradient along a path, step by step. -> (T,)"""
    gradient: Tensor = torch.autograd.grad(outputs.sum(), path)[0]
    return (way[:, 0] * gradient.mean(1)).sum(-1).detach()
