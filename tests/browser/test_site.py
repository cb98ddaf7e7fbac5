"""The site as its reader opens it, from a disk, in a real Chromium: nothing is asked of another host, nothing fails."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import axe_playwright_python
import pytest

import workbench

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # playwright's own warnings
ROOT = Path(__file__).parent.parent.parent
BUILDER = ROOT / "scripts" / "build_site.py"
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
FAULTS = """async () => (await axe.run(document, {resultTypes: ['violations'], preload: false})).violations
  .map(v => `${v.id}: ${v.nodes.slice(0, 5).map(n => n.html.slice(0, 200)).join(' ')}`)"""
SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
PAGES = ("index", "tour", "reference", "results/README", "results/LOG", "notebooks/index", "notebooks/fig4_adding")
PAGES += ("notebooks/parity", "first_hour", "search", "explore_bounds")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make site` builds it, once."""
    out = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, str(BUILDER), "--out", str(out), "--repository", ""]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return out


@pytest.fixture
def opened(site, browser):
    """opened(page, size, scheme): a page from the disk; what it asks of another host or complains of is a fault."""
    pages = []

    def go(name, size="wide", scheme="light"):
        page = browser.new_page(viewport=SIZES[size], color_scheme=scheme)
        page.complaints, page.asked = [], []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and page.complaints.append(said.text))
        page.on("request", lambda request: page.asked.append(request.url))
        path, _, state = name.partition("#")
        page.goto((site / f"{path}.html").as_uri() + (f"#{state}" if state else ""))
        pages.append(page)
        return page

    yield go
    for page in pages:
        assert page.complaints == []
        assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []
        page.close()


def test_it_is_small_and_has_every_page(site):
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 20e6
    published = {p.name.rpartition("_")[0] for p in (ROOT / "results/published/notebooks").glob("*.ipynb")}
    assert published <= {path.stem for path in (site / "notebooks").glob("*.html")}
    explorers = {f"explore_{name}" for name in ("bounds", "depth", "length", "neurons", "digit", "architecture")}
    assert explorers <= {path.stem for path in site.glob("*.html")}
    assert (site / "playground.html").exists()


def test_the_reference_has_every_public_name_and_each_of_its_docstrings(site):
    text = (site / "reference.html").read_text("utf-8")
    for name in set(workbench.__all__) - {"analysis", "dynamic", "figures"}:
        assert f'id="workbench.{name}"' in text, name


