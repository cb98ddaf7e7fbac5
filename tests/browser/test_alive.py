"""Pages that compute: whatever their controls say, sentence, words and figures are those of the explorer's own view."""

import json
import math
import random
import re
import shlex

import pytest

from workbench.notebook.explorers import EXPLORERS, depth, length
from workbench.notebook.explorers.base import panels, parameters
from workbench.notebook.site import static_page

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # playwright's own warnings
NAMES = ("bounds", "depth", "length", "neurons", "architecture", "digit")
CLOSE = {"neurons": 1e-3, "digit": 1e-3}  # nets that the browser runs in its own order of sums; else a millionth
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
PLACES = {"neurons": 4, "architecture": 16}  # else 8
EDGES = {
    "neurons": [{"layer": 2, "neuron": 5, "above": 0.95, "silent": True}, {"layer": 2, "above": 0.3}],
    "bounds": [{"steps": 10, "gamma": 100.0, "epsilon": 0.001}],
}
DRAWN = ["30,20 70,20; 50,20 50,80", "90,90", ""]  # drawings that are not ready made


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


def placed(content, alive, chance):
    """Values of all controls, drawn from those that a page offers."""
    key = chance.choice(sorted(alive["controls"]))
    values = dict(zip(alive["leading"], key.split(","), strict=False))
    for spec in alive["controls"][key]:
        name, drawings = spec["name"], [drawn for _, drawn in spec.get("ready", ())]
        offered = {"slider": spec.get("stops"), "choice": [value for value, _ in spec.get("options", ())]}
        offered = (offered | {"switch": [False, True], "drawing": [*drawings, *DRAWN]})[spec["kind"]]
        if name in values:
            values[name] = next(value for value in offered if str(value) == values[name])
        else:
            values[name] = chance.choice([*offered, None] if spec.get("rest") is not None else offered)
    return content.settle(values)


def alike(ours, theirs, close):
    """Test whether two sentences are the same but for the last digit of a number that is rounded."""
    numbers = zip(*(map(float, NUMBER.findall(text)) for text in (ours, theirs)), strict=False)
    near = close <= 1e-6 or all(math.isclose(*pair, rel_tol=1.1e-2, abs_tol=1e-3) for pair in numbers)
    return ours == theirs if close <= 1e-6 else near and NUMBER.sub("#", ours) == NUMBER.sub("#", theirs)


def unlike(ours, theirs, close=1e-6, at=""):
    """The places where two figures differ: numbers by more than is `close`, anything else at all."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = sorted({*ours, *theirs})
        return [found for key in keys for found in unlike(ours.get(key), theirs.get(key), close, f"{at}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [found for i, pair in pairs for found in unlike(*pair, close, f"{at}[{i}]")]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (ours, theirs))
    least = 1e-9 if close <= 1e-6 else 1e-4
    same = math.isclose(ours, theirs, rel_tol=close, abs_tol=least) if numbers else ours == theirs
    return [] if same else [f"{at}: {ours!r} is not {theirs!r}"]


@pytest.fixture
def computed(browser, tmp_path, content):
    """computed(name, values): what the explorer's page makes of these values."""
    pages = {}

    def ask(name, values, what="values => workbenchModel.compute(values)"):
        if name not in pages:
            path = tmp_path / f"{name}.html"
            path.write_bytes(static_page.page(content(name), {}))
            pages[name] = browser.new_page()
            pages[name].goto(path.as_uri(), timeout=60_000)
            pages[name].wait_for_selector(".wb-explorer[data-drawn]", timeout=60_000)
        return pages[name].evaluate(what, values)

    yield ask
    for page in pages.values():
        page.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_computes_what_the_explorer_shows(content, computed, name):
    chance, close, alive = random.Random(0), CLOSE.get(name, 1e-6), content(name).alive()
    drawn = [placed(content(name), alive, chance) for _ in range(PLACES.get(name, 8))]
    for values in [*drawn, *(content(name).settle(values) for values in EDGES.get(name, ()))]:
        found, view = computed(name, values), content(name).view(**values)
        assert alike(found["said"], view.said, close), (values, found["said"], view.said)
        ours = {panel.pop("name"): panel for panel in found["panels"]}
        theirs = {panel.pop("name"): panel for panel in panels(view)}
        assert list(ours) == list(theirs), values
        for panel in theirs:
            assert alike(ours[panel]["alt"], theirs[panel]["alt"], close), (values, panel)
            figures = (json.loads(side[panel]["figure"]) for side in (ours, theirs))
            assert unlike(*figures, close) == [], (panel, values)


@pytest.mark.parametrize("name", NAMES)
def test_all_controls_of_such_a_page_answer_and_its_exercises_stand_where_it_can(content, name):
    page = content(name).alive()
    assert {control["name"] for control in next(iter(page["controls"].values()))} == set(content(name).at({}))
    for exercise in content(name).exercises:
        values = content(name).settle(exercise.values)
        place = ",".join(str(values[name]) for name in page["leading"])
        told = [control for control in page["controls"].get(place, ()) if control["name"] in exercise.values]
        sliders = [control for control in told if control["kind"] == "slider"]
        assert [s["name"] for s in sliders if values[s["name"]] not in s["stops"]] == [], exercise.label


def test_a_difference_is_seen():
    assert unlike({"a": [1.0, "x"]}, {"a": [1.0000001, "x"]}) == []
    assert len(unlike({"a": [1.0, "x"], "b": 1}, {"a": [1.1, "y"], "c": True})) == 4


def test_a_page_of_depth_without_a_net_says_so(content, computed):
    found = computed("depth", content("depth").settle(dict.fromkeys(depth.KINDS, False)))
    assert found["said"] == "No net is shown."
    assert all(panel["alt"] for panel in found["panels"])


def test_an_empty_drawing_is_copied_as_one(content, computed):
    values = content("digit").settle({"strokes": "", "permuted": True})
    ask = "async values => { Object.assign(workbenchModel.wanted, values); await workbenchModel.pick(); "
    ask += "return workbenchModel.frame; }"
    copied = computed("digit", values, ask)["parameters"]
    assert shlex.split(copied) == shlex.split(parameters(content("digit"), values))
