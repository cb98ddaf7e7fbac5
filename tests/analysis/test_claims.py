"""Ours beside theirs: rows and verdicts from constructed records, curves at equal steps, and nothing typed in."""

import csv
import json
import math
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

import workbench as wb
from workbench import files, paper
from workbench.analysis import claims, figures, learning_curves, tables, verdicts
from workbench.paper import claims as claims_table
from workbench.runs.folder import Run
from workbench.runs.provenance import NUMERICS
from workbench.runs.record import Record
from workbench.tasks import data_hashes

PRESENT = claims_table.table_hash(claims_table.present())
UNDER_WAY = object()  # a value: of a seed that has no result yet


class Constructed:
    """A record of an experiment: what `claims` reads of one, without a net or a file."""

    smoke, published = False, True

    def __init__(self, experiment, seed, value, metric="accuracy", **other):
        known = paper.experiment(experiment.removesuffix("*"))
        self.experiment, self.seed = experiment, seed
        self.config = known.config.set(other.pop("changes", {}))
        self.spec = {"data": other.pop("data", data_hashes(known.config.task))}
        self.numerics, self.claims = other.pop("numerics", NUMERICS), other.pop("claims", PRESENT)
        self.step = other.pop("step", 1_000)
        self.curve = pd.DataFrame(other.pop("curve", {"step": []}))
        diverged = value is None
        self.status = "diverged" if diverged else "resumable" if value is UNDER_WAY else "done"
        test = {metric: value, "n": 10_000} if self.status == "done" else {metric: 0.1, "n": 10_000}
        row = {"step": self.step, "test": test, "provenance": {"device": "CPU"}, "cost": {"wall_s": 360.0}}
        self.budgets = [row]
        self.run = SimpleNamespace(result=lambda: None if value is UNDER_WAY else row)
        assert not other


def of(experiment, *values, **other):
    """Records of seeds 0, 1, ... of an experiment; test errors in per cent, None diverged."""
    given = [1 - v / 100 if isinstance(v, float) else v for v in values]
    return [Constructed(experiment, seed, value, **other) for seed, value in enumerate(given)]


@pytest.fixture
def shown(monkeypatch, store):
    """The row of a claim and an experiment from constructed records."""

    def row(claim, name, records):
        monkeypatch.setattr(claims, "records", lambda own=False, of=None: records)
        return next(r for r in claims.rows([name]) if r["claim"] == claim and r["experiment"] == name)

    return row


PLAIN6 = ("table2-seqmnist_plain6", "seqmnist_plain6")  # 1.0 with a margin of 0.2


@pytest.mark.parametrize(
    ("word", "n", "note", "values"),
    [
        ("reproduced", 3, "", (0.95, 1.0, 1.05)),
        ("reproduced", 3, "", (0.5, 0.51, 0.52)),
        ("not reproduced", 3, "", (1.45, 1.5, 1.55)),
        ("undecided", 3, "two more seeds", (0.9, 1.1, 1.2)),
        ("undecided", 2, "n = 2: one more seed", (1.0, 1.0)),
        ("undecided", 1, "n = 1: two more seeds", (1.0,)),
        ("undecided", 1, "2 of 3 seeds still train", (1.0, UNDER_WAY, UNDER_WAY)),
        ("under way", 0, "3 of 3 seeds still train", (UNDER_WAY, UNDER_WAY, UNDER_WAY)),
        ("undecided", 2, "1 of 3 seeds lost: undecided for good; two more seeds", (1.0, None, 1.0)),
        ("not reproduced", 1, "2 of 3 seeds lost", (None, 1.0, None)),
        ("not run", 0, "workbench run seqmnist_plain6 --budget paper; not begun", ()),
    ],
)
def test_a_row_has_the_word_of_the_rule(shown, word, n, note, values):
    row = shown(*PLAIN6, of("seqmnist_plain6", *values))
    assert (row["verdict"], row["n"]) == (word, n)
    assert row["note"].startswith(note)


