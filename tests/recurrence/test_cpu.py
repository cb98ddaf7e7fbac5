"""Engine `cpu`: bit for bit the loop, whole layers, threads that change nothing, a cache that loads only its own."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from workbench.errors import ParameterError
from workbench.recurrence import compiler, cpu, layer, recur
from workbench.recurrence.activation import ACTIVATIONS

ROOT = Path(__file__).parents[2]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-14}
EXACT = [f for f in ACTIVATIONS if f != "tanh"]
pytestmark = pytest.mark.skipif(compiler.missing() is not None, reason=str(compiler.missing()))


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def draw(rng, *shape, dtype=torch.float32):
    return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)


def draw_u(rng, N, dtype=torch.float32):
    """Of both signs, and beyond 1 in size: but not by so much that 784 steps overflow."""
    return (torch.rand(N, generator=rng, dtype=torch.float64) * 2.02 - 1.01).to(dtype)


def gradients(call, inputs, g):
    """The output of `call`, and the gradients of its inputs for the gradient g of the output."""
    leaves = [v.detach().clone().requires_grad_() for v in inputs]
    out = call(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, g.to(out.dtype))]


def distance(x, y):
    return float((x.double() - y).norm() / (y.norm() + 1e-300))


SHAPES = [(1, 1, 1), (2, 3, 7), (33, 7, 130), (33, 130, 17), (784, 3, 17), (40, 17, 257)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", EXACT)
@pytest.mark.parametrize(("T", "B", "N"), SHAPES)
def test_states_and_gradients_are_bit_for_bit_those_of_loop(T, B, N, activation, dtype, rng):
    inputs = draw(rng, T, B, N, dtype=dtype), draw_u(rng, N, dtype), draw(rng, B, N, dtype=dtype)
    g = draw(rng, T, B, N, dtype=dtype)
    ours, theirs = (
        gradients(lambda *v, e=e: recur(*v, activation=activation, backend=e), inputs, g) for e in ("cpu", "loop")
    )
    for name, x, y in zip(("h", "grad a", "grad u", "grad h0"), ours, theirs, strict=True):
        assert torch.equal(x, y) if name != "grad u" else distance(x, y) < 10 * TOLERANCE[dtype], name


def test_tanh_is_within_one_unit_in_the_last_place_in_float32():
    z = torch.cat([torch.linspace(-12, 12, 400_001), torch.logspace(-30, 1, 20_000)])
    h = recur(z[None, None], torch.zeros(len(z)), activation="tanh", backend="cpu").flatten()
    exact = torch.tanh(z.double())
    unit = (torch.nextafter(exact.float().abs(), torch.tensor(2.0)) - exact.float().abs()).double()
    assert float(((h.double() - exact).abs() / unit).max()) <= 1


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_not_a_number_and_infinity_show_as_they_do_in_loop(activation):
    a = torch.zeros(4, 1, 20)
    a[1, 0, 3], a[1, 0, 4], a[1, 0, 5] = torch.nan, torch.inf, -torch.inf
    ours, theirs = (
        gradients(
            lambda *v, e=e: recur(*v, activation=activation, backend=e), (a, torch.ones(20)), torch.ones(4, 1, 20)
        )
        for e in ("cpu", "loop")
    )
    for x, y in zip(ours, theirs, strict=True):
        assert_close(x, y, equal_nan=True)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_bfloat16_is_the_loop_in_float32_rounded_once(activation, rng):
    inputs = draw(rng, 50, 3, 17).bfloat16(), torch.linspace(-1, 2 ** (1 / 50), 17), draw(rng, 3, 17).bfloat16()
    h = recur(*inputs, activation=activation, backend="cpu")
    wide = recur(*(v.float() for v in inputs), activation=activation, backend="loop")
    assert h.dtype == torch.bfloat16
    assert_close(h, wide.bfloat16(), rtol=0 if activation != "tanh" else 2**-8, atol=0)


@pytest.mark.parametrize("backend", ["cpu", "loop", "torch"])
def test_u_may_stay_float32_beside_bfloat16(backend, rng):
    a, u = (0.1 + draw(rng, 784, 2, 4).abs()).bfloat16() / 784, torch.full((4,), 2 ** (1 / 784))
    h, grad_a, grad_u = gradients(lambda *v: recur(*v, backend=backend), (a, u), torch.ones(784, 2, 4))
    assert (h.dtype, grad_a.dtype, grad_u.dtype) == (torch.bfloat16, torch.bfloat16, torch.float32)
    assert distance(h, recur(a.double(), u.double(), backend="loop")) < 2**-8  # u in bfloat16 is 1: 19 % off


LAYERS = [(1, 1, 1, 1), (2, 3, 2, 7), (33, 7, 5, 130), (784, 3, 1, 17), (20, 33, 40, 48), (3, 130, 17, 3)]


@pytest.fixture(params=["fused", "chunked"])
def way(request, monkeypatch):
    """Both ways to run a layer, whatever the sizes."""
    monkeypatch.setattr(cpu, "_LARGE", 1 if request.param == "chunked" else 10**9)
    return request.param


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize(("T", "B", "M", "N"), LAYERS)
def test_a_layer_equals_product_and_loop(T, B, M, N, activation, dtype, way, rng):
    inputs = draw(rng, T, B, M), draw(rng, N, M) / M**0.5, draw(rng, N), 0.95 * draw_u(rng, N), draw(rng, B, N)
    inputs, g = [v.to(dtype) for v in inputs], draw(rng, T, B, N, dtype=dtype)
    assert cpu.fuses(dtype)
    ours = gradients(lambda *v: layer(*v, activation=activation, backend="cpu"), inputs, g)
    theirs = gradients(
        lambda x, w, b, u, h0: recur(x @ w.t() + b, u, h0, activation=activation, backend="loop"),
        [v.double() for v in inputs],
        g.double(),
    )
    for name, x, y in zip(("h", "x", "weight", "bias", "u", "h0"), ours, theirs, strict=True):
        assert x.dtype == dtype, name
        assert distance(x, y) < (1 if way == "fused" else 2) * TOLERANCE[dtype], name  # PyTorch sums as it likes


@pytest.mark.parametrize("M", [1, 5])
@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (3,), (4,), (1, 2, 3), (0, 1, 2, 3, 4)])
def test_a_layer_gives_the_gradients_that_are_wanted(wanted, M, way, rng):
    sizes = (6, 2, M), (9, M), (9,), (9,), (2, 9)
    every = [draw(rng, *s, dtype=torch.float64) for s in sizes]

    def grads(backend):
        inputs = [v.clone().requires_grad_(i in wanted) for i, v in enumerate(every)]
        layer(*inputs, backend=backend).square().sum().backward()
        return [v.grad for v in inputs]

    for i, (x, y) in enumerate(zip(grads("cpu"), grads("loop"), strict=True)):
        assert (x is None) == (i not in wanted)
        if x is not None:
            assert_close(x, y)


def test_a_layer_without_bias_or_state_begins_from_zero(way, rng):
    inputs, g = (draw(rng, 6, 2, 3), draw(rng, 9, 3), draw_u(rng, 9)), draw(rng, 6, 2, 9)
    without = gradients(lambda x, w, u: layer(x, w, None, u, backend="cpu"), inputs, g)
    zeros = gradients(lambda x, w, u: layer(x, w, torch.zeros(9), u, torch.zeros(2, 9), backend="cpu"), inputs, g)
    assert all(torch.equal(x, y) for x, y in zip(without, zeros, strict=True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, about its tracing of autograd functions
def test_under_torch_compile_another_engine_takes_over(rng):
    a, u = draw(rng, 4, 2, 3), draw_u(rng, 3)
    engine = torch.compile(lambda v: recur(v, u), backend="eager", fullgraph=True)
    assert_close(engine(a), recur(a, u, backend="loop"))


def test_a_layers_sequence_may_be_cut_anywhere(way, rng):
    x, w, u = draw(rng, 20, 2, 3), draw(rng, 33, 3), draw_u(rng, 33)
    whole = layer(x, w, None, u, backend="cpu")
    for cut in (1, 7, 19):
        head = layer(x[:cut], w, None, u, backend="cpu")
        assert_close(torch.cat([head, layer(x[cut:], w, None, u, head[-1], backend="cpu")]), whole)


@pytest.mark.parametrize("call", ["recur", "layer"])
def test_gradients_pass_gradcheck(call, way, rng):
    sizes = ((5, 2, 4), (4,), (2, 4)) if call == "recur" else ((5, 2, 3), (4, 3), (4,), (4,), (2, 4))
    inputs = [draw(rng, *s, dtype=torch.float64).requires_grad_() for s in sizes]
    step = recur if call == "recur" else layer
    assert torch.autograd.gradcheck(lambda *v: step(*v, backend="cpu"), inputs)


@pytest.mark.parametrize("engine", ["cpu", "loop"])
def test_strided_and_expanded_inputs_and_gradients(engine, rng):
    """A sum's gradient is one number seen as a whole array; transposed batches and shared states are views too."""
    x, w = draw(rng, 5, 7, 3, dtype=torch.float64).permute(1, 0, 2), draw(rng, 3, 6, dtype=torch.float64).t()
    u, h0 = draw(rng, 12, dtype=torch.float64)[::2] / 3, draw(rng, 1, 6, dtype=torch.float64).expand(5, 6)
    b = draw(rng, 1, dtype=torch.float64).expand(6)

    def strided(*v):
        return layer(*v, backend=engine)

    leaves = [v.requires_grad_() for v in (x, w, b, u, h0)]
    ours = torch.autograd.grad(strided(*leaves).sum(), leaves)
    theirs = gradients(lambda *v: layer(*v, backend="loop"), [v.contiguous() for v in leaves], torch.ones(7, 5, 6))[1:]
    assert_close(list(ours), theirs)
    a = draw(rng, 6, 5, 7, dtype=torch.float64).permute(2, 1, 0).requires_grad_()
    (ours,) = torch.autograd.grad(recur(a, u, h0, backend=engine).sum(), a)
    theirs = gradients(lambda v: recur(v, u, h0, backend="loop"), [a.contiguous()], torch.ones(7, 5, 6))[1]
    assert_close(ours, theirs)


