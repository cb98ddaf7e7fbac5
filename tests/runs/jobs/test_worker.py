"""Children of a batch: a GPU each, a run where the caller's disk is not seen, deaths, and a leash."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import nbformat
import psutil
import pytest
import torch

import workbench
import workbench as wb
from workbench import paper
from workbench.runs import folder as records
from workbench.runs import lock
from workbench.runs.folder import Run
from workbench.runs.jobs import plan
from workbench.runs.jobs import worker as children
from workbench.runs.jobs.worker import Campaign, Family, Job, perform
from workbench.runs.planned_run import PlannedRun


@pytest.fixture(autouse=True)
def family(monkeypatch):
    """A family of the test's own: what was stopped, and which GPUs are taken, is nobody else's."""
    monkeypatch.setattr(children, "FAMILY", Family())


@pytest.fixture
def campaign(store):
    return Campaign.of(store)


def acting(monkeypatch, code):
    """The children's work is this code, with its arguments in `given`."""
    monkeypatch.setattr(children, "ENTRY", f"import os, sys; given = sys.argv[1:]; {code}")


def test_a_folder_is_marked_once_and_known_by_its_mark(store):
    first, second = Campaign.of(store), Campaign.of(store)
    assert first.mark == second.mark
    assert first.name != second.name
    assert first.is_here()
    assert not Campaign("x", str(store), "another mark").is_here()
    assert not Campaign("x", str(store / "none"), first.mark).is_here()


def test_where_the_callers_disk_is_not_seen_the_files_travel(store, monkeypatch):
    """To a folder of the child's own and back; what is this machine's work on a run stays here."""
    away, name = Campaign("away", str(store / "of another machine"), "its mark"), "0" * 16
    folder = "folder = os.path.join(os.environ['WORKBENCH_RESULTS'], 'runs', given[0])"
    lines = [folder, "print(folder, *sorted(os.listdir(folder)), file=sys.stderr)"]
    lines += ["[open(os.path.join(folder, n), 'w').write('new') for n in ('events.jsonl', 'ck-4-x.pt', 'lease')]"]
    acting(monkeypatch, "; ".join(lines))
    outcome = perform(Job("a job", (name,), (name,)), away, {"spec.json": b"{}", "ck-2-x.pt": b"old"}, lambda _: None)
    place, *there = outcome.said.split()
    assert there == ["ck-2-x.pt", "spec.json"]
    made = {"ck-4-x.pt": b"new", "events.jsonl": b"new"}
    assert (outcome.code, outcome.files) == (0, {"ck-2-x.pt": b"old", "spec.json": b"{}", **made})
    assert not os.path.exists(place)
    assert not (store / "runs").exists()


def test_words_of_a_child_in_no_encoding_are_read_all_the_same(campaign, monkeypatch):
    acting(monkeypatch, r"sys.stderr.buffer.write(b'Gr\xf6\xdfe\n'); sys.exit(1)")
    outcome = perform(Job("a job", ()), campaign, None, lambda _: None)
    assert (outcome.code, outcome.said) == (1, "Gr\ufffd\ufffde")


def test_there_is_nothing_to_send_of_a_run_that_was_never_begun(tmp_path):
    assert children.contents(Run(tmp_path / "none")) == {}


