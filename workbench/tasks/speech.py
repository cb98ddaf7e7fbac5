"""Spoken digits as raw waveforms, one sample a step: the Free Spoken Digit Dataset, real data for very long sequences.

3,000 recordings of ten digits by six speakers, 8 kHz, 16 bit, 1,148 to 18,262 samples. Its official split makes takes
0-4 of every speaker and digit the test (300); in the same way takes 5-9 are held out here for validation (300), and
10-49 are learnt from (2,400). Recordings of like length share a batch, so that little is padded.

Read from our packing (recordings.npy.xz, index.csv) or from the authors' archive of .wav files: the same samples.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import wave
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..config import Speech
from ..errors import DataError, reading, understood
from . import download, npy_xz
from .contract import Batch, Scaler, Spec, Split
from .lengths import ByLength, thinned

TAKES: dict[Split, range] = {"test": range(5), "valid": range(5, 10), "train": range(10, 50)}
LONG = 5_000  # recordings of more samples are scored apart too, as the subset `long`
CAP, LARGEST = 2**25, 2**20  # bytes of the unpacked recordings, and of one .wav file; there are 21 million, and 37,000
# SHA-256 of all samples, recording after recording by digit, speaker and take, 16 bit little-endian
CONTENT = "801bcecb25fa3bfb54fb3c0b1d94732d8456ce5b0c1f036667852a341a3aacd4"
_WAVE = re.compile(r"(?:[^/]+/)?recordings/((\d)_([a-z]+)_([1-4]?\d))\.wav")
COLUMNS = ["name", "digit", "speaker", "index", "start", "samples", "split"]


class Recordings(NamedTuple):
    """All samples (n,) int16, one recording behind the other; of each recording its first sample, its length, its digit
    and its take, int64."""

    samples: Tensor
    start: Tensor
    lengths: Tensor
    digits: Tensor
    takes: Tensor


def spec(config: Speech) -> Spec:
    """The task seen from a net; `steps` is the longest recording's."""
    return Spec(inputs=1, outputs=10, steps=config.length, target="class")


class SpeechTask(ByLength):
    """x (longest, B, 1), lengths (B,); y (B,): the digit."""

    apart: int = LONG

    def __init__(self, recordings: Recordings, config: Speech, seed: int, batch_size: int):
        self.spec = spec(config)
        self.recordings, self.equal = recordings, config.loudness == "equal"
        self.scaler = Scaler((2.0**-15,), (0.0,), "a sample of 16 bits at 8 kHz")
        if self.equal:
            self.scaler = Scaler((1.0,), (0.0,), "a sample at 8 kHz, less its recording's mean, over its deviation")
        takes = recordings.takes
        every = {split: (takes >= r.start) & (takes < r.stop) for split, r in TAKES.items()}
        rows = {split: thinned(there.nonzero().squeeze(1), config.limit) for split, there in every.items()}
        super().__init__(rows, recordings.lengths, seed, batch_size)

    def drawn(self) -> dict[str, Any]:
        return {}

    def wave(self, row: int) -> Tensor:
        """Samples of a recording as a net reads them -> (its samples,)."""
        start, length = int(self.recordings.start[row]), int(self.recordings.lengths[row])
        x = self.recordings.samples[start : start + length].float() / 2**15
        return (x - x.mean()) / x.std(correction=0).clamp_min(2**-15) if self.equal else x

    def read(self, rows: Tensor) -> Batch:
        lengths = self.lengths[rows]
        x = pad_sequence([self.wave(row) for row in rows.tolist()]).unsqueeze(-1)
        return Batch(x, self.recordings.digits[rows], lengths, subset="long" if int(lengths.min()) > self.apart else "")


def hashes(config: Speech) -> dict[str, str]:
    """The hashes of the recordings a run reads: part of its name."""
    return download.hashes("fsdd")


def task(config: Speech, seed: int, batch_size: int) -> SpeechTask:
    """The task under a seed, its recordings found and verified."""
    return SpeechTask(recordings(), config, seed, batch_size)


def recordings() -> Recordings:
    """The published recordings, found and verified at each use, read once."""
    return _read_published(download.locate("fsdd"))


@lru_cache(maxsize=1)
def _read_published(folder: Path) -> Recordings:
    known = download.SETS["fsdd"]
    packed = all((folder / file).is_file() for file in known.files)
    found = read(folder) if packed else read_original(folder / known.original)
    content = hashlib.sha256(found.samples.numpy().astype("<i2").tobytes()).hexdigest()
    if content != CONTENT:
        raise DataError(f"{folder}: samples of SHA-256 {content[:16]}... found, {CONTENT[:16]}... expected")
    return found


