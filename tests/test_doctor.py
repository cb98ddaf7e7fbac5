"""The doctor finds what is wrong, and says what it is, what it means and what to do: each fault made on purpose."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bad_inputs.case import ADDING, TINY
from choreographer.browsers.chromium import Chromium

import workbench as wb
from workbench import doctor, recurrence
from workbench.__main__ import main
from workbench.tasks import download


@pytest.fixture
def examined(store, capsys):
    """examined(): exit code, rows by name, the last line of stderr, and the text with its means and do."""

    def look(*parts):
        if parts:
            rows = [row for part in parts for row in part()]
            return {row["what"]: row for row in rows}
        code = main(["doctor", "--json"])
        said = capsys.readouterr()
        return code, {row["what"]: row for row in json.loads(said.out)}, said.err

    return look


def assert_explained(row, state, *fragments):
    assert row["state"] == state, row
    told = doctor.line(row)
    assert "\n" not in told
    assert row["detail"]
    assert row["means"]
    for fragment in fragments:
        assert fragment in told


def test_what_works_is_said_and_ends_with_0(examined, monkeypatch):
    monkeypatch.setattr(doctor, "_data", lambda: iter(()))
    code, rows, err = examined()
    assert (code, err) == (0, "")
    for name in ("workbench", "torch", "engine loop", "CPU", "results", "records", "leases"):
        assert rows[name]["state"] == "ok", rows[name]
        assert not rows[name]["means"]
    assert all(set(row) == {"what", "state", "detail", "means", "do"} for row in rows.values())


def test_no_compiler(examined, monkeypatch, tmp_path):
    """A PATH on which there is none."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert recurrence.unavailable("cpu")
    row = examined(doctor._engines)["engine cpu"]
    assert_explained(row, "missing", "no C compiler found (cc, gcc, clang)", "install one", "slower, equal in results")
    monkeypatch.setenv("CC", "/nowhere/cc -O1")
    assert "$CC, /nowhere/cc -O1" in examined(doctor._engines)["engine cpu"]["detail"]


STUB = """#!/bin/sh
case "$*" in *--version*) exit 0;; esac
echo "xcode-select: note: No developer tools were found, requesting install." >&2
exit 1
"""


