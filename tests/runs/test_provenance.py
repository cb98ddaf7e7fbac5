"""Each record says with what it was computed, from what, and what it cost."""

import platform
import subprocess
import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

import workbench as wb
from workbench import tasks
from workbench.runs import provenance

DIGITS = {"model.hidden": 4, "model.depth": 1, "train.steps": 2, "train.evaluate_every": 1, "task.limit": 64}


def test_a_record_names_code_packages_device_threads_seed_data_and_cost(store):
    record = wb.run("seqdigits_plain6", "smoke", seed=3, changes=DIGITS, threads=1, progress=False)
    spec, result = record.run.spec(), record.run.result()
    assert (spec["seed"], spec["threads"]) == (3, 1)
    assert spec["data"] == tasks.data_hashes(record.config.task) != {}
    assert all(len(sha) == 64 for sha in spec["data"].values())
    where = result["provenance"]
    assert (where["workbench"], where["code"], where["python"]) == (
        wb.__version__, provenance.code(), platform.python_version(),
    )  # fmt: skip
    assert (where["torch"], where["numpy"], where["pandas"]) == (torch.__version__, version("numpy"), version("pandas"))
    assert where["device"].startswith("CPU, ") or torch.cuda.is_available()
    assert (where["threads"], where["attempts"]) == (1, 1)
    assert where["backend"] in wb.available()
    cost = result["cost"]
    assert cost["cpu_s"] > 0
    assert cost["wall_s"] > 0
    assert 50 < cost["peak_mb"] < 20_000


def test_a_cost_goes_on_from_the_attempts_before():
    cost = provenance.Meter({"wall_s": 100.0, "cpu_s": 50.0, "peak_mb": 1e6}).read()
    assert cost["wall_s"] >= 100
    assert cost["cpu_s"] >= 50
    assert cost["peak_mb"] == 1e6


def test_energy_is_what_the_device_tells_and_nothing_else(monkeypatch):
    told = iter([1000.0, 1250.0])
    monkeypatch.setattr(provenance, "energy", lambda device: next(told))
    assert provenance.Meter({"wall_s": 0, "cpu_s": 0, "peak_mb": 0, "energy_j": 7.0}).read()["energy_j"] == 257.0
    monkeypatch.setattr(provenance, "energy", lambda device: None)
    assert "energy_j" not in provenance.Meter().read()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system's own count is right")
def test_a_childs_peak_is_its_own_and_not_its_parents():
    heavy = torch.ones(400 * 2**18)  # 400 MB beside what torch itself needs
    child = "from workbench.runs.provenance import _peak_mb; print(_peak_mb())"
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
    assert 50 < float(done.stdout) < provenance._peak_mb() - 300
    assert len(heavy)


def test_a_gpus_energy_is_its_own_counter_in_joules_and_none_where_it_does_not_tell(monkeypatch):
    counter = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: {"GPU-12ab": 1500}[handle],  # millijoules
    )
    monkeypatch.setitem(sys.modules, "pynvml", counter)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: SimpleNamespace(uuid="12ab"))
    assert provenance.energy("cuda:0") == 1.5
    assert provenance.energy("cpu") is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert provenance.energy("cuda:0") is None


def test_a_record_made_on_a_device_names_the_device_and_its_triton(monkeypatch):
    """By what is imported: the wheels for AMD's devices have another name."""
    triton = ModuleType("triton")
    triton.__version__, triton.__spec__ = "3.9.0", ModuleSpec("triton", None)
    monkeypatch.setitem(sys.modules, "triton", triton)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a large one")
    found = provenance.provenance(1, "cuda:0", "triton", 1)
    assert (found["device"], found["triton"]) == ("a large one", "3.9.0")
    assert "triton" not in provenance.provenance(1, "cpu", "torch", 1)


def test_a_gpus_peak_goes_on_from_the_attempts_before(monkeypatch):
    monkeypatch.setattr(provenance, "energy", lambda device: None)
    monkeypatch.setattr(torch.accelerator, "max_memory_allocated", lambda: 2e6)
    before = {"wall_s": 0.0, "cpu_s": 0.0, "peak_mb": 0.0}
    assert provenance.Meter(before, "cuda:0").read()["gpu_peak_mb"] == 2
    assert provenance.Meter(before | {"gpu_peak_mb": 3.0}, "cuda:0").read()["gpu_peak_mb"] == 3
    assert "gpu_peak_mb" not in provenance.Meter(before).read()


@pytest.mark.skipif(sys.platform != "linux", reason="the two are one elsewhere")
def test_where_linux_does_not_tell_the_peak_is_as_the_system_counts_it(monkeypatch):
    told = provenance._peak_mb()
    monkeypatch.setattr(provenance, "Path", lambda path: Path("/nowhere"))
    assert told * 0.8 < provenance._peak_mb() < 100_000
