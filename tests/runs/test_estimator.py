"""Estimators: scikit-learn's contract, every form of X, and the same bits as a run of the command line."""

import json
import pickle
import re
from pathlib import Path
from unittest import SkipTest

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator

import workbench as wb
from workbench.__main__ import main
from workbench.errors import ParameterError
from workbench.notebook import ready_sequences
from workbench.notebook.explorers import own_records
from workbench.runs import recipe
from workbench.runs.folder import Run
from workbench.runs.jobs import notebook_parameters
from workbench.tasks import sequences
from workbench.training import weights_sha256

SMALL = {"kind": "plain", "hidden": 16, "depth": 1, "dropout": 0.0, "epochs": 15, "patience": None, "valid": 0.0}
SMALL |= {"lr": 0.02, "device": "cpu", "random_state": 0, "progress": False}
CHECKED = [
    wb.IndRNNClassifier(**SMALL | {"hidden": 8, "epochs": 10, "lr": 0.03, "batch": 32}),
    wb.IndRNNRegressor(**SMALL | {"hidden": 32, "depth": 2, "epochs": 40, "lr": 0.01, "batch": 32}),
]


def rising(n=40, seed=0):
    """Noise (steps, 2) of 5 to 9 steps that rises or falls, and the word for it."""
    rng = np.random.default_rng(seed)
    y = np.array(["falls", "rises"])[np.arange(n) % 2]
    slopes = np.where(y == "rises", 1.0, -1.0)
    return [s * np.linspace(-1, 1, int(rng.integers(5, 10)))[:, None] + rng.normal(0, 0.3, (1, 2)) for s in slopes], y


@pytest.fixture(scope="module")
def fitted():
    return wb.IndRNNClassifier(**SMALL).fit(*rising())


@pytest.mark.parametrize("estimator", CHECKED, ids=lambda e: type(e).__name__)
def test_scikit_learn_finds_nothing_against_it(estimator):
    failed, skipped, count = {}, [], 0
    for one, check in estimator_checks_generator(estimator):
        count += 1
        try:
            check(one)
        except SkipTest:
            skipped.append(check.func.__name__)
        except Exception as error:
            failed[check.func.__name__] = f"{type(error).__name__}: {error}"
    assert failed == {}
    assert skipped == ["check_array_api_input"], "it asks for arrays of other libraries, by SCIPY_ARRAY_API"
    assert count > 50


def test_a_rise_is_told_from_a_fall(fitted):
    X, y = rising(60, seed=1)
    assert fitted.score(X, y) == 1.0
    assert fitted.classes_.tolist() == ["falls", "rises"]
    p = fitted.predict_proba(X)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
    assert (fitted.classes_[p.argmax(1)] == fitted.predict(X)).all()


def test_every_form_of_x_is_the_same_sequences(fitted):
    X, _ = rising(8, seed=2)
    wanted = fitted.predict_proba(X)
    padded = np.full((8, 9, 2), np.nan)
    for row, each in enumerate(X):
        padded[row, : len(each)] = each
    long = pd.concat({i: pd.DataFrame(each) for i, each in enumerate(X)})
    tensors = [torch.from_numpy(each) for each in X]
    for form in (padded, long, tensors, tuple(X), [each.tolist() for each in X], [pd.DataFrame(each) for each in X]):
        np.testing.assert_array_equal(fitted.predict_proba(form), wanted)


def test_two_dimensions_are_one_channel():
    x = np.random.default_rng(0).normal(size=(20, 7))
    y = np.arange(20) % 2
    one = wb.IndRNNClassifier(**SMALL).fit(x, y)
    other = wb.IndRNNClassifier(**SMALL).fit(x[:, :, None], y)
    assert one.n_channels_ == 1
    np.testing.assert_array_equal(one.predict_proba(x), other.predict_proba(x[:, :, None]))


