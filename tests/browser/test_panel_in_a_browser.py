"""The panel of an explorer in a browser, without a kernel: what is tried, played, undone, linked, where it lies."""

from pathlib import Path

import pytest
from browser.looks import AXE, BESIDE, FAULTS, OVERLAPS

from workbench.analysis.figures.style import BLUE, Picture
from workbench.notebook.explorers import EXPLORERS, base
from workbench.notebook.explorers.base import Choice, Exercise, ExplorerBase, Panel, Slider, Switch, View
from workbench.notebook.site import static_page

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # playwright's own warnings
SIZES = ((390, 844), (768, 1024), (1024, 768), (1440, 900))


class Small(ExplorerBase):
    """Two sliders, a switch and a choice, and two figures that count the same steps."""

    name, title, look = "small", "Small", "small numbers."
    sweep = ("steps", "loud", "kind")
    exercises = (
        Exercise("Take three", {"steps": 3, "loud": True}, "Three of them, loud."),
        Exercise("Elsewhere", {"fixed": 2}, "Not on this page."),
    )
    presets = (Exercise("Many", {"steps": 5}),)

    def controls(self, values):
        return [
            Slider("steps", "Steps", range(1, 7), 2, "steps", play=True),
            Switch("loud", "Loud"),
            Choice("kind", "Kind", {"a": "A", "b": "B"}, "a"),
            Slider("fixed", "Fixed", range(1, 4), 1),
        ]

    def view(self, steps, loud, kind, fixed):
        line = Picture("step", "height", "A line whose name is long").line(range(1, 9), range(8), "height", BLUE)
        dots = Picture("height", "step", "Dots &lt;in&gt; another order")
        dots.dots(range(8), [steps] * 8, "steps", BLUE, customdata=list(range(8, 0, -1)))
        line.linked(step="x")
        dots.linked(step="customdata")
        line.narrow(title={"text": "Narrow"})
        return View(
            {"line": Panel(line, "A line", wide=True), "dots": Panel(dots, "Dots")}, f"{steps} {loud} {kind} {fixed}"
        )


@pytest.fixture
def shown(browser, tmp_path):
    """shown(content, hash="", **how): a page of an explorer, drawn; its errors are `complaints`."""
    opened = []

    def show(content, hash="", **how):
        path = tmp_path / "page.html"
        path.write_bytes(static_page.page(content, {}))
        page = browser.new_page(**how)
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and page.complaints.append(said.text))
        page.goto(path.as_uri() + hash)
        page.wait_for_selector(".wb-explorer[data-drawn]", timeout=60_000)
        opened.append(page)
        return page

    yield show
    for page in opened:
        assert page.complaints == []
        page.close()


def said(page, words):
    page.locator(".wb-said", has_text=words).wait_for(timeout=10_000)


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def test_exercises_presets_undo_and_redo(shown):
    page = shown(Small())
    assert page.get_by_role("group", name="Try").get_by_role("button").all_inner_texts() == ["Take three"]
    assert page.get_by_role("button", name="Undo").is_disabled()
    press(page, "Take three")
    said(page, "3 true a 1")
    page.locator(".wb-see", has_text="Three of them, loud.").wait_for()
    page.get_by_label("Presets").select_option("Many")
    said(page, "5 false a 1")
    assert page.locator(".wb-see").inner_text() == ""
    press(page, "Undo")
    said(page, "3 true a 1")
    press(page, "Undo")
    said(page, "2 false a 1")
    assert page.get_by_role("button", name="Undo").is_disabled()
    press(page, "Redo")
    press(page, "Redo")
    said(page, "5 false a 1")
    assert page.get_by_role("button", name="Redo").is_disabled()
    press(page, "Reset")
    said(page, "2 false a 1")
    press(page, "Undo")
    said(page, "5 false a 1")


def test_two_quick_moves_back_are_two_moves_back(shown):
    """The second before the first is answered."""
    twice = """name => {
      const found = [...document.querySelectorAll("button")].find((button) => button.textContent === name);
      found.click();
      found.click();
    }"""
    page = shown(Small())
    press(page, "Take three")
    said(page, "3 true a 1")
    page.get_by_label("Kind").select_option("b")
    said(page, "3 true b 1")
    page.get_by_label("Loud").uncheck()
    said(page, "3 false b 1")
    page.evaluate(twice, "Undo")
    said(page, "3 true a 1")
    page.evaluate(twice, "Redo")
    said(page, "3 false b 1")
    assert page.get_by_role("button", name="Redo").is_disabled()
    press(page, "Undo")
    said(page, "3 true b 1")


def test_a_number_that_is_typed_is_the_one_that_is_shown(shown):
    page = shown(Small())
    exact = page.get_by_label("Steps, exact, in steps")
    exact.fill("3.4")
    exact.press("Enter")
    said(page, "3 false")
    assert exact.input_value() == "3", "this page has no other stop near it"
    exact.fill("4,5")
    exact.press("Enter")
    page.locator(".wb-complaint", has_text="steps: 4,5 received; a number is needed").wait_for()
    assert exact.input_value() == "4,5"
    said(page, "3 false")
    press(page, "Reset")
    said(page, "2 false")
    assert exact.input_value() == "2"


