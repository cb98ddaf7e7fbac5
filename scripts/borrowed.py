"""Use a borrowed device well: all stages of the lab book's GPU list, within so many minutes, into one folder.

    python scripts/borrowed.py OUT                           the first loan: correctness, timings (5 minutes)
    python scripts/borrowed.py OUT --loan 2 --minutes 7      the second: training to the end
    python scripts/borrowed.py OUT --loan 3 --back OUT1      and on from what came back; loan 4 likewise
    python scripts/borrowed.py OUT --device cpu --minutes 0.5 --budget smoke      a rehearsal without a device

Each stage is a process of its own under a limit of its own; time that one leaves is the next one's. OUT holds at most
eight files (while a bundle takes another's place, both): what was done (stages.json), what was said (log.txt), what was
measured (bench.json, steps.json, crossovers.json), and the runs as a bundle for `workbench import`. All is written anew
every few seconds, whole or not at all: killed at any moment, what was there is there. The same command goes on;
`--back` takes over an earlier OUT.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from workbench import files
from workbench.errors import WorkbenchError
from workbench.files import publish
from workbench.runs import bundle
from workbench.runs.bundle import adopt
from workbench.runs.folder import Run

ROOT = Path(__file__).resolve().parent.parent
GPU_TESTS = (
    "tests/recurrence/test_engine_triton.py",
    "tests/training/test_cuda_graphs.py",
    "tests/runs/test_estimator_on_a_device.py",
)
MEASURED = ("bench.json", "steps.json", "crossovers.json")
SHAPES = ("mnist", "mnist_l1", "adding1000", "adding5000", "T256")
BEGAN = time.monotonic() + psutil.Process().create_time() - time.time()  # loading torch takes of the loan too
EVERY = 10.0  # seconds between two bundles while a stage trains
MERCY = 8.0  # seconds a stage has, once asked, for its last checkpoint; and that are kept for the last bundle
RESERVED = 5  # megabytes of the output for all but the bundle
FILES = 8  # that may be brought home
SAID = 2_000_000  # bytes of the log


@dataclass(frozen=True)
class Stage:
    """A command, with what share of a loan's time it may take; a run is asked to stop and goes on another time."""

    name: str
    share: float
    command: tuple[str, ...]
    trains: bool = False


def measuring(given: argparse.Namespace, work: Path) -> list[Stage]:
    """Stages of the first loan: what one must know before anything is trained."""
    device, python = given.device, sys.executable
    tests = (python, "-m", "pytest", "-v", "-m", "gpu", "-W", "default", "-p", "no:cacheprovider", *GPU_TESTS)
    shapes = [word for shape in SHAPES for word in ("--shapes", shape)]
    bench = (python, "-m", "workbench", "bench", "--device", device, "--out", str(work / "bench.json"))
    asked = ("--shapes", "20,2,4,8") if given.budget == "smoke" else (*shapes, "--step")
    steps: tuple[str, ...] = (python, "scripts/steps.py", "--device", device, "--budget", given.budget, "--out")
    steps += (str(work / "steps.json"), "--profile", "--seconds", str(given.minutes * 60 * 0.15))
    crossovers = (python, "scripts/crossovers.py", str(work / "crossovers.json"), "--device", device)
    return [
        Stage("environment", 0.1, (python, "-m", "workbench", "doctor")),
        Stage("tests", 0.3, (*tests, *(("-n", str(given.workers)) if given.workers > 1 else ()))),
        Stage("steps", 0.3, steps),
        Stage("bench", 0.25, (*bench, *asked)),
        Stage("crossovers", 0.1, (*crossovers, "--repeats", "3")),
    ]


TRAINED = {  # loan: experiment, seeds at once, share of the time; the most worth first
    2: (
        ("adding_indrnn_T5000", 1, 0.3),
        ("adding_indrnn_T1000", 1, 0.1),
        ("adding_indrnn_T500", 1, 0.1),
        ("seqmnist_plain6_cycle", 3, 0.2),
        ("permmnist_plain6_cycle", 1, 0.15),
        ("seqmnist_plain6", 1, 0.15),
    ),
    3: (
        ("seqmnist_plain12_cycle", 1, 0.25),
        ("seqmnist_res_cycle", 1, 0.25),
        ("seqmnist_dense_cycle", 1, 0.3),
        ("permmnist_res_cycle", 1, 0.2),
    ),
    4: (("ptbchar_plain6_T50_cycle", 1, 0.4), ("ptbchar_dense_T50_cycle", 1, 0.3), ("ptbword_dense_cycle", 1, 0.3)),
}


def training(given: argparse.Namespace) -> list[Stage]:
    """Stages of the later loans: runs, each from where it stopped."""
    stages = []
    for experiment, seeds, share in TRAINED[given.loan]:
        command = (sys.executable, "-m", "workbench", "run", experiment, "--budget", given.budget)
        several = ("--seeds", str(seeds)) if seeds > 1 else ()
        stages.append(Stage(experiment, share, (*command, "--device", given.device, *several), trains=True))
    return stages


