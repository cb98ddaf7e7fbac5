"""The study of sequences of one's own, on a small table of two classes told apart by the way they turn."""

import numpy as np
import pandas as pd
import pytest
import torch

import workbench as wb
from workbench import tasks
from workbench.analysis import sequences
from workbench.errors import MissingData, ParameterError
from workbench.notebook import ready_sequences
from workbench.runs.jobs import notebook_parameters

pytest.importorskip("safetensors")


def motions(path, copies=0):
    """60 turns to the left or right, of 6 people; `copies` of one person's turns are given to another."""
    rng, rows = np.random.default_rng(0), []
    for motion in range(60):
        turn = 1 if motion % 2 else -1
        angle = rng.uniform(0, 6) + turn * np.arange(rng.integers(8, 14)) / 3
        values = np.stack([np.cos(angle), np.sin(angle)], 1).round(6)
        for other in range(1 + (motion < copies)):
            person = f"p{(motion + other) % 6}"
            rows += [
                (f"{motion}.{other}", person, t, *xy, "left" if turn > 0 else "right") for t, xy in enumerate(values)
            ]
    pd.DataFrame(rows, columns=["motion", "person", "t", "x", "y", "way"]).to_csv(path, index=False)
    return str(path)


def study(path, **given):
    values = {"path": path, "target": "way", "sequence": "motion", "time": "t", "group": "person", "budget": "smoke"}
    values |= {"against": ["lstm", "linear"], "step": 0.5, "unit": "s"} | given
    return wb.SequenceStudy(notebook_parameters.check(notebook_parameters.find("your_sequences"), values))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RESULTS", str(root / "results"))
        found = study(motions(root / "motions.csv"))
        assert found.table() is not None
        yield found


def test_all_kinds_are_trained_alike_with_about_as_many_parameters(made):
    table = made.table()
    assert list(table.index) == ["IndRNN", "LSTM", "linear"]
    first, second = table["parameters"].iloc[:2]
    assert abs(second - first) < 0.15 * first
    assert {config.train.steps for config in made.configs.values()} == {made.config.train.steps}
    assert table["low"].iloc[0] < table["test"].iloc[0] <= table["high"].iloc[0]


def test_the_parts_share_no_group_and_are_described_in_steps_and_in_the_unit(made):
    data = made.data()
    assert data["sequences"].sum() == 60
    assert data["groups"].sum() == 6
    assert data.loc["train", "longest, s"] == data.loc["train", "longest, steps"] / 2
    assert made.leaks()["may give it away"].tolist() == [False] * 4


def test_a_sequence_on_both_sides_is_found(tmp_path, store):
    found = study(motions(tmp_path / "copied.csv", copies=12)).leaks()
    row = found.loc["test sequences that training has too, value for value"]
    assert bool(row["may give it away"])
    assert int(row["found"].split(" ")[0]) > 0


def test_an_answer_that_the_length_gives_is_found(tmp_path, store):
    x, y = np.full((40, 9), np.nan), np.arange(40) % 2
    for row, answer in enumerate(y):
        x[row, : 4 + 5 * answer] = np.random.default_rng(row).normal(size=4 + 5 * answer)
    np.savez(tmp_path / "lengths.npz", x=x, y=y)
    asked = {"target": "", "sequence": "", "time": "", "group": "", "against": []}
    mine = study(str(tmp_path / "lengths.npz"), **asked)
    assert sequences.guesses(mine.task)[0] == 1.0
    assert bool(mine.leaks().loc["the answer from the number of steps alone", "may give it away"])


def test_the_confusion_matrix_counts_every_test_answer_once_and_its_diagonal_is_the_score(made):
    counts = sequences.confusion(made.net, made.task)
    assert list(counts.index) == list(counts.columns) == ["left", "right"]
    assert counts.to_numpy().sum() == len(made.task.rows["test"])
    accuracy = made.records["plain"][0].budgets[-1]["test"]["accuracy"]
    assert np.trace(counts.to_numpy()) / counts.to_numpy().sum() == pytest.approx(accuracy)


