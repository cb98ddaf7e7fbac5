"""Every word and every edge of the rule, from constructed seeds."""

import math
import random

import pytest

from workbench.analysis import statistics, verdicts
from workbench.analysis.verdicts import Seed, Terms, Verdict
from workbench.errors import ParameterError
from workbench.paper import claims

GOOD, BAD = [0.95, 1.0, 1.05], [1.45, 1.5, 1.55]  # a claim of 1.0 with a margin of 0.2
FEW = pytest.approx(0.7076, abs=1e-4)  # none of three: the share may be so much
SPREAD = [0.9, 1.1, 1.2]  # whose interval holds 1.2


def seeds(*values, first=0):
    """Ended seeds; None is one that diverged, "..." one under way."""
    states = {None: "lost", ...: "under way"}
    return [Seed(i, None if v in states else v, states.get(v, "ended"), 100) for i, v in enumerate(values, first)]


def value(*values, better="lower"):
    return verdicts.value(1.0, 0.2, seeds(*values), better)


@pytest.mark.parametrize(
    ("word", "note", "found"),
    [
        ("reproduced", "", value(*GOOD)),
        ("reproduced", "", value(0.2, 0.25, 0.3)),  # better is reproduced too
        ("reproduced", "", verdicts.value(1.0, 0.25, seeds(1.25, 1.25, 1.25))),  # exactly at the margin, without doubt
        ("reproduced", "", value(*[100 * (1 - 0.988)] * 3)),  # 1.2 % of 10,000, to a rounding
        ("not reproduced", "", value(*[100 * (1 - 0.9879)] * 3)),  # an image more
        ("not reproduced", "", value(*BAD)),
        ("undecided", "3 of 5 seeds, two more needed", value(*SPREAD)),
        ("undecided", "4 of 5 seeds, one more needed", value(*SPREAD, 1.0)),
        ("undecided", "1 of 5 seeds still trains; one more needed", value(*SPREAD, ...)),
        ("undecided", "2 of 5 seeds still train", value(*SPREAD, ..., ...)),
        ("reproduced", "", value(*SPREAD, 1.0, 1.0)),
        ("not reproduced", "", value(1.25, 1.3, 1.45, 1.35, 1.4)),
        ("undecided", "the interval at 5 seeds holds the margin", value(*SPREAD, 1.2, 1.1)),
        ("undecided", "1 of 3 seeds, two more needed", value(1.0)),
        ("undecided", "2 of 3 seeds, one more needed", value(1.0, 1.0)),
        ("undecided", "2 of 3 seeds still train", value(1.0, ..., ...)),
        ("undecided", "1 of 3 seeds still trains", value(1.0, 1.0, ...)),
        ("undecided", "2 of 3 seeds still train", value(1.0, ..., ..., ...)),  # a fourth is not among the three
        ("under way", "3 of 3 seeds still train", value(..., ..., ...)),
        ("under way", "1 of 3 seeds still trains", value(...)),
        ("not run", "not begun", value()),
        ("undecided", "1 of 3 seeds lost: undecided at best; 3 of 5 seeds, two more needed", value(1.0, None, 1.0)),
        ("undecided", "1 of 5 seeds lost: undecided at best", value(1.0, None, 1.0, 1.0, 1.0)),
        ("undecided", "2 of 5 seeds lost: undecided at best", value(1.0, None, 1.0, None, 1.0)),
        ("not reproduced", "3 of 5 seeds lost", value(1.0, None, 1.0, None, None)),
        ("not reproduced", "2 of 3 seeds lost", value(None, 1.0, None)),
        ("not reproduced", "2 of 3 seeds lost", value(None, ..., None)),  # whatever the third will say
        ("not reproduced", "", value(1.5, None, 1.5001)),  # the ones that are left decide against it
        ("undecided", "1 of 1 seed lost: undecided at best; 1 of 3 seeds, two more needed", value(None)),
        ("undecided", "1 of 3 seeds lost: undecided at best; 2 of 3 seeds still train", value(None, ..., ...)),
        ("undecided", "1 of 4 seeds lost: undecided at best; 4 of 5 seeds, one more needed", value(*SPREAD, None)),
        ("not reproduced", "2 of 3 seeds lost", value(math.nan, 1.0, math.inf)),  # no number is lost too
        (
            "undecided",
            "1 of 3 seeds lost: undecided at best; 3 of 5 seeds, two more needed",
            verdicts.value(1.0, 0.2, [*seeds(1, 1), Seed(2)]),
        ),
    ],
)
def test_a_value_gets_the_word_of_the_rule(word, note, found):
    assert (found.word, found.note) == (word, note)