def test_the_first_page_has_the_abstracts_table_and_what_it_counts(site):
    text = (site / "index.html").read_text("utf-8")
    assert "Long-term memory is learned, over 5,000 steps" in text
    assert "claims of the paper and its logs" in text


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("phone", "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_fault_and_nothing_is_wider_than_the_window(opened, name, size, scheme):
    page = opened(name, size, scheme)
    page.wait_for_load_state()
    if "explore" in name:
        page.wait_for_selector(".wb-explorer[data-drawn]", timeout=60_000)
    page.add_script_tag(path=str(AXE))
    assert page.evaluate(FAULTS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]


def test_figures_of_notebooks_are_drawn_as_they_come_near_and_take_the_pages_ink(opened):
    page = opened("notebooks/fig4_adding")
    plot = page.locator(".plot").first
    plot.scroll_into_view_if_needed()
    page.wait_for_selector(".plot .main-svg .scatterlayer path", timeout=60_000)
    ink = "document.querySelector('.plot .xtick text').style.fill"
    light = page.evaluate(ink)
    page.locator(".theme-toggle:visible").first.click()  # from the system's light to dark
    page.wait_for_function("before => document.querySelector('.plot .xtick text').style.fill !== before", arg=light)


def test_an_explorers_figures_take_the_ink_of_the_sites_own_theme(opened):
    page = opened("explore_bounds")
    page.wait_for_selector(".wb-explorer[data-drawn]", timeout=60_000)
    ink = "getComputedStyle(document.querySelector('.wb-plot .xtick text')).fill"
    light = page.evaluate(ink)
    page.locator(".theme-toggle:visible").first.click()  # from the system's light to dark
    page.wait_for_function(f"before => {ink} !== before", arg=light)


def test_what_is_printed_has_every_figure_and_no_frame_of_the_screen(opened):
    page = opened("notebooks/fig4_adding")
    page.wait_for_function("globalThis.Plotly")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function("[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.main-svg'))")
    assert page.locator(".sidebar-drawer:visible, .toc-drawer:visible, .mobile-header:visible").count() == 0
    assert page.locator("article h1").is_visible()


def test_search_finds_a_page(opened):
    page = opened("index")
    page.locator("input[name=q]").first.fill("Holm")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a", timeout=30_000)
    assert page.locator("#search-results li a").count() > 0


def test_what_is_turned_stands_in_the_address_and_an_address_opens_what_was_turned(opened):
    page = opened("explore_bounds")
    page.wait_for_selector(".wb-explorer[data-drawn]", timeout=60_000)
    page.locator("input[type=checkbox][data-name=memory]").check()
    page.wait_for_function("location.hash.includes('memory=true')", timeout=30_000)
    page.locator("input[type=range][data-name=epsilon]").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("location.hash.includes('epsilon=0.05')", timeout=30_000)
    remembers = ".wb-explorer:has-text('How long each neuron remembers')"
    page.wait_for_selector(remembers, timeout=30_000)
    again = opened(f"explore_bounds{page.evaluate('location.hash')}")
    said = page.locator(".wb-said").inner_text()
    again.wait_for_selector(remembers, timeout=60_000)
    again.wait_for_function("said => document.querySelector('.wb-said')?.innerText === said", arg=said, timeout=60_000)


def test_a_neuron_is_clicked_edited_and_read_without_a_kernel(opened):
    page = opened("explore_neurons")
    page.wait_for_selector(".wb-explorer[data-drawn]", timeout=60_000)
    page.evaluate("void workbenchModel.send({do: 'click', figure: 'roll', point: {customdata: 7}, page: '', turn: 1})")
    page.locator(".wb-said", has_text="Neuron 7 of layer").wait_for(timeout=30_000)
    page.locator("input[type=range][data-name=u]").press("Home")
    page.locator(".wb-said", has_text="Neuron 7 with u = -1.2: ").wait_for(timeout=30_000)
    page.get_by_role("button", name="Copy as code").click()
    page.wait_for_function("document.querySelector('.wb-text').value.includes('neuron=7, u=-1.2, silent=False')")


def test_a_drawn_digit_is_read_without_a_kernel(opened):
    page = opened("explore_digit")
    page.wait_for_selector(".wb-explorer[data-drawn]", timeout=60_000)
    page.get_by_role("button", name="Clear the drawing").click()
    canvas = page.locator("canvas.wb-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 0.8 * box["height"], steps=6)
    page.mouse.up()
    page.locator(
        ".wb-said", has_text=re.compile(r"reads \d \([<>\d.]+ %\)\. At the end: \d, from pixel \d+ on")
    ).wait_for()


def test_the_playground_is_there_and_leads_back(opened):
    page = opened("playground", "phone", "dark")
    page.wait_for_load_state()
    assert page.locator("a[href='index.html']").count() > 0


def test_formulas_are_text_with_indices(site):
    text = (site / "notebooks" / "study_scan.html").read_text("utf-8")
    assert text.count('class="formula"') > 20
    assert "<i>h</i><sub><i>t</i></sub>" in text
    assert "$" not in re.sub(r"<(script|pre|code).*?</\1>", "", text, flags=re.S)


def test_a_link_that_leads_nowhere_is_seen(tmp_path):
    broken = SimpleNamespace(**runpy.run_path(str(BUILDER.with_name("check_links.py")))).broken
    (tmp_path / "a.html").write_text('<a href="b.html#here">x</a><a href="b.html#gone">x</a><img src="c.png">')
    (tmp_path / "b.html").write_text(
        '<p id="here"><a href="https://arxiv.org">x</a><script src="https://x.org/y.js"></script>'
    )
    assert sorted(broken(tmp_path)) == ["a.html: b.html#gone", "a.html: c.png", "b.html: https://x.org/y.js is loaded"]