def test_a_slider_plays_to_its_end_pauses_and_steps(shown):
    page = shown(Small())
    press(page, "Step: Steps")
    said(page, "3 false")
    press(page, "Play: Steps")
    press(page, "Pause: Steps")
    page.get_by_role("button", name="Play: Steps", exact=True).wait_for()
    page.get_by_label("Loud").check()
    held = page.locator(".wb-said").inner_text()
    page.wait_for_timeout(900)
    assert page.locator(".wb-said").inner_text() == held, "it stands while it pauses"
    press(page, "Play: Steps")
    said(page, "6 true")
    page.get_by_role("button", name="Play: Steps", exact=True).wait_for(timeout=5_000)  # it halted at its end
    press(page, "Step: Steps")
    said(page, "1 true")


def test_an_address_opens_its_state_follows_the_moves_and_says_what_does_not_fit(shown):
    page = shown(Small(), "#steps=4&loud=true&kind=b&utm=x")
    said(page, "4 true b 1")
    press(page, "Step: Steps")
    said(page, "5 true b 1")
    page.wait_for_function("location.hash === '#steps=5&loud=true&kind=b&fixed=1'")
    press(page, "Copy link")
    link = page.locator(".wb-text").input_value()
    assert link == page.url
    page.goto(link.replace("steps=5", "steps=many").replace("kind=b", "kind=c").replace("fixed=1", "fixed=2"))
    page.locator(".wb-complaint", has_text="steps: many received; a number is needed").wait_for()
    page.locator(".wb-complaint", has_text="kind: c received").wait_for()
    page.locator(".wb-banner", has_text="fixed: 2 received; this page holds 1 alone").wait_for()
    said(page, "5 true b 1")


def test_what_is_hovered_is_marked_in_every_figure_that_counts_the_same(shown):
    page = shown(Small(), viewport={"width": 1200, "height": 900})
    place = """() => {
      const plot = document.querySelector('.wb-plot'), box = plot.getBoundingClientRect();
      const {xaxis, yaxis} = plot._fullLayout;
      return [box.left + xaxis._offset + xaxis.d2p(3), box.top + yaxis._offset + yaxis.d2p(2)];
    }"""
    x, y = page.evaluate(place)
    page.mouse.move(x - 40, y)
    page.mouse.move(x, y)
    page.locator(".wb-mark").nth(1).wait_for()
    across, ring = page.locator(".wb-mark").all()
    assert [mark.get_attribute("data-value") for mark in (across, ring)] == ["3", "3"]
    at = "e => { const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }"
    point = page.locator(".wb-panel:nth-child(2) .point").nth(5)
    assert ring.evaluate(at) == pytest.approx(point.evaluate(at), abs=2), "step 3 is the sixth of the dots"
    page.mouse.move(2, 2)
    page.locator(".wb-mark").first.wait_for(state="detached")


def test_titles_are_words_of_the_page_and_narrow_figures_have_their_own_form(shown):
    page = shown(Small(), viewport={"width": 1440, "height": 900})
    assert page.locator("h3").all_inner_texts() == ["A line whose name is long", "Dots <in> another order"]
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("h3", has_text="Narrow").wait_for(timeout=10_000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as SVG: dots").click()
    assert "another order" in Path(download.value.path()).read_text(), "a saved figure has its title in it"


def test_a_finger_moves_the_controls(shown):
    page = shown(Small(), has_touch=True, viewport={"width": 390, "height": 844})
    page.get_by_role("button", name="Step: Steps").tap()
    said(page, "3 false")
    page.get_by_label("Loud").tap()
    said(page, "3 true")


@pytest.mark.parametrize("name", EXPLORERS)
def test_no_text_lies_on_another_and_controls_stay_beside_their_figure(shown, monkeypatch, tmp_path, name):
    """At the sizes of a phone, a tablet, two screens; with all controls, as in a notebook, over the published nets."""
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "results"))
    for kind in (base.Slider, base.Choice, base.Switch, base.Drawing, base.Text):
        monkeypatch.setattr(kind, "positions", lambda control: [control.start])
    content = EXPLORERS[name]()
    content.sweep = tuple(content.at({}))
    page = shown(content)
    found = {}
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(700)  # figures take the new size
        found[f"{width}x{height}"] = page.evaluate(OVERLAPS)
    assert found == {size: [] for size in found}
    page.set_viewport_size({"width": 590, "height": 600})  # as in JupyterLab at 1024x768, its file browser open
    page.wait_for_timeout(700)
    beside = page.evaluate(BESIDE)
    assert beside
    assert {slider: seen for slider, seen in beside if seen < 0.6} == {}
    page.add_script_tag(path=str(AXE))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(400)
        assert page.evaluate(FAULTS) == []
