"""Files of skeletons, and lists of them."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

from pathlib import Path

from workbench.tasks import skeletons
from workbench.tasks.skeletons import ntu_archive, ntu_names

from .case import DATA, Case, Link, refused
from .speech import marked, zipped


def skeleton(here: Path) -> object:
    return skeletons.read(here / "S001C001P001R001A001.skeleton")


def unusable(here: Path) -> object:
    return ntu_names.unusable(here / "list.txt", 2)


SKELETON = [b"2"]  # two frames, each with one body; line 1 counts them, then a frame has 28
for _ in range(2):
    SKELETON += [b"1", b"72057594037931101 0 1 1 1 1 0 0.02764709 0.05745083 2", b"25"]
    SKELETON += [b"0.2181153 0.1725972 3.785547 277.419 191.8218 1036.233 519.1677 -0.2 0.05 0.97 -0.12 2"] * 25


def line(number: int, *changed: bytes) -> bytes:
    """A .skeleton file with other lines in place of one."""
    return b"\n".join([*SKELETON[: number - 1], *changed, *SKELETON[number:]]) + b"\n"


def joint(number: int, x: str) -> bytes:
    """A .skeleton file with another x in a line."""
    return line(number, x.encode() + SKELETON[number - 1][9:])


TEXT = line(1, b"2")
WORDS = "found, plain numbers expected"
# fmt: off
SKELETON_CASES: dict[str, tuple[bytes | None, tuple[str, ...]]] = {
    "a skeleton file of nothing": (b"", ("line 1: the end of the file found, the number of frames expected",)),
    "a skeleton file of blanks": (b" \n", ("line 1: '' found, the number of frames, a whole number from 0, expected",)),
    "a skeleton file of more frames than it has": (line(1, b"3"), ("line 58: the end of the file found, the number of bodies in frame 3 of 3 expected",)),
    "a skeleton file of fewer frames than it has": (line(1, b"1"), ("line 30: '1' found, the end of the file after 1 frames expected",)),
    "a skeleton file of -2 frames": (line(1, b"-2"), ("line 1: '-2' found, the number of frames, a whole number from 0, expected",)),
    "a skeleton file of 2.0 frames": (line(1, b"2.0"), ("line 1: '2.0' found, the number of frames",)),
    "a skeleton file of ten digits of frames": (line(1, b"9999999999"), ("line 1: '9999999999' found, the number of frames",)),
    "a skeleton file of a thousand million frames": (line(1, b"999999999"), ("1 bodies in 999999999 frames found, at most 1,000,000 in all expected",)),
    "a skeleton file of -1 bodies": (line(2, b"-1"), ("line 2: '-1' found, the number of bodies in frame 1 of 2",)),
    "a skeleton file of 1.5 bodies": (line(2, b"1.5"), ("line 2: '1.5' found, the number of bodies",)),
    "a skeleton file of more bodies than it has": (line(2, b"2"), ("line 30: 1 values found, 10 values of a body expected",)),
    "a skeleton file of fewer bodies than it has": (line(2, b"0"), ("line 3: '72057594037931101 0 1 1 1 1 0 0.02764709 0.05745083 2' found, the number of bodies in frame 2 of 2",)),
    "a skeleton file without a number of bodies": (line(2, b""), ("line 2: '' found, the number of bodies",)),
    "a skeleton file of 24 joints": (line(4, b"24"), ("line 4: 24 joints found, 25 expected",)),
    "a skeleton file of 26 joints": (line(4, b"26"), ("line 4: 26 joints found, 25 expected",)),
    "a skeleton file of -25 joints": (line(4, b"-25"), ("line 4: '-25' found, the number of joints",)),
    "a skeleton file with 24 lines of joints": (line(9), ("line 29: 1 values found, 12 values of joint 25 expected",)),
    "a body of nine values": (line(3, SKELETON[2][:-2]), ("line 3: 9 values found, 10 values of a body expected",)),
    "a body whose ID is 1.5": (line(3, SKELETON[2].replace(b" ", b".5 ", 1)), ("line 3: '72057594037931101.5' found, a bodyID, a whole number, expected",)),
    "a body with a value that is no number": (line(3, SKELETON[2].replace(b"0.05745083", b"e")), ("line 3: 'e' found, a number expected",)),
    "a joint of 11 values": (line(5, SKELETON[4][:-2]), ("line 5: 11 values found, 12 values of joint 1 expected",)),
    "a joint of 13 values": (line(29, SKELETON[28] + b" 2"), ("line 29: 13 values found, 12 values of joint 25 expected",)),
    "a joint at NaN": (joint(6, "NaN"), (f"line 6: 'NaN' {WORDS}",)),
    "a joint at Microsoft's NaN": (joint(6, "-1.#IND"), (f"line 6: '-1.#IND' {WORDS}",)),
    "a joint at infinity": (joint(6, "-inf"), (f"line 6: '-inf' {WORDS}",)),
    "a joint at 1e999": (joint(6, "1e999"), ("line 6: '1e999' found, a finite number expected",)),
    "a joint at 1e39": (joint(6, "1e39"), ("line 6: '1e39' found, a finite number expected",)),
    "a joint at 1_0": (joint(6, "1_0"), (f"line 6: '1_0' {WORDS}",)),
    "a joint at 0x1": (joint(6, "0x1"), (f"line 6: '0x1' {WORDS}",)),
    "a joint at 1.2.3": (joint(6, "1.2.3"), ("line 6: '1.2.3' found, a number expected",)),
    "a joint at 0,2": (joint(6, "0,2"), (f"line 6: '0,2' {WORDS}",)),
    "a joint at a sign": (joint(6, "-"), ("line 6: '-' found, a number expected",)),
    "a joint at digits of another script": (joint(6, "\u0662"), ("line 6: b'\\xd9\\xa2", WORDS)),
    "a joint at a word": (joint(6, "left"), (f"line 6: 'left' {WORDS}",)),
    "a skeleton file cut inside a line": (TEXT[:800], ("found, 12 values of joint", "expected")),
    "a skeleton file cut behind a line": (b"\n".join(SKELETON[:40]), ("line 40: the end of the file found, 12 values of joint 9 expected",)),
    "a skeleton file with a number behind": (TEXT + b"7\n", ("line 58: '7' found, the end of the file after 2 frames expected",)),
    "a skeleton file with another behind": (TEXT + TEXT, ("line 58: '2' found, the end of the file after 2 frames",)),
    "a skeleton file with a blank line inside": (line(5, b"", SKELETON[4]), ("line 5: 0 values found, 12 values of joint 1 expected",)),
    "a web page in place of a skeleton file": (b"<!DOCTYPE html>\n<html></html>", (f"line 1: '<!DOCTYPE' {WORDS}",)),
    "a skeleton file in UTF-16": (TEXT.decode().encode("utf-16"), ("line 1: ", WORDS)),
    "a skeleton file in UTF-16 without a mark": (TEXT.decode().encode("utf-16-le"), ("line 1: ", WORDS)),
    "a skeleton file with a byte order mark": (TEXT.decode().encode("utf-8-sig"), ("line 1: ", WORDS)),
    "a zip in place of a skeleton file": (b"PK\x03\x04" + bytes(40), ("line 1: ", WORDS)),
    "a folder in place of a skeleton file": (None, ("cannot be read", "directory")),
}
CASES = [
    *[Case(n, "Data", "file", skeleton, DATA, says, files={"S001C001P001R001A001.skeleton": content}) for n, (content, says) in SKELETON_CASES.items()],
    *refused("Data", "file", DATA,
        ("a skeleton file without an action in its name", ntu_archive.recordings, ("'S001C001P001R001.skeleton' found", "a name like S001C002P003R002A013 expected"), {"files": {"S001C001P001R001.skeleton": TEXT}}),
        ("a skeleton file that leads nowhere", ntu_archive.recordings, ("A001.skeleton: cannot be read", "No such file"), {"files": {"S001C001P001R001A001.skeleton": Link("nowhere")}}),
        ("a .zip of skeleton files of a later format", ntu_archive.recordings, ("clips.zip: cannot be read", "zip file version 9.9"), {"files": {"clips.zip": marked(zipped(("a", b"")), 6, b"\x63")}}),
        ("a .zip of skeleton files with a name that is none", ntu_archive.recordings, ("clips.zip: cannot be read", "utf-8"), {"files": {"clips.zip": marked(marked(zipped(("a", b"")), 9, b"\x08"), 46, b"\xff")}}),
        ("a .zip of skeleton files that is none", ntu_archive.recordings, ("clips.zip: cannot be read", "not a zip file"), {"files": {"clips.zip": TEXT}}),
        ("a list of unusable clips that is absent", unusable, ("list.txt: missing", "2 clips without usable skeletons")),
        ("a list of unusable clips that is short", unusable, ("list.txt: 1 names found, 2 expected",), {"files": {"list.txt": "\n\n\nS001C001P001R001A001\n"}}),
        ("a list of unusable clips with half a name", unusable, ("list.txt: line 5: 'S001C001' found", "a name like"), {"files": {"list.txt": "\n\n\nS001C001P001R001A001\nS001C001\n"}}),
        ("a list of unusable clips in UTF-16", unusable, ("list.txt: cannot be read", "ascii"), {"files": {"list.txt": "\n".encode("utf-16")}}),
    ),
]
# fmt: on
