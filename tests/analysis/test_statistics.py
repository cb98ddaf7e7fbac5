"""Intervals and tests: against scipy, against published values, and where they must refuse."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from workbench.analysis import statistics
from workbench.analysis.statistics import Interval
from workbench.errors import ParameterError


def there(*steps):
    return [(step, step) for step in steps]


def test_the_interval_of_a_mean_is_students():
    values = [1.0, 2.5, 2.0, 4.0]
    found = statistics.mean(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.n == 4
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-9)
    assert statistics.mean([1, 2, 3]).high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-6)


def test_one_value_has_no_interval_and_equal_ones_an_empty_one():
    assert statistics.mean([2.0]) == Interval(2.0, 1, None, None)
    assert statistics.mean([2.0, 2.0, 2.0]) == Interval(2.0, 3, 2.0, 2.0, 0.0)
    assert statistics.mean([0.0, 0.0]).p == 1.0


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf], [[1.0, 2.0]]])
def test_what_is_no_list_of_finite_numbers_is_refused(values):
    with pytest.raises(ParameterError, match="values"):
        statistics.mean(values)


def test_an_interval_is_cut_to_what_its_measure_can_be():
    assert statistics.mean([98.0, 99.9, 100.0]).high == pytest.approx(102.0995, abs=1e-4)  # no accuracy is
    assert statistics.mean([98.0, 99.9, 100.0]).cut(0, 100).high == 100.0
    few = statistics.mean([0.1, 0.2, 2.9])
    assert few.cut(0, 100) == Interval(few.mean, 3, 0.0, few.high, few.p)
    assert few.cut(-math.inf, math.inf) == few
    assert statistics.mean([2.0]).cut(0, 1) == Interval(2.0, 1)
    ends = {
        "test error %": (0, 100), "test accuracy %": (0, 100), "valid accuracy %": (0, 100),
        "test accuracy %, over 5,000 steps": (0, 100), "last valid_accuracy": (0, 100),
        "highest valid_batch_accuracy": (0, 100), "test MSE": (0, math.inf), "test BPC": (0, math.inf),
        "test perplexity": (1, math.inf), "lowest valid_perplexity": (1, math.inf), "last u_max": (0, math.inf),
        "log10 lowest valid_mse": (-math.inf, math.inf), "log10 last valid_accuracy": (-math.inf, math.inf),
        "first step valid_accuracy > 90": (0, math.inf), "steps to MSE < 0.01": (0, math.inf),
    }  # fmt: skip
    assert {measure: statistics.possible(measure) for measure in ends} == ends


def test_the_interval_of_a_ratio_is_that_of_its_logarithm():
    ratios = [9.0, 10.0, 11.0, 10.5, 9.5]
    found = statistics.ratio(ratios)
    logs = np.log(ratios)
    low, high = stats.t.interval(0.95, 4, loc=logs.mean(), scale=stats.sem(logs))
    assert (found.mean, found.low, found.high) == pytest.approx((stats.gmean(ratios), math.exp(low), math.exp(high)))
    swapped = statistics.ratio([1 / r for r in ratios])
    assert (swapped.low, swapped.high) == pytest.approx((1 / found.high, 1 / found.low))
    with pytest.raises(ParameterError, match="above 0"):
        statistics.ratio([1.0, 0.0])


def test_wilson_is_scipys_where_the_count_is_whole():
    for count, n in ((0, 10), (90, 100), (9_904, 10_000), (5, 5)):
        known = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
        assert statistics.wilson(count / n, n) == pytest.approx((known.low, known.high))
    assert {statistics.wilson(0.0, n)[0] for n in range(1, 1_000)} == {0.0}  # not 5e-17
    with pytest.raises(ParameterError, match="share"):
        statistics.wilson(1.1, 10)


def test_the_interval_of_a_change_is_agresti_and_mins():
    """By hand: 8 lost and 2 gained of 100 are b = 8.5, c = 2.5 of 102: -6 / 102 +- 1.96 sqrt(11 - 36 / 102) / 102."""
    found = statistics.matched(8, 2, 100)
    assert (found.mean, found.n) == (-0.06, 100)
    half = 1.959964 * math.sqrt(11 - 36 / 102) / 102
    assert (found.low, found.high) == pytest.approx((-6 / 102 - half, -6 / 102 + half), rel=1e-6)
    assert statistics.matched(2, 8, 100).mean == 0.06
    every = statistics.matched(64, 0, 64)
    assert every.mean == every.low == -1  # a share cannot change by more
    assert statistics.matched(0, 64, 64).high == 1
    assert statistics.matched(0, 0, 1).n == 1
    nothing = statistics.matched(0, 0, 360)
    assert nothing.mean == 0
    assert nothing.low == -nothing.high
    assert 0.005 < nothing.high < 0.006, "no change in 360 answers is no proof of none"


@pytest.mark.parametrize("counts", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_counts_that_do_not_fit_are_refused(counts):
    with pytest.raises(ParameterError, match="lost, gained, n"):
        statistics.matched(*counts)


def test_three_of_three_leave_a_share_from_0_29_to_1():
    low, high = statistics.clopper_pearson(3, 3)
    assert (round(low, 2), high) == (0.29, 1.0)
    assert statistics.clopper_pearson(1, 1) == (pytest.approx(0.025), 1.0)
    assert statistics.clopper_pearson(0, 3) == pytest.approx((0.0, 1 - low))
    with pytest.raises(ParameterError, match="count"):
        statistics.clopper_pearson(4, 3)


def test_three_against_three_are_significant_only_where_they_separate_completely():
    share, p, reverse = statistics.ranks(there(1, 2, 3), there(4, 5, 6))
    assert (share, p, reverse) == (1.0, pytest.approx(1 / 20), 1.0)
    _, p, _ = statistics.ranks(there(1, 2, 4), there(3, 5, 6))
    assert p == pytest.approx(2 / 20)
    _, p, reverse = statistics.ranks(there(4, 5, 6), there(1, 2, 3))
    assert (p, reverse) == (1.0, pytest.approx(1 / 20))
    there_long_before = [(1, 9), (2, 9), (3, 9)], [(4, 9), (5, 9), (6, 9)]
    assert statistics.ranks(*there_long_before) == (1.0, pytest.approx(1 / 20), 1.0)


def test_ranks_need_two_values_in_each():
    with pytest.raises(ParameterError, match="1 and 3 values"):
        statistics.ranks(there(1), there(2, 3, 4))


def test_the_rank_test_is_scipys_exact_one_where_nothing_ties():
    rng = np.random.default_rng(0)
    for n, m in ((3, 4), (5, 5), (4, 5)):
        x, y = rng.normal(0, 1, n), rng.normal(1, 1, m)
        share, p, reverse = statistics.ranks(there(*x), there(*y))
        assert p == pytest.approx(stats.mannwhitneyu(x, y, alternative="less", method="exact").pvalue)
        assert reverse == pytest.approx(stats.mannwhitneyu(x, y, alternative="greater", method="exact").pvalue)
        assert share == pytest.approx(1 - stats.mannwhitneyu(x, y).statistic / (n * m))


def test_a_tie_counts_half_and_the_p_is_over_all_ways_to_deal_the_values():
    first, second = (1, 2, 3, 4), (3, 5, 6, 7)
    share, p, _ = statistics.ranks(there(*first), there(*second))
    assert share == pytest.approx(14.5 / 16)
    pooled = [*first, *second]

    def u(chosen):
        rest = [v for i, v in enumerate(pooled) if i not in chosen]
        return sum((pooled[i] < b) + (pooled[i] == b) / 2 for i in chosen for b in rest)

    dealt = [u(chosen) for chosen in itertools.combinations(range(8), 4)]
    assert p == pytest.approx(np.mean([v >= 14.5 for v in dealt]))
    _, p, _ = statistics.ranks(there(1, 2, 3), there(3, 4, 5))
    assert p > statistics.LEVEL  # one tie is enough to leave three against three open


def test_a_seed_not_there_comes_after_every_step_up_to_its_own_last_one():
    never = [(None, 60_300)] * 3
    assert statistics.ranks(there(1_500, 1_600, 60_300), never)[:2] == (1.0, pytest.approx(1 / 20))
    assert statistics.ranks(never, never)[0] == 0.5
    early = [(None, 1_000)] * 3  # stopped before the others were there: nothing is known
    assert statistics.ranks(there(1_500, 1_600, 1_700), early)[0] == 0.5
    share, p, _ = statistics.ranks(there(900, 950, 1_600), early)
    assert share == pytest.approx(7.5 / 9)
    assert p > statistics.LEVEL


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.6, 0.9]) == [1.0, 1.0]  # 1.2 is no probability
    assert statistics.holm([]) == []
