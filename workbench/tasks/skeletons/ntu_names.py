"""Facts in the names of NTU RGB+D's clips alone: which there are, which are trained on, which are unusable.

A name is SsssCcccPpppRrrrAaaa: setup, camera, performer, replication, action (Shahroudy et al. 2016; Liu et al. 2020).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple

from ...errors import DataError, quoted

Source = Literal["ntu60", "ntu120"]
LISTS = {  # of clips without usable skeletons, as published: file, names in it
    "ntu60": ("NTU_RGBD_samples_with_missing_skeletons.txt", 302),
    "ntu120": ("NTU_RGBD120_samples_with_missing_skeletons.txt", 535),
}
ACTIONS = {"ntu60": 60, "ntu120": 120}
_FORM = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.ASCII)


def _numbers(text: str) -> tuple[int, ...]:
    """`3 7-9` -> 3, 7, 8, 9."""
    ends = [[*map(int, part.split("-"))] for part in text.split()]
    return tuple(n for low, *high in ends for n in range(low, (high[0] if high else low) + 1))


# Who performs in which setup: each does sixty actions twice before three cameras, 1-60 up to setup 17, then 61-120.
_PERFORMERS = (
    "1: 1-8 | 2: 3 7-14 | 3: 1 2 7 8 15-19 | 4: 3 7 8 20 | 5: 4 10 13 15-18 21 | 6: 1 7 8 15-17 19 22-24 | "
    "7: 1 7 8 15-19 25-28 | 8: 1 7 8 15 19 25 29-36 | 9: 7 8 15-17 19 25 | 10: 7 8 13 15-19 21 25 | "
    "11: 1 2 7 8 15-19 25 27 28 38 | 12: 7 8 15-19 25 27 28 37 | 13: 7 8 15-19 25 27 28 37 | "
    "14: 7 8 15 17 19 25 27 37 39 | 15: 7 8 15-17 19 25 37 | 16: 7 8 19 21 25 39 40 | 17: 3 7-9 15-17 20 | "
    "18: 8 41-45 | 19: 8 41 42 46-51 | 20: 8 41 43 44 52-54 | 21: 55-60 | 22: 61-67 | 23: 55-68 | "
    "24: 57 60-64 67 | 25: 55 56 58 59 65 66 68 | 26: 8 41 44 49-51 69-72 74-77 | 27: 6 8 11 41 43 44 78-86 | "
    "28: 8 41-43 46 48 70 73 87 | 29: 6 8 41 43 44 48 49 51 67 74 75 80 88-90 | "
    "30: 8 11 41 43 44 48 67 75 76 81 85 88 91-96 | 31: 6 8 41-44 51 67 82 85 96-101 | "
    "32: 8 41 43 44 67 102-106"
)
PERFORMERS = {int(setup): _numbers(who) for setup, who in (each.split(":") for each in _PERFORMERS.split("|"))}
SETUPS = {"ntu60": range(1, 18), "ntu120": range(1, 33)}
# Cross-subject trains on these performers, cross-view on cameras 2 and 3, cross-setup on the even setups.
_TRAINED_60 = _numbers("1 2 4 5 8 9 13-19 25 27 28 31 34 35 38")
_TRAINED_LATER = _numbers("45-47 49 50 52-59 70 74 78 80-86 89 91-95 97 98 100 103")
TRAINED = {"ntu60": frozenset(_TRAINED_60), "ntu120": frozenset(_TRAINED_60 + _TRAINED_LATER)}


class Name(NamedTuple):
    """A clip's name, taken apart."""

    setup: int
    camera: int
    performer: int
    replication: int
    action: int

    def __str__(self) -> str:
        return "S{:03}C{:03}P{:03}R{:03}A{:03}".format(*self)

    def is_trained(self, source: Source, protocol: str) -> bool:
        """Test whether a protocol (subject, view, setup) trains on this clip; the others are its test."""
        if protocol == "view":
            return self.camera in (2, 3)
        if protocol == "setup":
            return self.setup % 2 == 0
        return self.performer in TRAINED[source]


def parse(text: str, origin: str = "name") -> Name:
    """`S001C002P003R002A013`, with or without `.skeleton`; DataError for anything else."""
    match = _FORM.fullmatch(text.removesuffix(".skeleton"))
    if match is None:
        raise DataError(f"{origin}: {quoted(text)} found, a name like S001C002P003R002A013 expected")
    return Name(*map(int, match.groups()))


def every(source: Source) -> list[Name]:
    """All clips that a data set has, usable or not, in the order of their names: 56,880 and 114,480."""
    return [
        Name(setup, camera, performer, replication, action)
        for setup in SETUPS[source]
        for camera in (1, 2, 3)
        for performer in PERFORMERS[setup]
        for replication in (1, 2)
        for action in (range(1, 61) if setup <= 17 else range(61, 121))
    ]


def unusable(path: Path, count: int) -> set[Name]:
    """The names of a published list: three lines of prose, then `count` names, one a line."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: missing; it lists {count} clips without usable skeletons") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    found = {parse(line.strip(), f"{path}: line {i}") for i, line in enumerate(lines[3:], 4) if line.strip()}
    if len(found) != count:
        raise DataError(f"{path}: {len(found)} names found, {count} expected")
    return found


def usable(source: Source, folder: Path) -> list[Name]:
    """The clips of a data set that are trained or tested on, by the list in a folder: 56,578 and 113,945."""
    file, count = LISTS[source]
    left_out = unusable(folder / file, count)
    return [name for name in every(source) if name not in left_out]
