"""The recurrence as functions of ONNX, one an activation. Importing this module imports onnxscript.

a (T, B, N)   u (N,)   h0 (B, N)   ->   h (T, B, N)
"""
# ONNX Script is not Python's language: annotations are ONNX types, and a loop's body is a function.
# ruff: noqa: F821, UP037
# mypy: ignore-errors

from __future__ import annotations

from onnxscript import FLOAT, graph, script
from onnxscript import opset18 as op


@script()
def recur_relu(a: FLOAT["T", "B", "N"], u: FLOAT["N"], h0: FLOAT["B", "N"]) -> FLOAT["T", "B", "N"]:
    @graph()
    def step(h, a_t):
        new = op.Relu(a_t + u * h)
        return new, op.Identity(new)

    _, h = op.Scan(h0, a, body=step, num_scan_inputs=1)
    return h


@script()
def recur_tanh(a: FLOAT["T", "B", "N"], u: FLOAT["N"], h0: FLOAT["B", "N"]) -> FLOAT["T", "B", "N"]:
    @graph()
    def step(h, a_t):
        new = op.Tanh(a_t + u * h)
        return new, op.Identity(new)

    _, h = op.Scan(h0, a, body=step, num_scan_inputs=1)
    return h


@script()
def recur_leaky_relu(a: FLOAT["T", "B", "N"], u: FLOAT["N"], h0: FLOAT["B", "N"]) -> FLOAT["T", "B", "N"]:
    @graph()
    def step(h, a_t):
        new = op.LeakyRelu(a_t + u * h, alpha=0.01)
        return new, op.Identity(new)

    _, h = op.Scan(h0, a, body=step, num_scan_inputs=1)
    return h


@script()
def recur_identity(a: FLOAT["T", "B", "N"], u: FLOAT["N"], h0: FLOAT["B", "N"]) -> FLOAT["T", "B", "N"]:
    @graph()
    def step(h, a_t):
        new = a_t + u * h
        return new, op.Identity(new)

    _, h = op.Scan(h0, a, body=step, num_scan_inputs=1)
    return h


SCANS = {"relu": recur_relu, "tanh": recur_tanh, "leaky_relu": recur_leaky_relu, "identity": recur_identity}
