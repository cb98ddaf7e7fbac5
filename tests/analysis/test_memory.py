"""The memory of nets, against exact answers."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import workbench as wb
from workbench import paper
from workbench.analysis import memory as analysis
from workbench.analysis.memory import gradient_through_time
from workbench.config import Model
from workbench.errors import ParameterError
from workbench.models.build import build
from workbench.tasks.contract import Batch, Spec


@pytest.mark.parametrize("u", [0.0, 0.5, 0.99, 1.0, 1.001, -0.5])
def test_a_neurons_gradient_is_u_to_the_lag(u):
    (gradient,) = analysis.neuron_gradients([u], 300).values()
    assert_close(gradient, u ** torch.arange(300, dtype=torch.float64), rtol=1e-12, atol=0)


def test_the_deviation_is_that_of_products_in_float64():
    assert analysis.deviation([0.99, 1.0, 1.005], 1000) < 1e-11
    assert analysis.deviation([1.0], 1000) == 0.0


@pytest.mark.parametrize(("u", "off"), [(0.5, 0.9), (0.5, 1.1), (-0.5, 0.9), (-0.5, 1.1)])
def test_a_deviation_is_seen_in_either_direction_and_of_either_sign(monkeypatch, u, off):
    true = u ** torch.arange(2, dtype=torch.float64)
    monkeypatch.setattr(analysis, "neuron_gradients", lambda us, steps: {"u": torch.cat([true[:1], off * true[1:]])})
    assert analysis.deviation([u], 2) == pytest.approx(0.1)


@pytest.mark.parametrize(("us", "named"), [([-1.5], r"us: \[-1\.5\]"), ([2.0], r"us: \[2\.0\]")])
def test_neurons_that_go_off_or_overflow_are_refused(us, named):
    with pytest.raises(ParameterError, match=named):
        analysis.neuron_gradients(us, 2000)


def test_one_neuron_that_stays_on_passes_u_a_step(rng):
    """Eq. (4), through a built net: its readout and input weight cancel in the ratio to the last step."""
    net = build(Model(kind="plain", hidden=1), Spec(1, 1, 50, "real"), rng)
    with torch.no_grad():
        net.layers[0].fc.weight.fill_(0.7)
        net.layers[0].u.fill_(0.9)
    memory = gradient_through_time(net, torch.rand(50, 3, 1, generator=rng) + 0.1)
    assert_close(memory, 0.9 ** torch.arange(50.0))


def test_sequences_are_counted_back_from_their_own_ends(rng):
    net = build(Model(kind="plain", hidden=1), Spec(1, 1, 9, "real"), rng)
    with torch.no_grad():
        net.layers[0].fc.weight.fill_(0.7)
        net.layers[0].u.fill_(0.5)
    x = torch.rand(9, 3, 1, generator=rng) + 0.1
    assert_close(gradient_through_time(net, x, torch.tensor([9, 2, 5])), 0.5 ** torch.arange(9.0))
    assert_close(gradient_through_time(net, x[:, 1:], torch.tensor([2, 5]))[5:], torch.zeros(4))


class LastTwo(nn.Module):
    """x (T, B, 2) -> 3 times the last step's first feature, and 4 times that of the step before."""

    def forward(self, x):
        return 3 * x[-1, :, :1] + 4 * x[-2, :, :1]


def test_a_gradient_is_relative_to_the_last_steps(rng):
    memory = gradient_through_time(LastTwo(), torch.randn(5, 7, 2, generator=rng))
    assert_close(memory, torch.tensor([1, 4 / 3, 0, 0, 0]))


class Signed(nn.Module):
    """x (T, B, 2) -> of every other sequence the negative of 3 a - 4 b at the last step, and of 8 a + 6 b before."""

    def forward(self, x):
        signs = 1 - 2.0 * (torch.arange(x.shape[1]) % 2)[:, None]
        return signs * (x[-1] @ torch.tensor([[3.0], [-4.0]]) + x[-2] @ torch.tensor([[8.0], [6.0]]))


def test_gradients_of_other_signs_do_not_cancel(rng):
    """Norms 5 and 10, whatever their signs among features and sequences."""
    memory = gradient_through_time(Signed(), torch.randn(4, 6, 2, generator=rng))
    assert_close(memory, torch.tensor([1.0, 2, 0, 0]))


class Weighed(nn.Module):
    """x (T, 2, 1) -> the last step; and the one before, times 1 in the first sequence and 7 in the second."""

    def forward(self, x):
        return x[-1] + torch.tensor([[1.0], [7.0]]) * x[-2]