def test_a_seed_that_never_started_is_missed(shown):
    row = shown(*PLAIN6, [r for r in of("seqmnist_plain6", 1.0, 1.0, 1.0, 1.0) if r.seed != 1])
    assert (row["verdict"], row["note"].partition("; ended")[0]) == ("undecided", "seed 1 is missing")


def test_seeds_that_end_at_different_steps_are_one_row(shown):
    """A patience schedule ends where it ends: each seed counts at its own end."""
    records = of("seqmnist_plain6", 0.95, 1.0, 1.05)
    for record, step in zip(records, (900, 1_000, 1_100), strict=True):
        record.step = record.budgets[-1]["step"] = step
    row = shown(*PLAIN6, records)
    assert (row["verdict"], row["n"], row["step"], row["budget"]) == ("reproduced", 3, 1_100, "paper")
    assert row["note"] == "ended at steps 900, 1,000, 1,100; 28,800 to 35,200 examples seen; 0.3 hours"
    assert (row["low"], row["high"]) == pytest.approx((0.8758, 1.1242), abs=1e-4)


def test_the_interval_over_examples_stands_apart_and_decides_nothing(shown):
    row = shown(*PLAIN6, of("seqmnist_plain6", 1.0))
    assert (row["low"], row["high"], row["verdict"]) == (None, None, "undecided")
    assert row["examples_low"] < 1.0 < row["examples_high"] < 1.3
    note = tables.readable(pd.DataFrame([row]))["note"].item()
    assert "over 10,000 examples 0.8229 to 1.215" in note


@pytest.mark.parametrize(
    ("aside", "other"),
    [
        ("3 of another numerics set aside", {"numerics": 1}),
        ("3 of another config set aside", {"changes": {"model.hidden": 64}}),  # a wrong net under the right name
        ("3 of another config set aside", {"data": {"images": "others"}}),
        ("3 of another protocol set aside", {"changes": {"train.bn_statistics": "test"}}),
        ("3 begun before the claim was written as it is now: set aside", {"claims": None}),
        ("3 begun before the claim was written as it is now: set aside", {"claims": "0" * 16}),
    ],
)
def test_what_is_another_computation_is_set_aside_and_said(shown, aside, other):
    assert "cannot" not in aside
    row = shown(*PLAIN6, of("seqmnist_plain6", 0.95, 1.0, 1.05, **other))
    assert (row["verdict"], row["n"], row["ours"], row["step"]) == ("not run", 0, None, None)
    assert row["note"] == f"workbench run seqmnist_plain6 --budget paper; {aside}"


def test_two_numerics_are_never_averaged_and_the_older_is_a_row_of_its_own(shown):
    records = of("seqmnist_plain6", 0.95, 1.0, 1.05) + of("seqmnist_plain6", 9.0, 9.0, 9.0, numerics=1)
    row = shown(*PLAIN6, records)
    assert (row["verdict"], row["ours"]) == ("reproduced", pytest.approx(1.0))
    below = claims.rows(["seqmnist_plain6"])[-1]
    assert (below["source"], below["verdict"], below["claim"]) == ("older records, numerics 1", "no claim", None)
    assert (below["ours"], below["paper"]) == (pytest.approx(9.0), None)
    assert below["note"].startswith(f"numerics 1, now {NUMERICS}: decides nothing")


def test_the_command_of_a_row_sets_ones_own_older_record_aside(shown):
    """Without `--fresh` a finished run of other numerics would be the answer, and never count."""
    records = of("seqmnist_plain6", 1.0, numerics=1)
    for record, more in (
        (records[0], ""),
        (SimpleNamespace(**vars(records[0]), smoke=False, published=False), " --fresh"),
    ):
        note = shown(*PLAIN6, [record])["note"]
        assert note == f"workbench run seqmnist_plain6 --budget paper{more}; 1 of another numerics set aside"


def test_seeds_of_a_search_never_count(shown):
    records = [Constructed("seqmnist_plain6", seed, 0.99) for seed in (100, 101, 102)]
    row = shown(*PLAIN6, records)
    assert (row["verdict"], row["n"]) == ("not run", 0)
    assert row["note"].endswith("3 of a search set aside")


