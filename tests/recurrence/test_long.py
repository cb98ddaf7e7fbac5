"""Long sequences: time grows as the length, memory with the states alone, and inference needs no more than a chunk.

Each figure is measured in a process of its own, which has no memory of other tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCRIPT = """
import threading, time, torch
import workbench as wb
from workbench.runs.provenance import _peak_mb
torch.set_num_threads(1)

def peak():  # bytes of memory that this process has had at most
    return _peak_mb() * 1e6

def train(net, x):
    out = net(x)
    (out[0] if isinstance(out, tuple) else out).square().mean().backward()

def seconds(net, x, g, times):
    begin = time.thread_time()
    for _ in range(times):
        net(x)[0].backward(g)
    return time.thread_time() - begin
"""


def measured(script):
    """The numbers that a script prints, run in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + script], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


@pytest.mark.parametrize("engine", ["auto", "scan"])
def test_a_million_steps_of_sixteen_neurons_train_in_the_memory_of_eight_of_their_states(engine):
    """Beside what Python and torch hold: 250 MB with a CPU build of torch, 750 MB with a CUDA build."""
    (taken,) = measured(f"""
before = peak()
net = wb.IndRNN(1, 16, bound=1.0, backend={engine!r})
train(net, torch.rand(1_000_000, 1, 1))
assert all(bool(p.grad.isfinite().all()) for p in net.parameters())
print(peak() - before)
""")
    assert taken < 8 * 4 * 16e6


def test_ten_times_the_steps_take_ten_times_the_time():
    (ratio,) = measured("""
net = wb.IndRNN(1, 16, bound=1.0)
x, g = torch.rand(20_000, 16, 1), torch.ones(20_000, 16, 16)  # 20 MB: more would be fresh pages at each call
seconds(net, x, g, 5)
turns = [(seconds(net, x, g, 5), seconds(net, x[:2_000], g[:2_000], 50)) for _ in range(5)]
print(10 * min(turn[0] for turn in turns) / min(turn[1] for turn in turns))
""")
    assert ratio <= 12


def test_training_keeps_at_most_forty_bytes_a_step_and_unit_and_layer():
    """Of a plain net with batch norm and dropout: states and outputs, and the gradients at work."""
    (each,) = measured("""
from workbench.config import Model
from workbench.models import build
from workbench.tasks import Spec
net = build(Model(kind="plain", depth=4, hidden=128, dropout=0.1), Spec(1, 10, 10_000, "class"))
train(net, torch.rand(50, 8, 1))
before = peak()
train(net, torch.rand(10_000, 8, 1))
print((peak() - before) / (10_000 * 8 * 128 * 4))
""")
    assert 4 <= each <= 40  # the states alone are 4


def test_inference_in_chunks_equals_the_whole_with_flat_memory():
    error, grown, whole = measured("""
net = wb.IndRNN(1, 64, 2, bound=1.0)
x = torch.rand(200_000, 1, 1)

@torch.inference_mode()
def in_chunks(steps):
    state, ends = None, torch.empty(steps // 1000, 1, 64)  # once: small arrays left between large ones waste memory
    for end, part in zip(ends, x[:steps].split(1000), strict=True):
        out, state = net(part, state)
        end.copy_(out[-1])
    return ends[:, 0]

in_chunks(100_000)
for thread in threading.enumerate():
    if thread.name == "compiler":  # loads what this net does not need, beside it
        thread.join()
before = peak()
ends = in_chunks(len(x))
grown = peak() - before
with torch.inference_mode():
    whole = net(x)[0][999::1000, 0]
print(float((ends - whole).abs().max() / whole.abs().max()), grown, peak() - before)
""")
    assert error <= 1e-6
    assert grown < 4e6
    assert whole > 10 * grown  # or the measurement would have seen nothing
