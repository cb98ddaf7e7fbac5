"""The timings: what is compared takes turns, ratios are those of the medians, and a wrong request is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from stand_ins import stand_in

from workbench import recurrence
from workbench.analysis import benchmark
from workbench.analysis.benchmark import figure2, series, timing
from workbench.errors import ParameterError

SMALL = ("4,2,3,5", "4,2,1,5")
RIVALS = ("nn.LSTM", "nn.GRU", "nn.RNN")

measured = import_module("workbench.analysis.benchmark.layers")  # its name in the package is the function's


def test_a_layer_is_timed_for_every_engine_beside_torch_and_the_floor(rows):
    whats = ["auto", "torch", "loop", *RIVALS, "floor"]
    expected = [(shape, which, what) for shape in SMALL for which in ("forward", "both") for what in whats]
    assert [(r["shape"], r["which"], r["what"]) for r in rows] == expected
    assert all(r["rounds"] == 3 and r["threads"] == 1 for r in rows)
    assert json.loads(json.dumps(rows)) == rows


def test_a_ratio_has_its_range_over_rounds_and_one_direction(rows):
    """Times faster: the other's time over this one's."""
    for shape in SMALL:
        here = [r for r in rows if r["shape"] == shape and r["which"] == "both"]
        ms = {r["what"]: r["ms"] for r in here}
        for row in here[:-1]:
            for column in ("lstm", "gru", "rnn", "loop"):
                assert row[f"{column}_low"] <= row[column] <= row[f"{column}_high"]
            assert row["floor"] == pytest.approx(ms["floor"] / row["ms"])
    times = {"auto": [1.0, 2.0, 4.0], "nn.LSTM": [10.0, 30.0, 20.0]}
    ours, lstm = timing.compared({}, times, None)
    assert (ours["ms"], ours["lstm"], ours["lstm_low"], ours["lstm_high"]) == (2_000.0, 10.0, 5.0, 15.0)
    assert (lstm["lstm"], lstm["lstm_low"], lstm["lstm_high"]) == (1.0, 1.0, 1.0)
    assert benchmark.faster(ours) == "10.0x (5.0-15.0)"
    assert benchmark.faster({"lstm": 9.0}) == "9.0x"  # a record that holds no range


def test_a_slow_rival_is_compared_in_the_rounds_that_both_have():
    quick, slow = [1.0, 9.0, 9.0, 2.0], [10.0, 10.0]  # rounds 0 and 3
    assert timing.ratios(slow, quick) == [10.0, 5.0]
    assert timing.ratios(quick, slow) == [0.1, 0.2]
    assert timing.ratios(quick, quick) == [1.0] * 4


def test_what_training_keeps_is_counted(rows):
    """The states, 4 bytes a step and unit, and the first state once; the loop keeps its products, RNN and LSTM more."""
    kept = {r["what"]: r["saved"] for r in rows if r["shape"] == "4,2,3,5" and r["which"] == "both" and "saved" in r}
    assert kept["auto"] == kept["torch"] == 4 + 4 / 4  # T = 4
    assert kept["loop"] > kept["auto"]
    assert kept["nn.LSTM"] > kept["nn.RNN"] > 4


@pytest.mark.parametrize(
    ("inputs", "backward", "moved", "products"),
    [
        (128, False, 133, 6.0),
        (128, True, 128 * 3 + 15, 6.0),
        (2, False, 7, 0.0),
        (2, True, 19, 0.0),
        (3, True, 24, 6.0),
    ],
)
def test_the_floor_is_the_larger_of_products_and_bytes_at_the_fastest_that_was_seen(inputs, backward, moved, products):
    """x read, h written; backward h, its gradient and x read, a wide x's gradient written: each byte once."""
    floor = import_module("workbench.analysis.benchmark.layers")._floor
    sizes, a_byte = (10, 3, inputs, 5), 1e-4
    times = {
        "products": [7.0, 9.0],
        "products in cache": [8.0, 6.0],
        "copy": [2 * a_byte * timing.COPY, 9.0 * timing.COPY],  # a copy reads every byte and writes it
        "copy of h": [3 * a_byte * 8 * 10 * 3 * 5],
    }
    bytes_alone = 4 * 10 * 3 * moved * a_byte
    assert floor(times, sizes, backward) == pytest.approx(max(products, bytes_alone))
    times["products"], times["products in cache"] = [0.0], [0.0]
    assert floor(times, sizes, backward) == pytest.approx(bytes_alone)
    times["copy of h"] = [a_byte * 4 * 10 * 3 * 5]  # half as long a byte: it lies in a cache
    assert floor(times, sizes, backward) == pytest.approx(bytes_alone / 2)


