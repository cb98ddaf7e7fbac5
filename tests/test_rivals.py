"""The study of later nets is fair: equal parameters, equal steps, as many rates tried, the best of them taken."""

import pytest

from workbench import paper, tasks
from workbench.config import Config
from workbench.models.build import count_of
from workbench.runs import variants
from workbench.runs.jobs import notebook_parameters


def variants_of(book):
    return variants.read(notebook_parameters.check(notebook_parameters.find(book), {})["sweeps"])


def config(each) -> Config:
    return paper.experiment(each.experiment).config.set(dict(each.changes("quick")))


TODAY, RATES = variants_of("study_today"), variants_of("study_rates")
GROUPS = sorted({each.group for each in TODAY})


@pytest.mark.parametrize("group", GROUPS)
def test_the_variants_of_a_task_have_equal_parameters_within_five_per_cent(group):
    counts = {a.name: count_of(c.model, tasks.spec(c.task)) for a in TODAY if a.group == group for c in [config(a)]}
    assert counts.keys() == {"IndRNN", "LSTM", "LRU", "minGRU", "Transformer"}
    assert all(count == pytest.approx(counts["IndRNN"], rel=0.05) for count in counts.values())


@pytest.mark.parametrize("group", GROUPS)
def test_the_variants_of_a_task_train_equally_long_on_equal_batches(group):
    same = {(c.task, c.train.batch, c.train.steps, c.train.evaluate_every) for a in TODAY if a.group == group
            for c in [config(a)]}  # fmt: skip
    assert len(same) == 1


def test_every_net_tried_the_same_rates_and_nothing_else():
    tried = {}
    for each in RATES:
        tried.setdefault((each.group, each.experiment, each.settings), []).append(dict(each.varied))
    for group in GROUPS:
        rates = [tuple(rate["train.lr"] for rate in found) for key, found in tried.items() if key[0] == group]
        assert len(rates) == 5
        assert set(map(len, rates)) == {3}
        assert len(set(rates)) == 1
    chosen = [(a.group, a.experiment, tuple(p for p in a.settings if p[0] != "train.lr")) for a in TODAY]
    assert chosen == list(tried)
    for each, rates in zip(TODAY, tried.values(), strict=True):
        assert {"train.lr": dict(each.settings)["train.lr"]} in rates