def test_a_run_with_changes_is_no_record_of_the_experiment(shown):
    records = of("seqmnist_plain6*", 0.95, 1.0, 1.05, changes={"model.hidden": 64})
    assert shown(*PLAIN6, records)["note"].endswith("not begun")


def test_statistics_of_the_test_batch_are_scored_by_claims_that_say_so_alone(shown):
    stored, batch = "log-8418-ntu_cs_res", "log-8418-ntu_cs_res-test_batch"
    plain = of("ntu_cs_res", 17.0, 16.9, 17.1)
    changed = of("ntu_cs_res*", 16.0, 15.9, 16.1, changes={"train.bn_statistics": "test"})
    for records, claim, n in ((plain, stored, 3), (plain, batch, 0), (changed, stored, 0), (changed, batch, 3)):
        assert shown(claim, "ntu_cs_res", records)["n"] == n, claim
    row = shown(batch, "ntu_cs_res", plain + changed)
    assert (row["ours"], row["verdict"]) == (pytest.approx(84.0), "reproduced")
    assert row["protocol"] == claims.PROTOCOLS["test"]
    assert shown(stored, "ntu_cs_res", plain + changed)["ours"] == pytest.approx(83.0)


def test_a_cycle_is_reached_or_not_below_its_parents_row(shown):
    name = "seqmnist_plain6_cycle"
    for values, word in (((0.95, 1.0, 1.05), "reached"), ((1.5, 1.5, 1.6), "not reached"), ((1.0,), "undecided")):
        assert shown(PLAIN6[0], name, of(name, *values))["verdict"] == word
        pair = [r for r in claims.rows([name]) if r["claim"] == PLAIN6[0]]
        assert [(r["experiment"], r["verdict"]) for r in pair] == [("seqmnist_plain6", "not run"), (name, word)]


def test_an_accuracy_is_better_when_higher(shown):
    claim = ("table5-ntu_cs_plain6", "ntu_cs_plain6")  # 81.8 with a margin of 1
    assert shown(*claim, of(claim[1], 18.9, 18.95, 19.0))["verdict"] == "reproduced"
    assert shown(*claim, of(claim[1], 10.0, 10.1, 9.9))["verdict"] == "reproduced"
    assert shown(*claim, of(claim[1], 21.0, 21.1, 20.9))["verdict"] == "not reproduced"


def solving(name, *errors):
    return [Constructed(name, seed, e, "mse") for seed, e in enumerate(errors)]


def test_solved_is_a_share_of_seeds_at_their_end(shown):
    claim = ("fig4-indrnn-T1000", "adding_indrnn_T1000")
    row = shown(*claim, solving(claim[1], 0.001, 0.002, 0.0099))
    assert (row["verdict"], row["ours"], row["n"]) == ("reproduced", 1, 3)
    assert row["low"] == pytest.approx(0.2924, abs=1e-4)
    assert shown(*claim, solving(claim[1], 0.001, 0.002, 0.01))["verdict"] == "undecided"
    assert shown(*claim, solving(claim[1], 0.1, 0.1, 0.1))["verdict"] == "not reproduced"
    never = ("fig4-rnn_tanh-T1000", "adding_rnn_tanh_T1000")
    assert shown(*never, solving(never[1], 0.17, 0.17, 0.17))["verdict"] == "reproduced"
    assert shown(*never, solving(never[1], 0.17, UNDER_WAY, 0.17))["verdict"] == "undecided"


