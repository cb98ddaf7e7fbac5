"""An explorer without a browser: what a page asks for, work in a thread, nets that are slow and nets of numbers."""

import base64
import gzip
import json
import threading
from contextlib import nullcontext

import ipywidgets
import pytest
import torch

import workbench as wb
from workbench.analysis.statistics import Interval
from workbench.errors import ParameterError
from workbench.notebook.explorers import EXPLORERS, Explorer, bounds, edits, trained_nets, widget
from workbench.notebook.explorers.base import Exercise, ExplorerBase, Job, Slider, View
from workbench.notebook.site import static_page


def test_a_page_is_given_the_code_the_file_and_the_library_that_it_asks_for(opened):
    explorer, sent = opened("bounds"), []
    explorer.content.sweep = ()
    explorer.send = lambda content, buffers=(): sent.append((content, *buffers))
    for turn, do in enumerate(("code", "parameters", "html", "plotly")):
        explorer._received(None, {"do": do, "page": "p", "turn": turn}, [])
        assert explorer.answered == {"page": "p", "turn": turn}
    code, command, (about, file), (_, library) = sent
    assert [one["text"] for (one,) in (code, command)] == [explorer.code(), explorer.parameters()]
    assert about == {"what": "file", "page": "p", "file": "explore_bounds.html"}
    assert file == static_page.page(explorer.content, explorer.values)
    assert b"plotly.js" in gzip.decompress(library)[:2000]


def test_a_snapshot_shows_every_figure_once(opened, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    explorer = opened("bounds")
    explorer.snapshot()
    assert shown == list(explorer.figures.values())


def test_where_there_is_no_work_none_begins_and_none_stops(opened):
    explorer = opened("architecture")
    before = explorer.work
    for do in ("start", "stop"):
        explorer._received(None, {"do": do, "page": "p", "turn": 1}, [])
    explorer.wait()
    assert explorer.worker is None
    assert explorer.work == before


def test_an_error_of_ours_in_long_work_is_said_as_it_is(opened):
    def refused(tell, stop):
        tell(0.5, "half way")
        raise ParameterError("goal: 3 received")

    explorer = opened("architecture")
    explorer.shown = View(explorer.shown.panels, "", Job("Do it", refused))
    explorer.start()
    explorer.wait(30)
    assert explorer.work == {"state": "idle", "label": "", "share": None, "said": "failed: goal: 3 received"}


def test_a_net_too_slow_to_wait_for_is_cut_in_a_thread_that_can_be_stopped(opened, monkeypatch):
    """As with 784 pixels: until it was asked for, no score is shown; then one for every cut."""
    monkeypatch.setattr(trained_nets, "SLOW", 10)
    begun, go_on = threading.Event(), threading.Event()
    answers = bounds.answers

    def slow(net, cut):
        begun.set()
        assert go_on.wait(30)
        return answers(net, cut)

    wb.run("seqdigits_plain6", "smoke", progress=False)
    explorer = opened("bounds")
    assert explorer.work["label"] == "Cut its memory and score it"
    assert "tightening" not in explorer.shown.panels
    assert "reach, uncut," not in explorer.said
    monkeypatch.setattr(bounds, "answers", slow)
    explorer.start()
    assert begun.wait(30)
    explorer.stop()
    go_on.set()
    explorer.wait(60)
    assert explorer.work["said"].startswith("stopped")
    assert explorer.work["label"] == "Cut its memory and score it"
    explorer.start()
    explorer.wait(60)
    curve = explorer.figures["tightening"].data[0]
    assert list(curve.x) == list(bounds.CURVE)
    net = explorer.content.net_of("seqdigits_plain6", True)
    assert list(curve.y) == [trained_nets.score(answers(net, cut), "class") for cut in bounds.CURVE]
    assert "reach, uncut," in explorer.said


def test_of_the_adding_problem_the_marked_steps_are_shown_and_the_parts_make_the_answer(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path))
    wb.run("adding_indrnn_T100", "quick", until=100, progress=False)
    explorer = Explorer(EXPLORERS["neurons"](), record="adding_indrnn_T100", example=2)
    net = explorer.content.net_of("adding_indrnn_T100")
    batch = net.batch(trained_nets.TESTED)
    x = batch.x[:, 2]
    bars, marks = explorer.figures["painting"].data
    assert [int(step) for step in marks.x] == [t + 1 for t in range(len(x)) if x[t, 1] == 1]
    assert sum(marks.y) == pytest.approx(float(batch.y[2]))
    with torch.no_grad():
        answer, nothing = (float(net.net(v)[0]) for v in (batch.x[:, 2:3], torch.zeros_like(batch.x[:, 2:3])))
    assert sum(bars.y) == pytest.approx(answer - nothing, abs=0.02), "integrated gradients add up"
    assert f"The answer is {answer:.3f}, {float(batch.y[2]):.3f} is right." in explorer.shown.panels["painting"].alt


