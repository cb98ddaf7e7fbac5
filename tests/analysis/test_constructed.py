"""A word for every edge: rows and verdicts from constructed records."""

from types import SimpleNamespace

import pandas as pd
import pytest
from constructed import UNDER_WAY, Constructed, of

from workbench.analysis import claims, counting, learning_curves, tables, verdicts
from workbench.runs.provenance import NUMERICS


@pytest.fixture
def shown(monkeypatch, store):
    """The row of a claim and an experiment from constructed records."""

    def row(claim, name, records):
        monkeypatch.setattr(counting, "records", lambda own=False, of=None: records)
        return next(r for r in claims.rows([name]) if r["claim"] == claim and r["experiment"] == name)

    return row


PLAIN6 = ("table2-seqmnist_plain6", "seqmnist_plain6")  # 1.0 with a margin of 0.2


@pytest.mark.parametrize(
    ("word", "n", "note", "values"),
    [
        ("reproduced", 3, "", (0.95, 1.0, 1.05)),
        ("reproduced", 3, "", (0.5, 0.51, 0.52)),
        ("not reproduced", 3, "", (1.45, 1.5, 1.55)),
        ("undecided", 3, "3 of 5 seeds, two more needed", (0.9, 1.1, 1.2)),
        ("undecided", 2, "2 of 3 seeds, one more needed", (1.0, 1.0)),
        ("undecided", 1, "1 of 3 seeds, two more needed", (1.0,)),
        ("undecided", 1, "2 of 3 seeds still train", (1.0, UNDER_WAY, UNDER_WAY)),
        ("under way", 0, "3 of 3 seeds still train", (UNDER_WAY, UNDER_WAY, UNDER_WAY)),
        ("undecided", 2, "1 of 3 seeds lost: undecided at best; 3 of 5 seeds, two more needed", (1.0, None, 1.0)),
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
    assert (
        row["note"] == "ended at steps 900, 1,000, 1,100; 28,800 to 35,200 examples seen; 0.3 hours of wall time in all"
    )
    assert (row["low"], row["high"]) == pytest.approx((0.8758, 1.1242), abs=1e-4)


def test_no_row_shows_an_error_below_0_or_an_accuracy_above_100(shown, monkeypatch):
    row = shown(*PLAIN6, of("seqmnist_plain6", 0.1, 0.2, 2.9))  # Student's interval begins at -2.9
    assert (row["verdict"], row["low"]) == ("undecided", 0.0)
    assert tables.ours(row) == "1.067 [0, 5.013]"
    records = of("utd_plain6", 2.0, 0.1, 0.0) + of("seqmnist_plain6", 0.1, 0.2, 2.9, numerics=1)
    monkeypatch.setattr(counting, "records", lambda own=False, of=None: records)
    ours, older = (claims.rows([name])[-1] for name in ("utd_plain6", "seqmnist_plain6"))
    assert (tables.ours(ours), tables.ours(older)) == ("99.3 [96.5, 100]", "1.067 [0, 5.013]")


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


def test_a_seed_of_older_numerics_is_missing_among_those_of_the_present(shown):
    records = of("seqmnist_plain6", 1.0, 1.0, 1.0)
    records[1].numerics = NUMERICS - 1
    row = shown(*PLAIN6, records)
    assert (row["verdict"], row["n"]) == ("undecided", 2)
    assert row["note"].startswith("seed 1 is missing; 1 of another numerics set aside")


def test_a_run_that_ended_off_its_curve_is_judged_by_its_score_and_one_on_it_is_not_judged_before_its_end(shown):
    """Learning curves are shown and decide nothing."""
    curve = learning_curves.official_curve("seqmnist_plain6")
    off = curve.assign(train_accuracy=curve["train_accuracy"] - 0.2)
    for shape, values, word in (
        (off, (0.95, 1.0, 1.05), "reproduced"),
        (curve, (1.45, 1.5, 1.55), "not reproduced"),
        (curve, (UNDER_WAY,) * 3, "under way"),
        (curve, (1.0, UNDER_WAY, UNDER_WAY), "undecided"),
    ):
        records = of("seqmnist_plain6", *values, curve=shape)
        assert len(learning_curves.parity(records[0])) == len(curve)
        assert shown(*PLAIN6, records)["verdict"] == word


def test_a_claim_whose_neighbour_is_0_01_away_is_judged_by_its_own_number_alone(shown):
    """The mean's interval ends between the two limits, 0.732 of the table and 0.744 of the log."""
    records = of("seqmnist_res", 0.685, 0.7, 0.715)
    table, log = (shown(claim, "seqmnist_res", records) for claim in ("table2-seqmnist_res", "log-9940-seqmnist_res"))
    assert (table["paper"], log["paper"]) == (0.61, 0.62)
    assert table["ours"] == log["ours"] == pytest.approx(0.7)
    assert 0.732 < table["high"] == log["high"] < 0.744
    assert (table["verdict"], log["verdict"]) == ("undecided", "reproduced")


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
    old = shown(*PLAIN6, of("seqmnist_plain6", 1.0, numerics=1))
    said = [tables.not_run(pd.DataFrame([each]))["why"].item() for each in (row, old)]
    assert said == [f"{kind} records only, none that counts" for kind in ("other", "older")]


def test_a_number_of_seeds_at_their_end_is_of_the_papers_budget_while_others_train(shown):
    for values, budget in (((1.0, UNDER_WAY), "paper"), ((UNDER_WAY,), "quick"), ((1.0, 1.0), "paper")):
        assert shown(*PLAIN6, of("seqmnist_plain6", *values))["budget"] == budget
    claim = ("fig4-indrnn-T1000", "adding_indrnn_T1000")
    assert shown(*claim, solving(claim[1], 0.001, UNDER_WAY))["budget"] == "paper"


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


DYNAMIC = ("table4-ptbword_dense-dynamic", "log-5097-ptbword_dense-dynamic")


def test_dynamic_evaluation_is_never_scored_by_the_static_number(shown, monkeypatch):
    """Nets that are as good without it as the claim is with it: the static row has the word, the dynamic ones none."""
    name = "ptbword_dense"
    records = [Constructed(name, seed, v, "perplexity") for seed, v in enumerate((50.9, 51.0, 51.1))]
    assert shown("table4-ptbword_dense", name, records)["verdict"] == "reproduced"
    for claim in DYNAMIC:
        row = shown(claim, name, records)
        assert (row["verdict"], row["n"], row["ours"]) == ("not run", 0, None)
        assert row["note"] == "no record holds this measurement yet"
        assert row["protocol"] == claims.PROTOCOLS["dynamic evaluation"]
    monkeypatch.setitem(claims.METRICS, "test perplexity, dynamic evaluation", lambda test: test["perplexity"])
    for claim in DYNAMIC:  # even where a score is at hand, a record without that protocol is of another
        row = shown(claim, name, records)
        assert (row["verdict"], row["n"], row["ours"]) == ("not run", 0, None)
        assert "3 of another protocol set aside" in row["note"]


def test_a_cycle_is_reached_or_not_below_its_parents_row(shown):
    name = "seqmnist_plain6_cycle"
    for values, word in (((0.95, 1.0, 1.05), "reached"), ((1.5, 1.5, 1.6), "not reached"), ((1.0,), "undecided")):
        assert shown(PLAIN6[0], name, of(name, *values))["verdict"] == word
        pair = [r for r in claims.rows([name]) if r["claim"] == PLAIN6[0]]
        assert [r["protocol"].partition(";")[0] for r in pair] == ["best validation weights", "last weights"]
        assert [(r["experiment"], r["verdict"]) for r in pair] == [("seqmnist_plain6", "not run"), (name, word)]


def test_seeds_of_ours_that_end_at_different_steps_are_averaged_too(shown, monkeypatch):
    """No claim decides about them, and none of them is left out for having ended earlier."""
    name = "utd_plain6"
    ended = [Constructed(name, i, v, step=s) for i, (v, s) in enumerate(((0.6, 900), (0.7, 1_000), (0.8, 1_100)))]
    begun = [Constructed(name, i, UNDER_WAY, step=500) for i in (3, 4)]
    for records, n, ours, step, budget in ((ended + begun, 3, 70, 1_100, "paper"), (begun, 2, 10, 500, "quick")):
        monkeypatch.setattr(counting, "records", lambda own=False, of=None, records=records: records)
        (row,) = claims.rows([name])
        assert (row["n"], row["step"], row["budget"]) == (n, step, budget)
        assert row["ours"] == pytest.approx(ours)


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


def arriving(name, *steps):
    """Validation rows every 100 steps to 2,000, below the threshold from a step on; None never."""
    every = range(100, 2_001, 100)
    curves = [{"step": every, "valid_mse": [0.001 if s and k >= s else 0.1 for k in every]} for s in steps]
    return [Constructed(name, i, 0.5, "mse", curve=c, step=2_000) for i, c in enumerate(curves)]


FIRST = ("fig4-indrnn_before_lstm-T100", "adding_indrnn_T100")


def test_an_order_is_told_from_both_nets(shown):
    ours, lstm = arriving(FIRST[1], 300, 400, 500), arriving("adding_lstm_T100", 600, 700, None)  # two of three
    row = shown(*FIRST, ours + lstm)
    assert (row["verdict"], row["ours"]) == ("reproduced", 1)
    assert tables.readable(pd.DataFrame([row]))["paper"].item() == "before adding_lstm_T100"
    late = arriving(FIRST[1], 800, 900, None) + arriving("adding_lstm_T100", 300, 400, 500)
    assert shown(*FIRST, late)["verdict"] == "not reproduced"
    mixed = arriving(FIRST[1], 300, 400, 700) + arriving("adding_lstm_T100", 600, 700, None)
    assert shown(*FIRST, mixed)["verdict"] == "undecided"
    assert shown(*FIRST, ours)["verdict"] == "undecided"  # nothing of the LSTM
    older = [Constructed("adding_lstm_T100", i, 0.5, "mse", numerics=1) for i in range(3)]
    assert "adding_lstm_T100: 3 of another numerics set aside" in shown(*FIRST, ours + older)["note"]


def test_a_last_row_below_the_threshold_may_be_the_first_of_two(shown):
    """Ours comes at 2,000 as the LSTMs may have, which train on: a tie, unless their schedule is at its end."""
    ours, lstm = arriving(FIRST[1], 300, 400, 1_900), arriving("adding_lstm_T100", *[2_000] * 3)
    for end, word in ((1_900, "reproduced"), (2_000, "undecided")):
        last = [Constructed(FIRST[1], 2, 0.5, "mse", curve=arriving(FIRST[1], end)[0].curve, step=2_100)]
        last[0].curve.loc[len(last[0].curve)] = [2_100, 0.001]
        under_way = [Constructed("adding_lstm_T100", r.seed, UNDER_WAY, curve=r.curve, step=2_000) for r in lstm]
        row = shown(*FIRST, ours[:2] + last + under_way)
        assert (row["verdict"], row["budget"]) == (word, "quick")
        assert row["protocol"] == claims.VALIDATION
        assert shown(*FIRST, ours[:2] + last + lstm)["verdict"] == "reproduced"


@pytest.mark.parametrize(
    ("ours", "lstm", "word", "pairs"),
    [
        ((300, 400, 500), (500, 600, 700), "undecided", 8.5 / 9),  # one tie is enough to leave 3 against 3 open
        ((300, 300, 300), (300, 300, 300), "undecided", 0.5),
        ((500, 600, 700), (300, 400, 500), "undecided", 0.5 / 9),
        ((300, 300, 300), (600, 600, 600), "reproduced", 1),  # ties within a net are none between them
        ((500, 300, 350, 300, 400), (500, 600, 700, 800, 900), "reproduced", 24.5 / 25),
        ((None, None, None), (None, None, None), "undecided", 0.5),
    ],
)
def test_ties_count_half(shown, ours, lstm, word, pairs):
    row = shown(*FIRST, arriving(FIRST[1], *ours) + arriving("adding_lstm_T100", *lstm))
    assert (row["verdict"], row["ours"]) == (word, pytest.approx(pairs))


def test_scores_that_tie_count_half_too(shown):
    claim = ("deeper-seqmnist-res_below_plain12", "seqmnist_res")
    for values, word in (((0.5, 0.51, 0.52), "undecided"), ((0.5, 0.51, 0.51), "reproduced")):
        row = shown(*claim, of(claim[1], *values) + of("seqmnist_plain12", 0.52, 0.6, 0.61))
        assert row["verdict"] == word


def test_a_property_that_a_score_answers_is_judged_and_any_other_says_why_not(shown):
    claim = ("abstract-dense_pixels", "seqmnist_dense")  # below 1.8 %
    assert shown(*claim, of("seqmnist_dense", 1.0, 1.7, 1.79))["verdict"] == "reproduced"
    assert shown(*claim, of("seqmnist_dense", 1.9, 1.8, 2.0))["verdict"] == "not reproduced"
    assert shown(*claim, of("seqmnist_dense", 1.0, 1.7, 2.0))["verdict"] == "undecided"
    edge = [Constructed("ptbchar_res21_T50", seed, 1.36, "bpc") for seed in range(3)]  # is not below it
    assert shown("abstract-21_layers", "ptbchar_res21_T50", edge)["verdict"] == "not reproduced"
    row = shown("abstract-no_vanishing", "adding_indrnn_T1000", solving("adding_indrnn_T1000", 0.1, 0.1, 0.1))
    assert (row["verdict"], row["note"]) == ("not run", "no record holds this measurement yet")


def test_constructed_records_give_every_word(shown):
    records = [
        *of("seqmnist_plain6", 1.0, 1.0, 1.0),
        *of("seqmnist_plain12", 9.0, 9.0, 9.0),
        *of("seqmnist_res", 1.0),
        *of("seqmnist_dense", UNDER_WAY),
        *of("seqmnist_plain6_cycle", 1.0, 1.0, 1.0),
        *of("permmnist_plain6_cycle", 9.0, 9.0, 9.0),
        *of("seqmnist_lstm", 1.8),
    ]
    shown(*PLAIN6, records)
    assert {row["verdict"] for row in claims.rows()} == set(verdicts.WORDS)


def test_a_net_is_there_at_the_first_of_two_consecutive_rows_below_the_threshold():
    steps, errors = [100, 200, 300, 400, 500], [0.1, 0.009, 0.02, 0.008, 0.007]
    assert counting.arrival(steps, errors) == 400
    assert counting.arrival(steps[:4], errors[:4]) is None
    assert counting.arrival([], []) is None
    assert counting.arrival(steps, [0.01] * 5) is None  # at the threshold is not below it
    assert counting.absent(steps[:4], errors[:4]) == 300  # at 400 it may have been, which the next row tells
    assert counting.absent(steps[:3], errors[:3]) == 300
    assert counting.absent([], []) == 0
