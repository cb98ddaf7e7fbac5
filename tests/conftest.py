"""What every test may ask for."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def rng() -> torch.Generator:
    """The chance of one test: the same numbers at every run."""
    return torch.Generator().manual_seed(0)
