"""The gradient of the loss, layer by layer and step by step: how much of it arrives where.

Everything here asks the net itself and leaves it as it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..models.baselines.lru import Block
from ..models.baselines.sru import SRU
from ..models.layer import recurrences
from ..tasks import Batch
from . import evaluate


def recurrent(net: nn.Module) -> list[nn.Module]:
    """The recurrent layers of a net, in the order of use."""
    own = {found.layer for found in recurrences(net).values()} - {net}
    return [module for module in net.modules() if module in own or isinstance(module, nn.RNNBase | SRU | Block)]


def gradient_map(net: nn.Module, batch: Batch, target: str) -> tuple[Tensor, float]:
    """Dependence of the loss on each recurrent layer's output at each step: ||d loss / d h_(l, t)||.

    -> (layers, T), the norm over batch and neurons, and the seconds that forward and backward pass took. Batch norm
    takes the statistics of the batch, as in training; nothing is drawn and nothing of the net changes.
    """
    with batch_statistics(net), evaluate.stored_statistics(net), outputs_of(net) as outputs:
        began = time.perf_counter()
        loss = evaluate.loss_of(evaluate.answer(net, batch, target)[0], batch.y, target)
        asked = [*outputs, *(p for p in net.parameters() if p.requires_grad)]
        gradients = torch.autograd.grad(loss, asked, allow_unused=True, materialize_grads=True)
        seconds = time.perf_counter() - began
    return torch.stack([g.flatten(1).norm(dim=1) for g in gradients[: len(outputs)]]), seconds


@contextmanager
def outputs_of(net: nn.Module) -> Iterator[list[Tensor]]:
    """Inside, each recurrent layer puts its output (T, B, N) into the list that this gives."""
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        h: Tensor = output[0] if isinstance(output, tuple) else output
        outputs.append(h.requires_grad_())  # also of a frozen layer

    with ExitStack() as hooks:
        for layer in recurrent(net):
            hooks.enter_context(layer.register_forward_hook(keep))
        yield outputs


@contextmanager
def batch_statistics(net: nn.Module) -> Iterator[None]:
    """Inside, evaluation mode, but batch norm takes the statistics of the batch and keeps those it has."""
    with evaluate.evaluating(net, batch_statistics=True) as norms:
        kept = [norm.num_batches_tracked for norm in norms]
        try:
            for norm in norms:
                norm.num_batches_tracked = None
            yield
        finally:
            for norm, seen in zip(norms, kept, strict=True):
                norm.num_batches_tracked = seen