def test_the_interval_that_is_printed_is_the_one_that_decides():
    found = value(*GOOD)
    assert found.n == 3
    assert (found.ours, found.low, found.high) == pytest.approx((1.0, 0.8758, 1.1242), abs=1e-4)
    assert value(1.0) == Verdict("undecided", "1 of 3 seeds, two more needed", 1, 1.0, None, None)
    assert value(*SPREAD, 1.0).n == 3  # no look at four
    assert value(*SPREAD, 1.0, 1.0).n == 5
    assert value(1.0, None, 1.1).n == 2
    assert value(*SPREAD, 1.2, 1.1, 1.0, 1.0, 1.0).n == 5  # and none after five


@pytest.mark.parametrize("claim", [c for c in claims.claims() if c.kind == "value"], ids=lambda claim: claim.id)
def test_what_is_shown_of_an_interval_is_possible_and_decides_as_the_whole_does(claim):
    least, most = statistics.possible(claim.metric)
    sign = 1 if claim.better == "lower" else -1
    worst = claim.value + sign * claim.margin
    assert least < worst < most  # so a cut at either end moves no end past it
    cut = 0
    for seed in range(50):
        draw = random.Random(seed)
        middle, width = worst + draw.uniform(-1, 1) * claim.margin, abs(worst) * 10 ** draw.uniform(-3, 1)
        values = [min(max(draw.gauss(middle, width), least), most) for _ in range(3)]
        found, whole = verdicts.judge(claim, seeds(*values)), statistics.mean(values)
        ends = sorted((sign * found.low, sign * found.high))
        assert least <= found.low <= found.ours + 1e-9
        assert found.ours - 1e-9 <= found.high <= most
        if (found.low, found.high) != (whole.low, whole.high):
            cut += 1
            word = verdicts.value(claim.value, claim.margin, seeds(*values), claim.better).word
            shown = "reproduced" if ends[1] <= sign * worst else "not reproduced" if ends[0] > sign * worst else ""
            assert found.word == word == (shown or "undecided")
    assert cut > 5


def test_a_row_decided_by_three_seeds_is_not_looked_at_again():
    assert value(*GOOD, 9.0, 9.0) == value(*GOOD)
    assert value(*BAD, 0.1, 0.1) == value(*BAD)


def test_no_seed_may_be_left_out_or_stand_twice():
    left_out = [*seeds(1.0), *seeds(1.0, 1.0, 1.0, first=2)]
    found = verdicts.value(1.0, 0.2, left_out)
    assert (found.word, found.note) == ("undecided", "seed 1 is missing")
    assert verdicts.value(1.0, 0.2, seeds(1.0, first=7)).note == "seed 0 is missing"
    with pytest.raises(ParameterError, match="stand once"):
        verdicts.value(1.0, 0.2, seeds(1.0, 1.0) + seeds(1.0))


def test_a_higher_number_is_better_where_the_claim_says_so():
    assert value(0.95, 1.0, 1.05, better="higher").word == "reproduced"
    assert value(1.95, 2.0, 2.05, better="higher").word == "reproduced"
    assert value(0.65, 0.7, 0.72, better="higher").word == "not reproduced"
    assert verdicts.value(1.0, 0.25, seeds(0.75, 0.75, 0.75), "higher").word == "reproduced"
    assert value(0.6, 0.8, 1.0, better="higher").word == "undecided"


def test_a_neighbour_0_01_away_changes_no_verdict():
    near, far = claims.claim("table2-seqmnist_plain12"), claims.claim("table2-seqmnist_res")
    assert near.value - far.value < 0.03
    assert verdicts.judge(near, seeds(0.60, 0.63, 0.66)).word == "reproduced"
    twins = claims.claim("table4-ptbword_dense-dynamic"), claims.claim("log-5097-ptbword_dense-dynamic")
    assert {verdicts.judge(each, seeds(50.9, 51.0, 51.1)).word for each in twins} == {"reproduced"}


