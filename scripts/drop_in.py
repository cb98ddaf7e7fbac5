"""Common uses of torch.nn.RNN, tried with wb.IndRNN: results/drop_in.csv and .md, from tests/drop_in/."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from drop_in import run


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    table = run.rows(run.outcomes())
    run.write(table)
    for subject in run.COLUMNS[2:-1]:
        print(f"{subject}: {dict(Counter(row[subject] for row in table if row['nn.RNN']))}")


if __name__ == "__main__":
    main()
