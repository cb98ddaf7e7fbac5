"""The direction of imports, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import workbench

PACKAGE = Path(workbench.__file__).parent
ORDER = [  # each may import what stands in an earlier line, and its own line
    {"errors", "chance", "__init__"},
    {"config", "disk", "instructions", "kernel", "places", "progress", "provenance"},
    {"store", "recurrence"},
    {"arithmetic", "paper", "tasks", "clamped"},
    {"claims", "ranks"},
    {"models"},
    {"evaluate"},
    {"dynamic", "train"},
    {"record"},
    {"study"},
    {"bench", "timing", "arm", "statistics"},
    {"analysis", "curves", "drawing", "probe"},
    {"compare", "arms", "depth", "spread", "verdicts"},
    {"figures", "picture", "tables", "views"},
    {"notebook", "widgets"},
    {"batch", "doctor", "export"},
    {"listing"},
    {"__main__"},
]
# A function may load these late, where a notebook or command asks for what lies downstream.
LATE = {
    ("notebook", "batch"),
    ("notebook", "widgets"),
    ("notebook", "compare"),
    ("widgets", "export"),
    ("record", "train"),
    ("batch", "__main__"),
}


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """(room imported, whether at module level) of every import of our own in a file."""
    tree = ast.parse(path.read_text())
    depth = len(path.relative_to(PACKAGE).parts) - 1
    typing_only = [
        n
        for b in ast.walk(tree)
        if isinstance(b, ast.If) and "TYPE_CHECKING" in ast.unparse(b.test)
        for n in ast.walk(b)
    ]
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.level == 0 or node in typing_only:
            continue
        if node.level <= depth:
            continue  # inside its own room
        names = [node.module.split(".")[0]] if node.module else [a.name for a in node.names]
        for name in names:
            yield name, id(node) in top


def test_imports_point_one_way():
    rank = {name: i for i, line in enumerate(ORDER) for name in line}
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        here = room(path)
        assert here in rank, f"{here} has no place in ORDER"
        for name, at_top in imports(path):
            if name == "__version__":
                continue
            if rank[name] > rank[here] and not (not at_top and (here, name) in LATE):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not wrong


def fresh(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_core_imports_nothing_of_the_study():
    core = "config, paper, tasks, recurrence, models, train, evaluate, store, record, study"
    foreign = "{'jupyterlab','IPython','ipywidgets','plotly','papermill','nbformat','dask','pooch','sklearn','scipy'}"
    code = (
        f"import sys; from workbench import {core}; print(sorted({foreign} & {{m.split('.')[0] for m in sys.modules}}))"
    )
    assert fresh(code).strip() == "[]"


def test_importing_the_package_imports_no_dependency():
    heavy = "{'torch', 'numpy', 'pandas', 'pydantic', 'plotly'}"
    code = f"import sys; import workbench; print({heavy} & set(sys.modules) or 'none')"
    assert fresh(code).strip() == "none"


def test_every_public_name_is_there_and_sorted_names_are_documented():
    assert set(workbench.__all__) <= set(dir(workbench))
    for name in workbench.__all__:
        assert getattr(workbench, name).__doc__, f"{name} has no docstring"
