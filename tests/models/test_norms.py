"""Layer norm and RMS norm in the nets: exact answers, and what batch norm cannot do: one sequence, a step at a time."""

import pytest
import torch
from torch.testing import assert_close

from workbench.config import Config, Model
from workbench.errors import ParameterError
from workbench.models.build import build, count_of, set_backend
from workbench.models.diagram import draw
from workbench.models.layer import Unit
from workbench.models.norms import LayerNorm, RMSNorm
from workbench.seeds import generator
from workbench.tasks import Spec
from workbench.training import Trainer
from workbench.training.trainer import optimizer

SPEC, F64 = Spec(3, 4, 9, "class"), torch.float64
NETS = {
    "plain": {"kind": "plain", "depth": 3, "hidden": 5},
    "residual": {"kind": "residual", "depth": 2, "hidden": 5},
    "sums": {"kind": "residual", "depth": 2, "hidden": 5, "shortcut": "sum"},
    "differences": {"kind": "dense", "growth": 2, "blocks": (2, 1), "differences": True},
}
every_net = pytest.mark.parametrize("name", NETS)
every_kind = pytest.mark.parametrize("kind", ["layer", "rms"])
every_place = pytest.mark.parametrize("norm", ["after", "before"])


def net_of(name, kind, norm="after", **settings):
    net = build(Model(**NETS[name], norm=norm, norm_kind=kind, **settings), SPEC, generator(0, "init")).double()
    with torch.no_grad():  # gains and biases that are seen to act
        for module in net.modules():
            if isinstance(module, LayerNorm | RMSNorm):
                module.weight.uniform_(0.5, 1.5, generator=generator(0, "gain"))
    set_backend(net, "torch")
    return net


def text(rng, T=9, B=4):
    return torch.randn(T, B, 3, generator=rng, dtype=F64)


def test_the_features_of_each_step_are_normed_by_hand():
    x = torch.tensor([[[3.0, 4.0, 0.0, 5.0]]], dtype=F64)
    layer, rms = LayerNorm(4, gain=2.0).double(), RMSNorm(4, gain=2.0).double()
    with torch.no_grad():
        layer.bias.fill_(0.5)
    assert_close(layer(x), 2 * (x - 3) / (3.5 + 1e-5) ** 0.5 + 0.5)
    assert_close(rms(x), 2 * x / (12.5 + 1e-5) ** 0.5)
    assert not rms(torch.zeros(1, 1, 4, dtype=F64)).any()


@every_kind
@every_place
@every_net
def test_in_training_too_a_sequence_answers_as_it_does_alone_and_padded(name, norm, kind, rng):
    net, x, lengths = net_of(name, kind, norm).train(), text(rng), [9, 1, 4, 7]
    out = net(x, torch.tensor(lengths))
    for b, end in enumerate(lengths):
        assert_close(out[b : b + 1], net(x[:end, b : b + 1]), rtol=0, atol=1e-13)
    assert torch.equal(net.eval()(x, torch.tensor(lengths)), out)


@every_kind
@every_place
@every_net
def test_a_stream_read_step_by_step_answers_as_the_whole(name, norm, kind, rng):
    net, x, state = net_of(name, kind, norm).eval(), text(rng), None
    for t in range(9):
        answer, state = net.step(x[t], state)
        assert_close(answer, net(x[: t + 1]), rtol=0, atol=1e-13)


@every_kind
@every_place
def test_gradients_of_a_unit_are_right(rng, norm, kind):
    unit = Unit(2, 3, norm=norm, norm_kind=kind, activation="tanh", generator=rng).double()
    unit.backend = "torch"
    names, values = zip(*unit.named_parameters(), strict=True)
    x = text(rng, 3, 2)[..., :2].requires_grad_()

    def run(x, *values):
        return torch.func.functional_call(unit, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *values))


def test_the_parameters_are_a_gain_and_a_bias_a_feature_of_rms_norm_a_gain_alone():
    plain = {"kind": "plain", "depth": 2, "hidden": 5}
    bare = count_of(Model(**plain), SPEC)
    found = {kind: count_of(Model(**plain, norm="after", norm_kind=kind), SPEC) for kind in ("batch", "layer", "rms")}
    assert found == {"batch": bare + 20, "layer": bare + 20, "rms": bare + 10}


def test_the_drawing_and_the_gains_name_the_kind_that_it_is():
    net = Model(kind="plain", norm="before", norm_kind="rms", norm_gain=0.25)
    assert "RMS norm, relu(a + u h)" in draw(net, SPEC).parts[1].inside
    assert set(build(net, SPEC).layers[0].bn.weight.tolist()) == {0.25}


