"""The table of claims: complete, consistent with the experiments, and unchanged since the runs that it judges."""

import csv
import random
import re
from itertools import pairwise

import pytest

from workbench import files, paper
from workbench.errors import DataError, ParameterError
from workbench.paper import claims

TABLE = files.paper() / "claims.csv"
BY_ID = {each.id: each for each in claims.claims()}


def rows():
    with TABLE.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def written(path, cells, columns=claims.COLUMNS, **how):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, **how)
        writer.writeheader()
        writer.writerows(cells)
    return path


def changed(path, name, **cells):
    return written(path, [row | cells if row["id"] == name else row for row in rows()])


# --- what belongs on the list ---


def of(place):
    return [each for each in BY_ID.values() if each.place.startswith(place)]


@pytest.mark.parametrize(("table", "cells"), [("Table 2", 8), ("Table 3", 6), ("Table 4", 3), ("Table 5", 8)])
def test_every_cell_of_a_table_is_a_claim(table, cells):
    printed = [each for each in of(table) if each.rank == "printed number"]
    assert len(printed) == cells
    assert {(each.kind, each.of) for each in printed} == {("value", "paper")}


def test_every_claim_of_an_experiment_is_in_the_table_with_its_number_metric_and_source():
    values = [each for each in BY_ID.values() if each.kind == "value"]
    found = set()
    for known in paper.EXPERIMENTS.values():
        for stated in known.claims:
            alike = [
                each.id
                for each in values
                if known.id in each.experiments
                and (each.metric, each.value, each.source) == (stated.metric, stated.value, stated.source)
                and (each.of == "log") == stated.log
            ]
            is_claim = stated.ours and "read off" not in stated.source  # others' numbers are references
            assert len(alike) == is_claim, (known.id, stated)
            found.update(alike)
    more = {each.id for each in values if each.experiments} - found
    assert more == {"log-9652-permmnist_plain12"}  # of its twin the experiment names one


def test_the_ratios_of_fig_2_are_those_of_the_papers_text():
    printed = {}
    for row in paper.published.published("fig2_timing"):
        if row["source"].startswith("paper v2 text"):
            layers, steps = re.search(r"\((\d) layer", row["model"])[1], row["setting"].removeprefix("T=")
            printed[f"fig2-{layers}_layer-T{steps}"] = float(row["value"])
    assert printed == {each.id: each.value for each in of("Fig. 2")}
    assert len(printed) == 6
    bound = BY_ID["abstract-faster"]
    assert (bound.value, bound.margin, bound.least) == (10, None, 5)


def test_the_ranges_of_table_1_follow_from_the_formulas_that_its_claims_test():
    assert [each.kind for each in of("Table 1")] == ["property"] * 3
    for stated in paper.EXHIBITS["bounds"].claims:
        steps, gamma = (int(re.search(rf"{letter}=(\d+)", stated.metric)[1]) for letter in ("T", "MAG"))
        ends = {"upper bound of |u|": gamma ** (1 / steps), "lower end of last-layer init": gamma ** (-1 / steps)}
        assert stated.value == pytest.approx(ends[stated.metric.partition(",")[0]], abs=5e-9)


def test_who_solves_the_adding_problem_is_said_for_every_net_and_length_of_section_5_1():
    solved = {each.experiments[0]: each.value for each in of("Section 5.1") if each.kind == "solved"}
    never = {f"adding_rnn_tanh_T{T}" for T in (100, 500, 1000)} | {"adding_lstm_T1000", "adding_irnn_T1000"}
    solves = {f"adding_indrnn_T{T}" for T in (100, 500, 1000, 5000)}
    solves |= {"adding_lstm_T100", "adding_lstm_T500", "adding_irnn_T100"}
    assert solved == dict.fromkeys(never, 0) | dict.fromkeys(solves, 1)


def test_depth_is_claimed_in_order_on_both_pixel_tasks():
    deeper = [(each.experiments[0], each.against[0]) for each in BY_ID.values() if each.id.startswith("deeper-")]
    chain = ("plain6", "plain12", "res", "dense")
    wanted = [(f"{task}_{b}", f"{task}_{a}") for task in ("seqmnist", "permmnist") for a, b in pairwise(chain)]
    assert sorted(deeper) == sorted(wanted)


def test_an_order_is_claimed_of_nets_on_one_task():
    """The same data, read the same way; of the adding problem the length may be what is compared."""
    for each in (c for c in BY_ID.values() if c.kind == "order"):
        tasks = [paper.experiment(name).config.task for name in (*each.experiments, *each.against)]
        alike = [{k: v for k, v in task.model_dump().items() if k not in ("length", "chunks")} for task in tasks]
        assert all(one == alike[0] for one in alike), each.id
        lengths = {task.length for task in tasks}
        assert len(lengths) == 1 or "shorter" in each.id or alike[0]["name"] == "treebank", each.id


