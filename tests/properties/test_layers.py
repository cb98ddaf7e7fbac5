"""The layer takes any shape, dtype, stride and lengths: the answer is that of the same numbers laid out plainly, or an
error of ours says what is wrong."""

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st
from properties.drawn import many
from torch.testing import assert_close

import workbench as wb
from workbench.errors import ParameterError

FLOATS = (torch.float32, torch.float64, torch.bfloat16)
OTHERS = (torch.float16, torch.int64, torch.bool, torch.complex64)
LAID_OUT = {
    "plain": lambda x: x.clone(),
    "transposed": lambda x: x.mT.contiguous().mT,
    "every second": lambda x: torch.stack([x, x], -1).flatten(-2)[..., ::2],
    "from within": lambda x: torch.cat([x[:1], x, x[:1]])[1:-1],
    "one for all": lambda x: x[:, :1].expand(x.shape) if x.ndim == 3 else x,
}
LAYERS = st.fixed_dictionaries(
    {
        "num_layers": st.integers(1, 2),
        "bidirectional": st.booleans(),
        "batch_first": st.booleans(),
        "bias": st.booleans(),
        "activation": st.sampled_from(["relu", "tanh", "identity", "leaky_relu"]),
        "bound": st.sampled_from([None, 1.0, 0.5]),
    }
)


def drawn_(rnn, rng):
    """The same weights at every run."""
    with torch.no_grad():
        for parameter in rnn.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=rng) - 0.5)
    return rnn


def test_the_layer_answers_for_any_input_or_says_what_is_wrong(record_property):
    ended = Counter()

    @many(150)
    @given(
        LAYERS,
        st.one_of(*[st.lists(st.integers(1, 5), min_size=2, max_size=3)] * 3, st.lists(st.integers(0, 2), max_size=4)),
        st.sampled_from((*FLOATS, *FLOATS, *OTHERS)),
        st.sampled_from(sorted(LAID_OUT)),
        st.one_of(
            *[st.none()] * 3, st.lists(st.integers(1, 3), min_size=1, max_size=3), st.lists(st.integers(), max_size=3)
        ),
        st.integers(0, 99),
    )
    def holds(settings, shape, dtype, layout, lengths, seed):
        rng = torch.Generator().manual_seed(seed)
        x = (2 * torch.rand(shape, generator=rng) - 1).to(dtype)
        x = LAID_OUT[layout](x) if x.ndim > 1 and x.numel() else x
        try:
            rnn = wb.IndRNN(max(shape[-1:], default=1) or 1, 3, dtype=dtype if dtype in FLOATS else None, **settings)
            drawn_(rnn, rng)
            out, h_n = rnn(x, lengths=lengths)
        except ParameterError:
            ended["refused"] += 1
            return
        ended["answered"] += 1
        assert bool(torch.isfinite(out).all())
        plain, plain_n = rnn(x.contiguous().clone(), lengths=lengths)
        # bfloat16 has 8 bits: another order of summing may round each of some values below 2 the other way
        near = {"atol": 2**-5, "rtol": 0} if dtype == torch.bfloat16 else {}
        assert_close(out, plain, **near)
        assert_close(h_n, plain_n, **near)
        assert out.shape == (*x.shape[:-1], 3 * (1 + settings["bidirectional"]))

    holds()
    record_property("examples", sum(ended.values()))
    assert ended["answered"] > 20
    assert ended["refused"] > 20


def test_what_stands_in_the_padding_changes_nothing(record_property):
    ended = Counter()

    @many(60)
    @given(LAYERS, st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 99))
    def holds(settings, lengths, seed):
        rng, T, B = torch.Generator().manual_seed(seed), max(lengths) + seed % 2, len(lengths)
        x = torch.randn(B, T, 2, generator=rng) if settings["batch_first"] else torch.randn(T, B, 2, generator=rng)
        rnn = drawn_(wb.IndRNN(2, 3, **settings), rng)
        out, h_n = rnn(x, lengths=lengths)
        other = x if settings["batch_first"] else x.transpose(0, 1)
        for row, end in enumerate(lengths):
            other[row, end:] = torch.nan
        again, again_n = rnn(x, lengths=lengths)
        ended["answered"] += 1
        assert torch.equal(out, again)
        assert torch.equal(h_n, again_n)

    holds()
    record_property("examples", ended["answered"])
