"""Nets with the recurrence as ONNX models: the operator is translated to an ONNX Scan, for any T and B.

`export(net, args, path)` is torch.onnx.export with the translations of `translations()`; whatever the engine, the
model is the same. It needs the packages onnx and onnxscript. No other way is allowed to write a model: the exporter by
tracing would fix T, and the exporter by torch.export knows no translation of its own for our operator.

    activation     ONNX
    relu           Scan over Relu(a_t + u h)
    tanh           Scan over Tanh(a_t + u h)
    leaky_relu     Scan over LeakyRelu(a_t + u h, alpha=0.01)
    identity       Scan over a_t + u h
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn

from ..errors import ParameterError, quoted
from .torch_ops import exporting

OPSET = 18


def export(
    net: nn.Module, args: tuple[Any, ...], path: str | os.PathLike[str] | None = None, **settings: Any
) -> torch.onnx.ONNXProgram:
    """Write `net`, called with `args`, as an ONNX model to `path`; further settings are those of torch.onnx.export.

    For any number of steps and sequences, name them: `dynamic_shapes={"input": {0: torch.export.Dim.DYNAMIC, 1:
    torch.export.Dim.DYNAMIC}}`, in the net's own names of its arguments. Returns torch's ONNXProgram.
    """
    if (dynamo := settings.pop("dynamo", True)) is not True:
        raise ParameterError(f"dynamo: {quoted(dynamo)} received; True is needed, the other exporter would fix T")
    table = {**translations(), **(settings.pop("custom_translation_table", None) or {})}
    settings = {"opset_version": OPSET, "verbose": False, **settings}
    mark = exporting.set(True)
    try:
        program = torch.onnx.export(net, args, path, dynamo=True, custom_translation_table=table, **settings)
    finally:
        exporting.reset(mark)
    assert program is not None
    return program


@cache
def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Table for torch.onnx.export of our operator: {torch.ops.indrnn.recur.default: a function that writes ONNX}."""
    try:
        from . import onnx_translation
    except ImportError as error:
        raise ParameterError(f"ONNX: {error.name} is not installed (pip install onnx onnxscript)") from None

    def translate(a: Any, u: Any, h0: Any, activation: str, backend: str) -> Any:
        return onnx_translation.SCANS[activation](a, u, h0)

    return {torch.ops.indrnn.recur.default: translate}
