"""The Simple Recurrent Unit of Lei, Zhang, Wang, Dai and Artzi (2018), which Fig. 2 times beside IndRNN.

    f_t = sigmoid(W_f x_t + v_f * c_{t-1} + b_f)      forget gate
    c_t = f_t * c_{t-1} + (1 - f_t) * W x_t           light recurrence
    r_t = sigmoid(W_r x_t + v_r * c_{t-1} + b_r)      reset gate
    h_t = r_t * c_t + (1 - r_t) * alpha x_t           highway; W_x x_t in place of alpha x_t where the widths differ

Like an IndRNN neuron, c depends on no other neuron's past; unlike it, the gates make the step nonlinear in c, so that
it can only be walked through: three small operations a step forward, one back, all else for all steps at once.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable

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
        N, none = self.hidden, self.bias.new_zeros(self.hidden)
        bias = torch.cat([none, *self.bias, *[none] * (self.products.out_features // N - 3)])
        products = nn.functional.linear(x, self.products.weight, bias)
        before = x.new_zeros(x.shape[1], N) if c0 is None else c0[0]
        h, last = gates(products, x if len(bias) == 3 * N else None, self.v, before)
        return h, last[None]

    def extra_repr(self) -> str:
        return f"{self.products.in_features}, {self.hidden}"


def gates(products: Tensor, x: Tensor | None, v: Tensor, c0: Tensor) -> tuple[Tensor, Tensor]:
    """All but the products: W x, W_f x + b_f, W_r x + b_r and, if x (T, B, N) is None, W_x x, side by side in
    (T, B, 3 N or 4 N), v (2, N) of the two gates, c0 (B, N) -> h (T, B, N), c_T (B, N)."""
    return _Gates.apply(products, x, v, c0)  # type: ignore[no-any-return, no-untyped-call]


class _Gates(torch.autograd.Function):
    """`gates`, in few passes over memory.

    Back: with s_t = (c_{t-1} - W x_t) f_t (1 - f_t), the slope of c_t in the forget gate's sum, the gradients d that
    arrive at c obey d_t = g_t + (f_{t+1} + v_f s_{t+1}) d_{t+1}.
    """

    @staticmethod
    def forward(ctx: Any, products: Tensor, x: Tensor | None, v: Tensor, c0: Tensor) -> tuple[Tensor, Tensor]:
        parts = products.split(c0.shape[-1], -1)
        z, f, r = parts[0], parts[1].clone(), parts[2].clone()
        skip = parts[3] if x is None else ALPHA * x
        c, before = torch.empty_like(f), c0
        for z_t, f_t, c_t in zip(z, f, c, strict=True):
            f_t.addcmul_(v[0], before).sigmoid_()
            before = torch.lerp(z_t, before, f_t, out=c_t)
        r[1:].addcmul_(v[1], c[:-1])
        r[0].addcmul_(v[1], c0)
        h = torch.lerp(skip, c, r.sigmoid_())
        ctx.save_for_backward(z, f, r, c, skip, v, c0)
        ctx.highway = x is None
        return h, c[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, g_last: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        z, f, r, c, skip, v, c0 = ctx.saved_tensors
        T, B, N = z.shape
        grad = z.new_empty(T, B, (4 if ctx.highway else 3) * N)
        grad_z, grad_f, grad_r = grad[..., : 3 * N].split(N, -1)
        grad_skip = grad[..., 3 * N :] if ctx.highway else torch.empty_like(g)
        d = g * r
        torch.sub(g, d, out=grad_skip)
        torch.sub(c, skip, out=grad_r).mul_(grad_skip).mul_(r)  # (c - skip) g r (1 - r)
        d[-1] += g_last
        d[:-1].addcmul_(v[1], grad_r[1:])
        torch.sub(c[:-1], z[1:], out=grad_f[1:])
        torch.sub(c0, z[0], out=grad_f[0])
        grad_f.mul_(f).addcmul_(grad_f, f, value=-1)  # the slope s
        kept = torch.addcmul(f, v[0], grad_f)
        steps = list(zip(d, kept, strict=True))
        for (d_t, _), (later, kept_later) in zip(steps[-2::-1], steps[:0:-1], strict=True):
            d_t.addcmul_(later, kept_later)
        grad_f.mul_(d)
        torch.mul(d, f, out=grad_z)
        torch.sub(d, grad_z, out=grad_z)
        grad_v = [(part[1:] * c[:-1]).sum((0, 1)) + (part[0] * c0).sum(0) for part in (grad_f, grad_r)]
        grad_c0 = (d[0] * kept[0]).addcmul_(grad_r[0], v[1])
        return grad, None if ctx.highway else grad_skip.mul_(ALPHA), torch.stack(grad_v), grad_c0