def test_seeds_that_end_at_different_steps_are_taken_each_at_its_own_end():
    apart = [Seed(0, 0.95, "ended", 300_000), Seed(1, 1.0, "ended", 700_000), Seed(2, 1.05, "ended", 1_000_000)]
    assert verdicts.value(1.0, 0.2, apart) == value(*GOOD)


# --- who counts ---

TERMS = Terms("a1b2", "stored", 2)


def test_a_wrong_net_another_protocol_and_older_numerics_are_set_aside():
    good = [(seed, TERMS) for seed in seeds(*GOOD)]
    wrong = (Seed(3, 0.1), TERMS._replace(config="ffff"))
    batch = (Seed(4, 0.1), TERMS._replace(protocol="test batch"))
    old = [(seed, TERMS._replace(numerics=1)) for seed in seeds(0.1, 0.1)]
    counted, aside = verdicts.admitted([*good, wrong, batch, *old], TERMS)
    assert counted == seeds(*GOOD)
    assert aside == "1 of another config set aside, 2 of another numerics set aside, 1 of another protocol set aside"
    assert verdicts.admitted(good, TERMS) == (seeds(*GOOD), "")


def test_seeds_of_two_numerics_are_never_averaged():
    mixed = [(Seed(0, 1.0), TERMS), (Seed(1, 1.0), TERMS._replace(numerics=1)), (Seed(2, 1.0), TERMS)]
    counted, _ = verdicts.admitted(mixed, TERMS)
    assert verdicts.value(1.0, 0.2, counted).note == "seed 1 is missing"


def test_a_claim_on_test_batch_statistics_is_scored_with_them_or_not_at_all():
    claim = claims.claim("log-8488-ntu_cs_dense-test_batch")
    asked = Terms("a1b2", claim.protocol, 2)
    scored = [(seed, TERMS) for seed in seeds(84.8, 84.9, 85.0)]
    counted, aside = verdicts.admitted(scored, asked)
    assert verdicts.judge(claim, counted) == Verdict("not run", claims.NTU)
    assert verdicts.judge(claims.claim("table2-seqmnist_res"), []) == Verdict("not run", "not begun")
    assert aside == "3 of another protocol set aside"
    counted, _ = verdicts.admitted([(seed, asked) for seed, _ in scored], asked)
    assert verdicts.judge(claim, counted).word == "reproduced"


def test_dynamic_evaluation_is_a_protocol_of_its_own():
    static, dynamic = claims.claim("table4-ptbword_dense"), claims.claim("table4-ptbword_dense-dynamic")
    assert (static.protocol, dynamic.protocol) == ("stored", "dynamic evaluation")
    assert not verdicts.admitted([(Seed(0, 56.4), TERMS)], Terms("a1b2", dynamic.protocol, 2))[0]


def test_the_runs_of_a_search_are_never_judged():
    assert verdicts.admitted([(Seed(100, 0.1), TERMS)], TERMS) == ([], "1 of a search set aside")


# --- solved, property ---


def solves(*values, claimed=True):
    return verdicts.share(lambda error: error < 0.01, seeds(*values), claimed=claimed)


@pytest.mark.parametrize(
    ("word", "note", "found"),
    [
        ("reproduced", "3 of 3", solves(0.001, 0.002, 0.0099)),
        ("not reproduced", "0 of 3", solves(0.01, 0.17, 0.17)),
        ("undecided", "2 of 3", solves(0.001, 0.001, 0.17)),
        ("undecided", "2 of 3, 1 lost", solves(0.001, None, 0.001)),
        ("not reproduced", "1 of 3, 2 lost", solves(0.001, None, None)),
        ("not reproduced", "2 of 4, 2 lost", solves(0.001, None, 0.001, None)),  # half is enough
        ("undecided", "2 of 2; 2 of 3 seeds, one more needed", solves(0.001, 0.001)),
        ("undecided", "2 of 2; 1 of 3 seeds still trains", solves(0.001, 0.001, ...)),
        ("reproduced", "3 of 3", solves(0.001, 0.001, 0.001, ...)),  # a seed under way never decides
        ("undecided", "3 of 4", solves(0.001, 0.001, 0.001, 0.17)),
        ("under way", "2 of 3 seeds still train", solves(..., ...)),
        ("not run", "not begun", solves()),
        ("reproduced", "0 of 3", solves(0.17, 0.17, 0.17, claimed=False)),
        ("not reproduced", "3 of 3", solves(0.001, 0.001, 0.001, claimed=False)),
        ("undecided", "1 of 3", solves(0.001, 0.17, 0.17, claimed=False)),
        ("undecided", "0 of 3, 3 lost", solves(None, None, None, claimed=False)),  # a run that was lost shows nothing
        ("undecided", "0 of 2; 2 of 3 seeds, one more needed", solves(0.17, 0.17, claimed=False)),
    ],
)
def test_who_solves_a_problem_is_a_share_of_seeds(word, note, found):
    assert (found.word, found.note) == (word, note)


