"""UTD-MHAD (Chen, Jafari, Kehtarnavaz 2015): 861 clips of 27 actions by 8 subjects, 20 joints of one body, Kinect v1.

Read from our packing (skeletons.npy.xz, index.csv) or from the authors' Skeleton.zip of MATLAB files: the same array.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...errors import DataError, understood
from .. import download, npy_xz
from .clips import Clips

ACTIONS, JOINTS = 27, 20
TRAINED = (1, 3, 5, 7)  # the subjects that the data set's authors train on; 2, 4, 6, 8 are the test
HIP = 3  # the joint in the middle, counted from 0
# SHA-256 of all coordinates, clip after clip, float32 little-endian
CONTENT = "238a373034c6d6ae8cda5be0d2f21df029e39a8d389521e607dd93e19447fb9c"
CAP = 2**26  # bytes of all frames, which have 13,991,760
STEPS = 32  # frames that clips are resampled to, to be compared
LARGEST = 2**20  # bytes of one of the authors' files; they have about 12,000
_MEMBER = re.compile(r"(?:.*/)?(a(\d+)_s(\d+)_t(\d+))_skeleton\.mat")


def clips() -> tuple[Clips, np.ndarray]:
    """All clips, and the subject (N,) of each; found and verified at each use, read once."""
    return _read(download.locate("utd_mhad"))


@lru_cache(maxsize=1)
def _read(folder: Path) -> tuple[Clips, np.ndarray]:
    known = download.SETS["utd_mhad"]
    with understood(f"{folder}: cannot be read"):
        if not all((folder / file).is_file() for file in known.files):
            names, parts = _unpacked(folder / known.original)
            frames, length = np.concatenate(parts), np.array([len(part) for part in parts])
        else:
            with (folder / "index.csv").open(newline="", encoding="ascii") as file:
                rows = list(csv.DictReader(file))
            names, length = [row["name"] for row in rows], np.array([int(row["frames"]) for row in rows])
            frames = npy_xz.read(folder / "skeletons.npy.xz", "<f4", (None, JOINTS, 3), CAP)
    content = hashlib.sha256(frames.tobytes()).hexdigest()
    if content != CONTENT:
        raise DataError(f"{folder}: coordinates of SHA-256 {content[:16]}... found, {CONTENT[:16]}... expected")
    action, subject = np.array([[int(part[1:]) for part in name.split("_")[:2]] for name in names]).T
    return Clips(str(folder), names, frames[:, None], np.cumsum(length) - length, length, action - 1), subject


def _unpacked(original: Path) -> tuple[list[str], list[np.ndarray]]:
    """The MATLAB files of the authors' archive, ordered by action, subject and trial: names, (frames, 20, 3) each."""
    with zipfile.ZipFile(original) as archive:
        found = sorted(
            (tuple(map(int, match.groups()[1:])), match[1], member)
            for member in archive.namelist()
            if (match := _MEMBER.fullmatch(member))
        )
        if not found:
            raise ValueError(f"{original.name} has no file like a1_s1_t1_skeleton.mat")
        return [name for _, name, _ in found], [_matlab(archive, member) for _, _, member in found]


def _matlab(archive: zipfile.ZipFile, member: str) -> np.ndarray:
    """The variable d_skel (20, 3, frames) of a MATLAB file as (frames, 20, 3)."""
    from scipy.io import loadmat

    if archive.getinfo(member).file_size > LARGEST:
        raise ValueError(f"{member} has more than {LARGEST:,} bytes")
    with understood(f"{archive.filename}: {member}: not a MATLAB file"):
        skeleton = loadmat(io.BytesIO(archive.read(member)), variable_names=["d_skel"])["d_skel"]
        skeleton = np.asarray(skeleton, np.float32).reshape(JOINTS, 3, -1)
    return skeleton.transpose(2, 0, 1)


def neighbour_accuracy() -> float:
    """The share of UTD-MHAD's test clips (subjects 2, 4, 6, 8) whose most similar training clip is of the same action.

    Distances are Euclidean between whole clips: joints relative to the hip, resampled to 32 frames.
    """
    known, subject = clips()
    x, trained = resampled(known), np.isin(subject, TRAINED)
    square = np.square(x).sum(1)
    distance = square[~trained, None] + square[trained] - 2 * x[~trained] @ x[trained].T
    return float((known.label[trained][distance.argmin(1)] == known.label[~trained]).mean())


def resampled(known: Clips) -> np.ndarray:
    """Each clip as one vector of 32 frames, linear between the frames there are: (N, 32 * joints * 3)."""
    out = []
    for row in range(len(known.length)):
        clip = known.clip(row).astype(np.float64)
        clip -= clip[:, :, HIP, None]
        flat, at = clip.reshape(len(clip), -1), np.linspace(0, len(clip) - 1, STEPS)
        below = np.minimum(at.astype(int), len(clip) - 2)
        share = (at - below)[:, None]
        out.append((flat[below] * (1 - share) + flat[below + 1] * share).ravel())
    return np.array(out)