def test_a_compiler_that_is_there_and_compiles_nothing(store, tmp_path, monkeypatch):
    """As on a Mac without its developer tools: `cc` is a stub that asks for them."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cc").write_text(STUB)
    (tmp_path / "bin" / "cc").chmod(0o700)
    _, rows, _ = elsewhere(tmp_path)
    assert_explained(rows["engine cpu"], "missing", "cc failed: xcode-select: note: No developer tools were found")
    code = "import torch, workbench as wb; a = torch.ones(2, 1, 1); [wb.recur(a, torch.ones(1)) for _ in range(3)]; "
    code += "print(wb.IndRNN(1, 2)(a)[0].shape)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.count("engine cpu cannot run here, a slower one takes its place") == 1
    assert "No developer tools" in done.stderr


def test_no_chromium(examined, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Chromium, "find_browser", lambda **_: None)
    row = examined(doctor._browser)["browser"]
    assert_explained(row, "missing", "no Chromium found", "only browser tests and pictures", "install")
    (tmp_path / "chromium").write_text("#!/bin/sh")
    (tmp_path / "chromium").chmod(0o700)
    assert examined(doctor._browser)["browser"]["state"] == "ok"


def test_a_browser_that_only_the_drawing_of_pictures_finds(examined, monkeypatch, tmp_path):
    """Its folder is on no PATH, as on macOS and Windows."""
    monkeypatch.setenv("PATH", str(tmp_path))
    chrome = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    monkeypatch.setattr(Chromium, "find_browser", lambda **_: chrome)
    row = examined(doctor._browser)["browser"]
    assert (row["state"], row["detail"]) == ("ok", "Google Chrome (for pictures; browser tests look for it on PATH)")


def elsewhere(folder, *names):
    """`workbench doctor --json` in a process that finds these packages first: its exit code, rows, and stderr."""
    path = os.pathsep.join([str(folder), str(Path(wb.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "doctor", "--json"],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, {row["what"]: row for row in json.loads(done.stdout)}, done.stderr


def test_a_torch_that_cannot_be_loaded(store, tmp_path):
    """As one for another CUDA, or for another libc, ends: everything that needs no torch is examined all the same."""
    (tmp_path / "torch").mkdir()
    said = "libcudart.so.13: cannot open shared object file: No such file or directory"
    (tmp_path / "torch" / "__init__.py").write_text(f"raise ImportError({said!r})")
    code, rows, err = elsewhere(tmp_path)
    assert code == 1
    assert err == "workbench: doctor: broken: torch build; see above what to do\n"
    assert_explained(rows["torch build"], "broken", f"cannot be loaded: ImportError: {said}", "`make setup`")
    assert rows["results"]["state"] == "ok"


def test_a_torch_that_is_too_old(store, tmp_path):
    (tmp_path / "torch-2.4.1.dist-info").mkdir()
    (tmp_path / "torch-2.4.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.4.1\n")
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise RuntimeError('too old for this test to load')")
    code, rows, err = elsewhere(tmp_path)
    assert code == 1
    assert "broken: torch, torch build" in err
    assert_explained(rows["torch"], "broken", "2.4.1 is too old", "2.9 or newer is needed", "`make setup`")


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch is no CPU build")
def test_a_cpu_build_beside_an_nvidia_driver(examined, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "NVIDIA", tmp_path / "version")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_explained(examined(doctor._devices)["CUDA"], "missing", "CPU build", "everything runs without it")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.00")
    assert_explained(examined(doctor._devices)["CUDA"], "note", "CPU build", "the GPU is not used", "TORCH=cuda")


@pytest.fixture
def disk(tmp_path):
    """disk(options): a file system of two megabytes, mounted here; the test is skipped where none may be."""
    mounted = []

    def mount(*options):
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", ",".join(["size=2m", *options]), "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no file system may be mounted here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_results_that_are_read_only(examined, disk, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(disk("ro")))
    row = examined(doctor._store)["results"]
    assert_explained(
        row, "broken", "cannot be written", "Read-only file system", "no run can be recorded", "WORKBENCH_RESULTS"
    )
    assert doctor.complaint([row]).code == 4


def test_a_disk_that_is_full(examined, disk, monkeypatch):
    folder = disk()
    monkeypatch.setenv("WORKBENCH_RESULTS", str(folder))
    row = examined(doctor._store)["results"]
    assert_explained(row, "broken", "2 MB free, 1 GB needed", "resumable", "make room")
    with pytest.raises(OSError, match="No space"):
        (folder / "filler").write_bytes(bytes(3_000_000))
    row = examined(doctor._store)["results"]
    assert_explained(row, "broken", "cannot be written", "no space", "make room")


def test_results_that_are_a_file(examined, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("x")
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path / "taken"))
    code, rows, err = examined()
    assert code == 4
    assert "workbench: doctor: broken: results, records" in err
    assert_explained(rows["results"], "broken", "is not a folder", "WORKBENCH_RESULTS")


@pytest.fixture
def begun(store):
    return wb.run(ADDING, "smoke", changes=TINY, until=1, progress=False).run


def test_a_record_that_was_altered(examined, begun):
    spec = begun.path / "spec.json"
    spec.write_text(spec.read_text().replace('"seed": 0', '"seed": 1'))
    row = examined(doctor._records)["records"]
    assert_explained(
        row, "broken", "spec.json", "altered", "the others are shown", f"move the folder {begun.path.name} away"
    )
    assert doctor.complaint([row]).code == 4
    shutil.rmtree(begun.path)  # what it says to do
    assert examined(doctor._records)["records"]["state"] == "ok"


def test_a_lease_whose_process_is_gone(examined, begun):
    """A process that takes the lease and is killed, as by the system when memory runs out."""
    code = "import os, sys, signal; from pathlib import Path; from workbench.runs.lock import Lock; "
    code += "from workbench.runs.folder import Run; Lock(Run(Path(sys.argv[1]))).__enter__(); os.kill(os.getpid(), 9)"
    ended = subprocess.run([sys.executable, "-c", code, str(begun.path)])
    assert ended.returncode == -9
    row = examined(doctor._locks)["leases"]
    assert_explained(row, "note", begun.path.name, "is gone", "it was killed", "the same command continues it")
    assert doctor.complaint([row]) is None
    wb.run(ADDING, "smoke", changes=TINY, progress=False)  # what it says to do
    assert_held(examined, 0)
    from workbench.runs.lock import Lock

    with Lock(begun):
        assert_held(examined, 1)


def assert_held(examined, count):
    row = examined(doctor._locks)["leases"]
    assert (row["state"], row["detail"]) == ("ok", f"{count} runs are trained now")


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """One data set of one file, in a folder of the test's own."""
    import hashlib

    content = gzip.compress(b"images", mtime=0)
    sha = hashlib.sha256(content).hexdigest()
    known = download.DataSet("tiny", "a test", "https://data.invalid/", "MIT", "nobody", {"images.gz": sha})
    monkeypatch.setattr(download, "SETS", {"tiny": known})
    monkeypatch.setattr(download, "cache", lambda: tmp_path / "cache")
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "tiny").mkdir(parents=True)
    (tmp_path / "data" / "tiny" / "images.gz").write_bytes(content)
    return tmp_path / "data"


