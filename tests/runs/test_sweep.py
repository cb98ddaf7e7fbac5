"""Grids over any field of a config."""

import json

import pytest

import workbench as wb
from workbench.__main__ import main
from workbench.analysis import figures
from workbench.errors import ParameterError
from workbench.runs import sweep
from workbench.runs.jobs import plan
from workbench.runs.planned_run import PlannedRun

NAME = "seqdigits_plain6"


def test_a_grid_is_written_with_long_or_short_names():
    grid = sweep.parse(["depth=2,4", "train.lr: 1e-3, 1e-4", "gamma=1.5", "batch=8"], NAME)
    assert grid == {"model.depth": [2, 4], "train.lr": [1e-3, 1e-4], "model.gamma": [1.5], "train.batch": [8]}
    assert sweep.field_path("length", "adding_indrnn_T100") == "task.length"


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["deph=2"], "'deph': no such field; choose one of"),
        (["depth"], "key=a,b,c is needed"),
        (["depth=2,,4"], "key=a,b,c is needed"),
        (["depth=2,2"], "has a value twice"),
        (["depth=2", "model.depth=3"], "model.depth given twice"),
    ],
)
def test_a_wrong_grid_is_refused(pairs, said):
    with pytest.raises(ParameterError, match=said):
        sweep.parse(pairs, NAME)


def test_every_combination_under_every_seed_and_a_wrong_value_before_any_run():
    grid = {"model.depth": [1, 2, 3], "model.gamma": [1.0, 5.0]}
    found = sweep.planned_runs(NAME, grid, "smoke", 2)
    assert len(found) == len({planned_run.run.path.name for planned_run in found}) == 12
    assert [planned_run.seed for planned_run in found] == [0] * 6 + [1] * 6
    with pytest.raises(ParameterError, match="depth: 0 received"):
        sweep.planned_runs(NAME, {"model.depth": [1, 0]}, "smoke", 1)
    with pytest.raises(ParameterError, match="at most 100,000"):
        sweep.planned_runs(NAME, {"model.hidden": list(range(1, 1001))}, "smoke", 1000)


def test_a_sweep_is_trained_once_and_shown(store):
    values = {
        "experiment": NAME,
        "grid": ["depth: 1, 2", "gamma: 1, 5"],
        "seeds": 2,
        "budget": "smoke",
        "device": "cpu",
    }
    first = sweep.Sweep(values)
    assert len(first.table) == 8
    assert set(first.table["status"]) == {"done"}
    assert first.score == "valid_accuracy"
    assert not [name for name in first.table if name.startswith("test")], "what is chosen on test has no score there"
    assert list(first.best(3)["count"]) == [2, 2, 2]
    before = [r.run.path.stat().st_mtime_ns for r in first.records]
    assert [r.run.path.stat().st_mtime_ns for r in sweep.Sweep(values).records] == before
    heat = figures.sweep_map(first.table, first.fields, first.score).data[0]
    mean = first.table.groupby(first.fields)["valid_accuracy"].mean()
    assert heat.z[1][0] == pytest.approx(100 * mean[(2, 1)])
    ranked = [tuple(row) for row in first.best(4)[first.fields].itertuples(index=False)]
    ends = [(r.config.model.depth, r.config.model.gamma, r.seed) for r in first.ends(1)]
    assert ends == [(*where, seed) for where in (ranked[0], ranked[-1]) for seed in (0, 1)]
    assert len(first.ends(9)) == 8
    curves = figures.curves_of(first.ends(1), first.fields).data
    assert [t.name for t in curves] == [f"depth {d}, gamma {g:g}, seed {s} (smoke)" for d, g, s in ends]
    assert curves[0].line.color == curves[1].line.color != curves[2].line.color
    lines = figures.parallel(first.table, first.fields, first.score).data[0]
    assert [len(d.values) for d in lines.dimensions] == [8] * 4
    one = sweep.Sweep({**values, "grid": ["depth: 1, 2"]})
    assert [t.name for t in figures.sweep_map(one.table, one.fields, one.score).data] == ["a seed", "mean"]
    none = sweep.Sweep({**values, "grid": ["clip: null", "gamma: 1, null"], "seeds": 1})
    assert len(none.best()) == len(none.ends()) == 2, "null is a value"


def test_nothing_scored_is_said(store):
    with pytest.raises(ParameterError, match="no run of this grid is scored yet"):
        sweep.score_of(sweep.results(NAME, {"model.depth": [1]}, "smoke", 1))


def test_a_sweep_compares_its_runs_at_its_budget_whichever_went_on_or_is_not_there_yet(store):
    go = {"progress": False, "seed": 0}
    short = {"train.evaluate_every": 10, "model.hidden": 4, "task.limit": 64}
    for depth in (1, 2, 3):
        wb.run(NAME, "quick", changes={**short, "model.depth": depth}, until=1 if depth == 3 else 20, **go)
    grid = {"model.depth": [1, 2, 3], **{path: [value] for path, value in short.items()}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlannedRun, "until", 20)
        before = sweep.results(NAME, grid, "quick", 1)
        wb.run(NAME, "quick", changes={**short, "model.depth": 2}, until=40, **go)
        after = sweep.results(NAME, grid, "quick", 1)
    assert list(before["step"]) == [20, 20, 1]
    assert before["valid_loss"].isna().tolist() == [False, False, True]
    assert after.equals(before)


def test_the_changes_of_a_run_are_shown(store, capsys):
    assert main(["run", NAME, "--budget", "smoke", "--set", "model.depth=1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == "model.depth=1"


def test_a_batch_sweep_checks_all_it_is_given_and_ends_in_a_row_a_run(store, monkeypatch):
    """By the command: the runs and the notebook that shows them, whose parameters are those of the sweep."""
    asked = []

    def here(planned_runs, books, means, say):
        asked.append((planned_runs, books))
        for planned_run in planned_runs:
            planned_run.train("cpu")

    monkeypatch.setattr("workbench.runs.jobs.plan.carry_out", here)
    means = plan.Means(device="cpu")
    table = plan.sweep(NAME, ["depth=1,2"], "smoke", 2, means, print)
    assert sorted(zip(table["model.depth"], table["seed"], strict=True)) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    ((planned_runs, [(path, values, shown)]),) = asked
    assert (path.stem, shown, len(planned_runs)) == ("sweep", planned_runs, 4)
    named = {"experiment": NAME, "grid": ["depth=1,2"], "budget": "smoke", "seeds": 2, "device": "cpu"}
    assert named.items() <= values.items()
    asked.clear()
    for wrong in ({"budget": "huge"}, {"seeds": 0}, {"grid": ["deph=1"]}):
        given = {"grid": ["depth=1"], "budget": "smoke", "seeds": 1, **wrong}
        with pytest.raises(ParameterError):
            plan.sweep(NAME, given["grid"], given["budget"], given["seeds"], means, print)
    assert not asked
