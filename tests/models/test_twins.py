"""Plain nets against numbers that the official networks gave for fixed weights (tests/twins, float64)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from workbench import evaluate
from workbench.config import Model, Train
from workbench.models.build import build, clamp_, set_backend
from workbench.tasks import Spec
from workbench.train import optimizer

TWINS = Path(__file__).parent.parent / "twins"
NETS = {
    "mnist_plain_bn_after": (Model(kind="plain", depth=3, hidden=8, norm="after"), Spec(1, 10, 12, "class")),
    "mnist_plain_bn_before": (Model(kind="plain", depth=3, hidden=8, norm="before"), Spec(1, 10, 12, "class")),
    "ntu_plain_bn_after": (Model(kind="plain", depth=4, hidden=8, norm="after"), Spec(6, 7, 10, "class")),
}
EXACT = {"rtol": 0, "atol": 1e-11}
ENGINES = ["loop", "torch"]


def tensors(name):
    with np.load(TWINS / f"{name}.npz") as file:
        return {k: torch.from_numpy(file[k]) for k in file.files if file[k].dtype.kind in "fi"}


def ours(name):
    """The official name of a parameter or statistic in our nets: layer0.fc.weight is layers.0.fc.weight."""
    return name.replace("layer", "layers.", 1) if name.startswith("layer") else name


def net_with(twin, model, spec, backend, prefix="param."):
    net = build(model, spec).double()
    set_backend(net, backend)
    state = net.state_dict() | {ours(k.removeprefix(prefix)): v for k, v in twin.items() if k.startswith(prefix)}
    net.load_state_dict(state)
    return net


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("name", NETS)
def test_a_plain_net_gives_the_official_numbers(name, backend):
    twin = tensors(name)
    net = net_with(twin, *NETS[name], backend)
    x = twin["input"].clone().requires_grad_()
    output = net.train()(x)
    loss = evaluate.loss_of(output, twin["labels"], "class")
    loss.backward()
    assert_close(output, twin["output_train"], **EXACT)
    assert_close(loss, twin["loss"], **EXACT)
    assert_close(x.grad, twin["grad_input"], **EXACT)
    for key, expected in twin.items():
        if key.startswith("grad."):
            assert_close(net.get_parameter(ours(key.removeprefix("grad."))).grad, expected, **EXACT)
    statistics = net.state_dict()
    checked = [k for k in twin if k.startswith("stats.")]
    assert len(checked) == 2 * NETS[name][0].depth
    for key in checked:
        assert_close(statistics[ours(key.removeprefix("stats."))], twin[key], **EXACT)
    assert_close(net.eval()(twin["input"]), twin["output_eval"], **EXACT)


@pytest.mark.parametrize("name", NETS)
def test_float32_stays_within_what_the_official_code_itself_keeps(name):
    twin = tensors(name)
    net = net_with(twin, *NETS[name], "torch").float()
    output = net.train()(twin["input"].float())
    evaluate.loss_of(output, twin["labels"], "class").backward()
    expected = {k.removeprefix("grad."): v for k, v in twin.items() if k.startswith("grad.")}
    for key, value in expected.items():
        tolerance = 1e-5 + 1e-4 * value.abs().max().item()
        assert_close(net.get_parameter(ours(key)).grad.double(), value, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["mnist_plain_adam", "mnist_plain_adam_strong"])
def test_three_optimizer_steps_are_the_official_scripts(name):
    twin = tensors(name)
    bound = twin["u_bound"].item()
    model = Model(kind="plain", depth=2, hidden=6, norm="after", gamma=5.0)
    net = net_with(twin, model, Spec(1, 10, 12, "class"), "torch")
    assert net.layers[0].bound == pytest.approx(bound, abs=1e-12)
    clip = twin["grad_clamp"].item()
    adam = optimizer(
        net, Train(lr=twin["lr"].item(), weight_decay=twin["weight_decay"].item(), decay_gains=True, clip=clip, steps=3)
    )
    for step in ("step1", "step2", "step3"):
        clamp_(net)
        loss = evaluate.loss_of(net.train()(twin[f"{step}.input"]), twin[f"{step}.labels"], "class")
        adam.zero_grad()
        loss.backward()
        for parameter in net.parameters():
            parameter.grad.clamp_(-clip, clip)
        adam.step()
        assert_close(loss.detach(), twin[f"{step}.loss"], **EXACT)
        state = net.state_dict()
        for key, expected in twin.items():
            for kind in (f"{step}.param.", f"{step}.stats."):
                if key.startswith(kind):
                    assert_close(state[ours(key.removeprefix(kind))], expected, **EXACT)
