"""The timings: what is compared takes turns, ratios are those of the medians, and a wrong request is refused."""

from __future__ import annotations

import json

import pytest
import torch

from workbench import bench
from workbench.errors import ParameterError


@pytest.fixture(scope="module")
def rows():
    return bench.layers(["4,2,3,5", "4,2,1,5"], threads=[1], engines=["auto", "torch", "loop"], repeats=3)


def test_a_layer_is_timed_for_every_engine_beside_torch_and_the_floor(rows):
    assert [(r["shape"], r["what"]) for r in rows] == [
        (shape, what) for shape in ("4,2,3,5", "4,2,1,5") for what in ("auto", "torch", "loop", "nn.LSTM", "floor")
    ]
    assert all(r["rounds"] == 3 and r["threads"] == 1 for r in rows)
    assert json.loads(json.dumps(rows)) == rows


def test_ratios_are_those_of_the_medians(rows):
    for shape in ("4,2,3,5", "4,2,1,5"):
        ms = {r["what"]: r["ms"] for r in rows if r["shape"] == shape}
        for row in (r for r in rows if r["shape"] == shape and r["what"] != "floor"):
            assert row["lstm"] == pytest.approx(ms["nn.LSTM"] / row["ms"])
            assert row["floor"] == pytest.approx(ms["floor"] / row["ms"])


def test_rivals_take_turns_and_the_first_round_does_not_count():
    calls = []
    times = bench._take_turns({name: lambda name=name: calls.append(name) for name in "abc"}, 2, "cpu")
    assert "".join(calls) == "abcabcabc"
    assert [len(seconds) for seconds in times.values()] == [2, 2, 2]


def test_a_slow_rival_takes_part_in_every_third_round(monkeypatch):
    monkeypatch.setattr(bench, "_PATIENCE", 0.0)
    assert len(bench._take_turns({"slow": lambda: None}, 7, "cpu")["slow"]) == 3


def test_the_published_sizes_have_their_first_layers():
    assert bench.SHAPES["mnist"] == (784, 32, 128, 128)
    assert bench.SHAPES["adding5000_l1"] == (5000, 50, 2, 128)


def test_a_training_step_is_compared_with_lstm_and_the_official_composition():
    threads = torch.get_num_threads()
    rows = bench.training_step([1], repeats=1, T=3)
    assert [r["what"] for r in rows] == ["ours", "nn.LSTM", "official", "floor"]
    assert rows[0]["official"] == pytest.approx(rows[2]["ms"] / rows[0]["ms"])
    assert torch.get_num_threads() == threads


def test_the_report_names_all_that_was_timed(rows):
    text = bench.report(rows)
    assert all(word in text for word in ("4,2,1,5", "torch", "nn.LSTM", "floor", "100%", "1.00x", "load"))
    assert "official" not in text.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"shapes": ["nowhere"]}, "^shapes: 'nowhere'.*mnist"),
        ({"shapes": ["1,2,3"]}, "^shapes: '1,2,3'"),
        ({"shapes": ["0,1,1,1"]}, "^shapes: '0,1,1,1'"),
        ({"threads": [0]}, "^threads: 0"),
        ({"repeats": 0}, "^repeats: 0"),
        ({"engines": ["cuda"]}, "^backend: 'cuda'"),
    ],
)
def test_a_wrong_request_is_refused_by_name(arguments, named):
    with pytest.raises(ParameterError, match=named):
        bench.layers(**{"shapes": ["2,1,3,2"], "repeats": 1} | arguments)
