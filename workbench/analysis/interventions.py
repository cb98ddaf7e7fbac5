"""Looking inside a net: gradients at every layer and step, single neurons, and what becomes of it where one is changed.

Everything here asks the net itself: it runs, differentiates or alters it, and leaves it as it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ParameterError
from ..models.layer import Unit, recurrences
from ..models.sequence import Span
from ..recurrence import recur
from ..tasks import Batch
from ..training import evaluate
from ..training.gradients import gradient_map as gradient_map
from ..training.gradients import recurrent as recurrent
from . import statistics


def through_time(us: Sequence[float], steps: int) -> Tensor:
    """|d h_T / d a_(T-k)| of ReLU neurons with recurrent weights u that stay on, by differentiation. -> (k = 0..T, n).

    The exact counterpart of u^k (Li et al. 2018, eq. (4)), in double precision.
    """
    a = torch.ones(steps + 1, 1, len(us), dtype=torch.float64, requires_grad=True)
    last = recur(a, torch.tensor(us, dtype=torch.float64))[-1]
    gradient: Tensor = torch.autograd.grad(last.sum(), a)[0]
    return gradient[:, 0].abs().flip(0)


# --- single neurons: what only independent ones have ---


@contextmanager
def edited(net: nn.Module, layer: int, neuron: int, u: float | None) -> Iterator[None]:
    """Inside, one neuron of a layer has another u; None: its own. Counted from 0."""
    unit = unit_of(net, layer)
    _known(unit, neuron)
    kept = unit.u.detach().clone()
    try:
        with torch.no_grad():
            unit.u[neuron] = kept[neuron] if u is None else u
        yield
    finally:
        with torch.no_grad():
            unit.u.copy_(kept)


@contextmanager
def silenced(net: nn.Module, layer: int, neurons: Sequence[int]) -> Iterator[None]:
    """Inside, nothing of these neurons of a layer reaches what follows, as if the weights that read them were 0."""
    unit = unit_of(net, layer)
    for neuron in neurons:
        _known(unit, neuron)

    def silence(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        mask = torch.ones_like(output[0, 0])
        mask[list(neurons)] = 0
        return output * mask

    with unit.register_forward_hook(silence) if neurons else nullcontext():
        yield


@contextmanager
def cut(net: nn.Module, bound: float) -> Iterator[None]:
    """Inside, every u of a net lies in [-bound, bound], nothing retrained."""
    before = [(found.u, found.u.detach().clone()) for found in recurrences(net).values()]
    try:
        with torch.no_grad():
            for u, _ in before:
                u.clamp_(-bound, bound)
        yield
    finally:
        with torch.no_grad():
            for u, was in before:
                u.copy_(was)


@torch.no_grad()
def answers(net: nn.Module, batch: Batch, target: str) -> Tensor:
    """Score each example of a batch: 1 right or 0 wrong, the squared error, or bits a token. -> (B,)"""
    output, _ = evaluate.answer(net, batch, target)
    if target == "class":
        return (output.argmax(-1) == batch.y).double()
    if target == "real":
        return (output.squeeze(-1) - batch.y).double().square()
    nats = nn.functional.cross_entropy(output.flatten(0, 1), batch.y.flatten(), reduction="none")
    return nats.view(batch.y.shape).double().mean(0) / math.log(2)


def change(before: Tensor, after: Tensor, target: str) -> statistics.Interval:
    """The mean difference that an edit makes to `answers` of the same examples, with its 95 % interval, paired."""
    difference = after - before
    if target != "class":
        return statistics.mean(difference.tolist())
    return statistics.matched(int((difference < 0).sum()), int((difference > 0).sum()), len(difference))


def silencing(net: nn.Module, batch: Batch, target: str, layer: int) -> Iterator[statistics.Interval]:
    """The `change` of a net's answers as each neuron of a layer in turn is silenced alone."""
    before = answers(net, batch, target)
    for neuron in range(len(unit_of(net, layer).u)):
        with silenced(net, layer, [neuron]):
            yield change(before, answers(net, batch, target), target)


@torch.no_grad()
def forming(net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """The answer as it forms: what the net would say if x (T, B, M) ended at each step, and the features behind it.

    -> (T, B, outputs), (T, B, N); exact where nothing looks ahead, as in evaluation mode.
    """
    features = net.run(x, Span(x))
    return net.readout(features), features


@torch.no_grad()
def shares(net: Any, features: Tensor, output: int) -> Tensor:
    """Each feature's part in the score of an output, which they add up to but for its bias: (..., N) -> (..., N)."""
    found: Tensor = features * net.readout.weight[output]
    return found


def _known(unit: Unit, neuron: int) -> None:
    if not 0 <= neuron < len(unit.u):
        raise ParameterError(f"neuron: {neuron} received; 0 to {len(unit.u) - 1} is allowed")


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

    def see(module: nn.Module, inputs: Any, named: dict[str, Any]) -> None:
        seen.append(inputs[0] if named.get("entered") else unit.enter(inputs[0]))

    with unit.register_forward_pre_hook(see, with_kwargs=True):
        net(x)
    a = seen[0]
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
    with embedding.register_forward_hook(lambda *_: path):
        scores = net(tokens.expand(-1, points))[0][-1, :, output]
    return _along(path, scores, x - empty)


def dependences(net: nn.Module, tokens: Tensor, blank: int, points: int = 8) -> Tensor:
    """`contributions_of_tokens` of a text (T, 1) to the likeliest next token behind each of its tokens. -> (T, T)

    Row j is of the text that ends at token j; what comes later adds nothing.
    """
    embedding: Any = net.embedding
    T = len(tokens)
    with torch.no_grad():
        best = net(tokens)[0][:, 0].argmax(-1)
        x, empty = embedding(tokens), embedding(torch.full_like(tokens, blank))
    path = _path(empty.repeat(1, T, 1), x.repeat(1, T, 1), points)
    with embedding.register_forward_hook(lambda *_: path):
        scores = net(tokens.expand(-1, T * points))[0].unflatten(1, (points, T))
    wanted = scores.diagonal(dim1=0, dim2=2)[:, best, torch.arange(T)]  # (points, T) of (points, V, T)
    gradient: Tensor = torch.autograd.grad(wanted.sum(), path)[0].unflatten(1, (points, T)).mean(1)
    parts: Tensor = ((x - empty) * gradient).sum(-1).T.detach()
    return parts


def _path(empty: Tensor, x: Tensor, points: int) -> Tensor:
    """The middles of so many equal parts of the way from empty to x, both (T, B, M) -> (T, points * B, M)."""
    share = ((torch.arange(points) + 0.5) / points).repeat_interleave(x.shape[1])[None, :, None]
    empty, x = empty.repeat(1, points, 1), x.repeat(1, points, 1)
    return (empty + share * (x - empty)).detach().requires_grad_()


def _along(path: Tensor, outputs: Tensor, way: Tensor) -> Tensor:
    """The integral of the outputs' gradient along a path, step by step. -> (T,)"""
    gradient: Tensor = torch.autograd.grad(outputs.sum(), path)[0]
    return (way[:, 0] * gradient.mean(1)).sum(-1).detach()
