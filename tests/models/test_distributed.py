"""Several processes for one run: the same result as one, whatever the net; another number may take it up."""

import signal
import subprocess
import sys
import time

import psutil
import pytest
import ranked
import torch
from torch.testing import assert_close

import workbench as wb
from workbench import paper
from workbench.config import Config
from workbench.errors import ParameterError, Stopped
from workbench.models.distributed import ALONE, Ranks, Share, join, own_device
from workbench.models.layer import SharedDropout
from workbench.runs.record import records
from workbench.tasks.contract import Batch
from workbench.training import Trainer

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

NEAR = {"rtol": 1e-9, "atol": 1e-9}  # a bias before batch norm has gradient 0 but for rounding, which Adam magnifies


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """case -> what one process found, and what each of two found."""
    folder = tmp_path_factory.mktemp("ranks")
    alone = {case: ranked.follow(case) for case in ranked.CASES}
    for case, found in alone.items():
        torch.save(found, folder / f"{case}.pt")
    script = ranked.__file__
    done = subprocess.run([*TORCHRUN, script, str(folder)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]

    def of(case, rank):
        return torch.load(folder / f"{case}-{rank}.pt", weights_only=False)

    return {case: (found, of(case, 0), of(case, 1)) for case, found in alone.items()}


def numbers(found):
    """All numbers of a run: the rows of its curve, with u, and the scores at its end."""
    words = ("outcome", "weights_sha256")
    return [{k: v for k, v in row.items() if k not in words} for row in (*found["rows"], found["test"])]


@pytest.mark.parametrize("case", ranked.CASES)
def test_two_processes_train_as_one(results, case):
    alone, first, second = results[case]
    assert_close(first["whole"]["net"], alone["net"], **NEAR)
    assert_close(numbers(first["whole"]), numbers(alone), **NEAR)
    assert first["whole"]["sha"] == second["whole"]["sha"]


@pytest.mark.parametrize("case", ranked.CASES)
def test_a_checkpoint_is_taken_up_by_another_number_of_processes(results, case):
    alone, first, _ = results[case]
    assert_close(first["resumed"]["net"], alone["net"], **NEAR)
    resumed = ranked.follow(case, state=first["whole"]["cut"])
    assert_close(resumed["net"], alone["net"], **NEAR)
    assert_close(numbers(resumed), numbers(alone)[1:], **NEAR)


def parts(batch, count):
    for rank in range(count):
        with Ranks(rank, count).part(batch) as part:
            yield part


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_parts_of_a_batch_are_the_batch(count):
    x, y, lengths = torch.arange(5 * 14 * 2.0).view(5, 14, 2), torch.arange(7), torch.arange(14)
    found = list(parts(Batch(x, y, lengths, samplings=2), count))
    assert torch.equal(torch.cat([p.x for p in found], 1), x)
    assert torch.equal(torch.cat([p.y for p in found]), y)
    assert torch.equal(torch.cat([p.lengths for p in found]), lengths)
    assert {len(p.y) for p in found} <= {7 // count, -(-7 // count)}
    assert all(p.x.shape[1] == 2 * len(p.y) for p in found)


def test_the_parts_of_a_text_are_columns_of_both_tokens_and_targets():
    x = torch.arange(12).view(3, 4)
    found = list(parts(Batch(x, x + 1, start=9), 2))
    assert torch.equal(torch.cat([p.x for p in found], 1), x)
    assert all(torch.equal(p.y, p.x + 1) and p.start == 9 for p in found)


def test_a_mask_is_the_rows_of_the_whole_batchs_mask():
    dropout, ranks = SharedDropout(0.5), Ranks(1, 2)
    dropout.generator = torch.Generator()
    dropout.generator.manual_seed(0)
    whole = dropout.mask(torch.ones(3, 9, 4), 4)
    dropout.generator.manual_seed(0)
    dropout.ranks, ranks.share = ranks, Share(slice(4, 9), 9)
    assert torch.equal(dropout.mask(torch.ones(3, 5, 4), 4), whole[4:])


def test_a_batch_smaller_than_the_processes_is_refused():
    with pytest.raises(ParameterError, match=r"train.batch: 2 received, fewer than the 3 processes of this run"):
        Trainer(ranked.named("adding_indrnn_T100", train_batch=2), 0, ranks=Ranks(0, 3))


def test_a_process_that_torchrun_did_not_start_is_alone(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")  # as some clusters have it
    assert join("cpu") is ALONE
    assert own_device("cuda") == "cuda"


def test_a_machine_with_fewer_devices_than_processes_is_named(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert (own_device("cpu"), own_device("cuda")) == ("cpu", "cuda:1")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ParameterError, match="device: process 2 of this machine received, which has 2 CUDA devices"):
        own_device("cuda")


TINY = {"model.hidden": 8, "task.length": 20, "train.batch": 9, "train.evaluate_every": 50, "train.steps": 100}
TINY_CONFIG: Config = paper.experiment("adding_indrnn_T100").config.set(TINY)
MAIN = """
import sys
from workbench.runs import train_and_record as attempt
from workbench.__main__ import main
attempt.FIRST_CHECKPOINT = attempt.CHECKPOINT_EVERY = 0.1
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def torchrun(tmp_path, store):
    """Start the tiny run, slowed down while it may be interrupted, by two processes."""
    (tmp_path / "config.json").write_text(TINY_CONFIG.model_dump_json())
    (tmp_path / "main.py").write_text(MAIN)
    slow = "import time\nfrom workbench.training import Trainer\nadvance = Trainer.advance\n"
    slow += "Trainer.advance = lambda self: time.sleep(0.2) or advance(self)\n"
    (tmp_path / "slow.py").write_text(slow + MAIN)

    def start(script):
        arguments = ["run", str(tmp_path / "config.json"), "--budget", "paper"]
        command = [*TORCHRUN, str(tmp_path / script), *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def saved(store):
    return {path.name for path in store.glob("runs/*/ck-*.pt")}


def until_saved(store, child):
    """Wait for a checkpoint that is newer than those of now."""
    before, deadline = saved(store), time.monotonic() + 240
    while not saved(store) - before and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert child.poll() is None, child.stderr.read()


@pytest.mark.slow
def test_a_run_of_two_processes_survives_a_death_and_a_stop_and_ends_as_one_processs_does(torchrun, store, monkeypatch):
    child = torchrun("slow.py")
    until_saved(store, child)
    workers = psutil.Process(child.pid).children()
    next(w for w in workers if w.environ()["RANK"] == "1").kill()
    said = child.communicate(timeout=240)[1]
    assert "another of its 2 processes is gone; the same command continues" in said
    assert "[rank0]: Traceback" not in said
    assert wb.list_records().iloc[0]["status"] == "resumable"

    child = torchrun("slow.py")
    until_saved(store, child)
    child.send_signal(signal.SIGTERM)
    said = child.communicate(timeout=240)[1]
    assert said.count("stopped on request at step") == 1
    step = int(said.partition("stopped on request at step ")[2].partition(";")[0])
    assert any(name.startswith(f"ck-{step}-") for name in saved(store))
    assert 0 < step < 100

    child = torchrun("main.py")
    printed, said = child.communicate(timeout=240)
    assert child.returncode == 0, said
    assert printed.count("weights_sha256") == 1  # of two processes one speaks
    (record,) = records()
    assert record.status == "done"
    assert record.budgets[-1]["provenance"] | {"attempts": 3, "ranks": 2} == record.budgets[-1]["provenance"]

    monkeypatch.setenv("WORKBENCH_RESULTS", str(store / "alone"))
    alone = wb.run(TINY_CONFIG, "paper", progress=False)
    ours, theirs = (dict(r.net().state_dict()) for r in (record, alone))
    for name, value in theirs.items():
        assert (ours[name] - value).norm() <= 1e-6 * value.norm(), name
    for row, other in zip(record.evaluations, alone.evaluations, strict=True):
        assert row["train"]["mse"] == pytest.approx(other["train"]["mse"], rel=1e-6)
        assert row["valid"]["mse"] == pytest.approx(other["valid"]["mse"], rel=1e-6)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"WORLD_SIZE": "2", "RANK": "5"}, "RANK: 5 received; 0 to 1 is allowed"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE: 'two' received; the whole number that torchrun sets is needed"),
        ({"WORLD_SIZE": "2", "RANK": "-1"}, "RANK: '-1' received; the whole number"),
    ],
)
def test_a_wrong_word_of_the_launcher_is_named(monkeypatch, told, said):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ParameterError, match=said):
        join("cpu")


def test_an_error_that_process_0_meets_is_met_by_all(monkeypatch):
    """The others are given what the first sends."""
    sent = []
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", lambda said, *_, **__: sent.append(list(said)))

    def refuse():
        raise ParameterError("seed: 7 received")

    with pytest.raises(ParameterError, match="seed: 7 received"):
        Ranks(0, 2).lead(refuse)
    assert Ranks(0, 2).lead(lambda: "an answer") == "an answer"

    def receive(said, *_, **__):
        said[:] = sent.pop(0)

    monkeypatch.setattr(torch.distributed, "broadcast_object_list", receive)
    with pytest.raises(ParameterError, match="seed: 7 received"):
        Ranks(1, 2).lead(lambda: pytest.fail("only process 0 is asked"))
    assert Ranks(1, 2).lead(lambda: pytest.fail("only process 0 is asked")) == "an answer"


def test_when_another_process_is_gone_it_is_said_and_no_other_error_is_taken_for_that():
    gone = "[gloo/transport/tcp/pair.cc:547] Connection closed by peer"
    with pytest.raises(Stopped, match="a run: stopped: another of its 2 processes is gone; the same command continues"):
        fail_within(Ranks(0, 2), RuntimeError(gone))
    for ranks, error in ((Ranks(0, 2), RuntimeError("shapes cannot be multiplied")), (ALONE, RuntimeError(gone))):
        with pytest.raises(RuntimeError) as caught:
            fail_within(ranks, error)
        assert caught.value is error


def fail_within(ranks, error):
    with ranks.company("a run"):
        raise error
