"""Measure what the length explorer shows before anything runs: a pass of each net against T, in turns, medians.

Writes results/published/explorers/step_cost.csv: kind, T, ms (forward and backward, B = 8, 32 neurons, one thread).
"""

from __future__ import annotations

import csv
import statistics
import time

import torch

from workbench import analysis, places
from workbench.disk import make_folder
from workbench.widgets import length
from workbench.widgets.shelf import kept

TURNS = {10: 15, 100: 9, 1000: 5, 5000: 3}
KINDS = ("plain", "lstm", "irnn")


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for T in length.LENGTHS["adding"]:
        nets = {kind: kept(length.config("adding", T, kind), until=1).fresh for kind in KINDS}
        seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        turns = next(n for limit, n in TURNS.items() if limit >= T)
        for turn in range(turns + 1):  # the first warms up
            for kind, net in nets.items():
                x = net.batch(length.BATCH).x
                began = time.perf_counter()
                analysis.gradient_through_time(net.net, x)
                if turn:
                    seconds[kind].append(time.perf_counter() - began)
        rows += [(kind, T, f"{1000 * statistics.median(seconds[kind]):.3g}") for kind in KINDS]
        print(*rows[-3:], flush=True)
    folder = make_folder(places.published() / "explorers")
    with (folder / "step_cost.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("kind", "T", "ms"))
        writer.writerows(sorted(rows))


if __name__ == "__main__":
    main()
