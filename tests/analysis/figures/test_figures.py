"""Figures say what their tables say."""

import re
from pathlib import Path

import pandas as pd
import pytest
import torch

import workbench as wb
from workbench.analysis import figures
from workbench.analysis.benchmark import figure2
from workbench.analysis.figures import sequences


@pytest.fixture
def times():
    nets = list(figure2.NETS)
    return pd.DataFrame({"net": nets * 2, "T": [256] * 4 + [512] * 4, "ms": range(1, 9), "faster": [2.0] * 8})


def test_notebooks_and_explorers_draw_with_one_style_one_template_and_one_set_of_colours():
    """Verdicts alone have colours of their own, behind white letters (analysis/html.py)."""
    texts = [(path.name, path.read_text("utf-8")) for path in Path(wb.__file__).parent.rglob("*.py")]
    assert {name for name, text in texts if re.search(r"#[0-9a-fA-F]{6}\b", text)} == {"style.py", "html.py"}
    assert {name for name, text in texts if "go.Figure(" in text} == {"style.py"}
    assert all("blank(" in text for _, text in texts if "make_subplots(" in text), "panels have its layout too"


def test_a_bar_stands_for_each_net_and_length(times):
    figure = figures.timing(times)
    assert [bar.name for bar in figure.data] == [f"{net}, here" for net in figure2.NETS]
    assert list(figure.data[1].y) == [2, 6]
    assert list(figure.data[1].x) == ["T = 256", "T = 512"]


def test_published_bars_are_hatched_and_share_their_nets_colour(times):
    bars = figures.timing(times, figure2.published_batches(), "faster").data
    assert len(bars) == 8
    for ours, theirs in zip(bars[:4], bars[4:], strict=True):
        assert ours.marker.color == theirs.marker.color
        assert (ours.marker.pattern.shape, theirs.marker.pattern.shape) == ("", "/")
    assert bars[7].name == "IndRNN, 2 layers, paper, P100"
    assert list(bars[7].y) == pytest.approx([12.81 / 4.38, 25.14 / 5.35, 52.22 / 6.49])


def test_every_curve_of_the_memory_range_passes_1_at_u_1_and_gamma_at_its_bound():
    curves = figures.memory_range([20, 100], gamma=10.0).data
    for T, curve in zip((20, 100), curves, strict=False):
        left = dict(zip(curve.y, curve.x, strict=True))
        assert left[1.0] == 1.0
        assert left[10.0] == pytest.approx(10.0 ** (1 / T))
    assert [line.y[0] for line in curves[2:]] == [10.0, 0.1]


def test_accuracy_by_length_shows_counts_and_leaves_out_what_is_empty():
    table = pd.DataFrame({"over": [0, 10, 20], "to": [10, 20, 30], "sequences": [4, 0, 10], "right": [3, 0, 10]})
    (bars,) = figures.accuracy_by_length(table).data
    assert list(bars.y) == [75.0, 100.0]
    assert [label.split("n = ")[1] for label in bars.x] == ["4", "10"]
    assert bars.error_y.array[1] == pytest.approx(0, abs=1e-9)
    assert 0 < bars.error_y.arrayminus[1] < 40


def test_a_gradient_that_has_underflowed_is_not_drawn():
    assert list(figures.gradients({"net": [1.0, 0.0]}).data[0].y) == [1.0, None]


def test_a_net_over_its_depth_is_a_line_in_order_with_its_interval():
    table = pd.DataFrame(
        {"variant": ["plain"] * 2 + ["dense"], "layers": [8, 2, 4], "score": [90.0, 80, 85],
         "low": [88.0, 79, 80], "high": [91.0, 83, 90]}
    )  # fmt: skip
    plain, dense = figures.over_depth(table, "score", "%").data
    assert (list(plain.x), list(plain.y)) == ([2, 8], [80, 90])
    assert (list(plain.error_y.array), list(plain.error_y.arrayminus)) == ([3, 1], [1, 2])
    assert plain.line.color != dense.line.color
    table["moment"] = ["end", "end", "start"]
    names = [line.name for line in figures.over_depth(table, "score", "%").data if len(line.x)]
    assert names == ["plain, end", "dense, start"]


def test_a_difference_stands_beside_zero_with_its_interval_and_one_that_is_none_is_left_out():
    against = pd.DataFrame(
        {"group": "g", "variant": ["a", "b"], "difference": [-1.0, None], "low": [-3.0, None], "high": [0.5, None],
         "note": ["", "1 of 5 seeds without a value"]}
    )  # fmt: skip
    figure = figures.variant_differences(against, "points")
    (one,) = figure.data
    assert (one.x[0], one.error_x.arrayminus[0], one.error_x.array[0]) == (-1.0, 2.0, 1.5)
    assert figure.layout.shapes[0].x0 == 0


def test_nets_that_the_paper_lacks_are_drawn_without_a_curve_of_its(store):
    record = wb.run("adding_lru_T100", "quick", until=100, progress=False)
    assert [trace.name for trace in wb.figures.adding([record]).data] == ["LRU, ours"]
    assert [trace.name for trace in wb.figures.curves_of([record]).data] == ["LRU, 2 layers, seed 0"]


def test_a_mean_of_a_sweep_says_of_how_many_seeds_it_is():
    """A combination whose other seeds failed is not as good as it looks."""
    rows = [
        {"train.lr": lr, "model.depth": depth, "train.batch": batch, "seed": seed, "valid_accuracy": value}
        for lr, depth, batch, values in (
            (0.1, 1, 8, (0.9, None, 0.8)),
            (0.1, 1, 9, (0.8, 0.8, 0.8)),
            (0.1, 2, 8, (None, None, None)),
            (0.2, 1, 8, (0.5, 0.5, 0.5)),
            (0.2, 2, 8, (0.25, None, None)),
            (0.2, 2, 9, (0.5, 0.5, 0.5)),
        )
        for seed, value in enumerate(values)
    ]
    (heat,) = figures.sweep_map(pd.DataFrame(rows), ["train.lr", "model.depth", "train.batch"], "valid_accuracy").data
    assert [list(row) for row in heat.text] == [["85<br>2 of 3 seeds", ""], ["50", "50"]]
    assert heat.z[0][0] == pytest.approx(85)
    assert heat.z[0][1] != heat.z[0][1]


def test_of_many_channels_the_figure_says_that_it_shows_the_first_and_of_few_all():
    many, few = (
        sequences.contributions(torch.ones(3), torch.ones(3, channels), 1.0, "steps", "").layout for channels in (9, 2)
    )
    assert (many.yaxis.title.text, few.yaxis.title.text) == ("first 7 of 9 channels", "channels, scaled")


def test_neurons_that_forget_nothing_stand_at_the_top_edge_which_says_so():
    forgets, keeps = (sequences.memories([torch.tensor(u)], 0.5, "s", 20).layout for u in ([0.5, 0.9], [0.5, 1.0]))
    assert [note.text for note in forgets.annotations] == []
    assert [note.text for note in keeps.annotations] == ["100 s or more, or for ever (u of 1 and above)"]
