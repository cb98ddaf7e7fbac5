"""Write results/ledger.md: the cost of each experiment, what of it is done, and the queue in order of worth.

    python scripts/ledger.py             from the published records and results/published/bench/steps.json
    python scripts/ledger.py --measure   time a training step of each queued experiment that has no record, first

Core-hours are processor time on one core. A record gives its own seconds a step; an experiment without one has those of
five steps, measured once by `--measure` in processor time, so that other work on the machine hardly matters.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from typing import Any, NamedTuple

from workbench.runs import instructions

instructions.fix()  # before torch is loaded, as `run` does

from workbench import files, paper  # noqa: E402
from workbench.runs.provenance import NUMERICS  # noqa: E402
from workbench.runs.record import Record, records  # noqa: E402

STEPS = files.published() / "bench" / "steps.json"
TEXT = """# The ledger: core-hours, and the queue in order of worth

Processor hours on one core with AVX2, a run from its first step to its last; runs are resumed, so none is
lost. A seed counts as done when it stands at the end of its schedule under the present numerics ({numerics}).
From the top: what a row needs is trained before anything below it begins; **when time is short, rows are dropped from
the bottom**. *Needed* rows are to be filled first; the others as far as time goes, one seed each before a second.
GPU rows cost a CPU too much: they wait for a device.

| | experiment | for | seeds | done | under way | a step, ms | steps | core-hours a seed | still to do |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


class Queued(NamedTuple):
    """An experiment that waits for a machine: how many seeds, how much it is wanted, and what it answers."""

    experiment: str
    seeds: int
    wanted: str  # needed, as time goes, GPU
    answers: str


def _rows(wanted: str, seeds: int, answers: str, *names: str) -> list[Queued]:
    return [Queued(name, seeds, wanted, answers) for name in names]


QUEUE: tuple[Queued, ...] = (
    *_rows("needed", 3, "Table 2: six layers", "seqmnist_plain6_cycle"),
    *_rows("needed", 3, "who solves the adding problem", "adding_indrnn_T100", "adding_lstm_T100", "adding_irnn_T100"),
    *_rows("needed", 3, "who does not", "adding_rnn_tanh_T100"),
    *_rows("needed", 3, "long memory", "adding_indrnn_T500", "adding_indrnn_T1000"),
    *_rows("needed", 3, "Table 2: six layers, permuted", "permmnist_plain6_cycle"),
    *_rows("needed", 3, "better than LSTM and IRNN", "seqmnist_lstm_cycle", "seqmnist_irnn_cycle"),
    *_rows("as time goes", 3, "deeper is better", "seqmnist_res_cycle", "seqmnist_plain12_cycle"),
    *_rows("as time goes", 3, "who solves, T = 500", "adding_lstm_T500", "adding_irnn_T500", "adding_rnn_tanh_T500"),
    *_rows("as time goes", 3, "who solves, T = 1,000", "adding_lstm_T1000", "adding_irnn_T1000"),
    *_rows("as time goes", 3, "skeletons of few people", "utd_plain6_cycle", "utd_res_cycle", "utd_dense_cycle"),
    *_rows("as time goes", 3, "deeper is better, permuted", "permmnist_res_cycle", "permmnist_plain12_cycle"),
    *_rows("as time goes", 1, "dense nets", "seqmnist_dense_cycle", "permmnist_dense_cycle"),
    *_rows("as time goes", 1, "over 5,000 steps", "adding_indrnn_T5000"),
    *_rows("GPU", 3, "Table 3", *(f"{name}_cycle" for name in paper.EXPERIMENTS if f"{name}_cycle" in paper.EXPERIMENTS
                                  and name.startswith("ptbchar"))),
    *_rows("GPU", 3, "Table 4", "ptbword_res_cycle", "ptbword_dense_cycle"),
)  # fmt: skip


def steps_of(experiment: str) -> int | None:
    """The steps of a schedule; None where validation ends it."""
    return paper.EXPERIMENTS[experiment].config.train.steps


