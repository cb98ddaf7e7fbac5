"""ONNX: a model by the documented call is right at any length, and no other call writes one."""

from __future__ import annotations

import pytest
import torch

import workbench as wb
from workbench import recurrence
from workbench.errors import ParameterError
from workbench.recurrence import onnx
from workbench.recurrence.activation import ACTIVATIONS

runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
ENGINES = ["auto", *(e for e in recurrence.available() if e != "triton")]
ANY = torch.export.Dim.DYNAMIC
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*")]  # the exporter's own, some of every kind
CASES = [*(("auto", f, {}) for f in ACTIVATIONS), *((e, "relu", {}) for e in ENGINES[1:])]


def distance(net, path, *given):
    """The largest difference between the model and the net, relative to the largest value."""
    session = runtime.InferenceSession(path)
    values = [v for v in given if v is not None]
    feeds = {i.name: v.numpy() for i, v in zip(session.get_inputs(), values, strict=True)}
    pairs = zip(session.run(None, feeds), net(*given), strict=True)
    return max(float((torch.from_numpy(x) - y).abs().max() / y.abs().max().clamp(min=1e-30)) for x, y in pairs)


@pytest.mark.parametrize(("engine", "activation", "settings"), CASES)
@torch.no_grad()
def test_a_model_is_the_net_at_any_length_and_batch(engine, activation, settings, rng, tmp_path):
    net, path = wb.IndRNN(3, 4, 2, activation=activation, backend=engine), tmp_path / "net.onnx"
    draw = lambda T, B: torch.randn(T, B, 3, generator=rng)  # noqa: E731
    onnx.export(net, (draw(6, 2),), path, dynamic_shapes={"input": {0: ANY, 1: ANY}})
    for size in ((6, 2), (1, 1), (7, 1), (50, 5)):
        assert distance(net, path, draw(*size)) < 1e-5


@pytest.mark.parametrize("given", ["h0", "lengths"])
@torch.no_grad()
def test_a_model_of_both_directions_takes_a_state_and_lengths(given, rng, tmp_path):
    net, path = wb.IndRNN(3, 4, 2, bidirectional=True), tmp_path / "net.onnx"

    def inputs(T, B):
        x, h0 = torch.randn(T, B, 3, generator=rng), torch.randn(4, B, 4, generator=rng)
        return (x, h0) if given == "h0" else (x, None, torch.randint(1, T + 1, (B,), generator=rng))

    shapes = {"input": {0: ANY, 1: ANY}, "hx": {1: ANY} if given == "h0" else None, "lengths": {0: ANY}}
    onnx.export(
        net,
        inputs(6, 2),
        path,
        dynamic_shapes={k: shapes[k] for k in (("input", "hx") if given == "h0" else ("input", "hx", "lengths"))},
    )
    for size in ((6, 2), (1, 3), (50, 5)):
        assert distance(net, path, *inputs(*size)) < 1e-5


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dynamo", [False, True])
def test_any_other_export_is_refused_and_told_the_call(dynamo, engine, tmp_path):
    net, x, path = wb.IndRNN(3, 4, backend=engine), torch.ones(5, 2, 3), tmp_path / "net.onnx"
    with pytest.raises(Exception, match=r"workbench\.recurrence\.onnx\.export"):
        torch.onnx.export(net, (x,), path, dynamo=dynamo)
    assert not path.exists()


@pytest.mark.parametrize("dynamo", [False, None])
def test_the_exporter_that_fixes_the_length_is_refused(dynamo):
    with pytest.raises(ParameterError, match=f"dynamo: {dynamo} received"):
        onnx.export(wb.IndRNN(3, 4), (torch.ones(5, 2, 3),), dynamo=dynamo)
