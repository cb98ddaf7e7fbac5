"""The committed table of drop-in cases has every case of today, and its page is the table."""

from drop_in import CASES
from drop_in.run import TABLE, page, read

STALE = "results/drop_in.csv is stale: python scripts/drop_in.py"


def test_every_case_stands_in_the_table_once_and_in_order():
    assert [(row["group"], row["case"]) for row in read()] == [(c.group, c.name) for c in CASES.values()], STALE


def test_in_the_table_nothing_is_wrong_and_nothing_crashed():
    for row in read():
        assert {row[engine] for engine in ("auto", "loop", "torch", "cpu", "scan")} <= {"passes", "refuses", "fails"}, (
            row
        )


def test_the_page_is_the_table():
    assert TABLE.with_suffix(".md").read_text(encoding="utf-8") == page(read()), STALE
