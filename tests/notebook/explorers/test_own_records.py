"""Explorers on records of one's own sequences: waves of the notebook's five lines, and sequences of several lengths."""

import json
import math

import nbformat
import numpy as np
import pytest

from workbench import files
from workbench.analysis.figures.style import EACH, Picture, Time
from workbench.errors import ParameterError
from workbench.notebook.explorers import EXPLORERS, Explorer, own_records, trained_nets
from workbench.notebook.site import static_page
from workbench.runs.run import run

T, STEP = 60, 1 / 60
CONTROL = {"bounds": "record", "depth": "record", "length": "task", "neurons": "record"}
NET = {"model.hidden": 8, "train.steps": 25}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two records: waves.csv read forward, lengths.npz both ways."""
    root = tmp_path_factory.mktemp("own")
    (text,) = (c.source for c in nbformat.read(files.notebooks() / "your_sequences.ipynb", 4).cells[:1])
    rng = np.random.default_rng(0)
    x, y = np.full((50, 9, 2), np.nan, np.float32), rng.choice(["rises", "falls"], 50)
    for row, way in enumerate(y):
        steps = int(rng.integers(6, 10))
        x[row, :steps] = np.linspace(0, 1 if way == "rises" else -1, steps)[:, None] + rng.normal(0, 0.3, (steps, 2))
    np.savez(root / "lengths.npz", x=x, y=y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RESULTS", str(root / "results"))
        patch.chdir(root)
        exec(text.split("```python\n")[1].split("```")[0], {})
        settings = {"task.target": "way", "task.step": STEP, "task.unit": "s", "model.kind": "plain"}
        records = {
            "waves.csv": run(str(root / "waves.csv"), changes=settings | NET, device="cpu", progress=False),
            "lengths.npz": run(str(root / "lengths.npz"), changes=NET, seed=1, device="cpu", progress=False),
        }
        own_records.look_again()
        yield records


def opened(name, record, **values):
    return Explorer(EXPLORERS[name](), **{CONTROL[name]: record}, **values)


@pytest.mark.parametrize("name", CONTROL)
def test_every_time_axis_has_the_users_unit(store, name):
    explorer = opened(name, "waves.csv", **({"memory": True} if name == "bounds" else {}))
    words: dict[str, list[str]] = {"xaxis": [], "yaxis": []}
    for panel in explorer.shown.panels.values():
        for axis, found in json.loads(panel.picture.json())["layout"].items():
            if axis[:5] in words:
                words[axis[:5]].append(found["title"]["text"])
    every = [*words["xaxis"], *words["yaxis"]]
    times = [text for text in every if text.startswith(("time", "length T,", "half-life"))]
    assert times
    assert all(text.endswith(", s") for text in times), words
    assert not [text for text in words["xaxis"] if "step" in text and text != "training step"], words
    if name == "length":
        assert explorer.figures["cost"].data[0].x == (T * STEP,)
        assert list(explorer.figures["memory"].data[0].x)[-1] == pytest.approx((T - 1) * STEP)
        assert explorer.figures["lengths"].data[0].x == ("0.117 s", "0.25 s", "0.5 s", "1 s")
    if name == "neurons":
        assert list(explorer.figures["trace"].data[0].x)[:2] == [0, STEP]


def test_a_record_has_its_score_in_every_explorer_that_tests_it(store):
    test = store["waves.csv"].budgets[-1]["test"]
    said = f"{100 * test['accuracy']:.3g} % right of {test['n']} test examples"
    for name in ("bounds", "neurons"):
        explorer = opened(name, "waves.csv")
        assert said in explorer.said
        assert "waves.csv, your record of step 25" in explorer.said


def test_sequences_of_several_lengths_are_answered_as_each_alone(store):
    net = trained_nets.trained_net("lengths.npz")
    batch = net.batch(trained_nets.TESTED)
    assert batch.lengths is not None
    alone = [net.net(net.example(index))[0].argmax() for index in range(len(batch.y))]
    assert [bool(answer == y) for answer, y in zip(alone, batch.y, strict=True)] == net.answers.bool().tolist()
    assert float(net.answers.mean()) == store["lengths.npz"].budgets[-1]["test"]["accuracy"]
    assert len(set(batch.lengths.tolist())) > 1
    alike = net.batch(8, alike=True)
    assert alike.lengths is None


def test_a_neuron_that_reads_from_the_end_is_shown_so(store):
    forward, backward = (opened("neurons", "lengths.npz", layer=layer) for layer in (3, 4))
    length = int(trained_nets.trained_net("lengths.npz").batch(trained_nets.TESTED).lengths[0])
    for explorer in (forward, backward):
        assert len(explorer.figures["trace"].data[0].x) == length
        assert explorer.figures["votes"].layout.xaxis.ticktext == ("falls", "rises")
        assert any(f"The net answers {way}" in explorer.shown.panels["votes"].alt for way in ("rises", "falls"))
    assert "of layer 2 forward" in forward.said
    assert "of layer 2 backward" in backward.said
    assert "It reads from the end" in backward.said
    assert backward.figures["trace"].layout.xaxis.title.text == "time step, read from the end"
    assert opened("bounds", "lengths.npz").figures["weights"].layout.xaxis.ticktext[3] == "2 backward"


def test_depth_has_the_record_itself_among_nets_of_other_kinds(store):
    explorer = opened("depth", "waves.csv", trained=True)
    assert explorer.values["depth"] == 2
    missing = explorer.said.split("Not trained yet, shown as they start: ")[1]
    assert "IndRNN, plain" not in missing
    assert "LSTM" in missing
    both = opened("depth", "lengths.npz")
    (row,) = (trace.z[-1] for trace in both.figures["maps"].data if trace.name == "IndRNN, both ways")
    assert [step for step, value in enumerate(row) if value is not None] == [0, len(row) - 1], "read at both ends"
    assert "test sequences of lengths.npz" in both.said


def test_length_trains_the_same_net_on_the_first_steps(store):
    explorer = opened("length", "waves.csv", lstm=False)
    curve = store["waves.csv"].evaluations
    assert list(explorer.figures["learning"].data[0].x) == [row["step"] for row in curve]
    assert explorer.work["label"] == ""
    explorer.set(steps=T // 4)
    assert "is not trained yet" in explorer.said
    net = explorer.content.nets("waves.csv", T // 4, 400, False, False)["plain"]
    assert net.config.task.longest == T // 4
    assert len(net.example(0)) == T // 4
    explorer.start()
    explorer.wait(60)
    assert "reached" in explorer.said
    own_records.look_again()
    named = trained_nets.trained_net("waves.csv").record
    assert named.id == store["waves.csv"].id, "the name stays with the run that was started by it"


def test_what_is_gone_or_altered_or_unknown_is_not_offered(store, monkeypatch):
    with pytest.raises(ParameterError, match=r"record: 'other.csv' received; choose one of .*waves\.csv"):
        opened("neurons", "other.csv")
    assert set(own_records.look_again()) >= {"waves.csv", "lengths.npz"}
    monkeypatch.setattr(own_records, "data_hashes", lambda task: {"data": "another"})
    assert own_records.look_again() == {}
    monkeypatch.undo()
    own_records.look_again()


def test_a_page_of_ones_own_record_has_frames_and_computes_nothing_else(store, monkeypatch):
    explorer = opened("depth", "waves.csv")
    monkeypatch.setattr(explorer.content, "sweep", ("norm",))
    packed = static_page.frames(explorer.content, explorer.values)
    held = json.loads(static_page.gzip.decompress(static_page.base64.b64decode(packed)))
    assert held["alive"] is None
    assert [frame["values"]["record"] for frame in held["frames"]] == ["waves.csv"] * 2
    living = explorer.content.alive()
    assert list(living["controls"]) == ["digits"]


def test_an_axis_in_another_unit_is_the_same_figure():
    time = Time(0.5, "s")
    picture = Picture("time step", "h").line([1, 2, 4], [0, 1, 2], "h", "red").linked(step="x").band(2, 3, axis="x")
    assert picture.timed("x", "time", EACH, first=1).data[0]["x"] == [1, 2, 4]
    picture.timed("x", "time", time, first=1)
    assert picture.data[0]["x"] == [0, 0.5, 1.5]
    assert (picture.layout["shapes"][0]["x0"], picture.layout["shapes"][0]["x1"]) == (0.5, 1.0)
    assert picture.layout["xaxis"]["title"]["text"] == "time, s"
    back = Picture("steps before the end", "g").line([0, 3], [1, 2], "g", "red").linked(step=4).axis("xaxis", dtick=1)
    back.timed("x", "time before the end", time)
    assert (back.data[0]["x"], back.data[0]["meta"]["link"]["step"]) == ([0, 1.5], 1.5)  # the last step is at 1.5 s
    assert "dtick" not in back.layout["xaxis"]
    log = Picture("T, steps", "ms").dots([10], [1], "a", "red").axis("xaxis", type="log", range=[0, 2])
    log.timed("x", "T", Time(0.01, "s"))
    assert log.data[0]["x"] == [0.1]
    assert log.layout["xaxis"]["range"] == pytest.approx([-2, 0])
    assert (time.words(3), time.words(math.inf), EACH.words(3)) == ("1.5 s", "without end", "3 steps")


def test_other_sequences_under_the_same_path_are_another_nets(tmp_path, store):
    """Trained, looked at, and trained anew on other sequences, all in one kernel."""
    path, rng = tmp_path / "again.npz", np.random.default_rng(0)
    y = rng.choice(["falls", "rises"], 40)
    for sign in (1, -1):
        x = sign * np.where(y == "rises", 1.0, -1.0)[:, None, None] + rng.normal(0, 0.3, (40, 6, 1))
        np.savez(path, x=x.astype(np.float32), y=y)
        record = run(str(path), changes=NET | {"model.kind": "plain"}, device="cpu", progress=False)
        explorer = opened("neurons", "again.npz")
        assert record.budgets[-1]["test"]["accuracy"] > 0.9
        said = f"{100 * record.budgets[-1]['test']['accuracy']:.3g} % right of 8 test examples"
        assert said in explorer.said


def test_sequences_of_one_step_are_shown_as_such(tmp_path, store):
    y = np.random.default_rng(0).choice(["falls", "rises"], 40)
    np.savez(tmp_path / "one.npz", x=np.where(y == "rises", 1.0, -1.0).astype(np.float32)[:, None, None], y=y)
    run(str(tmp_path / "one.npz"), changes=NET | {"model.kind": "plain"}, device="cpu", progress=False)
    for name in CONTROL:
        explorer = opened(name, "one.npz")
        assert explorer.said
    assert "T = 1: IndRNN, plain reached" in opened("length", "one.npz", lstm=False).said
