"""Every explorer without a browser: each control is turned, each view holds what it says."""

import math
import threading
from collections import Counter

import numpy as np
import pytest
import torch

from workbench import files
from workbench.config import run_id
from workbench.config.frozen import Frozen
from workbench.errors import MissingData, ParameterError
from workbench.models import diagram
from workbench.notebook.explorers import (
    EXPLORERS,
    Explorer,
    bounds,
    depth,
    edits,
    length,
    loaded,
    sentence,
    trained_nets,
)
from workbench.notebook.explorers.base import Choice, ExplorerBase, Slider, Switch, panels
from workbench.runs import folder as disk_store
from workbench.runs.jobs import notebook_parameters
from workbench.runs.record import Record
from workbench.tasks import download, spec


def another(control, value):
    """A value of a control that is not the present one, a small step away."""
    if isinstance(control, Switch):
        return not value
    choices = [choice for choice in control.positions() if choice is not None]
    near = (
        min(range(len(choices)), key=lambda i: abs(choices[i] - (control.rest if value is None else value)))
        if isinstance(control, Slider)
        else 0
    )
    others = [c for c in (choices[max(near - 1, 0)], choices[min(near + 1, len(choices) - 1)], *choices) if c != value]
    return others[0] if others else None


# What a control is for may need a trained net, or another control, to be seen.
UNSEEN = {("bounds", "moment"), ("bounds", "clamp"), ("depth", "trained"), ("neurons", "above"), ("neurons", "sort")}


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_changes_what_is_seen(opened, name):
    explorer = opened(name)
    for control in explorer.content.controls(explorer.values):
        before = (explorer.said, [s["figure"] for s in explorer.panels])
        value = another(control, explorer.values[control.name])
        if value is None:
            continue  # a choice of one
        explorer.set(**{control.name: value})
        assert explorer.values[control.name] == value
        seen = (explorer.said, [s["figure"] for s in explorer.panels])
        assert seen != before or (name, control.name) in UNSEEN, f"{control.name} changes nothing"
        explorer.reset()
        assert explorer.values == explorer.started


@pytest.mark.parametrize("name", EXPLORERS)
def test_controls_follow_from_the_leading_ones_alone(opened, name):
    content, values = opened(name).content, opened(name).values
    for changed in content.at(values).values():
        turned = {**values, changed.name: another(changed, values[changed.name])}
        same = content.controls(turned) == content.controls(values)
        assert same or changed.name in content.leading, f"{changed.name} leads"


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_move_makes_its_controls_a_few_times_and_a_config_for_each_net(opened, name, monkeypatch):
    explorer, made = opened(name), Counter()
    content = explorer.content
    controls, config = content.controls, Frozen.__init__
    controls_there = content.at(explorer.values)
    control = controls_there[next(iter(content.sweep or controls_there))]
    value = another(control, explorer.values[control.name])
    content.forget()  # as `opened` left it

    def counted(self, **values):
        made[type(self).__name__] += 1
        config(self, **values)

    monkeypatch.setattr(content, "controls", lambda values: made.update(["controls"]) or controls(values))
    monkeypatch.setattr(Frozen, "__init__", counted)
    explorer.set(**{control.name: value})
    assert made.pop("controls") <= 1 + 2 * len(content.leading)  # for the value before and the one after
    assert made["Config"] <= len(depth.KINDS)


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_picture_is_valid_labelled_and_described(opened, name):
    """plotly itself checks every property; every axis that is drawn has a label; every figure has its words."""
    explorer = opened(name)
    for panel in explorer.shown.panels.values():
        figure = panel.picture.figure()
        assert panel.alt.strip()
        layout = figure.to_plotly_json()["layout"]
        titles = [v.get("title", {}).get("text") for k, v in layout.items() if k.startswith(("xaxis", "yaxis"))]
        assert any(titles), "no axis has a label"
        assert layout["paper_bgcolor"] == "rgba(0,0,0,0)"
    assert explorer.look
    assert explorer.said


