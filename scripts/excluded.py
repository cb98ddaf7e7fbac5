"""Count of the lines that `make coverage` leaves out: a row a reason, with the files that it is in.

Only what is no code is left out. What needs a CUDA device or Triton counts as not reached where there is none. Run
where `coverage` has its data: `make coverage` does. Ends with 1 for an exclusion that has no reason.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import coverage

ROOT = Path(__file__).resolve().parent.parent
REASONS = {"if TYPE_CHECKING:": "imports for the type checker alone", "...": "a signature without a body"}


def why(line: str) -> str | None:
    """The reason for which a line of source is left out, with all that it opens; None where there is none."""
    return next((reason for end, reason in REASONS.items() if line.rstrip().endswith(end)), None)


def excluded(path: Path, lines: set[int], patterns: list[str]) -> Counter[str]:
    """Count a file's excluded lines by reason: each belongs to the last line that a pattern matches."""
    source = path.read_text(encoding="utf-8").splitlines()
    marks = [number for number, line in enumerate(source, 1) if any(re.search(p, line) for p in patterns)]
    reasons: Counter[str] = Counter()
    for number in lines:
        mark = max(mark for mark in marks if mark <= number)
        reasons[why(source[mark - 1]) or f"NO REASON: line {mark}: {source[mark - 1].strip()}"] += 1
    return reasons


def measured(**settings: list[str]) -> coverage.Coverage:
    found = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"))
    for name, value in settings.items():
        found.set_option(f"report:{name}", value)
    found.load()
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    ours, whole = measured(), measured(exclude_lines=[], exclude_also=[])
    if not ours.get_data().measured_files():
        sys.exit("excluded: nothing is measured here yet; `make coverage` does it")
    found: dict[str, Counter[str]] = defaultdict(Counter)
    total = 0
    for name in sorted(ours.get_data().measured_files()):
        statements, path = set(whole.analysis2(name)[1]), Path(name)
        total += len(statements)
        left_out = statements - set(ours.analysis2(name)[1])
        for reason, count in excluded(path, left_out, ours.get_exclude_list()).items():
            found[reason][str(path.relative_to(ROOT))] += count
    print(f"left out: {sum(sum(files.values()) for files in found.values())} of {total:,} lines")
    for reason, files in sorted(found.items(), key=lambda item: -sum(item[1].values())):
        where = ", ".join(files) if len(files) <= 3 else f"{len(files)} files"
        print(f"{sum(files.values()):6}  {reason} ({where})")
    sys.exit(any(reason.startswith("NO REASON") for reason in found))


if __name__ == "__main__":
    main()
