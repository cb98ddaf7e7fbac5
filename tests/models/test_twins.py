"""Nets that answer once against numbers that the official ones gave for fixed weights (tests/twins, float64)."""

import pytest
from torch.testing import assert_close

from workbench import recurrence
from workbench.config import Model, Train
from workbench.models.build import build, clamp_, set_backend
from workbench.models.layer import Unit
from workbench.models.norms import BatchNorm
from workbench.models.sequence import Span
from workbench.tasks import Spec
from workbench.training import evaluate, optimizer

from .twins import EXACT, arrays, of

AFTER = {"norm": "after"}
PLAIN, RESIDUAL = {"kind": "plain", "hidden": 8}, {"kind": "residual", "depth": 2, "hidden": 8}
SMALL = {"kind": "dense", "growth": 4, "blocks": (2, 2, 1)}
FULL = {"kind": "dense", "growth": 2}  # (8, 6, 4): 40 recurrences
ENGINES = [name for name in recurrence.available() if name in ("loop", "torch", "cpu")]
MNIST, NTU = Spec(1, 10, 12, "class"), Spec(6, 7, 10, "class")
NETS = {
    "mnist_plain_bn_after": (Model(**PLAIN, depth=3, norm="after"), MNIST),
    "mnist_plain_bn_before": (Model(**PLAIN, depth=3, norm="before"), MNIST),
    "ntu_plain_bn_after": (Model(**PLAIN, depth=4, norm="after"), NTU),
    "mnist_residual_bn_after": (Model(**RESIDUAL, norm="after"), MNIST),
    "ntu_residual_bn_after": (Model(**RESIDUAL, norm="after"), NTU),
    "mnist_dense_bn_after": (Model(**SMALL, norm="after"), MNIST),
    "mnist_dense864_bn_after": (Model(**FULL, norm="after"), MNIST),
    "ntu_dense_bn_after": (Model(**SMALL, norm="after"), NTU),
    "ntu_dense_timediff_bn_after": (Model(**SMALL, norm="after", differences=True), NTU),
    "ntu_dense864_timediff_bn_after": (Model(**FULL, norm="after", differences=True), NTU),
}


def net_with(twin, model, spec, backend):
    net = build(model, spec).double()
    set_backend(net, backend)
    parameters = of(twin, "param.")
    assert parameters.keys() == dict(net.named_parameters()).keys()
    net.load_state_dict(net.state_dict() | parameters)
    return net


def remember(net):
    """The outputs of each unit's recurrence in the passes to come, by the unit's name."""
    states = {}
    for name, module in net.named_modules():
        if isinstance(module, Unit):
            leave = module.leave
            module.leave = lambda h, span, name=name, leave=leave: states.update({name: h.detach()}) or leave(h, span)
    return states


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("name", NETS)
def test_each_recurrence_gives_the_official_states(name, backend):
    """With a state to carry over, the recurrence is not fused with what follows it."""
    twin = arrays(name)
    net = net_with(twin, *NETS[name], backend)
    states = remember(net)
    net.train().run(twin["input"], Span(twin["input"], carry=True))
    expected = of(twin, "h.")
    assert expected
    for key, h in expected.items():
        assert_close(states[key].float(), h, rtol=1e-5, atol=1e-6, msg=lambda m, key=key: f"{key}: {m}")


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("name", NETS)
def test_a_net_gives_the_official_numbers(name, backend):
    twin = arrays(name)
    net = net_with(twin, *NETS[name], backend)
    x = twin["input"].clone().requires_grad_()
    output = net.train()(x)
    loss = evaluate.loss_of(output, twin["labels"], "class")
    loss.backward()
    assert_close(output, twin["output_train"], **EXACT)
    assert_close(loss, twin["loss"], **EXACT)
    assert_close(x.grad, twin["grad_input"], **EXACT)
    gradients = of(twin, "grad.")
    assert len(gradients) == len(list(net.parameters()))
    for key, expected in gradients.items():
        assert_close(net.get_parameter(key).grad, expected, **EXACT)
    statistics, state = of(twin, "stats."), net.state_dict()
    assert len(statistics) == 2 * sum(isinstance(m, BatchNorm) for m in net.modules())
    for key, expected in statistics.items():
        assert_close(state[key], expected, **EXACT)
    output = net.eval()(twin["input"])
    assert_close(output, twin["output_eval"], **EXACT)
    assert_close(evaluate.loss_of(output, twin["labels"], "class"), twin["loss_eval"], **EXACT)


@pytest.mark.parametrize("name", NETS)
def test_float32_stays_within_what_the_official_code_itself_keeps(name):
    twin = arrays(name)
    net = net_with(twin, *NETS[name], "auto").float()
    output = net.train()(twin["input"].float())
    evaluate.loss_of(output, twin["labels"], "class").backward()
    for key, value in of(twin, "grad.").items():
        tolerance = 1e-5 + 1e-4 * value.abs().max().item()
        assert_close(net.get_parameter(key).grad.double(), value, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["mnist_plain_adam", "mnist_plain_adam_strong"])
def test_three_optimizer_steps_are_the_official_scripts(name):
    twin = arrays(name)
    bound = twin["u_bound"].item()
    model = Model(kind="plain", depth=2, hidden=6, norm="after", gamma=5.0)
    net = net_with(twin, model, MNIST, "torch")
    assert net.layers[0].bound == pytest.approx(bound, abs=1e-12)
    clip = twin["grad_clamp"].item()
    adam = optimizer(
        net, Train(lr=twin["lr"].item(), weight_decay=twin["weight_decay"].item(), decay_gains=True, clip=clip, steps=3)
    )
    for step in ("step1", "step2", "step3"):
        clamp_(net)
        output = net.train()(twin[f"{step}.input"])
        loss = evaluate.loss_of(output, twin[f"{step}.labels"], "class")
        adam.zero_grad()
        loss.backward()
        for name, parameter in net.named_parameters():
            parameter.grad.clamp_(-clip, clip)
            assert_close(parameter.grad, of(twin, f"{step}.grad.")[name], **EXACT)
        adam.step()
        assert_close(output.detach(), twin[f"{step}.output"], **EXACT)
        assert_close(loss.detach(), twin[f"{step}.loss"], **EXACT)
        state = net.state_dict()
        for key, expected in (of(twin, f"{step}.param.") | of(twin, f"{step}.stats.")).items():
            assert_close(state[key], expected, **EXACT)