@pytest.mark.parametrize("name", EXPLORERS)
def test_what_is_copied_opens_the_same_view_and_fits_the_notebook(opened, name):
    explorer = opened(name)
    call = explorer.code()
    assert call.startswith(f"wb.explore_{name}(")
    again = eval(call.replace(f"wb.explore_{name}(", "opened(name, "), {"opened": opened, "name": name})
    assert again.values == explorer.values
    words = explorer.parameters().split(" -p ")
    given = dict(word.split(" ", 1) for word in words[1:])
    book = notebook_parameters.find(f"explore_{name}")
    known = notebook_parameters.parameters(book)
    assert set(given) == set(known) - {"notebook", "budget", "device"}
    for parameter, value in explorer.values.items():
        assert type(value) is known[parameter].type or value is known[parameter].default is None, parameter
    first = {n: known[n].default for n in given}
    assert Explorer(EXPLORERS[name]("smoke"), **first).values == first


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_wrong_value_is_said_beside_its_control_and_changes_nothing(opened, name):
    explorer = opened(name)
    sliders = [c for c in explorer.content.controls(explorer.values) if isinstance(c, Slider)]
    slider = min(sliders, key=lambda slider: slider.rest is not None)  # one at rest takes None
    values, figures = dict(explorer.values), explorer.panels
    for wrong in ("many", 1e12, -1e12, math.nan, True, *([] if slider.rest is not None else [None])):
        explorer._received(None, {"do": "set", "values": {slider.name: wrong}, "page": "p", "turn": 1}, [])
        assert slider.name in explorer.complaints[slider.name]
        assert explorer.values == values
        assert explorer.panels == figures
        assert explorer.answered == {"page": "p", "turn": 1}
    explorer._received(None, {"do": "reset", "page": "p", "turn": 2}, [])
    assert explorer.complaints == {}
    with pytest.raises(ParameterError, match=slider.name):
        explorer.set(**{slider.name: "many"})
    with pytest.raises(ParameterError, match="no such control"):
        explorer.set(nothing=1)
    with pytest.raises(ParameterError, match=slider.name):
        opened(name, **{slider.name: 1e12})


def test_work_runs_in_a_thread_stops_and_resumes_where_it_stopped(opened):
    """The record from before Stop is there after a new kernel opens the explorer, and training goes on from it."""
    explorer = opened("length", goal=600, steps=20, lstm=False)
    assert explorer.work["label"] == "Train live"
    moved = threading.Event()
    told = explorer.content.view

    def view(**values):
        if length.evaluations(length.config("adding", 20, "plain"), 0):
            moved.set()
        return told(**values)

    explorer.content.view = view
    explorer.start()
    assert moved.wait(60)
    explorer.set(irnn=True)  # the main thread is free meanwhile
    explorer.set(irnn=False)
    explorer.stop()
    explorer.wait(60)
    assert not explorer.busy
    assert explorer.work["label"] == "Resume training"
    assert "stopped" in explorer.work["said"]
    rows = trained_nets.evaluations(length.config("adding", 20, "plain"), 0)
    assert rows
    assert rows[-1]["step"] < 600
    again = opened("length", goal=600, steps=20, lstm=False)
    assert again.work["label"] == "Resume training"
    assert f"step {rows[-1]['step']:,} of 600" in again.said
    assert list(again.figures["learning"].data[0].x) == [row["step"] for row in rows]
    again.start()
    again.wait(120)
    assert again.work["label"] == ""
    assert again.figures["learning"].data[0].x[-1] == 600


def test_a_failure_of_long_work_is_said(opened):
    explorer = opened("length", goal=20, steps=10, lstm=False)
    net = next(iter(explorer.content.nets("adding", 10, 20, False, False).values()))
    object.__setattr__(net, "train", None)
    explorer.content.nets = lambda *_: {"plain": net}
    explorer.redraw()
    explorer.start()
    explorer.wait(30)
    assert explorer.work["said"].startswith("failed: TypeError")