def at_each_number_of_threads(step, inputs, g, threads):
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(gradients(lambda *v: step(*v, backend="cpu"), inputs, g))
    return results


def test_the_number_of_threads_does_not_change_the_recurrence(threads, rng):
    inputs, g = (draw(rng, 300, 50, 33), draw_u(rng, 33), draw(rng, 50, 33)), draw(rng, 300, 50, 33)
    one, two, three = at_each_number_of_threads(recur, inputs, g, threads)
    assert all(torch.equal(x, y) and torch.equal(x, z) for x, y, z in zip(one, two, three, strict=True))


def test_the_number_of_threads_does_not_change_a_layer(way, threads, rng):
    sizes = (60, 50, 64), (66, 64), (66,), (66,), (50, 66)
    inputs, g = [draw(rng, *s) / 8 for s in sizes], draw(rng, 60, 50, 66)
    one, *others = at_each_number_of_threads(layer, inputs, g, threads)
    for other in others:
        for x, y in zip(one, other, strict=True):
            assert torch.equal(x, y) if way == "fused" else distance(x, y.double()) < 1e-6


def test_the_same_call_gives_the_same_bits(way, threads, rng):
    threads(2)
    inputs = [draw(rng, *s) / 8 for s in ((30, 40, 90), (80, 90), (80,), (80,), (40, 80))]
    first, second = (gradients(lambda *v: layer(*v, backend="cpu"), inputs, torch.ones(30, 40, 80)) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_inputs_are_left_alone_and_a_changed_output_is_noticed(rng):
    a, u = draw(rng, 4, 2, 3), draw_u(rng, 3).requires_grad_()
    kept = a.clone()
    h = recur(a, u, backend="cpu")
    assert torch.equal(a, kept)
    with torch.no_grad():
        h.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.sum().backward()


def test_second_derivatives_and_vmap_are_refused_clearly(rng):
    a, u = draw(rng, 4, 2, 3).requires_grad_(), draw_u(rng, 3)
    (once,) = torch.autograd.grad(recur(a, u, backend="cpu").square().sum(), a, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        once.sum().backward()
    with pytest.raises(RuntimeError, match="vmap"):
        torch.func.vmap(lambda v: recur(v, u, backend="cpu"))(a[None])


def test_under_autocast_the_product_is_bfloat16_and_u_stays_float32(rng):
    values = [draw(rng, *s) for s in ((6, 2, 3), (5, 3), (5,), (5,), (2, 5))]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = gradients(lambda *v: layer(*v, backend="cpu"), values, torch.ones(6, 2, 5))
    assert out[0].dtype == torch.bfloat16
    assert all(x.dtype == torch.float32 for x in out[1:])
    assert distance(out[0], layer(*values, backend="loop").double()) < 0.05


def test_empty_batches_are_allowed():
    u, w = torch.ones(4), torch.ones(4, 2)
    assert recur(torch.zeros(3, 0, 4), u, backend="cpu").shape == (3, 0, 4)
    assert layer(torch.zeros(3, 0, 2), w, None, u, backend="cpu").shape == (3, 0, 4)


# Compiling and the cache


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A small program, and a cache of its own that this process has loaded nothing from."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "_loaded", {})
    path = tmp_path / "answer.c"
    path.write_text("int answer(void) { return ANSWER; }")
    return path


def cached():
    return list(compiler.folder().glob("answer-*"))


def forget():
    compiler._loaded.clear()


def test_a_library_is_compiled_once_for_each_source_and_flags(source):
    assert compiler.library(source, "-DANSWER=1").answer() == 1
    (first,) = cached()
    written = first.stat().st_mtime_ns
    forget()
    assert compiler.library(source, "-DANSWER=1").answer() == 1
    assert first.stat().st_mtime_ns == written
    assert compiler.library(source, "-DANSWER=2").answer() == 2
    forget()
    source.write_text("int answer(void) { return ANSWER + 1; }")
    assert compiler.library(source, "-DANSWER=1").answer() == 2
    assert len(cached()) == 3
    assert stat.S_IMODE(compiler.folder().stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_can_write_is_not_used(source, mode):
    compiler.library(source, "-DANSWER=1")
    (planted,) = cached()
    kept = planted.read_bytes()
    forget()
    compiler.folder().chmod(mode)
    assert compiler.library(source, "-DANSWER=2").answer() == 2  # compiled into a private folder
    assert [p.read_bytes() for p in cached()] == [kept]


def test_a_file_that_others_can_write_is_not_loaded(source):
    compiler.library(source, "-DANSWER=1")
    (planted,) = cached()
    planted.chmod(0o722)
    before = planted.stat().st_ino
    forget()
    assert compiler.library(source, "-DANSWER=1").answer() == 1
    (fresh,) = cached()
    assert fresh.stat().st_ino != before
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700


def test_a_link_in_the_cache_is_not_followed(source, tmp_path):
    compiler.library(source, "-DANSWER=1")
    (planted,) = cached()
    elsewhere = tmp_path / "elsewhere"
    planted.rename(elsewhere)
    planted.symlink_to(elsewhere)
    forget()
    assert compiler.library(source, "-DANSWER=1").answer() == 1
    (fresh,) = cached()
    assert not fresh.is_symlink()


@pytest.mark.parametrize("damage", [b"", b"\x7fELF and nothing more"])
def test_a_damaged_library_is_compiled_again(source, damage):
    compiler.library(source, "-DANSWER=1")
    (kept,) = cached()
    whole = kept.read_bytes()
    kept.unlink()  # not written over: this process has it mapped
    kept.write_bytes(damage)
    kept.chmod(0o700)
    forget()
    assert compiler.library(source, "-DANSWER=1").answer() == 1
    assert [p.stat().st_size for p in cached()] == [len(whole)]


def test_without_a_place_to_write_it_compiles_into_a_private_folder(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiler.library(source, "-DANSWER=7").answer() == 7


def test_a_failing_compiler_is_quoted_and_not_tried_twice(source, tmp_path, monkeypatch):
    with pytest.raises(ParameterError, match=r"cannot run here: .*failed: .*ANSWER"):
        compiler.library(source)  # ANSWER is not defined
    tries = tmp_path / "tries"
    stub = tmp_path / "stub"
    stub.write_text(f"#!/bin/sh\necho >> {tries}\necho 'fatal error: out of luck' >&2\nexit 1\n")
    stub.chmod(0o755)
    monkeypatch.setenv("CC", str(stub))
    forget()
    count = []
    for _ in range(2):
        with pytest.raises(ParameterError, match="fatal error: out of luck"):
            compiler.library(source)
        count.append(tries.read_text())
    assert count[0] == count[1]
    assert "out of luck" in compiler.failure(source)


def test_an_unknown_cc_is_named(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    assert "no-such-compiler" in compiler.missing()
    assert "apt install gcc" in compiler.missing()


def python(script, **environment):
    """Run a script in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


FALLS_BACK = """
import torch, workbench.recurrence as r
from workbench.errors import ParameterError
a, u = torch.ones(3, 1, 2), torch.ones(2, requires_grad=True)
r.recur(a, u).sum().backward()
try:
    r.recur(a, u, backend="cpu")
except ParameterError as error:
    print(float(u.grad.sum()), "cpu" in r.available(), "{said}" in str(error), "{said}" in r.unavailable("cpu"))
"""


def test_without_a_compiler_everything_works_on_the_torch_engine(tmp_path):
    script = FALLS_BACK.format(said="no C compiler found")
    assert python(script, PATH="", CC="", XDG_CACHE_HOME=str(tmp_path)) == ["8.0", "False", "True", "True"]
    assert list(tmp_path.iterdir()) == []


def test_with_a_compiler_that_fails_everything_works_on_the_torch_engine(tmp_path):
    script = FALLS_BACK.format(said="failed: no message")
    assert python(script, CC="false", XDG_CACHE_HOME=str(tmp_path)) == ["8.0", "False", "True", "True"]


def test_two_processes_may_compile_at_once_and_importing_compiles_nothing(tmp_path):
    script = """
import os, sys, torch, workbench.recurrence as r
assert r.unavailable("cpu") is None and not os.listdir(os.environ["XDG_CACHE_HOME"])
torch.manual_seed(0)
print("ready", flush=True)
sys.stdin.readline()
print(float(r.layer(torch.ones(3, 2, 4), torch.ones(5, 4), None, torch.ones(5), backend="cpu").sum()))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, stdin=-1, stdout=-1, text=True)
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in both] == ["240.0\n"] * 2
    names = sorted(p.name.split("-")[0] for p in (tmp_path / "indrnn-workbench").iterdir())
    assert set(names) == {"fused"}  # nothing half-made is left


def test_a_forked_child_makes_threads_of_its_own():
    script = """
import os, torch, warnings
from workbench.recurrence import recur
warnings.simplefilter("ignore")  # Python's own, about forking beside threads
a, u = torch.ones(2000, 2, 128), torch.full((128,), 0.5)
torch.set_num_threads(2)
whole = recur(a, u, backend="cpu").numpy().tobytes()
child = os.fork()
if child == 0:  # PyTorch's own threads do not survive a fork: nothing large but ours runs here
    os._exit(recur(a, u, backend="cpu").numpy().tobytes() != whole)
print(os.waitpid(child, 0)[1])
"""
    assert python(script) == ["0"]