def test_products_in_cache_are_as_many_products_of_the_first_rows(rng):
    layers = import_module("workbench.analysis.benchmark.layers")
    x, g, weight = (torch.randn(*shape, generator=rng) for shape in ((40, 3, 6), (40, 3, 5), (5, 6)))
    calls = layers.products(x, g, weight, True)
    assert list(calls) == ["products", "products in cache"]
    (multiply,) = {call.func for call in calls.values()}
    found = dict(zip(multiply.__code__.co_freevars, (c.cell_contents for c in multiply.__closure__), strict=True))
    for times, rows in ((1, 120), (5, 24)):
        for name in ("h", "grad_x", "grad_weight"):
            found[name].fill_(torch.nan)
        multiply(times)
        first_x, first_g = x.flatten(0, 1)[:rows], g.flatten(0, 1)[:rows]
        torch.testing.assert_close(found["h"][:rows], first_x @ weight.t())
        torch.testing.assert_close(found["grad_x"][:rows], first_g @ weight)
        torch.testing.assert_close(found["grad_weight"], times * (first_g.t() @ first_x))
    assert layers.products(*(torch.zeros(784, 32, 128) for _ in "xg"), torch.zeros(128, 128), True)[
        "products in cache"
    ].args == (25,), "a megabyte of input and output a time"


def test_an_lstm_of_equal_width_multiplies_eight_times_as_much():
    """Each weight of a matrix multiplies once a step; the README says so."""
    import workbench as wb

    N = 16
    lstm = sum(p.numel() for name, p in torch.nn.LSTM(N, N).named_parameters() if name.startswith("weight"))
    ours = sum(p.numel() for p in wb.IndRNN(N, N).parameters() if p.dim() == 2)
    assert (lstm, ours) == (8 * N * N, N * N)
    root = Path(__file__).parents[3]
    for text in (root / "README.md", root / "results" / "README.md"):
        assert "multiplies eight times as much" in " ".join(text.read_text().split())


def test_rivals_interleave_and_the_first_round_does_not_count():
    calls = []
    times = timing.interleave({name: lambda name=name: calls.append(name) for name in "abc"}, 2, "cpu")
    assert "".join(calls) == "abcabcabc"
    assert [len(seconds) for seconds in times.values()] == [2, 2, 2]


def test_a_slow_rival_takes_part_in_every_third_round(monkeypatch):
    monkeypatch.setattr(timing, "PATIENCE", 0.0)
    assert len(timing.interleave({"slow": lambda: None}, 7, "cpu")["slow"]) == 3


def test_denormal_numbers_count_as_zero_while_rivals_are_timed_and_only_then():
    tiny, found = torch.tensor([1e-30]), []

    def shrunk():
        found.append(float(tiny * 1e-10))

    for before in (False, True, False):
        torch.set_flush_denormal(before)
        timing.interleave({"product": shrunk}, 1, "cpu")
        shrunk()
        assert found[-3:-1] == [0.0, 0.0]
        assert (found[-1] == 0) is before


@pytest.mark.parametrize(("first", "everywhere"), [("", True), ("torch.ones(1 << 20).add_(1); ", False)])
def test_the_threads_of_a_product_flush_where_they_were_made_under_it(first, everywhere):
    """In a process of its own, with two threads: those that were made before keep their denormal numbers."""
    script = f"import torch; torch.set_num_threads(2); {first}from workbench.analysis.benchmark import timing; "
    done = subprocess.run([sys.executable, "-c", script + "print(timing.flushed_everywhere())"], capture_output=True)
    assert done.stdout.decode().strip() == str(everywhere), done.stderr


def test_so_in_the_batches_of_figure_2(monkeypatch):
    tiny = torch.tensor([1e-30])
    monkeypatch.setattr(figure2, "_batch", lambda *_: lambda _: float(tiny * 1e-10))
    assert figure2.times_of(["IndRNN, 1 layer"], 4, "cpu", 1, 1) == {"IndRNN, 1 layer": [0.0]}


def test_the_published_sizes_have_their_first_layers():
    assert benchmark.SHAPES["mnist"] == (784, 32, 128, 128)
    assert benchmark.SHAPES["adding5000_l1"] == (5000, 50, 2, 128)
    assert measured.AXES["T"][1_000_000] == (1_000_000, 1, 16, 16)


def test_a_training_step_is_compared_with_lstm_and_the_official_composition():
    threads = torch.get_num_threads()
    rows = benchmark.training_step([1], repeats=1, T=3)
    assert [r["what"] for r in rows] == ["ours", "nn.LSTM", "official", "floor"]
    assert rows[0]["official"] == pytest.approx(rows[2]["ms"] / rows[0]["ms"])
    assert torch.get_num_threads() == threads


