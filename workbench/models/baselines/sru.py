"""The Simple Recurrent Unit of Lei, Zhang, Wang, Dai and Artzi (2018), which Fig. 2 times beside IndRNN.

    f_t = sigmoid(W_f x_t + v_f * c_{t-1} + b_f)      forget gate
    c_t = f_t * c_{t-1} + (1 - f_t) * W x_t           light recurrence
    r_t = sigmoid(W_r x_t + v_r * c_{t-1} + b_r)      reset gate
    h_t = r_t * c_t + (1 - r_t) * alpha x_t           highway; W_x x_t in place of alpha x_t where the widths differ

Like an IndRNN neuron, c depends on no other neuron's past; unlike it, the gates make the step nonlinear in c, so that
it can only be walked through: three small operations a step forward, one back. All else is done for a stretch of steps
at once, which stays in the cache; of the whole sequence only x, c and h are ever kept.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable

STRETCH = 32  # steps
ALPHA = math.sqrt(3)  # sqrt(1 + 2 exp(b_r)) at b_r = 0: keeps the variance of h from layer to layer


class SRU(nn.Module):
    """One layer, called like torch.nn.GRU: x (T, B, M), c0 (1, B, N) or None -> h (T, B, N), c_T (1, B, N).

    First values: weights uniform with variance 1 / M, those of the gates and v with half of it, biases 0.
    """

    def __init__(self, inputs: int, hidden: int, generator: Generator | None = None):
        super().__init__()
        self.hidden = hidden
        matrices = 3 if inputs == hidden else 4
        self.products = nn.utils.skip_init(nn.Linear, inputs, matrices * hidden, bias=False)
        self.v = nn.Parameter(torch.empty(2, hidden))
        self.bias = nn.Parameter(torch.zeros(2, hidden))
        with torch.no_grad():
            limit = math.sqrt(3 / inputs)
            for index, matrix in enumerate(self.products.weight.chunk(matrices)):
                scale = math.sqrt(0.5) if index in (1, 2) else ALPHA if index == 3 else 1.0
                matrix.uniform_(-limit * scale, limit * scale, generator=generator)
            self.v.uniform_(-math.sqrt(1.5), math.sqrt(1.5), generator=generator)

    def forward(self, x: Tensor, c0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        none = self.bias.new_zeros(self.hidden)
        bias = torch.cat([none, *self.bias, *[none] * (self.products.out_features // self.hidden - 3)])
        before = x.new_zeros(x.shape[1], self.hidden) if c0 is None else c0[0]
        h, last = layer(x, self.products.weight, bias, self.v, before)
        return h, last[None]

    def extra_repr(self) -> str:
        return f"{self.products.in_features}, {self.hidden}"


def layer(x: Tensor, weight: Tensor, bias: Tensor, v: Tensor, c0: Tensor) -> tuple[Tensor, Tensor]:
    """x (T, B, M), weight (3 N or 4 N, M) and bias of W, W_f, W_r and, where M is not N, W_x, v (2, N) of the gates, c0
    (B, N) -> h (T, B, N), c_T (B, N)."""
    return _Layer.apply(x, weight, bias, v, c0)  # type: ignore[no-any-return, no-untyped-call]


class _Layer(torch.autograd.Function):
    """`layer`. Back: with s_t = (c_{t-1} - W x_t) f_t (1 - f_t), the slope of c_t in the forget gate's sum, the
    gradients d that arrive at c obey d_t = g_t + (f_{t+1} + v_f s_{t+1}) d_{t+1}."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, v: Tensor, c0: Tensor) -> tuple[Tensor, Tensor]:
        h, c = (x.new_empty(*x.shape[:2], c0.shape[-1]) for _ in range(2))
        before = c0
        for x_s, h_s, c_s in zip(x.split(STRETCH), h.split(STRETCH), c.split(STRETCH), strict=True):
            z, f, r, skip = _products(x_s, weight, bias, c0.shape[-1])
            r[0].addcmul_(v[1], before)
            for z_t, f_t, c_t in zip(z, f, c_s, strict=True):
                f_t.addcmul_(v[0], before).sigmoid_()
                before = torch.lerp(z_t, before, f_t, out=c_t)
            r[1:].addcmul_(v[1], c_s[:-1])
            torch.lerp(skip, c_s, r.sigmoid_(), out=h_s)
        ctx.save_for_backward(x, weight, bias, v, c0, c)
        return h, before.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, carry: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        x, weight, bias, v, c0, c = ctx.saved_tensors
        same = weight.shape[0] == 3 * c0.shape[-1]
        grad_x, grad_weight = x.new_empty(x.shape), weight.new_zeros(weight.shape[::-1])
        grad_bias, grad_v = torch.zeros_like(bias), torch.zeros_like(v)
        for start in range((len(x) - 1) // STRETCH * STRETCH, -1, -STRETCH):
            x_s, c_s, g_s = (whole[start : start + STRETCH] for whole in (x, c, g))
            previous = torch.cat([c[start - 1 : start] if start else c0[None], c_s[:-1]])
            z, f, r, skip = _products(x_s, weight, bias, c0.shape[-1])
            f.addcmul_(v[0], previous).sigmoid_()
            r.addcmul_(v[1], previous).sigmoid_()
            d = g_s * r
            grad_skip = g_s - d
            grad_r = (c_s - skip) * grad_skip * r
            slope = (previous - z) * f * (1 - f)
            kept = torch.addcmul(f, v[0], slope)
            d[-1] += carry
            d[:-1].addcmul_(v[1], grad_r[1:])
            steps = list(zip(d, kept, strict=True))
            for (d_t, _), (later, kept_later) in zip(steps[-2::-1], steps[:0:-1], strict=True):
                d_t.addcmul_(later, kept_later)
            carry = torch.addcmul(d[0] * kept[0], v[1], grad_r[0])
            grad = torch.cat([d - d * f, d * slope, grad_r] + [grad_skip] * (not same), -1).flatten(0, 1)
            grad_v += torch.stack([(part * previous).sum((0, 1)) for part in (d * slope, grad_r)])
            grad_bias += grad.sum(0)
            grad_weight.addmm_(x_s.flatten(0, 1).t(), grad)  # its transpose: ten times faster where M is 1 or 2
            into = grad_x[start : start + STRETCH].flatten(0, 1)
            torch.mm(grad, weight, out=into)
            if same:
                into.add_(grad_skip.flatten(0, 1), alpha=ALPHA)
        return grad_x, grad_weight.t(), grad_bias, grad_v, carry


def _products(x: Tensor, weight: Tensor, bias: Tensor, N: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W x, W_f x + b_f, W_r x + b_r and the highway's input, each (steps, B, N)."""
    z, f, r, *skip = nn.functional.linear(x, weight, bias).split(N, -1)
    return z, f, r, skip[0] if skip else ALPHA * x
