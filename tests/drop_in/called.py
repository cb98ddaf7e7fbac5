"""Called: shapes, values, states, layouts, dtypes, packed sequences, and what does not fit."""

from __future__ import annotations

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence
from torch.testing import assert_close

from .case import by_hand, case, drawn, gradients, raises, sequences

CALLED, EMPTY, PACKED, UNFIT, STEP = "called", "empty", "packed and padded", "does not fit", "step by step"


@case(CALLED)
def shapes_of_one_layer(make):
    out, h_n = make(3, 5)(sequences())
    assert (out.shape, h_n.shape) == ((6, 4, 5), (1, 4, 5))


@case(CALLED)
def shapes_of_two_layers_in_both_directions(make):
    out, h_n = make(3, 5, 2, bidirectional=True)(sequences())
    assert (out.shape, h_n.shape) == ((6, 4, 10), (4, 4, 5))


@case(CALLED)
def shapes_with_the_batch_first(make):
    out, h_n = make(3, 5, batch_first=True)(sequences(), torch.zeros(1, 6, 5))
    assert (out.shape, h_n.shape) == ((6, 4, 5), (1, 6, 5))


@case(CALLED)
def one_sequence_without_a_batch(make):
    layer, x, h0 = make(3, 5, 2), sequences(), drawn(2, 4, 5, seed=3)
    out, h_n = layer(x[:, 1], h0[:, 1])
    whole, h_whole = layer(x, h0)
    assert_close(out, whole[:, 1])
    assert_close(h_n, h_whole[:, 1])


@case(CALLED)
def one_sequence_without_a_batch_and_the_batch_first(make):
    layer, x = make(3, 5, batch_first=True), sequences()
    assert_close(layer(x[0])[0], layer(x)[0][0])


@case(CALLED)
def input_and_state_by_name(make):
    layer, x, h0 = make(3, 5), sequences(), drawn(1, 4, 5, seed=3)
    assert torch.equal(layer(input=x, hx=h0)[0], layer(x, h0)[0])


@case(CALLED)
def the_equation_of_one_layer(make):
    layer, x, h0 = make(3, 5), sequences(), drawn(1, 4, 5, seed=3)
    assert_close(layer(x, h0), by_hand(layer, x, h0))


@case(CALLED)
def the_equation_of_two_layers_in_both_directions(make):
    layer, x, h0 = make(3, 5, 2, bidirectional=True), sequences(), drawn(4, 4, 5, seed=3)
    assert_close(layer(x, h0), by_hand(layer, x, h0))


@case(CALLED)
def the_equation_with_tanh(make):
    layer, x = make(3, 5, nonlinearity="tanh"), sequences()
    assert_close(layer(x), by_hand(layer, x))


@case(CALLED)
def the_equation_without_bias(make):
    layer, x = make(3, 5, bias=False), sequences()
    assert_close(layer(x), by_hand(layer, x))


@case(CALLED)
def gradients_of_the_equation(make):
    layer, x, h0 = make(3, 5, 2), sequences().requires_grad_(), drawn(2, 4, 5, seed=3).requires_grad_()
    ours = gradients(layer(x, h0)[0], layer, x, h0)
    assert_close(ours, gradients(by_hand(layer, x, h0)[0], layer, x, h0))


@case(CALLED)
def a_single_step(make):
    layer, x = make(3, 5), sequences()[:1]
    assert_close(layer(x), by_hand(layer, x))


@case(CALLED)
def a_long_thin_sequence(make):
    layer, x = make(1, 2), drawn(700, 1, 1)
    assert_close(layer(x), by_hand(layer, x))


@case(CALLED)
def a_wide_layer(make):
    layer, x = make(70, 130), drawn(3, 40, 70)
    assert_close(layer(x), by_hand(layer, x), rtol=1e-4, atol=1e-4)


@case(CALLED)
def a_state_is_carried(make):
    layer, x = make(3, 5, 2), sequences()
    head, h = layer(x[:2])
    tail, h = layer(x[2:], h)
    whole, h_whole = layer(x)
    assert_close(torch.cat([head, tail]), whole)
    assert_close(h, h_whole)


@case(CALLED)
def a_carried_state_is_detached_for_truncated_backpropagation(make):
    layer, x, state = make(3, 5), sequences(), None
    for chunk in x.split(2):
        out, state = layer(chunk, state)
        out.sum().backward()
        state = state.detach()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


