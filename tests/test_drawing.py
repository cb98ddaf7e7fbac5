"""The drawing of a net agrees with the net, and a picture with plotly."""

import pytest

from workbench import drawing, export, paper, picture, views
from workbench.models.build import count_of
from workbench.tasks import spec
from workbench.widgets import LESSONS


@pytest.mark.parametrize("name", paper.EXPERIMENTS)
def test_the_boxes_hold_every_parameter_of_the_net(name):
    config = paper.EXPERIMENTS[name].config
    drawn = drawing.draw(config.model, spec(config.task))
    assert sum(part.parameters for part in drawn.parts) == drawn.parameters
    assert drawn.parameters == count_of(config.model, spec(config.task))
    assert drawn.parts[0].kind == "input"
    assert drawn.parts[-1].features == spec(config.task).outputs


def test_a_residual_net_has_a_sum_a_block_and_a_dense_one_a_bracket_a_block():
    for name, kind in (("seqmnist_res", "sum"), ("seqmnist_dense", "block")):
        config = paper.experiment(name).config
        drawn = drawing.draw(config.model, spec(config.task))
        blocks = config.model.depth if kind == "sum" else len(config.model.blocks)
        assert [arc.kind for arc in drawn.arcs] == [kind] * blocks
        assert all(arc.start < arc.end for arc in drawn.arcs)


def test_a_picture_is_what_plotly_draws():
    drawn = views.funnel(100, 2.0, 0.5, (10, 100))
    figure = drawn.figure()
    assert list(figure.data[0].y) == [2 ** (1 / 10), 2 ** (1 / 100)]
    assert figure.layout.xaxis.title.text == "sequence length T, steps"
    other = picture.Picture("x", "y").line([0, 1, 2], [1.0, float("inf"), float("nan")], "gap", picture.BLUE)
    assert '"y":[1.0,null,null]' in other.json()
    assert picture.thinned(1) == [0]
    assert picture.thinned(1001, 10)[-1] == 1000
    assert len(picture.thinned(1001, 10)) <= 12


def test_a_page_holds_every_frame_once_and_needs_no_network(store):
    lesson = LESSONS["bounds"]("smoke")
    lesson.sweep = ("memory", "clamp")
    text = export.page(lesson, {"steps": 64}).decode()
    assert "src=" not in text.partition("<script")[0]
    assert text.count("<html") == 1
    assert len(text) < 3_000_000
    assert export.page(lesson, {"steps": 64}).decode() == text, "equal pages for equal lessons"
