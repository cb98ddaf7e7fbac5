"""Figures of recurrent weights show each neuron once, and the paper's beside ours."""

import pytest
import torch

import workbench as wb
from workbench.analysis import figures
from workbench.models.bounds import bound
from workbench.models.build import build, recurrent_weights
from workbench.seeds import generator
from workbench.tasks import spec

DIGITS = {"model.depth": 2, "model.hidden": 8, "train.steps": 4, "train.evaluate_every": 2, "task.limit": 64}
PRINTED = [
    {"layer": "1", "bin_left": "0.0", "bin_right": "0.1", "count": "3"},
    {"layer": "1", "bin_left": "0.1", "bin_right": "0.2", "count": "1"},
]


@pytest.fixture
def record(store):
    return wb.run("seqdigits_plain6", "smoke", seed=1, changes=DIGITS, progress=False)


def drawn(record):
    """u by layer as the record's seed draws it."""
    net = build(record.config.model, spec(record.config.task), generator(record.seed, "init"))
    return recurrent_weights(net)


def test_an_impulse_is_u_to_the_power_of_k():
    half, grows = figures.impulse([0.5, 1.1], 4).data
    assert list(half.y) == [1, 0.5, 0.25, 0.125]
    assert list(grows.y) == pytest.approx([1.1**k for k in range(4)])
    assert half.line.color != grows.line.color


def test_a_violin_a_layer_holds_its_last_weights_between_the_bounds(record):
    figure = figures.recurrent_weights_of(record)
    last = record.recurrent_weights()[4]
    assert [violin.name for violin in figure.data] == ["1", "2"]
    for violin, u in zip(figure.data, last.values(), strict=True):
        assert violin.y.tolist() == u.tolist()
        assert violin.spanmode == "hard", "it ends with the data: no net has a u beyond its bound"
    limit = bound(record.config.task.length, record.config.model.gamma)
    assert [line.y0 for line in figure.layout.shapes] == [limit, -limit]
    assert "after step 4" in figure.layout.title.text


def test_without_a_bound_no_line_is_drawn():
    assert not figures.recurrent_weights({"a": torch.zeros(2)}).layout.shapes


def test_bars_are_after_training_lines_before_it_and_the_papers_dotted(record):
    figure = figures.weight_histograms_of(record, PRINTED)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    before = [trace for trace in figure.data if trace.name == "before"]
    for bar, line, name, u in zip(bars, before, drawn(record), record.recurrent_weights()[4].values(), strict=True):
        for trace, weights in ((bar, u), (line, drawn(record)[name])):
            assert sum(trace.y) == pytest.approx(100)  # every neuron lies between -0.5 and the bound
            near = [y for x, y in zip(trace.x, trace.y, strict=True) if abs(x - float(weights[0])) <= bar.width / 2]
            assert max(near) >= 100 / 8
    (theirs,) = [trace for trace in figure.data if trace.name == "paper, Fig. 5"]
    assert (list(theirs.x), list(theirs.y)) == (pytest.approx([0.05, 0.15]), [75, 25])
    assert theirs.line.dash == "dot"
    assert [trace.name for trace in figure.data if trace.showlegend] == ["after training", "before", "paper, Fig. 5"]


def test_a_run_that_was_not_evaluated_yet_shows_the_weights_it_begins_with(store):
    begun = wb.run("seqdigits_plain6", "smoke", seed=1, changes=DIGITS, until=1, progress=False)
    assert begun.recurrent_weights() == {}
    bars = [trace for trace in figures.weight_histograms_of(begun).data if trace.type == "bar"]
    lines = [trace for trace in figures.weight_histograms_of(begun).data if trace.name == "before"]
    assert [list(bar.y) for bar in bars] == [list(line.y) for line in lines]
    assert len(figures.recurrent_weights_of(begun).data) == 0


def test_shares_count_neurons_that_forget_and_that_remember(record):
    printed = [
        {"metric": "fraction u<0", "value": "0.125"},
        {"metric": "fraction u>0.9", "value": "0.5"},
        {"metric": "neurons", "value": "128"},
    ]
    forget, remember, *theirs = figures.weight_shares([record], printed).data
    layers = record.recurrent_weights()[4].values()
    assert list(forget.y) == [100 * sum(v < 0 for v in u.tolist()) / 8 for u in layers]
    assert list(remember.y) == [100 * sum(v > 0.9 for v in u.tolist()) / 8 for u in layers]
    assert sum(forget.y) + sum(remember.y) > 0
    assert [list(trace.y) for trace in theirs] == [[12.5], [50.0]]
    assert {trace.line.dash for trace in theirs} == {"dot"}
    assert len(figures.weight_shares([record]).data) == 2
