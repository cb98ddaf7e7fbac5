"""Ours beside theirs: rows and verdicts from constructed records, curves at equal steps, and nothing typed in."""

import csv
import json
import math

import pandas as pd
import pytest
import torch

import workbench as wb
from workbench import files, paper
from workbench.analysis import claims, figures, learning_curves, tables, verdicts
from workbench.paper import claims as claims_table
from workbench.runs.folder import Run
from workbench.runs.record import Record, records


def test_every_claim_has_a_row_and_every_verdict_is_a_word(store):
    table = wb.results_table()
    assert set(table["claim"].dropna()) == {each.id for each in claims_table.claims()}
    twice = table[table["claim"].notna() & table["claim"].duplicated()]
    assert (twice["experiment"].str.endswith("_cycle") | (twice["device"] == "cuda")).all()
    assert set(table["verdict"]) == {"not run", "reference", "no claim"}
    shown = {name for joined in table["experiment"] for name in joined.split(", ")}
    assert set(paper.EXPERIMENTS) <= shown
    assert list(table.columns) == list(claims.COLUMNS)


def test_every_claim_of_the_abstract_stands_under_one_of_its_sentences(store):
    named = [name for names in claims_table.ABSTRACT.values() for name in names]
    assert sorted(named) == sorted(each.id for each in claims_table.claims() if each.abstract)
    table = tables.abstract(wb.results_table())
    assert list(table.columns) == ["sentence", "test", "ours (95 %)", "verdict", "note"]
    assert set(table["sentence"]) == set(claims_table.ABSTRACT)
    assert set(table["verdict"]) <= set(verdicts.WORDS)


def test_a_record_of_the_present_numerics_is_not_hidden_by_a_further_older_one(store, tmp_path, monkeypatch):
    """Both have one id: a published run of version 0.1 and the one that was started anew."""
    monkeypatch.setattr("workbench.runs.run.NUMERICS", 1)
    wb.run("seqdigits_lstm", "quick", until=200, progress=False)
    (tmp_path / "published").mkdir()
    (store / "runs").rename(tmp_path / "published" / "runs")
    monkeypatch.undo()
    monkeypatch.setattr(files, "published", lambda: tmp_path / "published")
    monkeypatch.setenv("WORKBENCH_RESULTS", str(store))
    assert [(r["source"], r["n"]) for r in claims.rows(["seqdigits_lstm"])] == [
        ("", 0),
        ("older records, numerics 1", 1),
    ]
    wb.run("seqdigits_lstm", "quick", until=100, progress=False)
    row = claims.rows(["seqdigits_lstm"])[0]
    assert (row["step"], row["n"], row["verdict"]) == (100, 1, "no claim")


def test_a_table_of_one_experiment_reads_no_others_records(monkeypatch):
    read = []
    events = Run.events
    monkeypatch.setattr(Run, "events", lambda run: read.append(Record(run).experiment) or events(run))
    shown = wb.results_table(["seqdigits_lstm"])
    assert len(read) > 0
    assert {name.removesuffix("*") for name in read} == {"seqdigits_lstm"}
    assert list(shown["ours"].dropna()) == list(everything("seqdigits_lstm")["ours"].dropna())


def everything(name):
    """The rows of an experiment in the whole table."""
    table = wb.results_table()
    return table[table["experiment"] == name]


def test_smoke_runs_never_reach_the_table(store):
    wb.run("seqdigits_lstm", "smoke", progress=False)
    row = wb.results_table(["seqdigits_lstm"]).iloc[0]
    assert row["n"] == sum(r.experiment == "seqdigits_lstm" and not r.smoke for r in records())


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

        def __init__(self, seed, shift, numerics=2):
            self.seed, self.numerics = seed, numerics
            self.curve = official[:1].assign(train_accuracy=official["train_accuracy"] + shift)

    table = learning_curves.parity_table([Run(0, 0.01), Run(1, 0.03)])
    train = table[table["curve"] == "train accuracy, %"].set_index("seed")["difference"]
    assert train.to_dict() == {"0": 1.0, "1": 3.0, "mean": 2.0}
    table = learning_curves.parity_table([Run(0, 0.01), Run(1, 0.03), Run(2, 0.5, numerics=1)])  # never in one mean
    train = table[table["curve"] == "train accuracy, %"].set_index("seed")["difference"]
    assert train.to_dict() == {"0": 1.0, "1": 3.0, "2, numerics 1": 50.0, "mean": 2.0}
    old = learning_curves.parity_table([Run(0, 0.01, numerics=1), Run(1, 0.03, numerics=1)])
    assert set(old["seed"]) == {"0", "1", "mean"}
    assert len(learning_curves.parity_table([])) == 0


def test_nearness_is_the_mean_distance_over_steps_and_seeds():
    class Run:
        experiment, seed = "permmnist_plain6", 0

        def __init__(self, off, points, numerics=2):
            self.numerics = numerics
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
    runs = [Run(0.01, 4), Run(0.5, 4, numerics=1)]  # never in one row
    mixed = learning_curves.nearness(runs).set_index(["experiment", "curve"]).loc["permmnist_plain6", "train accuracy"]
    assert (mixed["seeds"], mixed["points"], mixed["ours apart"]) == (1, 4, None)
    assert mixed["difference"] == pytest.approx(1.0)
    runs[0].curve["train_accuracy"] = math.nan  # a net on its way to divergence: nothing is measured, nothing told
    told = learning_curves.told(learning_curves.nearness(runs[:1]))
    assert told["curve"].tolist() == ["validation accuracy, batch statistics"]
    assert set(table.index.get_level_values(0)) == {
        n
        for n, e in paper.EXPERIMENTS.items()
        if e.curve or len(learning_curves.published_curve(n) if "adding" in n else [])
    }


