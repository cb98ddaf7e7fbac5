"""Pages that we write, with names made to run, opened in a real Chromium: they are text, and nothing of theirs runs."""

import json
import re

import pytest
from bad_inputs.case import ADDING, TINY
from security.conftest import HOSTILE

import workbench as wb
from workbench import files
from workbench.analysis import figures, tables
from workbench.analysis.figures.style import Picture
from workbench.notebook.explorers.base import Choice, ExplorerBase, Panel, View
from workbench.notebook.site import static_page
from workbench.runs import lock

LINK = '<a href="javascript:window.ran=5">a name</a>'
NAME = f"{HOSTILE}{LINK}"
FIGURE = ".js-plotly-plot .main-svg"


@pytest.fixture
def ran(browser, tmp_path):
    """ran(page, drawn): what a page's names did once `drawn` is there, None if nothing; its links are clicked too."""

    def look(content, drawn="body"):
        file = tmp_path / "page.html"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        page, asked = browser.new_page(), []
        page.on("request", lambda request: asked.append(request.url.partition(":")[0]))
        page.goto(file.as_uri())
        page.wait_for_selector(drawn)
        page.wait_for_timeout(200)
        for link in page.query_selector_all("a"):
            link.dispatch_event("click")
        done = page.evaluate("window.ran")
        page.close()
        assert set(asked) <= {"file", "data", "blob"}  # no page of ours needs anything from elsewhere
        return done

    return look


class Named(ExplorerBase):
    """An explorer all of whose words come from elsewhere, as those of a text's vocabulary do."""

    name, title, look = NAME, NAME, NAME
    sweep = ("word",)

    def controls(self, values):
        return [Choice("word", NAME, {NAME: NAME, "b": "b"}, NAME, NAME)]

    def view(self, word):
        figure = figures.blank(NAME, NAME)
        figure.add_scatter(x=[NAME, "b"], y=[1, 2], name=NAME, text=[NAME, word], mode="lines+text", hovertext=NAME)
        figure.update_layout(title=NAME)
        return View({"one": Panel(Raw(figure), NAME)}, NAME)


class Raw(Picture):
    def __init__(self, made):
        self.made = made

    def figure(self):
        return self.made

    def json(self):
        return self.made.to_json()


def test_an_exported_explorer_shows_names_as_text(ran):
    content = static_page.page(Named(), {})
    assert ran(content, FIGURE) is None
    outside = re.sub(r"<script type=\"module\">.*?</script>", "", content.decode(), flags=re.DOTALL)
    assert "<img" not in outside
    assert "<script" not in outside


def test_a_figure_of_records_with_hostile_names(ran, store):
    record = wb.run(ADDING, "smoke", changes=TINY, progress=False)
    spec = json.loads((record.run.path / "spec.json").read_text())
    spec.pop("check")
    (record.run.path / "spec.json").write_text(json.dumps(spec | {"experiment": NAME}))
    figure = figures.curves_of([wb.Record(record.run)])
    assert ran(figure.to_html(include_plotlyjs=True), FIGURE) is None


def test_the_board_and_the_table(ran, store):
    record = wb.run(ADDING, "smoke", changes=TINY, until=1, progress=False)
    lock.note(record.run, "failed", NAME)
    from workbench.notebook.run_board import Board

    assert ran(Board().table.value) is None
    assert ran(tables.render(wb.results_table([ADDING]).assign(note=NAME, protocol=NAME), "html")) is None


def test_the_looking_finds_what_runs(ran):
    """Put into a page as they are, each of these names runs: the tests above can fail."""
    assert ran(f"<p>{HOSTILE}</p>") is not None
    assert ran(f"<p>{LINK}</p>") == 5


def test_published_pages_hold_no_other_scripts():
    """The committed pages and notebooks: every output of HTML is one of ours or pandas'."""
    for path in (files.published() / "notebooks").glob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            for output in cell.get("outputs", []):
                page = "".join(output.get("data", {}).get("text/html", ""))
                assert "<script" not in page, path.name
                assert "javascript" not in "".join(output.get("data", {})), path.name
