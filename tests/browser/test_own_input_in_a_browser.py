"""A reader draws and writes, by mouse, finger and keys, in a browser over the explorer itself."""

import itertools
import json

import pytest
from plotly.offline import get_plotlyjs

from workbench.notebook.explorers import EXPLORERS, Explorer
from workbench.notebook.explorers.base import HERE, script

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # playwright's own warnings
STATE = "title look controls values panels said complaints work exercises presets see app answered".split()
PAGE = """<!doctype html><meta charset="utf-8"><style>:root { color-scheme: light dark; }
body { background: Canvas; color: CanvasText; } %s</style><main id="explorer"></main><script type="module">
%s
class Model {
  heard = {};
  constructor(state) { this.state = state; }
  get(name) { return this.state[name]; }
  on(event, listener) { (this.heard[event] ??= []).push(listener); }
  off() {}
  async send(message) {
    Object.assign(this.state, JSON.parse(await kernel(message)));
    for (const name in this.state) for (const listener of this.heard[`change:${name}`] ?? []) listener();
  }
}
globalThis.workbenchPlotly = new Promise((resolve) => (globalThis.arrived = () => resolve(Plotly)));
render({ model: new Model(%s), el: document.getElementById("explorer") });
</script>"""


@pytest.fixture
def live(browser, tmp_path, monkeypatch):
    """live(name, values, **how): (page, explorer), the explorer answering the page as a kernel would."""
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path))
    opened = []

    def show(name, values=None, **how):
        explorer = Explorer(EXPLORERS[name](), **(values or {}))
        explorer.send = lambda *_: None

        def state():
            return json.dumps({known: getattr(explorer, known) for known in STATE})

        def kernel(message):
            explorer._received(None, message, [])
            return state()

        page = browser.new_page(**{"viewport": {"width": 1200, "height": 1600}, **how})
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.expose_function("kernel", kernel)
        page.goto("about:blank")
        code = script().replace("export default { render };", "")
        text = PAGE % ((HERE / "panel.css").read_text(), code, state())
        page.set_content(text)
        page.add_script_tag(content=get_plotlyjs())
        page.evaluate("arrived()")
        page.wait_for_selector(".wb-explorer[data-drawn]", timeout=60_000)
        opened.append(page)
        return page, explorer

    yield show
    for page in opened:
        assert page.complaints == []
        page.close()


SEVEN = ((30, 22), (68, 22), (44, 82))


def middle(page, selector):
    page.locator(selector).first.scroll_into_view_if_needed()
    return page.locator(selector).first.bounding_box()


def at(box, point):
    return box["x"] + point[0] / 100 * box["width"], box["y"] + point[1] / 100 * box["height"]


def answered(page, before):
    """The sentence once it is another, and nothing is on its way."""
    page.wait_for_function("before => document.querySelector('.wb-said').textContent !== before", arg=before)
    page.wait_for_function("document.querySelector('.wb-explorer').dataset.waiting !== 'true'")
    return page.locator(".wb-said").inner_text()


def until(page, holds):
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it did not come to hold in 10 seconds")


def near(drawn, expected):
    """The corners of one stroke, as they were put."""
    (stroke,) = drawn.split("; ")
    points = [tuple(map(int, point.split(","))) for point in stroke.split()]
    for x, y in expected:
        assert min(max(abs(x - to), abs(y - down)) for to, down in points) <= 2, (x, y, points)


def test_a_digit_drawn_by_mouse_is_read(live):
    page, explorer = live("digit")
    page.get_by_role("button", name="Clear the drawing").click()
    until(page, lambda: explorer.values["strokes"] == "")
    before = page.locator(".wb-said").inner_text()
    box = middle(page, ".wb-canvas")
    page.mouse.move(*at(box, SEVEN[0]))
    page.mouse.down()
    for corner in SEVEN[1:]:
        page.mouse.move(*at(box, corner), steps=6)
    page.mouse.up()
    until(page, lambda: explorer.values["strokes"].endswith("44,82"))
    near(explorer.values["strokes"], SEVEN)
    assert "it reads 7" in answered(page, before)
    page.get_by_role("button", name="Take the last line back").click()
    until(page, lambda: explorer.values["strokes"] == "")
    page.get_by_role("button", name="Undo", exact=True).click()
    until(page, lambda: explorer.values["strokes"])


