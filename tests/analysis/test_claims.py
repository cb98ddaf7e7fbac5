"""Ours beside theirs: estimates, verdicts by rule, parity at equal steps, and nothing typed in."""

import csv
import json
import math

import pytest
import torch

import workbench as wb
from workbench import files, paper
from workbench.analysis import claims, figures, learning_curves, tables
from workbench.analysis.claims import Estimate, estimate, verdict
from workbench.paper import Claim

CLAIM = Claim("test error %", 1.0, "paper Table 2")
NARROW = Estimate(0.95, 3, 0.9, 1.05)


def test_one_seed_has_no_interval_and_several_have_one_around_the_mean():
    assert estimate([2.0]) == Estimate(2.0, 1, None, None)
    several = estimate([1.0, 2.0, 3.0])
    assert several.mean == 2
    assert 1 <= several.low < 2 < several.high <= 3


@pytest.mark.parametrize(
    ("expected", "claim", "ours", "decided", "nearness", "begun"),
    [
        ("reproduced", CLAIM, NARROW, True, None, True),
        ("reproduced", CLAIM, Estimate(0.5, 3, 0.4, 0.6), True, None, True),
        ("not reproduced", CLAIM, Estimate(1.5, 3, 1.4, 1.6), True, 0.001, True),
        ("inconclusive", CLAIM, Estimate(0.95, 1, None, None), True, None, True),
        ("inconclusive", CLAIM, NARROW, False, 0.05, True),
        ("on course", CLAIM, NARROW, False, 0.005, True),
        ("not run", CLAIM, None, False, None, False),
        ("reference", Claim("test error %", 1.8, "quoted", ours=False), None, False, None, False),
        ("no claim", Claim("test error %", math.nan, "", ours=False), NARROW, True, None, True),
    ],
)
def test_verdicts_follow_the_rule(expected, claim, ours, decided, nearness, begun):
    assert verdict(claim, ours, decided, nearness, begun) == expected


def test_accuracy_is_better_when_higher():
    claim = Claim("test accuracy %", 84.88, "paper Table 5")
    assert verdict(claim, Estimate(85.2, 3, 84.9, 85.5), True, None, True) == "reproduced"
    assert verdict(claim, Estimate(83.0, 3, 82.5, 83.5), True, None, True) == "not reproduced"


def test_official_twins_widen_what_counts_as_the_same_curve():
    spread = learning_curves.official_pair("permmnist_res", 1_700)
    assert spread == pytest.approx((0.107 + 0.110) / 2, abs=0.002)  # 10.7 and 11.0 points at the first evaluation
    assert learning_curves.official_pair("seqmnist_plain6", 1_700) is None
    assert verdict(CLAIM, NARROW, False, 0.05, True, spread=spread) == "on course"
    assert verdict(CLAIM, NARROW, False, 0.3, True, spread=spread) == "inconclusive"


def test_the_interval_over_examples_is_wilsons():
    low, high = claims.over_examples(0.9, 100)
    assert (low, high) == (pytest.approx(0.8256, abs=1e-4), pytest.approx(0.9448, abs=1e-4))
    assert claims.over_examples(0.0, 10)[0] == pytest.approx(0.0, abs=1e-12)


def test_an_interval_that_cannot_tell_two_rows_apart_decides_nothing():
    assert verdict(CLAIM, NARROW, True, None, True, gap=0.37) == "reproduced"
    assert verdict(CLAIM, NARROW, True, None, True, gap=0.1) == "inconclusive"
    assert claims._gap(paper.experiment("seqmnist_plain6"), CLAIM) == pytest.approx(0.37)


def test_every_claim_has_a_row_and_no_verdict_is_empty(store):
    table = wb.results_table()
    wanted = sum(len(e.claims or claims._metrics(e)) for e in paper.EXPERIMENTS.values())
    ours = table["experiment"].isin(paper.EXPERIMENTS)
    assert ours.sum() == wanted
    assert set(table.loc[~ours, "verdict"]) == {"reference"}
    assert (
        table["verdict"]
        .isin(["reproduced", "not reproduced", "on course", "inconclusive", "not run", "reference", "no claim"])
        .all()
    )
    assert list(table.columns) == list(claims.COLUMNS)


