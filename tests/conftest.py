"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import forked
import pytest

from workbench import files
from workbench.runs import instructions

instructions.fix()  # before torch is loaded, as in the processes of runs whose bits tests compare

import torch  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Without these a Chromium on a machine without network or display waits for what never comes.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

LONGEST = (
    "test_notebooks",
    "faults/test_cluster",
    "browser/test_explorers_in_a_browser",
    "browser/test_site",
    "browser/test_panel_in_a_browser",
    "browser/test_notebooks_in_a_browser",
    "faults/test_kernels",
    "faults/test_processes",
    "models/test_distributed",
    "test_smoke",
    "browser/test_playground",
    "test_build",
    "faults/test_downloads",
    "drop_in/test_drop_in",
    "recurrence/test_onnx",
    "runs/jobs/test_worker",
    "runs/test_bundle",
    "runs/test_run",
    "browser/test_own_input_in_a_browser",
    "extending/test_extending",
)

torch.set_num_threads(1)  # as runs do: tests of small nets wait for each other's threads otherwise


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, or one of two workers would sit idle while the other ends its last."""
    order = {Path(__file__).parent / f"{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture
def rng() -> torch.Generator:
    """The chance of one test: the same numbers at every run."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder of the test's own, and no published records beside it."""
    monkeypatch.setattr(files, "published", lambda: tmp_path / "published")
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def forked_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that have torch and the package loaded when they begin; where lines are counted, as Jupyter has them."""
    if "COVERAGE_PROCESS_CONFIG" not in os.environ:
        monkeypatch.setattr("jupyter_client.provisioning.local_provisioner.launch_kernel", forked.launch_kernel)


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; the test is skipped where there is none."""
    folder = os.environ.get("WORKBENCH_DATA")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("WORKBENCH_DATA names no folder with mnist/")
    return Path(folder)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """One Chromium for all tests of a process: a second Playwright cannot be started beside the first."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium; .ci/run installs it")
        pytest.skip("no Chromium on this machine (the package chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield chromium
        chromium.close()