def seconds_of(found: list[Record], measured: dict[str, Any]) -> float | None:
    """Processor seconds a step: the median over an experiment's records of a CPU (a GPU's wait for it, and say nothing
    of what it would cost here), else as measured; None where neither is."""
    told = [b for r in found for b in r.budgets[-1:] if b["step"] and b["provenance"]["device"].startswith("CPU")]
    return statistics.median(b["cost"]["cpu_s"] / b["step"] for b in told) if told else measured.get("seconds")


def measure(names: list[str]) -> dict[str, Any]:
    """Processor seconds of a training step, the median of five after two, one thread."""
    import torch

    from workbench.training import Trainer

    torch.set_num_threads(1)
    out = {}
    for name in names:
        trainer = Trainer(paper.EXPERIMENTS[name].config, seed=0)
        spent = []
        for _ in range(7):
            start = time.process_time()
            trainer.advance()
            spent.append(time.process_time() - start)
        out[name] = {"seconds": round(statistics.median(spent[2:]), 4)}
        print(f"{name}: {out[name]['seconds'] * 1000:.0f} ms a step")
    return out


def lines(measured: dict[str, Any]) -> str:
    """The ledger's rows as a table, and its sums."""
    mine: dict[str, list[Record]] = {}
    for record in records():
        known = paper.EXPERIMENTS.get(record.experiment)
        if known and record.numerics == NUMERICS and record.config == known.config:  # no smoke run, no short cycle
            mine.setdefault(record.experiment, []).append(record)
    out, left = [], {"needed": 0.0, "as time goes": 0.0}
    for place, queued in enumerate(QUEUE, 1):
        found = mine.get(queued.experiment, [])
        done = sum(record.run.result() is not None for record in found)
        begun = sorted((record.step for record in found if record.run.result() is None), reverse=True)
        seconds, steps = seconds_of(found, measured.get(queued.experiment, {})), steps_of(queued.experiment)
        hours = seconds * steps / 3600 if seconds and steps else None
        missing = [*begun, *[0] * queued.seeds][: max(0, queued.seeds - done)]  # the furthest first
        to_do = None if hours is None else hours * sum(1 - step / (steps or 1) for step in missing)
        if queued.wanted in left and to_do:
            left[queued.wanted] += to_do
        cells = [
            f"{place}, {queued.wanted}",
            f"`{queued.experiment}`",
            queued.answers,
            queued.seeds,
            done,
            ", ".join(f"{step:,}" for step in begun) or "-",
            "-" if seconds is None else f"{1000 * seconds:.0f}",
            "until validation ends it" if steps is None else f"{steps:,}",
            "-" if hours is None else f"{hours:.1f}",
            "-" if to_do is None else f"{to_do:.1f}",
        ]
        out.append("| " + " | ".join(map(str, cells)) + " |")
    sums = ", ".join(f"{name}: {hours:.0f}" for name, hours in left.items())
    return "\n".join(out) + f"\n\nCore-hours still to do, {sums}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--check", action="store_true", help="write nothing; ends with 1 if it is not up to date")
    options = parser.parse_args()
    measured = json.loads(STEPS.read_text()) if STEPS.exists() else {}
    if options.measure:
        names = [each.experiment for each in QUEUE if each.experiment not in measured and each.wanted != "GPU"]
        measured |= measure(names)
        files.publish(STEPS, (json.dumps(measured, indent=1) + "\n").encode(), replace=True)
    with tempfile.TemporaryDirectory() as empty:  # of published records alone, not of this machine's own
        os.environ["WORKBENCH_RESULTS"] = empty
        text = TEXT.format(numerics=NUMERICS) + lines(measured)
    place = files.published().parent / "ledger.md"
    if not options.check:
        files.publish(place, text.encode(), replace=True)
    elif place.read_text(encoding="utf-8") != text:
        sys.exit(f"{place}: not up to date; `make readme` writes it")


if __name__ == "__main__":
    main()