def test_the_answer_of_a_sequence_does_not_hang_on_its_company(fitted):
    X, _ = rising(8, seed=3)
    alone = np.concatenate([fitted.predict_proba([each]) for each in X])
    np.testing.assert_allclose(fitted.predict_proba(X), alone, atol=1e-6)


def test_searches_pipelines_clones_and_pickles(fitted):
    X, y = rising()
    stacked = np.stack([each[:5] for each in X])
    pipeline = make_pipeline(FunctionTransformer(lambda x: 10 * x), wb.IndRNNClassifier(**SMALL))
    assert cross_val_score(pipeline, stacked, y, cv=2).min() > 0.8
    search = GridSearchCV(wb.IndRNNClassifier(**SMALL), {"hidden": [2, 4]}, cv=2).fit(stacked, y)
    assert search.best_params_["hidden"] in (2, 4)
    assert clone(fitted).get_params() == fitted.get_params()
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_the_seed_decides_everything(fitted):
    X, y = rising()
    again = wb.IndRNNClassifier(**SMALL).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    other = wb.IndRNNClassifier(**SMALL | {"random_state": 1}).fit(X, y)
    assert (other.predict_proba(X) != fitted.predict_proba(X)).any()


def test_settings_of_numpys_and_seeds_of_every_kind(capsys):
    x, y = np.random.default_rng(0).normal(size=(12, 5, 1)), np.arange(12) % 2

    def answers(**settings):
        net = wb.IndRNNClassifier(**SMALL | {"hidden": 2, "epochs": 2, "valid": 0.25} | settings).fit(x, y)
        assert not [column for column in net.curve_ if column.partition(".")[0] == "u"]
        return net.predict_proba(x).tolist()

    wanted = answers()
    assert answers(hidden=np.int64(2), lr=np.float64(0.02), random_state=np.int64(0)) == wanted
    drawn = int(np.random.RandomState(5).randint(2**31))
    assert answers(random_state=np.random.RandomState(5)) == answers(random_state=drawn) != wanted
    assert capsys.readouterr().err == ""


def test_what_is_asked_is_held_to_what_was_trained_on(fitted):
    for value, word in ((np.nan, "NaN"), (np.inf, "inf")):
        with pytest.raises(ParameterError, match=f"X: sequence 1, step 2, channel 0: {word} found, a .* expected"):
            fitted.predict([np.zeros((4, 2)), np.array([[0.0, 0.0], [0.0, 0.0], [value, 0.0], [0.0, 0.0]])])


@pytest.mark.parametrize("kind", [wb.IndRNNClassifier, wb.IndRNNRegressor])
def test_answers_and_groups_fit_the_sequences_and_one_sequence_is_too_few(kind):
    x, y = np.zeros((4, 3, 1)), [0.0, 1.0, 0.0, 1.0]
    for given, words in (
        ((x, [0.0, 1.0, 0.0, np.inf]), "y contains infinity"),
        ((x, y[:3]), "inconsistent numbers"),
        ((x, y, [1, 2, 3]), "inconsistent numbers"),
        ((x, y, [1, None, 3, 4]), "groups: row 1: "),
        ((x, np.ma.array(y, mask=[0, 0, 1, 0])), "y: row 2: masked; each sequence needs a value"),
        ((x, y, np.ma.array([1, 2, 3, 4], mask=[0, 1, 0, 0])), "groups: row 1: masked"),
        ((x[:1], y[:1]), "n_samples = 1 received|1 class received"),
    ):
        with pytest.raises(ValueError, match=words):
            kind(**SMALL).fit(*given)


def test_a_number_is_learnt_in_its_own_unit():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(int(rng.integers(4, 8)), 1)) for _ in range(120)]
    y = np.array([1000 + 50 * each.sum() for each in X])
    net = wb.IndRNNRegressor(**SMALL | {"epochs": 40}).fit(X[:90], y[:90])
    assert net.score(X[90:], y[90:]) > 0.8
    assert abs(net.predict(X).mean() - 1000) < 30


