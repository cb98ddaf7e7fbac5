"""Files of one's own sequences that are none, or not what is said of them."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from workbench import tasks
from workbench.tasks.sequences import Sequences

from .case import DATA, PARAMETER, Case
from .speech import wav


def load(name: str, **fields: Any) -> Callable[[Path], object]:
    """Load the task of a file or folder."""
    return lambda here: tasks.load(sequences(here, name, **fields), 0, 1)


def hashed(name: str, **fields: Any) -> Callable[[Path], object]:
    """The hashes of a file or folder, as a run does."""
    return lambda here: tasks.data_hashes(sequences(here, name, **fields))


def sequences(here: Path, name: str, **fields: Any) -> Sequences:
    fields = {key: value.format(here=here) if key == "test_path" else value for key, value in fields.items()}
    return Sequences(name="sequences", path=str(here / name), **fields)


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array))
    return buffer.getvalue()


def npz(**members: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content if isinstance(content, bytes) else npy(content))
    return buffer.getvalue()


X, Y = np.zeros((8, 3, 2), np.float32), np.arange(8) % 2
OBJECTS = (
    b"\x93NUMPY\x01\x00v\x00"
    + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117)
    + b"\n"
    + b"\x80\x04N."
)
TABLE = "y,a,b\n" + "".join(f"{i % 2},{i},{i}\n" for i in range(8))
LONG = "s,t,y,a\n" + "".join(f"{i},{t},{i % 2},{t}\n" for i in range(8) for t in range(2))
TS = "@classLabel true a b\n@data\n" + "1,2:3,4:a\n5:6:b\n" * 8
BY = {"target": "y", "sequence": "s", "time": "t"}
WAVES = {f"w/{word}/{i}.wav": wav() for word in ("no", "yes") for i in range(4)}
# fmt: off
# what it is, its files, what is loaded, how it ends, what is said
ROWS: list[tuple[str, dict[str, str | bytes], Callable[[Path], object], int, tuple[str, ...]]] = [
    ("arrays that are no archive", {"d.npz": b"<!DOCTYPE html>"}, load("d.npz"), DATA, ("d.npz: not an .npz archive",)),
    ("an archive without x", {"d.npz": npz(z=X)}, load("d.npz"), DATA, ("d.npz: arrays z found, an array x expected",)),
    ("an archive of objects", {"d.npz": npz(x=OBJECTS, y=Y)}, load("d.npz"), DATA, ("d.npz: x: not an array of numbers or text",)),
    ("an archive of text", {"d.npz": npz(x=[["a", "b"]], y=Y)}, load("d.npz"), DATA, ("x: (1, 2) of <U1 found", "of numbers expected")),
    ("an archive of one dimension", {"d.npz": npz(x=Y, y=Y)}, load("d.npz"), DATA, ("x: (8,) of int64 found, (n, T) or (n, T, channels)",)),
    ("an archive cut within", {"d.npz": npz(x=npy(X)[:-9], y=Y)}, load("d.npz"), DATA, ("d.npz: x: not an array",)),
    ("an archive of no sequences", {"d.npz": npz(x=X[:0], y=Y[:0])}, load("d.npz"), DATA, ("d.npz: no sequences found",)),
    ("an archive of no steps", {"d.npz": npz(x=X[:, :0], y=Y)}, load("d.npz"), DATA, ("sequence 0: no steps found",)),
    ("an archive without answers", {"d.npz": npz(x=X)}, load("d.npz"), PARAMETER, ("task.target: 'y' received", "has x")),
    ("an archive with lengths of words", {"d.npz": npz(x=X, y=Y, lengths=["a"] * 8)}, load("d.npz"), DATA, ("lengths: (8,) of <U1 found",)),
    ("an archive with a negative length", {"d.npz": npz(x=X, y=Y, lengths=Y - 1)}, load("d.npz"), DATA, ("lengths: -1 to 0 found",)),
    ("an archive with a hole", {"d.npz": npz(x=np.where(np.arange(48).reshape(8, 3, 2) == 20, np.nan, X), y=Y)}, load("d.npz"), DATA, ("sequence 3, step 1, channel 0: NaN found", "task.missing")),
    ("an archive with a number too large", {"d.npz": npz(x=X.astype(float) + 1e300, y=Y)}, load("d.npz"), DATA, ("sequence 0, step 0, channel 0: inf found",)),
    ("an archive with a missing answer", {"d.npz": npz(x=X, y=np.where(Y == 1, np.nan, 0))}, load("d.npz"), DATA, ("answers: row 1: nan found, a value expected",)),
    ("an archive with a day missing", {"d.npz": npz(x=X, y=np.array(["2020-01-01", "NaT"] * 4, "M8[D]"))}, load("d.npz"), DATA, ("answers: row 1: None found, a value expected",)),
    ("an archive with nan among words", {"d.npz": npz(x=X, y=np.array(["a", np.nan] * 4))}, load("d.npz"), DATA, ("answers: row 1: 'nan' found, a value expected",)),
    ("an archive that may be read in two ways", {"d.npz": npz(x=X[:, 0], y=Y, lengths=Y * 0 + 1)}, load("d.npz"), DATA, ("x: (8, 2) and lengths of 1 found", "(n, T, channels)")),
    ("an archive of times that float32 cannot tell apart", {"d.npz": npz(x=X.astype(float) + 1.6e9, y=Y)}, load("d.npz"), DATA, ("channel 0: about 1.6e+09 throughout, of which float32 keeps 7 digits",)),
    ("an archive with answers too large", {"d.npz": npz(x=X, y=Y * 1e300)}, load("d.npz", answer="real"), DATA, ("answers up to 1e+300 found, too large to scale",)),
    ("an archive whose split has no test", {"d.npz": npz(x=X, y=Y, part=["train"] * 8)}, load("d.npz", split="part"), PARAMETER, ("task.split: no 'test' among 'part'",)),
    ("an array that is no array", {"x.npy": b"RIFF", "y.npy": npy(Y)}, load("x.npy"), DATA, ("x.npy: not an .npy array",)),
    ("an array of objects", {"x.npy": OBJECTS, "y.npy": npy(Y)}, load("x.npy"), DATA, ("x.npy: not an .npy array",)),
    ("an array cut short", {"x.npy": npy(X)[:-9], "y.npy": npy(Y)}, load("x.npy"), DATA, ("x.npy: not an .npy array",)),
    ("an array without its answers", {"x.npy": npy(X)}, load("x.npy"), PARAMETER, ("task.target: 'y' received",)),
    ("an empty table", {"d.csv": ""}, load("d.csv", target="y"), DATA, ("d.csv: not a table: No columns",)),
    ("a table of bytes", {"d.csv": b"\xff\xfe\x00"}, load("d.csv", target="y"), DATA, ("d.csv: not a table",)),
    ("a table parted by semicolons, as Excel writes it where a comma is the decimal point", {"d.csv": "y;a\n0;1,5\n1;2,5\n"}, load("d.csv", target="y"), DATA, ("d.csv: columns parted by ';' found, by ',' expected", "1.5")),
    ("a table parted by tabs", {"d.csv": TABLE.replace(",", "\t")}, load("d.csv", target="y"), DATA, ("columns parted by '\\t' found",)),
    ("a table with Excel's line about semicolons", {"d.csv": "sep=;\ny;a\n0;1,5\n"}, load("d.csv", target="y"), DATA, ("columns parted by ';' found",)),
    ("a table in Windows-1252", {"d.csv": "y,größe\n0,1\n1,2\n".encode("cp1252")}, load("d.csv", target="y"), DATA, ("another encoding than UTF-8; save it as CSV UTF-8",)),
    ("a table with a line too long", {"d.csv": "y,a\n1,2\n1,2,3,4\n"}, load("d.csv", target="y"), DATA, ("d.csv: not a table", "line 3")),
    ("a table with lines that all end in a comma", {"d.csv": "y,a\n" + "0,1,\n1,2,\n" * 4}, load("d.csv", target="y"), DATA, ("d.csv: 3 cells a row found under 2 names",)),
    ("a table with a second column of answers", {"d.csv": "y,a,y\n" + "0,1,0\n1,2,1\n" * 4}, load("d.csv", target="y"), DATA, ("d.csv: column 'y' found twice",)),
    ("a table with an index that was saved", {"d.csv": "," + TABLE.replace("\n", "\n0,")[:-2]}, load("d.csv", target="y"), DATA, ("d.csv: column 0, counted from 0, has no name", "task.columns")),
    ("a table with its answers for a channel", {"d.csv": TABLE}, load("d.csv", target="y", columns=("a", "y")), PARAMETER, ("task.columns: 'y' received, the answer itself",)),
    ("a table with a number of 400 digits", {"d.csv": TABLE + f"1,{10**400},2\n"}, load("d.csv", target="y"), DATA, ("d.csv: column 'a': not numbers",)),
    ("a table with words for times", {"d.csv": LONG.replace("0,0,0,0", "0,9:00,0,0")}, load("d.csv", **BY), DATA, ("d.csv: t: row 0: '9:00' found", "a finite number expected, or all dates like 2020-02-28")),
    ("a table of words, each a class", {"d.csv": "y,a\n" + "".join(f"w{i % 25},{i}\n" for i in range(40))}, load("d.csv", target="y"), DATA, ("25 classes among 40 answers found", "numbers, where they are")),
    ("a table of a head alone", {"d.csv": "y,a\n"}, load("d.csv", target="y"), DATA, ("d.csv: 0 rows",)),
    ("a table without a target", {"d.csv": TABLE}, load("d.csv"), PARAMETER, ("task.target: None received", "one of y, a, b")),
    ("a table without that target", {"d.csv": TABLE}, load("d.csv", target="z"), PARAMETER, ("task.target: 'z' received", "a, b, y")),
    ("a table without that column", {"d.csv": TABLE}, load("d.csv", target="y", columns=("c",)), PARAMETER, ("task.columns: 'c' received",)),
    ("a table with a word for a number", {"d.csv": TABLE + "1,x,2\n"}, load("d.csv", target="y"), DATA, ("row 8, column 'a': 'x' found, a number expected",)),
    ("a table with an empty answer", {"d.csv": TABLE + ",1,2\n"}, load("d.csv", target="y"), DATA, ("d.csv: y: row 8: nan found",)),
    ("a table with a second answer", {"d.csv": LONG + "7,2,0,1\n"}, load("d.csv", **BY), DATA, ("row 16: a second y found in its sequence", "task.each_step")),
    ("a table with a step twice", {"d.csv": LONG + "7,1,1,1\n"}, load("d.csv", **BY), DATA, ("row 16: t 1 found a second time",)),
    ("a table with a step at no time", {"d.csv": LONG + "7,,1,1\n"}, load("d.csv", **BY), DATA, ("d.csv: t: row 16: nan found, a finite number expected",)),
    ("a table with a row of nobody", {"d.csv": LONG + ",2,1,1\n"}, load("d.csv", **BY), DATA, ("d.csv: s: row 16: nan found",)),
    ("a table with an answer a step, a row a sequence", {"d.csv": TABLE}, load("d.csv", target="y", each_step=True), PARAMETER, ("task.each_step: True received", "task.sequence")),
    ("a table that is no parquet", {"d.parquet": b"PAR1junkPAR1"}, load("d.parquet", target="y"), DATA, ("d.parquet: ",)),
    ("a .ts file without data", {"d.ts": "@classLabel true a b\n"}, load("d.ts"), DATA, ("d.ts: no sequence behind a line @data",)),
    ("a .ts file of bytes", {"d.ts": b"\xff\xfe"}, load("d.ts"), DATA, ("d.ts: cannot be read",)),
    ("a .ts file with a word first", {"d.ts": "hello\n"}, load("d.ts"), DATA, ("d.ts: line 1: 'hello' found, @data",)),
    ("a .ts file with a name left out", {"d.ts": "@ \n" + TS}, load("d.ts"), DATA, ("d.ts: line 1: '@' found, @data",)),
    ("a .ts file with times", {"d.ts": "@timeStamps true\n" + TS}, load("d.ts"), DATA, ("@timeStamps true found",)),
    ("a .ts file without answers", {"d.ts": "@data\n1,2:3,4\n"}, load("d.ts"), DATA, ("neither @classLabel true nor @targetLabel true",)),
    ("a .ts file of classes for numbers", {"d.ts": TS}, load("d.ts", answer="real"), PARAMETER, ("task.answer: 'real' received", "'class'")),
    ("a .ts file with a stranger's class", {"d.ts": TS + "1:2:c\n"}, load("d.ts"), DATA, ("line 19: class 'c' found, one of a, b expected",)),
    ("a .ts file with a third channel", {"d.ts": TS + "1:2:3:a\n"}, load("d.ts"), DATA, ("line 19: 3 channels found, 2 expected",)),
    ("a .ts file with channels of two lengths", {"d.ts": TS + "1,2:3:a\n"}, load("d.ts"), DATA, ("line 19: 1 values found, 2 expected",)),
    ("a .ts file with a word for a number", {"d.ts": TS + "1,x:3,4:a\n"}, load("d.ts"), DATA, ("line 19: could not convert string to float: 'x', a number expected",)),
    ("a .ts file with a number in parts", {"d.ts": TS + "1_0:4:a\n"}, load("d.ts"), DATA, ("line 19: '1_0' found, numbers expected",)),
    ("a .ts file with a gap", {"d.ts": TS + "?:4:a\n"}, load("d.ts"), DATA, ("sequence 16, step 0, channel 0: NaN found",)),
    ("a folder without recordings", {"w/a.txt": ""}, load("w"), DATA, ("w: no .wav file found",)),
    ("a folder with a text for a recording", {**WAVES, "w/no/9.wav": b"hello"}, load("w"), DATA, ("9.wav: not a .wav file",)),
    ("a folder with a recording of no sample", {**WAVES, "w/no/9.wav": wav(samples=0)}, load("w"), DATA, ("9.wav: ",)),
    ("a folder with a recording of another rate", {**WAVES, "w/no/9.wav": wav(16_000)}, load("w"), DATA, ("9.wav: 1 channels at 16000 Hz found, 1 at 8000 Hz expected",)),
    ("a folder whose index leaves it", {**WAVES, "a.wav": wav(), "w/index.csv": "file,y\n../a.wav,1\n"}, load("w", target="y"), DATA, ("index.csv: file '../a.wav' found, a file within the folder",)),
    ("a folder whose index has a file twice", {**WAVES, "w/index.csv": "file,y\nno/1.wav,1\nno/2.wav,2\nno/../no/1.wav,2\n"}, load("w", target="y"), DATA, ("index.csv: file ", " found twice, each once expected")),
    ("a folder whose index is none", {**WAVES, "w/index.csv": ""}, load("w", target="y"), DATA, ("index.csv: not a table",)),
    ("a folder without an index", WAVES, load("w", target="y"), DATA, ("index.csv: not a table",)),
    ("a test that is learnt from", {"d.ts": TS}, load("d.ts", test_path="{here}/d.ts"), PARAMETER, ("task.test_path: ", "d.ts is task.path's too; the test needs files of its own")),
    ("a test within what is learnt from", WAVES, load("w", test_path="{here}/w/no"), PARAMETER, ("task.test_path: ", "w/no/0.wav is task.path's too")),
    ("a test whose answers are those of what is learnt from", {"d.NPY": npy(X), "e.NPY": npy(X + 1), "y.npy": npy(Y)}, load("d.NPY", test_path="{here}/e.NPY"), PARAMETER, ("task.test_path: ", "y.npy is task.path's too")),
    ("a test that is a copy of what is learnt from", {"d.ts": TS, "e.ts": TS}, hashed("d.ts", test_path="{here}/e.ts"), PARAMETER, ("task.test_path: what task.path holds received",)),
    ("a file of another kind", {"d.mat": b""}, load("d.mat"), PARAMETER, ("task.path: ", "received; a folder", ".csv, .npy, .npz, .parquet, .ts")),
    ("a field of another format", {"d.ts": TS}, load("d.ts", group="who"), PARAMETER, ("task.group: 'who' received; .ts has none; leave it out",)),
]
CASES = [Case(name, "Data", "file", call, code, says, files=files) for name, files, call, code, says in ROWS]
CASES += [
    Case("a share of more than all", "Parameters", "python", lambda _: Sequences(name="sequences", valid=0.9), PARAMETER, ("valid: 0.9 received",)),
    Case("an order of no sequences", "Parameters", "python", lambda _: Sequences(name="sequences", time="t"), PARAMETER, ("time orders the steps", "sequence")),
    Case("sequences of no steps", "Parameters", "python", lambda _: Sequences(name="sequences", longest=0), PARAMETER, ("longest: 0 received",)),
    Case("a share of a test that is named", "Parameters", "python", lambda _: Sequences(name="sequences", test_path="a.ts", test=0.3), PARAMETER, ("test draws the test", "no meaning where test_path names it")),
    Case("a drawing of a test that is named", "Parameters", "python", lambda _: Sequences(name="sequences", split="s", split_seed=1), PARAMETER, ("split_seed draws the test", "no meaning where split names it")),
    Case("two tests", "Parameters", "python", lambda _: Sequences(name="sequences", test_path="a.ts", split="s"), PARAMETER, ("test_path and split both say",)),
    Case("data that are not there", "Parameters", "cli", ("run", "nowhere.csv"), DATA, ("task.path: ", "nowhere.csv' is not there")),
    Case("data of two names", "Parameters", "cli", ("run", "{here}/a.csv", "--set", "task.path={here}/b.csv"), PARAMETER, ("task.path: ", " received; ", " is run; leave it out"), files={"a.csv": TABLE, "b.csv": TABLE}),
    Case("data of a name that is too long", "Parameters", "cli", ("run", f"{300 * 'a'}.csv"), DATA, ("task.path: ", "is not there")),
    Case("data in the home of nobody", "Parameters", "cli", ("run", "~nobody-of-that-name/a.csv"), DATA, ("task.path: ", "~nobody-of-that-name/a.csv' is not there")),
    Case("a smoke budget for one's own data", "Parameters", "cli", ("run", "nowhere.csv", "--budget", "smoke"), PARAMETER, ("budget: smoke",)),
]
# fmt: on