def test_each_job_that_needs_a_gpu_has_one_to_itself_and_gives_it_back(campaign, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    acting(monkeypatch, "print(os.environ['CUDA_VISIBLE_DEVICES'], file=sys.stderr); sys.stdin.read(); sys.exit(0)")
    said = []
    job = Job("one", (), gpu=True)
    threads = [threading.Thread(target=perform, args=(job, campaign, None, said.append)) for _ in range(2)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while len(said) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sorted(said) == ["3", "5"]
    for child in list(children.FAMILY.alive):
        children._let_go(child)
    for thread in threads:
        thread.join()
    assert {children.FAMILY.gpus.get_nowait() for _ in range(2)} == {"3", "5"}


def test_the_gpus_are_those_that_may_be_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert children.gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-ab,, 1")
    assert children.gpus() == ["GPU-ab", "1"]


def test_a_job_whose_process_dies_twice_is_quarantined_and_any_other_code_is_its_end(campaign, monkeypatch):
    said = []
    acting(monkeypatch, "sys.exit(77)")
    outcome = perform(Job("a job", ()), campaign, say=said.append)
    assert (outcome.code, outcome.said) == (77, "quarantined: died of exit code 77, twice without progress")
    assert said == ["a job: died of exit code 77; tried again"]
    acting(monkeypatch, "print('no such thing', file=sys.stderr); sys.exit(int(given[0]))")
    outcome = perform(Job("a job", ("3",)), campaign, say=said.append)
    assert (outcome.code, outcome.said) == (3, "no such thing")


def test_a_run_that_another_process_trains_is_waited_for_and_its_result_is_used(campaign, store):
    """However long it takes; whoever asks second says that it waits, and trains nothing."""
    changes = {"task.length": 4, "model.hidden": 4, "train.batch": 2, "train.steps": 2, "train.evaluate_every": 1}
    record = wb.run("adding_rnn_tanh_T100", "smoke", changes=changes, until=1, progress=False)
    planned = PlannedRun("adding_rnn_tanh_T100", "smoke", 0, tuple(changes.items()))
    job = Job("a job", ("run", "cpu", "", planned.written), (record.id,))
    said, found = [], []
    worker = threading.Thread(target=lambda: found.append(perform(job, campaign, say=said.append)))
    with lock.Lock(record.run) as mine:
        worker.start()
        while not any("trains it now; waiting for it" in line for line in said) and worker.is_alive():
            time.sleep(0.05)
        time.sleep(0.5)
        assert not found
        assert lock.holder_of(mine.path)["owner"] == mine.owner
    worker.join(60)
    assert [outcome.code for outcome in found] == [0]
    assert record.run.result() is not None


def test_what_is_stopped_begins_nothing_more(campaign, monkeypatch):
    acting(monkeypatch, "sys.exit(0)")
    children.stop(campaign.name)
    outcome = perform(Job("a job", ()), campaign)
    assert (outcome.code, outcome.said) == (5, "")
    assert perform(Job("a job", ()), Campaign("other", campaign.results, campaign.mark)).code == 0


def test_a_notebook_that_cannot_be_is_one_line_and_its_exit_code(campaign, tmp_path):
    job = Job("book", ("notebook", str(tmp_path / "none.ipynb"), "{}", str(tmp_path / "out.ipynb")))
    outcome = perform(job, campaign, say=lambda _: None)
    assert (outcome.code, outcome.said) == (2, f"{tmp_path / 'none.ipynb'}: no such notebook")


IMPATIENT = (
    "import sys; from workbench.runs.jobs import worker; worker.GRACE = 6.0; sys.exit(worker.body(sys.argv[1:]))"
)


@pytest.mark.notebook
@pytest.mark.slow
def test_a_notebook_that_is_stopped_leaves_a_checkpoint_and_no_kernel(campaign, store, tmp_path, monkeypatch):
    """Its kernel is interrupted, so that the run inside it saves; killed, it would run no `finally`."""
    monkeypatch.setattr(children, "ENTRY", IMPATIENT)
    endless = {"train.steps": 10**6, "train.evaluate_every": 100, "task.length": 4, "model.hidden": 4}
    config = paper.experiment("adding_rnn_tanh_T100").config.set(endless)
    code = f"import workbench as wb\nwb.run(wb.Config.parse({config.model_dump_json()!r}), 'paper', progress=False)"
    cells = [
        nbformat.v4.new_code_cell("x: int = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    path, output = tmp_path / "long.ipynb", tmp_path / "out" / "long.ipynb"
    nbformat.write(book, path)
    found = []
    job = Job("long", ("notebook", str(path), json.dumps({"x": 1}), str(output)))
    worker = threading.Thread(target=lambda: found.append(perform(job, campaign, say=lambda _: None)))
    worker.start()
    while not list(store.glob("runs/*/events.jsonl")) and worker.is_alive():
        time.sleep(0.05)
    assert not found
    (child,) = children.FAMILY.alive
    begun = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    assert len(begun) >= 2
    children.stop(campaign.name)
    worker.join(60)
    assert [outcome.code for outcome in found] == [5]
    (run,) = records.find(store / "runs")
    assert run.checkpoints()
    assert not (run.path / "lease").exists()
    deadline = time.monotonic() + 10
    while any(alive(process) for process in begun) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [process for process in begun if alive(process)]
    assert not output.exists()


def alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # whose parent is gone where nobody collects
    except psutil.NoSuchProcess:
        return False


def test_a_childs_child_imports_the_code_that_is_tested(tmp_path):
    """Elsewhere than in the checkout: a package installed from another would be tested, and measured, in its place."""
    code = "import workbench; print(workbench.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == workbench.__file__


def test_a_worker_is_given_a_planned_run_and_loads_no_command_line(campaign, store):
    """Its plan survives the way through JSON, and its exit code is what came of it."""
    changes = (("task.length", 5), ("train.steps", 2), ("train.lr", 1e-3))
    planned = PlannedRun("adding_indrnn_T100", "smoke", 3, changes)
    assert PlannedRun.read(planned.written) == planned
    outcome = perform(
        Job(planned.label, ("run", "cpu", "", planned.written), (planned.run.path.name,)), campaign, say=print
    )
    assert (outcome.code, planned.recorded()) == (0, True)
    wrong = planned._replace(changes=(("train.steps", -1),))
    outcome = perform(Job("wrong", ("run", "cpu", "", wrong.written)), campaign, say=lambda _: None)
    assert (outcome.code, outcome.said[:12]) == (2, "train.steps:")
    code = "import sys, workbench.runs.jobs.plan, workbench.runs.run; sys.exit('typer' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_where_there_are_no_groups_a_child_ends_with_all_that_it_started(monkeypatch):
    """Windows, as far as another system can tell: no killpg is asked for there."""
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    command = [sys.executable, "-c", f"{code}; print('here', file=sys.stderr, flush=True); time.sleep(60)"]
    with monkeypatch.context() as patch:
        patch.delattr("os.killpg")
        patch.setattr(sys, "platform", "win32")
        with children._process(command, os.environ) as child:
            assert child.stderr.readline() == "here\n"
            family = [psutil.Process(child.pid), *psutil.Process(child.pid).children()]
    assert len(family) == 2
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


def test_a_child_asks_itself_to_stop_where_a_signal_from_outside_would_end_it(monkeypatch):
    asked = []
    before = signal.signal(signal.SIGTERM, lambda *_: asked.append(sys.platform))
    try:
        for platform in ("linux", "win32"):
            monkeypatch.setattr(sys, "platform", platform)
            threading.Thread(target=children._ask_to_stop).start()
            deadline = time.monotonic() + 10
            while platform not in asked and time.monotonic() < deadline:
                time.sleep(0.01)  # the handler runs here, between two steps
    finally:
        signal.signal(signal.SIGTERM, before)
    assert asked == ["linux", "win32"]


def test_a_share_of_the_time_hangs_on_no_clock_that_is_set(monkeypatch):
    limits = []
    monkeypatch.setattr(PlannedRun, "train", lambda *_, time_limit: limits.append(time_limit) or wb.Record)
    monkeypatch.setattr(wb.Record, "check", lambda: None)
    share = plan._Deadline(100.0).share(2)
    monkeypatch.setattr(time, "time", lambda: 1e10)
    children._run("cpu", share, PlannedRun("adding_rnn_tanh_T100", "smoke", 0).written)
    assert 40 < limits[0] <= 45  # half of what the time limit leaves after a tenth for the last checkpoints