def test_the_steps_contributions_add_up_to_the_answer(made):
    x, answered, words = made.example(0)
    assert "test sequence 0: answered" in words
    found = made.contributions(0)
    with torch.no_grad():
        total = float(made.net(x)[0, answered] - made.net(torch.zeros_like(x))[0, answered])
    assert sum(found.data[-1].y) == pytest.approx(total, abs=0.05 * max(1, abs(total)))


def test_every_time_axis_has_the_users_unit(made):
    titles = [made.lengths().layout.xaxis.title.text, made.weights().layout.yaxis.title.text]
    titles += [made.memory().layout.xaxis.title.text, made.contributions(0).layout.xaxis2.title.text]
    assert all(title.endswith(", s") for title in titles), titles
    assert list(made.contributions(0).data[0].x[:3]) == [0.0, 0.5, 1.0]


def test_the_net_that_is_taken_away_reads_raw_values_and_names_its_answers(made):
    net = wb.pretrained(made.export())
    assert net.card.classes == ("left", "right")
    assert net.card.name == "motions_plain"
    row = int(made.task.rows["test"][0])
    raw = torch.from_numpy(made.task.content.read(row)).unsqueeze(1)
    scaled = raw * torch.tensor(net.card.scaler.scale) + torch.tensor(net.card.scaler.shift)
    torch.testing.assert_close(net(scaled.float()), made.net(made.example(0)[0]), rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_is_named(made, tmp_path, store):
    with pytest.raises(ParameterError, match="model: 'transformers' received; choose among"):
        study(made.values["path"], model="transformers")
    with pytest.raises(ParameterError, match="example: 99 received; the test has sequences 0 to"):
        made.contributions(99)


def test_where_a_figure_has_nothing_to_show_it_says_so_and_the_cells_below_are_run(made, tmp_path):
    said = [study(made.values["path"], model="linear", against=[]).weights()]
    table = pd.read_csv(made.values["path"])
    table["way"] = table.groupby("motion")["x"].transform("mean")
    table.to_csv(tmp_path / "numbers.csv", index=False)
    said.append(study(str(tmp_path / "numbers.csv"), answer="real", against=[]).confusion())
    assert ["no recurrent weight" in said[0].layout.annotations[0].text, len(said[0].data)] == [True, 0]
    assert ["no classes" in said[1].layout.annotations[0].text, len(said[1].data)] == [True, 0]


def test_without_a_path_there_is_an_example_at_hand(store, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(store.parent))
    monkeypatch.setattr(ready_sequences.download, "cache", lambda: store / "nothing")
    assert ready_sequences.ready("") == {"path": str(store / "examples" / "digits.npz")}
    with np.load(store / "examples" / "digits.npz") as found:
        assert found["x"].shape == (1797, 8, 8)
    with pytest.raises(MissingData, match=r"JapaneseVowels_TRAIN\.ts and .* in the folder japanese_vowels"):
        ready_sequences.ready("japanese_vowels")


@pytest.mark.parametrize(
    ("name", "parts", "longest"),
    [("japanese_vowels", (270, 370), 29), ("utd_mhad", (431, 430), 125), ("spoken_digits", (2700, 300), 18262)],
)
def test_a_ready_example_is_its_data_set(name, parts, longest, store, real_data):
    asked = dict.fromkeys(("target", "group", "sequence", "time"), "")
    made = study(name, against=[], step=1.0, unit="steps", **asked)
    known = made.config.task.model_copy(update={"limit": None})
    task = tasks.load(known, 0, 16)
    assert (len(task.rows["train"]) + len(task.rows["valid"]), len(task.rows["test"])) == parts
    assert int(task.lengths.max()) == longest
    assert made.leaks().loc["test sequences that training has too, value for value", "found"].startswith("0 of")
    if name == "utd_mhad":
        assert made.table()["parameters"].iloc[0] > 0
        assert made.lengths().layout.xaxis.title.text.endswith(", s")