def test_every_sentence_of_the_abstract_has_a_claim():
    words = ("explosion", "vanishing", "relu", "21_layers", "dense", "faster", "better")
    said = [each.id for each in BY_ID.values() if each.abstract]
    assert all(any(word in name for name in said) for word in words)
    assert {"fig4-indrnn-T1000", "fig4-indrnn-T5000"} <= set(said)  # long memory; over 5,000 steps


def test_what_needs_ntu_rgb_d_says_that_it_must_be_asked_for():
    for each in BY_ID.values():
        needs = any(paper.EXPERIMENTS[n].data == "ntu" for n in each.experiments if n in paper.EXPERIMENTS)
        assert not needs or each.cannot == claims.NTU
    assert sum(each.cannot == claims.NTU for each in BY_ID.values()) == 32


def test_a_number_read_off_a_figure_is_no_claim():
    assert not [each.id for each in BY_ID.values() if "read off" in each.source or "digitised" in each.source]


def test_the_statistics_of_the_test_batch_are_a_protocol_of_their_own():
    of_batch = {each.id for each in BY_ID.values() if each.protocol == "test batch"}
    assert of_batch == {n for n in BY_ID if n.endswith("-test_batch")} | {"table5-ntu_cs_dense"}
    assert all("train.bn_statistics=test" in BY_ID[name].test for name in of_batch)


def test_the_test_of_a_value_names_the_number_that_decides():
    for each in BY_ID.values():
        if each.kind == "value":
            edge = each.value + (each.margin if each.better == "lower" else -each.margin)
            assert each.test.count(f"{edge:.6g}") == 2, each.id
        if each.kind == "ratio" and each.margin:
            assert f"{each.value - each.margin:.6g}" in each.test


@pytest.mark.parametrize(
    ("name", "margin"),
    [
        ("table2-seqmnist_plain6", 0.2),
        ("table2-seqmnist_plain12", 0.126),
        ("log-9704-permmnist_plain12", 0.592),
        ("table3-ptbchar_res21_T50", 0.02),
        ("table4-ptbword_dense", 1.6911),
        ("table4-ptbword_dense-dynamic", 1.5291),
        ("table5-ntu_cs_dense", 1.0),
        ("fig2-1_layer-T1024", 2.58),
    ],
)
def test_margins_are_those_that_were_stated(name, margin):
    assert BY_ID[name].margin == pytest.approx(margin)


def test_an_unknown_claim_is_refused():
    assert claims.claim("abstract-faster") is BY_ID["abstract-faster"]
    with pytest.raises(ParameterError, match="'abstract-slower' is unknown"):
        claims.claim("abstract-slower")


def test_a_cycle_answers_the_claims_of_its_parent():
    own, cycle = claims.answered_by("permmnist_plain12"), claims.answered_by("permmnist_plain12_cycle")
    assert {each.id for each, _ in own} == {
        "table2-permmnist_plain12",
        "log-9652-permmnist_plain12",
        "log-9704-permmnist_plain12",
        "deeper-permmnist-plain12_below_plain6",
    }
    assert cycle == [(each, True) for each, of_parent in own if not of_parent]
    assert claims.answered_by("seqmnist_plain6_near1") == []


# --- what the table may not say ---