def test_smoke_runs_never_reach_the_table(store):
    wb.run("seqdigits_lstm", "smoke", progress=False)
    row = wb.results_table(["seqdigits_lstm"]).iloc[0]
    published = wb.results_table.__globals__["records"]()
    assert row["n"] == sum(r.experiment == "seqdigits_lstm" and not r.smoke for r in published)


def test_parity_is_zero_for_the_official_log_itself(monkeypatch):
    official = learning_curves.official_curve("seqmnist_plain6")
    assert official.loc[official["step"] == 1700, "train_accuracy"].item() == pytest.approx(0.603382)
    assert official.loc[official["step"] == 1700, "valid_batch_accuracy"].item() == pytest.approx(0.787899)

    class Same:
        experiment = "seqmnist_plain6"
        curve = official

    assert learning_curves.parity(Same())[["train_accuracy", "valid_batch_accuracy"]].abs().to_numpy().max() == 0
    shifted = official.assign(train_accuracy=official["train_accuracy"] + 0.02)
    Same.curve = shifted
    assert learning_curves.parity(Same())["train_accuracy"].to_numpy() == pytest.approx(0.02)


def test_the_parity_table_has_each_seed_and_their_mean():
    official = learning_curves.official_curve("seqmnist_plain6")

    class Run:
        experiment = "seqmnist_plain6"

        def __init__(self, seed, shift):
            self.seed, self.curve = seed, official[:1].assign(train_accuracy=official["train_accuracy"] + shift)

    table = learning_curves.parity_table([Run(0, 0.01), Run(1, 0.03)])
    train = table[table["curve"] == "train accuracy, %"].set_index("seed")["difference"]
    assert train.to_dict() == {"0": 1.0, "1": 3.0, "mean": 2.0}
    assert len(learning_curves.parity_table([])) == 0


def test_nearness_is_the_mean_distance_over_steps_and_seeds():
    class Run:
        experiment, seed = "permmnist_plain6", 0

        def __init__(self, off, points):
            log = learning_curves.official_curve(self.experiment).head(points)
            self.curve = log.assign(train_accuracy=log["train_accuracy"] + off)

    table = learning_curves.nearness([Run(0.01, 4), Run(-0.03, 2)]).set_index(["experiment", "curve"])
    row = table.loc["permmnist_plain6", "train accuracy"]
    assert row["difference"] == pytest.approx(2.0)
    assert (row["seeds"], row["points"], row["unit"]) == (2, 6, "points")
    last = int(learning_curves.official_curve("permmnist_plain6")["step"].iloc[3])
    assert row["until"] == last
    assert row["pair"] == pytest.approx(100 * learning_curves.official_pair("permmnist_plain6", last, "train_accuracy"))
    assert table.loc["permmnist_plain6", "validation accuracy, batch statistics"]["difference"] == 0
    idle = table.loc["seqmnist_res", "train accuracy"]
    assert (idle["seeds"], idle["points"]) == (0, 0)
    assert idle[["difference", "until", "pair"]].isna().all()
    assert row["ours apart"] == pytest.approx(4.0)  # the two steps that both have
    assert set(table.index.get_level_values(0)) == {
        n
        for n, e in paper.EXPERIMENTS.items()
        if e.curve or len(learning_curves.published_curve(n) if "adding" in n else [])
    }


def test_curves_of_the_adding_problem_are_compared_with_the_papers_figure_in_shares_of_the_variance():
    class Run:
        experiment = "adding_lstm_T100"

        def __init__(self, off):
            theirs = learning_curves.published_curve(self.experiment)
            self.curve = theirs.rename(columns={"mse": "valid_mse"}).assign(valid_mse=theirs["mse"] + off)

    table = learning_curves.nearness([Run(0.01), Run(-0.005)])
    row = table[table["experiment"] == Run.experiment].iloc[0]
    assert (row["curve"], row["seeds"], row["unit"]) == ("validation MSE", 2, "%")
    assert row["difference"] == pytest.approx(100 * 6 * 0.0075)
    assert row["ours apart"] == pytest.approx(100 * 6 * 0.015)
    assert row["pair"] is None
    assert learning_curves.parity_of([Run(0.01)]) == pytest.approx(0.06)


