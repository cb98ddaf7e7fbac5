"""Choose the recipe's settings on the training part of Japanese Vowels, then score what was chosen on its test.

    python scripts/japanese_vowels.py choose FOLDER      # 3-fold cross-validation on the 270 training sequences
    python scripts/japanese_vowels.py test FOLDER        # seeds 0-4 of the defaults and of the best LSTM

FOLDER holds JapaneseVowels_TRAIN.ts and JapaneseVowels_TEST.ts. Writes results/japanese_vowels_choice.csv, one row a
fold, and results/japanese_vowels.csv, one a seed; what is there is not done again. `choose` never reads the test.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from workbench.runs import instructions

instructions.fix()  # before torch is loaded, as the command line does

import workbench as wb  # noqa: E402
from workbench.errors import RunError, ended  # noqa: E402
from workbench.tasks import sequences  # noqa: E402

RESULTS = Path(__file__).resolve().parent.parent / "results"
CHOICE, SCORES = RESULTS / "japanese_vowels_choice.csv", RESULTS / "japanese_vowels.csv"
FOLDS = 3
BASE: dict[str, Any] = {"epochs": 20, "patience": None}
LSTM: dict[str, Any] = {"kind": "lstm", "depth": 1, **BASE}
TRIED: list[dict[str, Any]] = [  # settings that differ from the estimator's, but for epochs and patience, which do not
    {"epochs": 40, "patience": 20},
    {"epochs": 40, "patience": None},
    BASE,
    BASE | {"dropout": 0.5},
    BASE | {"hidden": 128},
    BASE | {"kind": "plain"},
    BASE | {"lr": 8e-3},
    LSTM,
    LSTM | {"lr": 1e-2},
    LSTM | {"hidden": 128},
]


def read(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """The sequences (steps, 12) of a .ts file and their speakers."""
    found = sequences.found(sequences.Sequences(name="sequences", path=str(path)))
    return [found.read(row) for row in range(len(found.lengths))], found.answers.astype(str)


def rows(path: Path) -> list[dict[str, str]]:
    """Read the rows of a table, none where it is not there yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def add(path: Path, row: dict[str, Any]) -> None:
    """Append a row to a table."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def fitted(settings: dict[str, Any], seed: int, X: list[np.ndarray], y: np.ndarray) -> tuple[Any, float]:
    """An estimator trained on X and y, and the processor seconds it took."""
    began = time.process_time()
    net = wb.IndRNNClassifier(**settings, device="cpu", random_state=seed, progress=False).fit(X, y)
    return net, time.process_time() - began


def choose(folder: Path) -> None:
    """Cross-validate every row of `TRIED`."""
    X, y = read(folder / "JapaneseVowels_TRAIN.ts")
    done = {(row["settings"], row["fold"]) for row in rows(CHOICE)}
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(np.zeros(len(y)), y))
    for settings in TRIED:
        for fold, (learnt, left) in enumerate(folds):
            name = json.dumps(settings)
            if (name, str(fold)) in done:
                continue
            net, seconds = fitted(settings, fold, [X[i] for i in learnt], y[learnt])
            right = int((net.predict([X[i] for i in left]) == y[left]).sum())
            row = {"settings": name, "fold": fold, "right": right, "n": len(left), "cpu_seconds": f"{seconds:.1f}"}
            add(CHOICE, row)
            print(row, flush=True)


def best_lstm() -> dict[str, Any]:
    """The settings of the LSTM that was right most often."""
    right: dict[str, int] = {}
    found = [row for row in rows(CHOICE) if json.loads(row["settings"]).get("kind") == "lstm"]
    for row in found:
        right[row["settings"]] = right.get(row["settings"], 0) + int(row["right"])
    if len(found) < FOLDS * sum(settings.get("kind") == "lstm" for settings in TRIED):
        raise RunError(f"{CHOICE.name}: some LSTMs lack folds; `choose` comes first")
    chosen: dict[str, Any] = json.loads(max(right, key=lambda name: right[name]))
    return chosen


def test(folder: Path) -> None:
    """Train on the 270 sequences, score on the 370, seeds 0-4."""
    X, y = read(folder / "JapaneseVowels_TRAIN.ts")
    X_test, y_test = read(folder / "JapaneseVowels_TEST.ts")
    done = {(row["settings"], row["seed"]) for row in rows(SCORES)}
    for settings in (BASE, best_lstm()):
        for seed in range(5):
            name = json.dumps(settings)
            if (name, str(seed)) in done:
                continue
            net, seconds = fitted(settings, seed, X, y)
            right = int((net.predict(X_test) == y_test).sum())
            accuracy = f"{100 * right / len(y_test):.2f}"
            weights = sum(p.numel() for p in net.net_.parameters() if p.requires_grad)
            row = {"settings": name, "seed": seed, "right": right, "n": len(y_test), "accuracy": accuracy}
            row |= {"weights": weights, "cpu_seconds": f"{seconds:.1f}"}
            add(SCORES, row)
            print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["choose", "test"])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    (choose if options.what == "choose" else test)(options.folder)


if __name__ == "__main__":
    sys.exit(ended(main))
