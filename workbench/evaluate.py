"""Scores: each example counted once, sums and counts divided once.

`score` measures a net on batches; `reestimate_` gives batch norm clean statistics first, where the protocol asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .errors import DataError
from .models.layer import BatchNorm
from .tasks import Batch

Scores = dict[str, float]


def loss_of(output: Tensor, y: Tensor, target: str) -> Tensor:
    """The mean loss of a batch: cross-entropy in nats for classes, squared error for reals."""
    if target == "class":
        return nn.functional.cross_entropy(output, y)
    return nn.functional.mse_loss(output.squeeze(-1), y)


@torch.no_grad()
def score(net: nn.Module, batches: Iterable[Batch], target: str, *, batch_statistics: bool = False) -> Scores:
    """What a net scores, in evaluation mode: {"loss", "accuracy", "n"} for classes, {"mse", "n"} for reals.

    `batch_statistics`: batch norm uses the statistics of the batch at hand and its stored ones do not change.
    """
    device = next(net.parameters()).device
    loss = right = torch.zeros((), dtype=torch.float64, device=device)
    n = 0
    with _evaluating(net, batch_statistics):
        for x, y in batches:
            y = y.to(device)
            output = net(x.to(device))
            loss = loss + loss_of(output, y, target).double() * len(y)
            if target == "class":
                right = right + (output.argmax(-1) == y).sum()
            n += len(y)
    if n == 0:
        raise DataError("score: no examples; the split is empty")
    if target == "class":
        return {"loss": loss.item() / n, "accuracy": right.item() / n, "n": n}
    return {"mse": loss.item() / n, "n": n}


@torch.no_grad()
def reestimate_(net: nn.Module, batches: Iterable[Batch], *, momentum: float | None = None) -> None:
    """Replace batch norm's stored statistics by those of clean batches, without dropout.

    `momentum` None averages all batches equally; 0.1 is the published protocol, which lets validation images in.
    """
    norms = [m for m in net.modules() if isinstance(m, BatchNorm)]
    if not norms:
        return
    kept = [m.momentum for m in norms]
    device = next(net.parameters()).device
    with _evaluating(net, batch_statistics=True):
        for norm in norms:
            norm.momentum = momentum
            if momentum is None:
                norm.reset_running_stats()
        for x, _ in batches:
            net(x.to(device))
    for norm, before in zip(norms, kept, strict=True):
        norm.momentum = before


@contextmanager
def _evaluating(net: nn.Module, batch_statistics: bool) -> Iterator[None]:
    """Evaluation mode; with `batch_statistics` batch norm trains at momentum 0. Restores what it found."""
    norms = [m for m in net.modules() if isinstance(m, BatchNorm)]
    was_training, momenta = net.training, [m.momentum for m in norms]
    net.eval()
    try:
        for norm in norms if batch_statistics else ():
            norm.train()
            norm.momentum = 0.0
        yield
    finally:
        net.train(was_training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
