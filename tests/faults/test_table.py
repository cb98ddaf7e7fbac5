"""The published table of faults: every fault of the list was tried, and what was tried survived."""

import csv

from faults.conftest import COLUMNS, TABLE


def test_every_fault_stands_in_the_table_and_none_was_lost():
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert {int(row["fault"]) for row in rows} == set(range(1, 19))
    for row in rows:
        assert 0 < int(row["tries"]) == int(row["survived"]), row
    page = TABLE.with_suffix(".md").read_text(encoding="utf-8")
    assert all(f"| {row['fault']} | {row['what']} | {row['goal']} | {row['tries']} |" in page for row in rows)
