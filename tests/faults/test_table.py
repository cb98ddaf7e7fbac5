"""The published tables of faults: every one of the list was tried and survived; what strangers met has its tests."""

import ast
import csv

from faults.conftest import COLUMNS, TABLE

ROOT = TABLE.parent.parent


def test_every_fault_stands_in_the_table_and_none_was_lost():
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert {int(row["fault"]) for row in rows} == set(range(1, 19))
    for row in rows:
        assert 0 < int(row["tries"]) == int(row["survived"]), row
    page = TABLE.with_suffix(".md").read_text(encoding="utf-8")
    assert all(f"| {row['fault']} | {row['what']} | {row['goal']} | {row['tries']} |" in page for row in rows)


def test_what_strangers_ran_into_is_held_by_tests_that_are_there():
    with (ROOT / "results" / "strangers.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["point"]) for row in rows} == set(range(1, 11))
    for row in rows:
        path, _, name = row["test"].partition("::")
        body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        assert name in {node.name for node in body if isinstance(node, ast.FunctionDef)}, row
        assert row["version 0.1"] != row["now"], row
