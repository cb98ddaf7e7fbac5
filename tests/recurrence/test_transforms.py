"""Compilers, second derivatives, vmap and the other transforms of PyTorch: every engine takes part in them."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import workbench as wb
from workbench import recurrence
from workbench.config import Model
from workbench.models import build
from workbench.recurrence import layer, recur
from workbench.recurrence.activation import ACTIVATIONS
from workbench.tasks import Spec

ENGINES = [e for e in recurrence.available() if e != "triton"]
RUNS = [(e, f) for e in ENGINES for f in ACTIVATIONS if recurrence.refuses(e, f) is None]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, inside its compiler and vmap


def draw(rng, *shape):
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def arguments(rng, T=6, B=2, N=3):
    """a, u, h0; u within 1, so that nothing grows."""
    return draw(rng, T, B, N), draw(rng, N).tanh(), draw(rng, B, N)


def value_and_gradients(call, inputs):
    leaves = [v.clone().requires_grad_() for v in inputs]
    out = call(*leaves)
    return [out.detach(), *torch.autograd.grad(out.square().sum(), leaves)]


@pytest.fixture
def graphs():
    """The graphs that torch.compile makes of a function, one list of operations a graph, run as it is."""
    torch._dynamo.reset()
    seen = []

    def keep(module, _):
        seen.append([str(node.target) for node in module.graph.nodes if node.op == "call_function"])
        return module

    seen_by = lambda call: torch.compile(call, backend=keep, fullgraph=True)  # noqa: E731
    seen_by.seen = seen
    return seen_by


@pytest.mark.parametrize("engine", ["auto", *(e for e in ENGINES if e != "loop")])
def test_compiled_the_recurrence_is_one_operation_however_long(engine, graphs, rng):
    inputs = arguments(rng, T=784)
    compiled = graphs(lambda *v: recur(*v, backend=engine))
    ours = value_and_gradients(compiled, inputs)
    assert_close(ours, value_and_gradients(lambda *v: recur(*v, backend="loop"), inputs), rtol=1e-9, atol=1e-9)
    assert graphs.seen == [["indrnn.recur"]] or [len(ops) for ops in graphs.seen] == [1]


@pytest.mark.parametrize("settings", [{}, {"num_layers": 2, "bidirectional": True}])
def test_an_indrnn_compiles_whole_with_and_without_lengths(settings, graphs, rng):
    rnn = wb.IndRNN(3, 4, dtype=torch.float64, **settings)
    compiled, x = graphs(rnn), draw(rng, 50, 2, 3)
    assert_close(compiled(x), rnn(x))
    lengths = torch.tensor([50, 7])
    assert_close(compiled(x, None, lengths), rnn(x, None, lengths))


def test_a_net_compiles_whole_in_training_and_evaluation(graphs, rng):
    net = build(Model(kind="plain", depth=2, hidden=4), Spec(1, 10, 20, "class"), rng)
    other, x = copy.deepcopy(net), torch.randn(20, 3, 1, generator=rng)
    for training in (True, False):
        ours, theirs = graphs(net.train(training))(x), other.train(training)(x)
        assert_close(ours, theirs)
    ours.sum().backward()
    theirs.sum().backward()
    assert_close([p.grad for p in net.parameters()], [p.grad for p in other.parameters()])


def test_an_exported_indrnn_is_saved_loaded_and_run(rng):
    rnn, x = wb.IndRNN(3, 4, 2), torch.randn(50, 2, 3, generator=rng)
    file = io.BytesIO()
    torch.export.save(torch.export.export(rnn, (x,)), file)
    file.seek(0)
    assert_close(torch.export.load(file).module()(x), rnn(x))


@pytest.mark.parametrize("engine", ["auto", "torch", "scan"])
def test_the_operator_keeps_the_rules_of_operators(engine, rng):
    inputs = [v.requires_grad_() for v in arguments(rng)]
    checks = torch.library.opcheck(torch.ops.indrnn.recur.default, (*inputs, "relu", engine))
    assert set(checks.values()) == {"SUCCESS"}
    g, h = draw(rng, 6, 2, 3), draw(rng, 6, 2, 3)
    plain = [v.detach() for v in inputs[1:]]
    checks = torch.library.opcheck(torch.ops.indrnn.recur_backward.default, (g, h, *plain, "relu", engine))
    assert set(checks.values()) == {"SUCCESS"}


@pytest.mark.parametrize(("engine", "activation"), RUNS)
def test_second_derivatives_pass_gradgradcheck(engine, activation, rng):
    inputs = [v.requires_grad_() for v in arguments(rng, T=4)]
    assert torch.autograd.gradgradcheck(lambda *v: recur(*v, activation=activation, backend=engine), inputs)


@pytest.mark.parametrize(("engine", "activation"), RUNS)
def test_a_gradient_that_may_be_differentiated_again_is_the_gradient(engine, activation, rng):
    """To the last digits of float64: a slope that was once a float32 would be off by 1e-9."""
    inputs = [v.requires_grad_() for v in arguments(rng, T=9)]
    h = recur(*inputs, activation=activation, backend=engine).square().sum()
    plain = torch.autograd.grad(h, inputs, retain_graph=True)
    assert_close(torch.autograd.grad(h, inputs, create_graph=True), plain, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("backend", ["auto", *(e for e in ("cpu",) if e in ENGINES)])
@pytest.mark.parametrize("normed", [False, True])
def test_second_derivatives_of_a_layer_pass_gradgradcheck(normed, backend, rng):
    inputs = [draw(rng, *s).requires_grad_() for s in ((4, 2, 3), (3, 3), (3,), (3,), (2, 3))]
    norm = torch.nn.BatchNorm1d(3, momentum=0.0).double() if normed else None
    mask = draw(rng, 2, 3).abs() if normed else None
    learned = list(norm.parameters()) if norm else []
    assert torch.autograd.gradgradcheck(
        lambda *v: layer(*v[:5], activation="tanh", norm=norm, mask=mask, backend=backend), [*inputs, *learned]
    )


@pytest.mark.parametrize("backend", ["torch", *(e for e in ("cpu",) if e in ENGINES)])
@pytest.mark.parametrize("training", [True, False])
def test_second_derivatives_of_batch_norm_and_dropout_pass_gradgradcheck(training, backend, rng):
    norm, mask = torch.nn.BatchNorm1d(3, momentum=0.0).double().train(training), draw(rng, 2, 3).abs()
    h = draw(rng, 4, 2, 3).requires_grad_()
    given = [h, *norm.parameters()]
    assert torch.autograd.gradgradcheck(lambda *v: recurrence.normalize(v[0], norm, mask, backend=backend), given)
    assert torch.autograd.gradgradcheck(lambda v: recurrence.normalize(v, None, mask, backend=backend), [h])


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_takes_part_in_transforms(training, rng):
    norm = torch.nn.BatchNorm1d(3, track_running_stats=not training)  # torch.func lets nobody move what it did not give
    norm, mask = norm.double().train(training), draw(rng, 2, 3).abs()
    h, g = draw(rng, 4, 2, 3), draw(rng, 4, 2, 3)

    def run(h, backend="torch"):
        return (recurrence.normalize(h, norm, mask, backend=backend) * g).square().sum()

    leaf = h.clone().requires_grad_()
    (theirs,) = torch.autograd.grad(run(leaf), leaf)
    assert_close(torch.func.grad(run)(h), theirs)
    assert_close(torch.func.jvp(run, (h,), (g,))[1], (theirs * g).sum())


@pytest.mark.parametrize("engine", ENGINES)
def test_vmap_is_a_loop_over_examples(engine, rng):
    a, u, h0 = draw(rng, 5, 4, 2, 3), draw(rng, 5, 3).tanh(), draw(rng, 2, 3)
    run = lambda *v: recur(*v, backend=engine)  # noqa: E731
    one_by_one = torch.stack([recur(a[i], u[i], h0, backend="loop") for i in range(5)])
    assert_close(torch.func.vmap(run, in_dims=(0, 0, None))(a, u, h0), one_by_one)
    assert_close(
        torch.func.vmap(run, in_dims=(2, 1, None), out_dims=3)(a.movedim(0, 2), u.t(), h0).movedim(3, 0), one_by_one
    )


def test_gradients_example_by_example(rng):
    """vmap over grad, as in differential privacy: each example's own gradient of every weight."""
    rnn, x = wb.IndRNN(3, 4, 2, dtype=torch.float64), draw(rng, 5, 6, 1, 3)
    weights = dict(rnn.named_parameters())

    def loss(weights, x):
        return torch.func.functional_call(rnn, weights, (x,))[0].square().sum()

    ours = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)
    for i in range(5):
        theirs = torch.autograd.grad(loss(weights, x[i]), list(weights.values()))
        assert_close([v[i] for v in ours.values()], list(theirs))


