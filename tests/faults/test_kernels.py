"""Kernels and notebooks killed, interrupted, restarted in mid-run, or without room on a disk (faults 3, 4, 6, 15)."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

import pytest
from faults import bodies
from faults.conftest import FULL

import workbench as wb
from workbench import files
from workbench.errors import RunError, StoreError
from workbench.runs import folder as records
from workbench.runs import lock, status
from workbench.runs.folder import pure
from workbench.runs.jobs import plan, worker
from workbench.runs.jobs.plan import Means
from workbench.runs.status import overview
from workbench.tasks import download

TRAINS = f"""import workbench as wb
wb.run("adding_rnn_tanh_T100", "smoke", changes={bodies.TINY | {"train.steps": 10**6, "train.evaluate_every": 500}})"""
TRAIN = "from faults import bodies; bodies.train(); None"
VIEW = """import json, time
from workbench.notebook.run_board import Board
began = time.process_time()
shown = Board()
shown.runs.value = [{id!r}]
print(json.dumps([time.process_time() - began, shown.table.value, len(shown.figure.data[0].x)]))"""


class Kernel:
    """A kernel as a browser's tab has it: code goes in, text or an error's name comes out."""

    def __init__(self):
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(kernel_name="python3")

    def tab(self):
        """Another client of the same kernel."""
        from jupyter_client.blocking.client import BlockingKernelClient

        client = BlockingKernelClient(connection_file=self.manager.connection_file)
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(60)
        return client

    def run(self, code, client=None):
        """The output of a cell; AssertionError where it fails."""
        said = []
        reply = (client or self.client).execute_interactive(
            code, timeout=120, output_hook=lambda m: said.append(m["content"].get("text", ""))
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(said)

    def begin(self, code):
        """Send a cell and do not wait; `answer` does."""
        self.asked = self.client.execute(code, silent=True)

    def answer(self, seconds):
        """`ok`, or the name of the error; answers to other questions (is it ready?) are passed over."""
        deadline = time.monotonic() + seconds
        asked, content = None, {}
        while asked != self.asked:
            message = self.client.get_shell_msg(timeout=max(deadline - time.monotonic(), 0))
            asked, content = message["parent_header"].get("msg_id"), message["content"]
        return content["ename"] if content["status"] == "error" else content["status"]

    def restart(self):
        self.manager.restart_kernel(now=True)
        self.client.wait_for_ready(60)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


@pytest.fixture
def kernel(store, monkeypatch):
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(files.project() / "tests"), str(files.project())]))
    one = Kernel()
    yield one
    one.close()


def locks(store):
    return list(store.glob("runs/*/lease"))


@pytest.mark.slow
def test_3_a_killed_kernel_is_said_and_the_other_notebooks_go_on(fault, store, tmp_path):
    chance = random.Random(3)
    trains = bodies.book(tmp_path / "trains.ipynb", TRAINS)
    counts = bodies.book(tmp_path / "counts.ipynb", "print(6 * 7)")

    def kill_its_kernel():
        (path,) = bodies.wait_for(lambda: locks(store))
        time.sleep(chance.uniform(0, 0.5))
        os.kill(json.loads(path.read_text())["pid"], 9)

    for _ in fault(3, "kill -9 of the kernel under papermill", 50, 1):
        said: list[str] = []
        killer = threading.Thread(target=kill_its_kernel)
        killer.start()
        with pytest.raises(RunError, match="1 of 2 failed: trains"):
            plan.carry_out([], [(trains, {}, []), (counts, {}, [])], Means(workers=2), said.append)
        killer.join()
        assert any(line.startswith("trains: failed") and "its kernel was killed" in line for line in said), said
        assert {path.name for path in (store / "notebooks").iterdir()} == {"counts_quick.ipynb", "counts_quick.json"}
        (row,) = overview()
        assert (row["status"] in ("pending", "resumable"), row["error"]) == (True, "its process was killed")
        shutil.rmtree(store)


@pytest.mark.slow
def test_17_of_two_papermills_of_one_notebook_the_second_waits_and_uses_the_result(fault, store, tmp_path):
    """Plain papermill, as its users start it, twice: the run is made once, by the first of the two kernels."""
    path = bodies.book(tmp_path / "book.ipynb", TRAINS.replace("1000000", "4000"))
    command, environment = [sys.executable, "-m", "papermill", str(path)], os.environ | {"PYTHONWARNINGS": "ignore"}
    for index in fault(17, "two `papermill` of the same at once", 10, 1):
        output = [str(tmp_path / f"{index}-{one}.ipynb") for one in range(2)]
        pair = [
            subprocess.Popen([*command, name], env=environment, stdout=-1, stderr=subprocess.STDOUT, text=True)
            for name in output
        ]
        said = [process.communicate(timeout=300)[0] for process in pair]
        assert [process.returncode for process in pair] == [0, 0], said
        (run,) = records.find(store / "runs")
        assert (lock.status(run), run.troubles(), locks(store)) == ("done", [], [])
        shutil.rmtree(store)


@pytest.mark.slow
def test_4_an_interrupted_kernel_keeps_a_checkpoint_and_goes_on(fault, store, forked_kernels, kernel, quiet):
    chance, done = random.Random(4), 0
    for _ in fault(4, "interrupt of the kernel during training", 50, 3):
        kernel.begin(TRAIN)
        bodies.wait_for(lambda: locks(store))
        time.sleep(chance.uniform(0, 0.1))
        kernel.manager.interrupt_kernel()
        ended = kernel.answer(10)
        (run,) = records.find(store / "runs")
        assert not locks(store)
        assert run.checkpoints()
        assert lock.status(run) == {"Stopped": "resumable", "ok": "done"}[ended]
        if ended == "ok":
            assert pure(run.result()) == quiet[0]
            shutil.rmtree(store / "runs")
            done += 1
    if not done:
        kernel.run(TRAIN)
        assert pure(run.result()) == quiet[0]


@pytest.mark.slow
def test_6_a_full_disk_keeps_the_earlier_notebook(fault, small_disk, tmp_path, monkeypatch):
    """Executed on a disk without room for it: said in a line, the earlier one whole; written when there is room."""
    campaign = worker.Campaign.of(small_disk)
    path = bodies.book(tmp_path / "large.ipynb", "print('x' * size)")
    output = small_disk / "large_quick.ipynb"

    def execute(size):
        return worker.perform(
            worker.Job("large", ("notebook", str(path), json.dumps({"size": size}), str(output))), campaign
        )

    before = bodies.book(output, "an earlier one").read_bytes()
    for _ in fault(6, "disk full, in a notebook", 1, 1):
        (small_disk / "ballast").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 50_000))
        outcome = execute(200_000)
        assert outcome.code == 4, outcome.said
        assert "large_quick.ipynb: no space: has " in outcome.said
        assert output.read_bytes() == before
        assert not list(small_disk.glob(".*.ipynb"))
        (small_disk / "ballast").unlink()
        assert execute(200_000).code == 0
        assert output.stat().st_size > 200_000


def test_6_a_full_disk_under_the_index_costs_only_time(fault, small_disk, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(small_disk / "results"))
    monkeypatch.setattr(files, "published", lambda: small_disk / "published")
    for _ in fault(6, "disk full, in the index", 1, 1):
        for seed in range(3):
            bodies.tiny(seed)
        rows = [row["id"] for row in overview()]
        (small_disk / "results" / "runs" / ".index.sqlite").unlink()
        (small_disk / "ballast").write_bytes(b"x" * shutil.disk_usage(small_disk).free)
        assert [row["id"] for row in overview()] == [row["id"] for row in status.rows()] == rows
        (small_disk / "ballast").unlink()
        assert [row["id"] for row in overview()] == rows


def test_6_a_full_disk_in_the_cache_of_data_is_no_missing_data(fault, small_disk, tmp_path, monkeypatch):
    """Said as what it is, for no substitute would help; fetched when there is room."""
    content = random.Random(6).randbytes(1_000_000)
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.bin").write_bytes(content)
    with served(tmp_path / "web") as address:
        sha = hashlib.sha256(content).hexdigest()
        known = download.DataSet("tiny", "a test", address, "MIT", "nobody", {"a.bin": sha})
        monkeypatch.setitem(download.SETS, "tiny", known)
        monkeypatch.setattr(download, "cache", lambda: small_disk / "cache")
        monkeypatch.delenv("WORKBENCH_DATA", raising=False)
        for _ in fault(6, "disk full, in the cache of data", 1, 1):
            (small_disk / "ballast").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 300_000))
            with pytest.raises(StoreError, match=r"a\.bin: no space: has \d+$"):
                download.locate("tiny")
            assert not (small_disk / "cache" / "tiny" / "a.bin").exists()
            (small_disk / "ballast").unlink()
            assert (download.locate("tiny") / "a.bin").read_bytes() == content


@contextlib.contextmanager
def served(folder):
    """A folder on a port of this machine; its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given):
            super().__init__(*given, directory=str(folder))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_15_a_run_outlives_the_kernel_that_looks_at_it(fault, store, kernel, forks):
    """Restart, reload, a second tab: the run goes on elsewhere, and each view is the records' within 2 s."""
    child = forks.Process(target=bodies.endless, args=(store,))
    child.start()
    try:
        (path,) = bodies.wait_for(lambda: [p for p in store.glob("runs/*/events.jsonl") if p.stat().st_size])
        run, second = records.Run(path.parent), kernel.tab()
        kernel.run(VIEW.format(id=run.path.name))  # a store's first view reads every published record, once
        reached = 0
        for _ in fault(15, "kernel restarted, second tab; the run in a process of its own", 20, 1):
            for client in (kernel.client, second):
                took, table, points = json.loads(kernel.run(VIEW.format(id=run.path.name), client))
                assert took < (2 if "COVERAGE_PROCESS_CONFIG" not in os.environ else 6)  # counted lines take longer
                assert "running" in table
                assert points >= reached
                reached = max(points, reached)
            kernel.restart()
            before = len(run.events())
            bodies.wait_for(lambda before=before: len(run.events()) > before)
            assert lock.status(run) == "running"
        second.stop_channels()
    finally:
        child.terminate()
        child.join(20)
    assert child.exitcode == 5
    assert lock.status(run) == "resumable"


@pytest.mark.slow
def test_15_a_run_inside_a_restarted_kernel_goes_on_bitwise(fault, store, forked_kernels, kernel, quiet):
    chance = random.Random(15)
    for _ in fault(15, "kernel restarted; the run inside it", 20, 1):
        for _ in range(2 if FULL else 1):
            kernel.begin(TRAIN)
            bodies.wait_for(lambda: locks(store))
            time.sleep(chance.uniform(0, 0.4))
            kernel.restart()
        (row,) = overview()
        assert row["status"] in ("pending", "resumable", "quarantined", "done")
        kernel.run(TRAIN)
        assert pure(wb.Record(records.Run(store / "runs" / row["id"])).run.result()) == quiet[0]
        shutil.rmtree(store / "runs")
