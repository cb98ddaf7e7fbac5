"""The memory that a run needs, how much there is, and which errors mean that there was not enough."""

import resource

import pytest
import torch

from workbench import paper
from workbench.runs import memory_check

ADDING = paper.experiment("adding_indrnn_T100").config


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """machine(meminfo=..., max=...): a machine that tells this of its memory, and nothing else."""
    group = tmp_path / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (tmp_path / "proc" / "self").mkdir(parents=True)
    monkeypatch.setattr(memory_check, "Path", lambda path: tmp_path / path.strip("/"))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def tell(**files):
        places = {"meminfo": tmp_path / "proc", "statm": tmp_path / "proc" / "self"}
        for name, text in files.items():
            file = f"memory.{name}" if name not in places else name
            (places.get(name, group) / file).write_text(text)
        return memory_check.available("cpu")

    return tell


def test_a_run_needs_the_states_of_all_steps_and_its_weights_seven_times():
    config = ADDING.set({"model.depth": 2, "model.hidden": 16, "train.batch": 5})
    states, weights = 100 * 5 * 16 * 2, 16 * (2 + 16)
    assert memory_check.needed(config) == 8 * states + 7 * 4 * weights
    lstm = paper.experiment("adding_lstm_T100").config.set({"model.depth": 2, "model.hidden": 16, "train.batch": 5})
    assert memory_check.needed(lstm) == 48 * states + 7 * 4 * 4 * 16 * (2 + 16 + 16)


def test_the_narrowest_of_machine_container_and_process_counts(machine, monkeypatch):
    assert machine() is None
    assert machine(meminfo="MemTotal: 9000 kB\nMemAvailable:    2000 kB\n") == 2_048_000
    held = {"max": "1500000", "current": "1200000", "stat": "anon 5\ninactive_file 200000\n"}
    assert machine(**held) == 500_000  # what is only cached can be had
    assert machine(max="max") == 2_048_000  # a container without a limit
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100_000, 200_000))
    assert machine() == 100_000
    assert machine(statm="3 2 1 0 0 0 0") == 100_000 - 3 * resource.getpagesize()


def test_a_devices_memory_is_asked_of_the_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (123, 456))
    assert memory_check.available("cuda:0") == 123


def test_what_does_not_fit_is_refused_with_both_numbers(machine):
    machine(meminfo="MemAvailable: 1000000 kB\n")
    memory_check.check_bytes(1_000_000_000, "cpu", "here")
    with pytest.raises(memory_check.OutOfMemory, match=r"here: out of memory: needs at least 2\.0 GB, has 1\.0 GB"):
        memory_check.check_bytes(2_000_000_000, "cpu", "here")
    memory_check.check(ADDING, "cpu", "here")
    with pytest.raises(
        memory_check.OutOfMemory, match=r"T 100, B 32, N 9,000, depth 2: needs at least .* GB, has 1\.0 GB"
    ):
        memory_check.check(ADDING.set({"model.hidden": 9_000}), "cpu", "here")


def test_where_nothing_tells_nothing_is_refused(machine):
    memory_check.check(ADDING.set({"model.hidden": 10_000}), "cpu", "here")
    memory_check.check_bytes(2**60, "cpu", "here")


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