def test_data_that_are_missing_or_altered(examined, sets):
    assert examined(doctor._data)["data tiny"]["state"] == "ok"
    path = sets / "tiny" / "images.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    row = examined(doctor._data)["data tiny"]
    assert_explained(
        row, "broken", "images.gz: altered", "SHA-256", "refused", "remove that file", "workbench data tiny"
    )
    assert doctor.complaint([row]).code == 3
    shutil.rmtree(path.parent)
    row = examined(doctor._data)["data tiny"]
    assert_explained(row, "missing", "not on this machine", "`workbench data tiny`")
    sets.rmdir()
    assert_explained(examined(doctor._data)["data tiny"], "broken", "WORKBENCH_DATA", "is not a folder")


def test_a_person_reads_one_line_a_thing(examined, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Chromium, "find_browser", lambda **_: None)
    monkeypatch.setattr(doctor, "_data", lambda: iter(()))
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["what", "state", "detail"]
    browser = next(line for line in lines if line.startswith("browser"))
    assert "no Chromium found; only browser tests and pictures need it; " in browser


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(doctor, "CORE", (*doctor.CORE, "no-such-package"))
    assert_explained(doctor._package("no-such-package"), "broken", "not installed", "nothing runs without it", "setup")
    monkeypatch.undo()
    row = doctor._package("no-such-package")
    assert_explained(row, "missing", "not installed", "`run` and `list` do not", "`make setup` installs it")


def test_a_package_that_was_removed_by_half(monkeypatch, tmp_path):
    """As an interrupted `pip uninstall` leaves it: a folder without what says the version."""
    (tmp_path / "papermill-2.6.0.dist-info").mkdir()
    (tmp_path / "jupyter_server-2.20.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("papermill", "jupyter_server"):
        row = doctor._package(name)
        assert_explained(row, "broken", "its version cannot be read", "`run` and `list` do not", "`make clean setup`")


def test_a_cuda_build_with_a_device_and_without_one(examined, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "NVIDIA", tmp_path / "version")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert_explained(examined(doctor._devices)["CUDA"], "missing", "finds no device", "everything runs on the CPU")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  390.00")
    row = examined(doctor._devices)["CUDA"]
    assert_explained(row, "note", "finds no device", "everything runs on the CPU", "update the driver")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a large one")
    assert (examined(doctor._devices)["CUDA"]["state"], examined(doctor._devices)["CUDA"]["detail"]) == (
        "ok", "a large one",
    )  # fmt: skip
