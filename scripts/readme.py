"""Write the table of results into README.md, from the published records alone."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- results -->\n", "<!-- /results -->\n"


def table() -> str:
    """The markdown table of every claim that has a record."""
    with tempfile.TemporaryDirectory() as empty:  # none of this machine's own runs
        os.environ["WORKBENCH_RESULTS"] = empty
        from workbench import compare, tables

        found = compare.results_table()
        return tables.render(found[found["step"].notna()], "markdown")


def main() -> None:
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = before + BEGIN + "\n" + table() + "\n" + END + after
    if "--check" in sys.argv:
        if text != README.read_text(encoding="utf-8"):
            sys.exit("README.md: its table is stale; `make readme` writes it anew")
    else:
        README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