def test_a_log_without_accuracy_of_the_batch_is_compared_by_the_one_it_has():
    class Run:
        experiment = "ntu_cs_plain6"
        curve = learning_curves.official_curve("ntu_cs_plain6").assign(
            valid_accuracy=lambda log: log["valid_accuracy"] - 0.02
        )

    table = learning_curves.nearness([Run()]).set_index(["experiment", "curve"])
    assert table.loc[("ntu_cs_plain6", "validation accuracy"), "difference"] == pytest.approx(2.0)
    assert ("seqmnist_plain6", "validation accuracy") not in table.index


def test_the_picture_of_nearness_shows_what_has_begun_and_its_limit():
    class Run:
        experiment = "permmnist_plain6"
        curve = learning_curves.official_curve("permmnist_plain6").head(3)

    table = learning_curves.nearness([Run()])
    ours, twins, apart, limit = figures.nearness(table).data
    assert list(ours.x) == [0.0, 0.0]
    assert [max(1.0, 2 * x) for x in twins.x] == list(limit.x)
    assert list(apart.x) == [None, None]
    assert "permmnist_plain6, train accuracy" in ours.y[0]


def test_the_published_curves_are_found_for_every_adding_run():
    for name in paper.EXPERIMENTS:
        if name.startswith("adding"):
            ours_alone = name.split("_")[1] in ("lru", "mingru", "transformer")  # the paper knows none of them
            assert (len(learning_curves.published_curve(name)) > 20) != ours_alone, name


def test_ones_own_records_can_be_shown_alone(store, tmp_path, monkeypatch):
    """After `reproduce` a reader wants to see what was computed here, not what is published."""
    from workbench import files

    wb.run("seqdigits_lstm", "quick", until=100, progress=False)
    (tmp_path / "published").mkdir()
    (store / "runs").rename(tmp_path / "published" / "runs")
    monkeypatch.setattr(files, "published", lambda: tmp_path / "published")
    wb.run("seqdigits_lstm", "quick", 1, until=100, progress=False)
    assert wb.results_table(["seqdigits_lstm"]).iloc[0]["n"] == 2
    assert wb.results_table(["seqdigits_lstm"], own=True).iloc[0]["n"] == 1


def test_a_seed_that_has_not_got_there_is_told_and_leaves_nothing_decided(store, monkeypatch):
    class Run:
        experiment, status, budgets = "adding_indrnn_T100", "done", [{"step": 400, "provenance": {"device": "CPU"}}]
        smoke, step = False, 400

        def __init__(self, seed, valid):
            import pandas as pd

            self.seed, self.curve = seed, pd.DataFrame({"step": [200, 400], "valid_mse": [0.1, valid]})
            self.run = type("Done", (), {"result": staticmethod(dict)})

    for last, decided in ((0.005, True), (0.05, False)):
        runs = [Run(seed, 0.005) for seed in range(3)] + [Run(3, last)]
        monkeypatch.setattr(claims, "records", lambda own, runs=runs: runs)
        row = wb.results_table(["adding_indrnn_T100"]).iloc[0]
        assert (row["ours"], row["n"]) == (400, 3 + decided)
        assert row["verdict"] == ("reproduced" if decided else "inconclusive")
        assert row["note"] == ("" if decided else "1 of 4 not by step 400")
    shown = tables.readable(wb.results_table(["adding_indrnn_T100"])).iloc[0]
    assert (shown["verdict"], shown["note"]) == ("inconclusive", "1 of 4 not by step 400")


def test_what_is_not_run_says_why_and_how(store, monkeypatch):
    monkeypatch.setattr(claims, "records", lambda own: [])
    table = wb.results_table().set_index(["experiment", "source"])
    note = table.loc[("seqmnist_plain12", "paper Table 2"), "note"]
    assert note == "workbench run seqmnist_plain12 (to step 1,700 of 676,600); not begun"
    note = table.loc[("ntu_cs_plain6", "paper Table 5"), "note"]
    assert note.endswith("; needs NTU RGB+D 60 and 120, which must be asked for")
    assert note in tables.render(table.reset_index(), "text")
    missing = tables.not_run(table.reset_index())
    own = table[table["paper"].notna() & (table["verdict"] == "not run")]
    assert missing["numbers"].sum() == len(own)
    assert set(", ".join(missing["experiments"]).split(", ")) == set(own.index.get_level_values(0))
    assert missing.loc[missing["table"] == "Table 5", "why"].unique() == [
        "needs NTU RGB+D 60 and 120, which must be asked for"
    ]


