"""paper/treebank.py: every cell of Tables 3 and 4 with its printed number, its net of the published size."""

import csv
from types import SimpleNamespace

import pandas as pd
import pytest

from workbench import files, paper, tasks
from workbench.analysis import figures
from workbench.config import Config
from workbench.models.build import count_of
from workbench.paper import treebank
from workbench.tasks.treebank import batches_per_epoch

CELLS = {e.id: e for e in treebank.experiments()}
PRINTED = {  # our name -> model and setting in the tables
    "ptbchar_plain6_T50": ("IndRNN (6 layers)", "T=50"),
    "ptbchar_plain6_T150": ("IndRNN (6 layers)", "T=150"),
    "ptbchar_res21_T50": ("res-IndRNN (21 layers)", "T=50"),
    "ptbchar_res11_T150": ("res-IndRNN (11 layers)", "T=150"),
    "ptbchar_dense_T50": ("dense-IndRNN", "T=50"),
    "ptbchar_dense_T100": ("dense-IndRNN", "T=100"),
    "ptbchar_lstm": ("LSTM", ""),
    "ptbword_res": ("res-IndRNN (12 layers)", "T=50"),
    "ptbword_dense": ("dense-IndRNN", "T=50"),
    "ptbword_lstm": ("LSTM", ""),
}
COUNTS = {  # measured on the official nets
    "ptbchar_plain6": 24_248_050,
    "ptbchar_res21": 84_368_050,
    "ptbchar_res11": 44_288_050,
    "ptbchar_dense": 45_675_762,
    "ptbword_res": 48_501_600,
    "ptbword_dense": 51_655_712,
    "ptbword_plain6": 28_461_600,
}
SMALL = [name for name in CELLS if name.endswith("_small")]


def rows(stem):
    with (files.paper() / "tables" / f"{stem}.csv").open() as file:
        return list(csv.DictReader(file))


TABLE = [*rows("table3_ptb_char"), *rows("table4_ptb_word")]


def parameters(name):
    config = CELLS[name].config
    return count_of(config.model, tasks.spec(config.task))


def test_every_indrnn_row_of_tables_3_and_4_is_an_experiment_with_its_number():
    printed = {(r["model"], r["setting"]): float(r["value"]) for r in TABLE if r["source"].startswith("paper v2")}
    metric = {"char": treebank.BPC, "word": treebank.PERPLEXITY}
    for name, row in PRINTED.items():
        prefix = "PTB character" if CELLS[name].config.task.unit == "char" else "PTB word"
        value = [float(r["value"]) for r in TABLE if (r["model"], r["setting"]) == row and r["experiment"] == prefix]
        claim = CELLS[name].claims[0]
        assert claim.value in value
        assert claim.metric == metric[CELLS[name].config.task.unit]
        assert claim.ours == (row[0] != "LSTM")
        assert claim.source.endswith("quoted from others") != claim.ours
    ours = {(r["model"], r["setting"]) for r in TABLE if r["source"].startswith("paper v2") and r["ours"] == "True"}
    dynamic = ("dense-IndRNN + dynamic evaluation", "T=50")
    assert ours - set(PRINTED.values()) == {dynamic}
    (claim,) = [c for c in CELLS["ptbword_dense"].claims if c.metric == treebank.DYNAMIC and not c.log]
    assert claim.value == printed[dynamic]


def test_the_logs_numbers_are_the_logged_ones():
    logged = {float(r["value"]) for r in TABLE if r["source"].startswith("official log") and r["split"] == "test"}
    claims = [c.value for e in CELLS.values() for c in e.claims if c.log]
    assert sorted(claims) == [1.2497, 50.968, 56.37, 58.02]
    assert set(claims) <= logged


@pytest.mark.parametrize("name", [n for n in CELLS if n.split("_T")[0] in COUNTS])
def test_a_net_has_as_many_parameters_as_the_official_one(name):
    assert parameters(name) == COUNTS[name.split("_T")[0]]


@pytest.mark.parametrize("name", SMALL)
def test_small_rivals_have_equal_parameters_within_five_per_cent(name):
    for rival in ("lstm", "transformer", *(("lru", "mingru") if name == "ptbchar_small" else ())):
        assert parameters(f"{name}_{rival}") == pytest.approx(parameters(name), rel=0.05)


@pytest.mark.parametrize("name", [n for n in CELLS if "_small" not in n])
def test_an_evaluation_comes_after_each_pass_through_the_text(name):
    config = CELLS[name].config
    assert config.train.evaluate_every == round(batches_per_epoch(config.task, config.train.batch))


def test_settings_are_the_specifications():
    old, dense, res = (CELLS[n].config for n in ("ptbchar_plain6_T150", "ptbword_dense", "ptbword_res"))
    for config in (old, dense, res):
        train = config.train
        assert (train.batch, train.lr, train.weight_decay, train.factor, train.drops) == (128, 2e-4, 1e-4, 0.2, 4)
        assert (train.clamp, train.bn_statistics, train.clip) == ("after", "running", 10.0)
        assert (config.model.norm, config.model.norm_over) == ("before", "chunk" if config == old else "step")
    assert (old.task.chunks, old.task.length, old.model.u_max, old.model.dropout) == ("fixed", 150, 1.0, 0.25)
    assert (old.train.patience, old.train.decay_gains) == (50, True)
    assert (dense.task.chunks, dense.task.length, dense.model.u_max) == ("random", 50, 0.99)
    assert (dense.train.patience, dense.train.decay_gains, dense.model.norm_gain) == (200, False, 0.1)
    words = (0.2, 0.65, 0.65)
    for model in (dense.model, res.model):
        assert (model.dropout_words, model.dropout_input, model.dropout_head) == words
    assert (res.model.depth, res.model.dropout, res.model.dropout_last, res.model.norm_gain) == (5, 0.45, 0.5, 1.0)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_whole(name):
    known = paper.experiment(name)
    assert known.data == "ptb"
    smoke = known.at("smoke")[0]
    assert Config.parse(smoke.model_dump_json()) == smoke
    assert count_of(smoke.model, tasks.spec(smoke.task)) < 200_000


def test_curves_are_drawn_over_passes_through_the_text():
    known = CELLS["ptbchar_plain6_T50"]
    curve = pd.DataFrame({"step": [783, 1566], "valid_bpc": [4.3, 2.0]})
    record = SimpleNamespace(config=known.config, experiment=known.id, seed=0, curve=curve)
    ours, official = figures.passes([record], "valid_bpc", [known.id]).data
    assert list(ours.x) == [1, 2]
    assert (official.x[0], official.y[0]) == (1, 4.34639)  # the log's first pass
    assert official.x[-1] == 425  # and its last