def test_time_is_followed_along_every_axis(monkeypatch):
    small = {axis: {2: (2, 1, 3, 3), 4: (4, 1, 3, 3)} for axis in measured.AXES}
    monkeypatch.setattr(measured, "AXES", small)
    monkeypatch.setattr(measured, "DEPTHS", (1, 2))
    rows = benchmark.scaling(threads=[1], engines=["auto"], repeats=1)
    values = [("T", 2), ("T", 4), ("B", 2), ("B", 4), ("N", 2), ("N", 4), ("depth", 1), ("depth", 2), ("threads", 1)]
    assert [(r["axis"], r["value"], r["what"]) for r in rows] == [
        (*value, what) for value in values for what in ("auto", "nn.LSTM")
    ]


def test_what_is_too_slow_is_left_out_of_larger_sizes(monkeypatch):
    monkeypatch.setattr(measured, "AXES", {"T": {2: (2, 1, 3, 3), 4: (4, 1, 3, 3)}})
    rows = benchmark.scaling(["T"], engines=["auto"], repeats=1, limit=0.0)
    assert [(r["value"], r["what"]) for r in rows] == [(2, "auto"), (2, "nn.LSTM")]


def test_every_engine_is_correct_here(monkeypatch):
    monkeypatch.setattr(import_module("workbench.analysis.benchmark.series"), "_SHAPES", ((33, 3, 7), (70, 1, 5)))
    rows = benchmark.correctness()
    assert all(row["ok"] for row in rows), [row for row in rows if not row["ok"]]
    assert {row["what"] for row in rows} == {"auto", *recurrence.available()} - {"loop"}


def test_a_wrong_engine_would_be_caught(monkeypatch):
    from workbench.recurrence import engine_torch

    right = engine_torch.forward
    monkeypatch.setattr(import_module("workbench.analysis.benchmark.series"), "_SHAPES", ((33, 3, 7),))
    for factor in (1.001, float("nan")):  # `max` may leave out what is no number
        monkeypatch.setattr(engine_torch, "forward", lambda a, *rest, by=factor: right(a * by, *rest))
        rows = benchmark.correctness()
        assert not any(row["ok"] for row in rows if row["what"] == "torch" and row["dtype"] == "torch.float32")


def test_a_beginning_is_quick_and_compiles_wherever_the_users_cache_lies(tmp_path, monkeypatch):
    """Ratios, since machines differ: importing beyond torch is a small part of torch's own import."""
    users = tmp_path / "users"  # whatever the environment says, as on macOS
    startup = f"import pathlib\nfrom workbench import files\nfiles.cache = lambda: pathlib.Path({str(users)!r})\n"
    (tmp_path / "sitecustomize.py").write_text(startup)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    ms = {row["what"]: row["ms"] for row in benchmark.start(repeats=1)}
    assert ms["import"] < ms["torch"] / 5
    assert ms["first layer"] <= ms["all of it"]
    assert not users.exists()


def test_the_report_names_all_that_was_timed(rows):
    text = benchmark.report(rows)
    assert all(word in text for word in ("4,2,1,5", "torch", "nn.GRU", "floor", "100%", "1.0x", "load", "saved", "iqr"))
    assert "official" not in text.splitlines()[0]
    assert benchmark.report([]) == "nothing was timed"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"shapes": ["nowhere"]}, "^shapes: 'nowhere'.*mnist"),
        ({"shapes": ["1,2,3"]}, "^shapes: '1,2,3'"),
        ({"shapes": ["0,1,1,1"]}, "^shapes: '0,1,1,1'"),
        ({"shapes": ["\u00b2,1,1,1"]}, "^shapes: '\u00b2,1,1,1'"),
        ({"shapes": [f"{'9' * 5000},1,1,1"]}, r"^shapes: '9{76}\.\.\. is not"),
        ({"threads": [0]}, "^threads: 0"),
        ({"repeats": 0}, "^repeats: 0"),
        ({"engines": ["cuda"]}, "^backend: 'cuda'"),
        ({"rivals": ["nn.CNN"]}, "^rivals: 'nn.CNN'.*nn.GRU"),
    ],
)
def test_a_wrong_request_is_refused_by_name(arguments, named):
    with pytest.raises(ParameterError, match=named):
        benchmark.layers(**{"shapes": ["2,1,3,2"], "repeats": 1} | arguments)


def test_an_unknown_axis_is_refused_by_name():
    with pytest.raises(ParameterError, match=r"^axes: 'time'.*depth"):
        benchmark.scaling(["time"])


