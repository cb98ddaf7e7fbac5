"""Skeletons as a task: splits, samplings, features; NTU on made files, UTD-MHAD on the real ones where they are."""

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from skeleton_files import clip

from workbench import tasks
from workbench.config import Config, Model, Skeletons, Train
from workbench.errors import DataError, MissingData, ParameterError
from workbench.tasks import download, skeletons
from workbench.tasks.skeletons import features, ntu_names, utd
from workbench.tasks.skeletons.clips import Clips
from workbench.tasks.skeletons.ntu_names import Name
from workbench.tasks.skeletons.task import HELD_OUT

PERFORMED = [Name(1, camera, performer, 1, 1) for camera in (1, 2, 3) for performer in (1, 2, 3, 6, 7, 8)]


def ntu(**options):
    return Skeletons(**{"name": "skeletons", "limit": 50, **options})


def made_utd(**options):
    return Skeletons(**{"name": "skeletons", "source": "utd_mhad", **options})


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """Eighteen recordings of NTU 60 where data are looked for, and lists of a name each."""
    monkeypatch.setattr(download, "cache", lambda: tmp_path / "cache")
    folder = tmp_path / "data" / "ntu"
    folder.mkdir(parents=True)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    files = {}
    for source, (file, _) in ntu_names.LISTS.items():
        (folder / file).write_text("prose\nmore\n\nS001C001P003R002A013\n")
        files[file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        monkeypatch.setitem(ntu_names.LISTS, source, (file, 1))
    monkeypatch.setitem(download.SETS, "ntu", download.DataSet(**{**vars(download.SETS["ntu"]), "files": files}))
    for seed, name in enumerate(PERFORMED):
        (folder / f"{name}.skeleton").write_text(clip(30 + 4 * seed, seed))
    return folder


@pytest.fixture
def few(monkeypatch):
    """UTD-MHAD in the small: eight subjects, three actions, made up."""
    length = np.array([41 + i for i in range(24)])
    rng = np.random.default_rng(0)
    frames = rng.normal(0, 1, (length.sum(), 1, 20, 3)).astype(np.float32)
    label, subject = np.arange(24) % 3, np.arange(24) // 3 + 1
    made = Clips("few", [f"clip{i}" for i in range(24)], frames, np.cumsum(length) - length, length, label)
    monkeypatch.setattr(utd, "clips", lambda: (made, subject))
    return made, subject


@pytest.fixture
def real_utd():
    """The folder of UTD-MHAD; the test is skipped where there is none."""
    folder = Path(os.environ.get("WORKBENCH_DATA", "")) / "utd_mhad"
    if not (folder / "skeletons.npy.xz").is_file():
        pytest.skip("WORKBENCH_DATA names no folder with utd_mhad/")
    return folder


# --- the net's view ---


def test_inputs_and_outputs_are_the_papers():
    assert skeletons.spec(ntu()) == tasks.Spec(150, 60, 20, "class")
    assert skeletons.spec(ntu(geometry=True)) == tasks.Spec(1_944, 60, 20, "class")
    assert skeletons.spec(ntu(source="ntu120")).outputs == 120
    assert skeletons.spec(made_utd()) == tasks.Spec(60, 27, 20, "class")
    assert skeletons.spec(made_utd(differences=True)).inputs == 120


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"source": "ntu60", "protocol": "setup"}, "protocol: 'setup' received; ntu60 has subject or view"),
        ({"source": "ntu120", "protocol": "view"}, "ntu120 has subject or setup"),
        ({"source": "utd_mhad", "protocol": "view"}, "utd_mhad has subject"),
        ({"source": "utd_mhad", "geometry": True}, "geometry has no meaning for source 'utd_mhad'"),
        ({"samplings": 0}, "samplings: 0"),
        ({"turn": 181.0}, "turn: 181.0"),
        ({"scale": 1.0}, "scale: 1.0"),
        ({"random_length": "sometimes"}, "random_length: 'sometimes'"),
    ],
)
def test_what_a_source_does_not_have_is_refused(options, says):
    with pytest.raises(ParameterError, match=says):
        ntu(**options)


