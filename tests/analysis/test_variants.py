"""Variants of a study: how a notebook writes them, and what they come to over their seeds."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import workbench as wb
from workbench.analysis import figures
from workbench.analysis import variants as studied
from workbench.analysis.variants import Variants
from workbench.errors import ParameterError
from workbench.runs import sweep, variants
from workbench.runs.jobs import notebook_parameters

LINES = [
    "64 steps | free | seqdigits_plain6 | gamma: null | train.steps: 600 | hidden: 32",
    "64 steps | bound | seqdigits_plain6 | gamma: 2, 5 | train.steps: 600 | hidden: 32",
    "64 steps | | seqdigits_dense | blocks: [2,1], [8,6,4] | activation: tanh",
]


# --- as a notebook writes them ---


def test_a_line_is_as_many_variants_as_its_fields_have_combinations():
    free, two, five, small, large = variants.read(LINES)
    assert [a.name for a in (free, two, five)] == ["free", "bound, gamma 2", "bound, gamma 5"]
    assert [small.name, large.name] == ["blocks [2,1]", "blocks [8,6,4]"]
    assert free.changes("quick") == (("model.gamma", None), ("train.steps", 600), ("model.hidden", 32))
    assert five.planned_run("quick", 3).changes == (("train.steps", 600), ("model.hidden", 32), ("model.gamma", 5))
    assert large.varied == (("model.blocks", (8, 6, 4)),)
    assert {a.group for a in (free, small)} == {"64 steps"}


def test_at_the_smoke_budget_settings_yield_to_the_experiments_own_and_varied_fields_stay():
    free, two, *_, large = variants.read(LINES)
    assert free.changes("smoke") == (("model.gamma", None),)  # hidden and steps are what smoke makes small
    assert two.changes("smoke") == (("model.gamma", 2),)
    assert large.changes("smoke") == (("model.activation", "tanh"), ("model.blocks", (8, 6, 4)))
    assert large.planned_run("smoke", 0).run.path != large.planned_run("quick", 0).run.path


def test_the_runs_of_an_variant_are_those_of_the_sweep_command():
    _, two, *_ = variants.read(LINES)
    written = sweep.parse(["gamma=2", "train.steps=600", "hidden=32"], "seqdigits_plain6")
    (same,) = sweep.planned_runs("seqdigits_plain6", written, "quick", 1)
    assert two.planned_run("quick", 0).run.path == same.run.path


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a | b"], "sweeps: 'a | b': `group | name | experiment | field: value, ...` is needed"),
        ([" | b | seqdigits_plain6"], "`group | name | experiment"),
        ([7], "sweeps: 7: `group | name"),
        (["a | | seqdigits_plain6 | gamma: 2"], "a name is needed where no field has several values"),
        (["a | b | seqdigits_plan6"], "'seqdigits_plan6' is unknown; did you mean seqdigits_plain6"),
        (["a | b | seqdigits_plain6 | depht: 2"], "'depht': no such field; choose one of"),
        (["a | b | seqdigits_plain6 | depth: 0"], "depth: 0 received"),
        (["a | b | seqdigits_plain6 | depth"], "key=a,b,c is needed"),
        (["a | b | seqdigits_plain6 | blocks: [2,1]"], "blocks has no meaning for kind 'plain'"),
        (["a | b | seqdigits_plain6", "a | b | seqdigits_lstm"], "group 'a' has a variant 'b' already"),
        (["a | b | seqdigits_plain6 | dropout: [[1]]"], "dropout"),
    ],
)
def test_a_wrong_line_is_one_line_that_names_it(lines, said):
    with pytest.raises(ParameterError) as caught:
        notebook_parameters.Parameter("sweeps", list, []).check(lines)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"sweeps: {lines[-1]!r}: ")
    assert "\n" not in str(caught.value)


def test_the_plan_of_a_notebook_has_every_variant_under_every_seed_once():
    values = {"sweeps": [*LINES, "again | same | seqdigits_plain6 | gamma: null"], "seeds": 2, "budget": "smoke"}
    runs = notebook_parameters.planned(values)
    assert len(runs) == len(set(runs)) == 10  # `again` is `free` where steps and width are smoke's
    assert [run.seed for run in runs] == [0] * 5 + [1] * 5


def test_where_data_are_missing_the_substitute_takes_the_variants(monkeypatch):
    monkeypatch.setattr("workbench.tasks.download.obtainable", lambda name: False)
    said = []
    lines = variants.at_hand(["a | b | seqmnist_plain6 | gamma: 2, 5"], said.append)
    assert [a.experiment for a in variants.read(lines)] == ["seqdigits_plain6"] * 2
    assert len(said) == 1


# --- statistics ---


def variants_of(table, status="done"):
    """Variants whose records answer `table`: variant -> a value a seed, None where there is none."""

    def record(seed, accuracy):
        scores = {} if accuracy is None else {"test": {"accuracy": accuracy}}
        return SimpleNamespace(
            seed=seed, status="diverged" if accuracy is None else status, step=10, budgets=[{"step": 10, **scores}]
        )

    return Variants({}, {
        variants.Variant("g", name, "seqdigits_plain6", (), ()): [record(i, v) for i, v in enumerate(values)]
        for name, values in table.items()
    })  # fmt: skip


def test_differences_are_paired_by_seed():
    """Seeds differ by far more than variants do: only pairs can tell."""
    a = np.array([0.10, 0.30, 0.50, 0.70, 0.90])
    noise = np.array([0.010, 0.012, 0.008, 0.011, 0.009])
    found = variants_of({"a": a, "b": a + noise, "c": a - 0.1 * noise * [1, -1, 1, -1, 1]})
    table = found.against("a", "test accuracy %")
    assert list(table["variant"]) == ["b", "c"]
    b = table.iloc[0]
    twin = stats.ttest_rel(100 * (a + noise), 100 * a)
    assert (b["difference"], b["p"]) == pytest.approx((1.0, twin.pvalue), rel=1e-6)
    assert (b["low"], b["high"]) == pytest.approx(tuple(twin.confidence_interval()), rel=1e-6)
    assert b["holm"] == pytest.approx(2 * b["p"])
    *_, b, c = found.findings("a", "test accuracy %").splitlines()
    assert b.startswith("- **b**: higher, +1 [+0.8")
    assert c.startswith("- **c**: no difference shown")


def test_an_interval_of_few_seeds_ends_where_its_measure_does():
    found = variants_of({"a": [0.98, 0.999, 1.0], "b": [0.001, 0.0, 0.9]})
    assert found.table("test accuracy %")["high"].iloc[0] == 100.0
    assert found.table("test accuracy %")["low"].iloc[1] == 0.0
    (row,) = found.against("a", "test accuracy %").to_dict("records")
    assert row["low"] == -100.0  # of a difference
    assert row["p"] == pytest.approx(stats.ttest_rel([0.001, 0.0, 0.9], [0.98, 0.999, 1.0]).pvalue)


def test_a_run_that_diverged_is_never_left_out():
    found = variants_of({"a": [0.5, 0.6, 0.7], "b": [0.9, None, 0.9]})
    assert dict(found.table("test accuracy %").iloc[1][["seeds", "diverged", "with a value"]]) == {
        "seeds": 3,
        "diverged": 1,
        "with a value": 2,
    }
    (row,) = found.against("a", "test accuracy %").to_dict("records")
    assert row["note"] == "b: 1 of 3 seeds without a value"
    assert math.isnan(row["difference"])
    *_, said = found.findings("a", "test accuracy %").splitlines()
    assert said == "- **b**: not compared (b: 1 of 3 seeds without a value); 1 of 3 seeds diverged."
    figure = figures.variant_scores(found.scores("test accuracy %"), found.table("test accuracy %"))
    assert "b<br>(1 of 3 diverged)<br>(1 of 3 without a value)" in [t.y[0] for t in figure.data]


def test_a_validation_score_that_is_not_finite_is_no_value_and_neither_is_one_of_another_task():
    budget = {"step": 10, "valid": {"mse": None, "n": 1_000}, "weights_sha256": None}
    record = SimpleNamespace(seed=0, status="diverged", step=10, budgets=[budget])
    assert studied.value(record, "valid MSE") is None
    assert studied.value(record, "valid accuracy %") is None
    budget["valid"]["mse"] = 0.5
    assert studied.value(record, "valid MSE") == 0.5
    variant = variants.Variant("g", "a", "seqdigits_plain6", (), ())
    for lost in (budget, {"step": 2, "status": "diverged"}):  # before its first evaluation
        record.budgets = [lost]
        assert not len(Variants({}, {variant: [record]}).weights())


def test_an_unknown_reference_group_or_measure_offers_those_there_are():
    found = variants_of({"a": [0.5], "b": [0.6]})
    with pytest.raises(ParameterError, match="no variant 'c'; choose one of a, b"):
        found.against("c", "test accuracy %")
    with pytest.raises(ParameterError, match="group: 'h' is unknown; choose one of g"):
        found["h"]
    for wrong in ("test acuracy %", "first step valid_mse", "last valid_mse < 1"):
        with pytest.raises(ParameterError, match=r"measure: .* is unknown; choose last, highest or lowest COLUMN"):
            found.table(wrong)


# --- on real runs ---


@pytest.fixture
def trained(store):
    lines = ["d | | seqdigits_plain6 | depth: 1, 2 | watch_gradient: true"]
    return Variants({"sweeps": lines, "seeds": 2, "budget": "smoke", "device": "cpu"})


def test_measures_of_a_curve(trained):
    one = trained["d"]
    curves = one.curves("valid_accuracy")
    assert list(curves) == ["group", "variant", "seed", "diverged", "step", "valid_accuracy"]
    first = curves[(curves["variant"] == "depth 1") & (curves["seed"] == 0)]
    record = next(iter(one.runs.values()))[0]
    assert list(first["valid_accuracy"]) == [100 * e["valid"]["accuracy"] for e in record.evaluations]
    assert studied.value(record, "valid accuracy %") == 100 * record.budgets[-1]["valid"]["accuracy"]
    assert studied.value(record, "last valid_accuracy") == first["valid_accuracy"].iloc[-1]
    assert studied.value(record, "highest valid_loss") == max(e["valid"]["loss"] for e in record.evaluations)
    assert studied.value(record, "first step valid_accuracy > -1") == first["step"].iloc[0]
    assert studied.value(record, "first step valid_accuracy > 100") is None
    assert studied.value(record, "log10 lowest valid_loss") == pytest.approx(
        math.log10(studied.value(record, "lowest valid_loss"))
    )
    largest = [max(u.abs().max().item() for u in layers.values()) for layers in record.recurrent_weights().values()]
    assert studied.value(record, "highest u_max") == max(largest)
    assert (
        one.curves("train_gradient_max")["train_gradient_max"] >= one.curves("train_gradient")["train_gradient"]
    ).all()
    with pytest.raises(ParameterError, match="'valid_mse' is no column of the curve"):
        one.table("last valid_mse")
    with pytest.raises(ParameterError, match="'outcome' is no column of the curve"):  # it is a word
        one.table("last outcome")


def test_a_figure_has_a_mean_a_line_a_seed_and_a_cross_where_one_diverged(trained):
    curves = trained.curves("valid_accuracy")
    figure = figures.variant_curves(curves, "accuracy, %")
    named = {t.name: t for t in figure.data if t.showlegend is not False}
    assert set(named) == {"depth 1", "depth 2"}
    assert len(figure.data) == 6
    means = curves[curves["variant"] == "depth 1"].groupby("step")["valid_accuracy"].mean()
    assert list(named["depth 1"].y) == pytest.approx(list(means))
    curves.loc[(curves["variant"] == "depth 2") & (curves["seed"] == 1), "diverged"] = True
    crossed = figures.variant_curves(curves, "accuracy, %", log=True).data[-1]
    assert (crossed.name, list(crossed.x)) == ("depth 2: diverged", [curves["step"].max()])
    assert figure.data[0].line.color != figure.data[-1].line.color
    both = figures.variant_panels([curves, curves], ["a", "b"], log=["b"])
    assert (both.layout.yaxis.type, both.layout.yaxis2.type) == (None, "log")
    assert both.layout.xaxis.domain[1] < both.layout.xaxis2.domain[0]
    assert [t.showlegend for t in both.data if t.xaxis == "x2"] == [False] * (len(both.data) // 2)


def test_eleven_variants_have_eleven_looks():
    assert len(set(figures.variants.looks([str(i) for i in range(15)]).values())) == 15


def test_the_mean_ends_where_a_seed_does():
    rows = [("a", s, False, step, 1.0 + s) for s, steps in enumerate([(1, 2), (1,)]) for step in steps]
    curves = pd.DataFrame(rows, columns=["variant", "seed", "diverged", "step", "v"])
    mean = next(t for t in figures.variant_curves(curves, "v").data if t.name == "a")
    assert mean.y[0] == 1.5
    assert math.isnan(mean.y[1])


def test_too_many_variants_are_refused_before_any_run(monkeypatch):
    monkeypatch.setattr(sweep, "MOST", 2)
    assert len(variants.read(["a | | seqdigits_plain6 | depth: 1, 2"])) == 2
    with pytest.raises(ParameterError, match="sweeps: 3 variants; at most 2 are allowed"):
        variants.read(["a | | seqdigits_plain6 | depth: 1, 2, 3"])


def test_findings_are_shown_as_a_list():
    found = variants_of({"a": [0.1, 0.2, 0.3], "b": [0.5, 0.6, 0.7]}).findings("a", "test accuracy %")
    head, _, line = found._repr_markdown_().splitlines()
    assert head.startswith("Test accuracy % against *a*: ")
    assert head.endswith("comparisons: 1.")
    assert line.startswith("- **b**: higher, +40 [")


def test_weights_tell_which_runs_were_trained_alike(trained):
    weights = trained.weights()
    assert list(weights.columns) == ["group", "variant", "seed", "weights"]
    hashes = [r.budgets[-1]["weights_sha256"] for records in trained.runs.values() for r in records]
    assert weights["weights"].tolist() == [sha[:12] for sha in hashes]
    assert weights["weights"].nunique() == 4


def test_a_run_without_a_curve_yet_has_no_value_and_the_measure_is_no_error(store):
    begun = wb.run("seqdigits_plain6", "smoke", until=1, progress=False)
    assert not begun.evaluations
    assert studied.value(begun, "last valid_accuracy") is None
