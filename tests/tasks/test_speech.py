"""Raw waveforms of any length: what is read, how it is split, cut into batches and scored."""

import csv
import io
import lzma
import wave
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from workbench import tasks
from workbench.config import Speech
from workbench.errors import DataError, ParameterError
from workbench.tasks import npy_xz, speech
from workbench.training import evaluate

SPEAKERS, TAKES = ("ann", "bob"), 14


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """280 short recordings of noise, takes 0-13 of ten digits by two speakers, packed as the published ones are."""
    here, rng = tmp_path_factory.mktemp("fsdd"), np.random.default_rng(0)
    rows, waves, start = [], [], 0
    for digit in range(10):
        for speaker in SPEAKERS:
            for take in range(TAKES):
                n = int(rng.integers(20, 60))
                split = "test" if take < 5 else "train"
                rows.append([f"{digit}_{speaker}_{take}", digit, speaker, take, start, n, split])
                waves.append(rng.integers(-3000, 3500, n).astype("<i2"))
                start += n
    with lzma.open(here / "recordings.npy.xz", "wb") as file:
        np.save(file, np.concatenate(waves))
    with (here / "index.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([speech.COLUMNS, *rows])
    return here


@pytest.fixture(scope="module")
def recordings(folder):
    return speech.read(folder)


def made(recordings, batch_size=7, seed=0, **settings):
    return speech.SpeechTask(recordings, Speech(name="speech", **settings), seed, batch_size)


@pytest.fixture
def task(recordings):
    return made(recordings)


def test_what_was_packed_is_read(folder, recordings):
    with lzma.open(folder / "recordings.npy.xz") as file:
        assert torch.equal(recordings.samples, torch.from_numpy(np.load(file)))
    assert recordings.samples.dtype == torch.int16
    assert recordings.digits.tolist() == [d for d in range(10) for _ in range(2 * TAKES)]
    assert int((recordings.start + recordings.lengths)[-1]) == len(recordings.samples)


def test_the_authors_archive_gives_the_same_recordings(folder, recordings, tmp_path):
    with zipfile.ZipFile(tmp_path / "digits.zip", "w") as archive:
        for row in reversed(list(csv.DictReader((folder / "index.csv").read_text().splitlines()))):
            start, n = int(row["start"]), int(row["samples"])
            archive.writestr(f"any-name/recordings/{row['name']}.wav", wav(recordings.samples[start : start + n]))
        archive.writestr("any-name/README.md", "not a recording")
    for ours, theirs in zip(speech.read_original(tmp_path / "digits.zip"), recordings, strict=True):
        assert torch.equal(ours, theirs)


def wav(samples):
    """A .wav file of 8 kHz, mono, 16 bit."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(samples.numpy().astype("<i2").tobytes())
    return buffer.getvalue()


def test_splits_are_by_take_and_lose_nothing(task):
    takes = {split: task.recordings.takes[rows] for split, rows in task.rows.items()}
    assert {split: (int(t.min()), int(t.max()), len(t)) for split, t in takes.items()} == {
        "test": (0, 4, 100),
        "valid": (5, 9, 100),
        "train": (10, 13, 80),
    }


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_split_holds_every_digit_of_every_speaker_equally(task, split):
    assert torch.bincount(task.recordings.digits[task.rows[split]]).tolist() == [10] * 10


def test_an_epoch_shows_every_recording_once_in_batches_of_nearly_one_size(task):
    assert task.batches_per_epoch == 12  # 80 recordings, at most 7 at once
    for epoch in range(2):
        rows = [task.picked("epoch", 12 * epoch + i) for i in range(12)]
        assert sorted(torch.cat(rows).tolist()) == task.rows["train"].tolist()
        assert {len(r) for r in rows} == {6, 7}
    assert not torch.equal(task.batch(0).x, task.batch(12).x)


def test_clean_batches_are_every_training_recording_once_an_epoch(recordings):
    task = made(recordings)
    task.read = lambda rows: rows
    for epoch in range(2):
        rows = torch.cat([task.clean(12 * epoch + i) for i in range(12)])
        assert sorted(rows.tolist()) == task.rows["train"].tolist()


def test_a_batch_is_a_pure_function_of_seed_and_step(task, recordings):
    for step in range(25):
        last = task.batch(step)
    fresh = made(recordings)
    fresh.clean(3)
    assert torch.equal(fresh.batch(24).x, last.x)
    assert not torch.equal(made(recordings, seed=1).batch(24).x[:20, :6], last.x[:20, :6])
    assert not torch.equal(fresh.clean(0).x[:20, :6], fresh.batch(0).x[:20, :6])


def test_recordings_of_like_length_share_a_batch(task):
    spread = [int(b.lengths.max() - b.lengths.min()) for b in map(task.batch, range(12))]
    assert max(spread) < 20  # of 40; the lengths of a random batch of 7 spread over about 30
    order = [int(b.lengths.max()) for b in map(task.batch, range(12))]
    assert order != sorted(order)


def test_a_batch_holds_the_waves_and_zeros_behind_them(task):
    batch = task.batch(0)
    rows = task.picked("epoch", 0)
    for column, row in enumerate(rows.tolist()):
        n = int(batch.lengths[column])
        assert torch.equal(batch.x[:n, column, 0], task.wave(row))
        assert not batch.x[n:, column].any()
    assert batch.x.shape == (int(batch.lengths.max()), len(rows), 1)
    assert torch.equal(batch.y, task.recordings.digits[rows])


def test_loudness_is_made_equal_or_left_as_recorded(task, recordings):
    wave = task.wave(3)
    assert float(wave.mean()) == pytest.approx(0, abs=1e-6)
    assert float(wave.square().mean()) == pytest.approx(1, rel=1e-5)
    first = int(recordings.start[3])
    recorded = made(recordings, loudness="recorded").wave(3)
    assert float(recorded[0]) == int(recordings.samples[first]) / 32_768


def test_silence_stays_silent(recordings):
    silent = recordings._replace(samples=torch.full_like(recordings.samples, 7))
    assert not made(silent).wave(0).any()


@pytest.mark.parametrize("size", [1, 9, 1000])
def test_examples_come_each_once_by_length(task, size):
    batches = list(task.examples("test", size))
    lengths = torch.cat([b.lengths for b in batches])
    assert max(len(b.y) for b in batches) <= size
    assert len(lengths) == 100
    assert torch.equal(lengths, lengths.sort().values)
    first = torch.cat([b.x[0, :, 0] for b in batches])
    assert sorted(first.tolist()) == sorted(float(task.wave(int(row))[0]) for row in task.rows["test"])


def test_long_recordings_are_kept_apart_and_scored_apart(task, monkeypatch):
    monkeypatch.setattr(speech.SpeechTask, "apart", 40)
    batches = list(task.examples("test", 30))
    for batch in batches:
        assert batch.subset == ("long" if int(batch.lengths.min()) > 40 else "")
        assert batch.subset or int(batch.lengths.max()) <= 40
    always_three = AlwaysThree()
    scores = evaluate.score(always_three, batches, "class")
    digits, lengths = task.recordings.digits[task.rows["test"]], task.recordings.lengths[task.rows["test"]]
    long = lengths > 40
    assert scores["n"] == 100
    assert scores["accuracy"] == 0.1
    assert 0 < scores["n_long"] == int(long.sum()) < 100
    assert scores["accuracy_long"] == float((digits[long] == 3).double().mean())
    assert scores["loss_long"] == pytest.approx(np.log(9 + np.exp(2)) - 2 * scores["accuracy_long"])


class AlwaysThree(nn.Module):
    """Says 3, with the logit 2 beside zeros."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.eye(10)[3] * 2)

    def forward(self, x, lengths):
        assert x.shape[1] == len(lengths)
        return self.logits.expand(len(lengths), 10)


def test_a_scored_batch_is_bounded_in_memory(task, monkeypatch):
    monkeypatch.setattr("workbench.tasks.lengths.PADDED", 200)
    batches = list(task.examples("valid", 1000))
    assert max(b.x.numel() for b in batches) <= 200
    assert sum(len(b.y) for b in batches) == 100


def test_a_limit_keeps_examples_of_all_digits(recordings):
    task = made(recordings, limit=20)
    for split, rows in task.rows.items():
        assert len(rows) == 20, split
        assert torch.bincount(recordings.digits[rows]).tolist() == [2] * 10
    with pytest.raises(ParameterError, match="21 is more than the 20 training"):
        made(recordings, 21, limit=20)


def test_nothing_is_unpickled(tmp_path):
    with lzma.open(tmp_path / "recordings.npy.xz", "wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"\(1,\) of \|O found, \(any\) of <i2 expected"):
        npy_xz.read(tmp_path / "recordings.npy.xz", "<i2", (None,), 1000)


def test_an_array_of_another_version_of_the_format_is_refused(tmp_path):
    with lzma.open(tmp_path / "recordings.npy.xz", "wb") as file:
        np.lib.format.write_array(file, np.arange(3, dtype="<i2"), version=(2, 0))
    with pytest.raises(DataError, match=r"not an \.npy array: version \(2, 0\) of the format found, \(1, 0\) expected"):
        npy_xz.read(tmp_path / "recordings.npy.xz", "<i2", (None,), 1000)


def test_a_small_file_that_unpacks_without_end_is_refused_at_the_cap(tmp_path):
    path = tmp_path / "recordings.npy.xz"
    path.write_bytes(lzma.compress(bytes(10_000)))
    assert path.stat().st_size < 200
    with pytest.raises(DataError, match="more than 1000 bytes unpacked, at most 1000 expected"):
        npy_xz.read(path, "<i2", (None,), 1000)


@pytest.mark.data
@pytest.mark.usefixtures("real_data")
def test_the_published_recordings_are_the_published_ones():
    task = tasks.load(Speech(name="speech"), 0, 32)
    lengths = task.recordings.lengths
    assert len(task.recordings.samples) == 10_498_424
    assert {split: len(rows) for split, rows in task.rows.items()} == {"test": 300, "valid": 300, "train": 2_400}
    assert (int(lengths.min()), int(lengths.max())) == (1_148, task.spec.steps)
    assert int((lengths[task.rows["test"]] > speech.LONG).sum()) == 21
    assert [sum(len(b.y) for b in task.examples("test", 250) if b.subset == s) for s in ("", "long")] == [279, 21]
    padded = [b.x.shape[0] * b.x.shape[1] / float(b.lengths.sum()) for b in map(task.batch, range(0, 75, 5))]
    assert sum(padded) / 15 < 1.25
