"""The explorers as an app: an index with pictures, dark on a dark system, addresses that open a state."""

import os
import re
import secrets
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from browser.conftest import _free_port

from workbench.notebook.explorers import EXPLORERS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # playwright's own warnings
GROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The address of a running app, and its token."""
    pytest.importorskip("voila")
    root, token, port = tmp_path_factory.mktemp("app"), secrets.token_hex(16), _free_port()
    names = ("CONFIG", "DATA", "RUNTIME")
    places = {f"JUPYTER_{name}_DIR": str(root / name.lower()) for name in names}
    env = {**os.environ, **places, "WORKBENCH_RESULTS": str(root / "results")}
    command = [sys.executable, "-m", "workbench.notebook.app", f"--port={port}", f"--token={token}", "--no-browser"]
    with (root / "log").open("w") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(450):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/?token={token}", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (root / "log").read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", token
    finally:
        process.terminate()
        process.wait(20)


def test_the_app_shows_its_explorers_in_the_colours_of_the_system(app, browser, tmp_path):
    folder = Path(os.environ.get("PICTURES", tmp_path))
    url, token = app
    page = browser.new_page(color_scheme="dark", viewport={"width": 1024, "height": 768})
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.goto(f"{url}/?token={token}")
    cards = page.locator("li a")
    assert cards.locator("h2").all_inner_texts() == [known.title for known in EXPLORERS.values()]
    drawn = "[...document.images].map(image => image.complete && image.naturalWidth > 300)"
    page.wait_for_function(f"{drawn}.every(Boolean)")
    assert len(page.evaluate(drawn)) == len(EXPLORERS)
    assert dark(page.evaluate(GROUND))
    page.screenshot(path=folder / "app_dark.png")
    page.goto(f"{url}/voila/render/explore_architecture.ipynb#depth=3")
    page.wait_for_selector(".wb-explorer[data-turn]", timeout=120_000)
    page.get_by_label("Depth, exact").wait_for()
    assert page.get_by_label("Depth, exact").input_value() == "3"
    assert "depth=3" in page.url
    assert dark(page.evaluate(GROUND))
    assert not dark(page.locator(".wb-explorer").evaluate("e => getComputedStyle(e).color"))
    page.wait_for_timeout(500)
    page.screenshot(path=folder / "app_explorer_dark.png")
    assert "Run All Cells" not in page.locator("body").inner_text()
    page.emulate_media(color_scheme="light")
    assert not dark(page.evaluate(GROUND))
    page.get_by_role("link", name="All explorers").click()
    cards.first.wait_for()
    assert complaints == []
    page.close()


def test_nobody_is_served_without_the_token(app):
    with urllib.request.urlopen(f"{app[0]}/voila/tree/") as answer:
        assert "/login?" in answer.url


def dark(colour):
    red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
    return red + green + blue < 200