def test_a_content_trains_its_nets_and_shows_them(opened):
    explorer = opened("depth", depth=2, dense=False, lstm=False, rnn_tanh=False)
    assert "not trained yet" in explorer.shown.panels["costs"].picture.json()
    fresh = explorer.panels[0]["figure"]
    explorer.start()
    explorer.wait(120)
    assert explorer.work["said"] == "done"
    assert explorer.work["label"] == ""
    assert "not trained yet" not in explorer.shown.panels["costs"].picture.json()
    explorer.set(trained=True)
    assert explorer.panels[0]["figure"] != fresh


def test_a_click_chooses_the_neuron(opened):
    explorer = opened("neurons")
    message = {"do": "click", "figure": "roll", "point": {"x": 3, "y": 0.5, "trace": "all", "customdata": 5}}
    explorer.send = lambda *_: None
    explorer._received(None, message, [])
    assert explorer.values["neuron"] == 5
    explorer._received(None, {**message, "point": {"x": 3, "y": 0.5, "trace": "given"}}, [])
    assert explorer.values["neuron"] == 5


@pytest.fixture
def treebank(tmp_path, monkeypatch):
    """A treebank of our own with 50 characters."""
    letters = "".join(chr(number) for number in range(ord("a"), ord("a") + 26)) + "0123456789.,$#&'*-/<>\\"
    folder = tmp_path / "ptb"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"ptb.{split}.txt").write_text(f" {letters} and so on for more than fifty of them \n" * 8)
    locate = download.locate
    monkeypatch.setattr(download, "locate", lambda name, **ways: folder if name == "ptb" else locate(name, **ways))
    asked = (trained_nets._batch, loaded.symbols, trained_nets._net, trained_nets._answers)
    remembered = (*asked, edits.effect, edits.looked, edits.painted, sentence.read)
    for known in remembered:
        known.cache_clear()
    yield letters
    for known in remembered:
        known.cache_clear()


def test_a_sentence_is_read_where_the_treebank_is_at_hand(opened, treebank):
    explorer = opened("neurons", record="sentences", example=2)
    assert set(explorer.figures) == {"roll", "effect", "impulse", "trace", "painting", "surprise"}
    read, told = (explorer.figures[name].layout.xaxis.ticktext for name in ("painting", "surprise"))
    assert read[:3] == ("¶", "a", "b"), "a line is read from its beginning"
    assert told[:3] == ("a", "b", "c")
    bits = explorer.figures["surprise"].data[0].y
    assert sum(bits) / len(bits) == pytest.approx(math.log2(50), abs=0.2), "a net that knows nothing"
    assert f"{treebank[:20]}" in explorer.shown.panels["surprise"].alt
    fresh = [panel["figure"] for panel in explorer.panels]
    explorer.set(silent=True)
    assert [panel["figure"] for panel in explorer.panels] != fresh
    assert len(explorer.figures["surprise"].data) == 2


def test_the_published_net_expects_what_is_read(real_data, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path))
    if not loaded.at_hand("ptb"):
        pytest.skip("WORKBENCH_DATA holds no Penn Treebank")
    explorer = Explorer(EXPLORERS["neurons"](), record="sentences")
    assert "published record" in explorer.said
    bits = explorer.figures["surprise"].data[0].y
    assert sum(bits) / len(bits) < 3


def test_without_the_treebank_the_digits_stay_and_it_is_said_how_to_get_it(opened, monkeypatch):
    monkeypatch.setattr(download, "locate", missing)
    record = next(control for control in opened("neurons").controls if control["name"] == "record")
    assert "sentences" not in dict(record["options"])
    assert "workbench data ptb" in record["help"]


