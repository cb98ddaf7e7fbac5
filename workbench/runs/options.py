"""The arguments and options of the command line's verbs, each with its help: what a person reads after `--help`."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option

from ..errors import quoted


def _whole(text: object) -> int:
    """Read the value of an option that needs a whole number."""
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", str(text)):
        raise BadParameter(f"{quoted(text)} received; a whole number is needed")
    return int(str(text))


_number = partial(Option, parser=_whole, metavar="INTEGER")
Texts = list[str] | None

Budget = Annotated[str, Option(help="smoke (seconds), quick (minutes) or paper.")]
Device = Annotated[str, Option(help="auto, cpu or cuda.")]
Version = Annotated[bool, Option("--version", help="Print the version.")]
Json = Annotated[bool, Option("--json", help="Print JSON.")]
TimeLimit = Annotated[str | None, Option(help="Stop, resumable, after this long: 90s, 8m, 2h.")]

# run
Runnable = Annotated[str, Argument(help="A name of `workbench list`, a CONFIG.json, or your data.")]
Seed = Annotated[str, Option(help="Decides everything that is random.")]
SeedsInTurns = Annotated[int | None, _number(help="Train this many seeds, from --seed on, in turns in one process.")]
Changes = Annotated[Texts, Option("--set", help="A field: model.depth=4. Repeatable.")]
Threads = Annotated[str | None, Option(help="CPU threads of a new run; 1 unless given.")]
Backend = Annotated[str, Option(help="auto, or an engine of `workbench doctor`.")]
Graphs = Annotated[str, Option(help="CUDA graphs: auto (for small nets), on or off.")]
Until = Annotated[int | None, _number(help="Go to this step instead of the budget's.")]
Fresh = Annotated[bool, Option("--fresh", help="Set an earlier record aside and start anew.")]

# reproduce and sweep
Targets = Annotated[Texts, Argument(help="Notebooks or experiments; the default study if none.")]
NotebookSeeds = Annotated[int | None, _number(help="How many seeds; the notebook's own number unless given.")]
Values = Annotated[Texts, Option("-p", help="A notebook's parameter: name=value. Repeatable.")]
Experiment = Annotated[str, Argument(help="A name of `workbench list`.")]
Grid = Annotated[list[str], Option("--grid", help="A field and its values: depth=2,4,6. Repeatable.")]
SweepSeeds = Annotated[int, _number(help="How many seeds of each combination.")]
Workers = Annotated[int | None, _number(help="Runs at a time; as many as there are cores unless given.")]
Scheduler = Annotated[str | None, Option(help="A dask scheduler: tls://HOST:PORT, or tcp:// on this machine.")]
Slurm = Annotated[bool, Option("--slurm", help="Use Slurm, with --workers jobs of it.")]
Bundle = Annotated[Path | None, Option(help="Write a bundle of the runs here, for `workbench import` elsewhere.")]

# list, status, import and tables
Listed = Annotated[str, Argument(help="experiments, data or runs.")]
Watch = Annotated[bool, Option("--watch", help="Show it again every two seconds, until Ctrl-C.")]
Store = Annotated[Path, Argument(help="A folder of runs (results/published), or a bundle.")]
Format = Annotated[str, Option("--format", help="text, csv, latex, html, json or markdown.")]
Verify = Annotated[
    bool, Option("--verify", help="Check every record's hashes; retrain 12 to their first score, to compare.")
]
All = Annotated[bool, Option("--all", help="With --verify: retrain each that can be.")]

# bench
Shapes = Annotated[Texts, Option(help="A name (mnist, mnist_l1, ...) or T,B,inputs,N. Repeatable.")]
TimedThreads = Annotated[list[int] | None, _number(help="Threads to time with. Repeatable.")]
Step = Annotated[bool, Option("--step", help="Also a whole training step of the six-layer net.")]
Everything = Annotated[
    bool, Option("--all", help="Everything: engines, rivals, lengths, depth, first use, correctness. 20 minutes.")
]
Starts = Annotated[
    int | None,
    _number(help="Fig. 2's ratios alone, from this many processes, for `tables` to judge; 5 take 10 minutes."),
]
RowsFile = Annotated[Path | None, Option(help="Keep the rows in this JSON file.")]

# data, lab and export
DataSets = Annotated[Texts, Argument(help="Data sets; all if none.")]
Check = Annotated[bool, Option("--check", help="Only look and verify, fetch nothing.")]
Port = Annotated[int, _number(help="Port on this machine.")]
Browser = Annotated[bool, Option("--browser/--no-browser", help="Open a browser.")]
Exported = Annotated[
    Texts, Argument(help="Explorers (bounds, depth, ...), all if none; with --to, trained nets: experiments or runs.")
]
To = Annotated[str | None, Option(help="Trained nets as safetensors or onnx, instead of pages.")]
NetSeed = Annotated[int | None, _number(help="With --to: the net of this seed.")]
Folder = Annotated[Path | None, Option(help="The folder; results/pages, or results/nets, unless given.")]
