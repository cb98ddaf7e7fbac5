"""Files in the format of NTU RGB+D, made for tests; no recording is real."""

import numpy as np

FIRST_ID = 72057594037931101  # of the size that real IDs have: two neighbours are one as float64


def skeleton_file(frames):
    """The text of a file: `frames` is a list of {bodyID: array (25, 3)}."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for body, joints in bodies.items():
            lines += [f"{body} 0 1 1 1 1 0 0.02764709 0.05745083 2", "25"]
            lines += [
                f"{x:.7g} {y:.7g} {z:.7g} 277.419 191.8218 1036.233 519.1677 -0.2059419 0.05349901 0.9692109 -1.2e-05 2"
                for x, y, z in joints
            ]
    return "\n".join(lines) + "\n"


def walk(frames, seed=0, *, speed=0.01, at=(0.0, 0.0, 3.0)):
    """A body that drifts: (frames, 25, 3) float32."""
    rng = np.random.default_rng(seed)
    body = rng.normal(0, 0.3, (25, 3)) + at
    return (body + speed * np.arange(frames)[:, None, None]).astype(np.float32)


def clip(frames, seed=0, **options):
    """The text of a file with one body throughout."""
    return skeleton_file([{FIRST_ID: joints} for joints in walk(frames, seed, **options)])
