"""A .skeleton file of NTU RGB+D: plain text, what Kinect v2 saw of every body in every frame; and the two that act.

    number of frames
    for each frame: number of bodies
        for each body: bodyID and 9 more values, a line; the number of joints, 25; then 25 lines of 12 values,
        x y z first, in metres, in the camera's coordinates

Lines may end in LF or CRLF and have blanks around their values, and blank lines may follow the last; nothing else may.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np

from ...errors import DataError, quoted, reading

JOINTS = 25
BODY_VALUES, JOINT_VALUES = 10, 12
LARGEST = 64 * 2**20  # bytes; real files have about one million
MOST = 1_000_000  # frames times bodies
REACH = 0.5  # metres between where a body was lost and where it is found again
_BASE = 0  # the joint that says where a body is: base of the spine
_STRANGE = re.compile(rb"[^0-9eE+\-. \t\r\n]")  # in no number; so no NaN, inf, hex, or 1_0 that Python takes


def read(path: str | Path) -> np.ndarray:
    """The joints of every body: float32 (frames, bodies, 25, 3), in metres.

    A body is one bodyID: it keeps its place in the array over the whole file, places are given in the order of first
    appearance, and where it is absent it is zero. Frames without a body stay, as zeros. Raises DataError with file,
    line, expected and found for whatever the format does not allow.
    """
    path = Path(path)
    with reading(path, ValueError), path.open("rb") as stream:
        content = stream.read(LARGEST + 1)
    return parse(content, str(path))


def parse(content: bytes, origin: str) -> np.ndarray:
    """`read` of a file's bytes; `origin` names it in complaints."""
    if len(content) > LARGEST:
        raise DataError(f"{origin}: more than {LARGEST:,} bytes found, a clip has fewer")
    if strange := _STRANGE.search(content):
        line = content.count(b"\n", 0, strange.start()) + 1
        raise DataError(f"{origin}: line {line}: {_word(content, strange.start())} found, plain numbers expected")
    return _Lines(content.decode("ascii").split("\n"), origin).bodies()


def _word(content: bytes, at: int) -> str:
    """The word around a byte, quoted."""
    start = max(content.rfind(blank, 0, at) for blank in (b" ", b"\t", b"\r", b"\n")) + 1
    word = re.split(rb"[ \t\r\n]", content[max(start, at - 20) : at + 40], maxsplit=1)[0][:40]
    return quoted(word.decode() if word.isascii() else word)


