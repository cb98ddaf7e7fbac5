"""environment.yml, pyproject.toml, constraints.txt and requirements.lock agree, and the set-up's promises hold."""

import os
import re
import runpy
import signal
import subprocess
import sys
import time
import tomllib
import venv
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LEFT_OUT = re.compile(r"torch|triton|nvidia-.*|cuda-.*")
NAMED = {"torch", "jupyterlab", "ipywidgets", "plotly", "pandas", "papermill"}  # the packages the project stands on
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
)


LICENCES = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "licences.py")))


def plain(name):
    """A package's name as all tools compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(extra=None):
    wanted = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return {r.name.lower(): r for r in map(Requirement, wanted)}


def pip_list():
    return next(part["pip"] for part in CONDA["dependencies"] if isinstance(part, dict))


def test_conda_gives_python_and_pip_and_the_rest_comes_from_pyproject():
    from rattler import MatchSpec

    specs = [MatchSpec(s, strict=True) for s in CONDA["dependencies"] if isinstance(s, str)]
    assert [s.name.normalized for s in specs] == ["python", "pip"]
    oldest = re.search(r">=(\d+\.\d+)", PROJECT["requires-python"]).group(1)
    assert f">={oldest}" in str(specs[0].version)
    assert set(pip_list()) == {"-c constraints.txt", "-e .[test,site]", *NAMED}


def test_the_six_named_packages_are_required_and_pinned():
    for name in NAMED:
        assert name in requirements()
        assert requirements()[name].specifier.contains(Version(PINS[name])), name


@pytest.mark.parametrize("extra", [None, *PROJECT["optional-dependencies"]])
def test_every_pin_satisfies_its_requirement(extra):
    pins = {name.lower(): version for name, version in PINS.items()}
    for name, requirement in requirements(extra).items():
        # each CUDA build of torch demands one version of triton, each Python one of atheris: no pin could fit all
        if name in ("triton", "atheris"):
            assert name not in pins
            continue
        assert name in pins, f"{name} is required but not pinned"
        assert requirement.specifier.contains(Version(pins[name])), name


def test_every_locked_package_has_a_hash_and_is_of_the_tested_version():
    """All but torch and what its GPU builds need; those of other platforms have no pin."""
    pins = {plain(name): version for name, version in PINS.items()}
    texts = re.split(r"\n(?=\w)", (ROOT / "requirements.lock").read_text().partition("\n\n")[0])[1:]
    found = {}
    for text in texts:
        first, *hashes = text.split(" \\\n")
        requirement = Requirement(first)
        assert hashes, first
        assert all(re.fullmatch(r"\s+--hash=sha256:[0-9a-f]{64}\s*", line) for line in hashes), first
        found[plain(requirement.name)] = str(requirement.specifier).removeprefix("==")
    assert pins.keys() - found.keys() == {"torch"}
    assert {name: found[name] for name in pins if name != "torch"} == {n: v for n, v in pins.items() if n != "torch"}


@pytest.mark.parametrize("extra", [None, "test", "app", "slurm", "site", "sequences"])
def test_what_is_required_is_locked(extra):
    """The set-up asks nobody what else there is to install."""
    locked = {plain(name) for name in LICENCES.locked()}
    assert {plain(name) for name in requirements(extra)} <= locked
    for name in requirements(extra):
        needed = [r for r in map(Requirement, metadata.requires(name) or []) if r.marker is None or r.marker.evaluate()]
        assert {plain(r.name) for r in needed if not LEFT_OUT.fullmatch(r.name)} <= locked, name


def test_the_licences_are_those_of_the_lock_and_all_of_them_allow_what_we_do():
    rows = [line.strip("| ").split(" | ") for line in LICENCES.PAGE.read_text().splitlines() if line.startswith("| ")][
        1:
    ]
    rows = [(name, version, text.rstrip(" |")) for name, version, text in rows if name != "---"]
    assert {name: version for name, version, _ in rows} == LICENCES.locked()
    assert [name for name, _, text in rows if not LICENCES.is_allowed(text)] == []
    assert not any(map(LICENCES.is_allowed, ("unknown", "GPL-3.0", "MIT AND AGPL-3.0-only", "Proprietary")))


def test_no_line_of_the_package_is_hidden_from_the_measure_of_coverage():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]
    assert settings["run"]["branch"]
    assert settings["report"]["fail_under"] >= 95
    assert settings["report"]["exclude_also"] == ["if TYPE_CHECKING:"]
    hidden = [p.name for p in (ROOT / "workbench").rglob("*.py") if "pragma: no" in p.read_text(encoding="utf-8")]
    assert hidden == []


def test_make_alone_prints_every_verb():
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    for verb in ("setup", "reproduce", "lab", "test", "check"):
        assert f"make {verb} " in done.stdout


def test_set_up_refuses_an_unknown_build_of_torch(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "setup.py"), "--venv", str(tmp_path / "v"), "--torch", "tpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "invalid choice: 'tpu'" in done.stderr
    assert not (tmp_path / "v").exists()


def test_set_up_empties_no_folder_that_is_no_environment(set_up, tmp_path):
    (tmp_path / "v" / "mine").mkdir(parents=True)
    (tmp_path / "v" / "mine" / "thesis.tex").write_text("years of work")
    assert set_up(lambda *_, **__: pytest.fail("emptied")) == (
        f"setup: {tmp_path / 'v'} holds files and is no virtual environment; choose another folder"
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (subprocess.CalledProcessError(1, "ensurepip"), "`apt install python3-venv` adds what is missing"),
        (PermissionError(13, "Permission denied"), "v cannot be made: [Errno 13] Permission denied"),
    ],
)
def test_set_up_says_in_one_line_why_no_environment_can_be_made(error, said, set_up):
    def create(*_, **__):
        raise error

    line = set_up(create)
    assert line.startswith("setup: ")
    assert line.endswith(said)


@pytest.fixture
def set_up(tmp_path, monkeypatch):
    """set_up(create): what the script ends with where `create` makes the environment, and nothing is installed."""

    def call(create):
        script = runpy.run_path(str(ROOT / "scripts" / "setup.py"))["main"].__globals__
        monkeypatch.setattr(venv, "create", create)
        monkeypatch.setitem(script, "torch_here", lambda: "2.99")
        monkeypatch.setattr(sys, "argv", ["setup.py", "--venv", str(tmp_path / "v")])
        with pytest.raises(SystemExit) as ended:
            script["main"]()
        return ended.value.code

    return call


def test_set_up_from_within_an_environment_does_not_count_on_its_torch(tmp_path):
    """The new environment sees the packages of the interpreter below, not those of the environment that is active."""
    active = tmp_path / "active"
    venv.create(active, symlinks=True)
    python = active / "bin" / "python"
    packages = next((active / "lib").glob("python*")) / "site-packages"
    (packages / "torch.py").write_text("__version__ = '2.99.0'")
    seen = subprocess.run([python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True)
    assert seen.stdout == "2.99.0\n"
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); import setup; print(setup.torch_here())"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() != "2.99.0"


SAYS = """\
Looking in indexes: a place
WARNING: Location '/nowhere' is ignored: it is either a non-existing path or lacks a specific scheme.
Collecting numpy==2.0 (from -r requirements.lock (line 1))
  Downloading numpy-2.0.whl (16 MB)
  Downloading torch-2.13.0-cp313-cp313-manylinux_2_28_x86_64.whl (526.6 MB)
