"""Cost of a beginning: importing the package beyond torch, and compiling the C of engine `cpu` for once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

from ...recurrence import unavailable
from .timing import Row

_SCRIPT = """
import json, time
begin = time.perf_counter()
import torch
torch.set_num_threads(1)
then = time.perf_counter()
import workbench.recurrence as recurrence
ready = time.perf_counter()
x, w, u = torch.rand(4, 2, 8), torch.rand(8, 8), torch.rand(8)
recurrence.layer(x, w, None, u)
layer = time.perf_counter()
from torch import nn
recurrence.layer(x, w, None, u, norm=nn.BatchNorm1d(8), backend="auto" if {torch_only} else "cpu")
recurrence.layer(x[..., :1], w[:, :1].contiguous(), None, u)
recurrence.recur(x, u)
print(json.dumps({{"torch": then - begin, "import": ready - then, "first layer": layer - ready,
                  "all of it": time.perf_counter() - ready}}))
"""


def start(repeats: int = 3) -> list[Row]:
    """Milliseconds, in processes of their own with an empty cache: torch's import, ours beyond it, and until the first
    layer, then all of C, is compiled and has run."""
    found: list[dict[str, float]] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            script = _SCRIPT.format(torch_only=unavailable("cpu") is not None)
            environment = os.environ | {"XDG_CACHE_HOME": cache}
            done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
            found.append(json.loads(done.stdout))
    return [
        {"table": "start", "what": name, "ms": 1e3 * sorted(one[name] for one in found)[len(found) // 2]}
        for name in found[0]
    ]
