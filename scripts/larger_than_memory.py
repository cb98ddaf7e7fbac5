"""Train on sequences that stay on disk, and measure the memory of the process's own that it takes.

    python scripts/larger_than_memory.py [--gigabytes 2] [--steps 200] [--folder FOLDER]

Makes x.npy of so many gigabytes of noise with a sine of one of two periods in it, trains the recipe on it for so many
steps, and prints the largest RssAnon: the memory that is no copy of a file (Linux). Ends with 1 at 1 GB or more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

T, CHANNELS, LIMIT = 500, 8, 1e9


def make(folder: Path, size: float) -> None:
    """x.npy (n, T, channels) float32 of `size` bytes, and y.npy."""
    n = round(size / (4 * T * CHANNELS))
    rng = np.random.default_rng(0)
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (n, T, CHANNELS))
    y = rng.integers(0, 2, n)
    steps = np.arange(T)[:, None]
    for first in range(0, n, 1000):
        part = y[first : first + 1000]
        sines = np.sin(2 * np.pi * steps / np.where(part, 40, 25))  # (T, rows)
        x[first : first + 1000] = rng.standard_normal((len(part), T, CHANNELS), np.float32) + sines.T[:, :, None]
    x.flush()
    np.save(folder / "y.npy", y)


def anonymous() -> int:
    """Bytes of this process that are no copy of a file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


class Watch(threading.Thread):
    """Looks at the memory ten times a second and keeps the largest number."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.over = anonymous(), threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            self.most = max(self.most, anonymous())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        make(Path(made), options.gigabytes * 1e9)
        from workbench.runs import instructions

        instructions.fix()
        from workbench.runs import recipe
        from workbench.training import Trainer

        watch, began = Watch(), time.perf_counter()
        watch.start()
        changes = {"model.kind": "plain", "train.steps": options.steps, "train.evaluate_every": options.steps + 1}
        changes |= {"train.early_stop": None}
        trainer = Trainer(recipe.of_file(f"{made}/x.npy", changes), 0)
        read = time.perf_counter() - began
        losses = [trainer.advance() for _ in range(options.steps)]
        seconds = time.perf_counter() - began
        watch.over.set()
    n = len(trainer.task.lengths)  # type: ignore[attr-defined]
    print(f"{options.gigabytes:g} GB, {n:,} sequences of {T} steps and {CHANNELS} channels, read after {read:.0f} s")
    print(f"{options.steps} steps after {seconds:.0f} s, loss {losses[0]:.3f} to {np.mean(losses[-20:]):.3f}")
    print(f"largest RssAnon {watch.most / 1e6:,.0f} MB; {LIMIT / 1e6:,.0f} allowed")
    return int(watch.most >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
