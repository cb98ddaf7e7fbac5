"""Kernels and bytes of a recorded training step, counted without a device and held to a budget."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from counted import counting

from workbench import paper
from workbench.models import set_backend
from workbench.tasks import pixels
from workbench.training import Trainer

TESTS = Path(__file__).parents[1]
VERSION_01 = "8c8aedd"  # its last commit
BUDGETS = {  # experiment: kernels, gigabytes
    "seqmnist_plain6": (80, 1.2),
    "seqmnist_plain12": (130, 2.4),
    "seqmnist_res": (140, 2.6),
    "seqmnist_dense": (410, 5.1),
    "adding_indrnn_T5000": (36, 1.6),
}


@pytest.fixture
def images(monkeypatch):
    """MNIST's shape, without MNIST."""
    part = torch.zeros(800, 784, dtype=torch.uint8), torch.zeros(800, dtype=torch.int64)
    monkeypatch.setattr(pixels, "mnist", lambda: pixels.Images(part, part, 256))


def counted(experiment, monkeypatch):
    """The counter of a step as a device would record it."""
    monkeypatch.setattr("workbench.training.trainer.wanted", lambda *_: True)
    trainer = Trainer(paper.experiment(experiment).config, 0, backend="torch")
    trainer.together = True
    with counting(monkeypatch) as count:
        set_backend(trainer.net, "triton")
        trainer.net.train()
        given = trainer._given(0)
        trainer._decided(given)  # Adam makes its moments
        with count:
            trainer._decided(given)
    return count


@pytest.mark.parametrize("experiment", BUDGETS)
def test_a_step_keeps_to_its_budget_of_kernels_and_bytes(experiment, images, monkeypatch):
    count = counted(experiment, monkeypatch)
    kernels, gigabytes = BUDGETS[experiment]
    operators, moved = count.total
    assert (operators <= kernels, moved <= gigabytes * 1e9) == (True, True), count.table()


def test_the_same_counter_gives_version_01_its_192_kernels_and_2_5_gigabytes(tmp_path):
    """As they were counted by hand before anything was mended."""
    sources = subprocess.run(["git", "archive", VERSION_01, "workbench"], cwd=TESTS.parent, capture_output=True)
    if sources.returncode != 0:
        pytest.skip("no history here")
    with tarfile.open(fileobj=io.BytesIO(sources.stdout)) as tar:
        tar.extractall(tmp_path, filter="data")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{TESTS}", "TRITON_INTERPRET": "1"}
    command = [sys.executable, str(TESTS / "version_01.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    *_, kernels, megabytes, _ = done.stdout.split()
    assert (int(kernels), float(megabytes)) == (192, pytest.approx(2510, rel=0.01)), done.stdout