def test_a_digit_drawn_by_finger_is_read_and_the_page_stays(live):
    page, explorer = live("digit", {"strokes": ""}, has_touch=True, viewport={"width": 390, "height": 844})
    before = page.locator(".wb-said").inner_text()
    box, top = middle(page, ".wb-canvas"), page.evaluate("scrollY")
    touch = page.context.new_cdp_session(page)

    def send(kind, *points):
        fingers = [dict(zip("xy", at(box, point), strict=True)) for point in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    send("touchStart", SEVEN[0])
    for (x0, y0), (x1, y1) in itertools.pairwise(SEVEN):
        for part in range(1, 7):
            send("touchMove", (x0 + (x1 - x0) * part / 6, y0 + (y1 - y0) * part / 6))
    send("touchEnd")
    until(page, lambda: explorer.values["strokes"].endswith("44,82"))
    near(explorer.values["strokes"], SEVEN)
    assert "it reads 7" in answered(page, before)
    assert page.evaluate("scrollY") == top, "drawing does not scroll the page"


def test_a_digit_drawn_by_keys_is_read(live):
    """The pen starts at 50,30: four steps left, then down with the pen: across and down."""
    page, explorer = live("digit", {"strokes": ""})
    before = page.locator(".wb-said").inner_text()
    page.locator(".wb-canvas").focus()
    for key, times in (("ArrowLeft", 5), ("ArrowUp", 2), (" ", 1), ("ArrowRight", 9), ("ArrowDown", 1)):
        for _ in range(times):
            page.keyboard.press(key)
    for _ in range(7):
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    until(page, lambda: explorer.values["strokes"].endswith("38,82"))
    near(explorer.values["strokes"], ((30, 22), (66, 22), (38, 82)))
    assert "it reads 7" in answered(page, before)
    page.keyboard.press("Backspace")
    until(page, lambda: explorer.values["strokes"] == "")


def test_a_pen_that_is_left_down_does_not_hide_what_is_chosen_elsewhere(live):
    page, explorer = live("digit")
    begun = explorer.values["strokes"]
    page.locator(".wb-canvas").focus()
    for key in (" ", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    until(page, lambda: explorer.values["strokes"].endswith("; 50,30 54,30 58,30"))
    page.get_by_role("button", name="Reset", exact=True).click()
    until(page, lambda: explorer.values["strokes"] == begun)
    page.get_by_role("button", name="Take the last line back").click()
    until(page, lambda: explorer.values["strokes"] == "")


def test_a_palm_and_the_other_button_draw_nothing(live):
    page, explorer = live("digit", {"strokes": ""}, has_touch=True)
    box = middle(page, ".wb-canvas")
    page.mouse.click(*at(box, (20, 20)), button="right")
    touch = page.context.new_cdp_session(page)
    for kind, points in (
        ("touchStart", [(30, 22)]),
        ("touchMove", [(50, 22)]),
        ("touchStart", [(50, 22), (90, 90)]),
        ("touchMove", [(68, 22), (80, 90)]),
        ("touchEnd", []),
    ):
        fingers = [dict(zip("xy", at(box, p), strict=True), id=n) for n, p in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    until(page, lambda: explorer.values["strokes"].endswith("68,22"))
    near(explorer.values["strokes"], ((30, 22), (68, 22)))
    assert "90" not in explorer.values["strokes"]


def test_a_pixel_that_is_hovered_is_marked_in_every_figure(live):
    page, _ = live("digit")
    box = middle(page, ".wb-plot .heatmaplayer")
    page.mouse.move(box["x"] + box["width"] * 2.5 / 8, box["y"] + box["height"] * 1.5 / 8, steps=3)
    page.locator(".wb-mark").nth(2).wait_for(timeout=5_000)
    assert {mark.get_attribute("data-value") for mark in page.locator(".wb-mark").all()} == {"11"}
    figures = page.locator(".wb-panel").filter(has=page.locator(".wb-mark"))
    assert figures.count() == 3, "the image, the answer forming, the neurons"
    ring = page.locator(".wb-mark").first.bounding_box()
    assert ring["x"] == pytest.approx(box["x"] + box["width"] * 2 / 8, abs=3)
    assert ring["width"] == pytest.approx(box["width"] / 8, abs=3)


INK = """() => { // of the drawing, where its line begins
  const canvas = document.querySelector('.wb-canvas');
  return [...canvas.getContext('2d').getImageData(0.58 * canvas.width, 0.18 * canvas.height, 1, 1).data].join();
}"""


def test_a_drawing_takes_the_ink_of_a_theme_that_is_changed(live):
    page, _ = live("digit", color_scheme="light")
    page.wait_for_function(f"({INK})() === '0,0,0,255'")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"({INK})() === '255,255,255,255'")


def test_a_sentence_is_typed_and_a_character_lights_what_it_depends_on(live):
    page, explorer = live("sentence")
    before = page.locator(".wb-said").inner_text()
    page.get_by_label("Write a sentence").fill("the bank")
    assert "After “the bank” it expects" in answered(page, before)
    page.get_by_label("Write a sentence").fill("größe")
    page.locator(".wb-complaint", has_text="which the net has never read").wait_for()
    page.get_by_label("Write a sentence").fill("the bank of")
    page.locator(".wb-said", has_text="After “the bank of” it expects").wait_for()
    box = middle(page, ".wb-panel .nsewdrag")
    page.mouse.move(box["x"] + box["width"] * 7.6 / 11.2, box["y"] + box["height"] / 2, steps=3)
    page.locator(".wb-light").nth(7).wait_for(timeout=5_000)
    assert page.locator(".wb-light").count() == 8, "the eighth character and the seven before it"
    parts = [float(light.get_attribute("data-part")) for light in page.locator(".wb-light").all()]
    shown = explorer.shown.panels["painting"].picture.data[0]["meta"]["depends"][7]
    assert parts == pytest.approx(shown, rel=0.02)