def read(folder: Path) -> Recordings:
    """recordings.npy.xz and index.csv of a folder, checked against each other.

    Raises DataError with file, place, expected and found: for an array that is not one row of int16, and for a line of
    the index that names another digit, take or split than it gives, or leaves the recordings.
    """
    samples = npy_xz.read(folder / "recordings.npy.xz", "<i2", (None,), CAP)
    path, columns = folder / "index.csv", []
    with reading(path, UnicodeDecodeError, csv.Error):
        lines = list(csv.reader(path.read_text(encoding="ascii").splitlines(), strict=True))
    if not lines or lines[0] != COLUMNS:
        found = ",".join(lines[0])[:80] if lines else "an empty file"
        raise DataError(f"{path}: line 1: {found!r} found, {','.join(COLUMNS)!r} expected")
    end, seen = 0, set()
    for number, line in enumerate(lines[1:], 2):
        row = _row(line, f"{path}: line {number}")
        if row[0] in seen:
            raise DataError(f"{path}: line {number}: {row[0]} found a second time, each name once expected")
        if row[2] != end or not 0 < row[3] <= len(samples) - end:
            left = f"start {end} and 1 to {len(samples) - end} samples expected"
            raise DataError(f"{path}: line {number}: start {row[2]} and {row[3]} samples found, {left}")
        end += row[3]
        seen.add(row[0])
        columns.append((row[2], row[3], row[1], row[4]))
    if end != len(samples):
        raise DataError(f"{path}: line {len(lines)}: the recordings end at {end}, {len(samples)} samples expected")
    start, lengths, digits, takes = torch.tensor(columns).unbind(1)
    return Recordings(torch.from_numpy(samples.astype(np.int16)), start, lengths, digits, takes)


def read_original(path: Path) -> Recordings:
    """The recordings of the authors' archive of .wav files, by digit, speaker and take, as we pack them.

    Raises DataError that names the archive and the file in it that is not 8 kHz, mono, 16 bit.
    """
    with understood(f"{path}: cannot be read"), zipfile.ZipFile(path) as archive:
        names = {m[1]: m for m in map(_WAVE.fullmatch, archive.namelist()) if m}
        order = sorted(names, key=lambda name: (int(names[name][2]), names[name][3], int(names[name][4])))
        waves = [_wave(archive, names[name][0], f"{path}: {names[name][0]}") for name in order]
    if not waves:
        raise DataError(f"{path}: no recordings/0_george_0.wav or the like found, 3,000 of them expected")
    lengths, named = torch.tensor([len(wave) for wave in waves]), [names[name] for name in order]
    digits, takes = (torch.tensor([int(m[group]) for m in named]) for group in (2, 4))
    return Recordings(torch.from_numpy(np.concatenate(waves)), lengths.cumsum(0) - lengths, lengths, digits, takes)


def _wave(archive: zipfile.ZipFile, member: str, place: str) -> np.ndarray:
    """The samples of a .wav file in an archive, int16."""
    if (size := archive.getinfo(member).file_size) > LARGEST:
        raise DataError(f"{place}: {size} bytes found, at most {LARGEST} expected")
    with understood(f"{place}: not a .wav file"), wave.open(io.BytesIO(archive.read(member))) as file:
        made = file.getnchannels(), file.getframerate(), 8 * file.getsampwidth()
        samples = file.readframes(file.getnframes())
    if made != (1, 8000, 16) or not samples:
        found = f"{made[0]} channels of {made[2]} bits at {made[1]} Hz, {len(samples)} bytes"
        raise DataError(f"{place}: {found} found, 1 channel of 16 bits at 8000 Hz expected")
    return np.frombuffer(samples, "<i2").astype(np.int16)


def _row(line: list[str], place: str) -> tuple[str, int, int, int, int]:
    """A line of the index -> name, digit, start, samples, take."""
    if len(line) != len(COLUMNS):
        raise DataError(f"{place}: {len(line)} values found, {len(COLUMNS)} expected")
    name, speaker, split = line[0], line[2], line[6]
    numbers = [line[1], *line[3:6]]
    for column, text in zip(("digit", "index", "start", "samples"), numbers, strict=True):
        if not (text.isdecimal() and len(text) <= 9):
            raise DataError(f"{place}: {column} {text[:40]!r} found, a whole number expected")
    digit, take, start, samples = map(int, numbers)
    if digit > 9 or take >= TAKES["train"].stop:
        raise DataError(f"{place}: digit {digit} and index {take} found, 0...9 and 0...49 expected")
    if name != f"{digit}_{speaker}_{take}":
        raise DataError(f"{place}: name {name[:40]!r} found, {f'{digit}_{speaker}_{take}'[:60]!r} expected")
    official = "test" if take in TAKES["test"] else "train"
    if split != official:
        raise DataError(f"{place}: split {split[:40]!r} found, {official!r} expected for index {take}")
    return name, digit, start, samples, take