class Try(ExplorerBase):
    """Two numbers, the second at most the first."""

    title, look = "Try", "look."
    leading = ("most",)
    exercises = (
        Exercise("Both at three", {"most": 3, "n": 3}, "They are equal."),
        Exercise("Of a net", {"most": 7}, "It is so.", of_nets=True),
    )
    presets = (Exercise("High", {"most": 9}),)
    published = True

    def controls(self, values):
        most = int(values.get("most", 5))
        return [Slider("most", "Most", range(1, 10), 5), Slider("n", "n", range(most + 1), 1, play=True)]

    def view(self, most, n):
        return View({}, f"{n} of {most}", published=self.published)


def test_an_exercise_sets_its_values_and_says_what_to_see_while_they_hold():
    explorer = Explorer(Try(), n=4)
    assert (explorer.exercises, explorer.presets) == (["Both at three", "Of a net"], ["High"])
    explorer.exercise("Both at three")
    assert (explorer.said, explorer.see) == ("3 of 3", "They are equal.")
    explorer.set(n=2)
    assert explorer.see == ""
    explorer.set(n=3)
    assert explorer.see == "They are equal."
    explorer._received(None, {"do": "exercise", "label": "High", "page": "p", "turn": 1}, [])
    assert (explorer.said, explorer.see) == ("1 of 9", ""), "all others as they start, not as it was opened"
    with pytest.raises(ParameterError, match="choose one of Both at three, High, Of a net"):
        explorer.exercise("Low")


def test_what_was_tested_on_the_published_nets_is_said_of_no_others():
    content = Try()
    explorer = Explorer(content)
    explorer.exercise("Of a net")
    assert explorer.see == "It is so."
    content.published = False
    explorer.redraw()
    assert explorer.see == ""
    explorer.exercise("Both at three")
    assert explorer.see == "They are equal."


def test_a_page_of_frames_says_that_it_lacks_controls():
    content = Try()
    content.sweep = ("n",)
    held = json.loads(gzip.decompress(base64.b64decode(static_page.frames(content, {}))))
    assert [control["name"] for control in held["controls"]] == ["n"]
    assert held["look"] == "look. Of the controls this page has those drawn beforehand; a kernel has all."


@pytest.mark.parametrize(
    ("costs", "words"), [([-2, -1], "1 of its layer costs"), ([-3, -2, -1], "2 of its layer cost")]
)
def test_one_neuron_costs_and_several_cost(costs, words):
    measured = [Interval(cost / 100, 360, cost / 100, cost / 100) for cost in costs]
    assert edits.standing(measured, len(costs) - 1, "class").endswith(f"; {words} more.")
    assert edits.standing(measured, 0, "class").endswith("; none of its layer costs more.")


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_is_a_trait_of_its_name_and_of_nothing_else(opened, name):
    explorer = opened(name)
    for control, value in explorer.values.items():
        assert not hasattr(Explorer, control)
        assert getattr(explorer, control) == value
        assert control in explorer.get_state(), "a page may link it"
    labels = [one.label for one in (*explorer.content.exercises, *explorer.content.presets)]
    assert len(set(labels)) == len(labels)
    for label in labels:
        explorer.exercise(label)
        given = explorer.content.exercise(label).values
        assert given.items() <= explorer.values.items(), label


