"""Graphs and scripts made of the layer compute the recurrence, also of other numbers and lengths."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
import torch
from functorch.compile import aot_function, nop
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close

import workbench as wb
from workbench import recurrence
from workbench.recurrence import layer, recur
from workbench.recurrence.activation import ACTIVATIONS

ENGINES = ["auto", *(e for e in recurrence.available() if e != "triton")]
pytestmark = pytest.mark.filterwarnings(  # PyTorch's own, of TorchScript, checks of shapes and trees
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::torch.jit.TracerWarning",
    "ignore:torch.compile is ignored when called inside torch.export region:UserWarning",
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["real", "symbolic"])
def test_make_fx_writes_down_the_recurrence(mode, engine, rng):
    values = [torch.randn(*s, generator=rng) for s in ((40, 2, 3), (4, 3), (4,), (4,), (2, 4))]
    others = [v.tanh() for v in values]
    whole = lambda *v: layer(*v, backend=engine)  # noqa: E731
    alone = lambda x, w, b, u, h0: recur(x @ w.t() + b, u, h0, backend=engine)  # noqa: E731
    slope = lambda *v: torch.func.grad(lambda *v: whole(*v).sum(), argnums=3)(*v)  # noqa: E731
    for run in (whole, alone, slope)[: 3 if mode == "real" else 2]:  # PyTorch's own of a symbolic gradient does not run
        graph = make_fx(run, tracing_mode=mode)(*values)
        assert_close(graph(*others), run(*others), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_aot_function_compiles_value_and_gradients(engine, rng):
    leaves = [torch.randn(*s, generator=rng).requires_grad_() for s in ((40, 2, 3), (4, 3), (4,), (4,), (2, 4))]
    with torch.no_grad():
        leaves[3].tanh_()
    run = lambda *v: layer(*v, backend=engine)  # noqa: E731
    ours, theirs = (torch.autograd.grad(f(*leaves).sum(), leaves) for f in (aot_function(run, nop), run))
    assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert_close(aot_function(run, nop)(*leaves), run(*leaves), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_a_traced_net_is_saved_loaded_and_run_at_another_length(activation, engine, rng):
    if engine != "auto" and recurrence.refuses(engine, activation) is not None:
        return
    net = wb.IndRNN(3, 4, 2, bidirectional=True, activation=activation, backend=engine)
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(net, (torch.randn(5, 2, 3, generator=rng),)), file)
    file.seek(0)
    again, x = torch.jit.load(file), torch.randn(9, 1, 3, generator=rng)
    assert_close(again(x), net(x))


SETTINGS = [
    {},
    {"num_layers": 2, "bidirectional": True, "bias": False, "activation": "tanh"},
    {"num_layers": 2, "batch_first": True, "activation": "leaky_relu"},
    {"activation": "identity", "dropout": 0.5, "num_layers": 2},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_scripted_net_answers_like_the_net(settings, rng):
    net = wb.IndRNN(3, 4, **settings).eval()
    ours, x = torch.jit.script(net), torch.randn(5, 5, 3, generator=rng)
    h0 = torch.randn(net.num_layers * (2 if net.bidirectional else 1), 5, 4, generator=rng)
    lengths = torch.tensor([5, 1, 3, 5, 2])
    for given in ((x,), (x, h0), (x, None, lengths), (x, h0, lengths), (x[:, 0],), (x[:, 0], h0[:, 0])):
        assert_close(ours(*given), net(*given))
    grads = [torch.autograd.grad(f(x)[0].sum(), net.u_l0)[0] for f in (ours, net)]
    assert_close(*grads)
    for given in ((x, h0[:, :1]), (x, torch.cat([h0, h0])), (x, None, lengths[:1])):  # neither broadcasts
        with pytest.raises(torch.jit.Error, match=r"(h0|lengths): shape .* received"):
            ours(*given)


LOADER = """
import sys, torch
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "workbench":
            raise ImportError("no workbench here")
sys.meta_path.insert(0, Absent())
net = {}
for T, B in ({}):
    net.zero_grad()
    out = net(torch.ones(T, B, 3))[0]
    out.square().sum().backward()
    print(out.sum().item(), sum(p.grad.abs().sum().item() for p in net.parameters()))
assert "workbench" not in sys.modules
"""
ANY = torch.export.Dim.DYNAMIC


@pytest.mark.parametrize("form", ["script", "trace", "export", "export of any size"])
def test_what_is_saved_needs_nothing_but_torch(form, tmp_path):
    net, path = wb.IndRNN(3, 4, 2, bidirectional=True), tmp_path / "net.pt2"
    x, sizes = torch.ones(5, 2, 3), [(5, 2)] if form == "export" else [(5, 2), (1, 2), (40, 7)]
    if form.startswith("export"):
        shapes = None if form == "export" else ({0: ANY, 1: ANY},)
        torch.export.save(torch.export.export(net, (x,), dynamic_shapes=shapes), path)
        load = f"torch.export.load({str(path)!r}).module()"
    else:
        torch.jit.save(torch.jit.script(net) if form == "script" else torch.jit.trace(net, (x,)), str(path))
        load = f"torch.jit.load({str(path)!r})"
    command = [sys.executable, "-I", "-c", LOADER.format(load, sizes)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-2000:]
    for line, (T, B) in zip(ran.stdout.splitlines(), sizes, strict=True):
        net.zero_grad()
        out = net(torch.ones(T, B, 3))[0]
        out.square().sum().backward()
        grads = sum(p.grad.abs().sum().item() for p in net.parameters())
        assert [float(v) for v in line.split()] == pytest.approx([out.sum().item(), grads], rel=1e-5)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_net_is_made_of_torchs_operators_and_answers_like_the_net(strict, activation, rng):
    net = wb.IndRNN(3, 4, activation=activation, batch_first=strict)
    x, h0 = torch.randn(5, 2, 3, generator=rng), torch.randn(1, 5 if strict else 2, 4, generator=rng)
    program = torch.export.export(net, (x, h0), strict=strict)
    named = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert "scan" in named
    assert not any("indrnn" in name for name in named)
    for given in ((x, h0), (-2 * x, h0.square())):
        assert_close(program.module()(*given), net(*given))


def test_an_exported_net_in_bfloat16_keeps_its_state_in_float32():
    net = wb.IndRNN(1, 4).bfloat16()
    with torch.no_grad():
        net.u_l0.fill_(0.99)
    x = torch.full((300, 1, 1), 0.01, dtype=torch.bfloat16)
    assert_close(torch.export.export(net, (x,)).module()(x), net(x))


def test_fx_keeps_the_recurrence_whole(rng):
    def twice(a, u):
        return recur(a * 2, u, backend="loop")

    graph, a, u = torch.fx.symbolic_trace(twice), torch.randn(5, 2, 4, generator=rng), torch.rand(4, generator=rng)
    assert [node.target for node in graph.graph.nodes if node.op == "call_function"][1:] == [recur]
    assert_close(graph(a, u), twice(a, u))
