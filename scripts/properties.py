"""Measure the properties that the paper claims, of the layer and of the trained nets whose weights are here.

    python scripts/properties.py [FILE]          results/published/bench/properties.json unless given

Those of the layer take a second. A net is measured once its run is at its end, with the weights that were best on
validation; a row that is kept stays while the net that it is of is not here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workbench import files
from workbench.analysis import measurements
from workbench.analysis.benchmark import record
from workbench.errors import ended
from workbench.runs.record import records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=files.published() / "bench" / "properties.json")
    path = parser.parse_args().file
    kept = record.read(path)["rows"] if path.is_file() else []
    new = [*measurements.of_the_layer(), *(row for each in records() for row in measurements.of_weights(each))]
    rows = {(row["claim"], row["seed"]): row for row in (*kept, *new)}
    record.write(path, list(rows.values()))
    for row in new:
        print(f"{row['claim']}, seed {row['seed']}: {row['value']:.8g}")


if __name__ == "__main__":
    sys.exit(ended(main))