Ignoring colorama: markers 'sys_platform == "win32"' don't match your environment
WARNING: numpy 2.0 was yanked
Installing collected packages: numpy
"""


@pytest.fixture
def pip(tmp_path):
    """pip(text, code): an interpreter whose pip says this and ends so; what `setup.install` makes of it."""

    def made(text, code=0):
        (tmp_path / "says").write_text(text)
        stub = tmp_path / "python"
        stub.write_text(f"#!/bin/sh\ncat {tmp_path / 'says'}\nexit {code}\n")
        stub.chmod(0o700)
        call = f"sys.path.insert(0, {str(ROOT / 'scripts')!r}); import setup; setup.EVERY = -1; "
        call += f"from pathlib import Path; setup.install(Path({str(stub)!r}), 'x', total=2)"
        return subprocess.run([sys.executable, "-c", f"import sys; {call}"], capture_output=True, text=True)

    return made


def test_set_up_says_at_which_package_it_is_and_nothing_of_places_that_do_not_exist(pip):
    done = pip(SAYS)
    assert done.returncode == 0, done.stderr
    lines = ["1 of 2: numpy", "torch, 526.6 MB", "2 of 2: colorama", "WARNING: numpy 2.0 was yanked"]
    lines += ["all 2 are here, unpacking ..."]
    assert done.stdout.splitlines() == [f"setup: {line}" for line in lines]
    assert done.stderr == ""


def test_set_up_quotes_pip_where_it_fails(pip):
    error = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n    numpy: expected abc\n"
    done = pip(SAYS + error, code=1)
    assert done.returncode == 1
    assert done.stderr.startswith(error)
    assert done.stderr.splitlines()[-1].startswith("setup: failed: ")
    assert "Location" not in done.stderr


def heeding_interrupts():
    """Ctrl-C is ignored by what a shell starts in the background, and by its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_during_set_up_is_one_line(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "setup.py"), "--venv", str(tmp_path / "v"), "--torch", "cpu"]
    process = subprocess.Popen(
        command, stdout=-1, stderr=-1, text=True, start_new_session=True, preexec_fn=heeding_interrupts
    )
    assert process.stdout.readline().startswith("setup: about ")
    time.sleep(0.3)  # pip is being put into the environment
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.split("\n") == ["", "setup: stopped; the same command begins again", ""]
