"""Fig. 2's timing: who takes part, what is compared with what, and the published bars."""

import pytest
import torch

from workbench.analysis.benchmark import figure2
from workbench.errors import ParameterError


@pytest.fixture(scope="module")
def times():
    return figure2.training_batches([8, 12], "cpu", batches=2)


def test_every_net_is_timed_at_every_length(times):
    assert list(zip(times["net"], times["T"], strict=True)) == [(net, T) for T in (8, 12) for net in figure2.NETS]
    assert (times["ms"] > 0).all()


def test_ratios_are_to_the_lstm_of_the_same_length(times):
    for _, rows in times.groupby("T"):
        lstm = rows.loc[rows["net"] == "LSTM, 1 layer", "ms"].item()
        assert rows["faster"].tolist() == pytest.approx((lstm / rows["ms"]).tolist())


def test_the_nets_are_the_papers():
    """128 units; the parameters of section 5.1, and an SRU's four products."""
    from workbench.config import Adding
    from workbench.models.build import count_of
    from workbench.tasks import spec

    sizes = [count_of(figure2.Model(**net), spec(Adding(name="adding"))) for net in figure2.NETS.values()]
    assert sizes == [67_201, 4 * 2 * 128 + 4 * 128 + 129, 128 * 2 + 2 * 128 + 129, 17_281]


def test_nets_interleave_and_the_first_batch_does_not_count(monkeypatch):
    seen = []

    def seconds(task, net, device, index):
        seen.append(index)
        return 100.0 if index == 0 else float(index)

    monkeypatch.setattr(figure2, "_seconds", seconds)
    threads = torch.get_num_threads()
    table = figure2.training_batches([4], "cpu", batches=3)
    assert seen == [index for index in range(4) for _ in figure2.NETS]
    assert table["ms"].tolist() == [2000.0] * 4
    assert torch.get_num_threads() == threads


def test_the_published_bars_give_the_ratios_that_the_text_quotes():
    """Section 3.3 says 4.3, 7.6, 12.9 and 2.9, 4.8, 8.0; the bars are read to 0.1 ms."""
    table = figure2.published_batches()
    assert len(table) == 12
    for net, quoted in (("IndRNN, 1 layer", (4.3, 7.6, 12.9)), ("IndRNN, 2 layers", (2.9, 4.8, 8.0))):
        assert table.loc[table["net"] == net, "faster"].tolist() == pytest.approx(quoted, rel=0.04)
    assert set(table["net"]) == set(figure2.NETS)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"batches": 0}, "batches: 0"),
        ({"batches": True}, "batches: True"),
        ({"lengths": [1]}, "length: 1"),
        ({"threads": 0}, "threads: 0"),
        ({"device": "tpu"}, "device: 'tpu'"),
    ],
)
def test_a_wrong_request_is_refused_by_name(arguments, named):
    with pytest.raises(ParameterError, match=named):
        figure2.training_batches(**{"lengths": [4], "device": "cpu", "batches": 1} | arguments)