@pytest.mark.parametrize(("engine", "activation"), RUNS)
def test_forward_derivatives_and_hessians_are_those_of_loop(engine, activation, rng):
    a, u, h0 = arguments(rng, T=4)
    every = (a, u, h0)
    directions = tuple(draw(rng, *v.shape) for v in every)

    def run(*v):
        return recur(*v, activation=activation, backend=engine)

    def specified(*v):
        return recur(*v, activation=activation, backend="loop")

    assert_close(torch.func.jvp(run, every, directions), torch.func.jvp(specified, every, directions))
    for n, direction in enumerate(directions):  # of one argument alone

        def along(f, n=n, direction=direction):
            return torch.func.jvp(
                lambda v: f(*(v if i == n else w for i, w in enumerate(every))), every[n : n + 1], (direction,)
            )

        assert_close(along(run), along(specified))
    ours, theirs = (torch.func.hessian(lambda v, f=f: f(a, v, h0).square().sum())(u) for f in (run, specified))
    assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("engine", ENGINES)
def test_under_autocast_the_answer_is_in_half_precision_and_near(engine, dtype, rng):
    values = [torch.randn(*s, generator=rng) / 3 for s in ((6, 2, 3), (5, 3), (5,), (5,), (2, 5))]
    leaves = [v.clone().requires_grad_() for v in values]
    if dtype == torch.float16 and engine == "cpu":
        pytest.skip("engine cpu refuses float16, and says so")
    with torch.autocast("cpu", dtype=dtype):
        h = layer(*leaves, backend=engine)
    h.float().sum().backward()
    assert h.dtype == dtype
    assert all(v.grad.dtype == torch.float32 for v in leaves)
    assert_close(h.float(), layer(*values, backend="loop"), rtol=0.05, atol=0.02)


