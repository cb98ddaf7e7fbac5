"""Figures of scores show ours, a line a run, and the published curve once for all seeds of an experiment."""

import pandas as pd
import pytest
from constructed import Constructed

import workbench as wb
from workbench import paper
from workbench.analysis import figures, learning_curves
from workbench.runs.provenance import NUMERICS
from workbench.runs.record import find

NEVER = "seqdigits_plain6"  # an experiment that has no official log


@pytest.fixture(scope="module")
def published():
    """The published record of an experiment that has a log, or a digitised curve."""
    return lambda name: next(found for seed in range(5) if (found := find(name, seed)) is not None)


def test_the_papers_curve_of_the_adding_problem_is_drawn_once_for_all_seeds(published):
    record = published("adding_indrnn_T100")
    traces = figures.adding([record, record]).data
    assert [trace.name for trace in traces] == ["IndRNN, ours", "IndRNN, ours", "IndRNN, paper"]
    assert [trace.showlegend for trace in traces] == [True, False, True]
    assert list(traces[0].y) == record.curve["valid_mse"].tolist()
    assert list(traces[2].y) == learning_curves.published_curve("adding_indrnn_T100")["mse"].tolist()


def test_every_length_has_its_panel_with_the_papers_curve_whether_we_have_a_record_or_not(published):
    shown = figures.adding([published("adding_indrnn_T100"), published("adding_lstm_T500")], ["adding_irnn_T1000"])
    assert [note.text for note in shown.layout.annotations] == [
        "Adding problem, T = 100",
        "Adding problem, T = 500",
        "Adding problem, T = 1,000<br>not recorded",
    ]
    at = {trace.name: set() for trace in shown.data}
    for trace in shown.data:
        at[trace.name].add(trace.xaxis)
    assert at == {
        "IndRNN, ours": {"x"},
        "IndRNN, paper": {"x"},
        "LSTM, ours, earlier numerics": {"x2"},
        "LSTM, paper": {"x2"},
        "IRNN, paper": {"x3"},
    }
    named = [trace.name for trace in shown.data if trace.showlegend]
    assert sorted(named) == sorted(set(named)), "each name stands once in the legend"
    levels = [shape for shape in shown.layout.shapes if shape.showlegend]
    assert [(level.name, level.y0, level.y1) for level in levels] == [("always answering 1: 1/6", 1 / 6, 1 / 6)]


def test_lines_of_an_earlier_numerics_are_named_and_dashed():
    rows = {"step": [100, 200], "valid_mse": [0.17, 0.16]}
    new, also, old = (
        Constructed(f"adding_{net}_T500", 0, 0.1, "mse", curve=rows, numerics=numerics)
        for net, numerics in (("indrnn", NUMERICS), ("indrnn", NUMERICS - 1), ("lstm", NUMERICS - 1))
    )
    drawn = {trace.name: trace.line.dash for trace in figures.adding([new, also, old]).data if "ours" in trace.name}
    assert drawn == {
        "IndRNN, ours": None,
        "IndRNN, ours, earlier numerics": "dashdot",
        "LSTM, ours, earlier numerics": "dashdot",
    }


def test_long_runs_of_the_adding_problem_have_a_logarithmic_axis(published):
    assert figures.adding([published("adding_indrnn_T100")]).layout.xaxis.type == "log"  # to step 60,300
    rows = {"step": [2_000, 4_000], "valid_mse": [0.17, 0.01]}
    short = Constructed("adding_lstm_T100", 0, 0.01, "mse", curve=rows)
    assert figures.adding([short]).layout.xaxis.range == pytest.approx((0, 1.02 * 4_000))
    other = Constructed("adding_lstm_T500", 0, 0.01, "mse", curve=rows)  # beside a long run on the same axis
    both = figures.adding([published("adding_indrnn_T100"), other]).layout
    assert (both.xaxis2.type, both.xaxis2.range) == ("log", both.xaxis.range)


def test_learning_curves_of_an_earlier_numerics_are_named_too_and_the_log_is_drawn_once():
    rows = {"step": [1_700, 3_400], "valid_accuracy": [0.5, 0.6]}
    new, old = (
        Constructed("seqmnist_plain6", seed, 0.6, curve=rows, numerics=numerics)
        for seed, numerics in enumerate((NUMERICS, NUMERICS - 1))
    )
    drawn = [(trace.name, trace.line.dash) for trace in figures.learning([new, old], "valid_accuracy").data]
    net = "IndRNN, 6 layers"
    assert sorted(drawn, key=str) == [
        (f"{net}, official log", "dot"),
        (f"{net}, ours", None),
        (f"{net}, ours, earlier numerics", "dashdot"),
    ]


