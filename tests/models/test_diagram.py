"""The drawing of a net agrees with the net, and a picture with plotly."""

import pytest

from workbench import paper
from workbench.analysis.figures import style
from workbench.models import diagram
from workbench.models.build import count_of
from workbench.notebook.explorers import EXPLORERS, bounds
from workbench.notebook.explorers import architecture as explorer
from workbench.notebook.site import pages, static_page
from workbench.tasks import spec


@pytest.mark.parametrize("name", paper.EXPERIMENTS)
def test_the_boxes_hold_every_parameter_of_the_net(name):
    config = paper.EXPERIMENTS[name].config
    drawn = diagram.draw(config.model, spec(config.task))
    assert sum(part.parameters for part in drawn.parts) == drawn.parameters
    assert drawn.parameters == count_of(config.model, spec(config.task))
    assert drawn.parts[0].kind == "input"
    assert drawn.parts[-1].features == spec(config.task).outputs


def test_a_residual_net_has_a_sum_a_block_and_a_dense_one_a_bracket_a_block():
    for name, kind in (("seqmnist_res", "sum"), ("seqmnist_dense", "block")):
        config = paper.experiment(name).config
        drawn = diagram.draw(config.model, spec(config.task))
        blocks = config.model.depth if kind == "sum" else len(config.model.blocks)
        assert [arc.kind for arc in drawn.arcs] == [kind] * blocks
        assert all(arc.start < arc.end for arc in drawn.arcs)


def test_a_picture_is_what_plotly_draws():
    drawn = bounds.funnel(100, 2.0, 0.5, (10, 100))
    figure = drawn.figure()
    assert list(figure.data[0].y) == [2 ** (1 / 10), 2 ** (1 / 100)]
    assert figure.layout.xaxis.title.text == "sequence length T, steps"
    other = style.Picture("x", "y").line([0, 1, 2], [1.0, float("inf"), float("nan")], "gap", style.BLUE)
    assert '"y":[1.0,null,null]' in other.json()
    assert style.thinned(1) == [0]
    assert style.thinned(1001, 10)[-1] == 1000
    assert len(style.thinned(1001, 10)) <= 12


def test_a_page_holds_every_frame_once_and_needs_no_network(store):
    content = EXPLORERS["bounds"]("smoke")
    content.sweep = ("memory", "clamp")
    text = static_page.page(content, {"steps": 64}).decode()
    assert "src=" not in text.partition("<script")[0]
    assert text.count("<html") == 1
    assert len(text) < 3_000_000
    assert static_page.page(content, {"steps": 64}).decode() == text, "equal pages for equal explorers"


def test_a_sum_is_an_arc_with_a_plus_and_a_dense_block_a_bracket_with_its_words():
    for name, kind in (("seqmnist_res", "sum"), ("seqmnist_dense", "block")):
        config = paper.experiment(name).config
        drawn = diagram.draw(config.model, spec(config.task))
        layout = explorer.architecture(drawn, name).figure().layout
        ways = [shape.path for shape in layout.shapes if shape.type == "path"]
        assert len(ways) == len(drawn.arcs)
        for way, arc in zip(ways, drawn.arcs, strict=True):
            heights = [float(y) for y in way.split()[2::3]]
            edge = (0, 0) if kind == "sum" else (0.62, 0.38)
            assert heights == [arc.start + edge[0]] * 2 + [arc.end + edge[1]] * 2
        notes = [note for note in layout.annotations if note.text == "+" or note.textangle == -90]
        assert len(notes) == len(drawn.arcs)
        if kind == "block":
            said = [note.text.replace("<br>", " ") for note in notes]
            assert said == [arc.words for arc in drawn.arcs]
    plain = paper.experiment("seqmnist_plain6").config
    assert not explorer.architecture(diagram.draw(plain.model, spec(plain.task)), "").figure().layout.shapes


def test_a_net_of_words_gives_an_answer_at_each_step_and_another_one_at_the_end():
    for name, last in (("ptbchar_plain6_T50", "(T, B, 50)"), ("seqmnist_plain6", "(B, 10)")):
        config = paper.experiment(name).config
        drawn = diagram.draw(config.model, spec(config.task))
        shapes = [
            trace
            for trace in explorer.architecture(drawn, name).figure().data
            if trace.type == "scatter" and trace.mode == "text"
        ][1]
        assert shapes.text[-1] == last


def test_pages_are_written_one_by_one_and_each_is_there_when_it_is_named(store, tmp_path, monkeypatch):
    for name in ("bounds", "architecture"):
        monkeypatch.setattr(EXPLORERS[name], "sweep", ())
    for path, name in zip(
        pages.pages(tmp_path / "out", ["architecture", "bounds"]), ("architecture", "bounds"), strict=True
    ):
        assert path == tmp_path / "out" / f"explore_{name}.html"
        assert f"<title>{EXPLORERS[name].title}</title>" in path.read_text()