def test_a_share_is_shown_with_its_exact_interval():
    found = solves(0.001, 0.001, 0.001)
    assert (found.n, found.ours, found.low, found.high) == (3, 1.0, pytest.approx(0.2924, abs=1e-4), 1.0)


def test_a_share_leaves_no_seed_out():
    found = verdicts.share(lambda error: error < 0.01, [*seeds(0.001), *seeds(0.001, 0.001, first=2)])
    assert (found.word, found.note) == ("undecided", "3 of 3; seed 1 is missing")
    first, fourth = seeds(0.001, 0.001, 0.001), [*seeds(..., first=3), *seeds(0.17, first=4)]
    found = verdicts.share(lambda error: error < 0.01, first + fourth)
    assert (found.word, found.n) == ("reproduced", 3)  # what stands behind a seed under way waits for it


def test_a_property_needs_three_seeds_unless_chance_has_no_part_in_it():
    trained, exact = claims.claim("abstract-no_explosion"), claims.claim("table1-no_explosion")
    assert verdicts.judge(trained, seeds(1.0)).word == "undecided"
    assert verdicts.judge(trained, seeds(1.0, 1.0, 1.0)).word == "reproduced"
    assert verdicts.judge(trained, seeds(0.0, 0.0, 0.0)).word == "not reproduced"
    assert verdicts.judge(exact, seeds(1.0)) == Verdict("reproduced", "1 of 1", 1, 1.0)
    assert verdicts.judge(exact, seeds(0.0)).word == "not reproduced"
    solved = claims.claim("fig4-indrnn-T100")
    assert verdicts.judge(solved, seeds(0.01, 0.01, 0.01)) == Verdict("not reproduced", "0 of 3", 3, 0.0, 0.0, FEW)


# --- order ---


@pytest.mark.parametrize(
    ("word", "note", "found"),
    [
        ("reproduced", "p = 0.05, 3 against 3", verdicts.order(seeds(1, 2, 3), seeds(4, 5, 6))),
        ("not reproduced", "p of the reverse = 0.05, 3 against 3", verdicts.order(seeds(4, 5, 6), seeds(1, 2, 3))),
        (
            "undecided",
            "p = 0.1, 3 against 3; 3 of 5 seeds, two more needed",
            verdicts.order(seeds(1, 2, 3), seeds(3, 4, 5)),
        ),
        ("undecided", "2 of 3 seeds, one more needed", verdicts.order(seeds(1, 2), seeds(4, 5, 6))),
        ("undecided", "1 of 3 seeds still trains", verdicts.order(seeds(1, 2, ...), seeds(4, 5, 6))),
        (
            "undecided",
            "p = 0.1, 3 against 3; 4 of 5 seeds, one more needed",
            verdicts.order(seeds(1, 2, 3, 4), seeds(3, 4, 5, 6, 7)),
        ),
        (
            "reproduced",
            "p = 0.012, 5 against 5",
            verdicts.order(seeds(1, 2, 3, 1.5, 2.5), seeds(3, 4, 5, 4.5, 2.75)),
        ),
        ("under way", "", verdicts.order(seeds(...), seeds(...))),
        ("not run", "not begun", verdicts.order([], [])),
        ("not reproduced", "2 of 3 seeds lost", verdicts.order(seeds(1, None, None), seeds(4, 5, 6))),
        ("undecided", "the other net: 3 of 3 seeds lost", verdicts.order(seeds(1, 2, 3), seeds(None, None, None))),
        ("undecided", "the other net: 2 of 3 seeds lost", verdicts.order(seeds(1, 2, 3), seeds(None, None, 4))),
        ("not reproduced", "3 of 5 seeds lost", verdicts.order(seeds(1, 2, None, None, None), seeds(4, 5, 6, 7, 8))),
        ("undecided", "the other net: 1 of 3 seeds, two more needed", verdicts.order(seeds(1, 2, 3), seeds(4))),
        ("undecided", "", verdicts.order(seeds(1, 2, 3), [])),
    ],
)
def test_an_order_needs_complete_separation_of_three_or_five_that_nearly_separate(word, note, found):
    assert found.word == word
    assert found.note.startswith(note)


