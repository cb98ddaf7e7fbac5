"""The Triton engine: interpreted on the CPU, compiled without a GPU, and, where there is one, run on it."""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from offline import KERNELS, compiled
from torch.testing import assert_close

from workbench.errors import ParameterError
from workbench.recurrence import autograd, engine_scan, engine_triton, engines, layer, recur, refuses

FOLDER = Path(__file__).parent
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
with_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")


@pytest.fixture(autouse=True)
def _device(request):
    if request.node.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@with_triton
@pytest.mark.parametrize("file", ["interpreted.py", "interpreted_layer.py"])
def test_the_kernels_equal_loop_in_the_interpreter(file):
    """In its own process: triton reads the variable when a kernel is defined."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(FOLDER / file)]
    paths = os.pathsep.join(path for path in (str(FOLDER.parents[1]), os.environ.get("PYTHONPATH")) if path)
    environment = os.environ | {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, cwd=FOLDER.parents[1], capture_output=True, text=True)
    if "only 0-dimensional arrays can be converted to Python scalars" in done.stdout:
        pytest.skip("this triton's interpreter is older than this numpy (3.6 and 2.4 do not fit)")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert re.search(r"\b\d+ passed", done.stdout)
    assert "skipped" not in done.stdout


@with_triton
@pytest.mark.parametrize(
    ("kernel", "architecture"), [(name, architecture) for name in KERNELS for architecture in (80, 90, 100)]
)
def test_a_kernel_fetches_ahead_and_stays_in_registers(kernel, architecture, tmp_path, monkeypatch):
    """Compiled for a device, which needs none: without cp.async each step would wait for memory."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    found = compiled(kernel, architecture, tmp_path)
    budget = KERNELS[kernel]
    assert found.copies == budget.streams * found.constants.get("FLIGHT", 0)
    assert not found.fused  # a fused product would round once where the loop rounds twice
    assert kernel != "states" or found.passes_nan  # relu of nan is nan
    assert found.spilled == 0
    assert found.registers <= 128
    assert found.a_step <= budget.instructions


