"""What a net remembers: impulse responses, gradients through time. Exact, from the net itself, not from a formula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .errors import ParameterError, quoted
from .models.bounds import half_life, near_one
from .recurrence import recur

if TYPE_CHECKING:
    import pandas as pd

    from .record import Record


def impulse_response(u: float, steps: int) -> Tensor:
    """The states of one ReLU neuron after an input of 1 at its first step: u^k while u >= 0. -> (steps,)."""
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ParameterError(f"steps: {quoted(steps)} is not a sequence length; a whole number of at least 1 is needed")
    a = torch.zeros(steps, 1, 1, dtype=torch.float64)
    a[0] = 1
    return recur(a, torch.tensor([u], dtype=torch.float64))[:, 0, 0]


def gradient_through_time(net: nn.Module, x: Tensor) -> Tensor:
    """How strongly the answer depends on each time step: |d sum(output) / d x_t|, counted back from the last step.

    x (T, B, M) -> (T,), the norm over batch and features, divided by the last step's; in evaluation mode.
    """
    was_training = net.training
    net.eval()
    x = x.detach().clone().requires_grad_()
    gradient: Tensor = torch.autograd.grad(net(x).sum(), x)[0]
    net.train(was_training)
    norms = gradient.flatten(1).norm(dim=1).flip(0)
    relative: Tensor = norms / norms[0].clamp_min(torch.finfo(norms.dtype).tiny)
    return relative


def memory_of(records: Sequence[Record], count: int = 64) -> dict[str, Tensor]:
    """`gradient_through_time` of the trained nets of some records, on their own test examples; name -> (T,)."""
    return {record.experiment: gradient_through_time(record.net(), record.examples(count).x) for record in records}


def bounds_table(lengths: Sequence[int], gamma: float = 2.0) -> pd.DataFrame:
    """Table 1 in numbers: for each length T the range of u for long memory, and the half-life at its lower end."""
    import pandas as pd

    rows = []
    for steps in lengths:
        low, high = near_one(steps, gamma)
        rows.append(
            {
                "T": steps,
                "lower end, gamma^(-1/T)": round(low, 8),
                "bound on |u|, gamma^(1/T)": round(high, 8),
                "half-life at the lower end, steps": round(half_life(low)),
            }
        )
    return pd.DataFrame(rows)