def missing(name, **_):
    raise MissingData(f"{name}: nowhere")


def test_before_anything_is_trained_the_published_nets_are_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path))
    deep = Explorer(EXPLORERS["depth"](), depth=8)
    assert "not trained yet" not in deep.shown.panels["costs"].picture.json()
    before = deep.panels[0]["figure"]
    deep.set(trained=True)
    assert deep.panels[0]["figure"] != before
    assert "Not trained yet" not in deep.said
    long = Explorer(EXPLORERS["length"](), irnn=True)
    assert len(long.figures["learning"].data) == 3
    assert long.said.count("published record") == 3
    assert long.work["label"] == "Train live", "what is published can be trained here all the same"
    free = Explorer(EXPLORERS["bounds"](), clamp=False)
    assert "published record" in free.said
    assert dict(free.content.net_of("seqdigits_plain6", False).weights).keys() > {0}
    assert not list(tmp_path.iterdir()), "looking leaves nothing"


def test_the_published_nets_of_the_explorers_are_small_and_whole():
    folder = files.published() / "explorers" / "runs"
    found = [Record(run) for run in disk_store.find(folder, packs=True)]
    assert len(found) >= 20
    for record in found:
        assert run_id(record.config, record.seed, record.spec["data"]) == record.id
        assert record.run.load_checkpoint() is not None
        assert record.evaluations
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 1_500_000


def test_in_an_app_a_snapshot_says_where_it_belongs(opened, monkeypatch, capsys):
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5")
    explorer = opened("bounds")
    assert explorer.app, "its page's address is its own"
    explorer.snapshot()
    assert capsys.readouterr().out.count("IPython.core.display.HTML") == 1


def test_a_value_that_a_new_net_does_not_allow_starts_anew():
    class Two(ExplorerBase):
        leading = ("net",)

        def controls(self, values):
            most = 3 if values.get("net", "small") == "small" else 9
            return [
                Choice("net", "Net", {"small": "small", "large": "large"}, "small"),
                Slider("n", "n", range(most), 0),
            ]

    assert Two().settle({"net": "large", "n": 7}) == {"net": "large", "n": 7}
    assert Two().settle({"net": "small", "n": 7}) == {"net": "small", "n": 0}


@pytest.mark.parametrize("kind", depth.KINDS)
@pytest.mark.parametrize("layers", [1, 5, 24])
def test_nets_of_the_depth_explorer_have_about_that_many_recurrent_layers(kind, layers):
    from workbench.analysis.interventions import recurrent
    from workbench.models import build
    from workbench.tasks import spec

    config = depth.config(kind, layers)
    found = len(recurrent(build(config.model, spec(config.task))))
    if kind in ("plain", "lstm", "rnn_tanh"):
        assert found == layers
    else:
        assert abs(found - max(layers, 4 if kind == "dense" else 3)) <= 1


def test_the_state_of_a_widget_is_small(opened):
    """A FigureWidget stores five megabytes each: ours draws with one copy of the library a page."""
    explorer = opened("bounds")
    state = explorer.get_state()
    state.pop("_esm"), state.pop("_css")
    assert len(str(state)) < 300_000
    assert len(bounds.funnel(784, 5.0, 0.1, (10, 100)).json()) < 5_000
    assert panels(explorer.shown) == explorer.panels


def test_memory_does_not_grow_with_moves(opened):
    """500 moves of a slider after 100 to warm up: at most 5 % more memory."""
    import psutil

    torch.set_num_threads(1)
    explorer = opened("bounds")

    def moves(count):
        for index in range(count):
            explorer.set(steps=10 + index % 90, gamma=1 + index % 7)

    moves(100)
    before = psutil.Process().memory_info().rss
    moves(500)
    assert psutil.Process().memory_info().rss < 1.05 * before


