"""`wb.ConvIndRNN`: the convolutional layer of section 3, against a plain loop and the layer without places."""

import pytest
import torch
from torch.nn.utils import parametrize, prune
from torch.testing import assert_close

import workbench as wb
from workbench.errors import InputError, ParameterError
from workbench.models.build import clamp_

F64 = torch.float64
KINDS = {
    "image": ((2, 3, (3, 2)), {"padding": 1}, (2, 6, 5)),
    "square": ((1, 4, 3), {"stride": 2, "activation": "tanh"}, (1, 7, 7)),
    "signal": ((2, 3, (3,)), {"padding": "same", "dilation": 2, "bias": False}, (2, 8)),
    "point": ((3, 3, 1), {"activation": "leaky_relu"}, (3, 2, 2)),
}
ACTIVATION = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "leaky_relu": lambda z: torch.nn.functional.leaky_relu(z, 0.01),
}


def layer_and_frames(kind, rng, **more):
    torch.manual_seed(0)
    sizes, settings, frame = KINDS[kind]
    layer = wb.ConvIndRNN(*sizes, **settings, **more).double()
    return layer, torch.randn(6, 2, *frame, generator=rng, dtype=F64)


def by_hand(layer, x, h0=None):
    """The equation, frame by frame."""
    f, u = ACTIVATION[layer.activation], layer.u.view(-1, *[1] * (x.ndim - 3))
    h, states = 0 if h0 is None else h0, []
    for x_t in x:
        h = f(layer.conv(x_t) + u * h)
        states.append(h)
    return torch.stack(states)


@pytest.mark.parametrize("backend", ["auto", "torch", "loop"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_equation(kind, backend, rng):
    layer, x = layer_and_frames(kind, rng, backend=backend)
    out, h_n = layer(x)
    assert_close(out, by_hand(layer, x))
    assert_close(h_n, out[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_its_gradients_are_those_of_the_equation(kind, rng):
    layer, x = layer_and_frames(kind, rng, backend="torch")
    h0 = torch.randn(by_hand(layer, x).shape[1:], generator=rng, dtype=F64).requires_grad_()
    inputs = (x.requires_grad_(), h0, *layer.parameters())
    ours = torch.autograd.grad((layer(x, h0)[0] ** 2).sum(), inputs)
    theirs = torch.autograd.grad((by_hand(layer, x, h0) ** 2).sum(), inputs)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b)


def test_a_state_may_be_carried(rng):
    layer, x = layer_and_frames("image", rng)
    head, state = layer(x[:2])
    tail, state = layer(x[2:], state)
    whole, last = layer(x)
    assert_close(torch.cat([head, tail]), whole)
    assert_close(state, last)


def test_places_that_are_not_mixed_are_neurons_of_the_ordinary_layer(rng):
    """A kernel of one place: each place is a sequence of its own, with the same weights."""
    layer, x = layer_and_frames("point", rng)
    rnn = wb.IndRNN(3, 3, activation="leaky_relu", dtype=F64)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(layer.conv.weight.flatten(1))
        rnn.bias_l0.copy_(layer.conv.bias)
        rnn.u_l0.copy_(layer.u)
    out, _ = rnn(x.permute(0, 1, 3, 4, 2).flatten(1, 3))
    assert_close(layer(x)[0].permute(0, 1, 3, 4, 2).flatten(1, 3), out)


def test_its_u_is_one_number_a_channel_within_the_bound():
    layer = wb.ConvIndRNN(1, 500, 3, bound=1.2)
    assert layer.u.shape == (500,)
    assert 0 <= layer.u.min() < 0.1 < 1.1 < layer.u.max() < 1.2
    with torch.no_grad():
        layer.u.fill_(-3)
    clamp_(torch.nn.Sequential(layer))
    assert (layer.u == -1.2).all()


def test_the_clamp_reaches_a_pruned_u_and_refuses_a_computed_one():
    layer, computed = wb.ConvIndRNN(1, 4, 3, bound=0.5), wb.ConvIndRNN(1, 4, 3, bound=0.5)
    prune.l1_unstructured(layer, "u", 2)
    with torch.no_grad():
        layer.u_orig.fill_(3)
    layer.clamp_()
    assert layer.u_orig.max() == 0.5
    parametrize.register_parametrization(computed, "u", torch.nn.Softplus())
    with pytest.raises(ParameterError, match=r"clamp_: u is computed .* beyond 0\.5"):
        computed.clamp_()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_a_state_in_float32_is_taken(dtype, rng):
    layer, x = layer_and_frames("image", rng)
    layer, x = layer.float(), x.float()
    h0 = torch.rand(by_hand(layer, x).shape[1:], generator=rng)
    with torch.autocast("cpu", dtype=dtype):
        out, state = layer(x, h0)
        layer(x, state)
    assert out.dtype == dtype
    assert_close(out.float(), by_hand(layer, x, h0), rtol=0.05, atol=0.05)


def test_a_state_of_another_dtype_is_an_input_that_does_not_fit():
    with pytest.raises(InputError, match=r"h0: dtype torch\.float64 received"):
        wb.ConvIndRNN(2, 3, 3)(torch.zeros(2, 1, 2, 5, 5), torch.zeros(1, 3, 3, 3, dtype=F64))


@pytest.mark.parametrize(("sizes", "settings", "message"), [
    ((0, 1, 3), {}, "in_channels: 0 is not a size; a whole number from 1"), ((1, 1.5, 3), {}, r"out_channels: 1\.5"),
    ((1, 1, (1, 1, 1)), {}, r"kernel_size: \(1, 1, 1\)"), ((1, 1, 3), {"stride": (1,)}, r"stride: \(1,\) is not"),
    ((1, 1, 3), {"padding": -1}, "padding: -1"), ((1, 1, 3), {"padding": "some"}, "padding: 'some'"),
    ((1, 1, 3), {"padding": "same", "stride": 2}, "padding: 'same'"), ((1, 1, 3), {"dilation": True}, "dilation: True"),
    ((1, 1, 3), {"activation": "selu"}, "activation: 'selu' is unknown"), ((1, 1, 3), {"bound": 0}, "bound: 0"),
    ((1, 1, 3), {"backend": "gpu"}, "backend: 'gpu'"),
])  # fmt: skip
def test_wrong_settings_are_named(sizes, settings, message):
    with pytest.raises(ValueError, match=message):
        wb.ConvIndRNN(*sizes, **settings)


@pytest.mark.parametrize(("x", "h0", "message"), [
    (torch.zeros(2, 1, 2, 5), None, r"x: shape \(2, 1, 2, 5\) received; \(T, B, 2, H, W\)"),
    (torch.zeros(2, 1, 3, 5, 5), None, "x: shape"), (torch.zeros(0, 1, 2, 5, 5), None, "T at least 1"),
    (torch.zeros(2, 1, 2, 2, 2), None, "x: Calculated padded input size"), ([1], None, "x: list received"),
    (torch.zeros(2, 1, 2, 5, 5, dtype=F64), None, "x: "),
    (torch.zeros(2, 1, 2, 5, 5), torch.zeros(1, 3, 5, 5), r"h0: shape .* \(1, 3, 3, 3\) is needed"),
])  # fmt: skip
def test_wrong_inputs_are_named(x, h0, message):
    with pytest.raises(wb.WorkbenchError, match=message):
        wb.ConvIndRNN(2, 3, 3)(x, h0)
