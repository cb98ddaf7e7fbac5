"""Table 1 and Fig. 2 as claims: every printed number, the notebook that answers it, no run behind it."""

import pytest

from workbench import paper
from workbench.runs.jobs.notebook_parameters import find


@pytest.mark.parametrize("name", paper.EXHIBITS)
def test_an_exhibit_has_a_notebook_and_no_experiment_of_its_name(name):
    exhibit = paper.EXHIBITS[name]
    assert exhibit.id == name
    assert find(exhibit.notebook).stem == exhibit.notebook
    assert name not in paper.EXPERIMENTS


def test_table_1_claims_both_ends_of_six_ranges():
    claims = {c.metric: c.value for c in paper.EXHIBITS["bounds"].claims}
    assert len(claims) == 12
    assert claims["upper bound of |u|, adding, T=100, gamma=MAG=2, eps=1/MAG"] == 1.00695555
    assert claims["lower end of last-layer init, NTU RGB+D, T=20, gamma=MAG=5, eps=1/MAG"] == 0.92268083


def test_fig_2_claims_twelve_bars_and_six_ratios_of_which_indrnns_are_the_papers_own():
    claims = paper.EXHIBITS["timing"].claims
    assert [c.metric.split(",")[0] for c in claims].count("ms per training batch") == 12
    ratios = {c.metric: c.value for c in claims if c.metric.startswith("speed-up")}
    assert len(ratios) == 6
    assert ratios["speed-up over 1-layer cuDNN LSTM, IndRNN (1 layer), T=1024"] == 12.9
    assert {c.metric for c in claims if not c.ours} == {
        c.metric for c in claims if "LSTM (" in c.metric or "SRU" in c.metric
    }
