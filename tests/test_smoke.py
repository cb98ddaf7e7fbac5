"""Every experiment trains and scores at the smoke budget, on its own data or on its substitute's."""

import math

import pytest

import workbench as wb
from workbench import paper
from workbench.analysis import listing
from workbench.runs.asked import substitute
from workbench.tasks import download


@pytest.mark.parametrize("name", paper.EXPERIMENTS)
def test_every_experiment_runs_at_the_smoke_budget(name, store):
    (chosen,) = substitute([name], say=lambda _: None)
    data = paper.experiment(chosen).data
    if data is not None and not listing.data_sets([data])[0]["here"]:
        pytest.skip(f"{data} is not here")
    record = wb.run(chosen, "smoke", progress=False)
    assert record.status == "done"
    assert record.step == record.config.train.steps
    scores = record.budgets[-1]["test"]
    assert scores["n"] > 0
    assert all(math.isfinite(value) for value in scores.values() if value is not None)
    assert len(record.curve) == record.step // record.config.train.evaluate_every


def test_a_substitute_may_have_one_of_its_own(monkeypatch):
    monkeypatch.setattr(download, "obtainable", lambda name: False)
    said = []
    (chosen,) = substitute(["ntu_cs_plain6"], said.append)
    assert paper.experiment(chosen).data is None
    assert [line.split(":")[0] for line in said] == ["ntu_cs_plain6", "utd_plain6"]
