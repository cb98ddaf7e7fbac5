"""Shared by the tests of engine `cpu`: arrays drawn, results compared, scripts run in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-14}


def draw(rng, *shape, dtype=torch.float32):
    return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)


def draw_u(rng, N, dtype=torch.float32):
    """Of both signs, and beyond 1 in size: but not by so much that 784 steps overflow."""
    return (torch.rand(N, generator=rng, dtype=torch.float64) * 2.02 - 1.01).to(dtype)


def gradients(call, inputs, g):
    """The output of `call`, and the gradients of its inputs for the gradient g of the output."""
    leaves = [v.detach().clone().requires_grad_() for v in inputs]
    out = call(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, g.to(out.dtype))]


def distance(x, y):
    return float((x.double() - y).norm() / (y.norm() + 1e-300))


def python(script, **environment):
    """Run a script in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