def test_a_trait_turns_its_control_and_can_be_observed_and_linked():
    explorer, seen = Explorer(Try()), []
    explorer.observe(lambda change: seen.append(change.new), "n")
    explorer.n = "4"
    assert explorer.values == {"most": 5, "n": 4}
    assert explorer.said == "4 of 5"
    explorer.most = 3
    assert (explorer.n, explorer.said) == (1, "1 of 3"), "what does not fit any more starts anew"
    assert seen == [4, 1]
    with pytest.raises(ParameterError, match=r"n: 7 received; 0 to 3 is allowed"):
        explorer.n = 7
    assert (explorer.n, explorer.values["n"]) == (1, 1)
    other = ipywidgets.IntSlider()
    ipywidgets.link((explorer, "n"), (other, "value"))
    other.value = 3
    assert explorer.said == "3 of 3"
    out = ipywidgets.interactive_output(lambda at: seen.append(at), {"at": explorer})
    explorer.set(n=2)
    assert {"most": 3, "n": 2} in seen
    out.close()


def test_a_control_turned_by_what_it_tells_ends_where_it_was_turned():
    explorer = Explorer(Try())
    explorer.observe(lambda change: explorer.set(n=0), "most")
    explorer.set(most=4)
    assert (explorer.most, explorer.n, explorer.said) == (4, 0, "0 of 4")


def test_where_someone_looks_on_a_snapshot_waits_for_its_button(opened, monkeypatch):
    shown, updated = [], []

    class Place:
        def update(self, figure):
            updated.append(figure)

    def display(what, display_id=None):
        shown.append(what)
        return Place() if display_id else None

    monkeypatch.setattr(widget, "looked_on", lambda: True)
    monkeypatch.setattr("IPython.display.display", display)
    explorer = opened("bounds")
    explorer.snapshot()
    assert updated == []
    shown[0].click()
    figures = list(explorer.figures.values())
    assert updated[: len(figures)] == figures
    assert len(updated) == len(shown) - 1 == widget.MOST


@pytest.mark.parametrize("error", [ParameterError("nowhere"), RuntimeError("nowhere")])
def test_where_a_view_cannot_be_drawn_it_is_said_and_nothing_is_changed(error):
    class Fails(Try):
        def view(self, most, n):
            if n == 3:
                raise error
            return super().view(most, n)

    explorer, message = Explorer(Fails()), {"do": "set", "values": {"n": 3}, "page": "p", "turn": 1}
    with pytest.raises(RuntimeError) if type(error) is RuntimeError else nullcontext():
        explorer._received(None, message, [])
    assert explorer.complaints[""].endswith("nowhere")
    assert (explorer.values["n"], explorer.n, explorer.said) == (1, 1, "1 of 5")
    assert explorer.answered["turn"] == 1
    explorer._received(None, {"do": "set", "values": {"most": 9}, "page": "p", "turn": 2}, [])
    assert (explorer.complaints, explorer.said) == ({}, "1 of 9")


def test_what_is_closed_works_no_more(opened):
    begun = threading.Event()

    def work(tell, stop):
        begun.set()
        assert stop.wait(30), "nobody stopped it"

    explorer = opened("architecture")
    explorer.shown = View(explorer.shown.panels, "", Job("Do it", work))
    explorer.start()
    assert begun.wait(30)
    explorer.close()
    explorer.wait(30)
    assert (explorer.busy, explorer.work["said"]) == (False, "done")
