"""The record of timings: what it keeps, what is read of a former one, and the figures and summary made of it."""

import json

import pytest

from workbench import files
from workbench.analysis import benchmark, figures
from workbench.errors import DataError, ParameterError


def test_nothing_published_beats_the_floor_by_more_than_noise():
    rows = benchmark.record.newest("cpu")["rows"]
    assert all(row["floor"] <= 1.05 for row in rows if "floor" in row)


@pytest.mark.parametrize("schema", [1, 2])
def test_a_record_of_a_former_floor_is_read_without_it(tmp_path, rows, schema):
    path = tmp_path / "cpu.json"
    path.write_text(json.dumps({"schema": schema, "about": {}, "rows": rows}))
    kept = benchmark.record.read(path)["rows"]
    assert len(kept) == len(rows) - 4
    assert not any("floor" in row or row["what"] == "floor" for row in kept)
    (note,) = figures.floors(kept).layout.annotations
    assert "make bench" in note.text
    assert len(figures.layers(kept).data) == 6


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_columns_of_a_former_schema_are_read_under_their_present_names(tmp_path, rows, schema):
    path, former = tmp_path / "cpu.json", {"iqr": "spread", "saved": "kept"}
    old = [{former.get(name, name): value for name, value in row.items()} for row in rows]
    path.write_text(json.dumps({"schema": schema, "about": {}, "rows": old}))
    there = benchmark.record.read(path)["rows"]
    assert [row.get("iqr") for row in there] == [
        row.get("iqr") for row in rows if schema == 3 or row["what"] != "floor"
    ]
    assert [row.get("saved") for row in there if "saved" in row] == [row["saved"] for row in rows if "saved" in row]


def test_a_record_keeps_rows_and_circumstances(tmp_path, rows):
    path = tmp_path / "bench" / "cpu.json"
    benchmark.record.write(path, rows)
    kept = benchmark.record.read(path)
    assert kept["rows"] == rows
    assert {"torch", "code", "device", "cores", "processor", "date"} <= set(kept["about"])
    assert str(tmp_path) not in path.read_text()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 99, "rows": []}', '{"schema": 1, "rows": [{}]}'])
def test_a_file_that_is_no_record_is_refused(tmp_path, text):
    path = tmp_path / "cpu.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"cpu\.json: not a benchmark record"):
        benchmark.record.read(path)


def test_ones_own_record_comes_before_the_published_one(tmp_path, monkeypatch, rows):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path))
    assert benchmark.record.newest("tpu") is None
    benchmark.record.write(tmp_path / "bench" / "cpu.json", rows[:1])
    assert benchmark.record.newest("cpu")["rows"] == rows[:1]


def test_the_published_record_of_this_kind_of_machine_is_complete():
    record = benchmark.record.newest("cpu")
    tables = {row["table"] for row in record["rows"]}
    assert tables == {"correctness", "start", "step", "layer", "scaling"}
    assert {row["shape"] for row in record["rows"] if row["table"] == "layer"} == set(benchmark.SHAPES)
    assert all(row["ok"] for row in record["rows"] if row["table"] == "correctness")


def test_figures_show_every_layer_and_length(rows):
    figure = figures.layers(rows)
    assert [trace.name for trace in figure.data] == [
        "IndRNN", "IndRNN in pure torch", "IndRNN as a Python loop", "nn.LSTM", "nn.GRU", "nn.RNN"
    ]  # fmt: skip
    assert list(figure.data[0].x) == ["4, 2, 3, 5", "4, 2, 1, 5"]
    assert figures.layers([*rows, *(row | {"precision": "tf32"} for row in rows)]) == figure  # a GPU's other precision
    lstm = next(trace for trace in figure.data if trace.name == "nn.LSTM")
    assert list(lstm.y) == [1.0, 1.0]
    assert all(width >= 0 for trace in figure.data for width in (*trace.error_y.array, *trace.error_y.arrayminus))
    (bars,) = figures.floors(rows).data
    assert list(bars.y) == [100 * r["floor"] for r in rows if r["what"] == "auto" and r["which"] == "both"]
    lengths = benchmark.scaling(["T"], engines=["auto"], repeats=1, limit=0.0)
    assert list(figures.scaling(lengths, "T").data[0].x) == [100]
    with pytest.raises(ParameterError, match=r"axis: 'time' is unknown; choose one of B, N, T"):
        figures.scaling(lengths, "time")


def test_the_summary_is_a_row_a_shape_with_ratios_and_shares_of_the_published_rows():
    rows = benchmark.record.read(files.published() / "bench" / "cpu.json")["rows"]
    table = benchmark.summary(rows)
    layers = [r for r in rows if r["table"] == "layer" and r["which"] == "both"]
    assert len(table) == len({r["shape"] for r in layers})
    first = layers[0]
    row = table[table["steps, batch, inputs, units"] == "{T:,}, {B}, {inputs:,}, {N:,}".format(**first)].iloc[0]
    (ours,) = [r for r in layers if r["shape"] == first["shape"] and r["threads"] == 1 and r["what"] == "auto"]
    (plain,) = [r for r in layers if r["shape"] == first["shape"] and r["threads"] == 1 and r["what"] == "torch"]
    assert row["1 thread"] == benchmark.faster(ours)
    assert row["pure torch, no compiler"] == benchmark.faster(plain)
    assert table.equals(benchmark.summary([*rows, *(r | {"precision": "tf32", "lstm": 9.0} for r in rows)]))
    shares = [name for name in table.columns if name.strip() == "of the floor"]
    assert len(shares) == len({r["threads"] for r in layers if "floor" in r})
    assert all(row[name].endswith(" %") for name in shares)
