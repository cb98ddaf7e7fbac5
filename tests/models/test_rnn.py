"""`wb.IndRNN`: used like torch.nn.RNN; laws of lengths, directions, states and packing."""

import copy

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

import workbench as wb


def net(**settings):
    torch.manual_seed(0)
    return wb.IndRNN(3, 5, **settings)


def by_hand(rnn, x, h0=None):
    """One layer, one direction, written out."""
    h = torch.zeros(x.shape[1], 5) if h0 is None else h0
    states = []
    for x_t in x:
        h = torch.relu(x_t @ rnn.weight_ih_l0.T + rnn.bias_l0 + rnn.u_l0 * h)
        states.append(h)
    return torch.stack(states)


def test_one_layer_is_the_equation(rng):
    rnn, x, h0 = net(), torch.randn(7, 4, 3, generator=rng), torch.randn(1, 4, 5, generator=rng)
    out, h_n = rnn(x, h0)
    assert_close(out, by_hand(rnn, x, h0[0]))
    assert_close(h_n, out[-1:])


@pytest.mark.parametrize(
    "settings", [{}, {"num_layers": 3}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}]
)
def test_shapes_are_torchs(settings, rng):
    x = torch.randn(7, 4, 3, generator=rng)
    ours, theirs = net(**settings)(x), torch.nn.RNN(3, 5, **settings)(x)
    assert [t.shape for t in ours] == [t.shape for t in theirs]
    ours, theirs = net(**settings)(x[:, 0]), torch.nn.RNN(3, 5, **settings)(x[:, 0])
    assert [t.shape for t in ours] == [t.shape for t in theirs]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [[7, 7, 7, 7], [1, 7, 3, 5]])
def test_a_padded_sequence_answers_as_it_does_alone(bidirectional, lengths, rng):
    rnn, x = net(num_layers=2, bidirectional=bidirectional), torch.randn(7, 4, 3, generator=rng)
    out, h_n = rnn(x, lengths=lengths)
    for b, end in enumerate(lengths):
        alone, h_alone = rnn(x[:end, b : b + 1])
        assert_close(out[:end, b : b + 1], alone)
        assert_close(h_n[:, b : b + 1], h_alone)
        assert not out[end:, b].any()


@pytest.mark.parametrize("garbage", [1e6, torch.inf, torch.nan])
def test_what_stands_in_the_padding_changes_nothing(garbage, rng):
    rnn, x, lengths = net(num_layers=2, bidirectional=True), torch.randn(7, 2, 3, generator=rng), [4, 7]
    results = []
    for stands in (0.0, garbage):
        x[4:, 0] = stands
        leaf = x.clone().requires_grad_()
        out, h_n = rnn(leaf, lengths=lengths)
        results.append([out, h_n, *torch.autograd.grad(out.sum(), [leaf, *rnn.parameters()])])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("enforce_sorted", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_go_in_and_come_out(enforce_sorted, bidirectional, rng):
    lengths = torch.tensor([7, 5, 3] if enforce_sorted else [3, 7, 5])
    rnn, x = net(bidirectional=bidirectional), torch.randn(7, 3, 3, generator=rng)
    packed, h_n = rnn(pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted))
    out, back = pad_packed_sequence(packed)
    expected, h_expected = rnn(x, lengths=lengths)
    assert torch.equal(back, lengths)
    assert_close(out, expected)
    assert_close(h_n, h_expected)


def test_a_state_may_be_carried(rng):
    rnn, x = net(num_layers=2), torch.randn(9, 4, 3, generator=rng)
    whole, h_whole = rnn(x)
    head, h = rnn(x[:4])
    tail, h = rnn(x[4:], h)
    assert_close(torch.cat([head, tail]), whole)
    assert_close(h, h_whole)


def test_batch_first_is_the_transpose(rng):
    x = torch.randn(7, 4, 3, generator=rng)
    out, _ = net(batch_first=True)(x.transpose(0, 1))
    assert_close(out, net()(x)[0].transpose(0, 1))


def test_without_a_bound_u_starts_below_one_and_the_clamp_does_nothing():
    rnn = wb.IndRNN(1, 2000)
    assert 0 <= rnn.u_l0.min() < rnn.u_l0.max() < 1
    with torch.no_grad():
        rnn.u_l0.fill_(3)
    assert rnn.clamp_() is rnn
    assert rnn.u_l0.min() == 3


def test_with_a_bound_the_clamp_projects():
    rnn = wb.IndRNN(1, 2, num_layers=2, bidirectional=True, bound=1.5)
    with torch.no_grad():
        rnn.u_l1_reverse.copy_(torch.tensor([-2.0, 2.0]))
    rnn.clamp_()
    assert rnn.u_l1_reverse.tolist() == [-1.5, 1.5]


def test_it_can_be_copied_saved_and_loaded(rng, tmp_path):
    rnn, x = net(num_layers=2, dropout=0.3), torch.randn(4, 2, 3, generator=rng)
    torch.save(rnn.state_dict(), tmp_path / "rnn.pt")
    other = wb.IndRNN(3, 5, 2, dropout=0.3)
    other.load_state_dict(torch.load(tmp_path / "rnn.pt", weights_only=True))
    assert_close(other.eval()(x)[0], copy.deepcopy(rnn).eval()(x)[0])


def test_no_bias_and_float64(rng):
    rnn = wb.IndRNN(3, 5, bias=False, dtype=torch.float64)
    assert rnn.bias_l0 is None
    assert rnn(torch.randn(4, 2, 3, generator=rng, dtype=torch.float64))[0].dtype == torch.float64
