"""environment.yml, pyproject.toml, constraints.txt and requirements.lock agree, and the set-up's promises hold."""

import re
import runpy
import subprocess
import sys
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
    assert set(pip_list()) == {"-c constraints.txt", "-e .[test]", *NAMED}


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


@pytest.mark.parametrize("extra", [None, "test", "app", "slurm"])
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
