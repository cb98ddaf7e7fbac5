"""A build is the same bytes every time, and an installed copy has all it reads."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from test_sequences_page import BLOCKS, run_page

from workbench.runs.folder import find
from workbench.runs.pack import CHECKPOINTS

ROOT = Path(__file__).parent.parent


def tracked():
    """The project's files, new ones among them; the test is skipped where git cannot say which they are."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a checkout")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def built(folder, age, mask):
    """Copy the project, its files of another date and mode, and build it: sdist, and from that the wheel."""
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
        os.utime(folder / name, (age, age))
        (folder / name).chmod(0o644 & ~mask)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return sorted((folder / "dist").iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built twice: at other times, in folders of other names, with other rights."""
    first = built(tmp_path_factory.mktemp("first"), 1_500_000_000, 0)
    second = built(tmp_path_factory.mktemp("another"), 1_700_000_000, 0o022)
    assert [path.name for path in first] == [path.name for path in second]
    assert len(first) == 2
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
    return next(path for path in first if path.suffix == ".whl")


def test_two_builds_give_the_same_bytes_and_no_checkpoints_or_caches(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    with tarfile.open(next(wheel.parent.glob("*.tar.gz"))) as archive:
        names += archive.getnames()
    assert not [name for name in names if "__pycache__" in name or ".ipynb_checkpoints" in name]
    assert not [name for name in names if "published/runs" in name and name.endswith((".pt", CHECKPOINTS))]


def test_the_wheel_holds_the_package_and_all_that_it_reads(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    read = ("workbench/", "notebooks/", "results/paper/", "results/published/")
    for name in tracked():
        if not name.startswith(read) or (name.endswith(CHECKPOINTS) and "published/runs" in name):
            continue
        if name.startswith(
            tuple(f"results/published/{kind}/" for kind in ("notebooks", "pictures", "search", "unfinished"))
        ):
            continue  # to be looked at, not read by the code
        assert (name if name.startswith("workbench/") else f"workbench/_project/{name}") in held


def test_the_metadata_are_what_an_index_takes(wheel):
    name = next(name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA"))
    found = Metadata.from_email(zipfile.ZipFile(wheel).read(name), validate=True)
    assert found.description_content_type == "text/markdown"
    assert {"Paper", "First paper"} <= set(found.project_urls)
    assert found.license_expression == "MIT"
    assert "site" in found.provides_extra


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment of its own, which sees this one's dependencies and nothing of the checkout: python, variables."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", system_site_packages=True)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = next((folder / "env").glob("[Ll]ib*/**/site-packages"))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run(install, check=True, capture_output=True)
    here = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH", "PYTEST"))}
    here |= {"PYTHONPATH": sysconfig.get_path("purelib"), "XDG_DATA_HOME": str(folder / "home")}
    return python, here


def test_a_copy_installed_from_the_wheel_lists_and_verifies(installed, tmp_path):
    python, here = installed

    def said(*command):
        done = subprocess.run([python, *command], cwd=tmp_path, env=here, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    code = "import workbench; from workbench import files; from workbench.runs import record"
    code += "; print(workbench.__file__, files.published())"
    code += "; print(*(r.id for r in record.records() if r.verify() is None))"
    where, verified = said("-c", code).splitlines()
    assert all(Path(path).is_relative_to(python.parent.parent) for path in where.split())
    assert set(verified.split()) == {run.path.name for run in find(ROOT / "results/published/runs", packs=True)}
    assert "adding_indrnn_T100" in said("-m", "workbench", "list")


def test_the_page_of_sequences_is_done_with_the_wheel_alone(wheel, installed, tmp_path):
    """From the installation to a score on a table of one's own; each block of the page, installing apart."""
    assert any(f"pip install dist/{wheel.name}" in text for _, text in BLOCKS)
    python, here = installed
    indrnn = run_page(python, tmp_path, here)[1]
    assert float(dict(line.split(maxsplit=1) for line in indrnn.splitlines())["test_accuracy"]) > 0.9