@case(CALLED)
def sequences_of_a_batch_are_independent(make):
    layer, x, order = make(3, 5), sequences(), torch.tensor([2, 0, 3, 1])
    assert_close(layer(x[:, order])[0], layer(x)[0][:, order])


@case(CALLED)
def a_view_with_strides_is_read(make):
    layer, x = make(3, 5), sequences()
    for view in (
        x.transpose(0, 1).contiguous().transpose(0, 1),
        torch.stack([x, -x], -1)[..., 0],
        x.mT.contiguous().mT,
    ):
        assert_close(layer(view)[0], layer(x)[0])


@case(CALLED)
def an_expanded_input_is_read(make):
    layer, x = make(3, 5), sequences()[:, :1]
    assert_close(layer(x.expand(6, 4, 3))[0], layer(x.repeat(1, 4, 1))[0])


@case(CALLED)
def a_state_with_strides_is_read(make):
    layer, x, h0 = make(3, 5), sequences(), drawn(1, 5, 4, seed=3).mT
    assert_close(layer(x, h0)[0], layer(x, h0.contiguous())[0])


@case(CALLED)
def input_and_state_are_left_as_they_were(make):
    layer, x, h0 = make(3, 5), sequences(), drawn(1, 4, 5, seed=3)
    kept = x.clone(), h0.clone()
    layer(x, h0)
    assert torch.equal(x, kept[0])
    assert torch.equal(h0, kept[1])


@case(CALLED)
def the_answer_may_be_changed_in_place(make):
    layer, x = make(3, 5), sequences()
    with torch.no_grad():
        out, h_n = layer(x)
        kept = h_n.clone()
        out.zero_()
        assert torch.equal(h_n, kept)


@case(CALLED)
def the_same_call_twice_is_the_same_to_the_bit(make):
    layer, x = make(3, 50, 2), drawn(20, 9, 3)
    assert torch.equal(layer(x)[0], layer(x)[0])


@case(CALLED)
def float64(make):
    layer, x = make(3, 5, dtype=torch.float64), sequences(dtype=torch.float64)
    assert_close(layer(x), by_hand(layer, x))


@case(CALLED)
def bfloat16(make):
    layer, x = make(3, 5).bfloat16(), sequences().bfloat16()
    out, h_n = layer(x)
    assert (out.dtype, h_n.dtype) == (torch.bfloat16, torch.bfloat16)
    assert_close(out.float(), by_hand(layer.float(), x.float())[0], rtol=0.05, atol=0.05)


@case(CALLED)
def bfloat16_is_trained(make):
    layer = make(3, 5).bfloat16()
    layer(sequences().bfloat16())[0].sum().backward()
    assert all(p.grad.dtype == torch.bfloat16 and p.grad.isfinite().all() for p in layer.parameters())


@case(CALLED)
def float16(make):
    layer, x = make(3, 5).half(), sequences().half()
    assert_close(layer(x)[0].float(), by_hand(layer.float(), x.float())[0], rtol=0.01, atol=0.01)


@case(CALLED)
def under_autocast(make):
    layer, x = make(3, 5), sequences()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)[0]
    out.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in layer.parameters())
    assert_close(out.float(), by_hand(layer, x)[0], rtol=0.05, atol=0.05)


@case(CALLED)
def more_than_one_thread(make):
    layer, x = make(3, 64), drawn(30, 64, 3)
    one = layer(x)[0]
    torch.set_num_threads(2)
    try:
        assert_close(layer(x)[0], one)
    finally:
        torch.set_num_threads(1)


@case(CALLED)
def called_from_many_threads_at_once(make):
    from concurrent.futures import ThreadPoolExecutor

    layer, x = make(3, 16), drawn(30, 8, 3)
    expected = layer(x)[0]
    with ThreadPoolExecutor(4) as pool:
        assert all(torch.equal(out, expected) for out in pool.map(lambda _: layer(x)[0], range(16)))


@case(EMPTY)
def an_empty_batch(make):
    out, h_n = make(3, 5, 2)(torch.zeros(5, 0, 3))
    assert (out.shape, h_n.shape) == ((5, 0, 5), (2, 0, 5))


