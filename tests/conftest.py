"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from workbench import places

torch.set_num_threads(1)  # as runs do: tests of small nets wait for each other's threads otherwise


@pytest.fixture
def rng() -> torch.Generator:
    """The chance of one test: the same numbers at every run."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder of the test's own, and no published records beside it."""
    monkeypatch.setattr(places, "published", lambda: tmp_path / "published")
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; the test is skipped where there is none."""
    folder = os.environ.get("WORKBENCH_DATA")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("WORKBENCH_DATA names no folder with mnist/")
    return Path(folder)
