"""Derivatives in every mode of PyTorch: batched, forward, of functions made functional."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import forward_ad
from torch.autograd.functional import hessian, jacobian
from torch.testing import assert_close

import workbench as wb
from workbench import recurrence
from workbench.recurrence import layer, normalize, recur

ENGINES = ["auto", *(e for e in recurrence.available() if e != "triton")]
SIZES = (4, 2, 3), (3, 3), (3,), (3,), (2, 3)  # x, weight, bias, u, h0
pytestmark = pytest.mark.filterwarnings(
    "ignore:There is a performance drop:UserWarning",
    "ignore:Attempted to insert a get_attr Node:UserWarning",
    "ignore::DeprecationWarning",
)  # PyTorch's own, of its vmap and linearize


def draw(rng, *sizes):
    return [torch.randn(*s, generator=rng, dtype=torch.float64).tanh().requires_grad_() for s in sizes]


def smooth(engine):
    return "identity" if engine == "scan" else "tanh"


class Normed(torch.nn.Module):
    """A layer with batch norm and a mask, all weights in reach of functional_call."""

    def __init__(self, engine):
        super().__init__()
        self.norm, self.engine = torch.nn.BatchNorm1d(3, momentum=0.0).double(), engine

    def forward(self, *v):
        mask = torch.tensor([[1.0, 0, 2], [2, 1, 1]], dtype=torch.float64)
        h = layer(*v, activation=smooth(self.engine), backend=self.engine, norm=self.norm, mask=mask)
        return normalize(h, self.norm, mask, backend=self.engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("call", ["recur", "layer", "normed"])
def test_gradients_pass_gradcheck_in_both_modes_and_batched(call, engine, rng):
    f = {"activation": smooth(engine), "backend": engine}
    if call == "recur":
        inputs, run = draw(rng, *SIZES[:1], *SIZES[3:]), lambda *v: recur(*v, **f)
    elif call == "layer":
        inputs, run = draw(rng, *SIZES), lambda *v: layer(*v, **f)
    else:
        net = Normed(engine)
        inputs = [*draw(rng, *SIZES), *net.parameters()]
        names = [name for name, _ in net.named_parameters()]
        run = lambda *v: torch.func.functional_call(net, dict(zip(names, v[5:], strict=True)), v[:5])  # noqa: E731
    every = {"check_batched_grad": True, "check_forward_ad": True, "check_batched_forward_grad": call != "normed"}
    assert torch.autograd.gradcheck(run, inputs, **every)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_gradient_for_each_row_of_a_batch_of_gradients(engine, rng):
    inputs = draw(rng, *SIZES)
    h = layer(*inputs, backend=engine)
    gs = torch.randn(5, *h.shape, generator=rng, dtype=torch.float64)
    batched = torch.autograd.grad(h, inputs, gs, is_grads_batched=True, retain_graph=True)
    rows = [torch.autograd.grad(h, inputs, g, retain_graph=True) for g in gs]
    assert_close(batched, tuple(torch.stack(row) for row in zip(*rows, strict=True)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("settings", [{}, {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}])
def test_jacobians_and_hessians_are_those_of_loop(settings, engine, rng):
    x, w, b, u, h0 = draw(rng, *SIZES)

    def run(u, engine=engine):
        return layer(x, w, b, u, h0, backend=engine)

    u = u.detach()
    assert_close(jacobian(run, u, **settings), jacobian(lambda u: run(u, "loop"), u))
    outer = {("outer_jacobian_strategy" if k == "strategy" else k): v for k, v in settings.items()}
    ours = hessian(lambda u: run(u).square().sum(), u, **outer)
    assert_close(ours, hessian(lambda u: run(u, "loop").square().sum(), u))


@pytest.mark.parametrize("engine", ENGINES)
def test_dual_numbers_carry_the_tangent(engine, rng):
    net, x, dx = wb.IndRNN(3, 4, 2, backend=engine), *torch.randn(2, 5, 2, 3, generator=rng)
    with forward_ad.dual_level():
        ours = forward_ad.unpack_dual(net(forward_ad.make_dual(x, dx))[0]).tangent
    assert_close(ours, torch.func.jvp(lambda x: net(x)[0], (x,), (dx,))[1])
    net.backend = "loop"
    assert_close(ours, torch.func.jvp(lambda x: net(x)[0], (x,), (dx,))[1])


@pytest.mark.parametrize("engine", ENGINES)
def test_linearized_functionalized_and_mapped_it_is_itself(engine, rng):
    net, x, dx = wb.IndRNN(3, 4, 2, backend=engine), *torch.randn(2, 5, 2, 3, generator=rng)
    run = lambda x: net(x)[0]  # noqa: E731
    value, along = torch.func.linearize(run, x)
    assert_close(value, run(x))
    assert_close(along(dx), torch.func.jvp(run, (x,), (dx,))[1])
    assert_close(torch.func.functionalize(run)(x), run(x))
    xs = torch.randn(3, 5, 2, 3, generator=rng)
    ours = torch.func.vmap(run, randomness="different")(xs)
    assert_close(ours, torch.stack([run(x) for x in xs]))
    vjp = torch.func.vjp(run, x)[1]
    assert_close(torch.func.vmap(vjp)(ours)[0], torch.stack([vjp(g)[0] for g in ours]))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("M", [1, 20])
def test_gradients_of_many_rows_are_right_twice_and_batched(M, engine, rng):
    x, w, b, u = draw(
        rng, (65, 2, M), (1, M), (1,), (1,)
    )  # two rows more than a block, in which W's gradient is summed
    f = smooth(engine)
    x = x if M == 1 else x.detach()

    def run(*v):
        return layer(x, *v[-3:], activation=f, backend=engine)[::8]

    assert torch.autograd.gradcheck(run, (x, w, b, u), check_batched_grad=True)
    assert torch.autograd.gradgradcheck(run, (w, b, u))


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "auto"])
@pytest.mark.parametrize("shape", [(4000, 2, 1, 3), (2000, 4, 20, 3), (500, 16, 8, 20), (4000, 2, 20, 20)])
def test_gradients_of_weights_do_not_lose_precision_to_many_steps(shape, engine):
    """Every term has the same value here, so that a long sum in float32 would round to one side: 1.7e-5 off."""
    T, B, M, N = shape

    def found(backend, dtype):
        x, g = torch.full((T, B, M), 0.1 / M), torch.full((T, B, N), 0.1)
        learned = torch.ones(N, M), torch.zeros(N), torch.zeros(N)
        learned = [v.to(dtype).requires_grad_() for v in learned]
        h = layer(x.to(dtype), *learned, activation="relu", backend=backend)
        return torch.autograd.grad(h, learned, g.to(dtype))

    for ours, exact in zip(found(engine, torch.float32), found("loop", torch.float64), strict=True):
        assert float((ours - exact).norm() / exact.norm()) < 3e-6


@pytest.mark.parametrize("engine", ["loop", "torch"])
def test_long_sequences_in_bfloat16_have_the_gradient_of_float32(engine, rng):
    """A state rounded at every step was off by a fifth after 600 steps."""
    a, u = torch.randn(600, 2, 4, generator=rng).mul_(0.1).bfloat16(), torch.full((4,), 0.99).bfloat16()

    def gradient(dtype, engine):
        leaves = [v.to(dtype).requires_grad_() for v in (a, u)]
        return torch.autograd.grad(recur(*leaves, backend=engine).float().square().mean(), leaves)[1].float()

    assert_close(gradient(torch.bfloat16, engine), gradient(torch.float32, "loop"), rtol=0.02, atol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_used_twice_have_the_same_gradient_with_and_without_a_graph(engine, rng):
    """The input of the second layer depends on the weights of the first, which are its own."""
    x, *weights = draw(rng, *SIZES)
    norm = torch.nn.BatchNorm1d(3, momentum=0.0).double()

    def twice():
        h = x
        for _ in range(2):
            h = layer(h, *weights, backend=engine, norm=norm)
            h = normalize(h, norm, backend=engine)
        return h.square().sum()

    inputs = [x, *weights, *norm.parameters()]
    plain = torch.autograd.grad(twice(), inputs)
    assert_close(torch.autograd.grad(twice(), inputs, create_graph=True), plain)