@case(EMPTY)
def an_empty_batch_has_gradients_of_zero(make):
    layer = make(3, 5, 2, bidirectional=True)
    out, h_n = layer(torch.zeros(5, 0, 3))
    (out.sum() + h_n.sum()).backward()
    assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in layer.parameters())


@case(EMPTY)
def an_empty_batch_with_the_batch_first_and_a_state(make):
    out, h_n = make(3, 5, batch_first=True)(torch.zeros(0, 5, 3), torch.zeros(1, 0, 5))
    assert (out.shape, h_n.shape) == ((0, 5, 5), (1, 0, 5))


@case(EMPTY)
def no_step_is_a_runtime_error(make):
    with raises(RuntimeError):
        make(3, 5)(torch.zeros(0, 4, 3))


@case(EMPTY, control=False)
def an_empty_batch_with_lengths(make):
    assert make(3, 5)(torch.zeros(5, 0, 3), lengths=[])[0].shape == (5, 0, 5)


def _alone(make, settings, lengths, sort):
    layer, x = make(3, 5, **settings), sequences()
    packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=sort)
    answer, h_n = layer(packed)
    out, ends = pad_packed_sequence(answer)
    assert ends.tolist() == lengths
    for b, end in enumerate(lengths):
        alone, h_alone = layer(x[:end, b : b + 1])
        assert_close(out[:end, b : b + 1], alone)
        assert_close(h_n[:, b : b + 1], h_alone)
    assert torch.equal(answer.batch_sizes, packed.batch_sizes)


@case(PACKED)
def packed_in_the_order_of_lengths(make):
    _alone(make, {}, [6, 4, 4, 1], True)


@case(PACKED)
def packed_in_any_order(make):
    _alone(make, {}, [3, 6, 1, 5], False)


@case(PACKED)
def packed_through_two_layers_in_both_directions(make):
    _alone(make, {"num_layers": 2, "bidirectional": True}, [3, 6, 1, 5], False)


@case(PACKED)
def packed_where_the_batch_comes_first(make):
    layer, x = make(3, 5, batch_first=True), sequences().transpose(0, 1)
    out = layer(pack_padded_sequence(x, torch.tensor([6, 5, 2, 2]), batch_first=True))[0]
    out = pad_packed_sequence(out, batch_first=True)[0]
    assert_close(out[1, :5], layer(x[1:2, :5])[0][0])


@case(PACKED)
def packed_with_a_state_in_the_callers_order(make):
    layer, x, h0, lengths = make(3, 5), sequences(), drawn(1, 4, 5, seed=3), [3, 6, 1, 5]
    h_n = layer(pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False), h0)[1]
    for b, end in enumerate(lengths):
        assert_close(h_n[:, b : b + 1], layer(x[:end, b : b + 1], h0[:, b : b + 1])[1])


@case(PACKED)
def packed_ties_keep_their_order(make):
    layer, x, order = make(3, 5), sequences(), torch.tensor([2, 0, 3, 1])
    packed = PackedSequence(x[:, order].flatten(0, 1), torch.full((6,), 4), order, order.argsort())
    out, h_n = layer(packed)
    assert torch.equal(out.sorted_indices, order)
    assert_close(out.data.view(6, 4, 5), layer(x)[0][:, order])
    assert_close(h_n, layer(x)[1])


@case(PACKED)
def packed_from_a_list_of_sequences(make):
    layer, x = make(3, 5), sequences()
    out = layer(pack_sequence([x[:5, 0], x[:2, 1]]))[0]
    assert_close(pad_packed_sequence(out)[0][:2, 1], layer(x[:2, 1])[0])


@case(PACKED)
def packed_sequences_have_gradients(make):
    layer, x = make(3, 5), sequences().requires_grad_()
    out = layer(pack_padded_sequence(x, torch.tensor([6, 4, 4, 1])))[0]
    grads = gradients(out.data, layer, x)
    assert not grads[-1][1:, 3].any()
    whole = layer(x[:1, 3:])[0].square().sum()
    assert_close(grads[-1][:1, 3:], torch.autograd.grad(whole, x)[0][:1, 3:])


@case(PACKED)
def packed_with_wrong_features_is_a_runtime_error(make):
    with raises(RuntimeError):
        make(3, 5)(pack_padded_sequence(drawn(6, 2, 4), torch.tensor([6, 4])))


