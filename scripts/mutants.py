"""Mutation testing: a sample of small faults put into the code, each of which some test should notice.

A fault is one operator, number, comparison, loop, exception or decorator changed, as cosmic-ray does it, in what runs
without a GPU of the recurrence, the bounds, training and the store; a seed draws 300. Each is tried in a copy of the
project against the tests nearest to it, until one fails. results/mutants.csv is written after every one, and the next
call goes on from there; one whose line has changed is tried again. A fault that never ends counts as noticed. Whoever
has looked at one that no test notices says in the column `why` what it is: "equivalent: ..." where it changes nothing.
"""

from __future__ import annotations

import argparse
import ast
import csv
import gc
import hashlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "results" / "mutants.csv"
COLUMNS = ("module", "operator", "number", "line", "change", "outcome", "by", "why")
SEED, SAMPLE = 0, 300
LONGEST = 60  # processor seconds of one mutant's tests; those of a module take half of it at most
ENGINES = "tests/recurrence/test_engines.py"
LAYERS = "tests/recurrence/test_layers.py"
MEMORY = "tests/recurrence/cpu/test_memory.py"
NORM = "tests/recurrence/test_batchnorm.py"
TRANSFORMS = "tests/recurrence/test_transforms.py"
THREADS = "tests/recurrence/cpu/test_threads.py"
CROSSOVERS = "tests/recurrence/test_crossovers.py"
RANKS = "tests/models/test_distributed.py::test_two_processes_train_as_one"
ARCHIVES = "tests/security/test_archives.py"
FUZZED = "tests/fuzz/test_readers.py::test_seeds_and_changes_of_them_give_data_or_our_own_errors"
STORE, LEASE, ROWS = "tests/runs/test_folder.py", "tests/runs/test_lock.py", "tests/runs/test_events.py"
BUNDLE = [
    f"tests/runs/test_bundle.py::test_{name}"
    for name in (
        "what_is_further_replaces_and_what_merely_continues_leaves_no_copy",
        "a_bundle_is_taken_up_where_it_stopped",
        "a_damaged_bundle_is_refused_before_anything_is_copied",
        "a_bundle_has_at_most_eight_files_of_fifteen_megabytes",
    )
]
STUDY = [
    f"tests/runs/test_run.py::test_{name}"
    for name in (
        "the_id_of_a_run_cannot_smuggle_a_path",
        "a_stopped_run_ends_as_an_uninterrupted_one",
        "fresh_starts_anew_and_deletes_nothing",
    )
]
TESTS = {  # the tests nearest to a module, the quickest first
    "models/bounds": ["tests/models/test_bounds.py", "tests/models/test_indrnn.py", "tests/test_bad_inputs.py"],
    "recurrence/activation": ["tests/recurrence/test_engine_scan.py", ENGINES],
    "recurrence/cpu/batchnorm": [NORM, LAYERS, "tests/models/test_layer.py", THREADS, TRANSFORMS],
    "recurrence/cpu/structs": [LAYERS, NORM, THREADS],
    "recurrence/batchnorm": [CROSSOVERS, NORM, "tests/models/test_batchnorm.py"],
    "recurrence/cpu/states": ["tests/recurrence/cpu/test_states.py", THREADS, ENGINES],
    "recurrence/cpu/layer_large": [MEMORY, LAYERS, ENGINES],
    "recurrence/cpu/compiler": ["tests/recurrence/cpu/test_compiler.py"],
    "recurrence/cpu/engine": [CROSSOVERS, LAYERS, NORM, ENGINES, TRANSFORMS],
    "recurrence/autograd": [ENGINES, TRANSFORMS],
    "recurrence/functional": [NORM, LAYERS, THREADS, ENGINES, TRANSFORMS],
    "recurrence/engine_torch": [LAYERS, ENGINES],
    "recurrence/engines": [CROSSOVERS, ENGINES],
    "recurrence/cpu/layer_fused": [NORM, LAYERS, THREADS],
    "recurrence/engine_loop": [ENGINES],
    "recurrence/cpu/memory": [MEMORY, ENGINES],
    "recurrence/cpu/layer_narrow": [LAYERS, NORM, THREADS],
    "recurrence/torch_ops": [TRANSFORMS],
    "recurrence/engine_scan": [CROSSOVERS, "tests/recurrence/test_engine_scan.py", ENGINES],
    "recurrence/cpu/threads": [THREADS],
    "runs/bundle": [*BUNDLE, ARCHIVES],
    "runs/checkpoint": [ROWS, STORE, f"{FUZZED}[checkpoint]"],
    "runs/status": ["tests/runs/test_status.py"],
    "runs/lock": [LEASE, STORE, "tests/runs/test_status.py"],
    "runs/events": [ROWS, f"{FUZZED}[record]"],
    "runs/folder": [ROWS, STORE, LEASE, f"{FUZZED}[record]", *STUDY],
    "training/gradients": ["tests/training/test_trainer.py", "tests/analysis/test_interventions.py"],
    "training/schedule": ["tests/training/test_trainer.py"],
    "training/trainer": [
        "tests/training/test_trainer.py",
        "tests/training/test_evaluate.py",
        ROWS,
        "tests/training/test_cuda_graphs.py",
        "tests/properties/test_configs.py",
        RANKS,
    ],
}


class Mutant(NamedTuple):
    """One fault: `change` is the line as it was and as it is now; `code` the whole module."""

    module: str
    operator: str
    number: int
    line: int
    change: str
    code: str

    @property
    def key(self) -> tuple[str, ...]:
        return self.module, self.operator, str(self.number), self.change


