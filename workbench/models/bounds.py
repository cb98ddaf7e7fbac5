"""The mathematics of |u| and memory: which recurrent weights keep a gradient alive and below an explosion.

Through k active ReLU steps a neuron's gradient is multiplied by u^k (Li et al. 2018, eq. (4)). It stays at most gamma
over T steps for |u| <= gamma^(1/T), and at least epsilon for |u| >= epsilon^(1/T) (Li et al. 2019, Table 1).
"""

from __future__ import annotations

import math
import warnings
from numbers import Real

import torch

from ..errors import ParameterError, quoted, whole


def length(steps: object) -> int:
    """A number of time steps, or a ParameterError."""
    return whole("steps", steps, 1, 2**63 - 1, "a sequence length")


def bound(steps: int, gamma: float = 2.0) -> float:
    """The largest |u| that keeps the gradient over `steps` steps at most `gamma`: gamma^(1/steps).

    Warns where float32 can no longer tell the bound from 1 (about T = 10 million for gamma = 2).
    Raises ParameterError unless steps is a whole number >= 1 and gamma is finite and > 0.
    """
    length(steps)
    if not positive(gamma):
        raise ParameterError(f"gamma: {quoted(gamma)} cannot bound a gradient; a finite number above 0 is needed")
    u_max: float = float(gamma) ** (1 / steps)
    if gamma != 1 and float(torch.tensor(u_max, dtype=torch.float32, device="cpu")) == 1.0:
        warnings.warn(f"gamma={gamma} over {steps} steps bounds |u| by 1 exactly in float32", stacklevel=2)
    return u_max


def positive(value: object) -> bool:
    """Say whether a value is a finite number above 0, of any kind of number."""
    try:
        return not isinstance(value, bool) and isinstance(value, Real) and 0 < float(value) < math.inf
    except OverflowError:  # a whole number of hundreds of digits
        return False


def near_one(steps: int, gamma: float = 2.0) -> tuple[float, float]:
    """The range of u for long memory, where only the last step is read: (gamma^(-1/T), gamma^(1/T)).

    It is the range of the last layer's first values (Li et al. 2019, sections 3.2 and 5.1, with epsilon = 1/gamma).
    """
    u_max = bound(steps, gamma)
    return 1 / u_max, u_max


def half_life(u: float) -> float:
    """Steps until a ReLU neuron's state has decayed to one half: ln(1/2) / ln u; infinite from u = 1 on, 0 for u <= 0.

    A state is never negative, so where u is, the next is relu(u h) = 0 unless an input says otherwise.
    """
    if u <= 0:
        return 0.0
    return math.inf if u >= 1 else math.log(0.5) / math.log(u)
