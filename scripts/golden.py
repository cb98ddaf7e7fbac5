"""Golden runs: the losses of a few steps of tiny runs and the weights after them, on this machine's arithmetic.

    python scripts/golden.py             compute them, add this machine's to tests/golden/golden.json
    python scripts/golden.py --replace   also where other values stand there under the same arithmetic and numerics
    python scripts/golden.py --print     only print them, as the test does

A run for each net, task and engine. What stands under an arithmetic changes only with NUMERICS (provenance.py).
"""

from __future__ import annotations

import sys

from workbench.runs import instructions

if __name__ == "__main__":
    instructions.fix()  # before torch is loaded: as `workbench run` does

import argparse
import json
from pathlib import Path
from typing import Any

import torch

import workbench as wb
from workbench import paper
from workbench.errors import DataError
from workbench.files import make_folder, publish
from workbench.runs.arithmetic import ENGINES, arithmetic
from workbench.runs.provenance import NUMERICS
from workbench.training import Trainer, weights_sha256

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "golden.json"
STEPS = 6
SMALL = {"model.hidden": 12, "train.batch": 8}
DIGITS = SMALL | {"task.limit": 64}
RUNS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {  # name: (experiment, what is smaller, engines)
    "adding plain": ("adding_indrnn_T100", SMALL | {"task.length": 20}, ENGINES),
    "adding lstm": ("adding_lstm_T100", SMALL | {"task.length": 20}, ("auto",)),
    "adding irnn": ("adding_irnn_T100", SMALL | {"task.length": 20}, ("auto",)),
    "digits plain": ("seqdigits_plain6", DIGITS, ENGINES),
    "digits cycle": ("seqdigits_plain6_cycle", DIGITS | {"train.weight_decay": 0.01}, ENGINES),
    "digits residual": ("seqdigits_res", DIGITS, ("auto",)),
    "digits dense": ("seqdigits_dense", {"train.batch": 8, "task.limit": 64, "model.growth": 4}, ("auto",)),
    "digits lstm": ("seqdigits_lstm", DIGITS, ("auto",)),
    "digits rnn_tanh": ("seqdigits_rnn_tanh", DIGITS, ("auto",)),
    "treebank": ("ptbchar_small", SMALL | {"task.limit": 4000, "task.length": 12}, ("auto",)),
    "speech": ("speech_plain", SMALL | {"task.limit": 20, "train.batch": 2}, ("auto",)),
    "skeletons": ("utd_plain6", SMALL | {"task.limit": 32}, ("auto",)),
}
Values = dict[str, dict[str, Any]]


def compute() -> Values:
    """`run, engine` -> losses and weights_sha256; of a task whose data are not here, none."""
    torch.set_num_threads(1)
    found: Values = {}
    for name, (experiment, changes, engines) in RUNS.items():
        config = paper.experiment(experiment).at("smoke")[0].set(changes)
        for engine in engines:
            if engine != "auto" and engine not in wb.available():
                continue
            try:
                trainer = Trainer(config, 0, backend=engine)
            except DataError:
                break
            losses = [trainer.advance() for _ in range(STEPS)]
            found[f"{name}, {engine}"] = {"losses": losses, "weights_sha256": weights_sha256(trainer.net)}
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replace", action="store_true", help="overwrite what differs")
    parser.add_argument("--print", action="store_true", dest="shown", help="print, write nothing")
    chosen = parser.parse_args(arguments)
    mine: dict[str, Any] = {"numerics": NUMERICS, "torch": torch.__version__, "runs": compute()}
    if chosen.shown:
        print(json.dumps({"arithmetic": arithmetic(), **mine}))
        return 0
    stored = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    older = stored.get(arithmetic())
    if older is not None and older["numerics"] == NUMERICS:
        differing = [run for run, values in older["runs"].items() if mine["runs"].get(run, values) != values]
        if differing and not chosen.replace:
            print(
                f"golden: {', '.join(differing)}: other values stand under arithmetic {arithmetic()} and numerics "
                f"{NUMERICS}; a change that alters a trained bit raises NUMERICS (or --replace)",
                file=sys.stderr,
            )
            return 1
        mine["runs"] = {**older["runs"], **mine["runs"]}  # those of tasks whose data are not here stay
    stored[arithmetic()] = mine
    make_folder(GOLDEN.parent)
    publish(GOLDEN, (json.dumps(stored, indent=1, sort_keys=True) + "\n").encode(), replace=True)
    print(f"{len(mine['runs'])} runs under arithmetic {arithmetic()}, numerics {NUMERICS}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
