"""Each explorer as a person meets it: in JupyterLab, by keyboard, in light and dark, and by a reader of the screen."""

import csv
import os
import re
import statistics
import time
from pathlib import Path

import psutil
import pytest
from browser.looks import AXE, BESIDE, FAULTS, OVERLAPS, pictured

from workbench.notebook.explorers import EXPLORERS
from workbench.notebook.site import static_page

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # playwright's own warnings
ANSWERED = "before => (document.querySelector('.wb-explorer').dataset.turn ?? null) !== before"
CLOCK = """() => {
  const explorer = document.querySelector('.wb-explorer');
  let pressed = 0;
  window.wbTimes = [];
  explorer.addEventListener('keydown', event => (pressed = event.timeStamp), true);
  const after = new MessageChannel(); // what it brings comes after the frame
  after.port1.onmessage = () => window.wbTimes.push(performance.now() - pressed);
  const frame = () => requestAnimationFrame(() => after.port2.postMessage(0));
  new MutationObserver(frame).observe(explorer, {attributes: true, attributeFilter: ['data-turn']});
}"""
CLOSED_FORM, RUNS_NETS, DRAWN = 150, 500, 1000  # milliseconds that a move may take
FIRST, FIGURE = 8000, 15_000  # from Run All, with a kernel that is there, to the first picture; in paper notebooks
PAPER = (
    "00_tour",
    "table1_memory_and_bounds",
    "table2_pixels",
    "table3_ptb_char",
    "table4_ptb_word",
    "table5_skeletons",
)
PAPER += ("fig2_timing", "fig4_adding", "fig5_recurrent_weights", "parity")
DRAWN_THERE = (
    ".jp-OutputArea-output :is(.js-plotly-plot .main-svg, table)"  # a figure, or the table that comes before it
)
ERRORS = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.{}']"
UNTRAINED = {"moment"}  # controls that show nothing where nothing is recorded


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1360, "height": 1000}, device_scale_factor=1)
    page.set_default_timeout(120_000)  # of a busy machine
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    page.evaluate("window.onbeforeunload = null")
    page.close()


def shown(page):
    """The first explorer of the page, once its figures are there."""
    explorer = page.locator(".wb-explorer").first
    explorer.wait_for(timeout=120_000)
    page.wait_for_selector(".wb-explorer[data-drawn]", timeout=60_000)
    return explorer


def opened(lab, page, name, place="doc"):
    """A notebook run, its explorer drawn; beside the file browser of a small JupyterLab it was looked at before."""
    lab.theme(page, "JupyterLab Light")
    if place == "lab":
        page.set_viewport_size({"width": 1024, "height": 768})
    lab.open(page, f"explore_{name}", place)
    lab.press_run_all(page)
    explorer = shown(page)
    if place == "lab":
        stays_beside_its_sliders(page)
        page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    page.set_viewport_size({"width": 1360, "height": 2000})  # all of it is seen at once
    explorer.scroll_into_view_if_needed()
    return explorer


def stays_beside_its_sliders(page):
    """At 1024x768 with the file browser open, 60 % of the main figure are seen beside each slider, and no text is on
    another; what is prepared for the reader is hidden."""
    assert page.locator(".jp-FileBrowser").first.is_visible()
    assert page.locator(".jp-CodeCell .jp-InputArea-editor:visible").count() == 0
    beside = page.evaluate(BESIDE)
    assert beside
    assert {slider: seen for slider, seen in beside if seen < 0.6} == {}
    assert page.evaluate(OVERLAPS) == []


def press(page, explorer, slider, key=None):
    """One arrow key on a slider; the seconds until the answer is drawn."""
    before = explorer.get_attribute("data-turn")
    key = key or ("ArrowLeft" if slider.evaluate("e => e.value === e.max") else "ArrowRight")
    slider.focus()
    began = time.perf_counter()
    page.keyboard.press(key)
    page.wait_for_function(ANSWERED, arg=before, timeout=30_000)
    return time.perf_counter() - began


def unharmed(page):
    for kind in ("stderr", "error"):
        shown = page.locator(ERRORS.format(kind))
        assert shown.count() == 0, shown.first.inner_text()
    assert not page.complaints


def seen(explorer):
    return explorer.evaluate("e => [...e.querySelectorAll('.wb-plot .main-svg')].map(s => s.innerHTML).join()")


