"""The direction of imports, and what importing costs."""

import ast
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import workbench

PACKAGE = Path(workbench.__file__).parent
ROOMS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent.parent / "scripts" / "imports.py")))
ARROWS = ROOMS.arrows(PACKAGE)
TYPING_ONLY = {("training.dynamic_evaluation", "runs.record")}


def test_every_room_has_its_place_in_the_order():
    rooms = {ROOMS.room(name) for name in ROOMS.modules(PACKAGE)}
    assert rooms == {name for line in ROOMS.ORDER for name in line}


def test_imports_point_one_way():
    assert [arrow for arrow in ROOMS.backward(ARROWS, ROOMS.ORDER) if arrow.when != "typing"] == []


def test_what_only_types_need_may_point_back_and_is_listed():
    wrong = {(a.source, a.target) for a in ROOMS.backward(ARROWS, ROOMS.ORDER) if a.when == "typing"}
    assert wrong == TYPING_ONLY


def test_no_modules_import_each_other_in_a_circle():
    assert ROOMS.circles(ARROWS) == []


def test_an_arrow_back_and_a_circle_are_seen(tmp_path):
    for name, text in {
        "config/__init__.py": "from ..runs.record import x\n",
        "runs/__init__.py": "",
        "runs/record.py": "def y():\n    from ..config import x\n",
        "errors.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .config import x\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = ROOMS.arrows(tmp_path)
    assert ROOMS.backward(found, ROOMS.ORDER) == [
        ("config", "runs.record", "loading"),
        ("errors", "config", "typing"),
    ]
    assert ROOMS.circles(found) == [["config", "runs.record"]]


def fresh(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_core_imports_nothing_of_the_study():
    core = {"config", "paper", "tasks", "recurrence", "models", "training", "runs"}
    named = [f"workbench.{name}" for name in ROOMS.modules(PACKAGE) if ROOMS.room(name) in core]
    late = {"workbench.recurrence.onnx_translation", "workbench.training.triton_findings"}  # onnxscript, triton
    late |= {f"workbench.recurrence.triton_{name}" for name in ("kernels", "norm", "scan")}
    late |= {"workbench.runs.estimator"}  # scikit-learn
    named = [name for name in named if name not in late]
    foreign = "{'jupyterlab','IPython','ipywidgets','plotly','papermill','nbformat','dask','pooch','sklearn','scipy'}"
    code = f"import sys, importlib; [importlib.import_module(name) for name in {named}]"
    code += f"; print(sorted({foreign} & {{m.split('.')[0] for m in sys.modules}}))"
    assert fresh(code).strip() == "[]"


def test_importing_the_package_imports_no_dependency():
    heavy = "{'torch', 'numpy', 'pandas', 'pydantic', 'plotly'}"
    code = f"import sys; import workbench; print({heavy} & set(sys.modules) or 'none')"
    assert fresh(code).strip() == "none"


def test_every_public_name_is_there_and_sorted_names_are_documented():
    assert set(workbench.__all__) <= set(dir(workbench))
    for name in workbench.__all__:
        assert getattr(workbench, name).__doc__, f"{name} has no docstring"


def test_no_module_needs_what_windows_lacks_to_be_imported():
    """Modules of POSIX alone are imported where they are used, behind a question for the system."""
    posix = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not posix & set(names), path
