"""What the nets are made of: the recurrence with its u, batch norm over time and batch, dropout shared over time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable

from .. import recurrence
from ..errors import ParameterError, choices
from ..ranks import ALONE, Ranks
from .span import WHOLE, Span
from .span import at_end as at_end

INITS: dict[str, Callable[[int, int], float]] = {  # of uniform values in +-limit, from fan_in and fan_out
    "kaiming": lambda M, N: math.sqrt(6 / ((1 + 8**2) * M)),
    "kaiming2": lambda M, N: math.sqrt(6 / ((1 + 2**2) * M)),
    "he": lambda M, N: math.sqrt(6 / M),
    "glorot": lambda M, N: math.sqrt(6 / (M + N)),
    "narrow": lambda M, N: 0.04,
}
DEVIATIONS: dict[str, Callable[[int], float]] = {  # of normal values, from fan_in
    "small": lambda M: 0.001,
    "readout": lambda M: math.sqrt(2 / M),
}


class Linear(nn.Linear):
    """y = x W^T + b, its values drawn from a generator (torch's own class draws from the global one when made).

    `init`: uniform in +-sqrt(6 / ((1 + a^2) fan_in)) with negative slope a = 8 (`kaiming`), 2 (`kaiming2`) or 0 (`he`),
    in +-sqrt(6 / (fan_in + fan_out)) (`glorot`), in +-0.04 (`narrow`); normal with standard deviation 0.001 (`small`)
    or sqrt(2 / fan_in) (`readout`). Biases start at 0. Sources: the official code of each task.
    """

    def __init__(self, inputs: int, outputs: int, *, init: str = "kaiming", generator: Generator | None = None):
        nn.Module.__init__(self)
        self.in_features, self.out_features = inputs, outputs
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        with torch.no_grad():
            if init in INITS:
                limit = INITS[init](inputs, outputs)
                self.weight.uniform_(-limit, limit, generator=generator)
            elif init in DEVIATIONS:
                self.weight.normal_(0, DEVIATIONS[init](inputs), generator=generator)
            else:
                raise ParameterError(f"init: {init!r} is unknown; choose one of {choices([*INITS, *DEVIATIONS])}")


class BatchNorm(nn.BatchNorm1d):
    """One mean and variance per feature over batch and time together (momentum 0.1, eps 1e-5).

    x (T, B, N) -> (T, B, N). The (T B, N) view gives the statistic of the paper's (B, N, T) layout without its copies.
    In training only the real steps of a padded batch count; the padding becomes 0. Where several `ranks` train on parts
    of one batch, its statistics are those of the whole.
    """

    ranks: Ranks = ALONE

    def __init__(self, features: int, gain: float = 1.0):
        super().__init__(features)
        nn.init.constant_(self.weight, gain)

    def forward(self, x: Tensor, span: Span = WHOLE) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        rows = span.rows if self.training else None
        if self.training and self.ranks.share is not None:
            normed = self._over_ranks(flat if rows is None else flat[rows])
            return (normed if rows is None else torch.zeros_like(flat).index_copy(0, rows, normed)).view(x.shape)
        if self.training and (len(flat) if rows is None else len(rows)) == 1:
            raise ParameterError(
                f"batch: an input of shape {tuple(x.shape)} gives batch norm one value per feature; "
                "in training it needs T * B of at least 2"
            )
        if rows is None:
            return recurrence.normalize(x, self)
        return torch.zeros_like(flat).index_copy(0, rows, super().forward(flat[rows])).view(x.shape)

    def _over_ranks(self, x: Tensor) -> Tensor:
        """x (n, N), of which the other processes hold more, in training."""
        mean, variance, n = _moments(x.detach().unsqueeze(0), self.ranks)
        if n == 1:
            raise ParameterError("batch: one value per feature received; in training, batch norm needs at least 2")
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean[0], share)
            self.running_var.lerp_(variance[0] * (n / (n - 1)), share)
        return _normed(x.unsqueeze(0), self, mean, variance, n)[0]


class StepNorm(BatchNorm):
    """Batch norm that has a mean and variance over the batch for every time step apart; gain and bias are shared.

    x (T, B, N) -> (T, B, N). The stored statistics are tables: step t of a stretch that begins `start` steps after the
    zero state has row min(start, last) + t. `over` a `step`, they have 4 `steps` + 1 rows and `last` is 2 `steps`, so
    that all later steps share rows (official code of 2020); over a `chunk`, `steps` rows and 0 (of 2018). Only the rows
    in use change.
    """

    def __init__(self, features: int, steps: int, gain: float = 1.0, *, over: str = "step"):
        super().__init__(features, gain)
        rows, self.last = (4 * steps + 1, 2 * steps) if over == "step" else (steps, 0)
        self.register_buffer("running_mean", torch.zeros(rows, features))
        self.register_buffer("running_var", torch.ones(rows, features))

    def forward(self, x: Tensor, span: Span = WHOLE) -> Tensor:
        T, start = len(x), min(span.start, self.last)
        if self.running_mean is None or self.running_var is None or start + T > len(self.running_mean):
            rows = 0 if self.running_mean is None else len(self.running_mean)
            raise ParameterError(f"x: {T} steps received; norm over steps has statistics for {rows - self.last}")
        means, variances = (table[start : start + T] for table in (self.running_mean, self.running_var))
        if not self.training:
            scale = self.weight * torch.rsqrt(variances + self.eps)  # (T, N)
            return torch.addcmul((self.bias - means * scale).unsqueeze(1), x, scale.unsqueeze(1))
        if self.momentum is None:
            raise ParameterError("bn_statistics: 'running' is needed where norm is over steps")
        mean, variance, B = _moments(x.detach(), self.ranks)
        if B == 1:
            raise ParameterError("batch: 1 sequence received; in training, norm over steps needs at least 2")
        means.lerp_(mean, self.momentum)
        variances.lerp_(variance * (B / (B - 1)), self.momentum)
        return _normed(x, self, mean, variance, B)


def norm_of(features: int, over: str, steps: int, gain: float = 1.0) -> BatchNorm:
    """The batch norm of a config's `norm_over`."""
    return BatchNorm(features, gain) if over == "sequence" else StepNorm(features, steps, gain, over=over)


def _moments(x: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor, int]:
    """Mean and variance (T, N) of x (T, B, N) over the batch, and B; those of the whole where x is a share of it."""
    mean = x.mean(1)
    variance = (x - mean.unsqueeze(1)).square_().mean(1)  # torch.var_mean is four times as slow here
    if ranks.share is None:
        return mean, variance, x.shape[1]
    count = torch.full_like(mean[:1], x.shape[1], dtype=torch.float64)
    parts = torch.stack(ranks.gather(torch.cat([mean, variance, count]))).split([len(mean), len(mean), 1], 1)
    weight = parts[2] / (B := parts[2].sum(0))  # (ranks, 1, N)
    middle = (weight * parts[0]).sum(0)
    spread = (weight * (parts[1] + (parts[0] - middle).square())).sum(0)
    return middle.to(x.dtype), spread.to(x.dtype), int(B[0, 0])


def _normed(x: Tensor, norm: BatchNorm, mean: Tensor, variance: Tensor, count: int) -> Tensor:
    """x (T, B, N) normed by its mean and variance (T, N) over the batch, of `count` with all processes' shares."""
    s = torch.rsqrt(variance + norm.eps)
    ranks = None if norm.ranks.share is None else norm.ranks
    return _OverBatch.apply(x, norm.weight, norm.bias, mean, s, count, ranks)  # type: ignore[no-any-return, no-untyped-call]


class _OverBatch(torch.autograd.Function):
    """x (T, B, N), gain and bias (N,), mean and 1 / deviation of x over the batch (T, N) -> normed x.

    The backward pass keeps x alone; with xc = x - mean, s = 1 / deviation and g the gradient that arrives,
    grad x = gain s (g - mean_B(g) - xc s^2 mean_B(g xc)). Of a share of a batch, the means are those of the whole, and
    the gradients of gain and bias this share's part.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, s: Tensor, B: int, ranks: Ranks | None
    ) -> Tensor:
        ctx.save_for_backward(x, gain, mean, s)
        ctx.B, ctx.ranks = B, ranks
        scale = gain * s
        return torch.addcmul((bias - mean * scale).unsqueeze(1), x, scale.unsqueeze(1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, mean, s = ctx.saved_tensors
        xc = x - mean.unsqueeze(1)
        sum_g, sum_gx = g.sum(1), (g * xc).sum(1)  # (T, N)
        grad_gain, grad_bias = (sum_gx * s).sum(0), sum_g.sum(0)
        scale, B = gain * s, ctx.B
        if ctx.ranks is not None:
            sum_g, sum_gx = ctx.ranks.sum(torch.stack((sum_g, sum_gx)))
        grad = xc.mul_((-scale * s * s * sum_gx / B).unsqueeze(1))
        grad.addcmul_(g, scale.unsqueeze(1)).sub_((scale * sum_g / B).unsqueeze(1))
        return grad, grad_gain, grad_bias, None, None, None, None


class SharedDropout(nn.Module):
    """Inverted dropout whose mask is drawn once per (sample, feature) and shared by all time steps.

    `over` a `step` instead of the `sequence`, every step has a mask of its own. x (T, B, N) -> (T, B, N). Draws from
    `generator` where one is set (training does), else from torch's global one. Where several `ranks` train on parts of
    one batch, each draws for all and takes its own.
    """

    ranks: Ranks = ALONE

    def __init__(self, p: float, over: str = "sequence"):
        super().__init__()
        self.p, self.over = p, over
        self.generator: Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        mask = self.mask(x, x.shape[2])
        if mask is None:
            return x
        return recurrence.normalize(x, None, mask) if self.over == "sequence" else x * mask

    def mask(self, x: Tensor, features: int) -> Tensor | None:
        """The mask of a batch x (T, B, ...), (B, features) or (T, B, features); None where nothing is dropped."""
        if not self.training or self.p == 0:
            return None
        keep = 1 - self.p
        share = self.ranks.share
        shape = (x.shape[1] if share is None else share.whole, features)
        mask = torch.empty(shape if self.over == "sequence" else (len(x), *shape), dtype=x.dtype, device=x.device)
        mask.bernoulli_(keep, generator=self.generator).div_(keep)
        return mask if share is None else mask[..., share.rows, :]

    def extra_repr(self) -> str:
        return f"p={self.p}, over={self.over}"


class Recurrent(nn.Module):
    """Neurons that remember themselves: u (N,), which `clamp_` keeps in [-bound, bound]; bound None leaves it free."""

    u: nn.Parameter
    bound: float | None
    activation: str
    backend: str

    @torch.no_grad()
    def clamp_(self) -> None:
        """Project u into [-bound, bound]: the constraint is symmetric, though the first values are not negative."""
        if self.bound is not None:
            self.u.clamp_(-self.bound, self.bound)


class Unit(Recurrent):
    """FC, recurrence, batch norm, dropout: the layer that plain nets stack (Li et al. 2019, Fig. 3a).

    `inputs` None leaves the FC out: a residual net's sum comes in. `norm` is the place of batch norm: `after` the
    recurrence (MNIST, NTU), `before` it (PTB), or `none`; `over` and `steps` say which, see `norm_of`. u starts
    uniformly in `u_range`. x (T, B, M) -> (T, B, N).
    """

    def __init__(
        self,
        inputs: int | None,
        hidden: int,
        *,
        u_range: tuple[float, float] = (0.0, 1.0),
        bound: float | None = None,
        norm: str = "after",
        over: str = "sequence",
        steps: int = 1,
        gain: float = 1.0,
        dropout: float = 0.0,
        dropout_over: str = "sequence",
        activation: str = "relu",
        init: str = "kaiming",
        generator: Generator | None = None,
    ):
        super().__init__()
        self.fc = None if inputs is None else Linear(inputs, hidden, init=init, generator=generator)
        self.u = nn.Parameter(torch.empty(hidden).uniform_(*u_range, generator=generator))
        self.bn = None if norm == "none" else norm_of(hidden, over, steps, gain)
        self.dropout = SharedDropout(dropout, dropout_over)
        self.bound, self.norm, self.activation, self.backend = bound, norm, activation, "auto"

    def forward(self, x: Tensor, span: Span = WHOLE) -> Tensor:
        if self.fc is None or self.norm == "before":
            return self.recurrent(self.enter(x), span)
        fc, f, backend = self.fc, self.activation, self.backend
        fusible = self.bn is None or (type(self.bn) is BatchNorm and self.bn.ranks.share is None)
        fusible = fusible and self.dropout.over == "sequence"
        if span.rows is None and not span.carry and fusible:
            mask = self.dropout.mask(x, len(self.u))  # all in one pass, and the bare states are nowhere seen
            return recurrence.layer(
                x, fc.weight, fc.bias, self.u, span.before(), activation=f, backend=backend, norm=self.bn, mask=mask
            )
        h = recurrence.layer(x, fc.weight, fc.bias, self.u, span.before(), activation=f, backend=backend)
        return self.leave(h, span)

    def enter(self, x: Tensor) -> Tensor:
        """The FC alone: x (T, B, M) -> (T, B, N)."""
        return x if self.fc is None else nn.functional.linear(x, self.fc.weight, self.fc.bias)

    def recurrent(self, a: Tensor, span: Span = WHOLE) -> Tensor:
        """What follows the FC: a (T, B, N) -> (T, B, N)."""
        if self.bn is not None and self.norm == "before":
            a = self.bn(a, span)
        h = recurrence.recur(a, self.u, span.before(), activation=self.activation, backend=self.backend)
        return self.leave(h, span)

    def leave(self, h: Tensor, span: Span) -> Tensor:
        """What follows the recurrence: its states h (T, B, N) -> (T, B, N)."""
        span.after(h)
        if self.bn is not None and self.norm == "after":
            h = self.bn(h, span)
        out: Tensor = self.dropout(h)
        return out


class Head(Unit):
    """The last layer of a language net, of the embedding's width so that the embedding can be the decoder.

    A unit with one more batch norm behind the recurrence where the other stands before it (official PTB code); the
    gains of that one start at 1.
    """

    def __init__(self, inputs: int, hidden: int, *, over: str = "sequence", steps: int = 1, **settings: Any):
        super().__init__(inputs, hidden, over=over, steps=steps, **settings)
        self.extra_bn = norm_of(hidden, over, steps) if self.norm == "before" else None

    def leave(self, h: Tensor, span: Span) -> Tensor:
        span.after(h)
        bn = self.bn if self.extra_bn is None else self.extra_bn
        out: Tensor = self.dropout(h if bn is None else bn(h, span))
        return out