@case(PACKED)
def packed_with_a_state_of_another_batch_is_a_runtime_error(make):
    with raises(RuntimeError):
        make(3, 5)(pack_padded_sequence(sequences(), torch.tensor([6, 4, 4, 1])), torch.zeros(1, 3, 5))


@case(PACKED, control=False)
def padded_with_lengths_as_alone(make):
    layer, x, lengths = make(3, 5, 2, bidirectional=True), sequences(), [3, 6, 1, 5]
    out, h_n = layer(x, lengths=lengths)
    for b, end in enumerate(lengths):
        alone, h_alone = layer(x[:end, b : b + 1])
        assert_close(out[:end, b : b + 1], alone)
        assert_close(h_n[:, b : b + 1], h_alone)


@case(PACKED, control=False)
def what_stands_in_the_padding_changes_nothing(make):
    layer, x, lengths = make(3, 5, 2, bidirectional=True), sequences(), torch.tensor([3, 6, 1, 5])
    out = layer(x, lengths=lengths)[0]
    x[3:, 0] = torch.nan
    assert torch.equal(layer(x, lengths=lengths)[0], out)


@case(UNFIT)
def four_dimensions_are_a_value_error(make):
    with raises(ValueError):
        make(3, 5)(torch.zeros(1, 6, 4, 3))


@case(UNFIT)
def wrong_features_are_a_runtime_error(make):
    with raises(RuntimeError):
        make(3, 5)(torch.zeros(6, 4, 2))


@case(UNFIT)
def a_state_of_the_wrong_depth_is_a_runtime_error(make):
    with raises(RuntimeError):
        make(3, 5)(sequences(), torch.zeros(2, 4, 5))


@case(UNFIT)
def a_state_of_another_batch_is_a_runtime_error(make):
    with raises(RuntimeError):
        make(3, 5)(sequences(), torch.zeros(1, 3, 5))


@case(UNFIT)
def a_state_with_a_batch_for_a_sequence_without_is_a_runtime_error(make):
    with raises(RuntimeError):
        make(3, 5)(sequences()[:, 0], torch.zeros(1, 1, 5))


@case(UNFIT)
def an_input_of_another_dtype_is_a_value_error(make):
    with raises(ValueError):
        make(3, 5)(sequences(dtype=torch.float64))


@case(UNFIT)
def an_input_of_whole_numbers_is_a_value_error(make):
    with raises(ValueError):
        make(3, 5)(torch.zeros(6, 4, 3, dtype=torch.int64))


@case(UNFIT)
def a_state_of_another_dtype_is_refused(make):
    with raises(RuntimeError):
        make(3, 5)(sequences(), torch.zeros(1, 4, 5, dtype=torch.float64))


@case(UNFIT)
def an_input_on_another_device_is_a_runtime_error(make):
    with raises(RuntimeError):
        make(3, 5)(sequences().to("meta"))


@case(UNFIT)
def a_list_as_input_is_refused(make):
    with raises(Exception):
        make(3, 5)([[1.0, 2.0, 3.0]])


@case(UNFIT)
def a_wrong_shape_is_both_a_value_error_and_a_runtime_error(make):
    for x in (torch.zeros(1, 6, 4, 3), torch.zeros(6, 4, 2)):
        with raises(ValueError, RuntimeError):
            make(3, 5)(x)


@case(UNFIT)
def a_list_as_input_is_a_type_error(make):
    with raises(TypeError):
        make(3, 5)([[1.0, 2.0, 3.0]])


@case(STEP, control=False)
def steps_are_the_whole(make):
    layer, x, state = make(3, 5, 2), sequences(), None
    whole, h_n = layer(x)
    for x_t, expected in zip(x, whole, strict=True):
        out, state = layer.step(x_t, state)
        assert_close(out, expected, rtol=1e-6, atol=1e-6)
    assert_close(state, h_n, rtol=1e-6, atol=1e-6)


@case(STEP, control=False)
def a_step_without_a_batch(make):
    layer, x = make(3, 5), sequences()
    assert_close(layer.step(x[0, 1])[0], layer(x)[0][0, 1])


@case(STEP, control=False)
def a_step_in_both_directions_is_refused(make):
    with raises(ValueError):
        make(3, 5, bidirectional=True).step(sequences()[0])