def dark(page):
    """The theme changed while the explorer is open."""
    page.evaluate("jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'", timeout=20_000)
    page.wait_for_timeout(500)


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_slider_answers_the_keyboard_and_axe_finds_no_fault(lab, page, name):
    explorer = opened(lab, page, name, "lab")
    for_the_readme(page, explorer, f"explore_{name}_light")
    for index in range(explorer.locator("input[type=range]").count()):
        slider = explorer.locator("input[type=range]").nth(index)
        before, value = seen(explorer), slider.get_attribute("aria-valuetext")
        press(page, explorer, slider)
        assert slider.get_attribute("aria-valuetext") != value
        assert slider.evaluate("e => e === document.activeElement"), "the keyboard stays on the slider"
        control = slider.get_attribute("data-name")
        if seen(explorer) == before and control not in UNTRAINED:  # a step at its end may pass no neuron's u
            press(page, explorer, slider, "Home")
            assert seen(explorer) != before, f"{control} changes no figure"
    ink = "e => getComputedStyle(e.querySelector('.wb-plot .xtick text, .wb-plot .x2tick text')).fill"
    light = explorer.evaluate(ink)
    page.add_script_tag(path=str(AXE))
    assert page.evaluate(FAULTS) == []
    dark(page)
    assert page.evaluate(FAULTS) == []
    assert explorer.evaluate(ink) != light, "the figures take the theme's ink"
    unharmed(page)
    explorer.get_by_role("button", name="Reset").click()
    for_the_readme(page, explorer, f"explore_{name}_dark")


def for_the_readme(page, explorer, name):
    """A picture for the README, where one is asked for."""
    if "PICTURES" in os.environ:
        page.wait_for_timeout(2_000)
        pictured(explorer, Path(os.environ["PICTURES"]) / f"{name}.png")


def test_what_is_asked_of_an_explorer_in_jupyterlab_comes(lab, page):
    """A wrong value is said beside its control, a right one taken, figures are kept, saved, and copied as code."""
    explorer = opened(lab, page, "neurons")
    page.get_by_role("button", name="Keep the figures as they are now").click()
    page.locator(".jp-OutputArea-output .js-plotly-plot").first.wait_for(timeout=30_000)
    before = explorer.locator(".wb-said").inner_text()
    exact = explorer.get_by_label("Neuron, exact")
    exact.fill("many")
    exact.press("Enter")
    complaint = explorer.locator(".wb-complaint", has_text="neuron: 'many'")
    complaint.wait_for(timeout=30_000)
    assert exact.get_attribute("aria-invalid") == "true"
    exact.fill("1")
    exact.press("Enter")
    explorer.locator(".wb-said", has_text="Neuron 1 ").wait_for()
    assert complaint.count() == 0
    explorer.get_by_role("button", name="Copy as code").click()
    page.wait_for_function("document.querySelector('.wb-text').value.includes('neuron=1')")
    explorer.get_by_role("button", name="Undo").click()
    explorer.locator(".wb-said", has_text=before).wait_for()
    with page.expect_download() as download:
        explorer.get_by_role("button", name="Save as PNG: roll").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as download:
        explorer.get_by_role("button", name="Save the numbers as CSV: roll").click()
    rows = list(csv.reader(Path(download.value.path()).read_text().splitlines()))
    assert rows[0] == ["trace", "x", "y", "z"]
    assert len(rows) == 1 + 8 + 1, "names, the neurons of a smoke net's layer, the chosen one"
    unharmed(page)


@pytest.mark.skipif("PICTURES" in os.environ, reason="pictures show the store that is there; this would train into it")
def test_a_reload_a_second_tab_and_a_restart_in_the_middle_of_training_lose_nothing(lab, browser, page):
    """The record is shown again, Resume goes on from it, and the view says what happened."""
    explorer = opened(lab, page, "length")
    for name, value in (("Sequence length T", "200"), ("Train to step", "2000")):  # long enough to be interrupted
        exact = explorer.get_by_label(f"{name}, exact")
        exact.fill(value)
        exact.press("Enter")
    explorer.get_by_role("button", name="Train live").click()
    explorer.locator(".wb-progress", has_text=re.compile(r"step \d\d")).wait_for(timeout=60_000)

    other = browser.new_page(viewport={"width": 1360, "height": 1000})
    other.goto(page.url)
    page.bring_to_front()
    explorer.get_by_role("button", name="Stop").wait_for(timeout=20_000)
    other.evaluate("window.onbeforeunload = null")
    other.close()

    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_text("Restart Kernel…", exact=True).first.click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    page.get_by_text("The kernel is gone or was started anew").first.wait_for(timeout=60_000)

    lab.press_run_all(page)
    again = shown(page)
    again.get_by_role("button", name="Reset").wait_for(timeout=60_000)
    assert "reached" in again.locator(".wb-said").inner_text(), "the curve so far is there"


def test_a_page_without_a_kernel_draws_its_frames(browser, page, tmp_path):
    content = EXPLORERS["architecture"]("smoke")
    content.sweep, content.alive = ("depth",), lambda: None  # as where the browser cannot compute it
    path = tmp_path / "page.html"
    path.write_bytes(static_page.page(content, {}))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    explorer = shown(page)
    before = seen(explorer)
    press(page, explorer, explorer.locator("input[type=range]").first)
    assert seen(explorer) != before
    assert explorer.locator("input[type=range]").count() == 1
    assert not [url for url in asked if url.startswith("http")], "it needs no network"
    page.add_script_tag(path=str(AXE))
    assert page.evaluate(FAULTS) == []
    assert not page.complaints


measured = pytest.mark.skipif("MEASURE" not in os.environ, reason="measured by `make measure`: MEASURE=file.csv")
COLUMNS = "explorer slider moves what value limit cpu_ms load_1min cores browser".split()


