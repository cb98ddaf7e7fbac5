"""Dynamic evaluation: a language net goes on learning from the text that it has just been scored on.

After each segment, with g its gradient, RMS the root mean square of the training text's gradients, start the trained
values and rate = RMS / mean(RMS), at most 1 / decay (Krause et al. 2018, arXiv:1709.07432, eqs. (5) to (7)):

    w  <-  w  -  lr g / (RMS + epsilon)  +  decay rate (start - w)

Segments of 20 tokens, epsilon 2e-5, the mean taken over tensors, and u kept in its bound: as the official IndRNN code
has it. `lr` and `decay` are chosen on validation; the test text is read once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .. import tasks
from ..errors import ParameterError, quoted, whole
from ..models.build import clamp_
from ..tasks import Batch
from ..tasks.treebank import TreebankTask
from . import evaluate

if TYPE_CHECKING:
    import pandas as pd

    from ..runs.record import Record

SEGMENT, EPSILON, CLIP = 20, 2e-5, 10.0
RATES = (1.2e-6, 1.6e-6, 2e-6, 2.4e-6, 2.8e-6)  # the published grid, less its sixth rates, which the log does not name
DECAYS = (0.008, 0.012, 0.016, 0.020, 0.024, 0.028, 0.032)


@dataclass(frozen=True)
class Outcome:
    """Outcome of dynamic evaluation: (lr, decay, validation perplexity) of each pair, the best pair, its scores."""

    grid: tuple[tuple[float, float, float], ...]
    lr: float
    decay: float
    valid: evaluate.Scores
    test: evaluate.Scores

    @property
    def table(self) -> pd.DataFrame:
        """Validation perplexity: a row a decay, a column a rate."""
        import pandas as pd

        tried = pd.DataFrame(self.grid, columns=["lr", "decay", "validation perplexity"])
        return tried.pivot_table(index="decay", columns="lr", values="validation perplexity")


def of(record: Record, **settings: Any) -> Outcome:
    """`choose` for the best-validation weights of a run on the treebank."""
    task = tasks.load(record.config.task, record.seed, record.config.train.batch)
    if not isinstance(task, TreebankTask):
        raise ParameterError(f"record: {quoted(record.experiment)} is no run on the treebank")
    return choose(record.net(), task, **settings)


def choose(
    net: nn.Module,
    task: TreebankTask,
    *,
    rates: Sequence[float] = RATES,
    decays: Sequence[float] = DECAYS,
    batches: int | None = None,
    tokens: int | None = None,
) -> Outcome:
    """Try every rate with every decay on validation, then the best pair once on test.

    `batches`: how many training segments (columns of the training batch) the RMS is taken over, None: the whole text.
    `tokens`: how many of validation's first tokens the choice is made on, None: all.
    """
    for name, numbers in (("rates", rates), ("decays", decays)):
        if not numbers or not all(_is_a_share(v) for v in numbers):
            raise ParameterError(f"{name}: {quoted(numbers)} received; numbers from 0 to 1 are needed, at least one")
    for name, count in (("batches", batches), ("tokens", tokens)):
        if count is not None:
            whole(name, count)
    rms = statistics(net, islice(task.segments("train", task.batch_size, SEGMENT), batches))
    seen = None if tokens is None else -(-tokens // SEGMENT)
    tried = {
        pair: score(net, islice(task.segments("valid", 1, SEGMENT), seen), rms, *pair)
        for pair in product(rates, decays)
    }
    lr, decay = best = min(tried, key=lambda pair: (math.isnan(tried[pair]["loss"]), tried[pair]["loss"]))
    test = score(net, task.segments("test", 1, SEGMENT), rms, lr, decay)
    return Outcome(tuple((*pair, s["perplexity"]) for pair, s in tried.items()), lr, decay, tried[best], test)


def _is_a_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def statistics(net: nn.Module, batches: Iterable[Batch]) -> list[Tensor]:
    """The root mean square, over batches, of the gradient of each of the net's trained tensors, without dropout."""
    with _trained(net) as weights:
        squares, count = [torch.zeros_like(w) for w in weights], 0
        for _, gradients in _read(net, weights, batches):
            torch._foreach_addcmul_(squares, gradients, gradients)
            count += 1
        return [(s / max(count, 1)).sqrt() for s in squares]


def score(net: nn.Module, batches: Iterable[Batch], rms: Sequence[Tensor], lr: float, decay: float) -> evaluate.Scores:
    """Score a net that learns from each batch after it was scored; the net itself is given back unchanged."""
    mean = torch.stack([r.mean() for r in rms]).mean()
    pull = [(decay * r / mean).clamp(max=1) for r in rms]  # decay times rate
    push = [lr / (r + EPSILON) for r in rms]
    nats, n = 0.0, 0
    with _trained(net) as weights:
        start = [w.detach().clone() for w in weights]
        for (loss, k), gradients in _read(net, weights, batches):
            nats, n = nats + loss * k, n + k
            with torch.no_grad():
                for w, w0, g, back, on in zip(weights, start, gradients, pull, push, strict=True):
                    w += back * (w0 - w) - on * g
            clamp_(net)
    if n == 0:
        raise ParameterError("batches: no token to score")
    return evaluate.means(nats, 0.0, n, "token")


def _read(
    net: nn.Module, weights: list[Tensor], batches: Iterable[Batch]
) -> Iterator[tuple[tuple[float, int], list[Tensor]]]:
    """Batch by batch, the state carried: (mean loss, tokens), and the gradients, each element clamped."""
    state: evaluate.State = None
    for batch in batches:
        output, state = evaluate.answer(net, batch, "token", state)
        y = batch.y.to(output.device)
        loss = evaluate.loss_of(output, y, "token")
        gradients = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        state = state and [h.detach() for h in state]
        yield (loss.item(), evaluate.counted(y, "token")), [g.clamp(-CLIP, CLIP) for g in gradients]


@contextmanager
def _trained(net: nn.Module) -> Iterator[list[Tensor]]:
    """The net's trained tensors, each once, in evaluation mode; values and modes are restored at the end."""
    weights = [p for p in net.parameters() if p.requires_grad]
    kept = [w.detach().clone() for w in weights]
    with evaluate.evaluating(net):
        try:
            yield list(weights)
        finally:
            with torch.no_grad():
                for w, value in zip(weights, kept, strict=True):
                    w.copy_(value)
