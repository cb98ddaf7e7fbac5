"""The numbers that the official networks gave (tests/twins, float64), and what their parts are called in our nets."""

import re
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent.parent / "twins"
EXACT = {"rtol": 0, "atol": 1e-11}  # an independent implementation is expected within 1e-12
RULES = [  # official name of a part -> ours, tried in this order
    (r"layer(\d+)\.(bottleneck|growth)", r"layers.\1.\2"),
    (r"^layer(\d+)", r"layers.\1"),
    (r"block(\d+)", r"blocks.\1"),
    (r"\.unit0\.fc", ".second.fc"),  # our units begin with the FC, theirs end with it
    (r"\.unit1\.fc", ".fc"),
    (r"\.unit0", ".first"),
    (r"\.unit1", ".second"),
    (r"^input_fc", "fc"),
    (r"^transition(\d+)", r"blocks.\1.transition"),
    (r"^last_transition", r"blocks.2.transition"),
]


def arrays(name):
    """Every array of a file by its key, the lists of names left out."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return {k: torch.from_numpy(file[k]) for k in file.files if file[k].dtype.kind in "fi"}


def ours(name):
    for pattern, replacement in RULES:
        name = re.sub(pattern, replacement, name)
    return name


def of(twin, prefix, rename=ours):
    """The arrays whose keys begin with a prefix, by our names."""
    return {rename(key.removeprefix(prefix)): value for key, value in twin.items() if key.startswith(prefix)}
