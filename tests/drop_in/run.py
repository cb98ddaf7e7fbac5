"""Running the cases: each with each subject in a child process, which is started again behind a case that kills it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "results" / "drop_in.csv"
COLUMNS = ("group", "case", "nn.RNN", "auto", "loop", "torch", "cpu", "scan", "says")
SECONDS = 120  # for one case; none takes a tenth of it
# passes, refuses (an error of ours), fails (another's), wrong, crashes; what it says; processor seconds
Outcome = tuple[str, str, float]


def judged(name: str, subject: str, planted: bool = False) -> tuple[str, str]:
    """One case with one subject."""
    from . import CASES
    from .case import Make
    from .planted import PLANTED

    try:
        (PLANTED if planted else CASES)[name].call(Make(subject))
    except Exception as error:
        if (own := _ours(error)) is not None:
            return "refuses", f"{type(own).__name__}: {own}"
        place = traceback.extract_tb(error.__traceback__)[-1].filename
        ours = isinstance(error, AssertionError) and ("drop_in" in place or "testing" in place)
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        return "wrong" if ours else "fails", f"{type(error).__name__}: {text}"[:160]
    return "passes", ""


def _ours(error: BaseException | None) -> Exception | None:
    """The error of ours that this one is, or was raised from: exporters wrap what stops them."""
    from workbench.errors import WorkbenchError

    while error is not None and not isinstance(error, WorkbenchError):
        error = error.__cause__
    return error


def pairs(planted: bool = False) -> list[tuple[str, str]]:
    """Every case with every subject it is for."""
    from . import CASES, CONTROL, ENGINES
    from .planted import PLANTED

    if planted:
        return [(name, "loop") for name in PLANTED]
    return [(c.name, s) for c in CASES.values() for s in ((CONTROL, *ENGINES) if c.control else ENGINES)]


def outcomes(planted: bool = False) -> dict[tuple[str, str], Outcome]:
    """Of all cases, or of those that go wrong on purpose."""
    found: dict[tuple[str, str], Outcome] = {}
    left = pairs(planted)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))),
    }
    while left:
        options = [str(len(found)), *(["planted"] if planted else [])]
        with subprocess.Popen(
            [sys.executable, "-m", "drop_in.run", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                name, subject, *outcome = json.loads(line)
                found[name, subject] = tuple(outcome)
                left.pop(0)
        code = child.returncode
        if left:
            found[left.pop(0)] = ("crashes", f"the process ended with {code}", 0.0)
    return found


def run_pairs(first: int, planted: bool) -> None:
    """Run the pairs from the first on, one line each."""
    import faulthandler

    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the cases print is not ours to read
    for name, subject in pairs(planted)[first:]:
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        began = time.process_time()
        outcome = judged(name, subject, planted)
        print(json.dumps([name, subject, *outcome, round(time.process_time() - began, 3)]), file=out, flush=True)
        faulthandler.cancel_dump_traceback_later()
    out.flush()
    os._exit(0)


def rows(found: dict[tuple[str, str], Outcome]) -> list[dict[str, str]]:
    """The table: a case a row, and what was said where it did not pass."""
    from . import CASES

    made = []
    for c in CASES.values():
        of = {subject: outcome for (name, subject), outcome in found.items() if name == c.name}
        says = dict.fromkeys(f"{s}: {text}" for s, (_, text, _) in of.items() if text)
        row = dict.fromkeys(COLUMNS, "") | {"group": c.group, "case": c.name, "says": "; ".join(_gathered(says))}
        made.append(row | {subject: kind for subject, (kind, *_) in of.items() if subject in COLUMNS})
    return made


def _gathered(says: dict[str, None]) -> list[str]:
    """Engines that say the same are named together."""
    by_text: dict[str, list[str]] = {}
    for line in says:
        subject, _, text = line.partition(": ")
        by_text.setdefault(text, []).append(subject)
    return [f"{', '.join(subjects)}: {text}" for text, subjects in by_text.items()]


def page(table: list[dict[str, str]]) -> str:
    """The table to be read, with the sums first."""
    subjects = COLUMNS[2:-1]
    kinds = ("passes", "refuses", "fails", "wrong", "crashes")
    both = [row for row in table if row["nn.RNN"]]
    lines = [
        "# What people do with torch.nn.RNN, done with wb.IndRNN",
        "",
        "Written by `python scripts/drop_in.py` from the cases in tests/drop_in/. A case passes, or refuses with an",
        "error of ours that says why, or fails with an error of PyTorch or Python, or is wrong, which is to answer",
        "otherwise than the case asks, or crashes. Some cases ask for more than torch.nn.RNN promises.",
        f"{len(table)} cases, of which {len(both)} have the same interface in both and were run with torch.nn.RNN too.",
        "",
        f"| of the {len(both)} cases of both | {' | '.join(kinds)} |",
        "|" + " --- |" * (1 + len(kinds)),
    ]
    for subject in subjects:
        counts = Counter(row[subject] for row in both)
        lines.append(f"| {subject} | {' | '.join(str(counts[kind]) for kind in kinds)} |")
    lines += ["", f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
    for row in table:
        lines.append("| " + " | ".join(row[column].replace("|", "\\|") for column in COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def read() -> list[dict[str, str]]:
    """The table that is committed."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(table: list[dict[str, str]]) -> None:
    """The table and its page."""
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    TABLE.with_suffix(".md").write_text(page(table), encoding="utf-8")


if __name__ == "__main__":
    run_pairs(int(sys.argv[1]), "planted" in sys.argv)
