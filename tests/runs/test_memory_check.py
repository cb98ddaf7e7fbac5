"""The memory that a run needs, how much there is, and which errors mean that there was not enough."""

from types import SimpleNamespace

import psutil
import pytest
import torch

from workbench import paper
from workbench.runs import memory_check

ADDING = paper.experiment("adding_indrnn_T100").config


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """machine(available=..., max=...): what a machine of 1 GB unless given, and its container's files, tell."""
    group = tmp_path / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    monkeypatch.setattr(memory_check, "Path", lambda path: tmp_path / path.strip("/"))
    process = SimpleNamespace(
        rlimit=lambda _: (psutil.RLIM_INFINITY,) * 2, memory_info=lambda: SimpleNamespace(vms=3_000)
    )
    monkeypatch.setattr(psutil, "Process", lambda: process)

    def tell(available=10**9, limit=None, **files):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available))
        if limit is not None:
            process.rlimit = lambda _: (limit, 2 * limit)
        for name, text in files.items():
            (group / f"memory.{name}").write_text(text)
        return memory_check.available("cpu")

    return tell


def test_a_run_needs_the_states_of_all_steps_and_its_weights_seven_times():
    config = ADDING.set({"model.depth": 2, "model.hidden": 16, "train.batch": 5})
    states, weights = 100 * 5 * 16 * 2, 16 * (2 + 16)
    assert memory_check.needed(config) == 8 * states + 7 * 4 * weights
    lstm = paper.experiment("adding_lstm_T100").config.set({"model.depth": 2, "model.hidden": 16, "train.batch": 5})
    assert memory_check.needed(lstm) == 48 * states + 7 * 4 * 4 * 16 * (2 + 16 + 16)


def test_the_narrowest_of_machine_container_and_process_counts(machine, monkeypatch):
    assert machine(2_048_000) == 2_048_000
    held = {"max": "1500000", "current": "1200000", "stat": "anon 5\ninactive_file 200000\n"}
    assert machine(2_048_000, **held) == 500_000  # what is only cached can be had
    assert machine(2_048_000, max="max") == 2_048_000  # a container without a limit
    assert machine(2_048_000, limit=100_000) == 97_000
    monkeypatch.delattr(psutil, "RLIMIT_AS")  # macOS, Windows
    assert machine(2_048_000) == 2_048_000


def test_a_devices_memory_is_asked_of_the_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (123, 456))
    assert memory_check.available("cuda:0") == 123


def test_what_does_not_fit_is_refused_with_both_numbers(machine):
    machine()
    memory_check.check_bytes(1_000_000_000, "cpu", "here")
    with pytest.raises(memory_check.OutOfMemory, match=r"here: out of memory: needs at least 2\.0 GB, has 1\.0 GB"):
        memory_check.check_bytes(2_000_000_000, "cpu", "here")
    memory_check.check(ADDING, "cpu", "here")
    with pytest.raises(
        memory_check.OutOfMemory, match=r"T 100, B 32, N 9,000, depth 2: needs at least .* GB, has 1\.0 GB"
    ):
        memory_check.check(ADDING.set({"model.hidden": 9_000}), "cpu", "here")


@pytest.mark.parametrize(
    ("error", "exhausted"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_torchs_ways_of_saying_that_memory_ran_out(error, exhausted):
    assert memory_check.is_exhaustion(error) is exhausted