# --- NTU RGB+D on made files ---


def test_subjects_and_cameras_are_split_and_a_twentieth_held_out(recordings):
    by_subject, by_view = skeletons.task(ntu(), 0, 2), skeletons.task(ntu(protocol="view"), 0, 2)
    assert {k: len(v) for k, v in by_subject.rows.items()} == {"train": 8, "valid": 1, "test": 9}
    assert {k: len(v) for k, v in by_view.rows.items()} == {"train": 11, "valid": 1, "test": 6}
    for task, field, tested in ((by_subject, "performer", {3, 6, 7}), (by_view, "camera", {1})):
        assert {getattr(ntu_names.parse(task.clips.names[row]), field) for row in task.rows["test"]} == tested
        rows = torch.cat(list(task.rows.values()))
        assert sorted(rows.tolist()) == list(range(18))


def test_the_held_out_clips_come_from_the_seed(recordings):
    held_out = [tuple(skeletons.task(ntu(), seed, 2).drawn()["valid"]) for seed in (0, 0, 1, 2, 3)]
    assert held_out[0] == held_out[1]
    assert len(set(held_out)) > 1


def test_how_many_are_held_out_is_as_published():
    assert [n - int(n * (1 - HELD_OUT)) for n in (40_091, 37_646)] == [2_005, 1_883]


def test_a_batch_has_both_bodies_as_150_numbers(recordings):
    task = skeletons.task(ntu(), 0, 4)
    batch = task.batch(0)
    assert batch.x.shape == (20, 4, 150)
    assert batch.x[..., :75].any()
    assert not batch.x[..., 75:].any()  # no second body
    assert batch.y.tolist() == [0] * 4
    assert skeletons.task(ntu(geometry=True), 0, 4).batch(0).x.shape == (20, 4, 1_944)


def test_without_a_limit_every_recording_must_be_there(recordings):
    with pytest.raises(MissingData, match=r"56,861 of 56,879 recordings are missing, S001C001P001R001A002\.skeleton"):
        skeletons.task(ntu(limit=None), 0, 2)


def test_a_limit_reads_only_the_clips_it_keeps(recordings):
    task = skeletons.task(ntu(limit=2), 0, 2)
    assert {k: len(v) for k, v in task.rows.items()} == {"train": 2, "valid": 1, "test": 2}
    assert len(task.clips.names) == 5
    whole = skeletons.task(ntu(), 0, 2)
    for split, rows in task.rows.items():
        kept = [whole.clips.names[row] for row in whole.rows[split][:2]]
        assert [task.clips.names[row] for row in rows] == kept


def test_without_recordings_the_line_says_what_to_ask_for(recordings):
    for path in recordings.glob("*.skeleton"):
        path.unlink()
    with pytest.raises(MissingData, match=r"ntu: no \*\.skeleton in .*; ask for nturgbd_skeletons_s001_to_s017\.zip"):
        skeletons.task(ntu(), 0, 2)
    assert not download.obtainable("ntu")


def test_a_list_that_is_absent_is_an_error(recordings):
    (recordings / ntu_names.LISTS["ntu60"][0]).unlink()
    with pytest.raises(DataError, match=r"NTU_RGBD_samples_with_missing_skeletons\.txt: missing; get it from https"):
        skeletons.task(ntu(), 0, 2)


def test_ntu_120_needs_its_own_setups(recordings):
    with pytest.raises(DataError, match="no clip for train by setup"):
        skeletons.task(ntu(source="ntu120", protocol="setup"), 0, 2)


# --- batches ---


def test_batches_are_pure_functions_of_seed_and_step(few):
    first, second = skeletons.task(made_utd(turn=20.0), 0, 4), skeletons.task(made_utd(turn=20.0), 0, 4)
    second.batch(7)
    for step in (0, 2, 3):
        torch.testing.assert_close(first.batch(step).x, second.batch(step).x, rtol=0, atol=0)
    assert not torch.equal(first.batch(0).x, skeletons.task(made_utd(turn=20.0), 4, 4).batch(0).x)
    assert not torch.equal(first.batch(0).x, first.clean(0).x)


