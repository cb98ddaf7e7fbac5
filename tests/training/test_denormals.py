"""Numbers below 1.2e-38 count as zero where a config says so, in a step and only there."""

import pytest
import torch

from workbench import paper
from workbench.config import run_id
from workbench.training import Trainer
from workbench.training.denormals import flushed

LSTM = paper.experiment("adding_lstm_T100").config.set({"task.length": 12, "model.hidden": 4, "train.batch": 2})


def shrunk():
    return float(torch.tensor([1e-30]) * 1e-10)


@pytest.mark.parametrize("before", [False, True])
def test_what_was_set_before_is_set_again(before):
    torch.set_flush_denormal(before)
    try:
        with flushed():
            assert shrunk() == 0
        assert (shrunk() == 0) is before
        with pytest.raises(RuntimeError, match="in it"), flushed():
            raise RuntimeError("in it")
        assert (shrunk() == 0) is before
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("flush", [False, True])
def test_a_step_counts_them_as_zero_where_its_config_says_so(flush):
    trainer, found = Trainer(LSTM.set({"train.flush_denormal": flush}), 0), {}
    trainer.net.register_forward_hook(lambda *_: found.update(forward=shrunk()))
    next(trainer.net.parameters()).register_hook(lambda _: found.update(backward=shrunk()))
    trainer.advance()
    assert {way: value == 0 for way, value in found.items()} == {"forward": flush, "backward": flush}
    assert shrunk() > 0


def test_without_it_a_run_keeps_its_name_and_one_experiment_alone_has_it():
    flushing = LSTM.set({"train.flush_denormal": True})
    assert run_id(LSTM.set({"train.flush_denormal": False}), 0, {}) == run_id(LSTM, 0, {}) != run_id(flushing, 0, {})
    assert [one for one in paper.EXPERIMENTS if paper.experiment(one).config.train.flush_denormal] == [
        "seqmnist_lstm_cycle"
    ]
