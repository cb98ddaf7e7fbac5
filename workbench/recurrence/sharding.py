"""The recurrence of tensors that are spread over machines (DTensor): sequences and neurons are independent of another.

Cut along the batch, or along the neurons, each part is computed where it lies; the gradient of u is then a sum over the
parts of the batch. Time cannot be cut: DTensor gathers it first.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import torch
from torch import Tensor


def sharded(*tensors: Tensor) -> bool:
    """Is one of them a DTensor? Its rules are told to PyTorch on first sight."""
    module = sys.modules.get("torch.distributed.tensor")
    found = module is not None and any(isinstance(tensor, module.DTensor) for tensor in tensors)
    if found:
        _register()
    return found


@cache
def _register() -> None:
    from torch.distributed.tensor import Partial, Replicate, Shard
    from torch.distributed.tensor.experimental import register_sharding

    whole = Replicate()

    @register_sharding(torch.ops.indrnn.recur.default)  # type: ignore[untyped-decorator]
    def _(a: Any, u: Any, h0: Any, activation: str, backend: str) -> list[Any]:
        return [
            ([whole], [whole, whole, whole, None, None]),
            ([Shard(1)], [Shard(1), whole, Shard(0), None, None]),
            ([Shard(2)], [Shard(2), Shard(0), Shard(1), None, None]),
        ]

    @register_sharding(torch.ops.indrnn.recur_backward.default)  # type: ignore[untyped-decorator]
    def _(g: Any, h: Any, u: Any, h0: Any, activation: str, backend: str) -> list[Any]:
        return [
            ([whole] * 3, [whole, whole, whole, whole, None, None]),
            ([Shard(1), Partial(), Shard(0)], [Shard(1), Shard(1), whole, Shard(0), None, None]),
            ([Shard(2), Shard(0), Shard(1)], [Shard(2), Shard(2), Shard(0), Shard(1), None, None]),
        ]