def test_every_training_clip_comes_once_an_epoch(few):
    task = skeletons.task(made_utd(), 0, 2)
    task.clips.frames[:] = np.repeat(np.arange(24), task.clips.length)[:, None, None, None]
    n = len(task.rows["train"])
    assert n == 9
    shown = torch.cat([task.batch(step).x[0, :, 0] for step in range(9)])
    for epoch in range(2):
        assert sorted(shown[epoch * n : (epoch + 1) * n].tolist()) == task.rows["train"].tolist()


def test_the_seed_says_which_training_subject_is_left_out(few):
    for seed, subject in enumerate((1, 3, 5, 7, 1)):
        task = skeletons.task(made_utd(), seed, 2)
        assert task.drawn() == {"valid_subject": subject}
        assert set(few[1][task.rows["valid"]]) == {subject}
        assert set(few[1][task.rows["train"]]) == {1, 3, 5, 7} - {subject}
        assert set(few[1][task.rows["test"]]) == {2, 4, 6, 8}


def test_test_clips_are_sampled_twenty_times_side_by_side(few):
    task = skeletons.task(made_utd(samplings=7), 0, 2)
    task.clips.frames[:] = np.repeat(np.arange(24), task.clips.length)[:, None, None, None]
    batches = list(task.examples("test", 5))
    assert [len(b.y) for b in batches] == [5, 5, 2]
    for batch in batches:
        assert batch.samplings == 7
        assert batch.x.shape[1] == 7 * len(batch.y)
        assert bool((batch.x[0, :, 0].unflatten(0, (-1, 7)).diff(dim=1) == 0).all())
    shown = torch.cat([b.x[0, ::7, 0] for b in batches]).long()
    assert shown.tolist() == task.rows["test"].tolist()
    assert torch.cat([b.y for b in batches]).tolist() == task.labels[shown].tolist()
    assert skeletons.task(made_utd(), 0, 2).config.samplings == 20


def test_validation_clips_come_five_times_each_time_sampled_anew(few):
    task = skeletons.task(made_utd(), 0, 2)
    batches = list(task.examples("valid", 100))
    assert [b.samplings for b in batches] == [1] * 5
    assert torch.cat([b.y for b in batches]).tolist() == task.labels[task.rows["valid"]].tolist() * 5
    assert not torch.equal(batches[0].x, batches[1].x)


def test_the_size_of_a_batch_changes_nothing_that_is_shown(few):
    task = skeletons.task(made_utd(random_length="always", samplings=3), 0, 2)
    for split in ("valid", "test"):
        small, large = (list(task.examples(split, size)) for size in (2, 100))
        longest = max(b.x.shape[0] for b in large)
        pad = [torch.nn.functional.pad(b.x, (0, 0, 0, 0, 0, longest - b.x.shape[0])) for b in small]
        parts = [torch.nn.functional.pad(b.x, (0, 0, 0, 0, 0, longest - b.x.shape[0])) for b in large]
        torch.testing.assert_close(torch.cat(pad, 1), torch.cat(parts, 1), rtol=0, atol=0)


def test_random_lengths_are_one_a_batch_in_training_and_also_scored_where_asked(few):
    lengths = {len(skeletons.task(made_utd(random_length="training"), 0, 4).batch(step).x) for step in range(40)}
    assert len(lengths) > 8
    assert min(lengths) >= 5
    (fixed,) = skeletons.task(made_utd(random_length="training"), 0, 4).examples("test", 50)
    assert (len(fixed.x), fixed.lengths) == (20, None)
    (drawn,) = skeletons.task(made_utd(random_length="always"), 0, 4).examples("test", 50)
    assert drawn.lengths.shape == (12 * 20,)
    assert len(drawn.x) == int(drawn.lengths.max()) > 25
    beyond = torch.arange(len(drawn.x))[:, None] >= drawn.lengths
    assert not drawn.x[beyond].any()
    assert drawn.x[~beyond].any(-1).all()


def test_a_limit_keeps_the_first_of_each_split(few):
    task = skeletons.task(made_utd(limit=2), 0, 2)
    assert {k: len(v) for k, v in task.rows.items()} == {"train": 2, "valid": 2, "test": 2}


