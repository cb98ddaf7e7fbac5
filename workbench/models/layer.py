"""What the nets are made of: the recurrence with its u, batch norm over time and batch, dropout shared over time."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn

from .. import recurrence
from ..errors import ParameterError


class Linear(nn.Linear):
    """y = x W^T + b, its values drawn from a generator (torch's own class draws from the global one when made).

    `init`: `kaiming`, uniform in +-sqrt(6 / ((1 + a^2) fan_in)) with negative slope a = 8; `small`, normal with
    standard deviation 0.001; `readout`, normal with sqrt(2 / fan_in); `glorot`, uniform in
    +-sqrt(6 / (fan_in + fan_out)). Biases start at 0. Sources: the official code of each task.
    """

    def __init__(self, inputs: int, outputs: int, *, init: str = "kaiming", generator: Generator | None = None):
        nn.Module.__init__(self)
        self.in_features, self.out_features = inputs, outputs
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        with torch.no_grad():
            if init == "kaiming":
                limit = math.sqrt(6 / ((1 + 8**2) * inputs))
                self.weight.uniform_(-limit, limit, generator=generator)
            elif init == "small":
                self.weight.normal_(0, 0.001, generator=generator)
            elif init == "readout":
                self.weight.normal_(0, math.sqrt(2 / inputs), generator=generator)
            elif init == "glorot":
                limit = math.sqrt(6 / (inputs + outputs))
                self.weight.uniform_(-limit, limit, generator=generator)
            else:
                raise ParameterError(f"init: {init!r} is unknown; choose one of glorot, kaiming, readout, small")


class BatchNorm(nn.BatchNorm1d):
    """One mean and variance per feature over batch and time together (momentum 0.1, eps 1e-5).

    x (T, B, N) -> (T, B, N). The (T B, N) view gives the statistic of the paper's (B, N, T) layout without its copies.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.shape[0] * x.shape[1] == 1:
            raise ParameterError(
                f"batch: an input of shape {tuple(x.shape)} gives batch norm one value per feature; "
                "in training it needs T * B of at least 2"
            )
        return super().forward(x.reshape(-1, x.shape[-1])).view(x.shape)


class SharedDropout(nn.Module):
    """Inverted dropout whose mask is drawn once per (sample, feature) and shared by all time steps.

    x (T, B, N) -> (T, B, N). Draws from `generator` where one is set (training does), else from torch's global one.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self.generator: Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1 - self.p
        mask = torch.empty(x.shape[1:], dtype=x.dtype, device=x.device)
        return x * mask.bernoulli_(keep, generator=self.generator).div_(keep)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Unit(nn.Module):
    """FC, recurrence, batch norm, dropout: the layer that plain nets stack (Li et al. 2019, Fig. 3a).

    `norm` is the place of batch norm: `after` the recurrence (MNIST, NTU), `before` it (PTB), or `none`.
    u starts uniformly in `u_range` and is kept in [-bound, bound] by `clamp_`; bound None leaves it free.
    x (T, B, M) -> (T, B, N).
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        u_range: tuple[float, float] = (0.0, 1.0),
        bound: float | None = None,
        norm: str = "after",
        dropout: float = 0.0,
        activation: str = "relu",
        init: str = "kaiming",
        generator: Generator | None = None,
    ):
        super().__init__()
        self.fc = Linear(inputs, hidden, init=init, generator=generator)
        self.u = nn.Parameter(torch.empty(hidden).uniform_(*u_range, generator=generator))
        self.bn = BatchNorm(hidden) if norm != "none" else None
        self.dropout = SharedDropout(dropout)
        self.bound, self.norm, self.activation, self.backend = bound, norm, activation, "auto"

    def forward(self, x: Tensor) -> Tensor:
        f, backend = self.activation, self.backend
        if self.norm == "before" and self.bn is not None:
            h = recurrence.recur(self.bn(self.fc(x)), self.u, activation=f, backend=backend)
        else:
            h = recurrence.layer(x, self.fc.weight, self.fc.bias, self.u, activation=f, backend=backend)
            h = h if self.bn is None else self.bn(h)
        out: Tensor = self.dropout(h)
        return out

    @torch.no_grad()
    def clamp_(self) -> None:
        """Project u into [-bound, bound]: the constraint is symmetric, though the first values are not negative."""
        if self.bound is not None:
            self.u.clamp_(-self.bound, self.bound)
