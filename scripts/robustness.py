"""Attempts to break the package, and what held: results/robustness.csv and .md, from the tests that CI runs.

Runs the tests of bad inputs, security, properties and fuzzed readers, counts what each tried, and adds what `make
faults`, `make fuzz` and `make mutants` have recorded. Ends with 1 where anything was lost.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from workbench.files import publish, publish_rows

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "results" / "robustness.csv"
COLUMNS = ("kind", "what", "tried", "survived", "note")
RUN = ["tests/test_bad_inputs.py", "tests/security", "tests/properties", "tests/fuzz"]
HEADER = """# What was tried, and what held

Written by `make robustness`: the tests of bad inputs, security, properties and fuzzed readers as CI runs them, and what
`make faults`, `make fuzz` and `make mutants` have recorded. A bad input survived where one line of ours named what is
wrong, with the right exit code and nothing begun; a fault, where nothing finished was lost; an example or an execution,
where it gave data or one of our own errors. What a test lost, or a traceback that a user would see, counts as not
survived. A mutant is a small fault put into the code: the tests survived it where one of them failed.

"""
Tally = dict[tuple[str, str], list[int]]


def tested() -> ElementTree.Element:
    """The report of the tests."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit1", f"--junitxml={report}"]
        subprocess.run([sys.executable, "-m", "pytest", *options, *RUN], cwd=ROOT, check=False)
        return ElementTree.parse(report).getroot()  # noqa: S314 (our own file)


def counted(report: ElementTree.Element) -> Tally:
    """(kind, what) -> tried, survived."""
    sys.path.insert(0, str(ROOT / "tests"))
    from bad_inputs import CASES

    known, tally = {case.id: case for case in CASES}, defaultdict(lambda: [0, 0])
    for test in report.iter("testcase"):
        if test.find("skipped") is not None:
            continue
        held = test.find("failure") is None and test.find("error") is None
        named = {p.get("name"): int(str(p.get("value"))) for p in test.iter("property")}
        file, name = str(test.get("classname")), str(test.get("name"))
        case = known.get(name.partition("[")[2].removesuffix("]"))
        if "properties" in file:
            key, n = ("property", sentence(name)), named.get("examples", 1)
        elif "fuzz" in file:
            key, n = ("seeds and changes of them", name.partition("[")[2].removesuffix("]")), named.get("tried", 1)
        elif "security" in file:
            key, n = ("security", sentence(file.rpartition(".")[2])), 1
        elif case is not None:
            key, n = ("bad input", f"{case.section}, by {case.door}"), 1
        else:
            continue
        if key[1]:
            tally[key][0] += n
            tally[key][1] += n if held else 0
    return dict(tally)


def sentence(name: str) -> str:
    """A test's name as it is read: test_any_idx_array[x] -> any idx array: x."""
    text, _, case = name.removeprefix("test_").removesuffix("]").partition("[")
    return text.replace("_", " ") + (f": {case}" if case else "")


def rows(tally: Tally) -> list[dict[str, str]]:
    """The table: what the tests tried, then faults, executions of the fuzzer, and faults put into the code."""
    found = [(kind, what, tried, held, "") for (kind, what), (tried, held) in sorted(tally.items())]
    faults: Tally = defaultdict(lambda: [0, 0])
    for row in read(ROOT / "results" / "faults.csv"):
        of = faults["fault", f"{int(row['fault']):02} of the list"]
        of[0], of[1] = of[0] + int(row["tries"]), of[1] + int(row["survived"])
    found += [(kind, what, tried, held, "") for (kind, what), (tried, held) in faults.items()]
    for row in read(ROOT / "results" / "fuzz.csv"):
        tried, got = int(row["executions"]), int(row["found"])
        note = f"{row['processor_seconds']} processor seconds; inputs that got through and were repaired: {got}"
        found.append(("fuzzing", row["target"], tried, tried - got, note))
    mutants = read(ROOT / "results" / "mutants.csv")
    unnoticed = [row["why"] for row in mutants if row["outcome"] == "survived"]
    same = sum(why.startswith("equivalent") for why in unnoticed)
    note = f"not noticed: {len(unnoticed) - same}; change nothing that a test could notice: {same}"
    found.append(("mutant", "one place of the code changed", len(mutants), len(mutants) - len(unnoticed), note))
    return [dict(zip(COLUMNS, map(str, row), strict=True)) for row in found]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def page(table: list[dict[str, str]]) -> str:
    """The table to be read, with a sum for each kind."""
    sums: Tally = defaultdict(lambda: [0, 0])
    for row in table:
        of = sums[row["kind"], ""]
        of[0], of[1] = of[0] + int(row["tried"]), of[1] + int(row["survived"])
    lines = ["| kind | tried | survived |", "| --- | --- | --- |"]
    lines += [f"| {kind} | {tried:,} | {held:,} |" for (kind, _), (tried, held) in sums.items()]
    lines += ["", f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
    lines += [f"| {' | '.join(row[column] for column in COLUMNS)} |" for row in table]
    return HEADER + "\n".join(lines) + "\n"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    table = rows(counted(tested()))
    publish_rows(TABLE, COLUMNS, table)
    publish(TABLE.with_suffix(".md"), page(table).encode(), replace=True)
    whole = [row for row in table if row["kind"] != "mutant" and not re.search(r"repaired: [1-9]", row["note"])]
    lost = [row for row in whole if row["tried"] != row["survived"]]
    print(f"robustness: {len(table)} rows" + "".join(f"; not survived: {row['what']}" for row in lost))
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
