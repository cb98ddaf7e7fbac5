"""Configs: both ways through JSON, changed by path, named by content."""

import pytest

from workbench import paper
from workbench.config import Config, canonical_json, parse_json, parse_value, run_id
from workbench.errors import ParameterError

CONFIG = paper.experiment("seqmnist_plain6").config


def test_json_goes_both_ways():
    assert Config.parse(CONFIG.model_dump_json()) == CONFIG


def test_fields_change_by_path_and_the_original_stays():
    changed = CONFIG.set({"model.hidden": 64, "train.lr": 1e-3, "task.permuted": True})
    assert (changed.model.hidden, changed.train.lr, changed.task.permuted) == (64, 1e-3, True)
    assert CONFIG.model.hidden == 128


@pytest.mark.parametrize("name", paper.EXPERIMENTS)
def test_every_field_that_differs_gives_another_id(name):
    config = paper.experiment(name).config
    ids = {run_id(config, 0, {})}
    size = "model.growth" if config.model.kind == "dense" else "model.depth"
    changes = {"train.batch": 7, "train.lr": 0.123, size: 9, "model.dropout": 0.77, "train.clip": 0.5}
    ids |= {run_id(config.set({path: value}), 0, {}) for path, value in changes.items()}
    assert len(ids) == 1 + len(changes)


def test_the_id_does_not_depend_on_how_a_number_was_written():
    assert run_id(CONFIG.set({"train.lr": 2e-4}), 0, {}) == run_id(CONFIG.set({"train.lr": 0.0002}), 0, {})
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'


def test_values_on_a_command_line_are_json_or_text():
    assert [parse_value(t) for t in ("3", "0.5", "true", "null", "relu", "007")] == [3, 0.5, True, None, "relu", "007"]


def test_a_key_that_stands_twice_is_refused():
    with pytest.raises(ParameterError, match="the key 'a' stands twice"):
        parse_json('{"a": 1, "a": 2}', "x.json")


def test_a_wrong_field_offers_the_right_one():
    with pytest.raises(ParameterError, match=r"model\.hiden: no such field; did you mean model\.hidden\?"):
        CONFIG.set({"model.hiden": 3})


@pytest.mark.parametrize(
    ("experiment", "changes", "said"),
    [
        ("adding_indrnn_T100", {"train.wrap_test": True}, "train.wrap_test has no meaning for task 'adding'"),
        ("ptbchar_small", {"model.embedding": None}, "model.embedding: a value is needed where the task is treebank"),
        ("seqmnist_plain6", {"model.embedding": 4}, "model.embedding has no meaning for task 'pixels'"),
        ("seqmnist_plain6", {"model.u_max": 1.0}, "gamma and u_max both bound u; give one"),
        ("adding_indrnn_T100", {"model.norm_gain": 0.5}, "norm_over and norm_gain have no meaning without norm"),
        (
            "ptbchar_small",
            {"model.tied": False, "model.dropout_head": 0.5},
            "dropout_head has no meaning where nothing is tied",
        ),
    ],
)
def test_a_field_that_would_do_nothing_is_refused(experiment, changes, said):
    with pytest.raises(ParameterError, match=said):
        paper.experiment(experiment).config.set(changes)


def test_a_language_nets_batch_norm_needs_running_statistics():
    config = paper.experiment("ptbchar_small").config
    normed = {"model.norm": "after", "train.bn_statistics": "test"}
    with pytest.raises(ParameterError, match=r"train\.bn_statistics: 'running' is needed for the batch norm"):
        config.set(normed)
