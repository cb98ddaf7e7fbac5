"""Tables for a terminal: as wide as it is, whole words, no empty columns."""

import pandas as pd
import pytest

from workbench.analysis import listing

NAMES = ", ".join(f"adding_lstm_T{n}" for n in (100, 500, 1000, 5000))
TABLE = pd.DataFrame(
    [
        {"experiment": NAMES, "ours": "", "n": 3, "verdict": "not reproduced", "note": "a " * 40},
        {"experiment": "x", "ours": "", "n": 12, "verdict": "not run", "note": ""},
    ]
)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_is_no_wider_than_the_terminal_and_cuts_no_word(width):
    lines = listing.table(TABLE, width).splitlines()
    assert lines[0].split() == ["experiment", "n", "verdict", "note"]
    assert max(map(len, lines)) <= width
    first = lines[0].index("n ")
    assert " ".join(line[:first] for line in lines[1:]).split() == [*NAMES.split(), "x"]
    assert sum("not reproduced" in line for line in lines) == 1  # a verdict stands in one line


def test_rows_of_one_line_are_not_set_apart_and_longest_words_are_kept_whole():
    wide = listing.table(TABLE, 400)
    assert len(wide.splitlines()) == 3
    narrow = listing.table(TABLE[["experiment"]], 4)
    assert narrow.split() == ["experiment", *NAMES.split(), "x"]