@pytest.mark.parametrize("engine", ENGINES)
def test_checkpointing_recomputes_the_same(engine, rng):
    values = [draw(rng, *s) for s in ((6, 2, 3), (5, 3), (5,), (5,))]
    run = lambda *v: layer(*v, backend=engine)  # noqa: E731
    again = value_and_gradients(lambda *v: checkpoint(run, *v, use_reentrant=False), values)
    assert all(torch.equal(x, y) for x, y in zip(again, value_and_gradients(run, values), strict=True))


def test_modules_are_copied_and_pickled_after_use(rng):
    rnn, x = wb.IndRNN(3, 4, 2, bidirectional=True), torch.randn(5, 2, 3, generator=rng)
    out = rnn(x)[0]
    out.sum().backward()
    for other in (copy.deepcopy(rnn), pickle.loads(pickle.dumps(rnn))):
        assert torch.equal(other(x)[0], out)


def test_states_are_copied_pickled_and_shared_like_any_tensor(rng):
    """Large ones lie in memory of the engine's own."""
    h = recur(torch.randn(600, 8, 128, generator=rng), torch.rand(128, generator=rng))
    assert torch.equal(pickle.loads(pickle.dumps(h)), h)
    assert torch.equal(copy.deepcopy(h), h)
    kept = h.clone()
    assert torch.equal(h.share_memory_(), kept)
    assert torch.equal(torch.from_numpy(h.numpy()), kept)
