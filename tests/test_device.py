"""Obstacles of a first run on a device, before anything is computed there; tested without one."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses import FakeTensorMode

from workbench import recurrence
from workbench.errors import ParameterError
from workbench.recurrence import engines, recur

ROOT = Path(__file__).parent.parent
GPU_TESTS = (
    "tests/recurrence/test_engine_triton.py",
    "tests/training/test_cuda_graphs.py",
    "tests/runs/test_estimator_on_a_device.py",
)
LACKING = (  # packages that a machine with torch, numpy, pandas, scipy, pytest and hypothesis may well not have
    "pooch dask distributed plotly papermill nbformat jupyterlab IPython ipywidgets anywidget voila kaleido playwright"
)
BY_NAME = {  # what is asked of torch.cuda, and why torch.accelerator does not serve there
    "is_available": "whether `--device cuda` can be meant",
    "device_count": "the numbers that CUDA_VISIBLE_DEVICES knows devices by",
    "get_device_name": "it has none",
    "get_device_properties": "it has none",
    "mem_get_info": "torch 2.9 has none there",
    "CUDAGraph graph Stream stream current_stream": "a recording and what it is made on",
}
CARRIED = 60_000_000  # bytes of a checkout, with the data that its first runs read


@pytest.mark.skipif("cpu" not in recurrence.available(), reason="no compiled engine here")
def test_the_compiled_engine_is_given_no_tensor_without_memory_of_its_own():
    """A pointer of such a tensor was read before: a segmentation fault."""
    a, u = torch.zeros(4, 2, 3, device="meta"), torch.zeros(3, device="meta")
    assert recur(a, u, backend="cpu").shape == (4, 2, 3)
    with FakeTensorMode():
        assert recur(torch.zeros(4, 2, 3), torch.zeros(3), backend="cpu").shape == (4, 2, 3)
    elsewhere = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32, shape=(4, 2, 3), is_cuda=True)
    with pytest.raises(ParameterError, match="'cpu' reads the memory of the CPU; a tensor on cuda received"):
        engines.choose(elsewhere, "relu", "cpu")


def test_the_tests_for_a_device_collect_with_its_packages_and_are_skipped_with_a_reason():
    code = "import sys, pytest; sys.modules.update(dict.fromkeys(sys.argv[1].split()))"
    code += "; sys.exit(pytest.main(sys.argv[2:]))"
    options = ["-q", "-rs", "-m", "gpu", "-W", "default", "-p", "no:cacheprovider", *GPU_TESTS]
    command = [sys.executable, "-c", code, LACKING, *options]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "needs a CUDA device" in done.stdout
    assert int(re.search(r"(\d+) skipped", done.stdout)[1]) > 30


def test_cuda_is_named_only_where_torch_has_no_other_word():
    sources = [path.read_text() for folder in ("workbench", "scripts") for path in (ROOT / folder).rglob("*.py")]
    asked = {name for source in sources for name in re.findall(r"torch\.cuda\.(\w+)", source)}
    assert asked == set(" ".join(BY_NAME).split())


def test_a_checkout_and_its_first_data_fit_into_what_may_be_carried():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    tracked = sum((ROOT / name).stat().st_size for name in listed.stdout.split("\0") if (ROOT / name).is_file())
    mnist, treebank = 11_600_000, 5_600_000
    assert tracked + mnist + treebank < CARRIED
