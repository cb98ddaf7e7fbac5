"""The studies of other nets are fair: equal parameters, equal steps, as many settings tried, the best of them taken."""

from statistics import mean

import pytest

from workbench import paper, tasks
from workbench.analysis.variants import LEVEL, Variants
from workbench.config import Config
from workbench.models.build import count_of
from workbench.runs import variants
from workbench.runs.jobs import notebook_parameters
from workbench.runs.record import find_id


def variants_of(book):
    return variants.read(notebook_parameters.check(notebook_parameters.find(book), {})["sweeps"])


def config(each) -> Config:
    return paper.experiment(each.experiment).config.set(dict(each.changes("quick")))


NETS = {
    "study_today": ({"IndRNN", "LSTM", "LRU", "minGRU", "Transformer"}, "study_rates", {"train.lr"}),
    "study_successors": (
        {"IndRNN", "LSTM", "GRU", "LRU", "minGRU", "S5"},
        "study_successors_rates",
        {"train.lr", "train.schedule"},
    ),
}
GROUPS = [(book, group) for book in NETS for group in dict.fromkeys(each.group for each in variants_of(book))]


@pytest.mark.parametrize(("book", "group"), GROUPS)
def test_the_variants_of_a_task_have_equal_parameters_within_five_per_cent(book, group):
    mine = [(each.name, config(each)) for each in variants_of(book) if each.group == group]
    counts = {name: count_of(c.model, tasks.spec(c.task)) for name, c in mine}
    assert counts.keys() == NETS[book][0]
    assert all(count == pytest.approx(counts["IndRNN"], rel=0.05) for count in counts.values())


@pytest.mark.parametrize(("book", "group"), GROUPS)
def test_the_variants_of_a_task_train_equally_long_on_equal_batches(book, group):
    mine = [config(each) for each in variants_of(book) if each.group == group]
    assert len({(c.task, c.train.batch, c.train.steps, c.train.evaluate_every) for c in mine}) == 1


@pytest.mark.parametrize("book", NETS)
def test_every_net_tried_the_same_settings_and_has_one_of_them(book):
    nets, search, fields = NETS[book]
    tried = {}
    for each in variants_of(search):
        tried.setdefault((each.group, each.experiment, each.settings), []).append(dict(each.varied))
    for group in {key[0] for key in tried}:
        found = [settings for key, settings in tried.items() if key[0] == group]
        assert len(found) == len(nets)
        assert all(settings == found[0] and settings[0].keys() == fields for settings in found)
        assert len(found[0]) == 3 * len(fields)
    chosen = [(a.group, a.experiment, tuple(p for p in a.settings if p[0] not in fields)) for a in variants_of(book)]
    assert chosen == list(tried)
    for each, settings in zip(variants_of(book), tried.values(), strict=True):
        assert {path: value for path, value in each.settings if path in fields} in settings


def test_each_net_has_the_setting_that_was_best_on_validation_by_the_published_records():
    """The highest mean accuracy; of equals the lower mean loss."""
    found = {}
    for each in variants_of("study_successors_rates"):
        records = [find_id(each.planned_run("quick", seed).run.path.name) for seed in range(2)]
        scores = [record.budgets[-1]["valid"] for record in records]
        worth = mean(s["accuracy"] for s in scores), -mean(s["loss"] for s in scores)
        found.setdefault((each.group, each.experiment), []).append((worth, dict(each.varied)))
    for each in variants_of("study_successors"):
        assert (
            max(found[each.group, each.experiment], key=lambda pair: pair[0])[1].items() <= dict(each.settings).items()
        )


def test_the_findings_about_the_successors_are_those_of_the_published_records():
    values = notebook_parameters.check(notebook_parameters.find("study_successors"), {"records": "published"})
    shown = Variants(values)
    found = {}
    for group in ("sequential", "permuted"):
        rows = shown[group].against("IndRNN", "test accuracy %").to_dict("records")
        assert [row["pairs"] for row in rows] == [5] * 5
        found[group] = {r["variant"]: "+-"[r["difference"] < 0] for r in rows if r["holm"] < LEVEL}
        means = {r["variant"]: r["difference"] for r in rows}
        if group == "sequential":
            assert max(means["LSTM"], means["GRU"]) < 0 < min(means["LRU"], means["S5"])
    assert found["sequential"] == {"minGRU": "-"}
    assert found["permuted"] == {"LSTM": "-", "GRU": "-", "LRU": "+", "minGRU": "-", "S5": "+"}
    highest = [dict(each.settings)["train.lr"] == 0.016 for each in variants_of("study_successors")]
    assert (sum(highest), len(highest)) == (10, 12)