@dataclass
class Loan:
    """The time there is, and the folder that everything goes into."""

    out: Path
    work: Path
    parts: int
    end: float
    done: dict[str, Any] = field(default_factory=dict)
    child: subprocess.Popen[bytes] | None = None
    asked: bool = False
    said: set[str] = field(default_factory=set)

    @property
    def left(self) -> float:
        return self.end - time.monotonic() - MERCY

    def ask(self, *_: object) -> None:
        """Stop soon: on SIGTERM or Ctrl-C."""
        self.asked, self.end = True, min(self.end, time.monotonic() + MERCY)
        if self.child is not None:
            self.child.terminate()

    def run(self, stage: Stage, limit: float) -> None:
        """Do one stage, at most `limit` seconds of it, and keep all that it left."""
        command = list(stage.command)
        if stage.trains:
            command += ["--time-limit", f"{max(1.0, limit - MERCY / 2):.0f}s"]
        began, cut = time.monotonic(), False
        with (self.work / "log.txt").open("ab") as log:
            log.write(f"\n=== {stage.name}: {' '.join(command)}\n".encode())
            log.flush()
            environment = os.environ | {"PYTHONUNBUFFERED": "1", "WORKBENCH_RESULTS": str(self.work / "results")}
            self.child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
            code = None
            while code is None:
                spent = time.monotonic() - began
                try:
                    code = self.child.wait(timeout=max(0.05, min(EVERY, limit - spent)))
                except subprocess.TimeoutExpired:
                    self.keep()
                    if time.monotonic() - began >= limit:
                        cut, code = True, self._end()
            self.child = None
        self.done[stage.name] = {"code": code, "seconds": round(time.monotonic() - began, 1), "cut": cut}
        self.keep()

    def _end(self) -> int:
        """Ask the stage to end; end it where it does not."""
        assert self.child is not None
        self.child.terminate()
        try:
            return self.child.wait(timeout=MERCY / 2)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()

    def keep(self) -> None:
        """Lay into the output folder all that there is by now, each file whole."""
        log = self.work / "log.txt"
        if log.exists():
            publish(self.out / log.name, log.read_bytes()[-SAID:], replace=True)
        for name in MEASURED:
            if (self.work / name).exists():
                publish(self.out / name, (self.work / name).read_bytes(), replace=True)
        publish(self.out / "stages.json", json.dumps(self.done, indent=1).encode() + b"\n", replace=True)
        runs = sorted((self.work / "results" / "runs").glob("*"), key=lambda path: -path.stat().st_mtime)
        others = sum((self.out / name).exists() for name in ("log.txt", *MEASURED)) + 2  # stages.json, campaign.json
        if runs:
            try:
                bundle.pack([Run(path) for path in runs], self.out, self._say, parts=min(self.parts, FILES - others))
            except FileNotFoundError:  # a run put a newer checkpoint in the place of the one that was listed
                self._say("a bundle is left to the next time: a run wrote while it was read")

    def _say(self, line: str) -> None:
        """Tell of what is not in the bundle, once."""
        if line not in self.said:
            self.said.add(line)
            print(line, file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the folder that is brought home")
    parser.add_argument("--loan", type=int, default=1, choices=(1, *TRAINED))
    parser.add_argument("--minutes", type=float, default=5.0, help="of the device, the last bundle included")
    parser.add_argument("--megabytes", type=int, default=60, help="that may be brought home")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--budget", default="paper", choices=("smoke", "quick", "paper"))
    parser.add_argument("--workers", type=int, default=8, help="processes of the tests")
    parser.add_argument("--work", type=Path, default=ROOT / ".borrowed", help="where the work is done")
    parser.add_argument("--back", type=Path, action="append", default=[], help="an earlier OUT to go on from")
    given = parser.parse_args(arguments)
    if given.minutes * 60 < 2 * MERCY:
        parser.error(f"--minutes: {given.minutes:g} received; at least {2 * MERCY / 60:.2f} are needed")
    parts = min(bundle.PARTS, int((given.megabytes - RESERVED) * 1e6 // bundle.PART))
    if parts < 1:
        parser.error(f"--megabytes: {given.megabytes} received; at least {RESERVED + bundle.PART // 10**6} are needed")
    for back in given.back:
        if not (back / "stages.json").exists():
            parser.error(f"--back: {back} is no earlier OUT: it has no stages.json")
    out, work = given.out.absolute(), given.work.absolute()
    loan = Loan(out, work, parts, BEGAN + 60 * given.minutes)
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, loan.ask)
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    os.environ["WORKBENCH_RESULTS"] = str(work / "results")
    for back in [*given.back, out]:
        try:
            if (back / bundle.NAME).exists():
                print("{} runs taken over, {} kept as they are".format(*adopt(back)), file=sys.stderr)
        except WorkbenchError as error:  # what is damaged is not gone on from; the device is not to wait for it
            print(f"{back}: {error}", file=sys.stderr)
    if (out / "stages.json").exists():
        loan.done = json.loads((out / "stages.json").read_text())
        for name in ("log.txt", *MEASURED):
            if (out / name).exists() and not (work / name).exists():
                shutil.copy(out / name, work / name)
    stages = measuring(given, work) if given.loan == 1 else training(given)
    left = [stage for stage in stages if loan.done.get(stage.name, {}).get("code") != 0]
    while left and not loan.asked and loan.left > 1:
        stage = left.pop(0)
        share = stage.share / (stage.share + sum(other.share for other in left))
        limit = loan.left * share
        print(f"{stage.name}: at most {limit:.0f} of {loan.left:.0f} s", file=sys.stderr, flush=True)
        loan.run(stage, limit)
        print(f"{stage.name}: {loan.done[stage.name]}", file=sys.stderr, flush=True)
    loan.keep()
    missing = [stage.name for stage in stages if loan.done.get(stage.name, {}).get("code") != 0]
    print(f"{len(stages) - len(missing)} of {len(stages)} stages done in {out}", file=sys.stderr)
    return 5 if missing else 0


if __name__ == "__main__":
    files.make_absolute()
    sys.exit(main())