CASES = {
    "a margin of one's own": ("table2-seqmnist_plain6", {"margin": "0.5"}, "margin: 0.5 is not the rule's"),
    "a margin of the bound": ("abstract-faster", {"margin": "1"}, "margin"),
    "an unknown experiment": ("table2-seqmnist_plain6", {"experiments": "seqmnist_plain7"}, "plain7'.*unknown"),
    "a cycle": ("table2-seqmnist_plain6", {"experiments": "seqmnist_plain6_cycle"}, "parent's claim"),
    "no experiment": ("table2-seqmnist_plain6", {"experiments": ""}, "one is needed"),
    "NTU without its reason": ("table5-ntu_cs_plain4", {"cannot": ""}, "must be asked for"),
    "an order against nothing": ("fig4-irnn_shorter_first", {"against": ""}, "against"),
    "a value against something": ("table2-seqmnist_plain6", {"against": "seqmnist_lstm"}, "against"),
    "no value": ("table2-seqmnist_plain6", {"value": ""}, "value"),
    "half solved": ("fig4-indrnn-T100", {"value": "0.5"}, "1 for solves"),
    "a figure": ("table2-seqmnist_plain6", {"rank": "read off a figure"}, "rank"),
    "a log that is printed": ("log-9704-permmnist_plain12", {"rank": "printed number"}, "rank"),
    "an order of numbers": ("fig4-irnn_shorter_first", {"better": "lower"}, "better"),
    "two seeds": ("table2-seqmnist_plain6", {"least": "2"}, "least"),
    "one seed": ("table2-seqmnist_plain6", {"least": "1"}, "least"),
    "an unknown metric": ("table2-seqmnist_plain6", {"metric": "error"}, "margin"),
    "not a number": ("table2-seqmnist_plain6", {"value": "nan"}, "value"),
    "a word for a number": ("table2-seqmnist_plain6", {"value": "one"}, "could not convert"),
    "perhaps in the abstract": ("table2-seqmnist_plain6", {"abstract": "true"}, "yes or no"),
    "no test": ("table2-seqmnist_plain6", {"test": ""}, "test"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_row_that_does_not_hold_together_is_refused(case, tmp_path):
    name, cells, message = CASES[case]
    line = [row["id"] for row in rows()].index(name) + 2
    with pytest.raises(DataError, match=rf"line {line}: .*{message}"):
        claims.read(changed(tmp_path / "claims.csv", name, **cells))


def test_a_table_of_other_columns_or_torn_rows_or_two_rows_of_one_name_is_refused(tmp_path):
    path = tmp_path / "claims.csv"
    with pytest.raises(DataError, match="columns"):
        claims.read(written(path, [{"id": "a"}], ["id"]))
    whole = TABLE.read_text(encoding="utf-8")
    for torn in (whole + "a,b\n", whole.rstrip("\n") + ",more\n"):
        path.write_text(torn, encoding="utf-8")
        with pytest.raises(DataError, match="cells"):
            claims.read(path)
    with pytest.raises(DataError, match="stands twice"):
        claims.read(written(path, [*rows(), rows()[0]]))


# --- the hash and the history ---


def hashes(path):
    return {each.id: each.row for each in claims.read(path)}


def test_the_hash_is_of_what_is_said_not_of_how_it_is_written(tmp_path):
    shuffled = rows()
    random.Random(0).shuffle(shuffled)
    shuffled = [row | {"value": row["value"] and f"{float(row['value']):.15e}"} for row in shuffled]
    other = written(tmp_path / "claims.csv", shuffled, claims.COLUMNS[::-1], quoting=csv.QUOTE_ALL)
    assert hashes(other) == claims.present()
    assert claims.table_hash(hashes(other)) == claims.table_hash(claims.present())


@pytest.mark.parametrize("cells", [{"source": "elsewhere"}, {"test": "By eye."}, {"value": "2", "margin": "0.4"}])
def test_whatever_a_row_says_changes_its_hash_and_no_other(cells, tmp_path):
    name = "table2-seqmnist_plain6"
    other = hashes(changed(tmp_path / "claims.csv", name, **cells))
    assert {n for n in BY_ID if other[n] != claims.present()[n]} == {name}
    assert claims.table_hash(other) != claims.table_hash(claims.present())


def next_lines(tables, rows):
    """The lines that a history needs so that its last table is the one of these rows: none if it is already."""
    last = list(tables.values())[-1] if tables else {}
    changed = {name: rows.get(name, "") for name in sorted({*last, *rows}) if rows.get(name) != last.get(name)}
    return [{"table": claims.table_hash(rows), "claim": name, "row": row} for name, row in changed.items()]


def test_the_present_table_is_the_last_of_its_history():
    missing = next_lines(claims.history(), claims.present())
    assert not missing, f"claims.csv changed; append to claims_history.csv: {missing}"
    assert list(claims.history())[-1] == claims.table_hash(claims.present())


def test_a_row_reads_as_it_did_only_under_a_table_that_holds_it():
    now, tables = claims.table_hash(claims.present()), claims.history()
    assert all(claims.unchanged(name, now, tables) for name in BY_ID)
    assert not any(claims.unchanged(name, "0123456789abcdef", tables) for name in BY_ID)
    assert not claims.unchanged("table2-seqmnist_plain6", None)


def test_a_change_of_one_row_refuses_that_row_alone(tmp_path):
    present = claims.present()
    old = present | {"table2-seqmnist_plain6": "0" * 16, "gone": "1" * 16}
    path = tmp_path / "history.csv"
    lines = next_lines({}, old)
    lines += next_lines({claims.table_hash(old): old}, present)
    assert [line["claim"] for line in lines[len(old) :]] == ["gone", "table2-seqmnist_plain6"]
    tables = claims.history(written(path, lines, ("table", "claim", "row")))
    assert list(tables.values()) == [old, present]
    began = claims.table_hash(old)
    assert claims.unchanged("table2-permmnist_plain6", began, tables)
    assert not claims.unchanged("table2-seqmnist_plain6", began, tables)
    assert claims.unchanged("table2-seqmnist_plain6", claims.table_hash(present), tables)
    assert not next_lines(tables, present)
    lines += next_lines(tables, old)  # and back again
    tables = claims.history(written(path, lines, ("table", "claim", "row")))
    assert list(tables.values()) == [present, old]


def test_no_change_can_be_left_out_of_the_history(tmp_path):
    lines = next_lines({}, claims.present())
    for altered in (lines[1:], [lines[0] | {"row": "0" * 16}, *lines[1:]]):
        with pytest.raises(DataError, match="not the hash of its rows"):
            claims.history(written(tmp_path / "history.csv", altered, ("table", "claim", "row")))