def test_what_the_exercises_of_architecture_say_to_see_is_there(opened):
    explorer = opened("architecture")
    parameters = explorer.content.config("seqmnist_plain6", None, None)

    def drawn(label):
        explorer.exercise(label)
        config = explorer.content.config(**explorer.values)
        return diagram.draw(config.model, spec(config.task))

    as_it_is = diagram.draw(parameters.model, spec(parameters.task))
    assert len([part for part in as_it_is.parts if part.kind == "indrnn"]) == 6
    assert {part.features for part in as_it_is.parts if part.kind == "indrnn"} == {128}
    assert drawn("Twice as deep").parameters / as_it_is.parameters == pytest.approx(2, rel=0.15)
    assert drawn("Twice as wide").parameters / as_it_is.parameters == pytest.approx(4, rel=0.15)
    assert {arc.kind for arc in drawn("A residual net").arcs} == {"sum"}
    assert {arc.kind for arc in drawn("A dense net").arcs} == {"block"}
    lstm = drawn("An LSTM")
    assert any("every neuron reads every other's past" in part.inside for part in lstm.parts)
    assert not any(part.kind == "indrnn" for part in lstm.parts)


def test_no_more_neurons_can_be_silenced_than_a_net_has(opened):
    explorer = opened("digit")
    hidden = explorer.content.net_of(explorer.values["record"]).config.model.hidden
    assert hidden < 16
    explorer.set(silent=hidden)
    with pytest.raises(ParameterError, match=f"0 to {hidden} is allowed"):
        explorer.set(silent=hidden + 1)


def test_a_comma_stands_between_thousands_alone():
    slider = Slider("n", "n", (1.0, 5000.0), 1.0)
    assert [slider.check(text) for text in ("1,500", "1.5", " 2 ")] == [1500, 1.5, 2]
    for wrong in ("1,5", "1,50", "1,5000"):
        with pytest.raises(ParameterError, match="is not a number"):
            slider.check(wrong)


def test_a_length_that_is_typed_becomes_the_one_that_is_read(opened):
    explorer = opened("length", task="digits", lstm=False)
    explorer.set(steps=100)
    assert explorer.values["steps"] == 128, "digits are read twice, not one and a half times"
    assert explorer.said.startswith("T = 128: ")
    assert list(explorer.figures["cost"].data[-1].x) == [128]


def test_where_no_net_is_shown_depth_says_so(opened):
    explorer = opened("depth", **dict.fromkeys(depth.KINDS, False))
    assert explorer.said == "No net is shown."
    assert all(panel.alt.strip() for panel in explorer.shown.panels.values())


def test_the_range_at_the_chosen_length_is_in_the_figure_wherever_it_ends():
    for steps, gamma, epsilon in ((10, 100.0, 0.001), (64, 5.0, 0.1), (1, 5.0, 0.1)):
        figure = bounds.funnel(steps, gamma, epsilon, (10, 100)).figure()
        low, high = figure.layout.yaxis.range
        assert low < min(figure.data[2].y) < max(figure.data[2].y) < high


def test_the_range_at_a_length_that_is_typed_ends_on_the_lines_beside_it(opened):
    upper, lower, marked = opened("bounds", steps=30).figures["funnel"].data
    for line, end in zip((lower, upper), sorted(marked.y), strict=True):
        assert np.interp(math.log10(30), np.log10(line.x), line.y) == pytest.approx(end, abs=1e-3)


def test_a_range_is_not_said_twice_where_it_is_that_of_the_net(opened):
    explorer = opened("bounds")
    assert explorer.said.count("must lie between") == 1
    explorer.set(steps=100)
    assert explorer.said.count("must lie between") == 2


def test_an_empty_drawing_is_said_to_be_one(opened):
    explorer = opened("digit", strokes="")
    assert explorer.said.startswith("Nothing is drawn yet. After 64 of 64 pixels it reads")
    explorer.set(strokes="20,50 80,50")
    assert explorer.said.startswith("After 64 of 64 pixels it reads")
