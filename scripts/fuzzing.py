"""Fuzz the readers, guided by coverage: each target for `--seconds`, one after another; writes results/fuzz.csv.

Every target of tests/fuzz/targets.py begins with its kept seeds. What it finds to be new stays in `.fuzz/` and is where
the next call begins; `--keep` puts the smallest set of inputs that reaches as far into the kept seeds. An input that
a reader let through to a crash, a hang or 2 GB is left in `.fuzz/crashes` and ends the command with 1.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from workbench.files import publish_rows

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
WORK = ROOT / ".fuzz"
TABLE = ROOT / "results" / "fuzz.csv"
COLUMNS = ("target", "executions", "processor_seconds", "found", "since")
LIMITS = ("-rss_limit_mb=2048", "-timeout=120")  # of an input: megabytes, seconds
READERS = [f"workbench.{name}" for name in ("tasks", "config", "runs")]
NAMES = ("idx", "skeleton", "text", "sequences", "record", "checkpoint")
KEPT = 40_000  # bytes of kept seeds a target, at most


def child(target: str, arguments: list[str]) -> None:
    """Fuzz in this process, which libFuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=READERS, enable_loader_override=False):
        from fuzz import targets
    run = targets.TARGETS[target]
    with tempfile.TemporaryDirectory() as folder:
        run(b"", Path(folder))  # what is loaded late takes its seconds now
        me = shlex.join([sys.executable, __file__, "--child", target])  # how `-merge` starts it anew, in a shell
        atheris.Setup([me, *arguments], lambda content: run(content, Path(folder)))
        atheris.Fuzz()


def fuzz(target: str, seconds: int) -> dict[str, object]:
    """One target for so long -> its row of the table."""
    new, crashes = WORK / target, WORK / "crashes"
    new.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/{target}-", "-print_final_stats=1", *LIMITS]
    before, began = inputs_left(target), processor()
    done = start(target, [*options, "-max_len=32768", str(new), str(seeds(target))])
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    tried = int(executed[1]) if executed else 0
    if done.returncode != 0:
        print(done.stdout[-2000:], done.stderr[-6000:], sep="\n", file=sys.stderr)
        if before == inputs_left(target):
            sys.exit(f"fuzz: {target} did not run to its end, and no input is to blame; nothing is counted")
    found = int(done.returncode != 0)
    row = (target, tried, round(processor() - began), found, 0 if found else tried)
    return dict(zip(COLUMNS, row, strict=True))


def inputs_left(target: str) -> set[tuple[Path, int]]:
    """Files of the inputs that got through, each with the moment when it was written."""
    return {(path, path.stat().st_mtime_ns) for path in (WORK / "crashes").glob(f"{target}-*")}


def keep(target: str) -> None:
    """Add to the kept seeds what reaches further than they do, the smallest inputs first, up to `KEPT` bytes."""
    from fuzz import targets

    with tempfile.TemporaryDirectory() as folder:
        start(target, ["-merge=1", "-max_len=4096", folder, str(seeds(target)), str(WORK / target)])
        there, more = targets.seeds(target).values(), {}
        room = KEPT - sum(map(len, there))
        for path in sorted(Path(folder).iterdir(), key=lambda path: path.stat().st_size):
            if (content := path.read_bytes()) not in there and len(content) <= room:
                room -= len(content)
                more[path.name[:12]] = content
    targets.keep(target, more)


def processor() -> float:
    """Processor seconds of the children that have ended: on a machine that is shared, the clock says little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seeds(target: str) -> Path:
    """A folder of the kept seeds."""
    folder = WORK / "seeds" / target
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(ROOT / "tests" / "fuzz" / "corpus" / f"{target}.zip") as pack:
        for name in pack.namelist():
            (folder / Path(name).name).write_bytes(pack.read(name))
    return folder


def start(target: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, __file__, "--child", target, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)


def write(row: dict[str, object]) -> None:
    """Add a row to those of earlier calls. `found` counts the inputs that got through, each repaired since and now a
    kept seed; `since` the executions after the last of them."""
    rows: dict[str, dict[str, object]] = {name: dict.fromkeys(COLUMNS, 0) | {"target": name} for name in NAMES}
    if TABLE.exists():
        with TABLE.open(newline="", encoding="utf-8") as file:
            rows |= {str(kept["target"]): dict(kept) for kept in csv.DictReader(file)}
    mine = rows[str(row["target"])]
    if row["found"]:
        mine["since"] = 0
    for column in COLUMNS[1:]:
        mine[column] = int(str(mine[column])) + int(str(row[column]))
    publish_rows(TABLE, COLUMNS, rows.values())


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)}; all unless given")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if unknown := [name for name in options.targets if name not in NAMES]:
        parser.error(f"TARGET: {unknown[0]!r} is unknown; choose one of {', '.join(NAMES)}")
    if importlib.util.find_spec("atheris") is None:
        sys.exit("fuzz: atheris is not installed; `make fuzz` installs it (Linux)")
    lost = 0
    for target in options.targets or NAMES:
        row = fuzz(target, options.seconds)
        print(*(f"{column} {value}" for column, value in row.items()), sep="   ", flush=True)
        write(row)
        lost += bool(row["found"])
        if options.keep:
            keep(target)
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
