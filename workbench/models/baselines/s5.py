"""The simplified structured state space layer, S5, of Smith, Warrington and Linderman (2023), arXiv:2208.04933.

    h_t = A h_{t-1} + B x_t,  A = exp(lambda dt),  B = (A - 1) / lambda * B'      complex, a number a neuron
    y_t = 2 Re(C h_t) + D * x_t                                                   their section 3, pseudocode in C.1

The neurons of a state space that is diagonal: N / 2 of N, since they come in conjugate pairs, each with a step length
dt of its own. As in the LRU they are two linear IndRNN neurons in a frame that turns.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import linear

from ..layer import Linear
from .lru import Block, turning

STEP = (0.001, 0.1)  # dt starts between these, evenly by its logarithm


class S5(Block):
    """The LRU's block about their recurrence: N / 2 neurons, S = N, real and imaginary parts in turns."""

    def __init__(self, inputs: int, hidden: int, generator: Generator | None = None):
        super().__init__(inputs, hidden, generator)
        N, P = hidden, (hidden + 1) // 2
        real, imaginary = hippo(2 * P)
        self.decay = nn.Parameter(real.neg().log())  # log(-Re lambda): the real part stays below 0
        self.turn = nn.Parameter(imaginary)
        self.step = nn.Parameter(torch.empty(P))  # log dt
        self.into = nn.Parameter(torch.empty(2 * P, N))  # B', real and imaginary rows in turns
        self.out = nn.Parameter(torch.empty(N, 2 * P))  # 2 C, of the conjugate: the real part is a plain product
        self.skip = nn.Parameter(torch.empty(N))  # D
        self.glu = Linear(N, 2 * N, init="glorot", generator=generator)
        with torch.no_grad():
            self.step.uniform_(*map(math.log, STEP), generator=generator)
            self.into.normal_(0, math.sqrt(0.5 / N), generator=generator)  # normals turned by V, which is unitary
            self.out.normal_(0, math.sqrt(1 / P), generator=generator)
            self.skip.normal_(0, 1, generator=generator)

    def recurrence(self, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        dt, rate = self.step.exp(), -self.decay.exp()
        poles = torch.complex(rate, self.turn)
        gain = (torch.exp(poles * dt) - 1) / poles  # of an input that stays for dt
        into = torch.view_as_real(
            torch.view_as_complex(self.into.unflatten(0, (-1, 2)).mT.contiguous()) * gain[:, None]
        )
        b = linear(x, into.mT.flatten(0, 1))
        h = turning(b, (rate * dt).exp(), (self.turn * dt).double(), h0)
        return linear(h, self.out) + self.skip * x, h[-1:].clone()


def hippo(N: int) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts (N / 2,) of the eigenvalues with Im > 0 of HiPPO-N, the normal part of HiPPO-LegS (their
    section 4.2): -1/2 and a skew-symmetric matrix."""
    root = torch.arange(N, dtype=torch.float64).mul_(2).add_(1).sqrt_()
    skew = torch.outer(root, root).tril_(-1)
    values = torch.linalg.eigvalsh((skew - skew.mT) * -0.5j)  # ascending, half of them above 0
    upper = values[N // 2 :].float()
    return torch.full_like(upper, -0.5), upper
