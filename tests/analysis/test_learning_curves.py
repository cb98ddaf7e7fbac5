"""Official curves as a measure of chance: two runs of one configuration, of that task and of no other."""

import csv

import pytest

from workbench import files, paper
from workbench.analysis import learning_curves


def test_the_official_pair_is_of_permuted_mnist_and_measures_no_other_task():
    column = "valid_batch_accuracy"
    alike = {name for name in paper.EXPERIMENTS if learning_curves.official_pair(name, 10**6, column) is not None}
    assert alike == {name for name in paper.EXPERIMENTS if name.startswith("permmnist_")}
    (other,) = {learning_curves.official_pair(name, 10**6, column) for name in alike}
    assert 0 < other < 0.05
    runs = []
    for run in (9652, 9704):
        stem = f"permmnist_plain12_h128_drop0.1_bs32_pThre100_run{run}"
        with (files.paper() / "curves" / f"{stem}.csv").open() as stream:
            rows = [row for row in csv.DictReader(stream) if (row["split"], row["metric"]) == ("train", "accuracy")]
        runs.append({int(row["step"]): float(row["value"]) for row in rows})
    steps = sorted(set(runs[0]) & set(runs[1]))[:7]  # up to a step, that one too
    apart = [abs(runs[0][step] - runs[1][step]) for step in steps]
    found = learning_curves.official_pair("permmnist_res", steps[-1], "train_accuracy")
    assert found == pytest.approx(sum(apart) / 7)
    assert learning_curves.official_pair("permmnist_res", 1, "train_accuracy") is None
