"""Write the tables of results and of speed into README.md, from the published records alone."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def results() -> str:
    """How many claims have which verdict; those that have a record, those that have none; experiments of ours."""
    with tempfile.TemporaryDirectory() as empty:  # none of this machine's own runs
        os.environ["WORKBENCH_RESULTS"] = empty
        from workbench.analysis import claims, tables

        found = claims.results_table()
        counts = tables.tally(found)
        begun = found[found["step"].notna()]
        theirs, ours = (begun[begun["paper"].notna() == has] for has in (True, False))
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        devices = " / ".join(sorted(begun["device"].unique()))
        protocols = "".join(
            f"- {protocol}: {', '.join(rows['experiment'].unique())}\n" for protocol, rows in begun.groupby("protocol")
        )
        return (
            f"Of {sum(counts.values())} numbers that the paper and its official logs claim: **{said}**.\n\n"
            + tables.render(theirs, "markdown")
            + f"\nDevice: {devices}. Where steps are missing, the budget was `quick` or a first part of `paper`,\n"
            + f"which any machine can carry on. Scored with\n\n{protocols}"
            + "\nNot run, each with its command in `workbench tables`:\n\n"
            + tables.markdown(tables.not_run(found))
            + "\nExperiments of ours, which no published number stands beside:\n\n"
            + tables.markdown(tables.readable(ours)[["experiment", "metric", "ours (95 %)", "n", "step"]])
        )


def speed() -> str:
    """One layer, forward with backward, and a whole training step, from the published benchmark."""
    from workbench.analysis import benchmark, tables

    record = benchmark.record.newest("cpu")
    if record is None:
        return "Not measured yet.\n"
    rows, about = record["rows"], record["about"]
    load = max(row["load"] for row in rows if "load" in row)
    steps = {row["threads"]: row for row in rows if row["table"] == "step" and row["what"] == "ours"}
    step = "; ".join(
        f"{count} thread{'s' if count > 1 else ''}: {row['lstm']:.1f} times a six-layer nn.LSTM's, "
        f"{row['official']:.1f} times the official composition, {1 / row['floor']:.2f} of the floor's time"
        for count, row in steps.items()
    )
    return (
        f"Times faster than `torch.nn.LSTM` in the same interleaved run ({about['cores']} cores, {about['processor']}, "
        f"torch {about['torch']}, {about['date']}, load up to {load:.1f}):\n\n"
        + tables.markdown(benchmark.summary(rows))
        + f"\nA whole training step of `seqmnist_plain6`: {step}.\n"
    )


def main() -> None:
    text = README.read_text(encoding="utf-8")
    for name, written in (("speed", speed()), ("results", results())):
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        before, _, rest = text.partition(begin)
        text = before + begin + "\n" + written + "\n" + end + rest.partition(end)[2]
    if "--check" in sys.argv:
        if text != README.read_text(encoding="utf-8"):
            sys.exit("README.md: its tables are stale; `make readme` writes them anew")
    else:
        README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
