"""The command line: `workbench` or `python -m workbench`.

Results go to stdout, progress and errors to stderr. Exit codes: 0 all succeeded, 1 failed work, 2 a wrong parameter,
3 wrong data, 4 a store that cannot be used, 5 stopped and resumable.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from typer import Abort, Argument, BadParameter, Context, Exit, Option, Typer

from . import __version__, files
from .analysis import listing
from .errors import DataError, ParameterError, ended, launched, printable, quoted, say
from .runs import instructions

app = Typer(
    name="workbench",
    help="See, reproduce and trust Independently Recurrent Neural Networks (arXiv:1910.06251).",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _whole(text: object) -> int:
    """Read the value of an option that needs a whole number."""
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", str(text)):
        raise BadParameter(f"{quoted(text)} received; a whole number is needed")
    return int(str(text))


_number = partial(Option, parser=_whole, metavar="INTEGER")
Json = Annotated[bool, Option("--json", help="Print JSON.")]
BudgetOption = Annotated[str, Option(help="smoke (seconds), quick (minutes) or paper.")]
DeviceOption = Annotated[str, Option(help="auto, cpu or cuda.")]
WorkersOption = Annotated[int | None, _number(help="Runs at a time; the cores there are unless given.")]
SchedulerOption = Annotated[str | None, Option(help="A dask scheduler: tls://HOST:PORT, or tcp:// on this machine.")]
SlurmOption = Annotated[bool, Option("--slurm", help="On --workers jobs of Slurm (the extra `slurm`).")]
OutOption = Annotated[Path | None, Option(help="Write a bundle of the runs here, for `workbench import` elsewhere.")]
LimitOption = Annotated[str | None, Option(help="Stop, resumable, after this long: 90s, 8m, 2h.")]


@app.command("list")
def list_(
    what: Annotated[str, Argument(help="experiments, data or runs.")] = "experiments", as_json: Json = False
) -> None:
    """Every experiment with its claim and what is recorded; or the data sets; or the recorded runs."""
    rows, columns = listing.of(what)
    listing.show(rows, as_json, columns)


@app.command()
def run(
    experiment: Annotated[str, Argument(help="A name of `workbench list`, a CONFIG.json, or your data.")],
    budget: BudgetOption = "quick",
    seed: Annotated[str, Option(help="Decides everything that is random.")] = "0",
    seeds: Annotated[int | None, _number(help="So many from --seed on, in turns, in one process.")] = None,
    device: DeviceOption = "auto",
    changes: Annotated[list[str] | None, Option("--set", help="A field: model.depth=4. Repeatable.")] = None,
    threads: Annotated[str | None, Option(help="Threads of a run that begins; 1 unless given.")] = None,
    backend: Annotated[str, Option(help="auto, or an engine of `workbench doctor`.")] = "auto",
    graphs: Annotated[str, Option(help="CUDA graphs: auto (for small nets), on or off.")] = "auto",
    until: Annotated[int | None, _number(help="Go to this step instead of the budget's.")] = None,
    fresh: Annotated[bool, Option("--fresh", help="Set an earlier record aside and start anew.")] = False,
    time_limit: LimitOption = None,
    as_json: Json = False,
) -> None:
    """One training run: resumes if begun, returns at once if finished."""
    instructions.fix()  # before the next line loads torch
    from .config import Config, parse_value
    from .runs.asked import check_count, seconds
    from .runs.jobs import notebook_parameters
    from .runs.run import run as run_experiment
    from .runs.run import run_seeds
    from .seeds import check_seed

    chosen: Any = Config.read(experiment) if experiment.endswith(".json") else experiment
    first, count = parse_value(seed), None if threads is None else parse_value(threads)
    ways: dict[str, Any] = {"device": device, "backend": backend, "graphs": graphs, "threads": count, "until": until}
    ways |= {"changes": notebook_parameters.given(changes or []), "fresh": fresh, "time_limit": seconds(time_limit)}
    if seeds is not None:
        wanted = range(check_seed(first), first + check_count("seeds", seeds))
        records = run_seeds(chosen, budget, wanted, say=say, **ways)  # type: ignore[arg-type]
        listing.show([record.row for record in records], as_json, ("id", "experiment", "seed", "status", "step"))
    else:
        records = [run_experiment(chosen, budget, first, **ways)]  # type: ignore[arg-type]
        if launched() and os.environ.get("RANK") != "0":
            return  # of the processes of one run the first speaks
        row = records[0].row
        print(json.dumps(row) if as_json else "\n".join(printable(f"{key:16} {row[key]}") for key in row))
    for record in records:
        record.check()


@app.command()
def reproduce(
    targets: Annotated[list[str] | None, Argument(help="Notebooks or experiments; the default study if none.")] = None,
    budget: BudgetOption = "quick",
    seeds: Annotated[int | None, _number(help="How many seeds; the notebook's own number unless given.")] = None,
    values: Annotated[list[str] | None, Option("-p", help="A notebook's parameter: name=value. Repeatable.")] = None,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    scheduler: SchedulerOption = None,
    slurm: SlurmOption = False,
    time_limit: LimitOption = None,
    out: OutOption = None,
) -> None:
    """Train what the notebooks show, execute them through papermill, write the tables. Resumes; repeats nothing."""
    from .runs.asked import seconds
    from .runs.jobs import notebook_parameters, plan

    report = _report()
    means: dict[str, Any] = {"workers": workers, "device": device, "scheduler": scheduler, "slurm": slurm, "out": out}
    means |= {"time_limit": seconds(time_limit), "values": notebook_parameters.given(values or [])}
    runs = plan.reproduce(targets or plan.DEFAULT_STUDY, budget, seeds=seeds, report=report, say=say, **means)
    if budget == "smoke":
        print("The smoke budget shows that everything runs; its nets are too small to compare with the paper.")
        return
    shown = dict.fromkeys(planned_run.experiment for planned_run in runs if not planned_run.changes)
    if shown and report is not None:  # a notebook that only looks at records trains nothing
        from .analysis.claims import results_table
        from .analysis.tables import render

        print(render(results_table(list(shown), own=True), "text"), end="")


def _report() -> Callable[[], Path] | None:
    """Return the function that writes the tables; None on a bare node, which lacks the scipy of their intervals."""
    if importlib.util.find_spec("scipy") is None:
        say("scipy is not installed: the tables are for where the records are taken over")
        return None
    from .analysis.tables import write_tables

    return write_tables


@app.command()
def sweep(
    experiment: Annotated[str, Argument(help="A name of `workbench list`.")],
    grid: Annotated[list[str], Option("--grid", help="A field and its values: depth=2,4,6. Repeatable.")],
    budget: BudgetOption = "quick",
    seeds: Annotated[int, _number(help="How many seeds of each combination.")] = 1,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    scheduler: SchedulerOption = None,
    slurm: SlurmOption = False,
    time_limit: LimitOption = None,
    out: OutOption = None,
    as_json: Json = False,
) -> None:
    """A grid over fields of a config: every combination under every seed, then a notebook of pictures."""
    from .runs.asked import seconds
    from .runs.jobs import plan

    means = plan.Means(workers, device, scheduler, slurm, seconds(time_limit), out, _report())
    table = plan.sweep(experiment, grid, budget, seeds, means, say)
    print(table.to_json(orient="records") if as_json else table.to_string(index=False))


@app.command()
def status(
    watch: Annotated[bool, Option("--watch", help="Again every two seconds, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Every run's state, step, rate, time left and last trouble, from disk."""
    from .runs import status as board
    from .runs.lock import Watch

    seen = Watch()
    while True:
        rows = board.rows(seen)
        if watch and not as_json:
            print("\x1b[2J\x1b[H", end="")
        listing.show(rows, as_json, board.COLUMNS)
        if not watch:
            return
        time.sleep(2)


