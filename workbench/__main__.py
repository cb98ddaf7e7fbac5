"""The command line: `workbench` or `python -m workbench`.

Results go to stdout, progress and errors to stderr. Exit codes: 0 all succeeded, 1 failed work, 2 a wrong parameter,
3 wrong data, 4 a store that cannot be used, 5 stopped and resumable.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer import Abort, BadParameter, Context, Exit, Typer

from . import __version__, files
from .analysis import listing
from .errors import DataError, ParameterError, ended, launched, printable, say, whole
from .runs import instructions, options

app = Typer(invoke_without_command=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command("list")
def list_(what: options.Listed = "experiments", as_json: options.Json = False) -> None:
    """Every experiment with the paper's number and what is recorded; or the data sets; or the recorded runs."""
    rows, columns = listing.of(what)
    listing.show(rows, as_json, columns)


@app.command()
def run(
    experiment: options.Runnable,
    budget: options.Budget = "quick",
    seed: options.Seed = "0",
    seeds: options.SeedsInTurns = None,
    device: options.Device = "auto",
    changes: options.Changes = None,
    threads: options.Threads = None,
    backend: options.Backend = "auto",
    graphs: options.Graphs = "auto",
    until: options.Until = None,
    fresh: options.Fresh = False,
    time_limit: options.TimeLimit = None,
    as_json: options.Json = False,
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
    targets: options.Targets = None,
    budget: options.Budget = "quick",
    seeds: options.NotebookSeeds = None,
    values: options.Values = None,
    workers: options.Workers = None,
    device: options.Device = "auto",
    scheduler: options.Scheduler = None,
    slurm: options.Slurm = False,
    time_limit: options.TimeLimit = None,
    out: options.Bundle = None,
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
    experiment: options.Experiment,
    grid: options.Grid,
    budget: options.Budget = "quick",
    seeds: options.SweepSeeds = 1,
    workers: options.Workers = None,
    device: options.Device = "auto",
    scheduler: options.Scheduler = None,
    slurm: options.Slurm = False,
    time_limit: options.TimeLimit = None,
    out: options.Bundle = None,
    as_json: options.Json = False,
) -> None:
    """A grid over fields of a config: every combination under every seed, then a notebook of pictures."""
    from .runs.asked import seconds
    from .runs.jobs import plan

    means = plan.Means(workers, device, scheduler, slurm, seconds(time_limit), out, _report())
    table = plan.sweep(experiment, grid, budget, seeds, means, say)
    print(table.to_json(orient="records") if as_json else table.to_string(index=False))


@app.command()
def status(watch: options.Watch = False, as_json: options.Json = False) -> None:
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
def import_(folder: options.Store) -> None:
    """Take over the records and checkpoints of another store, each verified; a run that is further here stays."""
    from .runs.bundle import adopt

    taken, kept = adopt(folder)
    print(f"{taken} runs taken over, {kept} kept as they are")


@app.command()
def tables(
    format_: options.Format = "text",
    verify: options.Verify = False,
    all_: options.All = False,
    as_json: options.Json = False,
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
    device: options.Device = "cpu",
    shapes: options.Shapes = None,
    threads: options.TimedThreads = None,
    step: options.Step = False,
    all_: options.Everything = False,
    starts: options.Starts = None,
    out: options.RowsFile = None,
    as_json: options.Json = False,
) -> None:
    """Time our layers beside torch.nn.LSTM and the floor, the time that nothing can beat, in turns within one run."""
    from .analysis.benchmark import report
    from .analysis.benchmark.series import asked_for

    rows = asked_for(shapes or (), threads or (), device, step=step, all_=all_, starts=starts, out=out, say=say)
    print(json.dumps(rows) if as_json else report(rows))


@app.command()
def data(names: options.DataSets = None, check: options.Check = False, as_json: options.Json = False) -> None:
    """Fetch and verify data sets; a line for each says where it is, or what is missing and how to get it."""
    rows = listing.data_sets(names, fetch=not check)
    failed = [row for row in rows if row["state"] == "damaged" or (names and not row["here"])]
    if as_json or len(rows) > 1 or not failed:  # else the error says it all
        listing.show(rows, as_json, listing.DATA_COLUMNS)
    if failed:
        others = f" (and {', '.join(row['name'] for row in failed[1:])})" if len(failed) > 1 else ""
        raise DataError(f"{failed[0]['detail']}{others}")


@app.command()
def lab(port: options.Port = 8888, browser: options.Browser = True) -> None:
    """JupyterLab on the notebooks, opening the tour; with a token, on this machine only."""
    whole("port", port, 1, 65535, "a port")
    from .runs.jobs.kernel import lab as served

    os.execve(*served(port, browser))  # noqa: S606 (this process becomes the server)


@app.command()
def export(
    names: options.Exported = None, to: options.To = None, seed: options.NetSeed = None, out: options.Folder = None
) -> None:
    """Write the explorers as static pages, which need no kernel; or trained nets as files, which need no workbench."""
    if to is not None:
        from .runs.export import exported

        written = exported(names or (), to, out or files.results() / "nets", seed)
    elif seed is not None:
        raise ParameterError("--seed: it has no meaning without --to; leave it out")
    else:
        from .notebook.site.pages import pages

        written = pages(out or files.results() / "pages", names)
    for path in written:
        print(path)


@app.command()
def doctor(as_json: options.Json = False) -> None:
    """Show what works here: versions, devices, engines, data, disk room; say how to get what is missing."""
    from .doctor import complaint, examine, line

    rows = examine()
    shown = rows if as_json else [{**row, "detail": line(row)} for row in rows]
    listing.show(shown, as_json, ("what", "state", "detail"))
    if (error := complaint(rows)) is not None:
        raise error


@app.callback()
def _root(context: Context, version: options.Version = False) -> None:
    """See, reproduce and trust Independently Recurrent Neural Networks (arXiv:1910.06251)."""
    if version:
        print(f"workbench {__version__}")
        raise Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


# Typer carries a click of its own in newer releases and imports click in older ones; this is ClickException in both.
CommandLineError: type[Exception] = BadParameter.__mro__[2]


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns its exit code. Errors are one plain line on stderr."""
    return ended(lambda: _carry_out(arguments))


def _carry_out(arguments: list[str] | None) -> object:
    files.make_absolute()
    try:
        code = app(arguments, standalone_mode=False)
    except CommandLineError as error:
        raise ParameterError(error.format_message()) from None  # type: ignore[attr-defined]
    except Abort:
        raise KeyboardInterrupt from None
    if code == 130:  # what newer releases of Typer make of a KeyboardInterrupt
        raise KeyboardInterrupt
    return code


if __name__ == "__main__":
    sys.exit(main())