CONFIG = Config.parse(
    {
        "task": {"name": "adding", "length": 6},
        "model": {"kind": "plain", "depth": 2, "hidden": 4, "norm": "after", "norm_kind": "layer", "gamma": 2.0},
        "train": {"batch": 1, "steps": 6, "evaluate_every": 3, "weight_decay": 0.1},
    }
)


def test_a_run_may_have_batches_of_one_and_its_evaluation_needs_no_clean_batches():
    trainer = Trainer(CONFIG, 0)
    trainer.task.clean = None  # would be called for statistics
    for _ in range(3):
        trainer.advance()
    assert "valid_batch" not in trainer.evaluation()
    assert trainer.test()["test"]["n"] == 2000


def test_weight_decay_reaches_their_gains_only_where_it_is_asked():
    net = build(CONFIG.model, SPEC)
    gains = {id(layer.bn.weight) for layer in net.layers}
    for asked in (False, True):
        decayed = optimizer(net, CONFIG.set({"train.decay_gains": asked}).train).param_groups[0]["params"]
        assert gains <= {id(p) for p in decayed} if asked else gains.isdisjoint(id(p) for p in decayed)


def test_the_default_kind_is_no_part_of_a_configs_identity_and_the_others_are():
    batch = CONFIG.set({"model.norm_kind": "batch"})
    assert "norm_kind" not in batch.model_dump(exclude_defaults=True)["model"]
    assert CONFIG.model_dump(exclude_defaults=True)["model"]["norm_kind"] == "layer"


@pytest.mark.parametrize(("changes", "said"), [
    ({"model.norm": "none"}, "model.norm_kind has no meaning without norm"),
    ({"model.norm_over": "step"}, "model.norm_over has no meaning for norm_kind 'layer'"),
    ({"model.norm_kind": "group"}, "model.norm_kind: 'group' received"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(ParameterError, match=said):
        CONFIG.set(changes)


def test_step_refuses_a_net_in_training_a_whole_sequence_and_a_state_of_another_net():
    net = net_of("plain", "layer")
    with pytest.raises(ParameterError, match=r"call eval\(\) first"):
        net.train().step(torch.zeros(2, 3, dtype=F64))
    with pytest.raises(ParameterError, match=r"x: shape \(9, 2, 3\) received"):
        net.eval().step(torch.zeros(9, 2, 3, dtype=F64))
    _, state = net.step(torch.zeros(2, 3, dtype=F64))
    for wrong in (state[:2], [*state, state[0]]):
        with pytest.raises(ParameterError, match="state: "):
            net.step(torch.zeros(2, 3, dtype=F64), wrong)


@pytest.mark.parametrize("kind", ["plain", "lstm", "gru", "sru", "lru", "mingru"])
def test_step_names_an_input_or_a_state_that_does_not_fit(kind):
    net = build(Model(kind=kind, depth=2, hidden=5), SPEC, generator(0, "init")).eval()
    _, state = net.step(torch.zeros(2, 3))
    for x, wrong, said in (
        (torch.zeros(2, 4), None, r"x: shape \(2, 4\) received; one time step \(B, 3\)"),
        (torch.zeros(2, 3), [], "state: "),
        (torch.zeros(2, 3), state[:-1], "state: "),
        (torch.zeros(4, 3), state, r"state: shape .* received; \(\.\.\., 4, N\)"),
        (torch.zeros(2, 3), [[0.0]] * len(state), "state: list received"),
    ):
        with pytest.raises(ParameterError, match=said):
            net.step(x, wrong)


@pytest.mark.parametrize("over", ["step", "chunk"])
@pytest.mark.parametrize("kind", ["plain", "residual", "dense"])
def test_step_refuses_a_net_whose_norm_counts_the_steps(kind, over):
    """Each step was normed as the first."""
    net = build(Model(kind=kind, norm="after", norm_over=over), SPEC, generator(0, "init")).eval()
    with pytest.raises(ParameterError, match="step: norm over steps counts them"):
        net.step(torch.zeros(2, 3))


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh", "irnn", "sru", "lru", "mingru", "s5"])
def test_a_baseline_reads_a_stream_too(kind, rng):
    net = build(Model(kind=kind, depth=2, hidden=5), SPEC, generator(0, "init")).double().eval()
    x, state = text(rng), None
    for t in range(9):
        answer, state = net.step(x[t], state)
    assert_close(answer, net(x), rtol=0, atol=1e-12)