@app.command("import")
def import_(folder: Annotated[Path, Argument(help="A folder of runs (results/published), or a bundle.")]) -> None:
    """Take over the records and checkpoints of another store, each verified; what is further here stays."""
    from .runs.bundle import adopt

    taken, kept = adopt(folder)
    print(f"{taken} runs taken over, {kept} kept as they are")


@app.command()
def tables(
    format_: Annotated[str, Option("--format", help="text, csv, latex, html, json or markdown.")] = "text",
    verify: Annotated[
        bool, Option("--verify", help="Check every record's hashes; retrain 12, to see that they come out alike.")
    ] = False,
    all_: Annotated[bool, Option("--all", help="With --verify: retrain each that can be.")] = False,
    as_json: Json = False,
) -> None:
    """Ours beside the paper's: every claim with our number, interval, step, protocol and a computed verdict."""
    if all_ and not verify:
        raise ParameterError("--all: it has no meaning without --verify; leave it out")
    if verify:
        instructions.fix()  # as `run` does, before the next line loads torch
    from .analysis.claims import results_table
    from .analysis.tables import check_format, render, summary

    check_format(format_)
    if verify:
        from .runs.verify import verify as verify_records

        verify_records(all_, say)
    table, format_ = results_table(), "json" if as_json else format_
    if format_ in ("csv", "json"):  # which hold rows alone
        print(summary(table), file=sys.stderr)
    print(render(table, format_), end="")