def test_the_pinned_triton_is_recorded_with_all_kernels_compiled_and_interpreted():
    """By scripts/triton_versions.py; other versions stand there as they were found."""
    pinned = re.search(r"^TRITON \?= (\S+)$", (FOLDER.parents[1] / "Makefile").read_text(), re.MULTILINE)[1]
    with (FOLDER.parents[1] / "results" / "triton.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["triton"] == pinned]
    found = [(row["architecture"], row["compile"], row["spilled"]) for row in rows]
    assert found == [(f"sm_{n}", "4 of 4", "0") for n in (80, 90, 100)]
    assert all(re.fullmatch(r"\d+ passed", row["interpreter"]) for row in rows)


def test_importing_the_package_does_not_import_triton():
    code = "import sys, workbench.recurrence as r; r.available(); sys.exit('triton' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=FOLDER.parents[1]).returncode == 0


def test_without_a_device_the_engine_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert engine_triton.unavailable() == "no CUDA device"
    with pytest.raises(ParameterError, match="'triton' cannot run here: no CUDA device"):
        recur(torch.zeros(2, 1, 1), torch.zeros(1), backend="triton")


def test_without_triton_the_engine_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(engine_triton, "_installed", lambda: False)
    assert "triton is not installed" in engine_triton.unavailable()


def test_a_tensor_on_the_cpu_is_refused(monkeypatch):
    monkeypatch.setattr(engine_triton, "unavailable", lambda: None)
    with pytest.raises(ParameterError, match=r"a: torch.float32 on cpu received; engine 'triton' takes CUDA tensors"):
        recur(torch.zeros(2, 1, 1), torch.zeros(1), backend="triton")


@pytest.mark.parametrize(
    ("shape", "activation", "engine"),
    [
        ((784, 32, 128), "relu", engine_triton),
        ((100_000, 1, 128), "relu", engine_triton.IN_CHUNKS),
        ((100_000, 1, 128), "tanh", engine_triton),
        ((100_000, 32, 128), "relu", engine_triton),
    ],
)
def test_auto_scans_what_is_long_and_thin(shape, activation, engine, monkeypatch):
    class OnDevice:
        is_cuda, dtype, device = True, torch.float32, torch.device("cuda")

    a = OnDevice()
    a.shape = shape
    monkeypatch.setattr(engine_triton, "unavailable", lambda: None)
    assert engines.choose(a, activation, "auto") is engine


def twins(call, T, B, N, dtype, rng, activation="relu"):
    """h, grad a, grad u, grad h0 of a call on the device, and of the loop there (in float32 for half precision)."""
    wide = dtype if dtype.itemsize >= 4 else torch.float32
    a, h0, g = (torch.randn(*s, generator=rng).to(dtype) for s in ((T, B, N), (B, N), (T, B, N)))
    u = (2 * torch.rand(N, generator=rng) - 1).to(dtype)
    if wide is not dtype:  # away from the kink, where rounding would decide the gradient; and within float16
        a, u = a.abs() + 1.5, 0.9 * u
    results = []
    for kind, run in ((dtype, call), (wide, lambda *v: recur(*v, activation=activation, backend="loop"))):
        inputs = [v.to("cuda", kind).requires_grad_() for v in (a, u, h0)]
        h = run(*inputs)
        h.backward(g.to(h))
        results.append([h.detach(), *(v.grad for v in inputs)])
    return results


def assert_near(ours, theirs, dtype):
    errors = 200 if dtype.itemsize >= 4 else 4  # roundings, of the largest number in sight
    for name, x, y in zip(("h", "grad a", "grad u", "grad h0"), ours, theirs, strict=True):
        assert x.dtype == dtype, name
        assert float((x.to(y.dtype) - y).abs().max()) <= errors * torch.finfo(dtype).eps * (1 + float(y.abs().max())), (
            name
        )


@pytest.mark.gpu
@pytest.mark.parametrize("activation", ["relu", "tanh", "identity", "leaky_relu"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (33, 3, 7), (784, 5, 40), (100, 32, 128), (50, 3, 2001)])
def test_on_the_device_triton_equals_loop(shape, activation, rng):
    for dtype in DTYPES:
        run = partial(recur, activation=activation, backend="triton")
        ours, theirs = twins(run, *shape, dtype, rng, activation)
        assert_near(ours, theirs, dtype)
        if dtype.itemsize >= 4 and activation != "tanh":
            assert all(torch.equal(ours[i], theirs[i]) for i in (0, 1, 3))


@pytest.mark.gpu
@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize("shape", [(100, 2, 3), (257, 1, 1), (1000, 3, 33), (2048, 1, 128)])
def test_on_the_device_the_scan_equals_loop(shape, activation, rng):
    for dtype in DTYPES:
        run = partial(recur, activation=activation, backend="scan")
        ours, theirs = twins(run, *shape, dtype, rng, activation)
        assert_near(ours, theirs, dtype)


@pytest.mark.gpu
def test_on_the_device_the_pure_torch_scan_equals_loop(rng):
    in_torch = SimpleNamespace(forward=lambda *v: engine_scan.states(*v[:-1]), backward=engine_scan.gradients)
    ours, theirs = twins(lambda *v: autograd.recur(*v, "relu", in_torch, False), 300, 2, 9, torch.float64, rng)
    assert_near(ours, theirs, torch.float64)


@pytest.mark.gpu
@pytest.mark.parametrize("u", [2.0, -1e30])
def test_on_the_device_a_scan_is_finite_where_the_loop_is(u):
    a, weights = torch.full((1000, 1, 2), -1.0, device="cuda"), torch.full((2,), u, device="cuda")
    a[:, 0, 1] = 1.0 if u < 0 else -1.0
    h0 = torch.tensor([[1.0, 0.0]], device="cuda")
    assert torch.equal(recur(a, weights, h0, backend="scan"), recur(a, weights, h0, backend="loop"))


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ["triton", "scan"])
def test_on_the_device_equal_inputs_give_equal_bits(engine, rng):
    runs = []
    for _ in range(2):
        ours, _ = twins(lambda *v: recur(*v, backend=engine), 600, 4, 96, torch.float32, rng.manual_seed(1))
        runs.append(ours)
    assert all(torch.equal(x, y) for x, y in zip(*runs, strict=True))


@pytest.mark.gpu
def test_on_the_device_a_layer_equals_the_loop(rng):
    sizes = ((66, 3, 20), (40, 20), (40,), (40,), (3, 40))
    x, w, b, u, h0 = ((torch.randn(*s, generator=rng, dtype=torch.float64) / 5).cuda() for s in sizes)
    for value in (x, w, b, u, h0):
        value.requires_grad_()
    gradients = []
    for engine in ("auto", "loop"):
        h = layer(x, w, b, u, h0, backend=engine)
        gradients.append([h.detach(), *torch.autograd.grad(h.square().sum(), (x, w, b, u, h0))])
    assert_close(*gradients, rtol=1e-10, atol=1e-10)


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ["triton", "scan"])
def test_on_the_device_a_cuda_graph_replays_the_recurrence(engine, rng):
    a, u = torch.randn(512, 2, 32, generator=rng).cuda().requires_grad_(), torch.rand(32, generator=rng).cuda()

    def step():
        h = recur(a, u, backend=engine)
        return h, torch.autograd.grad(h.sum(), a)[0]

    step()  # compiles
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = step()
    with torch.no_grad():
        a.copy_(torch.randn(512, 2, 32, generator=rng))
    graph.replay()
    assert_close([v.detach() for v in recorded], [v.detach() for v in step()])


def test_every_activation_but_two_can_be_scanned():
    assert [bool(refuses("scan", f)) for f in ("relu", "identity", "tanh", "leaky_relu")] == [False, False, True, True]
    assert not any(refuses("triton", f) for f in ("relu", "identity", "tanh", "leaky_relu"))
