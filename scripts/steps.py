"""Time whole training steps of the paper's nets on a device, recorded and not, alone and several seeds in turns.

    python scripts/steps.py [--device cuda] [--seconds 60] [--out steps.json]

Milliseconds on the wall of many steps, after some that do not count; `host`: of them, what it takes to begin a step.
The file is written after each row, so that whoever is killed keeps what was measured. With --profile also torch's
profiler's table of one experiment's kernels.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from workbench import paper
from workbench.analysis.benchmark import record
from workbench.config import BUDGETS
from workbench.errors import ParameterError
from workbench.files import check_place
from workbench.runs.asked import check_device
from workbench.training import Trainer
from workbench.training.cuda_graphs import beside

EXPERIMENTS = ("seqmnist_plain6", "seqmnist_plain12", "seqmnist_res", "seqmnist_dense", "adding_indrnn_T5000")
PRECISIONS = ("fp32", "tf32", "bf16")
WARM = 8  # steps that do not count: kernels are compiled, graphs recorded


def made(experiment: str, budget: str, device: str, seeds: int, graphs: str, precision: str) -> list[Trainer]:
    config = paper.experiment(experiment).at(budget)[0].set({"train.precision": precision})
    return [Trainer(config, seed, device=device, graphs=graphs) for seed in range(seeds)]


def timed(trainers: list[Trainer], seconds: float) -> dict[str, float]:
    """Milliseconds of a step of one trainer, all taking turns, and those in which it is begun."""
    streams = [torch.Stream(t.device) if t.device.type != "cpu" else None for t in trainers]
    waits = torch.accelerator.synchronize if trainers[0].device.type != "cpu" else lambda: None
    waits()

    def turn() -> float:
        began = 0.0
        for trainer, stream in zip(trainers, streams, strict=True):
            with beside(stream):
                trainer.finish()
                start = time.perf_counter()
                trainer.begin()
                began += time.perf_counter() - start
        return began

    for trainer, stream in zip(trainers, streams, strict=True):
        with beside(stream):
            for _ in range(WARM):
                trainer.advance()
            trainer.begin()
    waits()
    start, host, turns = time.perf_counter(), 0.0, 0
    while turns < 2 or time.perf_counter() - start < seconds:
        host += turn()
        turns += 1
    waits()
    taken = time.perf_counter() - start
    steps = turns * len(trainers)
    return {"ms": 1e3 * taken / steps, "host": 1e3 * host / steps, "steps": steps}


def profiled(trainer: Trainer) -> str:
    """The kernels of a few steps, by torch's profiler."""
    from torch.profiler import profile

    for _ in range(WARM):
        trainer.advance()
    with profile() as found:
        for _ in range(3):
            trainer.advance()
    kind = "cuda" if trainer.device.type == "cuda" else "cpu"
    return str(found.key_averages().table(sort_by=f"self_{kind}_time_total", row_limit=40))


def rows(device: str, budget: str) -> list[tuple[str, int, str, str]]:
    """Measurements, the most worth first: experiment, seeds in turns, graphs, precision."""
    wanted = [(name, 1, "on", "fp32") for name in EXPERIMENTS]
    wanted += [(EXPERIMENTS[0], 1, "off", "fp32"), (EXPERIMENTS[0], 2, "on", "fp32"), (EXPERIMENTS[0], 3, "on", "fp32")]
    wanted += [(EXPERIMENTS[0], 1, "on", precision) for precision in PRECISIONS[1:]]
    if device == "cpu":  # where steps are neither recorded nor rounded
        wanted = [(name, seeds, "off", "fp32") for name, seeds, _, precision in wanted if precision == "fp32"]
    return list(dict.fromkeys(wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--budget", default="paper", choices=BUDGETS, help="smoke where a CPU stands in")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all rows together")
    parser.add_argument("--out", type=Path, default=Path("steps.json"))
    parser.add_argument("--profile", action="store_true", help="also a table of one net's kernels")
    given = parser.parse_args()
    try:
        device = check_device(given.device)
        check_place("out", given.out, folder=False)
    except ParameterError as error:
        parser.error(str(error))
    wanted, found = rows(device, given.budget), []
    for name, seeds, graphs, precision in wanted:
        row = {"table": "steps", "experiment": name, "seeds": seeds, "graphs": graphs, "precision": precision}
        try:
            trainers = made(name, given.budget, device, seeds, graphs, precision)
            found.append(row | timed(trainers, given.seconds / len(wanted)))
            for trainer in trainers:
                trainer.close()
        except Exception as error:  # what fails must not cost the others their turn on a borrowed device
            found.append(row | {"failed": f"{type(error).__name__}: {error}"})
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
        record.write(given.out, found, device)
    if given.profile:
        graphs = "off" if device == "cpu" else "on"
        print(profiled(made(EXPERIMENTS[0], given.budget, device, 1, graphs, "fp32")[0]), flush=True)


if __name__ == "__main__":
    main()