@app.command()
def bench(
    device: DeviceOption = "cpu",
    shapes: Annotated[
        list[str] | None, Option(help="A name (mnist, mnist_l1, ...) or T,B,inputs,N. Repeatable.")
    ] = None,
    threads: Annotated[list[int] | None, _number(help="Threads to time with. Repeatable.")] = None,
    step: Annotated[bool, Option("--step", help="Also a whole training step of the six-layer net.")] = False,
    all_: Annotated[
        bool, Option("--all", help="Everything: engines, rivals, lengths, depth, first use, correctness. 20 minutes.")
    ] = False,
    starts: Annotated[
        int | None,
        _number(help="Fig. 2's ratios alone, from this many processes; `tables` judges them. 5: 10 minutes."),
    ] = None,
    out: Annotated[Path | None, Option(help="Keep the rows in this JSON file.")] = None,
    as_json: Json = False,
) -> None:
    """Time our layers beside torch.nn.LSTM and the floor, in turns within one run."""
    from .analysis.benchmark import report
    from .analysis.benchmark.series import asked_for

    rows = asked_for(shapes or (), threads or (), device, step=step, all_=all_, starts=starts, out=out, say=say)
    print(json.dumps(rows) if as_json else report(rows))


@app.command()
def data(
    names: Annotated[list[str] | None, Argument(help="Data sets; all if none.")] = None,
    check: Annotated[bool, Option("--check", help="Only look and verify, fetch nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch and verify data sets; a line for each says where it is, or what is missing and how to get it."""
    rows = listing.data_sets(names, fetch=not check)
    failed = [row for row in rows if row["state"] == "damaged" or (names and not row["here"])]
    if as_json or len(rows) > 1 or not failed:  # else the error says it all
        listing.show(rows, as_json, listing.DATA_COLUMNS)
    if failed:
        others = f" (and {', '.join(row['name'] for row in failed[1:])})" if len(failed) > 1 else ""
        raise DataError(f"{failed[0]['detail']}{others}")


@app.command()
def lab(
    port: Annotated[int, _number(help="Port on this machine.")] = 8888,
    browser: Annotated[bool, Option("--browser/--no-browser", help="Open a browser.")] = True,
) -> None:
    """JupyterLab on the notebooks, opening the tour; with a token, on this machine only."""
    if not 1 <= port <= 65535:
        raise ParameterError(f"port: {port} is not a port; 1 to 65535 is allowed")
    from .runs.jobs.kernel import lab as served

    os.execve(*served(port, browser))  # noqa: S606 (this process becomes the server)


@app.command()
def export(
    names: Annotated[
        list[str] | None,
        Argument(help="Explorers (bounds, depth, ...), all if none; with --to, trained nets: experiments or runs."),
    ] = None,
    to: Annotated[str | None, Option(help="Trained nets as safetensors or onnx, instead of pages.")] = None,
    seed: Annotated[int | None, _number(help="With --to: the net of this seed.")] = None,
    out: Annotated[Path | None, Option(help="The folder; results/pages, or results/nets, unless given.")] = None,
) -> None:
    """Write the explorers as static pages, which need no kernel; or trained nets as files, which need no workbench."""
    if to is not None:
        from .runs.export import exported

        for path in exported(names or (), to, out or files.results() / "nets", seed):
            print(path)
        return
    if seed is not None:
        raise ParameterError("--seed: it has no meaning without --to; leave it out")
    from .notebook.site.pages import pages

    for path in pages(out or files.results() / "pages", names):
        print(path)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show what works here: versions, devices, engines, data, disk room; say how to get what is missing."""
    from .doctor import complaint, examine, line

    rows = examine()
    listing.show(
        rows if as_json else [{**row, "detail": line(row)} for row in rows], as_json, ("what", "state", "detail")
    )
    if (error := complaint(rows)) is not None:
        raise error


def _version(shown: bool) -> None:
    if shown:
        print(f"workbench {__version__}")
        raise Exit


@app.callback()
def _root(
    context: Context,
    version: Annotated[bool, Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """See, reproduce and trust Independently Recurrent Neural Networks (arXiv:1910.06251)."""
    if context.invoked_subcommand is None:
        print(context.get_help())


# Typer carries a click of its own in newer releases and imports click in older ones; this is ClickException in both.
CommandLineError: type[Exception] = BadParameter.__mro__[2]
INTERRUPTED = 130  # what newer releases make of a KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns its exit code. Errors are one plain line on stderr."""
    return ended(partial(_carry_out, arguments))


def _carry_out(arguments: list[str] | None) -> object:
    files.make_absolute()
    try:
        code = app(arguments, standalone_mode=False)
    except CommandLineError as error:
        raise ParameterError(error.format_message()) from None  # type: ignore[attr-defined]
    except Abort:
        code = INTERRUPTED
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code


if __name__ == "__main__":
    sys.exit(main())
