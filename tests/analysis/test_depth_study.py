"""Depth: sizes, gradients by layer at the start and as recorded, and the power of ten between them."""

import math

import pandas as pd
import pytest

import workbench as wb
from workbench.analysis import depth_study, figures
from workbench.analysis.variants import Variants
from workbench.runs import variants
from workbench.runs.train_and_record import recordable
from workbench.training import Trainer

LINES = [
    "2 layers | plain | seqdigits_plain6 | depth: 2 | watch_layers: true",
    "2 layers | LSTM | seqdigits_lstm | depth: 2 | watch_layers: true",
]


@pytest.fixture
def studied(store):
    values = {"sweeps": LINES, "seeds": 2, "budget": "smoke", "device": "cpu"}
    runs = {a: [a.planned_run("smoke", s).train("cpu") for s in range(2)] for a in variants.read(LINES)}
    return Variants(values, runs)


def test_a_study_knows_sizes_gradients_and_what_arrives(studied):
    sizes = depth_study.sizes(studied).set_index("variant")
    assert sizes["layers"].to_dict() == {"plain": 2, "LSTM": 2}
    assert sizes.loc["LSTM", "parameters"] == 4 * (8 + 64 + 8) + 4 * (64 + 64 + 8) + 8 * 10 + 10
    assert (sizes["ms a step"] > 0).all()
    gradients = depth_study.gradients(studied)
    assert len(gradients) == 2 * 2 * 2 * 2  # variants, seeds, moments, layers
    record = next(iter(studied.runs.values()))[0]
    mine = gradients[(gradients["variant"] == "plain") & (gradients["seed"] == 0)]
    ends = mine[mine["moment"] == depth_study.END]["gradient"].tolist()
    assert ends == record.evaluations[-1]["layers"]
    starts = mine[mine["moment"] == depth_study.START]["gradient"].tolist()
    assert starts == Trainer(record.config, 0).by_layer()
    assert starts != ends
    arriving = depth_study.arriving(gradients)
    powers = [math.log10(r["layers"][0] / r["layers"][-1]) for r in (x.evaluations[-1] for x in _of(studied, "plain"))]
    row = arriving[(arriving["variant"] == "plain") & (arriving["moment"] == depth_study.END)].iloc[0]
    assert row["mean"] == pytest.approx(sum(powers) / 2)
    lacking = Variants({}, {each: records * (each.name == "LSTM") for each, records in studied.runs.items()})
    assert depth_study.sizes(lacking)["variant"].tolist() == ["LSTM"]  # of the others nothing is recorded
    layered = depth_study.layered(studied.table("test accuracy %"), studied)
    assert layered["layers"].tolist() == [2, 2]
    figure = figures.over_depth(layered, "test accuracy %", "test accuracy, %")
    assert [trace.name for trace in figure.data] == ["plain", "LSTM"]
    assert len(figures.over_depth(arriving, "mean", "powers of ten").data) == 4


def _of(studied, name):
    return next(records for each, records in studied.runs.items() if each.name == name)


def test_a_gradient_that_does_not_arrive_has_no_power():
    rows = [{"group": "g", "variant": "a", "seed": s, "moment": "m", "layer": i, "gradient": g}
            for s, norms in enumerate([(0.0, 1.0), (1e-3, 1.0)]) for i, g in enumerate(norms, 1)]  # fmt: skip
    found = depth_study.arriving(pd.DataFrame(rows)).iloc[0]
    assert (found["seeds"], found["with a value"], found["mean"]) == (2, 1, -3)


def test_a_gradient_that_is_not_finite_is_recorded_as_none_and_has_no_power(studied):
    assert recordable({"layers": [math.inf, 1.0, math.nan]}) == {"layers": [None, 1.0, None]}
    for records in studied.runs.values():
        vars(records[0])["evaluations"] = [{**row, "layers": [None, None]} for row in records[0].evaluations]
    arriving = depth_study.arriving(depth_study.gradients(studied))
    assert arriving.loc[arriving["moment"] == depth_study.END, "with a value"].tolist() == [1, 1]


def test_watching_layers_changes_no_weights(store):
    plain = wb.run("seqdigits_plain6", "smoke", progress=False)
    watched = wb.run("seqdigits_plain6", "smoke", progress=False, changes={"train.watch_layers": True})
    assert plain.budgets[-1]["weights_sha256"] == watched.budgets[-1]["weights_sha256"]
    assert "layers" not in plain.evaluations[-1]
    assert len(watched.evaluations[-1]["layers"]) == 6
