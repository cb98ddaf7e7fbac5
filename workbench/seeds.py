"""Randomness, always from an explicit generator that the run's seed and a purpose determine.

No state of chance is ever saved: the batch of step k, its dropout masks and the permutation of the pixels are pure
functions of (seed, purpose, index), so a resumed run meets exactly the numbers that an uninterrupted one meets.
"""

from __future__ import annotations

import hashlib

import torch

from .errors import whole


def check_seed(seed: object) -> int:
    """The seed as a whole number in [0, 2^63), or a ParameterError (torch wraps or truncates others silently)."""
    return whole("seed", seed, 0, 2**63 - 1, "a seed")


def derive(seed: int, *purpose: str | int) -> int:
    """A seed of 63 bits for one purpose, such as derive(0, "train", 17): a hash, so that none overlap."""
    digest = hashlib.sha256(repr((check_seed(seed), *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh torch generator for one purpose."""
    return torch.Generator(device=device).manual_seed(derive(seed, *purpose))
