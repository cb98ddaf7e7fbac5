"""Made: arguments, settings, what is refused, what a layer says of itself."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.testing import assert_close

from .case import case, drawn, raises, sequences

MADE, SET = "made", "set later"


@case(MADE)
def positional_arguments(make):
    layer = make(2, 3, 2, "relu", False, True, 0.5, True)
    assert (layer.num_layers, layer.bias, layer.batch_first, layer.dropout, layer.bidirectional) == (
        2,
        False,
        True,
        0.5,
        True,
    )


@case(MADE)
def arguments_by_name(make):
    layer = make(
        input_size=2, hidden_size=3, num_layers=1, nonlinearity="relu", bias=True, batch_first=False, dropout=0.0
    )
    assert (layer.input_size, layer.hidden_size, layer.nonlinearity) == (2, 3, "relu")


@case(MADE)
def the_other_nonlinearity_by_name(make):
    layer = make(3, 5, nonlinearity="tanh")
    assert (layer.nonlinearity, layer.mode.endswith("RNN_TANH")) == ("tanh", True)


@case(MADE)
def a_dtype_is_asked_for(make):
    layer = make(3, 5, dtype=torch.float64)
    assert {p.dtype for p in layer.parameters()} == {torch.float64}
    assert layer(sequences(dtype=torch.float64))[0].dtype == torch.float64


@case(MADE)
def a_device_is_asked_for(make):
    assert {p.device.type for p in make(3, 5, device="meta").parameters()} == {"meta"}
    assert {p.device.type for p in make(3, 5, device=torch.device("cpu")).parameters()} == {"cpu"}


@case(MADE)
def the_default_dtype_is_obeyed(make):
    torch.set_default_dtype(torch.float64)
    try:
        assert {p.dtype for p in make(3, 5).parameters()} == {torch.float64}
    finally:
        torch.set_default_dtype(torch.float32)


@case(MADE)
def a_device_as_context_is_obeyed(make):
    with torch.device("meta"):
        assert {p.device.type for p in make(3, 5).parameters()} == {"meta"}


@case(MADE)
def made_without_values_and_filled_later(make):
    layer = nn.utils.skip_init(type(make(3, 5)), 3, 5)
    layer.reset_parameters()
    assert all(p.isfinite().all() for p in layer.parameters())


@case(MADE)
def a_seed_repeats_the_values(make):
    assert all(torch.equal(a, b) for a, b in zip(make(3, 5).parameters(), make(3, 5).parameters(), strict=True))


@case(MADE)
def first_values_lie_within_one_over_the_root_of_the_size(make):
    weight = make(30, 25).weight_ih_l0
    assert 0.19 < weight.abs().max() <= 0.2
    assert weight.mean().abs() < 0.02


@case(MADE)
def values_are_drawn_anew(make):
    layer = make(3, 5, 2)
    before = [p.clone() for p in layer.parameters()]
    layer.reset_parameters()
    assert not any(torch.equal(p, q) for p, q in zip(before, layer.parameters(), strict=True))


@case(MADE)
def printed_with_what_differs_from_the_usual(make):
    text = repr(make(3, 5, 2, batch_first=True, dropout=0.5, bidirectional=True, bias=False))
    for part in ("3, 5, num_layers=2", "bias=False", "batch_first=True", "dropout=0.5", "bidirectional=True"):
        assert part in text, part
    assert "RNN(3, 5" in repr(make(3, 5))


@case(MADE)
def facts_are_attributes(make):
    layer = make(3, 5, 2, dropout=0.5)
    facts = [layer.input_size, layer.hidden_size, layer.num_layers, layer.bias, layer.batch_first, layer.dropout]
    assert facts == [3, 5, 2, True, False, 0.5]
    assert (layer.proj_size, layer.nonlinearity, layer.mode.endswith("RNN_RELU")) == (0, "relu", True)


@case(MADE)
def all_weights_by_layer_and_direction(make):
    layer = make(3, 5, 2, bidirectional=True)
    assert [id(p) for weights in layer.all_weights for p in weights] == [id(p) for p in layer.parameters()]
    assert len(layer.all_weights) == 4


@case(MADE)
def flattening_the_parameters_changes_nothing(make):
    layer, x = make(3, 5, 2), sequences()
    before = layer(x)[0]
    layer.flatten_parameters()
    assert torch.equal(layer(x)[0], before)


@case(MADE)
def a_dropout_of_one_is_allowed(make):
    layer, x = make(3, 5, 2, dropout=1), sequences()
    assert torch.equal(layer(x)[0], layer(drawn(6, 4, 3, seed=2))[0])
    assert layer.dropout == 1


@case(MADE)
def dropout_in_one_layer_warns(make):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        make(3, 5, dropout=0.5)
    assert [w.category for w in seen] == [UserWarning]
    assert "num_layers" in str(seen[0].message)


@case(MADE)
def a_projection_is_refused(make):
    with raises(ValueError):
        make(3, 5, proj_size=2)


@case(MADE)
def a_size_that_is_no_whole_number_is_a_type_error(make):
    for sizes in ((3, 5.0), ("3", 5), (None, 5)):
        with raises(TypeError):
            make(*sizes)


@case(MADE)
def a_size_below_one_is_a_value_error(make):
    for sizes in ((0, 5), (3, 0), (3, -1), (3, 5, 0)):
        with raises(ValueError):
            make(*sizes)


@case(MADE)
def an_unknown_nonlinearity_is_a_value_error(make):
    with raises(ValueError):
        make(3, 5, nonlinearity="selu")


@case(MADE)
def a_dropout_outside_0_to_1_is_a_value_error(make):
    for dropout in (-0.1, 1.1, True, float("nan")):
        with raises(ValueError):
            make(3, 5, 2, dropout=dropout)


@case(MADE)
def a_bias_that_is_no_bool_is_a_type_error(make):
    for bias in ("True", 0, 1, None):
        with raises(TypeError):
            make(3, 5, bias=bias)


@case(MADE)
def a_batch_first_that_is_no_bool_is_a_type_error(make):
    for first in ("False", 0, 1, None):
        with raises(TypeError):
            make(3, 5, batch_first=first)


@case(MADE)
def a_bidirectional_that_is_no_bool_is_a_type_error(make):
    with raises(TypeError):
        make(3, 5, bidirectional="False")


@case(MADE)
def a_dtype_of_whole_numbers_is_refused(make):
    with raises(Exception):
        make(3, 5, dtype=torch.int64)


@case(MADE)
def an_argument_that_is_unknown_is_refused(make):
    with raises(TypeError):
        make(3, 5, hidden=7)


@case(SET)
def dropout_set_to_zero_is_obeyed(make):
    layer, x = make(3, 5, 2, dropout=0.5), sequences()
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.dropout = 0.0
    assert torch.equal(layer(x)[0], make(3, 5, 2)(x)[0])


@case(SET)
def dropout_set_from_zero_is_obeyed(make):
    layer, x = make(3, 5, 2), sequences()
    layer.dropout = 0.5
    assert not torch.equal(layer(x)[0], layer(x)[0])


@case(SET)
def batch_first_set_later_is_obeyed(make):
    layer, x = make(3, 5), sequences()
    out = layer(x)[0]
    layer.batch_first = True
    assert_close(layer(x.transpose(0, 1))[0].transpose(0, 1), out)


@case(SET)
def a_nonlinearity_set_later_is_obeyed(make):
    layer, x = make(3, 5), sequences()
    try:
        layer.nonlinearity = "tanh"
    except AttributeError:
        return
    assert_close(layer(x)[0], make(3, 5, nonlinearity="tanh")(x)[0])


@case(SET)
def bidirectional_set_later_does_not_lie(make):
    layer, x = make(3, 5), sequences()
    try:
        layer.bidirectional = True
        out = layer(x)[0]
    except (AttributeError, RuntimeError):
        return
    assert out.shape[2] == 5 * (1 + layer.bidirectional)


@case(SET)
def the_number_of_layers_set_later_does_not_lie(make):
    layer, x = make(3, 5), sequences()
    try:
        layer.num_layers = 2
        h_n = layer(x)[1]
    except (AttributeError, RuntimeError):
        return
    assert len(h_n) == layer.num_layers


@case(SET)
def the_hidden_size_set_later_does_not_lie(make):
    layer, x = make(3, 5), sequences()
    try:
        layer.hidden_size = 7
        out = layer(x)[0]
    except (AttributeError, RuntimeError):
        return
    assert out.shape[2] == layer.hidden_size


@case(SET)
def bias_set_later_does_not_lie(make):
    layer, x = make(3, 5), sequences()
    with torch.no_grad():
        for name, p in layer.named_parameters():
            p.fill_(1.0 if "bias" in name else 0.0)
    try:
        layer.bias = False
        out = layer(x)[0]
    except (AttributeError, RuntimeError):
        return
    assert layer.bias == bool(out.any())


@case(SET)
def a_dropout_set_later_is_checked(make):
    layer = make(3, 5, 2)
    with raises(Exception):
        layer.dropout = "0.5"
        layer(sequences())


@case(SET)
def dropout_rests_in_evaluation(make):
    layer, x = make(3, 5, 2, dropout=0.5), sequences()
    assert torch.equal(layer.eval()(x)[0], make(3, 5, 2)(x)[0])
    assert not torch.equal(layer.train()(x)[0], layer(x)[0])


@case(SET)
def dropout_repeats_with_its_seed(make):
    layer, x = make(3, 50, 2, dropout=0.5), sequences()
    torch.manual_seed(7)
    first = layer(x)[0]
    torch.manual_seed(7)
    assert torch.equal(layer(x)[0], first)


@case(SET)
def dropout_spares_the_last_layer(make):
    layer = make(3, 200, 2, dropout=0.9)
    with torch.no_grad():
        for name, p in layer.named_parameters():
            if "l1" in name:
                p.fill_(1.0 if "bias" in name else 0.0)
    assert (layer(sequences())[0] > 0).all()


@case(SET, control=False)
def a_bound_set_later_is_obeyed(make):
    layer = make(3, 50)
    layer.bound = 0.1
    assert layer.clamp_().u_l0.max() <= 0.1


@case(SET, control=False)
def a_bound_that_bounds_nothing_is_refused(make):
    layer = make(3, 5)
    with raises(ValueError):
        layer.bound = -1