def test_seeds_are_averaged_at_one_step_only(store):
    """A seed that went further must not be mixed with what the others scored earlier."""
    known = paper.experiment("seqdigits_lstm")
    for seed, until in ((0, 200), (1, 100), (2, 200)):
        wb.run(known.id, "quick", seed, until=until, progress=False)
    row = wb.results_table([known.id]).iloc[0]
    ends = [r for r in claims.records() if r.step == 200]
    assert (row["step"], row["n"]) == (200, 2)
    expected = sum(100 * (1 - r.budgets[-1]["test"]["accuracy"]) for r in ends) / 2
    assert row["ours"] == pytest.approx(expected)


def test_a_diverged_run_is_counted_and_named(store, monkeypatch):
    """Its best weights' score is in the mean; without one nothing is decided; the note says how many and when."""
    from workbench.training import evaluate

    known, loss_of = paper.experiment("seqdigits_lstm"), evaluate.loss_of
    for seed, bad in ((0, math.inf), (1, 150), (2, 0)):  # never, after the first evaluation, at once
        count = iter(range(10**6))

        def spoiled(*given, count=count, bad=bad):
            loss = loss_of(*given)
            return loss * math.nan if torch.is_grad_enabled() and next(count) >= bad else loss

        monkeypatch.setattr(evaluate, "loss_of", spoiled)
        wb.run(known.id, "quick", seed, until=200, progress=False)
    results = wb.results_table([known.id])
    row = results.iloc[0]
    records = {r.seed: r for r in claims.records()}
    assert [records[seed].status for seed in range(3)] == ["resumable", "diverged", "diverged"]
    assert row["note"] == "2 of 3 diverged at step 2, 152; 1 without a score"
    assert (row["step"], row["n"]) == (200, 2)
    errors = [100 * (1 - records[seed].budgets[-1]["test"]["accuracy"]) for seed in (0, 1)]
    assert row["ours"] == pytest.approx(sum(errors) / 2)
    assert "2 of 3 diverged at step 2, 152; 1 without a score" in tables.render(results, "text")


def test_steps_to_a_threshold_are_read_off_the_curve():
    import pandas as pd

    class Run:
        curve = pd.DataFrame({"step": [100, 200, 300], "valid_mse": [0.2, 0.009, 0.02]})

    assert claims.measure(Run(), "steps to MSE < 0.01") == 200
    for without in (Run.curve[:1], Run.curve[["step"]], pd.DataFrame()):  # not there yet, another task, nothing
        Run.curve = without
        assert claims.measure(Run(), "steps to MSE < 0.01") is None


@pytest.mark.parametrize("format_", ["text", "csv", "latex", "html", "json", "markdown"])
def test_every_format_holds_every_experiment(store, format_):
    text = tables.render(wb.results_table(["adding_indrnn_T100", "seqmnist_plain6"]), format_)
    assert text.count("adding") >= 1
    if format_ == "json":
        rows = json.loads(text)
        assert set(rows[0]) == set(claims.COLUMNS)
    if format_ == "html":
        assert "<script" not in text


def test_cells_that_a_spreadsheet_would_run_are_quoted():
    table = wb.results_table(["adding_indrnn_T100"]).assign(note="=cmd()")
    assert "'=cmd()" in tables.render(table, "csv")


def test_every_printed_number_of_others_has_one_row(store):
    table = wb.results_table()
    quoted_rows = table[table["source"].str.endswith(", quoted from others")]
    with (files.paper() / "tables" / "table2_mnist.csv").open(encoding="utf-8") as stream:
        printed = [r for r in csv.DictReader(stream) if r["ours"] == "False" and r["source"] == "paper v2 Table 2"]
    found = quoted_rows[quoted_rows["table"] == "Table 2"]
    assert sorted(found["paper"]) == sorted(float(r["value"]) for r in printed)


def test_a_subset_of_the_test_split_has_a_row_of_its_own(store):
    rows = claims.rows(["speech_plain"])
    assert [r["metric"] for r in rows] == ["test accuracy %", "test accuracy %, over 5,000 steps"]
    assert {r["verdict"] for r in rows} == {"not run"}
