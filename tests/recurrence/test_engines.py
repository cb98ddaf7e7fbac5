"""Every engine answers to `loop`, to the official code's own numbers, and to laws of the recurrence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from workbench import recurrence
from workbench.errors import ParameterError
from workbench.recurrence import engine_torch, engine_triton, layer, recur
from workbench.recurrence.activation import ACTIVATIONS
from workbench.recurrence.engines import choose

ENGINES = recurrence.available()
RUNS = [(e, f) for e in ENGINES for f in ACTIVATIONS if recurrence.refuses(e, f) is None]
ANSWERING = [(e, f) for e, f in RUNS if e != "loop"]  # loop against itself would prove nothing
TWINS = np.load(Path(__file__).parents[1] / "twins" / "recurrence.npz")


def device(engine):
    return "cuda" if engine == "triton" and torch.cuda.is_available() else "cpu"


def run(engine, activation, inputs, g):
    """h and the gradients of a, u, h0 for the gradient g of h, on the CPU."""
    inputs = [v.detach().to(device(engine)).requires_grad_() for v in inputs]
    h = recur(*inputs, activation=activation, backend=engine)
    h.backward(g.to(h))
    return [v.detach().cpu() for v in (h, *(v.grad for v in inputs))]


def accepts(engine, dtype):
    """Does the engine run in this dtype? It must name one that it refuses."""
    a = torch.zeros(1, 1, 1, dtype=dtype, device=device(engine))
    try:
        recur(a, a[0, 0], backend=engine)
    except ParameterError as refused:
        return str(dtype) not in str(refused)
    return True


def draw(rng, T, B, N, dtype=torch.float64):
    """a, u, h0 and g; u of both signs with 0, 1, and values beyond 1; h0 signed."""
    a, h0, g = (torch.randn(*s, generator=rng, dtype=torch.float64) for s in ((T, B, N), (B, N), (T, B, N)))
    u = torch.rand(N, generator=rng, dtype=torch.float64) * 2 - 1
    special = torch.tensor([1.01, -1.02, 0.0, 1.0, -1.0], dtype=torch.float64)
    u[: min(N, 5)] = special[: min(N, 5)]
    return [v.to(dtype) for v in (a, u, h0)], g.to(dtype)


def assert_twins(ours, theirs, tolerance):
    """Equal up to `tolerance` times the largest number in sight, so that a growing state is judged by its size."""
    for name, x, y in zip(("h", "grad a", "grad u", "grad h0"), ours, theirs, strict=True):
        assert x.dtype == y.dtype, name
        assert float((x - y).abs().max()) <= tolerance * (1 + float(y.abs().max())), name


@pytest.mark.parametrize("T", [1, 2, 33, 784])
@pytest.mark.parametrize(("engine", "activation"), ANSWERING)
def test_an_engine_equals_loop_in_value_and_gradient(engine, activation, T, rng):
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
        inputs, g = draw(rng, T, 3, 7, dtype)
        assert_twins(run(engine, activation, inputs, g), run("loop", activation, inputs, g), tolerance)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("engine", "activation"), RUNS)
def test_half_precision_follows_loop_in_float32(engine, activation, dtype, rng):
    inputs, g = draw(rng, 33, 3, 7, dtype)
    inputs = [v.abs().clamp(0.1, 1.0) for v in inputs]  # away from the kink, where rounding would decide the gradient
    if not accepts(engine, dtype):
        pytest.skip(f"{engine} refuses {dtype}, and says so")
    ours = run(engine, activation, inputs, g)
    theirs = run("loop", activation, [v.float() for v in inputs], g.float())
    assert all(x.dtype == dtype for x in ours)
    assert_twins([x.float() for x in ours], theirs, 8 * torch.finfo(dtype).eps)


def test_float16_takes_u_in_float32_too(rng):
    a, u = torch.randn(9, 2, 3, generator=rng).half(), torch.rand(3, generator=rng)
    assert_close(recur(a, u, backend="torch"), recur(a.float(), u, backend="loop").half(), atol=0, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_bfloat16_with_u_in_float32_keeps_the_bound(engine):
    """2**(1/783) is 1 in bfloat16; kept in float32, an impulse still doubles over 783 steps."""
    a = torch.zeros(784, 1, 2, dtype=torch.bfloat16, device=device(engine))
    a[0] = 1
    u = torch.full((2,), 2 ** (1 / 783), device=device(engine), requires_grad=True)
    h = recur(a, u, backend=engine)
    h[-1].sum().backward()
    assert h.dtype == torch.bfloat16
    assert h[-1, 0].tolist() == [2.0, 2.0]
    assert u.grad.dtype == torch.float32
    assert_close(u.grad.cpu(), torch.full((2,), 783 * 2 ** (782 / 783)), rtol=0.01, atol=0)


@pytest.mark.parametrize("case", ["state", "signed_state", "zero", "ties", "one_step"])
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_gives_the_official_codes_numbers(engine, case):
    twin = {k.removeprefix(case + "."): torch.from_numpy(v) for k, v in TWINS.items() if k.startswith(case + ".")}
    h0 = twin.get("h0", torch.zeros_like(twin["a"][0]))
    ours = run(engine, "relu", [twin["a"], twin["u"], h0], twin["grad_h"])
    names = ["h", "grad_a", "grad_u"] + ["grad_h0"] * ("grad_h0" in twin)
    for name, x in zip(names, ours, strict=False):
        assert_close(x, twin[name], rtol=0, atol=1e-12, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("engine", ENGINES)
def test_ties_are_exact_in_float32(engine):
    twin = {
        k: torch.from_numpy(TWINS[f"ties.{k}"]).float() for k in ("a", "u", "h0", "grad_h", "h", "grad_a", "grad_u")
    }
    ours = run(engine, "relu", [twin["a"], twin["u"], twin["h0"]], twin["grad_h"])
    assert all(torch.equal(x, twin[k]) for x, k in zip(ours, ("h", "grad_a", "grad_u"), strict=False))
    before = torch.cat((twin["h0"][None], ours[0][:-1]))
    assert int((twin["a"] + twin["u"] * before == 0).sum()) == TWINS["ties.count_exact_zero"]


@pytest.mark.parametrize(("engine", "activation"), RUNS)
def test_gradients_pass_gradcheck(engine, activation, rng):
    (a, u, h0), _ = draw(rng, 5, 2, 3)
    inputs = [v.to(device(engine)).requires_grad_() for v in (a, u, h0)]
    assert torch.autograd.gradcheck(lambda *v: recur(*v, activation=activation, backend=engine), inputs)


@pytest.mark.parametrize(("engine", "activation"), ANSWERING)
def test_an_engine_equals_loop_on_shapes_drawn_at_random(engine, activation):
    @settings(deadline=None, max_examples=12, derandomize=True, database=None)
    @given(st.integers(1, 200), st.integers(1, 5), st.integers(1, 40), st.integers(0, 2**31), st.floats(0, 1.2))
    def equal(T, B, N, seed, scale):
        inputs, g = draw(torch.Generator().manual_seed(seed), T, B, N)
        inputs[1] *= scale
        assert_twins(run(engine, activation, inputs, g), run("loop", activation, inputs, g), 1e-9)

    equal()


@pytest.mark.parametrize("cut", [1, 7, 64, 99])
@pytest.mark.parametrize(("engine", "activation"), RUNS)
def test_a_sequence_may_be_cut_anywhere(engine, activation, cut, rng):
    (a, u, h0), _ = draw(rng, 100, 3, 8)
    a, u, h0 = (v.to(device(engine)) for v in (a, u, h0))
    whole = recur(a, u, h0, activation=activation, backend=engine)
    head = recur(a[:cut], u, h0, activation=activation, backend=engine)
    tail = recur(a[cut:], u, head[-1], activation=activation, backend=engine)
    assert_close(torch.cat([head, tail]), whole)


@pytest.mark.parametrize(("engine", "activation"), RUNS)
def test_neurons_and_samples_may_be_permuted(engine, activation, rng):
    inputs, g = draw(rng, 70, 3, 9)
    n, b = torch.randperm(9, generator=rng), torch.randperm(3, generator=rng)
    h, grad_a, grad_u, grad_h0 = run(engine, activation, inputs, g)
    a, u, h0 = inputs
    shuffled = run(engine, activation, [a[:, b][..., n], u[n], h0[b][:, n]], g[:, b][..., n])
    assert_close(shuffled, [h[:, b][..., n], grad_a[:, b][..., n], grad_u[n], grad_h0[b][:, n]])


@pytest.mark.parametrize("engine", ENGINES)
def test_an_impulse_decays_as_a_power_of_u(engine):
    u = torch.tensor([0.0, 0.5, 0.99, 1.0, 2 ** (1 / 783)], dtype=torch.float64, device=device(engine))
    a = torch.zeros(784, 1, 5, dtype=torch.float64, device=device(engine))
    a[0] = 1
    lag = torch.arange(784, device=device(engine))[:, None]
    h = recur(a, u, backend=engine)[:, 0]
    assert_close(h, u**lag, rtol=1e-10, atol=0)
    assert h[-1, -1].item() == pytest.approx(2)  # the bound keeps the gain over 783 steps at gamma = 2


@pytest.mark.parametrize("engine", ENGINES)
def test_while_relu_is_on_the_gradient_at_lag_k_is_u_to_the_k(engine):
    u = torch.tensor([0.25, 0.9, 1.0, 1.001], dtype=torch.float64, device=device(engine))
    a = torch.ones(300, 2, 4, dtype=torch.float64, device=device(engine), requires_grad=True)
    recur(a, u, backend=engine)[-1].sum().backward()
    lag = torch.arange(299, -1, -1, device=device(engine))[:, None, None]
    assert_close(a.grad, (u**lag).expand(300, 2, 4), rtol=1e-10, atol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_dead_neuron_passes_no_gradient(engine):
    u = torch.tensor([1.0], dtype=torch.float64, device=device(engine))
    a = torch.ones(200, 1, 1, dtype=torch.float64, device=device(engine))
    a[100] = -1000  # off here, on again from the next step
    a.requires_grad_()
    recur(a, u, backend=engine)[-1].sum().backward()
    assert_close(a.grad.flatten(), (torch.arange(200, device=device(engine)) > 100).double(), rtol=0, atol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_state_starts_at_zero_and_the_input_is_left_alone(engine, rng):
    a = torch.randn(7, 3, 70, generator=rng, dtype=torch.float64).to(device(engine)).permute(2, 1, 0)  # strided
    u = torch.rand(7, generator=rng, dtype=torch.float64).to(device(engine))
    kept = a.clone()
    h = recur(a, u, backend=engine)
    assert_close(h, recur(a.contiguous(), u, torch.zeros_like(a[0]), backend="loop"))
    assert torch.equal(a, kept)


@pytest.mark.parametrize(("engine", "activation"), RUNS)
def test_a_layer_is_a_product_and_then_the_recurrence(engine, activation, rng):
    sizes = ((66, 3, 2), (5, 2), (5,), (5,), (3, 5))
    values = [torch.randn(*s, generator=rng, dtype=torch.float64) / 2 for s in sizes]
    g = torch.randn(66, 3, 5, generator=rng, dtype=torch.float64)

    def grads(call, where):
        x, w, b, u, h0 = (v.to(where, copy=True).requires_grad_() for v in values)
        h = call(x, w, b, u, h0)
        h.backward(g.to(where))
        return [v.detach().cpu() for v in (h, x.grad, w.grad, b.grad, u.grad, h0.grad)]

    def two_steps(x, w, b, u, h0):
        return recur(torch.nn.functional.linear(x, w, b), u, h0, activation=activation, backend="loop")

    ours = grads(lambda *v: layer(*v, activation=activation, backend=engine), device(engine))
    assert_close(ours, grads(two_steps, "cpu"), rtol=1e-10, atol=1e-10)


def test_auto_takes_every_activation_and_equals_loop(rng):
    inputs, g = draw(rng, 40, 2, 6)
    for activation in ACTIVATIONS:
        assert_twins(run("auto", activation, inputs, g), run("loop", activation, inputs, g), 1e-12)


def test_the_specification_and_the_pure_torch_engines_are_always_there():
    assert {"loop", "torch", "scan"} <= set(ENGINES)
    assert ENGINES[0] == "loop"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_record_names_the_engine_that_was_chosen(engine):
    assert recurrence.chosen(engine, torch.device(device(engine))) == engine
    assert recurrence.chosen("auto", torch.device("cpu")) == ("cpu" if "cpu" in ENGINES else "torch")
    assert recurrence.chosen("auto", torch.device("cpu"), torch.float16) == "torch"


@pytest.mark.parametrize("T", [10, 20, 33])
def test_in_torch_long_sequences_are_taken_piece_by_piece(T, monkeypatch, rng):
    monkeypatch.setattr(engine_torch, "_VIEWS", 10)
    inputs, g = draw(rng, T, 3, 7)
    assert_twins(run("torch", "relu", inputs, g), run("loop", "relu", inputs, g), 1e-12)


@pytest.mark.parametrize("has_triton", [True, False])
def test_on_a_gpu_auto_means_the_kernels_where_they_run_and_torch_elsewhere(has_triton, monkeypatch):
    monkeypatch.setattr(engine_triton, "takes", lambda a: has_triton)
    a = SimpleNamespace(device=torch.device("cuda"), is_cuda=True, shape=(2, 1, 1), dtype=torch.float32)
    assert choose(a, "relu", "auto") is (engine_triton if has_triton else engine_torch)


def test_an_unknown_engine_is_refused_by_name():
    with pytest.raises(ParameterError, match=r"^backend: 'cuda' is not an engine; choose one of .*loop"):
        recur(torch.zeros(1, 1, 1), torch.zeros(1), backend="cuda")


@pytest.mark.parametrize("engine", [e for e in recurrence.ENGINES if recurrence.unavailable(e)])
def test_an_engine_that_cannot_run_here_says_why(engine):
    with pytest.raises(ParameterError) as refused:
        recur(torch.zeros(1, 1, 1), torch.zeros(1), backend=engine)
    assert recurrence.unavailable(engine) in str(refused.value)


@pytest.mark.parametrize(
    ("engine", "activation"), [(e, f) for e in ENGINES for f in ACTIVATIONS if recurrence.refuses(e, f)]
)
def test_a_refused_activation_names_the_engines_that_do_it(engine, activation):
    with pytest.raises(ParameterError, match=rf"activation '{activation}'.*choose one of .*loop"):
        recur(torch.zeros(1, 1, 1), torch.zeros(1), activation=activation, backend=engine)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"a": torch.zeros(2, 3)}, r"^a: shape \(2, 3\)"),
        ({"a": torch.zeros(0, 1, 4)}, "^a: .*no time step"),
        ({"a": torch.zeros(2, 1, 4, dtype=torch.int64)}, "^a: dtype torch.int64"),
        ({"u": torch.zeros(3)}, r"^u: shape \(3,\)"),
        ({"u": torch.zeros(4, dtype=torch.float64)}, "^u: torch.float64"),
        ({"h0": torch.zeros(2, 4)}, r"^h0: shape \(2, 4\)"),
        ({"activation": "sigmoid"}, "^activation: 'sigmoid'.*relu"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(arguments, named):
    with pytest.raises(ParameterError, match=named):
        recur(**({"a": torch.zeros(2, 1, 4), "u": torch.zeros(4)} | arguments))
