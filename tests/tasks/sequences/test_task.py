"""Sequences of one's own as a net meets them: parts, scaling, gaps, batches."""

import numpy as np
import pytest
import torch

from workbench import tasks
from workbench.errors import DataError, ParameterError
from workbench.tasks import sequences
from workbench.tasks.sequences import Scaling, Sequences, split

N = 40


def write(here, **arrays):
    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 2.0, (N, 9, 2)).astype(np.float32)
    x[:, :, 1] = 5.0  # a channel that never changes
    for row in range(N):
        x[row, 4 + row % 6 :] = np.nan
    held = {"x": x, "y": np.arange(N) % 4, "who": np.arange(N) // 4}
    np.savez(here / "d.npz", **(held | arrays))
    return held | arrays


def config(here, **fields):
    return Sequences(name="sequences", path=str(here / "d.npz"), **fields)


def test_every_sequence_is_in_one_part_and_the_test_is_that_of_every_seed(tmp_path):
    write(tmp_path)
    parts = [tasks.load(config(tmp_path), seed, 8).rows for seed in (0, 1)]
    for rows in parts:
        assert sorted(torch.cat(list(rows.values())).tolist()) == list(range(N))
        assert [len(rows[name]) for name in ("train", "valid", "test")] == [29, 3, 8]
        assert sorted((rows["test"] % 4).tolist()) == [0, 0, 1, 1, 2, 2, 3, 3], "evenly over the classes"
    assert torch.equal(parts[0]["test"], parts[1]["test"])
    assert not torch.equal(parts[0]["valid"], parts[1]["valid"])
    assert split.counts(sequences.found(config(tmp_path)), config(tmp_path)) == (29, 3, 29), "of every seed"
    other = tasks.load(config(tmp_path, split_seed=1), 0, 8).rows
    assert not torch.equal(parts[0]["test"], other["test"])


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_two_sides(seed, tmp_path):
    write(tmp_path)
    rows = tasks.load(config(tmp_path, group="who", split_seed=seed), seed, 8).rows
    sides = [set((rows[name] // 4).tolist()) for name in ("train", "valid", "test")]
    assert all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides)) == N // 4


@pytest.mark.parametrize("sizes", [[10] * 4, [8, 4, 2, 26], [1, 39], [30, 3, 3, 4], [*list(range(1, 8)), 12]])
def test_no_seed_leaves_fewer_to_learn_from_than_the_fewest(sizes, tmp_path):
    write(tmp_path, who=np.repeat(np.arange(len(sizes)), sizes))
    for share, limit in ((0.02, None), (0.1, None), (0.3, None), (0.1, 5)):
        asked = config(tmp_path, group="who", valid=share, test=0.0, limit=limit)
        content = sequences.found(asked)
        left = [len(split.parts(content, asked, seed)["train"]) for seed in range(300)]
        fewest = split.counts(content, asked)[2]
        assert 0 < fewest <= min(limit or N, min(left))
        if round(share * N) <= min(sizes):
            assert fewest == min(limit or N, min(left)), "where any one group is enough, a seed takes the largest"


def test_a_split_that_is_given_is_taken_and_a_group_on_two_sides_of_it_refused(tmp_path):
    names = np.array(["train"] * 24 + ["valid"] * 8 + ["test"] * 8)
    write(tmp_path, part=names)
    rows = tasks.load(config(tmp_path, split="part", group="who"), 0, 8).rows
    assert [rows[name].tolist() for name in ("train", "valid", "test")] == [
        list(range(24)),
        list(range(24, 32)),
        list(range(32, 40)),
    ]
    write(tmp_path, part=np.roll(names, 2))
    with pytest.raises(DataError, match="group '0' found in test and in train"):
        tasks.load(config(tmp_path, split="part", group="who"), 0, 8)
    write(tmp_path, part=np.where(names == "valid", "dev", names))
    with pytest.raises(DataError, match="split 'dev' found, one of train, valid, test expected"):
        tasks.load(config(tmp_path, split="part"), 0, 8)


def test_a_second_file_is_the_test(tmp_path):
    write(tmp_path)
    np.savez(tmp_path / "t.npz", x=np.zeros((3, 30, 2), np.float32), y=[3, 0, 1])
    task = tasks.load(config(tmp_path, test_path=str(tmp_path / "t.npz")), 0, 8)
    (batch,) = task.examples("test", 8)
    assert (len(task.rows["train"]), batch.y.tolist()) == (36, [3, 0, 1])
    assert task.spec.steps == 9, "the bound on u knows nothing of the test"
    assert tasks.data_hashes(task.config).keys() == {"data", "test"}


def test_channels_are_scaled_by_the_training_part_alone(tmp_path):
    held = write(tmp_path)
    task = tasks.load(config(tmp_path), 0, 8)
    known = held["x"][task.rows["train"].numpy()].astype(np.float64)
    np.testing.assert_allclose(task.scaling.mean, np.nanmean(known, (0, 1)), rtol=1e-12)
    np.testing.assert_allclose(task.scaling.deviation, [np.nanstd(known[..., 0]), 1.0], rtol=1e-12)
    assert task.drawn()["mean"] == task.scaling.mean.tolist()
    steps = torch.cat([b.x.flatten(0, 1)[(b.x != 0).any(-1).flatten()] for b in task.examples("train", 8)])
    torch.testing.assert_close(steps.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(steps[:, 0].std(correction=0), torch.tensor(1.0), atol=1e-5, rtol=0)
    x = held["x"].copy()
    x[task.rows["test"].numpy()] *= 1000  # what the test holds changes no training batch
    write(tmp_path, x=x)
    again = tasks.load(config(tmp_path), 0, 8)
    assert torch.equal(task.batch(0).x, again.batch(0).x)


def test_numbers_asked_for_are_scaled_by_the_training_part_alone(tmp_path):
    write(tmp_path, y=np.arange(N) ** 2.0)
    task = tasks.load(config(tmp_path, answer="real"), 0, 8)
    y = torch.cat([batch.y for batch in task.examples("train", 8)])
    torch.testing.assert_close(y.mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(y.square().mean(), torch.tensor(1.0))
    back = task.y * task.answer_scaling.deviation[0] + task.answer_scaling.mean[0]
    torch.testing.assert_close(back, torch.arange(N).float() ** 2, atol=1e-3, rtol=1e-6)


def test_a_sequence_scaled_by_itself_has_mean_0_and_deviation_1(tmp_path):
    write(tmp_path)
    task = tasks.load(config(tmp_path, scaling="sequence"), 0, 8)
    one = task.read(torch.tensor([5])).x[:, 0, 0]
    torch.testing.assert_close(one.mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(one.std(correction=0), torch.tensor(1.0))


@pytest.mark.parametrize("steps", [2, 3, 7])
def test_a_channel_without_a_value_in_a_sequence_scaled_by_itself_is_0(steps):
    scaling = Scaling(np.zeros(2), np.ones(2), np.array([0.1, 0.1]), sequence=True)
    values = np.stack([np.full(steps, np.nan), np.arange(steps)], 1).astype(np.float32)
    made = scaling.of(values)
    assert abs(made[:, 0]).max() < 1e-15
    np.testing.assert_allclose(made[:, 1].std(), 1, rtol=1e-6)


def test_gaps_are_filled_as_asked():
    values = np.array([[np.nan, 1], [2, np.nan], [np.nan, np.nan], [6, 4]], np.float32)
    none, one, fill = np.zeros(2), np.ones(2), np.array([10.0, 20.0])
    assert Scaling(none, one, fill).of(values).tolist() == [[10, 1], [2, 20], [10, 20], [6, 4]]
    assert Scaling(none, one, fill, previous=True).of(values).tolist() == [[10, 1], [2, 1], [2, 1], [6, 4]]
    assert Scaling(fill, 2 * one, fill).of(values).tolist() == [[0, -9.5], [-4, 0], [0, 0], [-2, -8]]


@pytest.mark.parametrize("scaling", ["training", "none"])
def test_missing_values_are_refused_or_become_the_training_mean(scaling, tmp_path):
    x = write(tmp_path)["x"]
    x[7, 2, 0] = np.nan
    write(tmp_path, x=x)
    with pytest.raises(DataError, match=r"sequence 7, step 2, channel 0: NaN found, a number expected; task.missing"):
        tasks.load(config(tmp_path), 0, 8)
    task = tasks.load(config(tmp_path, missing="mean", scaling=scaling), 0, 8)
    filled = task.read(torch.tensor([7])).x[2, 0, 0].item()
    assert filled == pytest.approx(0.0 if scaling == "training" else task.scaling.fill[0], abs=1e-6)
    x[7, 2, 0] = np.inf
    write(tmp_path, x=x)
    with pytest.raises(DataError, match="sequence 7, step 2, channel 0: inf found"):
        tasks.load(config(tmp_path, missing="mean"), 0, 8)


def test_an_epoch_shows_each_training_sequence_once_padded_with_0(tmp_path):
    held = write(tmp_path)
    task = tasks.load(config(tmp_path, scaling="none"), 0, 8)
    seen = []
    for step in range(task.batches_per_epoch):
        batch = task.batch(step)
        ends = torch.full((batch.x.shape[1],), len(batch.x)) if batch.lengths is None else batch.lengths
        for column, end in enumerate(ends.tolist()):
            assert not batch.x[end:, column].any()
            row = np.flatnonzero(held["x"][:, 0, 0] == batch.x[0, column, 0].item())
            seen += row.tolist()
            np.testing.assert_array_equal(batch.x[:end, column], held["x"][row[0], :end])
            assert batch.y[column] == held["y"][row[0]]
    assert sorted(seen) == task.rows["train"].tolist()
    assert not torch.equal(task.batch(0).x, task.batch(task.batches_per_epoch).x), "another order each epoch"
    assert torch.equal(task.batch(2).x, tasks.load(config(tmp_path, scaling="none"), 0, 8).batch(2).x)


def test_a_part_is_scored_by_length_and_a_limit_thins_it(tmp_path):
    write(tmp_path)
    task = tasks.load(config(tmp_path, limit=5), 0, 5)
    assert [len(rows) for rows in task.rows.values()] == [5, 3, 5]
    batches = list(task.examples("train", 2))
    assert [len(batch.y) for batch in batches] == [2, 2, 1]
    longest = [len(batch.x) for batch in batches]
    assert longest == sorted(longest)
    assert split.counts(task.content, task.config) == (5, 3, 5)


def test_only_the_first_steps_are_kept_where_no_more_are_wanted(tmp_path):
    held = write(tmp_path, each=np.where(np.arange(9) < 4 + np.arange(N)[:, None] % 6, np.arange(9), np.nan))
    content = sequences.found(config(tmp_path, longest=5))
    assert content.lengths.tolist() == [min(5, 4 + row % 6) for row in range(N)]
    np.testing.assert_array_equal(content.read(1), held["x"][1, :5])
    assert tasks.spec(config(tmp_path, longest=5)).steps == 5
    each = sequences.found(config(tmp_path, longest=5, target="each", answer="real", each_step=True))
    assert each.answers.tolist() == [step for row in range(N) for step in range(min(5, 4 + row % 6))]
    assert config(tmp_path).model_dump(exclude_defaults=True).keys() == {"name", "path"}, "ids of runs stay"


def test_classes_that_are_numbers_stand_in_their_order(tmp_path):
    write(tmp_path, y=np.array([10, 9, 2, 1])[np.arange(N) % 4])
    assert tasks.load(config(tmp_path), 0, 8).classes == ("1", "2", "9", "10")


@pytest.mark.parametrize(
    ("fields", "arrays", "words"),
    [
        ({}, {"y": np.zeros(N)}, "1 class found, at least 2 expected"),
        ({}, {"y": np.arange(N) / 7}, "40 classes among 40 answers found"),
        ({"valid": 0.0}, {}, "task.valid: 0.0 received"),
        ({"test": 0.0}, {}, "task.test: 0.0 received"),
        ({"group": "who"}, {"who": np.zeros(N)}, "one group alone found, '0'"),
        ({"target": "z"}, {}, r"task.target: 'z' received; .*d.npz has who, x, y"),
        ({"columns": ("a",)}, {}, r"task.columns: .* received; .npz has none"),
        ({"answer": "real"}, {"y": np.array(["a"] * N)}, "row 0: 'a' found, a finite number expected"),
        ({}, {"y": np.arange(3)}, r"answers: \(3,\) found, \(40,\) expected"),
        ({}, {"lengths": np.full(N, 10)}, "40 of up to 10 steps found, 40 of up to 9 expected"),
        ({}, {"lengths": np.zeros(N, int)}, "sequence 0: no steps found"),
    ],
)
def test_what_cannot_be_learnt_from_is_said(fields, arrays, words, tmp_path):
    write(tmp_path, **arrays)
    with pytest.raises((DataError, ParameterError), match=words):
        tasks.load(config(tmp_path, **fields), 0, 8)


def test_paths_are_absolute_whatever_the_folder_is_later(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Sequences(name="sequences", path="d.npz").path == str(tmp_path / "d.npz")


def test_arrays_on_disk_are_read_a_sequence_at_a_time(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(N, 9, 2)))
    np.save(tmp_path / "y.npy", np.arange(N) % 4)
    content = sequences.found(Sequences(name="sequences", path=str(tmp_path / "x.npy")))
    largest = []
    real = sequences.content.as_float32
    monkeypatch.setattr(sequences.arrays, "as_float32", lambda v: largest.append(v.size) or real(v))
    sequences.SequencesTask(content, Sequences(name="sequences"), 0, 8).batch(0)
    assert set(largest) == {9 * 2}
