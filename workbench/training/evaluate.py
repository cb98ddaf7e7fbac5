"""Scores: each example counted once, sums and counts divided once.

`score` measures a net on batches; `reestimate_` gives batch norm clean statistics first, where the protocol asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..errors import DataError
from ..models.norms import BatchNorm
from ..tasks import Batch

Scores = dict[str, float]
State = list[Tensor] | None  # what a language net carries from one chunk to the next


def answer(net: nn.Module, batch: Batch, target: str, state: State = None) -> tuple[Tensor, State]:
    """The answer of a net to a batch: (outputs, the state to carry on, None where nothing is carried).

    Outputs are (B, outputs), the samplings of one example averaged; for tokens (T, B, vocabulary), and (T, B, outputs)
    where each step is answered.
    """
    device = next(net.parameters()).device
    x = batch.x.to(device, non_blocking=batch.x.is_cpu)
    if target == "token":
        logits, state = net(x, state if batch.start else None, batch.start)
        return logits, state
    output: Tensor = net(x) if batch.lengths is None else net(x, batch.lengths.to(device))
    if batch.samplings > 1:
        output = output.unflatten(0, (-1, batch.samplings)).mean(1)
    return output, None


def loss_of(output: Tensor, y: Tensor, target: str) -> Tensor:
    """The mean loss of a batch: cross-entropy in nats for classes and tokens, squared error for reals."""
    if target == "real":
        output = output.squeeze(-1)
        if y.ndim == 2:
            asked = ~y.isnan()
            output, y = output[asked], y[asked]
        return nn.functional.mse_loss(output, y)
    return nn.functional.cross_entropy(output.flatten(0, -2), y.flatten(), ignore_index=-1)


def counted(y: Tensor, target: str) -> int:
    """Count the answers that a batch's targets ask for: examples, tokens, or steps."""
    if y.ndim == 1:
        return len(y)
    return int((y >= 0).sum() if target != "real" else (~y.isnan()).sum())


def means(loss: float, right: float, n: float, target: str) -> Scores:
    """Sums over n answers as scores: "mse"; "loss" and "accuracy"; or "loss", "bpc" (bits a token) and "perplexity"."""
    if target == "real":
        return {"mse": loss / n, "n": n}
    if target == "class":
        return {"loss": loss / n, "accuracy": right / n, "n": n}
    nats = loss / n
    perplexity = math.exp(nats) if nats < 700 else math.inf
    return {"loss": nats, "bpc": nats / math.log(2), "perplexity": perplexity, "n": n}


def selection(scores: Scores, target: str) -> float:
    """The number that choices are made by, lower is better: error rate, squared error, or nats a token."""
    if target == "class":
        return 1 - scores["accuracy"]
    return scores["mse" if target == "real" else "loss"]


@torch.no_grad()
def score(net: nn.Module, batches: Iterable[Batch], target: str, *, batch_statistics: bool = False) -> Scores:
    """Score a net in evaluation mode, see `means`. A language net carries its state from batch to batch.

    The scores of a subset of the split stand beside those of the whole, its name behind theirs: "accuracy_long".
    `batch_statistics`: batch norm uses the statistics of the batch at hand and its stored ones do not change.
    """
    device = next(net.parameters()).device
    zero, state = torch.zeros((), dtype=torch.float64, device=device), None
    sums: dict[str, tuple[Tensor, Tensor, int]] = {"": (zero, zero, 0)}  # loss, right, n of the whole and of subsets
    with evaluating(net, batch_statistics), stored_statistics(net):
        for batch in batches:
            output, state = answer(net, batch, target, state)
            y = batch.y.to(device)
            k = counted(batch.y, target)
            if k == 0:
                continue
            lost = loss_of(output, y, target).double() * k
            hits = zero
            if target == "class":  # an answer that is no number is not right
                hits = ((output.argmax(-1) == y) & output.isfinite().all(-1)).sum()
            for name in {"", batch.subset}:
                loss, right, n = sums.get(name, (zero, zero, 0))
                sums[name] = loss + lost, right + hits, n + k
    if sums[""][2] == 0:
        raise DataError("score: no examples; the split is empty")
    scores = {name: means(loss.item(), right.item(), n, target) for name, (loss, right, n) in sums.items()}
    return {f"{key}_{name}" if name else key: v for name, part in scores.items() for key, v in part.items()}


def wrapped(batches: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Batches of `size`, the last one filled up with the first examples, which then count twice (official code)."""
    first: Batch | None = None
    for batch in batches:
        first = first or batch
        again = torch.arange(size - len(batch.y)) % len(first.y)
        yield Batch(torch.cat([batch.x, first.x[:, again]], 1), torch.cat([batch.y, first.y[again]]))


@torch.no_grad()
def reestimate_(net: nn.Module, batches: Iterable[Batch], *, momentum: float | None = None) -> None:
    """Replace batch norm's stored statistics by those of clean batches, without dropout.

    `momentum` None averages all batches equally; 0.1 is the published protocol, which lets validation images in.
    """
    with evaluating(net, batch_statistics=True) as norms:
        for norm in norms:
            norm.momentum = momentum
            if momentum is None:
                norm.reset_running_stats()
        for batch in batches if norms else ():
            answer(net, batch, "class")


@contextmanager
def stored_statistics(net: nn.Module) -> Iterator[None]:
    """Inside, batch norm may meet infinity, which times a momentum of 0 is no 0: its stored statistics come back."""
    stored = [b for m in net.modules() if isinstance(m, BatchNorm) for b in (m.running_mean, m.running_var)]
    kept = [(b, b.clone()) for b in stored if b is not None]
    try:
        yield
    finally:
        for b, before in kept:
            b.copy_(before)


@contextmanager
def evaluating(net: nn.Module, batch_statistics: bool = False) -> Iterator[list[BatchNorm]]:
    """Evaluation mode; with `batch_statistics` batch norm trains at momentum 0. Gives the batch norms.

    Each module gets back the mode and momentum it had.
    """
    norms = [m for m in net.modules() if isinstance(m, BatchNorm)]
    modes, momenta = [(m, m.training) for m in net.modules()], [m.momentum for m in norms]
    net.eval()
    try:
        for module, _ in modes if torch.is_grad_enabled() else ():  # cuDNN differentiates in training mode alone
            module.training |= isinstance(module, nn.RNNBase) and module.dropout == 0  # where this changes nothing
        for norm in norms if batch_statistics else ():
            norm.train()
            norm.momentum = 0.0
        yield norms
    finally:
        for module, training in modes:
            module.training = training
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
