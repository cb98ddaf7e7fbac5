"""The published table of what was tried to break it has every kind of it, and nothing in it was lost."""

import csv
import runpy
from pathlib import Path

from bad_inputs import CASES
from fuzz import targets

ROOT = Path(__file__).parent.parent
MADE = runpy.run_path(str(ROOT / "scripts" / "robustness.py"))
ROWS = MADE["read"](MADE["TABLE"])
STALE = "results/robustness.csv is stale: make robustness"


def whats(kind):
    return {row["what"] for row in ROWS if row["kind"] == kind}


def test_every_door_section_fault_reader_and_test_stands_in_the_table():
    assert whats("bad input") == {f"{case.section}, by {case.door}" for case in CASES}, STALE
    assert whats("fuzzing") == whats("seeds and changes of them") == set(targets.TARGETS), STALE
    assert whats("fault") == {f"{number:02} of the list" for number in range(1, 19)}, STALE
    for kind in ("security", "property"):
        folder = {"security": "security", "property": "properties"}[kind]
        assert len(whats(kind)) >= len(list((ROOT / "tests" / folder).glob("test_*.py"))), STALE


def test_nothing_was_lost_and_what_fuzzing_found_is_repaired():
    for row in (row for row in ROWS if row["kind"] != "mutant"):
        found = int(row["note"].rpartition(": ")[2]) if row["kind"] == "fuzzing" else 0
        assert int(row["tried"]) > 0, row
        assert int(row["survived"]) == int(row["tried"]) - found, row
    with (ROOT / "results" / "fuzz.csv").open(newline="", encoding="utf-8") as file:
        assert all(int(row["since"]) > 0 for row in csv.DictReader(file))


def test_of_the_faults_put_into_the_code_the_tests_notice_most_and_each_other_was_looked_at():
    mutants = MADE["read"](ROOT / "results" / "mutants.csv")
    unnoticed = [row for row in mutants if row["outcome"] == "survived"]
    assert all(row["why"] for row in unnoticed)
    (row,) = (row for row in ROWS if row["kind"] == "mutant")
    assert (int(row["tried"]), int(row["survived"])) == (len(mutants), len(mutants) - len(unnoticed)), STALE
    same = int(row["note"].rpartition(": ")[2])
    assert len(mutants) - len(unnoticed) >= 0.85 * (len(mutants) - same)


def test_the_page_is_the_table():
    assert MADE["TABLE"].with_suffix(".md").read_text(encoding="utf-8") == MADE["page"](ROWS)
