"""Fig. 2's ratios: one a process start, kept with their device, and judged on it alone."""

import json

import pytest

import workbench as wb
from workbench import files
from workbench.__main__ import main
from workbench.analysis import benchmark, claims, tables
from workbench.analysis.benchmark import figure2
from workbench.errors import RunError
from workbench.paper import claims as every

PRESENT = every.table_hash(every.present())
TIMED = [claim for claim in every.claims() if claim.kind == "ratio"]


def test_every_ratio_claim_names_layers_and_a_length():
    found = {claim.id: figure2.setting(claim) for claim in TIMED}
    assert found["abstract-faster"] == (1, 1024)
    printed = {f"fig2-{k}_layer-T{T}": (k, T) for k in figure2.INDRNNS for T in figure2.LENGTHS}
    assert found == printed | {"abstract-faster": (1, 1024)}


def test_a_start_has_ratios_of_mean_times_of_nets_that_take_turns(monkeypatch):
    seen = []

    def seconds(task, net, device, index):
        kind = type(net).__name__
        seen.append(index)
        return 100.0 if index == 0 else {"Stack": 1.0}.get(kind, 1.0) * (10 if "LSTM" in repr(net) else index)

    monkeypatch.setattr(figure2, "_seconds", seconds)
    rows = figure2.start("cpu", [4, 8], 3)
    assert seen == [index for _ in (4, 8) for index in range(4) for _ in range(3)]
    assert [(row["T"], row["layers"], row["lstm"]) for row in rows] == [(T, k, 5.0) for T in (4, 8) for k in (1, 2)]
    assert {row["batches"] for row in rows} == {3}


def test_each_start_is_a_process_of_its_own():
    found = list(figure2.starts(2, "cpu", [4], 2))
    assert [[row["start"] for row in rows] for rows in found] == [[0, 0], [1, 1]]
    assert found[0][0]["lstm"] != found[1][0]["lstm"] > 0


def test_a_start_that_fails_says_why():
    with pytest.raises(RunError, match=r"process start 0: .*length"):
        list(figure2.starts(1, "cpu", [1], 2))


@pytest.fixture
def measured(store, tmp_path, monkeypatch):
    """Keep ratios as one's own record of a kind of device, nothing being published; the rows of a claim on each."""
    monkeypatch.setattr(files, "published", lambda: tmp_path / "published")

    def keep(values, device="cpu", batches=figure2.BATCHES, under=PRESENT):
        rows = [
            {"table": "ratio", "start": i, "T": 1024, "layers": 1, "batches": batches, "lstm": value}
            for i, value in enumerate(values)
        ]
        benchmark.record.write(figure2.place(device), rows, "cpu", threads=1, claims=under)

    def rows(claim="abstract-faster"):
        return {row["device"].partition(":")[0]: row for row in claims.rows(["timing"]) if row["claim"] == claim}

    return keep, rows


@pytest.mark.parametrize(
    ("word", "n", "values"),
    [
        ("reproduced", 5, [30.0, 31.0, 29.0, 30.5, 29.5]),
        ("not reproduced", 5, [9.0, 9.1, 8.9, 9.05, 8.95]),
        ("undecided", 5, [9.0, 11.0, 10.0, 10.5, 9.5]),
        ("undecided", 4, [30.0, 31.0, 29.0, 30.5]),
        ("reproduced", 6, [30.0, 31.0, 29.0, 30.5, 29.5, 30.0]),
    ],
)
def test_a_ratio_is_judged_on_the_device_that_was_measured(measured, word, n, values):
    keep, rows = measured
    keep(values)
    cpu, cuda = rows()["cpu"], rows()["cuda"]
    assert (cpu["verdict"], cpu["n"], cuda["verdict"], cuda["n"]) == (word, n, "not run", 0)
    assert cpu["device"].startswith("cpu: ")
    assert benchmark.record.about("cpu")["processor"] in cpu["device"]
    assert cpu["device"].removeprefix("cpu: ") in cpu["note"]
    assert cuda["note"] == "workbench bench --starts 5 --device cuda; not begun on a GPU"  # whatever the CPU's row says
    assert cpu["low"] <= cpu["ours"] <= cpu["high"]


def test_what_is_drawn_of_a_record_is_the_geometric_mean_over_its_starts(measured):
    keep, _ = measured
    keep([8.0, 18.0])
    table, where = figure2.recorded_batches("cpu")
    assert table.to_dict("records") == [{"net": "IndRNN, 1 layer", "T": 1024, "faster": pytest.approx(12.0)}]
    assert where.startswith("2 process starts of 100 batches, one thread: ")
    assert figure2.recorded_batches("cuda") is None


def test_the_margin_of_fig_2_is_a_fifth_and_each_device_has_its_own_row(measured):
    keep, rows = measured
    keep([10.5, 10.6, 10.4, 10.55, 10.45])  # 12.9 less a fifth is 10.32
    keep([9.0, 9.1, 8.9, 9.05, 8.95], "cuda")
    found = rows("fig2-1_layer-T1024")
    assert (found["cpu"]["verdict"], found["cuda"]["verdict"]) == ("reproduced", "not reproduced")
    assert rows("fig2-2_layer-T1024")["cpu"]["verdict"] == "not run"  # two layers were not measured
    table = wb.results_table(["timing"])
    assert tables.words_of(table)["fig2-1_layer-T1024"] == "not reproduced"
    shown = tables.answered(table[table["claim"] == "fig2-1_layer-T1024"])
    assert shown["verdict"].tolist() == ["reproduced", "not reproduced"]
    assert shown["test"].str.startswith(("timing on the CPU: time", "timing on a GPU: time")).all()
    assert shown["test"].str.endswith("T = 1024, 12.9 times").all()


def test_what_was_measured_otherwise_does_not_count(measured):
    keep, rows = measured
    many = [30.0, 31.0, 29.0, 30.5, 29.5]
    keep(many, batches=9)
    assert rows()["cpu"]["verdict"] == "not run"
    for under in (None, "0" * 16):
        keep(many, under=under)
        row = rows()["cpu"]
        assert (row["verdict"], row["ours"]) == ("not run", None)
        assert row["note"].endswith("measured before the claim was written as it is now: set aside")


def test_the_command_keeps_its_ratios_where_the_tables_read_them(measured, monkeypatch, capsys):
    _, rows = measured

    def three(count, device):
        for i in range(count):
            row = {"T": 1024, "layers": 1, "batches": 100, "threads": 1, "ms": 1.0, "lstm_ms": 30.0 + i}
            yield [{"table": "ratio", "start": i, "device": device, "lstm": 30.0 + i, "load": 0.0} | row]

    monkeypatch.setattr(figure2, "starts", three)
    assert main(["bench", "--starts", "3", "--device", "cpu"]) == 0
    assert "start 3 of 3" in capsys.readouterr().err
    kept = json.loads(figure2.place("cpu").read_text())["about"]
    assert (kept["claims"], kept["threads"]) == (PRESENT, 1)
    assert (rows()["cpu"]["verdict"], rows()["cpu"]["n"]) == ("undecided", 3)
    assert main(["bench", "--starts", "3", "--step"]) == 2
    assert "--starts: it measures Fig. 2's ratios alone" in capsys.readouterr().err
    assert main(["bench", "--starts", "0"]) == 2
    assert "starts: 0 is not a number of starts" in capsys.readouterr().err