class _Lines:
    """The lines of one file, read from the top."""

    def __init__(self, lines: list[str], origin: str):
        self.lines, self.origin, self.at = lines, origin, 0

    def bodies(self) -> np.ndarray:
        frames = self.count("number of frames")
        seen: list[tuple[int, int, list[float]]] = []  # frame, place, 75 coordinates
        places: dict[tuple[str, int], int] = {}
        for frame in range(frames):
            twins: Counter[str] = Counter()
            for _ in range(self.count(f"number of bodies in frame {frame + 1} of {frames}")):
                body = self.values(BODY_VALUES, "a body")[0]
                twins[body] += 1  # an ID that stands twice in a frame: two bodies
                place = places.setdefault((body, twins[body]), len(places))
                seen.append((frame, place, self.joints()))
                if frames * len(places) > MOST:
                    raise self.wrong(f"{len(places)} bodies in {frames} frames", f"at most {MOST:,} in all")
        self.end(frames)
        out = np.zeros((frames, len(places), JOINTS, 3), np.float32)
        for frame, place, coordinates in seen:
            out[frame, place] = np.reshape(coordinates, (JOINTS, 3))
        return out

    def joints(self) -> list[float]:
        """25 lines of 12 numbers: the first three of each."""
        joints = self.count("number of joints")
        if joints != JOINTS:
            raise self.wrong(f"{joints} joints", str(JOINTS))
        coordinates: list[float] = []
        for joint in range(JOINTS):
            coordinates += self.numbers(self.values(JOINT_VALUES, f"joint {joint + 1}"))[:3]
        return coordinates

    def values(self, wanted: int, of: str) -> list[str]:
        """The words of the next line, `wanted` many; those of a body begin with its ID."""
        words = self.next(f"{wanted} values of {of}").split()
        if len(words) != wanted:
            raise self.wrong(f"{len(words)} values", f"{wanted} values of {of}")
        if wanted == BODY_VALUES:
            if not words[0].isdigit():
                raise self.wrong(quoted(words[0]), "a bodyID, a whole number,")
            self.numbers(words[1:])
        return words

    def numbers(self, words: list[str]) -> list[float]:
        try:
            found = [float(word) for word in words]
        except ValueError:
            bad = next(word for word in words if not _is_number(word))
            raise self.wrong(quoted(bad), "a number") from None
        if max(map(abs, found)) > 1e30:  # infinite as float32, or nearly
            bad = next(word for word in words if abs(float(word)) > 1e30)
            raise self.wrong(quoted(bad), "a finite number")
        return found

    def count(self, of: str) -> int:
        """A line that is one whole number from 0."""
        text = self.next(f"the {of}").strip()
        if not text.isdigit() or len(text) > 9:
            raise self.wrong(quoted(text), f"the {of}, a whole number from 0,")
        return int(text)

    def next(self, wanted: str) -> str:
        if self.at >= len(self.lines) or (self.at == len(self.lines) - 1 and not self.lines[-1].strip()):
            self.at = len(self.lines)
            raise self.wrong("the end of the file", wanted)
        self.at += 1
        return self.lines[self.at - 1]

    def end(self, frames: int) -> None:
        for text in self.lines[self.at :]:
            self.at += 1
            if text.strip():
                raise self.wrong(quoted(text.strip()), f"the end of the file after {frames} frames")

    def wrong(self, found: str, expected: str) -> DataError:
        return DataError(f"{self.origin}: line {self.at}: {found} found, {expected} expected")


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


# --- the two that act ---


def actors(bodies: np.ndarray) -> np.ndarray:
    """The two bodies that move most: (frames, bodies, 25, 3) -> (frames in which one is seen, 2, 25, 3).

    The one that moves most comes first; the second slot is zero where there is no second. A sensor that loses a body
    gives it a new ID when it finds it again: a body that appears within 0.5 m of where another was last seen, after
    that, continues it. (The alignment behind the published numbers was not published; this one is ours.)
    """
    tracks = _joined(bodies)
    order = np.argsort([-motion(track) for track in tracks], kind="stable")[:2]
    out = np.zeros((len(bodies), 2, *bodies.shape[2:]), bodies.dtype)
    for slot, track in enumerate(order):
        out[:, slot] = tracks[track]
    return out[_seen(out).any(1)]


def motion(track: np.ndarray) -> float:
    """Movement of one body: the squared distance of its joints from their means, summed over its frames."""
    there = track[_seen(track)].astype(np.float64)
    return float(np.square(there - there.mean(0)).sum()) if len(there) else 0.0


def _seen(bodies: np.ndarray) -> np.ndarray:
    return np.asarray(bodies.any((-2, -1)))


def _joined(bodies: np.ndarray) -> list[np.ndarray]:
    """A track (frames, 25, 3) for each body, those that continue one another joined."""
    seen = _seen(bodies)
    tracks: list[tuple[np.ndarray, int]] = []  # with the last frame
    for body in np.argsort([np.flatnonzero(s)[0] if s.any() else len(s) for s in seen.T], kind="stable"):
        frames = np.flatnonzero(seen[:, body])
        if not len(frames):
            continue
        here = bodies[frames[0], body, _BASE]
        gaps = [
            float(np.linalg.norm(track[last, _BASE] - here)) if last < frames[0] else math.inf for track, last in tracks
        ]
        if gaps and min(gaps) <= REACH:
            nearest = gaps.index(min(gaps))
            track = tracks[nearest][0]
            track[frames] = bodies[frames, body]
            tracks[nearest] = track, int(frames[-1])
        else:
            tracks.append((bodies[:, body].copy(), int(frames[-1])))
    return [track for track, _ in tracks]
