"""From all the bodies that a sensor saw to the two that act, each in its own slot over the whole clip."""

from __future__ import annotations

import math

import numpy as np

REACH = 0.5  # metres between where a body was lost and where it is found again
_BASE = 0  # the joint that says where a body is: base of the spine


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