def test_over_sequences_it_is_the_root_mean_square(rng):
    assert_close(gradient_through_time(Weighed(), torch.randn(3, 2, 1, generator=rng)), torch.tensor([1.0, 5, 0]))


def test_the_nets_mode_is_left_as_it_was(rng):
    net = build(Model(kind="plain", hidden=3, norm="after"), Spec(1, 1, 5, "real"), rng).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    gradient_through_time(net, torch.rand(5, 3, 1, generator=rng))
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_untrained_nets_remember_as_they_were_built_to():
    memory = analysis.untrained_memory(["adding_indrnn_T100", "adding_rnn_tanh_T100"])
    assert float(memory["adding_indrnn_T100"].min()) > 0.1
    assert float(memory["adding_rnn_tanh_T100"][15:].max()) < 1e-9


def test_every_official_range_is_met_to_the_last_printed_digit():
    table = analysis.official_ranges()
    assert len(table) == 12
    assert table["equal"].all()
    assert list(table["T"].unique()) == [100, 500, 1000, 5000, 784, 20]


def test_table_1_in_numbers():
    table = analysis.ranges_table(2, gamma=4.0, epsilon=0.25, slope=0.5)
    assert list(table["from"]) == ["1.00000000", "0.00000000", "0.00000000", "0.00000000", "1.00000000"]
    assert list(table["to"]) == ["∞", "1.00000000", "4.00000000", "4.00000000", "4.00000000"]
    assert analysis.ranges_table(100)["from"][0] == "0.99309250"
    for slope in (0, -1, 1.1, True, "1"):
        with pytest.raises(ParameterError, match=f"slope: {slope!r} is no derivative"):
            analysis.ranges_table(100, slope=slope)


def test_the_bounds_of_lengths_and_how_long_memory_lasts_at_their_lower_end():
    table = analysis.bounds_table([20, 784])
    assert list(table.columns[:2]) == ["T", "lower end, gamma^(-1/T)"]
    assert table.iloc[:, 1:3].round(6).to_numpy().tolist() == [[0.965936, 1.035265], [0.999116, 1.000885]]
    assert list(table.iloc[:, 3]) == [20, 784]  # gamma = 2: a half is left after T steps


def test_accuracy_by_length_counts_every_test_example_once(store):
    record = wb.run("seqdigits_lstm", "smoke", progress=False)
    table = analysis.by_length(record, [0, 63, 64, 100])
    assert table["sequences"].tolist() == [0, 64, 0]
    assert table["right"].sum() / 64 == record.summary["test_accuracy"]
    assert table[["over", "to"]].to_numpy().tolist() == [[0, 63], [63, 64], [64, 100]]


def test_accuracy_by_length_is_that_of_an_example_however_often_it_is_sampled(monkeypatch):
    """Two samplings of each of three examples, whose answers are averaged as a score averages them."""
    net = nn.Module()
    net.scale = nn.Parameter(torch.ones(()))
    net.forward = lambda x: net.scale * torch.tensor([[3.0, 0], [0, 1], [0, 1], [0, 1], [2, 0], [0, 3]])
    batch = Batch(torch.zeros(5, 6, 1), torch.tensor([0, 1, 0]), samplings=2)
    task = SimpleNamespace(examples=lambda split, size: [batch])
    monkeypatch.setattr(analysis, "load", lambda *given: task)
    record = SimpleNamespace(net=lambda: net, config=paper.experiment("utd_plain6").config, seed=0)
    table = analysis.by_length(record, [0, 10])
    assert table.to_numpy().tolist() == [[0, 10, 3, 2]]


def test_the_last_of_a_vocabulary_is_counted_in_every_split_and_not_where_there_is_no_text(tmp_path, monkeypatch):
    from workbench.tasks import download, treebank

    for split, lines in {"train": " a bb c \n bb d \n", "valid": " c a \n", "test": " d \n d d \n"}.items():
        (tmp_path / f"ptb.{split}.txt").write_text(lines)
    treebank.read.cache_clear()
    monkeypatch.setattr(download, "obtainable", lambda name: True)
    monkeypatch.setattr(download, "locate", lambda name, **_: tmp_path)
    table = analysis.last_tokens().set_index("unit")
    assert table.loc["word"].to_dict() == {
        "token": "d", "train": 1, "train tokens": 7, "valid": 0, "valid tokens": 3, "test": 3, "test tokens": 5,
    }  # fmt: skip
    assert list(table.index) == ["char", "word"]
    monkeypatch.setattr(download, "obtainable", lambda name: False)
    assert analysis.last_tokens().empty
    treebank.read.cache_clear()