def test_a_fit_forgets_the_one_before_and_leaves_all_as_it_was_if_it_fails(monkeypatch):
    x, settings = np.random.default_rng(0).normal(size=(12, 5, 1)), SMALL | {"hidden": 2, "epochs": 1}
    net = wb.IndRNNClassifier(**settings).fit(x[:, :, 0], np.arange(12) % 2)
    net.fit(x, pd.Series([True, False] * 6, dtype="boolean"))
    assert not hasattr(net, "n_features_in_")
    wanted = net.predict(x[:, :3, 0])
    assert net.classes_.dtype == wanted.dtype == bool
    with pytest.raises(ValueError, match="inconsistent numbers"):
        net.fit(x, ["a", "b"])

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.training.Trainer.advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.fit(x + 9, ["a", "b"] * 6)
    np.testing.assert_array_equal(net.predict(x[:, :3, 0]), wanted)
    with pytest.raises(KeyboardInterrupt):
        (new := clone(net)).fit(x, ["a", "b"] * 6)
    with pytest.raises(NotFittedError):
        new.predict(x)


def test_a_table_has_the_channels_it_was_fitted_on_and_its_answers_in_the_order_of_its_sequences():
    X, y = rising(6)
    table = pd.concat({f"s{5 - i}": pd.DataFrame(each, columns=["a", "b"]) for i, each in enumerate(X)})
    answers = pd.Series(y, index=[f"s{5 - i}" for i in range(6)])
    net = wb.IndRNNClassifier(**SMALL | {"epochs": 1}).fit(table, answers)
    with pytest.raises(ValueError, match="same order"):
        net.predict(table[["b", "a"]])
    with pytest.raises(ParameterError, match="y: its index names the sequences in another order"):
        net.fit(table, answers.sort_index())
    with pytest.raises(ParameterError, match="groups: its index names the sequences in another order"):
        net.fit(table, answers, groups=answers.sort_index())


def test_an_answer_that_is_no_number_is_refused(fitted):
    X, _ = rising(3, seed=4)
    with pytest.raises(ParameterError, match="sequence 1: its answer is no finite number: its 9000 steps are too many"):
        fitted.predict([X[0], np.full((9000, 2), 3.0), X[1]])


def test_training_stops_early_where_what_is_held_out_gets_no_better():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 6, 1)), rng.integers(0, 2, 40)  # nothing to be learnt
    settings = SMALL | {"epochs": 60, "valid": 0.25, "patience": 3}
    net = wb.IndRNNClassifier(**settings).fit(X, y)
    losses = net.curve_["valid.loss"].to_numpy()
    assert 3 < len(losses) < 60
    assert losses.argmin() == len(losses) - 4, "three evaluations without a lower loss end it"
    best = wb.IndRNNClassifier(**settings | {"patience": None}).fit(X, y)
    assert len(best.curve_) == 60


def test_a_group_is_held_out_whole():
    X, y = rising()
    groups = np.arange(40) // 4
    settings = SMALL | {"valid": 0.2, "patience": 5, "epochs": 3}
    net = wb.IndRNNClassifier(**settings).fit(X, y, groups=groups)
    assert net.curve_["valid.n"].iloc[0] == 8
    scores = cross_val_score(net, X, y, groups=groups, cv=GroupKFold(2))
    assert len(scores) == 2


@pytest.mark.parametrize("seed", range(8))
def test_few_large_groups_leave_whole_batches_whichever_is_held_out(seed):
    X, y = rising(14)
    groups = np.repeat(["many", "some", "few"], [8, 4, 2])
    net = wb.IndRNNClassifier(**SMALL | {"valid": 0.1, "epochs": 2, "random_state": seed}).fit(X, y, groups=groups)
    assert net.config_.train.batch == 6, "14 less the largest group"
    assert net.curve_["valid.n"].iloc[0] in (2, 4, 8)