def test_a_batch_that_is_too_large_is_refused(few):
    with pytest.raises(ParameterError, match=r"train\.batch: 10 is more than the 9 training examples"):
        skeletons.task(made_utd(), 0, 10)


# --- features ---


def test_centred_joints_are_relative_to_the_hip_and_absent_ones_stay_zero(rng):
    joints = torch.randn(6, 3, 2, 25, 3, generator=rng)
    joints[:, :, 1] = 0
    joints[5] = 0
    x = features.features(joints, ntu(centred=True)).view(6, 3, 2, 25, 3)
    torch.testing.assert_close(x[:5, :, 0], joints[:5, :, 0] - joints[:5, :, 0, :1])
    assert not x[:, :, 1].any()
    assert not x[5].any()


def test_two_centred_bodies_keep_their_distance(rng):
    joints = torch.randn(6, 3, 2, 25, 3, generator=rng)
    x = features.features(joints, ntu(centred=True)).view(6, 3, 2, 25, 3)
    torch.testing.assert_close(x[:, :, 1] - x[:, :, 0], joints[:, :, 1] - joints[:, :, 0])


def test_differences_sum_to_the_last_frame(rng):
    joints = torch.randn(6, 3, 1, 20, 3, generator=rng)
    x = features.features(joints, made_utd(differences=True))
    torch.testing.assert_close(x[..., :60], joints.flatten(2))
    torch.testing.assert_close(x[..., 60:].sum(0), x[-1, :, :60])


def test_geometry_comes_first_and_moves_no_coordinate(rng):
    joints = torch.randn(6, 3, 2, 25, 3, generator=rng)
    x = features.features(joints, ntu(geometry=True))
    torch.testing.assert_close(x[..., -150:], joints.flatten(2))


def test_a_turned_body_keeps_its_shape_and_its_height(rng):
    joints = torch.randn(6, 50, 1, 20, 3, generator=rng)
    joints[2] = 0
    got = features.moved(joints, made_utd(turn=30.0), rng)
    torch.testing.assert_close(got[..., 1], joints[..., 1])
    torch.testing.assert_close(got.norm(dim=-1), joints.norm(dim=-1))
    angle = torch.atan2(got[0, :, 0, 0, 0], got[0, :, 0, 0, 2]) - torch.atan2(
        joints[0, :, 0, 0, 0], joints[0, :, 0, 0, 2]
    )
    angle = torch.rad2deg((angle + torch.pi) % (2 * torch.pi) - torch.pi)
    assert 20 < angle.abs().max() <= 30.001
    assert angle.min() < 0 < angle.max()
    assert not got[2].any()


def test_a_scaled_body_is_larger_or_smaller_by_at_most_so_much(rng):
    joints = torch.randn(6, 50, 1, 20, 3, generator=rng)
    share = (features.moved(joints, made_utd(scale=0.2), rng) / joints).flatten(2)
    torch.testing.assert_close(share, share[:1, :, :1].expand_as(share), rtol=1e-3, atol=0)
    assert 0.8 <= share.min() < 0.9
    assert 1.1 < share.max() <= 1.2


def test_scores_are_of_clips_as_they_are(few):
    """Nothing turns or scales the clips that are scored."""
    plain, turned = skeletons.task(made_utd(), 0, 4), skeletons.task(made_utd(turn=90.0, scale=0.5), 0, 4)
    for split in ("valid", "test"):
        one, other = next(iter(plain.examples(split, 9))), next(iter(turned.examples(split, 9)))
        torch.testing.assert_close(one.x, other.x, rtol=0, atol=0)
    torch.testing.assert_close(plain.clean(3).x, turned.clean(3).x, rtol=0, atol=0)
    assert not torch.equal(plain.batch(3).x, turned.batch(3).x)


# --- a net learns them ---


