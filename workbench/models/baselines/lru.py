"""The Linear Recurrent Unit of Orvieto, Smith, Gu, Fernando, Gulcehre, Pascanu and De (2023), arXiv:2303.06349.

    h_t = lambda * h_{t-1} + gamma * B x_t        complex, a number a neuron: lambda = exp(-exp(nu) + i exp(theta))
    y_t = Re(C h_t) + D * x_t                     their sections 3.2 to 3.4, pseudocode in their appendix A

Like an IndRNN's, its neurons remember themselves alone; unlike them they are linear and turn. In a frame that turns
with the neuron nothing is left of the turning: with phi = exp(theta), g_t = exp(-i phi t) h_t obeys

    g_t = |lambda| * g_{t-1} + exp(-i phi t) gamma * B x_t

which is the recurrence of two linear IndRNN neurons, real and imaginary part, with one u = |lambda|. `recur` runs them.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import gelu, glu, linear

from ...recurrence import recur
from ..layer import Linear

RADII = (0.9, 0.999)  # |lambda| starts in this ring, evenly by area; with their default, [0, 1], most forget at once
PHASE = 2 * math.pi  # and its angle below this
SMALLEST = 1e-6  # of a draw whose logarithm is taken


class Block(nn.Module):
    """A block about a recurrence, called like torch.nn.GRU: x (T, B, M), h0 (1, B, S) or None ->
    x + GLU(gelu(recurrence(norm(x)))) (T, B, N), h_T (1, B, S).

    Norm, recurrence, GLU, skip, as in Fig. 1 of the LRU. Where M is not N, an FC comes first.
    """

    glu: Linear  # N -> 2 N

    def __init__(self, inputs: int, hidden: int, generator: Generator | None):
        super().__init__()
        self.hidden = hidden
        self.enter = None if inputs == hidden else Linear(inputs, hidden, init="glorot", generator=generator)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = x if self.enter is None else self.enter(x)
        y, last = self.recurrence(self.norm(x), h0)
        return x + self.leave(y), last

    def recurrence(self, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The unit alone: x (T, B, N), h0 (1, B, S) or None -> y (T, B, N), h_T (1, B, S)."""
        raise NotImplementedError

    def leave(self, y: Tensor) -> Tensor:
        """Return what the unit's output (T, B, N) adds to the block's."""
        return glu(self.glu(gelu(y)), -1)

    def extra_repr(self) -> str:
        return f"{self.hidden}"


class LRU(Block):
    """The block with as many neurons as features: S = 2 N, real and imaginary parts in turns."""

    def __init__(self, inputs: int, hidden: int, generator: Generator | None = None):
        super().__init__(inputs, hidden, generator)
        N = hidden
        self.nu, self.theta, self.gamma = (nn.Parameter(torch.empty(N)) for _ in range(3))  # logarithms, all three
        self.into = nn.Parameter(torch.empty(2 * N, N))  # B
        self.out = nn.Parameter(torch.empty(N, 2 * N))  # C, of the conjugate: the real part is a plain product
        self.skip = nn.Parameter(torch.empty(N))  # D
        self.glu = Linear(N, 2 * N, init="glorot", generator=generator)
        with torch.no_grad():
            low, high = (r * r for r in RADII)
            self.nu.uniform_(low, high, generator=generator).log_().mul_(-0.5)  # -log |lambda|
            self.gamma.copy_(self.nu).mul_(-2).expm1_().neg_().log_().mul_(0.5)  # sqrt(1 - |lambda|^2), section 3.4
            self.nu.log_()
            self.theta.uniform_(SMALLEST, PHASE, generator=generator).log_()
            self.into.normal_(0, math.sqrt(0.5 / N), generator=generator)
            self.out.normal_(0, math.sqrt(1 / N), generator=generator)
            self.skip.normal_(0, 1, generator=generator)

    def recurrence(self, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        radius, gamma = (-self.nu.exp()).exp(), self.gamma.exp()
        b = linear(x, self.into * gamma.repeat_interleave(2)[:, None])
        h = turning(b, radius, self.theta.double().exp(), h0)
        return linear(h, self.out) + self.skip * x, h[-1:].clone()


def turning(b: Tensor, radius: Tensor, phi: Tensor, h0: Tensor | None = None) -> Tensor:
    """h_t = radius exp(i phi) h_{t-1} + b_t: b (T, B, 2 N), radius and phi (N,), phi in float64, h0 (1, B, 2 N) or None
    -> h (T, B, 2 N), real and imaginary parts in turns."""
    steps = torch.arange(1, len(b) + 1, device=b.device, dtype=torch.float64)
    angles = steps[:, None, None] * phi
    turn = torch.polar(torch.ones_like(angles), angles).to(b.dtype.to_complex())  # (T, 1, N)
    before = None if h0 is None else h0[0]
    g = recur(_times(b, turn.conj()), radius.repeat_interleave(2), before, activation="identity")
    return _times(g, turn)


def _times(x: Tensor, turn: Tensor) -> Tensor:
    """x (T, B, 2 N), real and imaginary parts in turns, times complex numbers (T, 1, N)."""
    return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turn).flatten(-2)
