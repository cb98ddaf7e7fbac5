"""One set of sequences in every format is one set of sequences."""

import wave
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import wavfile

from workbench import tasks
from workbench.errors import DataError, MissingData, ParameterError
from workbench.tasks import sequences
from workbench.tasks.sequences import Sequences
from workbench.tasks.sequences.content import labels, numbers

N, CHANNELS = 12, 2
SPEAKERS = [f"s{i // 3}" for i in range(N)]
CLASSES = [("no", "yes")[i % 2] for i in range(N)]
NUMBERS = [i / 4 for i in range(N)]


def given():
    """Twelve sequences (steps, 2) of 3 to 8 steps."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(int(rng.integers(3, 9)), CHANNELS)).astype(np.float32) for _ in range(N)]


def padded():
    x = np.full((N, 8, CHANNELS), np.nan, np.float32)
    for row, each in enumerate(given()):
        x[row, : len(each)] = each
    return x


def long():
    """A table with a row a step, its rows mixed."""
    rows = [
        {"who": f"w{i}", "t": t, "a": step[0], "b": step[1], "y": CLASSES[i], "speaker": SPEAKERS[i]}
        for i, each in enumerate(given())
        for t, step in enumerate(each)
    ]
    first = [row for row in rows if row["t"] == 0]  # so that the sequences come in their order
    rest = [row for row in rows if row["t"] > 0]
    order = np.random.default_rng(1).permutation(len(rest))
    return pd.DataFrame([*first, *(rest[i] for i in order)])


def as_text(each, answer):
    return ":".join(",".join(repr(float(v)) for v in channel) for channel in each.T) + f":{answer}"


TS = "# words\n@problemName Mine\n@timeStamps false\n@classLabel true no yes\n@data\n"
OF_TABLE = {"target": "y", "sequence": "who", "time": "t", "columns": ("a", "b"), "group": "speaker"}


def npz(here):
    np.savez(here / "d.npz", x=padded(), y=CLASSES, speaker=SPEAKERS)
    return "d.npz", {"group": "speaker"}


def npz_in_a_row(here):
    lengths = [len(each) for each in given()]
    np.savez_compressed(here / "d.npz", x=np.concatenate(given()), lengths=lengths, y=CLASSES, speaker=SPEAKERS)
    return "d.npz", {"group": "speaker"}


def npy(here):
    x = np.nan_to_num(padded(), nan=7.0)
    np.save(here / "x.npy", x)
    np.save(here / "lengths.npy", [len(each) for each in given()])
    np.save(here / "word.npy", CLASSES)
    np.save(here / "speaker.npy", SPEAKERS)
    return "x.npy", {"group": "speaker", "target": "word"}


def csv(here):
    long().to_csv(here / "d.csv", index=False)
    return "d.csv", OF_TABLE


def parquet(here):
    pytest.importorskip("pyarrow")
    long().to_parquet(here / "d.parquet")
    return "d.parquet", OF_TABLE


def ts(here):
    lines = [as_text(each, answer) for each, answer in zip(given(), CLASSES, strict=True)]
    (here / "d.ts").write_text(TS + "\n".join(lines) + "\n")
    return "d.ts", {}


def made(here, format_, **fields):
    name, own = format_(here)
    return Sequences(name="sequences", path=str(here / name), **{**own, **fields})


FORMATS = [npz, npz_in_a_row, npy, csv, parquet, ts]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_format_gives_the_sequences_that_were_written(format_, tmp_path):
    found = sequences.found(made(tmp_path, format_))
    assert found.answers.tolist() == CLASSES
    assert found.lengths.tolist() == [len(each) for each in given()]
    assert found.groups is None if format_ is ts else found.groups.tolist() == SPEAKERS
    for row, each in enumerate(given()):
        np.testing.assert_array_equal(found.read(row), each)
        assert found.read(row).dtype == np.float32


@pytest.mark.parametrize("format_", FORMATS[1:5])
def test_formats_give_the_same_batches(format_, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = tasks.load(made(tmp_path / "one", npz), 3, 4)
    two = tasks.load(made(tmp_path / "two", format_), 3, 4)
    assert one.spec == two.spec == tasks.Spec(2, 2, one.spec.steps, "class")
    for step in range(4):
        a, b = one.batch(step), two.batch(step)
        torch.testing.assert_close(a.x, b.x, rtol=0, atol=0)
        assert torch.equal(a.y, b.y)


@pytest.mark.parametrize("format_", [npz, csv, ts])
def test_an_ending_may_be_in_capitals(format_, tmp_path):
    config = made(tmp_path, format_)
    path = Path(config.path).rename(tmp_path / Path(config.path).name.upper())
    assert sequences.found(config.model_copy(update={"path": str(path)})).answers.tolist() == CLASSES


def test_times_that_differ_by_a_nanosecond_order_the_steps(tmp_path):
    first = 1_600_000_000_000_000_000
    rows = [f"{i},{first + t},{i % 2},{t}\n" for i in range(4) for t in (1, 0)]
    (tmp_path / "d.csv").write_text("\ufeffs,t,y,a\n" + "".join(rows), encoding="utf-8")
    fields = {"path": str(tmp_path / "d.csv"), "target": "y", "sequence": "s", "time": "t"}
    assert sequences.found(Sequences(name="sequences", **fields)).read(3).tolist() == [[0], [1]]


def test_a_row_a_sequence_is_one_channel_and_its_empty_end_is_no_step(tmp_path):
    (tmp_path / "d.csv").write_text("y,s0,s1,s2\nno,1,2,3\nyes,4,5,\nno,6,,8\nyes,9,1,2\n")
    found = sequences.found(Sequences(name="sequences", path=str(tmp_path / "d.csv"), target="y"))
    assert found.lengths.tolist() == [3, 2, 3, 3]
    assert found.read(1).tolist() == [[4], [5]]
    assert np.isnan(found.read(2)[1, 0]), "a gap within a sequence is a missing value"


@pytest.mark.parametrize("columns", [("b",), ("b", "a")])
def test_columns_choose_the_channels_in_their_order(columns, tmp_path):
    found = sequences.found(made(tmp_path, csv, columns=columns))
    wanted = [given()[3][:, "ab".index(name)] for name in columns]
    np.testing.assert_array_equal(found.read(3), np.stack(wanted, 1))


def test_dates_order_the_steps(tmp_path):
    table = long()
    table["t"] = (pd.Timestamp("2020-02-28") + pd.to_timedelta(table["t"], "D")).astype(str)
    table.to_csv(tmp_path / "d.csv", index=False)
    found = sequences.found(Sequences(name="sequences", path=str(tmp_path / "d.csv"), **OF_TABLE))
    np.testing.assert_array_equal(found.read(5), given()[5])


def test_numbers_and_answers_of_each_step(tmp_path):
    steps = [np.arange(len(each)) + i for i, each in enumerate(given())]
    lengths = [len(each) for each in given()]
    np.savez(tmp_path / "d.npz", x=padded(), y=NUMBERS, z=np.concatenate(steps), lengths=lengths)
    settings = {"name": "sequences", "path": str(tmp_path / "d.npz"), "answer": "real", "scaling": "none"}
    one, each = Sequences(**settings), Sequences(**settings, target="z", each_step=True)
    assert sequences.found(one).answers.tolist() == NUMBERS
    task = tasks.load(each, 0, 3)
    batch = task.batch(0)
    assert task.spec.each_step
    assert batch.y.shape == batch.x.shape[:2]
    ends = torch.full((3,), len(batch.x)) if batch.lengths is None else batch.lengths
    assert (~batch.y.isnan()).sum(0).tolist() == ends.tolist()
    assert (batch.y[1] - batch.y[0]).tolist() == [1, 1, 1]


def test_a_folder_of_recordings_by_class_and_by_index(tmp_path):
    rng, made_ = np.random.default_rng(0), {}
    for word in ("no", "yes"):
        (tmp_path / word).mkdir()
        for i in range(4):
            wave = rng.integers(-(2**15), 2**15, (20 + i, 2)).astype(np.int16)
            wavfile.write(tmp_path / word / f"{i}.wav", 8000, wave)
            made_[f"{word}/{i}.wav"] = wave
    found = sequences.found(Sequences(name="sequences", path=str(tmp_path)))
    assert found.answers.tolist() == ["no"] * 4 + ["yes"] * 4
    assert (found.channels, found.lengths.tolist()) == (2, [20, 21, 22, 23] * 2)
    np.testing.assert_array_equal(found.read(5), made_["yes/1.wav"].astype(np.float32) / 2**15)
    (tmp_path / "index.csv").write_text("file,loud,who\nno/3.wav,0.5,ann\nyes/0.wav,2,bob\nno/1.wav,1,ann\n")
    settings = {"answer": "real", "target": "loud", "group": "who"}
    found = sequences.found(Sequences(name="sequences", path=str(tmp_path), **settings))
    assert (found.answers.tolist(), found.groups.tolist()) == ([0.5, 2.0, 1.0], ["ann", "bob", "ann"])
    np.testing.assert_array_equal(found.read(1), made_["yes/0.wav"].astype(np.float32) / 2**15)


@pytest.mark.parametrize(("dtype", "largest"), [(np.uint8, 128), (np.int16, 2**15), (np.int32, 2**31), (np.float32, 1)])
def test_samples_of_every_width_are_shares_of_the_largest(dtype, largest, tmp_path):
    low = 0 if dtype is np.uint8 else -largest
    wavfile.write(tmp_path / "a.wav", 8000, np.array([low, low + largest], dtype=dtype))
    assert sequences.waves.wave(tmp_path / "a.wav").tolist() == [[-1], [0]]


def test_the_data_are_part_of_a_runs_name(tmp_path):
    config = made(tmp_path, csv)
    before = tasks.data_hashes(config)
    table = long()
    table.loc[0, "a"] += 1
    table.to_csv(tmp_path / "d.csv", index=False)
    assert before.keys() == tasks.data_hashes(config).keys() == {"data"}
    assert before != tasks.data_hashes(config)
    beside = made(tmp_path, npy)
    before = tasks.data_hashes(beside)
    np.save(tmp_path / "word.npy", CLASSES[::-1])
    assert before != tasks.data_hashes(beside), "files beside x.npy count too"
    assert sequences.found(beside).answers.tolist() == CLASSES[::-1], "and are read anew"


def test_no_data_is_said(tmp_path):
    with pytest.raises(ParameterError, match=r"task.path: a file or folder"):
        tasks.spec(Sequences(name="sequences"))
    with pytest.raises(MissingData, match="is not there"):
        tasks.spec(Sequences(name="sequences", path=str(tmp_path / "d.npz")))


def test_an_archive_that_claims_more_than_it_holds_gets_no_room(tmp_path):
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(
        117
    )
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", header + b"\n")
    with pytest.raises(DataError, match="4000000000000 bytes claimed, 128 found"):
        sequences.found(Sequences(name="sequences", path=str(tmp_path / "d.npz")))


@pytest.mark.parametrize("asked", ["7", ["7", "8"]])
def test_columns_may_have_numbers_for_names_and_one_needs_no_list(asked, tmp_path):
    """`--set task.target=1 --set task.columns=7` arrives as numbers."""
    (tmp_path / "d.csv").write_text("1,7,8\n" + "a,0.5,1\nb,0.25,2\n" * 6)
    named = [int(name) for name in asked]
    given = Sequences(
        name="sequences", path=str(tmp_path / "d.csv"), target=1, columns=named if len(named) > 1 else named[0]
    )
    assert given == Sequences(name="sequences", path=str(tmp_path / "d.csv"), target="1", columns=tuple(asked))
    assert sequences.found(given).lengths.tolist() == [len(named)] * 12


def found(here, name, **fields):
    return sequences.found(Sequences(name="sequences", path=str(here / name), **fields))


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (np.array([3, 3.0, "3", np.float32(3)], object), ["3"] * 4),
        ([1.0, 1.5, -0.0], ["1", "1.5", "0"]),
        ([True, False], ["True", "False"]),
        (["ä".encode()], ["ä"]),
    ],
)
def test_one_label_has_one_text_whatever_stands_beside_it(values, texts):
    assert labels(values, "here").tolist() == texts


@pytest.mark.parametrize(
    ("read", "values", "words"),
    [
        (labels, ["ä".encode("latin-1"), "ö".encode("latin-1")], "here: text in another encoding than UTF-8"),
        (labels, np.array([1.0, np.inf], object), "here: row 1: inf found, a value expected"),
        (numbers, [1 + 2j], r"here: row 0: \(1\+2j\) found, a finite number expected"),
        (numbers, ["1", "1_0"], "here: row 1: '1_0' found"),
        (numbers, np.array(["2020-02-28"], "M8[ns]"), "here: row 0: '2020-02-28T00.* found"),
        (numbers, np.array([3], "m8[s]"), "here: row 0: '3 seconds' found"),
    ],
)
def test_what_is_no_label_or_number_is_not_taken_for_one(read, values, words):
    with pytest.raises(DataError, match=words):
        read(values, "here")


def test_a_table_without_names_loses_no_row_to_them(tmp_path):
    (tmp_path / "d.csv").write_text("1,0.5,2\n2,0.25,3\n" * 4)
    with pytest.raises(DataError, match=r"d.csv: a first line of numbers found, '1' first, one of names expected"):
        found(tmp_path, "d.csv", target="1")
    (tmp_path / "d.csv").write_text("y,0.5,1.0\n1,2,3\n2,3,4\n")
    assert found(tmp_path, "d.csv", target="y").read(1).tolist() == [[3], [4]], "steps may be called by their times"


@pytest.mark.parametrize(
    ("head", "words"),
    [("s,t,y,b,a", "e.csv: column 'b' found, column 'a' expected as in .*d.csv"), ("s,t,y,a,b", None)],
)
def test_a_test_of_its_own_has_the_columns_in_the_order_of_training(head, words, tmp_path):
    rows = "".join(f"{i},{t},{i % 2},{t},9\n" for i in range(4) for t in range(2))
    (tmp_path / "d.csv").write_text("s,t,y,a,b\n" + rows)
    (tmp_path / "e.csv").write_text(f"{head}\n{rows}")
    fields = {"target": "y", "sequence": "s", "time": "t", "test_path": str(tmp_path / "e.csv")}
    if words is None:
        assert found(tmp_path, "d.csv", **fields).read(4).tolist() == [[0, 9], [1, 9]]
    else:
        with pytest.raises(DataError, match=words):
            found(tmp_path, "d.csv", **fields)


def recordings(folder, rate=8000, steps=100):
    """A folder of two recordings for each of two words; the samples of one are 1, 2, 3 ..."""
    for word in ("no", "yes"):
        (folder / word).mkdir(parents=True, exist_ok=True)
        for i in range(2):
            wavfile.write(folder / word / f"{i}.wav", rate, np.arange(1, steps + 1, dtype=np.int16))


def test_a_test_of_its_own_has_the_rate_of_training(tmp_path):
    recordings(tmp_path / "w")
    recordings(tmp_path / "v", 16_000)
    with pytest.raises(DataError, match=r"v: a rate of 16000 Hz found, a rate of 8000 Hz expected as in .*w"):
        found(tmp_path, "w", test_path=str(tmp_path / "v"))
    recordings(tmp_path / "v")
    assert found(tmp_path, "w", test_path=str(tmp_path / "v")).lengths.tolist() == [100] * 8


@pytest.mark.parametrize("width", [2, 3])
def test_a_recording_that_was_cut_short_is_refused(width, tmp_path):
    recordings(tmp_path)
    path = tmp_path / "no" / "0.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, width, 8000, 0, "NONE", ""))
        file.writeframes(bytes(width * 100))
    assert found(tmp_path, "").lengths.tolist() == [100] * 4
    path.write_bytes(path.read_bytes()[: -width * 50])
    with pytest.raises(DataError, match=r"0.wav: not a .wav file: Reached EOF"):
        found(tmp_path, "")


def test_a_recording_that_changes_while_it_is_trained_on_is_no_other_sequence_in_silence(tmp_path):
    recordings(tmp_path)
    content = found(tmp_path, "")
    assert content.read(1)[-1] == 100 / 2**15
    recordings(tmp_path, steps=60)
    with pytest.raises(DataError, match=r"1.wav: 60 samples found, 100 expected as when it was first read"):
        content.read(1)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ("name,y\nno/0.wav,1\n", "index.csv: columns name, y found, one named file expected"),
        ("file,y\nno/0.wave,1\n", "file 'no/0.wave' found, a file within the folder expected that ends in .wav"),
    ],
)
def test_an_index_names_recordings_that_are_part_of_a_runs_name(index, words, tmp_path):
    recordings(tmp_path)
    (tmp_path / "no" / "0.wave").write_bytes((tmp_path / "no" / "0.wav").read_bytes())
    (tmp_path / "index.csv").write_text(index)
    with pytest.raises(DataError, match=words):
        found(tmp_path, "", target="y")


def test_an_array_beside_x_has_a_name_and_no_path(tmp_path):
    np.save(tmp_path / "x.npy", padded())
    with pytest.raises(ParameterError, match=r"task.target: 'a/b' received; .*x.npy has x"):
        found(tmp_path, "x.npy", target="a/b")
