"""Words for an experiment, for a reader."""

import pytest

from workbench import paper
from workbench.paper.reader_names import in_words, reader_name, reader_names


@pytest.mark.parametrize("name", paper.EXPERIMENTS)
def test_every_experiment_has_words_for_its_net_at_the_end_of_its_title(name):
    known = paper.experiment(name)
    assert known.net
    assert known.title == f"{known.task_words}, {known.net}"
    assert name not in reader_name(name)


def test_names_are_as_short_as_they_tell_apart():
    assert reader_names(["seqdigits_plain6"]) == {"seqdigits_plain6": "IndRNN, 6 layers"}
    assert list(reader_names(["seqdigits_plain6", "seqdigits_lstm"]).values()) == ["IndRNN, 6 layers", "LSTM"]
    assert list(reader_names(["seqmnist_lstm", "permmnist_lstm"]).values()) == ["sequential MNIST", "permuted MNIST"]
    three = reader_names(["seqmnist_lstm", "permmnist_lstm", "seqmnist_plain6"])
    assert list(three.values()) == [
        "sequential MNIST, LSTM",
        "permuted MNIST, LSTM",
        "sequential MNIST, IndRNN, 6 layers",
    ]
    assert reader_name("seqdigits_plain6*") == "sequential digits (8 x 8), IndRNN, 6 layers, changed"
    assert reader_name("custom") == "custom"


def test_a_text_is_worded_and_a_command_stays():
    said = in_words("seqdigits_lstm: test accuracy %; workbench run seqdigits_lstm --fresh; seqdigits_lstm_of_mine")
    words = "sequential digits (8 x 8), LSTM"
    assert said == f"{words}: test accuracy %; workbench run seqdigits_lstm --fresh; seqdigits_lstm_of_mine"
    assert in_words("seqdigits_lstm, seqdigits_lstm, and more") == f"{words}; {words}, and more"


def test_all_experiments_at_once_are_told_apart():
    found = reader_names(list(paper.EXPERIMENTS))
    assert len(set(found.values())) == len(paper.EXPERIMENTS)
