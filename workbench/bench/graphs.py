"""CUDA graphs: a call recorded once and replayed without Python, whose dispatch is most of a small layer's time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_WARM = 3  # calls before the recording, in which kernels are compiled and memory is found


def graphed(call: Callable[[], Any]) -> Callable[[], Any]:
    """The call as a graph: same inputs and memory at each replay. It must neither synchronise nor read the device."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay
