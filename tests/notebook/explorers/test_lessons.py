"""Sentences of the explorers are what their pictures show, over the published nets."""

import re
from pathlib import Path

import pytest
import torch

from workbench.analysis import handwriting, interventions
from workbench.analysis.figures.style import timed
from workbench.analysis.memory import impulse_response
from workbench.models.bounds import bound, half_life
from workbench.notebook.explorers import (
    EXPLORERS,
    Explorer,
    depth,
    digit,
    edits,
    length,
    loaded,
    sentence,
    trained_nets,
)
from workbench.notebook.explorers.edits import Edit
from workbench.notebook.explorers.reading import percent
from workbench.runs import pretrained
from workbench.tasks import download
from workbench.tasks.treebank import LETTERS, read


@pytest.fixture
def at(tmp_path, monkeypatch):
    """at(name, label): an explorer over the published nets, with an exercise begun if one is named."""
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path))

    def begin(name, label=None, **values):
        explorer = Explorer(EXPLORERS[name](), **values)
        if label:
            explorer.exercise(label)
            assert explorer.see
        return explorer

    return begin


def digits():
    return trained_nets.trained_net("seqdigits_plain6")


def test_one_net_has_one_accuracy_everywhere_and_it_is_its_records(at):
    test = digits().record.budgets[-1]["test"]
    assert test["n"] == trained_nets.TESTED
    said = f"{100 * test['accuracy']:.3g} % right of {test['n']} test examples"
    for name in ("neurons", "bounds", "digit"):
        assert said in at(name).said


def test_neurons_opens_on_the_costliest_and_no_other_costs_more(at):
    explorer = at("neurons", "Silence the costliest")
    assert explorer.values == {**explorer.started, "silent": True}
    net, values = digits(), explorer.values
    costs = [edits.published(net, layer) for layer in range(6)]
    least = min(c.mean for layer in costs for c in layer)
    mine = costs[values["layer"] - 1][values["neuron"]]
    assert mine.mean == least
    assert -0.05 < least < 0
    assert sum(map(len, costs)) == 384
    again = edits.effect(net, Edit(values["layer"] - 1, values["neuron"], None, (values["neuron"],)))
    assert (again.mean, again.low, again.high) == pytest.approx((mine.mean, mine.low, mine.high), rel=1e-4)
    shown = explorer.figures["roll"].data[0]
    assert list(shown.marker.color) == sorted(shown.marker.color, reverse=True), "the costliest first"
    assert shown.customdata[0] == values["neuron"]


def test_an_effect_is_the_same_whenever_it_is_asked_for(at):
    """The net as trained is compared with, even where its answers were never asked for before."""
    edit = Edit(1, 0, None, (0, 1, 2))
    first = edits.effect(digits(), edit)
    edits.effect.cache_clear()
    trained_nets._answers.cache_clear()
    assert edits.effect(digits(), edit) == first


def test_long_memories_cost_what_as_many_short_ones_do_not(at):
    explorer = at("neurons", "Silence the long memories")
    us = interventions.unit_of(digits().net, 1).u.tolist()
    long = tuple(i for i, u in enumerate(us) if u > 0.95)
    short = tuple(sorted(sorted(range(64), key=lambda i: abs(us[i]))[:5]))
    assert len(long) == 5
    lost, other = (edits.effect(digits(), Edit(1, 33, None, group)) for group in (long, short))
    assert lost.high < 0
    assert other.low < 0 < other.high
    picture = explorer.figures["effect"].data[0]
    assert list(picture.x)[1:] == pytest.approx([100 * lost.mean, 100 * other.mean])
    assert list(picture.error_x.array)[1:] == pytest.approx([100 * (e.high - e.mean) for e in (lost, other)])
    assert f"{100 * lost.mean:+.1f} points ({100 * lost.low:+.1f} to {100 * lost.high:+.1f}" in explorer.said


def test_those_that_are_silenced_are_counted_by_why_and_compared_with_others(at):
    explorer = at("neurons", "Silence the long memories")
    net, set_silent = explorer.content.net_of(explorer.values["record"]), explorer.set
    us = interventions.unit_of(net.net, 1).u.tolist()
    quiet = min(range(len(us)), key=lambda n: abs(us[n]))
    set_silent(neuron=quiet, silent=True)
    assert f"Silenced: 5 of {len(us)}, all with u > 0.95, neuron {quiet} silenced: " in explorer.said
    others = sorted({n for n in range(len(us)) if us[n] <= 0.95} - {quiet}, key=lambda n: abs(us[n]))[:6]
    effect = edits.effect(net, edits.Edit(1, quiet, None, tuple(sorted(others))))
    assert f"Silenced: 6 others, smallest |u|: {edits.changed(effect, 'class')}" in explorer.said
    set_silent(silent=False, above=0.3)
    assert sum(u > 0.3 for u in us) > len(us) / 2
    assert "others" not in explorer.said, "there are not as many"


def test_one_that_forgets_is_no_loss_that_is_shown(at):
    at("neurons", "Make one forget")
    effect = edits.effect(digits(), Edit(1, 33, 0.5, ()))
    assert effect.low < 0 < effect.high
    assert float(impulse_response(0.5, 64)[10]) < 1e-3


def test_what_is_said_of_an_impulse_and_a_state_is_in_their_figures(at):
    for neuron in (33, 4, 17):
        explorer = at("neurons", layer=2, neuron=neuron)
        left = float(re.search(r"left alone, (\S+) is there 63 steps later", explorer.said)[1])
        assert left == pytest.approx(explorer.figures["impulse"].data[0].y[-1], rel=0.06, abs=1e-30)
        state = explorer.figures["trace"].data[1].y
        peak, step = re.search(r"peaks at (\S+) at step (\d+)", explorer.said).groups()
        assert float(peak) == pytest.approx(max(state), rel=0.01)
        assert state[int(step) - 1] == max(state)
        assert ("is 0 at the end" in explorer.said) == (state[-1] == 0)
        assert "never" not in explorer.said


@pytest.mark.parametrize("label", ["Half of it", "Cut its memory", "Silence who says it", "Shuffle the pixels"])
def test_what_becomes_of_a_drawn_digit_is_what_is_said(at, label):
    explorer = at("digit", label)
    plain = digit.read(digits(), explorer.values["strokes"], digit.CUTS[-1], 0, False, True)
    assert int(plain.chances[-1].argmax()) == 6
    other = re.search(r"After \d+ of 64 pixels it reads (\d)", explorer.said)[1]
    assert other != "6"
    bars = explorer.figures["votes"].data[-1].y
    assert bars.index(max(bars)) == int(other)
    last = re.search(r"At the end: (\d)", explorer.said)[1]
    assert next(trace.showlegend for trace in explorer.figures["forming"].data if trace.name == last)


@pytest.mark.parametrize("name", digit.READY)
def test_the_drawings_to_begin_with_are_read_as_what_they_are(at, name):
    read = digit.read(digits(), digit.READY[name], digit.CUTS[-1], 0, False, True)
    assert int(read.chances[-1].argmax()) == int(name)


def test_a_drawn_digit_is_read_as_a_test_image_is(at):
    """The chances at the last step are the net's answer to these pixels, and the answer is settled where it says."""
    strokes = digit.READY["2"]
    read = digit.read(digits(), strokes, digit.CUTS[-1], 0, False, True)
    image = handwriting.image(handwriting.strokes(strokes), handwriting.FRAMES["digits"])
    with torch.no_grad():
        answer = digits().net((2 * image.flatten() - 1).view(64, 1, 1))[0].softmax(-1)
    torch.testing.assert_close(read.chances[-1], answer)
    since = int(re.search(r"from pixel (\d+) on", digit.settled(read.chances))[1])
    said = read.chances.argmax(-1).tolist()
    assert set(said[since - 1 :]) == {said[-1]}
    assert said[since - 2] != said[-1]


def test_the_net_of_28_by_28_pixels_reads_without_its_data(at, monkeypatch):
    """Its clean statistics are published with it, so that a drawn digit need not wait for 60,000 images."""
    trained_nets._net.cache_clear()
    digit.read.cache_clear()
    monkeypatch.setattr(download, "locate", lambda *_, **__: pytest.fail("it asks for MNIST"))
    assert "it reads 6" in at("digit", record="seqmnist_plain6_cycle").said


def test_a_digit_is_read_by_the_best_published_net_of_its_size(at):
    cards = [pretrained.card_of(pretrained.pretrained(name)) for name in pretrained.names()]
    cards = sorted((c for c in cards if c.task["name"] == "pixels"), key=lambda card: card.test["accuracy"])
    best = {card.task["source"]: card for card in cards}
    assert list(at("digit").content.nets) == [best["digits"].name, best["mnist"].name]
    for card in best.values():
        said = f"{100 * card.test['accuracy']:.3g} % right of {card.test['n']:,.0f} test examples"
        assert said in at("digit", record=card.name).said


@pytest.mark.parametrize("label", ["Cut its memory", "Silence the long memories"])
def test_a_sentence_costs_more_without_long_memories(at, label):
    said = at("sentence", label).said
    now, before = map(float, re.search(r"costs it (\S+) bits a character, (\S+) as trained", said).groups())
    assert now > before


def test_a_sentence_is_read_as_it_was_written(at):
    explorer = at("sentence", "Within a word")
    text, net = explorer.values["text"], explorer.content.net
    best = re.search(r"it expects “(.)”", explorer.said)[1]
    assert best == text[15]
    bits = explorer.figures["surprise"].data[0].y
    assert len(bits) == len(text)
    symbols = [net.symbols[i] for i in sentence.tokens(net, "A Bc-")[:, 0].tolist()]
    assert symbols == ["\n", "a", "_", "b", "c", "-"]
    parts = explorer.figures["painting"].data[0]
    assert list(parts.y) == pytest.approx(parts.meta["depends"][14], rel=0.01)


def test_a_sentence_says_a_character_and_a_figure_marks_it_up(at):
    explorer = at("sentence", text="mr. ")
    assert "it expects “<” (" in explorer.said, "an unknown word is <unk>"
    assert "“<”" in explorer.shown.panels["next"].alt
    assert explorer.figures["next"].data[0].x[0] == "&lt;"
    assert "“&lt;”" in explorer.figures["painting"].layout.title.text


def test_the_letters_are_the_treebanks(real_data):
    if not loaded.at_hand("ptb"):
        pytest.skip("WORKBENCH_DATA holds no Penn Treebank")
    assert tuple(LETTERS) == read(download.locate("ptb"), "char").vocabulary


def test_a_net_is_judged_over_the_steps_that_it_reads(at):
    explorer = at("bounds", "Longer sequences")
    us = torch.cat(list(list(digits().weights.values())[-1].values())).abs()
    over, under = int((us > bound(64, 5.0) * (1 + 1e-6)).sum()), int((us < 0.1 ** (1 / 64)).sum())
    assert "over the T = 64 steps that it reads" in explorer.said
    assert f"of its 384 neurons {over} would explode and {under} forget" in explorer.said
    assert float(re.search(r"a range (\S+) wide", explorer.said)[1]) < 1e-3
    assert at("bounds").values["steps"] == 64


def test_what_the_other_exercises_of_bounds_say_is_there(at):
    assert "0 would explode" in at("bounds", "At its start").said
    said = at("bounds", "Cut its memory").said
    right, lost = map(float, re.search(r"reach, uncut, (\S+) % .* cut to 0.88 (\S+) points", said).groups())
    assert -lost > right / 2
    clamped, free = (
        int(re.search(r"neurons (\d+) would explode", at("bounds", e).said)[1]) for e in (None, "Leave u free")
    )
    assert free > clamped
    heights = [y for trace in at("bounds", "Half-lives").figures["weights"].data for y in trace.y]
    assert max(heights) >= 1e6
    assert min(heights) < 10
    assert "at its lower end a memory never fades" in at("bounds", epsilon=1.0).said
    assert "Its best weights reach, uncut, 88" in at("bounds", "At its start").said, "the score is not of the start"


def test_what_a_gradient_is_said_to_become_is_where_its_lines_end(at):
    for values in ({}, {"epsilon": 1.0, "gamma": 1.0}, {"steps": 500, "gamma": 20.0}):
        explorer = at("bounds", **values)
        said = re.search(r"after \d+ steps (.*) for these", explorer.shown.panels["gradient"].alt)[1]
        ends = [trace.y[-1] for trace in explorer.figures["gradient"].data]
        assert list(map(float, re.split(", | and ", said))) == pytest.approx(ends, rel=1e-4)


def arrives(explorer):
    words = explorer.said.split("arrives at the first: ")[1].split(". The last")[0]
    found = re.findall(r"(IndRNN, \w+|LSTM|RNN-tanh) (\S+?)(?: \(\d+ layers\))?(?:;|$)", words)
    return {name: float(share) for name, share in found}


def test_what_is_said_of_depth_is_in_its_maps(at):
    start, deep = arrives(at("depth")), arrives(at("depth", "24 layers"))
    assert set(start) == {"IndRNN, plain", "IndRNN, residual", "IndRNN, dense", "LSTM", "RNN-tanh"}
    for name, share in deep.items():
        assert (share > 1) == name.startswith("IndRNN"), name
    assert deep["LSTM"] < 1e-5
    plain = arrives(at("depth", "Without batch norm"))
    assert all(plain[name] < start[name] for name in start if name.startswith("IndRNN"))
    assert arrives(at("depth", "After training"))["LSTM"] > 1 > start["LSTM"]


def test_the_numbers_of_the_guided_tour_are_what_its_stops_show(at):
    tour = " ".join((Path(__file__).parents[3] / "docs" / "tour.md").read_text("utf-8").split())
    said = lambda pattern: [float(number.replace(",", "")) for number in re.search(pattern, tour).groups()]  # noqa: E731
    assert said(r"At \$u = 0.9\$ half is gone after (\S+) steps; at \$u = 0.999\$ after (\d+)\.") == [6.6, 693]
    assert [round(half_life(u), 1) for u in (0.9, 0.999)] == [6.6, 692.8]
    assert pytest.approx(2400, rel=0.02) == 1.01**784
    ranges = said(r"from (\S+) to (\S+) for \$.gamma = 5\$, .* \$T = 784\$ from (\S+) to (\d\.\d+)\.")
    assert ranges == [round(ends ** (1 / T), n) for T, n in ((10, 2), (784, 5)) for ends in (0.1, 5.0)]
    curves = [length.curve(length.config("adding", *net), 0) for net in ((50, "plain"), (50, "lstm"), (500, "plain"))]
    reached = said(r"have an error of (\S+) after 1,000 steps, where 32 LSTM units still have (\S+); .* at (\S+) \(")
    assert reached == pytest.approx([dict(points)[1000] for points in curves], rel=0.07)
    eight, bare = arrives(at("depth")), arrives(at("depth", depth=16, norm=False))
    found = [eight["IndRNN, plain"], eight["LSTM"], eight["RNN-tanh"], bare["IndRNN, plain"], bare["IndRNN, residual"]]
    arrive = (
        r"(\S+) in a plain IndRNN with batch norm, (\S+) in an LSTM, (\S+) in an RNN .* too, (\S+) at .* not, (\S+) \("
    )
    assert said(arrive) == pytest.approx(found, rel=0.1)


def test_a_gradient_through_time_is_measured_against_the_last_layers(at):
    """Nothing is blown up by what it is divided by: the steps of the first layer are together what arrives."""
    explorer = at("depth")
    for trace in explorer.figures["time"].data:
        total = sum(y**2 for y in trace.y if y) ** 0.5
        assert total == pytest.approx(arrives(explorer)[trace.name], rel=0.06), trace.name
    for trace in explorer.figures["maps"].data:
        assert list(trace.z[-1][:-1]) == [None] * 63, "the last layer is read at its last step alone"
        assert trace.z[-1][-1] is not None


def test_what_is_said_of_length_is_in_its_curves(at):
    def left(explorer):
        """The first step at which IndRNN's error is under half of guessing's."""
        curve = explorer.figures["learning"].data[0]
        return next(x for x, y in zip(curve.x, curve.y, strict=True) if y < 1 / 12)

    assert left(at("length", "Twice as long")) > left(at("length"))
    for trace in at("length", "IRNN beside it").figures["learning"].data[1:]:
        assert min(trace.y) > 0.9 / 6, trace.name
    for trace in at("length", "Digits").figures["learning"].data:
        assert max(y for x, y in zip(trace.x, trace.y, strict=True) if x <= 400) > 50, trace.name


def test_every_length_shows_when_a_net_was_good_or_that_it_was_not_run(at):
    drawn, seen = at("length", irnn=True).figures["lengths"].data, set()
    for kind, bars in zip(("plain", "lstm", "irnn"), drawn, strict=True):
        for T, step, shape, mark in zip(bars.x, bars.y, bars.marker.pattern.shape, bars.text, strict=True):
            points = dict(length.curve(length.config("adding", int(T), kind), 0))
            low = [step for step, mse in points.items() if mse < 1 / 12]
            expected = (low[0], "", "") if low else (max(points), "/", "") if points else (0, "/", "x")
            assert (step, shape, mark) == expected
            seen.add((shape, mark))
    assert seen == {("", ""), ("/", ""), ("/", "x")}, "good, not yet, not run"
    long = at("length", steps=2000)
    assert [trace.name for trace in long.figures["learning"].data] == ["IndRNN, plain, not run", "LSTM, not run"]
    assert [trace.name for trace in long.figures["memory"].data] == ["IndRNN, plain, as it starts", "LSTM, not asked"]


def test_the_sliders_of_an_architecture_rest_at_its_experiments_size(at):
    plain, lstm = at("architecture"), at("architecture", "An LSTM")
    assert {c["name"]: c["rest"] for c in plain.controls if "rest" in c} == {"depth": 6, "width": 128}
    assert {c["name"]: c["rest"] for c in lstm.controls if "rest" in c} == {"depth": 1, "width": 128}
    assert ("one a neuron" in plain.said, "one a neuron" in lstm.said) == (True, False)
    plain.set(depth=6)
    assert "changed" not in plain.said
    plain.set(depth=7)
    assert "IndRNN, 6 layers, changed: 1 input a step" in plain.said


def test_a_dense_nets_blocks_keep_their_share_and_rest_where_the_experiment_has_them(at):
    content = at("architecture", "A dense net").content
    at_rest = content.config("seqmnist_dense", 8, 16)
    assert at_rest == content.config("seqmnist_dense", None, None)
    assert at_rest.model.blocks == (8, 6, 4)
    assert content.config("seqmnist_dense", 4, None).model.blocks == (4, 3, 2)


def test_a_time_is_drawn_with_the_passes_it_is_of():
    assert timed([3.0, 1.0, 2.0]) == "2 ms (1 to 3 in 3 passes)"
    assert timed([2.0]) == "2 ms in one pass"
    picture = length.step_costs({}, {"plain": [3.0, 1.0, 2.0], "lstm": [4.0]}, 50)
    several, one = picture.data
    assert (several["y"], several["error_y"]["array"], several["error_y"]["arrayminus"]) == ([2.0], [1.0], [1.0])
    assert (several["marker"]["symbol"], one["marker"]["symbol"]) == ("circle", "circle-open")
    assert picture.figure()
    (bar,) = depth.costs({"plain": depth.Row([3.0, 1.0, 2.0], 10, "not trained yet")}).figure().data
    assert (bar.x, bar.error_x.array, bar.error_x.arrayminus) == ((2.0,), (1.0,), (1.0,))
    assert bar.text == ("2 ms (1 to 3 in 3 passes), 10 parameters, not trained yet",)


def test_the_passes_of_depth_are_several_where_they_are_short(at, monkeypatch):
    monkeypatch.setattr(depth, "PATIENCE", 60)
    depth.measured.cache_clear()
    figure = at("depth", depth=1, plain=False, residual=False, dense=False, rnn_tanh=False).figures["costs"]
    assert f"in {depth.PASSES} passes" in figure.layout.annotations[0].text
    assert figure.data[0].error_x.array[0] > 0
    monkeypatch.setattr(depth, "PATIENCE", 1e-9)
    depth.measured.cache_clear()
    figure = at("depth", depth=1, plain=False, residual=False, dense=False, rnn_tanh=False).figures["costs"]
    assert "ms in one pass" in figure.layout.annotations[0].text


@pytest.mark.parametrize(
    ("chance", "words"),
    [
        (1, "100 %"),
        (1 - 1e-5, ">99.9 %"),
        (0.9996, ">99.9 %"),
        (0.997, "99.7 %"),
        (0.5, "50 %"),
        (0.003, "0.3 %"),
        (0.0003, "<0.1 %"),
        (0, "0 %"),
    ],
)
def test_what_is_not_certain_is_not_said_to_be(chance, words):
    assert percent(chance) == words