def test_curves_of_the_adding_problem_are_compared_with_the_papers_figure_in_shares_of_the_variance():
    class Run:
        experiment, numerics = "adding_lstm_T100", 2

        def __init__(self, off):
            theirs = learning_curves.published_curve(self.experiment)
            self.curve = theirs.rename(columns={"mse": "valid_mse"}).assign(valid_mse=theirs["mse"] + off)

    table = learning_curves.nearness([Run(0.01), Run(-0.005)])
    row = table[table["experiment"] == Run.experiment].iloc[0]
    assert (row["curve"], row["seeds"], row["unit"]) == ("validation MSE", 2, "%")
    assert row["difference"] == pytest.approx(100 * 6 * 0.0075)
    assert row["ours apart"] == pytest.approx(100 * 6 * 0.015)
    assert row["pair"] is None


def test_a_log_without_accuracy_of_the_batch_is_compared_by_the_one_it_has():
    class Run:
        experiment, numerics = "ntu_cs_plain6", 2
        curve = learning_curves.official_curve("ntu_cs_plain6").assign(
            valid_accuracy=lambda log: log["valid_accuracy"] - 0.02
        )

    table = learning_curves.nearness([Run()]).set_index(["experiment", "curve"])
    assert table.loc[("ntu_cs_plain6", "validation accuracy"), "difference"] == pytest.approx(2.0)
    assert ("seqmnist_plain6", "validation accuracy") not in table.index


def test_a_curve_tells_nets_apart_only_where_chance_is_worth_less():
    """Logs of other nets are wrong by construction; two official runs of one net differ by chance alone."""

    class Run:
        seed, numerics = 0, 2

        def __init__(self, experiment, points, source=None, off=0.0):
            self.experiment = experiment
            log = learning_curves.official_curve(source or experiment).head(points)
            self.curve = log.assign(train_accuracy=log["train_accuracy"] + off)

    def told(*runs):
        table = learning_curves.told(learning_curves.nearness(runs))
        return table[table["curve"] == "train accuracy"].iloc[0]

    log, other = (learning_curves.official_curve(f"seqmnist_{net}") for net in ("plain6", "plain12"))
    apart = (log["train_accuracy"] - other["train_accuracy"]).head(5).abs().mean()
    row = told(Run("seqmnist_plain6", 5, off=0.01))
    assert row["nearest other net"] == f"{100 * apart:.2f} seqmnist_plain12"
    assert (row["ours"], row["it tells"]) == ("1.00", "nearer than any other net")
    assert told(Run("seqmnist_plain6", 5, "seqmnist_plain12"))["it tells"] == "no nearer than another net"
    early = told(Run("permmnist_plain6", 1))  # there the two official runs are 11 points apart
    assert float(early["two official runs"]) > float(early["nearest other net"].split()[0])
    assert early["it tells"] == "nothing: two runs of one net lie as far apart"
    far = told(Run("seqmnist_plain6", 5, off=0.02), Run("seqmnist_plain6", 5, off=-0.02))
    assert (far["two seeds of ours"], far["it tells"]) == ("4.00", "nothing: two runs of one net lie as far apart")


def test_the_picture_of_nearness_shows_what_has_begun_and_what_chance_is_worth():
    class Run:
        experiment, numerics = "permmnist_plain6", 2
        curve = learning_curves.official_curve("permmnist_plain6").head(3)

    table = learning_curves.nearness([Run()])
    ours, other, twins, apart = figures.nearness(table).data
    assert other.name == "nearest other net"
    assert list(ours.x) == [0.0, 0.0]
    assert all(x > 0 for x in twins.x)
    assert list(apart.x) == [None, None]
    assert "permuted MNIST, IndRNN, 6 layers<br>train accuracy" in ours.y[0]


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


def test_a_diverged_run_is_counted_and_named(store, monkeypatch):
    """Its number is in no mean; the note says how many and when."""
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
    seeds = {r.seed: r for r in records()}
    assert [seeds[seed].status for seed in range(3)] == ["resumable", "diverged", "diverged"]
    assert row["note"] == "2 of 3 diverged at step 2, 152"
    monkeypatch.setenv("COLUMNS", "200")
    assert (row["step"], row["n"]) == (200, 1)
    assert row["ours"] == pytest.approx(100 * (1 - seeds[0].budgets[-1]["test"]["accuracy"]))
    assert "2 of 3 diverged at step 2, 152" in tables.render(results, "text")


def test_steps_to_a_threshold_are_read_off_the_curve():

    class Run:
        curve = pd.DataFrame({"step": [100, 200, 300, 400], "valid_mse": [0.009, 0.2, 0.009, 0.002]})

    assert claims.measure(Run(), "steps to MSE < 0.01") == 300  # the first of two in a row
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
    rows, why = claims.rows(["speech_plain"]), claims.why_not_run(paper.experiment("speech_plain"))
    assert [r["metric"] for r in rows] == ["test accuracy %", "test accuracy %, over 5,000 steps"]
    assert {(r["verdict"], r["note"]) for r in rows} == {("no claim", f"workbench run speech_plain; {why}")}