def test_an_order_is_told_from_both_nets(shown):
    def at(name, *steps):
        """Validation rows every 100 steps to 2,000, below the threshold from a step on; None never."""
        curves = [
            {
                "step": range(100, 2_001, 100),
                "valid_mse": [0.001 if s and k >= s else 0.1 for k in range(100, 2_001, 100)],
            }
            for s in steps
        ]
        return [Constructed(name, i, 0.5, "mse", curve=c, step=2_000) for i, c in enumerate(curves)]

    claim = ("fig4-indrnn_before_lstm-T100", "adding_indrnn_T100")
    ours, lstm = at(claim[1], 300, 400, 500), at("adding_lstm_T100", 600, 700, None)  # two of three are there
    row = shown(*claim, ours + lstm)
    assert (row["verdict"], row["ours"]) == ("reproduced", 1)
    assert tables.readable(pd.DataFrame([row]))["paper"].item() == "before adding_lstm_T100"
    assert shown(*claim, at(claim[1], 800, 900, None) + at("adding_lstm_T100", 300, 400, 500))["verdict"] == (
        "not reproduced"
    )
    assert shown(*claim, at(claim[1], 300, 400, 700) + at("adding_lstm_T100", 600, 700, None))["verdict"] == "undecided"
    assert shown(*claim, ours)["verdict"] == "undecided"  # nothing of the LSTM
    older = [Constructed("adding_lstm_T100", i, 0.5, "mse", numerics=1) for i in range(3)]
    assert "adding_lstm_T100: 3 of another numerics set aside" in shown(*claim, ours + older)["note"]


def test_a_property_that_a_score_answers_is_judged_and_any_other_says_why_not(shown):
    claim = ("abstract-dense_pixels", "seqmnist_dense")  # below 1.8 %
    assert shown(*claim, of("seqmnist_dense", 1.0, 1.7, 1.79))["verdict"] == "reproduced"
    assert shown(*claim, of("seqmnist_dense", 1.9, 1.8, 2.0))["verdict"] == "not reproduced"
    assert shown(*claim, of("seqmnist_dense", 1.0, 1.7, 2.0))["verdict"] == "undecided"
    edge = [Constructed("ptbchar_res21_T50", seed, 1.36, "bpc") for seed in range(3)]  # is not below it
    assert shown("abstract-21_layers", "ptbchar_res21_T50", edge)["verdict"] == "not reproduced"
    row = shown("abstract-no_vanishing", "adding_indrnn_T1000", solving("adding_indrnn_T1000", 0.1, 0.1, 0.1))
    assert (row["verdict"], row["note"]) == ("not run", "no record holds this measurement yet")


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
    named = [name for names in claims.ABSTRACT.values() for name in names]
    assert sorted(named) == sorted(each.id for each in claims_table.claims() if each.abstract)
    table = tables.abstract(wb.results_table())
    assert list(table.columns) == ["sentence", "test", "ours (95 %)", "verdict", "note"]
    assert set(table["sentence"]) == set(claims.ABSTRACT)
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


def test_a_log_without_accuracy_of_the_batch_is_compared_by_the_one_it_has():
    class Run:
        experiment = "ntu_cs_plain6"
        curve = learning_curves.official_curve("ntu_cs_plain6").assign(
            valid_accuracy=lambda log: log["valid_accuracy"] - 0.02
        )

    table = learning_curves.nearness([Run()]).set_index(["experiment", "curve"])
    assert table.loc[("ntu_cs_plain6", "validation accuracy"), "difference"] == pytest.approx(2.0)
    assert ("seqmnist_plain6", "validation accuracy") not in table.index


def test_a_curve_tells_nets_apart_only_where_chance_is_worth_less():
    """Logs of other nets are wrong by construction; two official runs of one net differ by chance alone."""

    class Run:
        seed = 0

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
        experiment = "permmnist_plain6"
        curve = learning_curves.official_curve("permmnist_plain6").head(3)

    table = learning_curves.nearness([Run()])
    ours, other, twins, apart = figures.nearness(table).data
    assert other.name == "nearest other net"
    assert list(ours.x) == [0.0, 0.0]
    assert all(x > 0 for x in twins.x)
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
    records = {r.seed: r for r in claims.records()}
    assert [records[seed].status for seed in range(3)] == ["resumable", "diverged", "diverged"]
    assert row["note"] == "2 of 3 diverged at step 2, 152"
    monkeypatch.setenv("COLUMNS", "200")
    assert (row["step"], row["n"]) == (200, 1)
    assert row["ours"] == pytest.approx(100 * (1 - records[0].budgets[-1]["test"]["accuracy"]))
    assert "2 of 3 diverged at step 2, 152" in tables.render(results, "text")


def test_steps_to_a_threshold_are_read_off_the_curve():
    import pandas as pd

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