def test_what_an_order_needs_of_the_second_net_is_said_of_it():
    first = seeds(1, 2, 3)
    for second, note in (
        (seeds(4), "the other net: 1 of 3 seeds, two more needed"),
        ([], "the other net: 0 of 3 seeds, three more needed"),
        (
            seeds(3, 4, 5),
            "p = 0.1, 3 against 3; 3 of 5 seeds, two more needed; the other net: 3 of 5 seeds, two more needed",
        ),
        (seeds(None, None, 4), "the other net: 2 of 3 seeds lost"),
        (
            seeds(None, 4, 5),
            "p = 0.1, 3 against 3, 1 lost: undecided at best; 3 of 5 seeds, two more needed; "
            "the other net: 3 of 5 seeds, two more needed",
        ),
        (seeds(None), "the other net: 1 of 1 seed lost: undecided at best; 1 of 3 seeds, two more needed"),
    ):
        assert verdicts.order(first, second).note == note
    assert verdicts.order(seeds(1), seeds(4, 5, 6)).note == "1 of 3 seeds, two more needed"
    assert (
        verdicts.order(seeds(1), seeds(4)).note
        == "1 of 3 seeds, two more needed; the other net: 1 of 3 seeds, two more needed"
    )
    found = verdicts.order(first, seeds(3, 4, 5))
    assert (found.n, found.ours) == (3, pytest.approx(8.5 / 9))  # the share of pairs, a tie half


def test_with_one_seed_lost_an_order_is_undecided_at_best():
    found = verdicts.order(seeds(1, 2, None, 1, 2), seeds(4, 5, 6, 7, 8))
    assert found.word == "undecided"
    assert "1 lost: undecided at best" in found.note
    assert verdicts.order(seeds(4, 5, None, 6, 7), seeds(1, 2, 3, 1, 2)).word == "not reproduced"


def test_steps_that_only_two_of_three_reached_rank_the_third_last():
    slow = [Seed(0, 5_600, "ended", 60_300), Seed(1, 5_700, "ended", 60_300), Seed(2, None, "ended", 60_300)]
    fast = [Seed(i, 1_500 + i, "ended", 60_300) for i in range(3)]
    assert verdicts.order(fast, slow, steps=True).word == "reproduced"
    assert verdicts.order(slow, fast, steps=True).word == "not reproduced"
    assert verdicts.order(slow, slow, steps=True).word == "undecided"


def test_in_steps_a_seed_under_way_counts_as_far_as_it_is():
    fast = [Seed(i, 1_500 + i, "under way", 2_000) for i in range(3)]
    beyond = [Seed(i, None, "under way", 1_600) for i in range(3)]
    not_yet = [Seed(i, None, "under way", 1_500) for i in range(3)]
    assert verdicts.order(fast, beyond, steps=True).word == "reproduced"
    assert verdicts.order(fast, not_yet, steps=True).word == "under way"
    assert verdicts.order(fast, beyond).word == "under way"  # of a score, not of steps


# --- ratio ---


@pytest.mark.parametrize(
    ("word", "ratios"),
    [
        ("reproduced", [12.0, 12.5, 13.0, 12.2, 12.8]),
        ("not reproduced", [7.0, 7.5, 8.0, 7.2, 7.8]),
        ("undecided", [9.0, 10.0, 11.0, 12.0, 10.5]),
        ("undecided", [8.5, 9.5, 10.5, 9.0, 10.0]),
        ("undecided", [12.0, 12.5, 13.0, 12.2]),
        ("not run", []),
    ],
)
def test_a_ratio_is_that_of_five_starts_on_a_named_device(word, ratios):
    found = verdicts.judge(claims.claim("abstract-faster"), ratios=ratios, device="NVIDIA H100")
    assert found.word == word
    assert "NVIDIA H100" in found.note or not ratios
    assert ("holds 10" in found.note) == (word == "undecided" and len(ratios) == 5)
    assert ("4 of 5 process starts" in found.note) == (len(ratios) == 4)