@pytest.mark.parametrize("kind", ["lstm", "mingru", "bidirectional"])
def test_other_nets_are_fitted_alike(kind):
    X, y = rising()
    net = wb.IndRNNClassifier(**SMALL | {"kind": kind, "gamma": 1.5 if kind == "bidirectional" else 2.0}).fit(X, y)
    assert net.config_.model.kind == kind
    assert net.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        ([np.zeros((3, 2)), np.zeros((3, 1))], [0, 1], "sequence 1: 1 channels received; the first has 2"),
        ([np.zeros((3, 2)), np.full((3, 2), np.inf)], [0, 1], "sequence 1, step 0, channel 0: inf found"),
        ([np.zeros((3, 2)), np.zeros((0, 2))], [0, 1], r"sequence 1: \(0, 2\) of float64"),
        ([np.zeros((3, 2)), np.array([["a", "b"]])], [0, 1], r"sequence 1: \(1, 2\) of <U1"),
        (np.zeros((3, 2, 0)), [0, 1, 0], r"X: \(3, 2, 0\) of float64 received"),
        (np.zeros((3, 4)), [1, 1, 1], "y: 1 class received"),
        (np.zeros((3, 4)), None, "requires y to be passed"),
        (np.zeros((3, 4)), ["a", None, "b"], "y contains NaN: None in row 1"),
        (np.zeros((3, 4)), pd.Series(["a", pd.NA, "b"], dtype="string"), "y contains NaN: .* in row 1"),
        (np.full((3, 4, 1), [[[1.0], [np.nan], [2.0], [3.0]]]), [0, 1, 0], "expected; missing='mean' or"),
    ],
)
def test_what_cannot_be_read_is_said(X, y, words):
    with pytest.raises(ParameterError, match=words):
        wb.IndRNNClassifier(**SMALL).fit(X, y)


@pytest.mark.parametrize("y", [["a", "b", "c"], np.array(["2020-01-01"] * 3, "M8[D]"), [1.0, None, 2.0]])
def test_answers_that_are_no_numbers_are_refused(y):
    with pytest.raises(
        ParameterError, match=r"y: row 0: .* found, a finite number|y contains NaN: (nan|None) in row 1"
    ):
        wb.IndRNNRegressor(**SMALL).fit(np.zeros((3, 4)), y)


def test_other_channels_than_it_was_trained_on_are_refused(fitted):
    with pytest.raises(ParameterError, match="3 channels received; 2 were trained on"):
        fitted.predict(np.zeros((2, 5, 3)))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("kind", "plane", "kind: 'plane' received"),
        ("hidden", 0, "hidden: 0 received"),
        ("lr", "fast", "lr: 'fast' received"),
        ("valid", 2.0, "valid: 2.0 received"),
        ("missing", "zero", "missing: 'zero' received"),
        ("device", "tpu", "device: 'tpu' is unknown"),
        ("epochs", 0, "epochs: 0 received"),
        ("net", {"hiden": 3}, "hiden: no such field"),
        ("net", {"hidden": 3}, "net: .* received; hidden is a parameter of its own"),
        ("net", {"kind": "lstm", "hidden": 3}, "net: .* received; hidden is a parameter of its own"),
        ("net", {"kind": "lstm"}, "net: .* received; kind is a parameter of its own"),
        ("net", "none", "net: 'none' received; a mapping is needed"),
        ("random_state", -1, "random_state: -1 is not a seed"),
        ("patience", 2, "patience: 2 received; nothing is held out"),
    ],
)
def test_a_wrong_setting_is_said_by_name(field, value, words):
    with pytest.raises(ParameterError, match=words):
        wb.IndRNNClassifier(**SMALL | {field: value}).fit(*rising())


@pytest.fixture
def two_files(tmp_path):
    """A training and a test file of the UEA archive's form, and what is in them."""
    found = {"train": rising(), "test": rising(30, seed=1)}
    for name, (X, y) in found.items():
        lines = [":".join(",".join(map(repr, c)) for c in x.T.tolist()) + f":{w}" for x, w in zip(X, y, strict=True)]
        head = "@classLabel true falls rises\n@data\n"
        (tmp_path / f"{name}.ts").write_text(head + "\n".join(lines) + "\n")
    return str(tmp_path / "train.ts"), str(tmp_path / "test.ts"), found