@measured
def test_the_time_from_key_to_picture_is_measured(lab, browser, page):
    """From a key to the frame that shows its pictures, on the browser's own clock; beside it, because other work on the
    machine makes that longer, the processor time of kernel and page."""
    opens = [(f"explore_{name}", name, ".wb-explorer[data-drawn]", FIRST) for name in EXPLORERS]
    opens += [(name, name, DRAWN_THERE, FIGURE) for name in PAPER]
    rows = [
        (name, "", 1, "first_picture_ms", first(lab, page, book, drawn), limit, "", os.getloadavg()[0])
        for book, name, drawn, limit in opens
    ]
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    for name, slider, moves, limit in (
        ("bounds", "gamma", 10, CLOSED_FORM),
        ("bounds", "steps", 10, CLOSED_FORM),
        ("depth", "depth", 15, RUNS_NETS),
        ("neurons", "neuron", 20, CLOSED_FORM),
        ("neurons", "u", 20, RUNS_NETS),
        ("neurons", "example", 20, RUNS_NETS),
        ("neurons", "above", 15, RUNS_NETS),
        ("length", "steps", 4, RUNS_NETS),
        ("digit", "step", 20, CLOSED_FORM),
        ("digit", "cut", 20, RUNS_NETS),
        ("digit", "strokes", 20, DRAWN),
        ("sentence", "step", 20, CLOSED_FORM),
        ("sentence", "cut", 20, RUNS_NETS),
        ("architecture", "depth", 20, CLOSED_FORM),
    ):
        explorer = opened(lab, page, name)
        control = explorer.locator(f"[data-name={slider}]")
        if slider == "strokes":  # read by the net of 28 by 28 pixels, its pen down
            turn = explorer.get_attribute("data-turn")
            explorer.get_by_label("Read by").select_option("seqmnist_plain6_cycle")
            page.wait_for_function(ANSWERED, arg=turn, timeout=60_000)
            control.press(" ")
        page.evaluate(CLOCK)
        load, before = os.getloadavg()[0], worked(session, lab)
        times = timed(page, explorer, control, moves)
        cpu = round((worked(session, lab) - before) / moves)
        rows.append((name, slider, moves, "median_ms", round(statistics.median(times)), limit, cpu, load))
    with Path(os.environ["MEASURE"]).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(COLUMNS)
    record(browser, rows)


@measured
def test_what_500_moves_leave_behind_is_measured(lab, browser, page):
    explorer = opened(lab, page, "bounds")
    page.evaluate(CLOCK)
    control, load = explorer.locator("input[data-name=gamma]"), os.getloadavg()[0]
    timed(page, explorer, control, 100)  # to warm up
    before = heaps(page, lab)
    timed(page, explorer, control, 500)
    grown = [round(100 * (new / old - 1), 1) for old, new in zip(before, heaps(page, lab), strict=True)]
    what = ("page_memory_growth_percent", "kernel_memory_growth_percent")
    record(browser, [("bounds", "gamma", 500, w, value, 5, "", load) for w, value in zip(what, grown, strict=True)])


def first(lab, page, book, drawn):
    """Milliseconds from Run All to a notebook's first picture; its kernel is gone afterwards."""
    lab.open(page, book)
    began = lab.press_run_all(page)
    page.locator(drawn).first.wait_for(state="attached", timeout=120_000)
    seconds = time.perf_counter() - began
    lab.shut(page)
    return round(1000 * seconds)


def record(browser, rows):
    with Path(os.environ["MEASURE"]).open("a", newline="") as file:
        about = (os.cpu_count(), f"Chromium {browser.version}")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([*row[:-1], f"{row[-1]:.1f}", *about] for row in rows)


def timed(page, explorer, control, moves):
    """Milliseconds of each move from the key to the painted frame; the slider turns back at its ends."""
    page.evaluate("window.wbTimes = []")
    key = "ArrowRight"
    for move in range(moves):
        at_end = "ArrowLeft" if key == "ArrowRight" else "ArrowRight"
        end = "e => e.value === e.max" if key == "ArrowRight" else "e => e.value === e.min"
        key = at_end if control.evaluate(end) else key
        control.focus()
        page.keyboard.press(key)
        page.wait_for_function("n => window.wbTimes.length > n", arg=move, timeout=30_000)
    return page.evaluate("window.wbTimes")


def worked(session, lab):
    """Milliseconds of processor time that the newest kernel and the page's own thread have had."""
    found = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    used = kernel(lab).cpu_times()
    return 1000 * (found["TaskDuration"] + used.user + used.system)


def heaps(page, lab):
    """Bytes that the page's objects and the newest kernel hold, after collecting what is free."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return used, kernel(lab).memory_info().rss


def kernel(lab):
    children = psutil.Process(lab.process.pid).children(recursive=True)
    kernels = [child for child in children if "ipykernel_launcher" in " ".join(child.cmdline())]
    return max(kernels, key=psutil.Process.create_time)