def test_a_ratio_of_fig_2_may_fall_short_by_its_margin_and_the_abstracts_bound_may_not():
    ratios = [10.5, 10.6, 10.7, 10.6, 10.5]
    assert verdicts.judge(claims.claim("fig2-1_layer-T1024"), ratios=ratios, device="CPU").word == "reproduced"
    assert verdicts.judge(claims.claim("abstract-faster"), ratios=[9.5] * 5, device="CPU").word == "not reproduced"
    with pytest.raises(ParameterError, match="device"):
        verdicts.judge(claims.claim("abstract-faster"), ratios=ratios, device=" ")


# --- each claim by the test of its kind ---


@pytest.mark.parametrize(
    ("name", "values", "word"),
    [
        ("table2-seqmnist_plain6", (1.1, 1.1, 1.1), "reproduced"),
        ("table2-seqmnist_plain6", (1.3, 1.3, 1.3), "not reproduced"),
        ("table5-ntu_cs_plain4", (80.0, 80.0, 80.0), "reproduced"),
        ("table5-ntu_cs_plain4", (77.0, 77.0, 77.0), "not reproduced"),
        ("fig4-indrnn-T5000", (0.0099, 0.001, 0.001), "reproduced"),
        ("fig4-indrnn-T5000", (0.011, 0.011, 0.011), "not reproduced"),
        ("fig4-rnn_tanh-T100", (0.17, 0.17, 0.17), "reproduced"),
        ("fig4-rnn_tanh-T100", (0.001, 0.001, 0.001), "not reproduced"),
    ],
)
def test_a_claim_is_judged_by_its_own_number_margin_and_direction(name, values, word):
    assert verdicts.judge(claims.claim(name), seeds(*values)).word == word


def test_an_order_claim_is_judged_in_steps_or_by_its_score():
    fast = [Seed(i, 1_500, "under way", 2_000) for i in range(3)]
    slow = [Seed(i, None, "under way", 9_000) for i in range(3)]
    assert verdicts.judge(claims.claim("fig4-indrnn_before_lstm-T500"), fast, slow).word == "reproduced"
    deeper = claims.claim("deeper-seqmnist-dense_below_res")
    assert verdicts.judge(deeper, seeds(0.5, 0.51, 0.52), seeds(0.6, 0.61, 0.62)).word == "reproduced"
    assert verdicts.judge(deeper, seeds(0.6, 0.61, 0.62), seeds(0.5, 0.51, 0.52)).word == "not reproduced"
    assert verdicts.judge(deeper, fast, slow).word == "under way"


# --- the other words, and their counts ---


def test_the_same_test_under_another_schedule_says_reached():
    assert verdicts.of_parent(value(*GOOD)).word == "reached"
    assert verdicts.of_parent(value(*BAD)).word == "not reached"
    assert verdicts.of_parent(value(1.0)) == value(1.0)


def test_a_claim_that_cannot_be_tried_here_says_why():
    assert verdicts.judge(claims.claim("table5-ntu_cs_plain4")) == Verdict("not run", claims.NTU)


def test_the_first_line_counts_every_word_zeroes_too():
    said = verdicts.summary(
        ["undecided", "no claim", "reproduced", "undecided"], ["z", "", claims.NTU, claims.NTU, "other"]
    )
    assert said == (
        "reproduced 1, reached 0, not reproduced 0, not reached 0, undecided 2, under way 0, not run 0, of which "
        f"cannot be tried here 4 (2: {claims.NTU}; 1: other; 1: z); rows that are no claims: reference 0, no claim 1"
    )
    assert list(verdicts.tally([])) == list(verdicts.WORDS)
    with pytest.raises(ParameterError, match="on course"):
        verdicts.tally(["on course"])


def test_every_word_of_the_rule_is_given_somewhere_above():
    given = {
        value(*GOOD).word, value(*BAD).word, value(1.0).word, value(...).word, value().word,
        verdicts.of_parent(value(*GOOD)).word, verdicts.of_parent(value(*BAD)).word,
    }  # fmt: skip
    assert given == {*verdicts.WORDS} - {"reference", "no claim"}  # of rows that no rule judges