def test_a_curve_of_zeros_has_no_axis_below_zero():
    none = Constructed("seqdigits_plain6", 0, 0.0, curve={"step": [1, 2], "valid_accuracy": [0.0, 0.0]})
    assert figures.learning([none], "valid_accuracy").layout.yaxis.rangemode == "nonnegative"


def test_a_legend_of_many_long_names_has_a_line_for_each_below_the_axis():
    short, long = figures.style.blank("x", "y"), figures.style.blank("x", "y")
    for index in range(6):
        short.add_scatter(x=[1], y=[1], name=str(index))
        long.add_scatter(x=[1], y=[1], name=f"{index}, a net whose name needs half of a narrow figure's width and more")
    long.add_scatter(x=[], y=[], name="of this nothing is drawn")
    one, six = (figures.style.legend_below(figure).layout for figure in (short, long))
    assert (one.height, six.height - one.height, six.margin.b - one.margin.b) == (430, 5 * 19, 5 * 19)


def test_a_run_without_a_row_yet_is_no_line(store):
    changes = {"train.steps": 4, "train.evaluate_every": 2}
    begun = wb.run("adding_indrnn_T100", "quick", changes=changes, until=1, progress=False)
    assert not len(begun.curve)
    assert list(figures.adding([begun]).data) == []
    assert list(figures.learning([begun]).data) == []


def test_the_official_log_is_drawn_to_a_little_past_our_last_step(published):
    record = published("seqmnist_plain6")
    ours, official = figures.learning([record]).data
    assert list(ours.y) == (100 * record.curve["valid_batch_accuracy"]).tolist()
    log = learning_curves.official_curve("seqmnist_plain6")
    reach = max(1.6 * record.curve["step"].max(), 6 * record.config.train.evaluate_every)
    assert list(official.x) == [step for step in log["step"] if step <= reach]
    assert 0 < len(official.x) < len(log)
    twice = figures.learning([record, record]).data
    assert [trace.name for trace in twice].count("IndRNN, 6 layers, official log") == 1
    assert [trace.showlegend for trace in twice if trace.name.endswith("ours")] == [True, False]


def test_what_has_no_log_is_drawn_alone_and_a_column_that_is_not_there_not_at_all(store):
    changes = {"model.depth": 1, "model.hidden": 4, "train.steps": 4, "train.evaluate_every": 2, "task.limit": 64}
    record = wb.run(NEVER, "smoke", changes=changes, progress=False)
    (line,) = figures.learning([record], "valid_accuracy").data
    assert (list(line.x), line.name) == ([2, 4], "IndRNN, 6 layers, changed, ours")
    assert list(figures.learning([record], "valid_bpc").data) == []


def test_perplexity_has_a_logarithmic_axis_and_accuracy_has_none():
    assert figures.learning([], "valid_perplexity").layout.yaxis.type == "log"
    assert figures.learning([], "valid_accuracy").layout.yaxis.type is None
    assert figures.passes([], "valid_perplexity").layout.yaxis.type == "log"


def test_the_logs_of_the_treebank_stand_over_passes():
    (name,) = [known.id for known in paper.EXPERIMENTS.values() if known.curve and known.id.startswith("ptbchar")][:1]
    (line,) = figures.passes([], "valid_bpc", beside=[name]).data
    log = learning_curves.official_curve(name)
    every = paper.experiment(name).config.train.evaluate_every
    assert list(line.x) == (log["step"] / every).tolist()
    assert list(line.y) == log["valid_bpc"].tolist()


def test_an_axis_of_a_sweep_is_its_numbers_or_the_places_of_its_words():
    results = pd.DataFrame(
        {"model.kind": ["plain", "lstm", "plain"], "train.lr": [0.1, 0.2, 0.3], "seed": [0, 0, 1],
         "valid_accuracy": [0.5, 0.6, None]}
    )  # fmt: skip
    (lines,) = figures.parallel(results, ["model.kind", "train.lr"], "valid_accuracy").data
    kind, rate, seed, score = lines.dimensions
    assert (kind.label, list(kind.values), list(kind.ticktext)) == ("kind", [1, 0], ["lstm", "plain"])
    assert (rate.label, list(rate.values), list(rate.ticktext)) == ("lr", [0.1, 0.2], ["0.1", "0.2"])
    assert (list(seed.values), score.label, list(score.values)) == ([0, 0], "validation accuracy, %", [50.0, 60.0])
    assert list(lines.line.color) == [50.0, 60.0]  # a run without a score is not drawn
    assert lines.line.reversescale is False