def test_a_net_is_trained_and_scored_on_made_clips(recordings):
    from workbench.training import Trainer

    config = Config(
        task=ntu(random_length="always", samplings=2),
        model=Model(kind="plain", hidden=4, norm="after", gamma=5.0),
        train=Train(batch=4, steps=2, evaluate_every=2, bn_statistics="test"),
    )
    trainer = Trainer(config, 0)
    trainer.advance()
    trainer.advance()
    row = trainer.evaluation()
    assert row["valid"]["n"] == 5
    assert trainer.test()["test"]["n"] == 9


@pytest.mark.parametrize(
    ("name", "lengths"), [("ntu_cs_plain6", "always"), ("ntu_cv_res", "never"), ("ntu_cs_denseaug", "always")]
)
def test_the_papers_nets_run_on_made_clips(recordings, name, lengths):
    from workbench import paper
    from workbench.training import Trainer

    changes = {"train.batch": 4, "task.random_length": lengths, "train.bn_statistics": "test"}
    config = paper.experiment(name).at("smoke")[0].set(changes)
    trainer = Trainer(config, 0)
    assert np.isfinite(trainer.advance())
    assert trainer.test()["test"]["n"] == (6 if "_cv_" in name else 9)


# --- UTD-MHAD ---


@pytest.mark.data
def test_utd_mhad_is_split_as_its_authors_do(real_utd):
    clips, subject = utd.clips()
    assert len(clips.names) == 861
    assert len(clips.frames) == 58_299
    assert clips.frames.shape[1:] == (1, 20, 3)
    assert (int(clips.length.min()), int(clips.length.max())) == (41, 125)
    assert sorted(set(clips.label.tolist())) == list(range(27))
    assert int(np.isin(subject, utd.TRAINED).sum()) == 431
    task = skeletons.task(made_utd(), 3, 128)
    assert {k: len(v) for k, v in task.rows.items()} == {"train": 323, "valid": 108, "test": 430}
    assert skeletons.hashes(made_utd()) == {"utd_mhad": utd.CONTENT}


@pytest.mark.data
@pytest.mark.slow
def test_the_nearest_neighbour_gives_the_published_figure(real_utd):
    assert round(100 * skeletons.neighbour_accuracy(), 1) == 82.1


@pytest.mark.data
@pytest.mark.slow
def test_the_authors_archive_gives_the_same_clips(real_utd, tmp_path, monkeypatch):
    """A Skeleton.zip written from our packing, one of its files the authors' own."""
    import io

    from scipy.io import savemat

    clips, subject = utd.clips()
    (tmp_path / "utd_mhad").mkdir()
    with zipfile.ZipFile(tmp_path / "utd_mhad" / "Skeleton.zip", "w") as packed:
        for row in reversed(range(861)):
            content = io.BytesIO()
            savemat(content, {"d_skel": clips.clip(row)[:, 0].transpose(1, 2, 0).astype(np.float64)})
            own = real_utd / f"{clips.names[row]}_skeleton.mat"
            content = own.read_bytes() if own.is_file() else content.getvalue()
            packed.writestr(f"Skeleton/{clips.names[row]}_skeleton.mat", content)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    again, subjects = utd.clips()
    assert again.origin == str(tmp_path / "utd_mhad")
    np.testing.assert_array_equal(again.frames, clips.frames)
    np.testing.assert_array_equal(subjects, subject)
    assert again.names == clips.names


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (None, "not a zip file"),
        ({}, "no file like a1_s1_t1_skeleton.mat"),
        ({"a1_s1_t1_skeleton.mat": b"MATLAB 5"}, "a1_s1_t1_skeleton.mat"),
        ({"a1_s1_t1_skeleton.mat": bytes(2**20 + 1)}, "more than 1,048,576 bytes"),
    ],
)
def test_an_archive_of_something_else_is_refused(tmp_path, monkeypatch, members, says):
    path = tmp_path / "utd_mhad" / "Skeleton.zip"
    path.parent.mkdir()
    path.write_bytes(b"<html>")
    if members is not None:
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in members.items():
                packed.writestr(name, content)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=says):
        utd.clips()


def test_without_utd_mhad_the_line_says_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "cache", lambda: tmp_path / "cache")
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=r"get https://personal\.utdallas\.edu/.*/Skeleton\.zip and put it there"):
        utd.clips()