def test_everything_has_every_part_in_its_turn(monkeypatch):
    def part(name):
        return lambda *args, **settings: [{"table": name, "settings": settings}]

    for name, table in {"correctness": "correctness", "start": "start", "training_step": "step"}.items():
        monkeypatch.setattr(series, name, part(table))
    monkeypatch.setattr(series, "scaling", part("scaling"))
    asked = {}
    monkeypatch.setattr(series, "layers", lambda *args, **settings: asked.update(args=args, **settings) or [])
    parts = list(benchmark.everything([1]))
    assert [name for name, _ in parts] == ["correctness", "first use", "training step", "layers", "scaling"]
    assert [row["table"] for _, rows in parts for row in rows] == ["correctness", "start", "step", "scaling"]
    assert asked["args"][0] == list(benchmark.SHAPES)
    assert asked["args"][3] == ["auto", *(e for e in measured.engines_on("cpu") if e != "cpu")]


def test_engines_are_timed_on_the_device_whose_tensors_they_take(monkeypatch):
    monkeypatch.setattr(recurrence, "available", lambda: ["loop", "cpu", "scan", "triton"])
    assert measured.engines_on("cpu") == ["loop", "cpu", "scan"]
    assert measured.engines_on("cuda") == ["loop", "scan", "triton"]


def test_each_shape_is_handed_over_when_it_is_done(monkeypatch):
    """A machine may be gone before the next."""
    monkeypatch.setattr(series, "layers", lambda shapes, **_: [{"table": "layer", "shape": shapes[0]}])
    assert [name for name, _ in series._some(SMALL, [1], "cpu", False)] == [f"layers, {shape}" for shape in SMALL]


def test_the_command_keeps_what_is_measured_part_after_part(monkeypatch, tmp_path, capsys):
    from workbench.__main__ import main

    def cut_off(threads, device):
        yield "first", [{"table": "start", "what": "import", "ms": 1.0}]
        raise KeyboardInterrupt

    monkeypatch.setattr(series, "everything", cut_off)
    out = tmp_path / "bench" / "cpu.json"
    assert main(["bench", "--all", "--out", str(out)]) == 5
    assert "first: 1 rows" in capsys.readouterr().err
    assert benchmark.record.read(out)["rows"] == [{"table": "start", "what": "import", "ms": 1.0}]


def test_a_wrong_shape_is_refused_before_those_ahead_of_it_are_timed(monkeypatch, capsys):
    from workbench.__main__ import main

    monkeypatch.setattr(series, "layers", lambda shapes, **_: pytest.fail(f"{shapes} timed"))
    assert main(["bench", "--shapes", SMALL[0], "--shapes", "20,2,4"]) == 2
    assert capsys.readouterr().err.startswith("workbench: shapes: '20,2,4' is not T,B,inputs,N nor one of ")


def test_the_shapes_that_the_help_names_are_known(capsys):
    from workbench.__main__ import main

    main(["bench", "--help"])
    named = re.search(r"A name \(([^)]*), \.\.\.\)", " ".join(capsys.readouterr().out.split()))[1]
    assert {*named.split(", ")} <= {*benchmark.SHAPES}


def test_an_engine_that_cannot_run_here_is_refused_before_anything_is_timed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ParameterError, match="engines: 'triton' cannot run here: no CUDA device"):
        benchmark.layers(SMALL, engines=["auto", "triton"])


def test_on_a_device_products_are_in_one_precision_for_ours_and_cudnn_and_stay_as_they_were():
    places = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [place.allow_tf32 for place in places]
    for precision in timing.PRECISIONS:
        with timing.products_in(precision, "cuda") as column:
            assert column == {"precision": precision}
            assert [place.allow_tf32 for place in places] == [precision == "tf32"] * 2
        assert [place.allow_tf32 for place in places] == before
    with timing.products_in("tf32", "cpu") as column:
        assert column == {}
        assert [place.allow_tf32 for place in places] == before


def test_on_a_device_graphs_an_unprefetched_kernel_and_the_official_layout_take_their_turns(monkeypatch):
    """Shapes stand in for a device; nothing is timed."""
    stand_in(monkeypatch, lambda *_: None)
    rounds = []
    monkeypatch.setattr(measured, "graphed", lambda call: call)
    monkeypatch.setattr(
        measured, "interleave", lambda calls, *_: rounds.append(calls) or {name: [1.0] for name in calls}
    )
    monkeypatch.setattr(measured.Contest, "bytes_held", lambda *_: 0.0)
    rows = benchmark.layers(["4,2,3,3"], device="meta", engines=["auto"])
    ours = ["auto", "not prefetched", "official layout", "nn.LSTM", "auto, graph", "nn.LSTM, graph"]
    assert [[name for name in calls if name not in timing.YARDSTICKS] for calls in rounds] == [ours, ours]
    assert [row["precision"] for row in rows if row["what"] == "auto"] == ["fp32", "tf32"]
    assert {row["copy_bandwidth"] for row in rows} == {2.0 * timing.copied("meta")}


def test_a_devices_memory_is_measured_by_gigabytes_and_a_cpus_beyond_its_cache():
    assert 1e9 <= timing.copied("cuda") <= 4e9
    assert timing.copied("cpu") == timing.COPY
