"""Pictures beside the figures of executed notebooks, counted as a reader without plotly sees them."""

import base64
import json
import sys
import types
from pathlib import Path

import nbformat
import plotly.graph_objects as go
import pytest
from nbconvert import HTMLExporter, MarkdownExporter

import workbench
from workbench.runs.jobs import pictures

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


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
    """A stand-in for the browser that draws: PNGs whose size goes with the square of the scale."""

    def __init__(self, size=1000):
        super().__init__("kaleido")
        self.size, self.calls = size, []

    def start_sync_server(self, n):
        self.calls.append("start")

    def calc_fig_sync(self, figure, opts):
        assert set(figure) == {"data", "layout"}
        self.calls.append(opts["scale"])
        return PNG.ljust(int(self.size * opts["scale"] ** 2), b"\0")

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
    monkeypatch.setitem(sys.modules, "kaleido", Kaleido(size=120_000))
    pictures.add([book])
    for output in nbformat.read(book, 4).cells[0].outputs[:2]:
        assert len(output.data[pictures.PNG]) < 100_000


def test_what_is_missing_is_said_in_a_line(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert (
        pictures.draw([]) == "no pictures beside the figures: kaleido is not installed; `pip install kaleido` adds it"
    )
    assert pictures.missing() == "kaleido is not installed; `pip install kaleido` adds it"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pictures.missing().startswith("no Chromium found; install one")
    (tmp_path / "chromium").write_text("#!/bin/sh")
    (tmp_path / "chromium").chmod(0o700)
    assert pictures.missing() is None


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("", "no pictures beside the figures: AttributeError: "),
        ("import time; time.sleep(60)", "no pictures beside the figures: the browser does not answer"),
    ],
    ids=["fails", "hangs"],
)
def test_a_browser_that_fails_or_hangs_costs_the_pictures_and_nothing_else(book, tmp_path, monkeypatch, module, said):
    (tmp_path / "kaleido.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(workbench.__file__).parents[1]}")
    monkeypatch.setattr(pictures, "missing", lambda: None)
    monkeypatch.setattr(pictures, "START", 20.0 if not module else 0.0)
    monkeypatch.setattr(pictures, "EACH", 20.0)
    before = book.read_bytes()
    assert pictures.draw([book]).startswith(said)
    assert book.read_bytes() == before


@pytest.mark.slow
@pytest.mark.skipif(pictures.missing() is not None, reason=str(pictures.missing()))
def test_a_browser_draws_them(book):
    assert pictures.draw([book]) == "2 pictures beside the figures"
    assert counted(book) == (2, 2)
