"""Pages that compute: whatever their controls say, sentence, words and figures are those of the explorer's own view."""

import json
import math
import random

import pytest

from workbench.notebook.explorers import EXPLORERS, depth, length
from workbench.notebook.explorers.base import panels
from workbench.notebook.explorers.bounds import offered
from workbench.notebook.site import static_page

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # playwright's own warnings
NAMES = ("bounds", "depth", "length")


@pytest.fixture(scope="module")
def content():
    """content(name): an explorer, the same one for its page and for what is expected of it: it measures times.

    With fewer places of the controls whose frames a page begins from.
    """
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depth, "DEPTHS", (1, 8, 24))
        patch.setattr(length, "LENGTHS", {"adding": (10, 50, 100, 1000, 2000), "digits": (64, 128)})
        yield lambda name: made.setdefault(name, EXPLORERS[name]())


def placed(content, chance):
    """Values of all controls, drawn from those that a page offers."""
    values = {}
    for name in content.at({}):
        values[name] = chance.choice(offered(content.at(values)[name]).positions())
    return values


def unlike(ours, theirs, at=""):
    """The places where two figures differ: numbers by more than a millionth, anything else at all."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = sorted({*ours, *theirs})
        return [found for key in keys for found in unlike(ours.get(key), theirs.get(key), f"{at}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [found for i, pair in enumerate(zip(ours, theirs, strict=True)) for found in unlike(*pair, f"{at}[{i}]")]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (ours, theirs))
    same = math.isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-9) if numbers else ours == theirs
    return [] if same else [f"{at}: {ours!r} is not {theirs!r}"]


@pytest.fixture
def computed(browser, tmp_path, content):
    """computed(name, values): what the explorer's page makes of these values."""
    pages = {}

    def ask(name, values):
        if name not in pages:
            path = tmp_path / f"{name}.html"
            path.write_bytes(static_page.page(content(name), {}))
            pages[name] = browser.new_page()
            pages[name].goto(path.as_uri())
            pages[name].wait_for_selector(".wb-explorer[data-drawn]", timeout=60_000)
        return pages[name].evaluate("values => workbenchModel.compute(values)", values)

    yield ask
    for page in pages.values():
        page.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_computes_what_the_explorer_shows(content, computed, name):
    chance = random.Random(0)
    for _ in range(12):
        values = placed(content(name), chance)
        found, view = computed(name, values), content(name).view(**values)
        assert found["said"] == view.said, values
        ours = {panel.pop("name"): panel for panel in found["panels"]}
        theirs = {panel.pop("name"): panel for panel in panels(view)}
        assert list(ours) == list(theirs), values
        for panel in theirs:
            assert ours[panel]["alt"] == theirs[panel]["alt"], values
            figures = (json.loads(side[panel]["figure"]) for side in (ours, theirs))
            assert unlike(*figures) == [], (panel, values)


@pytest.mark.parametrize("name", NAMES)
def test_all_controls_of_such_a_page_answer_and_its_exercises_stand_where_it_can(content, name):
    page = content(name).alive()
    assert {control["name"] for control in next(iter(page["controls"].values()))} == set(content(name).at({}))
    for exercise in content(name).exercises:
        values = content(name).settle(exercise.values)
        place = ",".join(str(values[name]) for name in page["leading"])
        sliders = [control for control in page["controls"][place] if control["kind"] == "slider"]
        assert [s["name"] for s in sliders if values[s["name"]] not in s["stops"]] == [], exercise.label


def test_a_difference_is_seen():
    assert unlike({"a": [1.0, "x"]}, {"a": [1.0000001, "x"]}) == []
    assert len(unlike({"a": [1.0, "x"], "b": 1}, {"a": [1.1, "y"], "c": True})) == 4
