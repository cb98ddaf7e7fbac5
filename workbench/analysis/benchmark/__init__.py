"""Timing side by side with torch.nn, in one run: everything that is compared takes turns, round after round.

    rows = bench.layers(["mnist", "mnist_l1"])       one layer against torch.nn.LSTM, GRU, RNN and a Python loop
    rows += bench.training_step()                    a whole step of the six-layer net for sequential MNIST
    rows += bench.scaling()                          time against T, B, N, depth and threads
    rows += bench.correctness()                      every engine against the specification
    for name, rows in bench.everything(): ...        all of it, part after part
    for rows in bench.starts(5): ...                 Fig. 2's ratios, a process after the other
    print(bench.report(rows))

Milliseconds are those of this machine at this hour; only ratios of one run mean something elsewhere. They have one
direction: how many times faster, the other's time over ours. The `floor` of a layer is what no implementation in full
precision avoids: the larger of its matrix products and of its bytes at the speed of a copy, at the fastest seen.
"""

from __future__ import annotations

from . import record as record
from .figure2 import starts as starts
from .layers import SHAPES as SHAPES
from .layers import layers as layers
from .layers import scaling as scaling
from .record import faster as faster
from .record import report as report
from .record import summary as summary
from .series import correctness as correctness
from .series import everything as everything
from .series import start as start
from .timing import Row as Row
from .training_steps import training_step as training_step