def test_the_command_line_trains_the_same_net_to_the_last_bit(two_files, store, capsys):
    train, test, found = two_files
    command = ["run", train, "--set", f"task.test_path={test}", "--seed", "3"]
    command += ["--set", "model.hidden=8", "--set", "train.early_stop=5", "--device", "cpu", "--json"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    record = wb.Record(Run(store / "runs" / told["id"]))
    net = wb.IndRNNClassifier(hidden=8, patience=5, random_state=3, device="cpu", progress=False).fit(*found["train"])
    assert weights_sha256(net.net_) == weights_sha256(record.net())
    assert net.score(*found["test"]) == told["test_accuracy"]
    assert told["experiment"] == "train.ts"
    data = sequences.hashes(sequences.Sequences(name="sequences", path=train))
    assert data == {"data": record.spec["data"]["data"]}


def test_japanese_vowels_are_learnt_alike_by_estimator_command_line_and_notebook(store, real_data, capsys):
    places = ready_sequences.ready("japanese_vowels")
    assert (
        main(["run", places["path"], "--set", f"task.test_path={places['test_path']}", "--device", "cpu", "--json"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    read = [sequences.found(sequences.Sequences(name="sequences", path=path)) for path in places.values()]
    (X, y), test = (([each.read(row) for row in range(len(each.lengths))], each.answers) for each in read)
    net = wb.IndRNNClassifier(random_state=0, device="cpu", progress=False).fit(X, y)
    record = wb.Record(Run(store / "runs" / told["id"]))
    assert weights_sha256(net.net_) == weights_sha256(record.net())
    assert net.score(*test) == told["test_accuracy"] > 0.97
    asked = {"path": "japanese_vowels", "model": "bidirectional", "against": [], "device": "cpu"}
    mine = wb.SequenceStudy(notebook_parameters.check(notebook_parameters.find("your_sequences"), asked))
    assert mine.records["bidirectional"][0].id == record.id
    assert mine.table()["test"].iloc[0] == 100 * told["test_accuracy"]


def test_what_the_page_says_gives_an_estimators_net_a_record_that_explorers_take(tmp_path, store, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (X, y), part = rising(), np.where(np.arange(40) % 4 == 0, "test", "train")
    net = wb.IndRNNClassifier(random_state=0, progress=False).fit(
        [X[i] for i in np.flatnonzero(part == "train")], y[part == "train"]
    )
    page = (
        (Path(__file__).parents[2] / "SEQUENCES.md")
        .read_text(encoding="utf-8")
        .split("An estimator leaves no record.")[1]
    )
    save, train = re.findall(r"`((?:np\.savez|wb\.run)\(.*\))`", page)
    eval(save, {"np": np, "X": X, "y": y, "part": part})
    record = eval(train, {"wb": wb})
    assert weights_sha256(record.net()) == weights_sha256(net.net_)
    assert own_records.look_again()["mine.npz"].id == record.id


def test_the_notebook_trains_the_same_net_to_the_last_bit(two_files, store):
    train, test, found = two_files
    asked = {"path": train, "test_path": test, "model": "bidirectional", "against": [], "device": "cpu", "epochs": 5}
    mine = wb.SequenceStudy(notebook_parameters.check(notebook_parameters.find("your_sequences"), asked))
    net = wb.IndRNNClassifier(random_state=0, device="cpu", epochs=5, progress=False).fit(*found["train"])
    assert weights_sha256(net.net_) == weights_sha256(mine.net)
    assert mine.table()["test"].iloc[0] == 100 * net.score(*found["test"])
    config = recipe.of_file(train, {"task.test_path": test, "train.steps": mine.config.train.steps})
    assert config == mine.config, "what the command line trains"
    assert mine.records["bidirectional"][0].experiment == "train.ts"
