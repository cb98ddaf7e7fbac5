"""Pictures beside the figures of executed notebooks, counted as a reader without plotly sees them."""

import base64
import io
import json
import runpy
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
from nbconvert import HTMLExporter, MarkdownExporter
from PIL import Image

import workbench
from workbench.runs.jobs import pictures


@pytest.fixture
def book(tmp_path):
    """An executed notebook with two figures and a text."""
    figure = json.loads(go.Figure(go.Scatter(y=[1, 2, 3])).to_json())
    drawn = {pictures.PLOTLY: figure, "text/plain": "Figure"}
    data = [drawn, drawn, {"text/plain": "3"}]
    outputs = [nbformat.v4.new_output("display_data", each) for each in data]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("show()", outputs=outputs)])
    nbformat.write(made, tmp_path / "book.ipynb")
    return tmp_path / "book.ipynb"


class Kaleido(types.ModuleType):
    """A stand-in for the browser that draws: noise, which no format makes small."""

    def __init__(self, size=10):
        super().__init__("kaleido")
        self.size, self.calls = size, []

    def start_sync_server(self, n):
        self.calls.append("start")

    def calc_fig_sync(self, figure, opts):
        assert set(figure) == {"data", "layout"}
        self.calls.append(opts["scale"])
        made, side = io.BytesIO(), int(self.size * opts["scale"])
        noise = np.random.default_rng(0).integers(0, 256, (side, side, 4), dtype=np.uint8)
        Image.fromarray(noise).save(made, "PNG")
        return made.getvalue()

    def stop_sync_server(self):
        self.calls.append("stop")


def counted(path):
    """Pictures in the page and in the Markdown that nbconvert makes of a notebook."""
    read = nbformat.read(path, 4)
    page, _ = HTMLExporter().from_notebook_node(read)
    _, resources = MarkdownExporter().from_notebook_node(read)
    return page.count('src="data:image/png'), len(resources["outputs"])


def test_each_figure_has_a_picture_where_a_page_is_made_of_the_notebook(book, monkeypatch):
    assert counted(book) == (0, 0)
    drawing = Kaleido()
    monkeypatch.setitem(sys.modules, "kaleido", drawing)
    assert pictures.add([book]) == 2
    assert counted(book) == (2, 2)
    assert drawing.calls == ["start", 1.0, 1.0, "stop"]
    assert pictures.add([book]) == 0  # they are there, and nothing is started
    assert drawing.calls[-1] == "stop"
    data = nbformat.read(book, 4).cells[0].outputs[0].data
    assert {pictures.PLOTLY, pictures.PNG} <= set(data)


def test_a_picture_stays_below_100_kb(book, monkeypatch):
    drawing = Kaleido(size=300)
    monkeypatch.setitem(sys.modules, "kaleido", drawing)
    pictures.add([book])
    assert drawing.calls[1:3] == [1.0, 0.75]
    for output in nbformat.read(book, 4).cells[0].outputs[:2]:
        assert len(output.data[pictures.PNG]) < 100_000


def test_few_colours_look_like_all_and_the_background_stays_transparent():
    """Lines of twelve colours whose edges fade, on nothing."""
    chance = np.random.default_rng(0)
    drawn = np.zeros((120, 400, 4), np.uint8)
    for row, colour in zip(drawn[::10], chance.integers(0, 256, (12, 3)), strict=True):
        row[:, :3], row[:, 3] = colour, chance.integers(1, 256, 400)
    made = io.BytesIO()
    Image.fromarray(drawn).save(made, "PNG")
    small = pictures._few_colours(made.getvalue())
    assert len(small) < 0.7 * len(made.getvalue())
    again = np.asarray(Image.open(io.BytesIO(small)).convert("RGBA"))
    assert (again[drawn[..., 3] == 0, 3] == 0).all()
    for paper in (0, 255):
        one, other = (
            p[..., :3] * (p[..., 3:] / 255) + paper * (1 - p[..., 3:] / 255) for p in (drawn.astype(float), again)
        )
        assert np.abs(one - other).max() < 24


@pytest.mark.parametrize(("trace", "mode"), [(go.Scatter(y=[1, 2]), "P"), (go.Heatmap(z=[[1, 2]]), "RGBA")])
def test_shades_have_all_their_colours(trace, mode):
    drawn = pictures._drawn(Kaleido(), json.loads(go.Figure(trace).to_json()))
    assert Image.open(io.BytesIO(base64.b64decode(drawn))).mode == mode


@pytest.mark.parametrize(("module", "package"), pictures.PACKAGES.items())
def test_a_package_that_is_missing_is_said_in_a_line(monkeypatch, module, package):
    found = pictures.importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == module else found(name))
    said = f"{package} is not installed; `pip install {package}` adds it"
    assert pictures.missing() == said
    assert pictures.draw([]) == f"no pictures beside the figures: {said}"


def test_without_a_browser_a_line_says_so_and_notebooks_stay_as_they_are(book, monkeypatch):
    before = book.read_bytes()
    monkeypatch.setattr("choreographer.browsers.chromium.Chromium.find_browser", lambda skip_local: None)
    assert pictures.draw([book]).startswith("no pictures beside the figures: no Chromium found; install one (")
    assert book.read_bytes() == before


def test_a_browser_may_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "any"))
    assert pictures.missing() is None


@pytest.mark.parametrize(
    ("module", "seconds", "said"),
    [
        ("", 60.0, "no pictures beside the figures: AttributeError: "),
        ("import time; time.sleep(60)", 2.0, "no pictures beside the figures: the browser does not answer"),
    ],
    ids=["fails", "hangs"],
)
def test_a_browser_that_fails_or_hangs_costs_the_pictures_and_nothing_else(
    book, tmp_path, monkeypatch, module, seconds, said
):
    (tmp_path / "kaleido.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(workbench.__file__).parents[1]}")
    monkeypatch.setattr(pictures, "missing", lambda: None)
    monkeypatch.setattr(pictures, "START", seconds)
    monkeypatch.setattr(pictures, "EACH", 0.0)
    before = book.read_bytes()
    assert pictures.draw([book]).startswith(said)
    assert book.read_bytes() == before


@pytest.mark.slow
@pytest.mark.skipif(pictures.missing() is not None, reason=str(pictures.missing()))
def test_a_browser_draws_them(book):
    assert pictures.draw([book]) == "2 pictures beside the figures"
    assert counted(book) == (2, 2)


def test_by_hand_what_could_not_be_drawn_ends_with_1(book, monkeypatch, capsys):
    there = pictures.importlib.util.find_spec
    lacking = lambda name, *given: None if name == "kaleido" else there(name, *given)  # noqa: E731
    monkeypatch.setattr(pictures.importlib.util, "find_spec", lacking)
    monkeypatch.setattr(sys, "argv", ["pictures", str(book)])
    monkeypatch.delitem(sys.modules, pictures.__name__)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(pictures.__name__, run_name="__main__")
    assert ended.value.code == 1
    assert capsys.readouterr().out.startswith("no pictures beside the figures: kaleido is not installed")
