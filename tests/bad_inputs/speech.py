"""Spoken digits: packed, and in the archive they come in."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

import io
import lzma
import wave
import zipfile
from pathlib import Path

import numpy as np

from workbench.tasks import speech

from .case import DATA, Case


def recordings(here: Path) -> object:
    return speech.read(here)


def packed(array: np.ndarray | bytes, **index: str | bytes) -> dict[str, bytes]:
    """The two files of spoken digits; `index` replaces the table, `extra` follows the compressed array."""
    if not isinstance(array, bytes):
        buffer = io.BytesIO()
        np.save(buffer, array)
        array = buffer.getvalue()
    table = index.get("index", "")
    return {"recordings.npy.xz": lzma.compress(array), "index.csv": table.encode() if isinstance(table, str) else table}


def index_of(*lines: str) -> str:
    return "\n".join([",".join(speech.COLUMNS), *lines]) + "\n"


def digits_archive(here: Path) -> object:
    return speech.read_original(here / "digits.zip")


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def marked(archive: bytes, at: int, value: bytes) -> bytes:
    """An archive of one file with these bytes of its entry in the directory changed."""
    at += archive.index(b"PK\1\2")
    return archive[:at] + value + archive[at + len(value) :]


def wav(rate: int = 8000, channels: int = 1, samples: int = 4) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(2 * channels * samples))
    return buffer.getvalue()


TEN = np.arange(10, dtype="<i2")  # two recordings of five samples
FIRST, SECOND = "3_ann_0,3,ann,0,0,5,test", "4_bob_7,4,bob,7,5,5,train"
WHOLE_XZ = packed(TEN)["recordings.npy.xz"]
HUGE = (
    b"\x93NUMPY\x01\x00v\x00"
    + b"{'descr': '<i2', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117)
    + b"\n"
)
WAV = "d/recordings/3_ann_0.wav"
# fmt: off
ARCHIVE_CASES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "an archive that is no archive": (b"<!DOCTYPE html>", ("digits.zip: cannot be read", "not a zip file")),
    "an archive that is encrypted": (marked(zipped((WAV, wav())), 8, b"\1"), ("digits.zip: ", f"{WAV}: not a .wav file", "encrypted")),
    "an archive packed in another way": (marked(zipped((WAV, wav())), 10, b"\x63"), ("digits.zip: ", f"{WAV}: not a .wav file", "compression method")),
    "an archive of a later format": (marked(zipped((WAV, wav())), 6, b"\x63"), ("digits.zip: cannot be read", "zip file version 9.9")),
    "an archive of a name that is none": (marked(marked(zipped((WAV, wav())), 9, b"\x08"), 46, b"\xff"), ("digits.zip: cannot be read", "utf-8")),
    "an archive without recordings": (zipped(("README.md", b"x")), ("digits.zip: no recordings/0_george_0.wav or the like found",)),
    "an archive with a text for a recording": (zipped((WAV, b"hello")), (f"digits.zip: {WAV}: not a .wav file",)),
    "an archive with an empty recording": (zipped((WAV, b"")), (f"digits.zip: {WAV}: not a .wav file",)),
    "an archive with a recording of no sample": (zipped((WAV, wav(samples=0))), (f"{WAV}: 1 channels of 16 bits at 8000 Hz, 0 bytes found",)),
    "an archive with a recording at 16 kHz": (zipped((WAV, wav(16_000))), (f"{WAV}: 1 channels of 16 bits at 16000 Hz", "at 8000 Hz expected")),
    "an archive with a recording in stereo": (zipped((WAV, wav(channels=2))), (f"{WAV}: 2 channels of 16 bits",)),
    "an archive with a huge recording": (zipped((WAV, bytes(speech.LARGEST + 1))), (f"{WAV}: 1048577 bytes found, at most 1048576 expected",)),
}
SPEECH_CASES: dict[str, tuple[dict[str, bytes], tuple[str, ...]]] = {
    "recordings cut short": ({**packed(TEN), "recordings.npy.xz": WHOLE_XZ[:-9]}, ("recordings.npy.xz: no end of its xz stream found",)),
    "recordings with junk behind": ({**packed(TEN), "recordings.npy.xz": WHOLE_XZ + b"junk"}, ("recordings.npy.xz: bytes behind the end of its xz stream found",)),
    "recordings with a changed byte": ({**packed(TEN), "recordings.npy.xz": WHOLE_XZ[:40] + bytes([WHOLE_XZ[40] ^ 255]) + WHOLE_XZ[41:]}, ("recordings.npy.xz: cannot be read", "orrupt")),
    "empty recordings": ({**packed(TEN), "recordings.npy.xz": b""}, ("recordings.npy.xz: no end of its xz stream",)),
    "a web page in place of recordings": ({**packed(TEN), "recordings.npy.xz": b"<!DOCTYPE html>"}, ("recordings.npy.xz: cannot be read", "format")),
    "recordings that are no array": (packed(b"RIFF....WAVE"), ("recordings.npy.xz: byte 0: not an .npy array",)),
    "recordings of floats": (packed(TEN.astype(np.float32)), ("byte 0: (10,) of <f4 found, (any) of <i2 expected",)),
    "recordings of big-endian numbers": (packed(TEN.astype(">i2")), ("(10,) of >i2 found, (any) of <i2 expected",)),
    "recordings of two dimensions": (packed(TEN.reshape(2, 5)), ("(2, 5) of <i2 found, (any) of <i2 expected",)),
    "recordings of no sample": (packed(TEN[:0]), ("(0,) of <i2 found, (any) of <i2 expected",)),
    "recordings of objects": (packed(b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n" + b"\x80\x04N."), ("(1,) of |O found, (any) of <i2 expected",)),
    "recordings that claim two terabytes": (packed(HUGE), ("byte 128: 0 bytes of data found, 2000000000000 expected",)),
    "an empty index": (packed(TEN), ("index.csv: line 1: 'an empty file' found, 'name,digit,speaker",)),
    "an index of other columns": (packed(TEN, index="name,digit\n"), ("line 1: 'name,digit' found", "start,samples,split' expected")),
    "an index that is no text": (packed(TEN, index=b"\xff\xfe"), ("index.csv: cannot be read", "ascii")),
    "an index with an open quote": (packed(TEN, index=index_of('"')), ("index.csv: cannot be read", "unexpected end")),
    "an index line of three values": (packed(TEN, index=index_of(FIRST, "a,b,c")), ("index.csv: line 3: 3 values found, 7 expected",)),
    "an index with a length of 1_0": (packed(TEN, index=index_of("3_ann_0,3,ann,0,0,1_0,test")), ("line 2: samples '1_0' found, a whole number expected",)),
    "an index with a negative start": (packed(TEN, index=index_of("3_ann_0,3,ann,0,-1,5,test")), ("line 2: start '-1' found, a whole number",)),
    "an index with a digit 10": (packed(TEN, index=index_of("10_ann_0,10,ann,0,0,5,test")), ("line 2: digit 10 and index 0 found, 0...9 and 0...49 expected",)),
    "an index with another digit than its name": (packed(TEN, index=index_of("3_ann_0,8,ann,0,0,5,test")), ("line 2: name '3_ann_0' found, '8_ann_0' expected",)),
    "an index with a take in the wrong split": (packed(TEN, index=index_of("3_ann_0,3,ann,0,0,5,train")), ("line 2: split 'train' found, 'test' expected for index 0",)),
    "an index with a name twice": (packed(TEN, index=index_of(FIRST, FIRST)), ("line 3: 3_ann_0 found a second time",)),
    "an index with a gap": (packed(TEN, index=index_of(FIRST, SECOND.replace(",5,5,", ",6,4,"))), ("line 3: start 6 and 4 samples found, start 5 and 1 to 5 samples expected",)),
    "an index that leaves the recordings": (packed(TEN, index=index_of(FIRST, SECOND.replace(",5,5,", ",5,6,"))), ("line 3: start 5 and 6 samples found, start 5 and 1 to 5",)),
    "an index that stops early": (packed(TEN, index=index_of(FIRST)), ("line 2: the recordings end at 5, 10 samples expected",)),
    "recordings without their index": ({"recordings.npy.xz": WHOLE_XZ}, ("index.csv: cannot be read", "No such file")),
}
CASES = [
    *[Case(n, "Data", "file", recordings, DATA, says, files=files) for n, (files, says) in SPEECH_CASES.items()],
    *[Case(n, "Data", "file", digits_archive, DATA, says, files={"digits.zip": content}) for n, (content, says) in ARCHIVE_CASES.items()],
]
# fmt: on
