"""Write what holds into README.md, all results and speeds into results/README.md, from the published records alone."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.files import publish

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
README, RESULTS = ROOT / "README.md", ROOT / "results" / "README.md"


CAPTION = """Each claim is judged by the test that was written for it before the runs
([`claims.csv`](paper/claims.csv)), on records of the present *numerics* alone: the version of what a training step
computes. *Reproduced*, *not reproduced*: what the paper claims holds, or fails, under its own schedule. *Reached*, *not
reached*: the same under a shorter schedule of ours (`..._cycle`). *Undecided*, *under way*: the note says what is
missing; *the other net* is the one that the claim compares with. *Not run*: nothing here answers yet. *Reference*:
others' numbers. *No claim*: nothing that the paper says decides about it, or the record is older.
"""

OLDER = """
Older records, trained under an earlier numerics, so that nobody can repeat them bit for bit today. They are shown, not
counted, and none is compared with a claim; most stop long before their schedule's end.

"""


def results() -> tuple[str, str]:
    """In short: rows by verdict, the abstract's sentences; and all: what has begun or has not, ours, older records."""
    with tempfile.TemporaryDirectory() as empty:  # none of this machine's own runs
        os.environ["WORKBENCH_RESULTS"] = empty
        from workbench.analysis import claims, tables

        found = claims.results_table()
        older = found["source"].str.startswith(claims.OLDER)
        begun = found[~older & (found["step"].notna() | found["n"].gt(0))]
        theirs, ours = begun[begun["claim"].notna()], begun[begun["claim"].isna()]
        of_ours = ["experiment", "metric", "ours (95 %)", "n", "paper", "step", "note"]
        counts = f"**{tables.summary(found)}.**\n"
        return counts + "\nThe abstract, sentence by sentence:\n\n" + tables.markdown(tables.abstract(found)), (
            f"{counts}\n{CAPTION}"
            + "\nClaims that have an answer, or whose runs have begun:\n\n"
            + _or_none(theirs, tables.markdown(tables.readable(theirs)))
            + "\nNot run under the paper's own schedule; the command of each: `workbench tables --format markdown`\n\n"
            + tables.markdown(tables.not_run(found))
            + "\nExperiments of our own, and numbers of others, with records that count:\n\n"
            + _or_none(ours, tables.markdown(tables.readable(ours)[of_ours]))
            + OLDER
            + tables.markdown(tables.readable(found[older])[[c for c in of_ours if c != "paper"]])
        )


def _or_none(rows: pd.DataFrame, shown: str) -> str:
    return shown if len(rows) else "None yet.\n"


def speed() -> str:
    """One layer, forward with backward, and a whole training step, from the published benchmark."""
    from workbench.analysis import benchmark, tables

    record = benchmark.record.newest("cpu")
    if record is None:
        return "Not measured yet.\n"
    rows, about = record["rows"], record["about"]
    denormals = about.get("denormals")
    if denormals not in (None, "flushed"):  # several threads are no measure: of the rivals' time a part goes to them
        rows = [row for row in rows if row.get("threads", 1) == 1]
    load = max(row["load"] for row in rows if "load" in row)
    steps = {row["threads"]: row for row in rows if row["table"] == "step" and row["what"] == "ours"}
    step = "; ".join(
        f"on {count} thread{'s' if count > 1 else ''} {benchmark.faster(row)} beside six layers of nn.LSTM, "
        f"{benchmark.faster(row, 'official')} beside the official composition"
        + (f", {100 * row['floor']:.0f} % of the floor" if "floor" in row else "")
        for count, row in steps.items()
    )
    flushed = "; numbers below 1.2e-38 count as zero for all" if denormals else ""
    return (
        "Times faster than `torch.nn.LSTM` in the same interleaved run, the median over its rounds and their range "
        f"({about['cores']} cores, {about['processor']}, torch {about['torch']}, {about['date']}, load up to "
        f"{load:.1f}{flushed}); *of the floor*: its share of our time:\n\n"
        + tables.markdown(benchmark.summary(rows))
        + f"\nA whole training step of `seqmnist_plain6`: {step}.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; ends with 1 if they are not up to date")
    check = parser.parse_args().check
    short, whole = results()
    for path, parts in ((README, {"holds": short}), (RESULTS, {"results": whole, "speed": speed()})):
        text = path.read_text(encoding="utf-8")
        for name, written in parts.items():
            begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
            before, found, rest = text.partition(begin)
            if not found or end not in rest:
                sys.exit(f"{path.relative_to(ROOT)}: {begin.strip()} and {end.strip()} are needed in it, in this order")
            text = before + begin + "\n" + written + "\n" + end + rest.partition(end)[2]
        if not check:
            publish(path, text.encode(), replace=True)
        elif text != path.read_text(encoding="utf-8"):
            sys.exit(f"{path.relative_to(ROOT)}: its tables are stale; `make readme` writes them anew")


if __name__ == "__main__":
    main()