def drawn() -> list[Mutant]:
    """The sample: faults in the order of a hash, so that an edit changes little of it; none in an annotation."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    sources = {module: (ROOT / "workbench" / f"{module}.py").read_text(encoding="utf-8") for module in TESTS}
    operators = {name: get_operator(name) for name in sorted(operator_names()) if "Variable" not in name}
    every = []
    for module, source in sources.items():
        nodes = list(ast_nodes(get_ast(source)))
        for name, kind in operators.items():
            places = sum(1 for node in nodes for _ in kind().mutation_positions(node))
            every += [(module, name, number) for number in range(places)]
    every.sort(key=lambda place: hashlib.sha256(repr((SEED, *place)).encode()).digest())
    found: list[Mutant] = []
    for module, name, number in every:
        source = sources[module]
        code = mutate_code(source, operators[name](), number)
        if code is None or meaning(code) in (meaning(source), None):
            continue
        before, after = source.splitlines(), code.splitlines()
        at = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
        change = f"{before[at].strip()} -> {after[at].strip()}"
        found.append(Mutant(module, name.partition("/")[2], number, at + 1, change, code))
        if len(found) == SAMPLE:
            break
    print(f"mutants: {len(every)} places there are, {len(found)} drawn", flush=True)
    return found


def meaning(source: str) -> str | None:
    """The code without docstrings and the annotations of functions; None where it is no Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(None)
    return ast.dump(tree)


def tried(mutant: Mutant, folder: Path) -> tuple[str, str]:
    """-> (killed or survived, the test that noticed), from a process that has the dependencies loaded."""
    path, log = folder / "workbench" / f"{mutant.module}.py", folder / "mutant.log"
    before = path.read_text(encoding="utf-8")
    path.write_text(mutant.code, encoding="utf-8")
    pid = os.fork()
    if pid == 0:
        child(folder, log, mutant.module)
    _, status = os.waitpid(pid, 0)
    path.write_text(before, encoding="utf-8")
    said = log.read_text(encoding="utf-8", errors="replace")
    if status == 0:
        return "survived", ""
    noticed = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(\S+)", said, re.MULTILINE)
    if noticed is None and not os.WIFSIGNALED(status) and "loading conftest" not in said:
        sys.exit(f"mutants: the tests of {mutant.module} did not run: {said[-500:]}")
    return "killed", noticed[1][:90] if noticed else "it never ends" if os.WIFSIGNALED(status) else "nothing starts"


def child(folder: Path, log: Path, module: str) -> None:
    """Run the tests of the copy in this process, and end it."""
    code = 1
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
        signal.alarm(5 * LONGEST)  # for one that waits, on a machine that is busy
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(folder)
        os.environ["PYTHONPATH"] = str(folder)
        if module == "recurrence/cpu/compiler":
            os.environ["HOME"] = str(folder / "home")  # what it makes wrongly, no other may load
        sys.path.insert(0, str(folder))
        import pytest

        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *TESTS[module]]))
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def preload() -> None:
    """Import modules that take seconds and are not ours."""
    import numpy
    import pandas
    import pydantic
    import sklearn.datasets
    import torch._dynamo

    assert all((numpy, pandas, pydantic, sklearn, torch))
    sys.dont_write_bytecode = True
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    gc.collect()
    gc.freeze()  # a child looks through its own garbage alone


def copied(folder: Path) -> Path:
    """The project's files, new ones among them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def rows() -> dict[tuple[str, ...], dict[str, str]]:
    """The table so far, by what says that a mutant is still the same."""
    if not TABLE.exists():
        return {}
    with TABLE.open(newline="", encoding="utf-8") as file:
        return {(r["module"], r["operator"], r["number"], r["change"]): r for r in csv.DictReader(file)}


def write(table: list[dict[str, str]]) -> None:
    """Write the table, whole or not at all; no module of the package is loaded here, a child loads the copy's."""
    fresh = TABLE.with_suffix(".tmp")
    with fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(table, key=lambda r: (r["module"], int(r["line"]), r["operator"], int(r["number"]))))
    fresh.replace(TABLE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0, help="begin no further mutant after so long")
    parser.add_argument("--again", action="store_true", help="try those again that survived and nobody has explained")
    options = parser.parse_args()
    sample = drawn()
    known = rows()
    done = {m.key: known[m.key] | {"line": str(m.line)} for m in sample if m.key in known}
    left = [m for m in sample if m.key not in done or (options.again and unexplained(done[m.key]))]
    print(f"mutants: {len(left)} to be tried", flush=True)
    preload()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = copied(Path(name))
        for mutant in left:
            if time.monotonic() - began > 60 * options.minutes:
                break
            outcome, by = tried(mutant, folder)
            told = (mutant.module, mutant.operator, mutant.number, mutant.line, mutant.change, outcome, by, "")
            done[mutant.key] = dict(zip(COLUMNS, map(str, told), strict=True))
            write(list(done.values()))
            print(f"{outcome}  {mutant.module}:{mutant.line}  {mutant.change}  {by}", flush=True)
    write(list(done.values()))
    survived = [row for row in done.values() if row["outcome"] == "survived"]
    equivalent = sum(row["why"].startswith("equivalent") for row in survived)
    print(
        f"mutants: {len(done)} of {SAMPLE} tried, {len(done) - len(survived)} killed, {len(survived)} survived: "
        f"{equivalent} equivalent, {sum(map(unexplained, survived))} that nobody has explained"
    )


def unexplained(row: dict[str, str]) -> bool:
    return row["outcome"] == "survived" and not row["why"]


if __name__ == "__main__":
    main()
