"""Notebooks as a person meets them: opened in JupyterLab in a browser, run, looked at in light and dark."""

import os
import time
from pathlib import Path

import pytest
from browser.looks import pictured

CASES = [("00_tour", "Light"), ("fig4_adding", "Dark"), ("table2_pixels", "Light")]
if "PICTURES" in os.environ:
    CASES = [(name, theme) for name, _ in CASES for theme in ("Light", "Dark")]
IDLE = "document.querySelector('#jp-main-statusbar')?.textContent.includes('| Idle')"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # playwright's own
@pytest.mark.parametrize(("name", "theme"), CASES)
def test_after_run_all_the_reader_stands_at_a_picture_of_published_records_in_the_browser(lab, browser, name, theme):
    page = browser.new_page(viewport={"width": 1280, "height": 900}, device_scale_factor=1)
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    lab.theme(page, f"JupyterLab {theme}")
    lab.open(page, name)
    page.wait_for_function(f"document.body.dataset.jpThemeLight === '{str(theme == 'Light').lower()}'", timeout=20_000)
    began = lab.press_run_all(page)
    figure = page.locator(".js-plotly-plot").first
    figure.locator(".main-svg").first.wait_for(state="attached", timeout=120_000)
    print(f"{name}: first figure after {time.perf_counter() - began:.1f} s")
    page.wait_for_function(IDLE, timeout=120_000)
    page.wait_for_function(VISIBLE, arg=0.9, timeout=30_000)
    page.wait_for_timeout(1_000)
    assert page.evaluate(VISIBLE, 0.9), "it stays there"
    if "PICTURES" in os.environ:
        pictured(page, Path(os.environ["PICTURES"]) / f"{name}_{theme.lower()}.png")
    errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
    assert errors.count() == 0, errors.first.inner_text()
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert not complaints
    box, output = figure.bounding_box(), page.locator(".jp-OutputArea-output").first.bounding_box()
    assert box["width"] > 0.7 * output["width"], "a figure fills the width it is given"
    background = figure.locator(".main-svg").first.evaluate("e => getComputedStyle(e).backgroundColor")
    assert background == "rgba(0, 0, 0, 0)", "a figure takes the theme's background"
    ink = figure.locator("text.ytitle").first.evaluate("e => getComputedStyle(e).fill")
    words = page.locator(".jp-RenderedMarkdown p").first.evaluate("e => getComputedStyle(e).color")
    assert ink == words, "a figure's words have the ink of the page"
    if name != "00_tour":
        said = page.locator("p", has_text="Shown:").first.inner_text()
        assert "published record" in said
        assert "none of your own" in said
        assert page.get_by_role("button", name="Train").count() == 1
    page.evaluate("window.onbeforeunload = null")
    page.close()


VISIBLE = """least => {
  const box = document.querySelector(".js-plotly-plot").getBoundingClientRect();
  const frame = document.querySelector(".jp-Notebook").getBoundingClientRect();
  const seen = Math.min(box.bottom, frame.bottom) - Math.max(box.top, frame.top);
  return seen >= least * Math.min(box.height, frame.height);
}"""


def test_the_server_answers_nobody_without_its_token(lab):
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{lab.url}/api/contents")
    assert refused.value.code == 403
    refused.value.close()
