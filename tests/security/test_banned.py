"""Calls that run what they read, or believe what they are told: none in the tree, but for the tests that need one."""

import ast
import json
import re
from functools import cache

import pytest

from workbench import files
from workbench.tasks import download

ROOT = files.project()
READS = {"load", "loads", "Unpickler"}
UNPICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
RUNS = {"eval", "exec", "compile", "__import__"}
SHELLS = {
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell",
}
NEVER = {"tempfile.mktemp", "ssl._create_unverified_context", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
NEVER |= {"torch.hub.load", "pandas.read_pickle", "pd.read_pickle", "trusted", "jinja2.Template", "os.chmod"}
# What a test must do to see that it is refused, or in processes of its own: file -> what, how often.
ALLOWED = {
    "tests/ranked.py": ["torch.load"],
    "tests/drop_in/kept.py": ["pickle.loads", "torch.load"],
    "tests/models/test_distributed.py": ["torch.load"],
    "tests/runs/test_estimator.py": ["eval", "eval", "pickle.loads"],
    "tests/recurrence/test_transforms.py": ["pickle.loads", "pickle.loads"],
    "tests/tasks/test_speech.py": ["allow_pickle"],
    "tests/notebook/explorers/test_explorers.py": ["eval"],
    "tests/notebook/explorers/test_own_records.py": ["exec"],
    "tests/security/test_checkpoints.py": ["pickle.loads"],
    "tests/test_code_in_documents.py": ["compile", "exec"],
}


def dotted(node):
    """`a.b.c` of a name, `?.c` of what something else has."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def constant(call, name):
    """A keyword of a call: its constant, `...` where it is computed, None where it is not given."""
    given = [k.value for k in call.keywords if k.arg == name]
    return (given[0].value if isinstance(given[0], ast.Constant) else ...) if given else None


def banned(call):
    """The reason why a call is unsafe, or None."""
    name = dotted(call.func)
    first, _, last = name.rpartition(".")
    rules = {
        name: name in RUNS | SHELLS | NEVER or (first.split(".")[0] in UNPICKLERS and last in READS | {"open"}),
        "read_pickle": last == "read_pickle",
        "torch.load": name == "torch.load" and constant(call, "weights_only") is not True,
        "allow_pickle": constant(call, "allow_pickle") not in (None, False),
        "shell": constant(call, "shell") not in (None, False),
        "extractall": last in ("extractall", "extract") and constant(call, "filter") != "data",
        "verify": constant(call, "verify") is False,
        "unpack_archive": last == "unpack_archive" and constant(call, "filter") != "data",
        "trust_remote_code": constant(call, "trust_remote_code") not in (None, False),
    }
    return next((rule for rule, broken in rules.items() if broken), None)


@cache
def sources():
    """(path below the root, its syntax) of every file and of every notebook's cells."""
    return [(path, list(ast.walk(ast.parse(text)))) for path, text in texts()]


def texts():
    for folder in ("workbench", "scripts", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
        yield path.relative_to(ROOT).as_posix(), "\n".join("".join(cell["source"]) for cell in cells)


def test_nothing_here_runs_what_it_reads():
    found = {}
    for path, nodes in sources():
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        if broken := sorted(filter(None, map(banned, calls))):
            found[path] = broken
    assert found == ALLOWED


def test_no_unpickler_is_imported_where_it_could_read():
    for path, nodes in sources():
        if path.startswith("tests/"):
            continue
        for node in nodes:
            names = [a.name for a in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not UNPICKLERS & {name.split(".")[0] for name in names}, path


def test_what_is_fetched_comes_encrypted():
    """No address of ours is plain http, but names and this machine; every file has its hash."""
    for known in download.SETS.values():
        assert known.url.startswith("https://")
        assert all(re.fullmatch(r"[0-9a-f]{64}", sha) for sha in known.files.values())
    for path, nodes in sources():
        if path.startswith("tests/"):
            continue
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "http://" in node.value:
                after = node.value.partition("http://")[2]
                assert after.startswith(("127.0.0.1", "localhost", "www.w3.org/")), f"{path}: {node.value[:80]}"


@pytest.mark.parametrize(
    "call",
    [
        "pickle.load(f)", "pickle.loads(b)", "pickle.Unpickler(f)", "pd.read_pickle(p)", "frame.read_pickle(p)",
        "torch.load(p)", "torch.load(p, weights_only=False)", "torch.load(p, weights_only=w)", "joblib.load(p)",
        "np.load(p, allow_pickle=True)", "np.load(p, allow_pickle=maybe)", "yaml.load(t)", "eval(t)", "exec(t)",
        "__import__(n)", "os.system(c)", "subprocess.run(c, shell=True)", "tar.extractall(d)", "marshal.loads(b)",
        "tar.extract(m, d, filter='tar')", "requests.get(u, verify=False)", "shelve.open(p)", "tempfile.mktemp()",
    ],
)  # fmt: skip
def test_the_list_finds_what_it_bans(call):
    assert banned(ast.parse(call, mode="eval").body)


@pytest.mark.parametrize(
    "call",
    [
        "torch.load(p, weights_only=True)", "np.load(p, allow_pickle=False)", "np.load(p)", "json.load(f)",
        "subprocess.run(c, shell=False)", "tar.extractall(d, filter='data')", "net(x).eval()", "re.compile(p)",
    ],
)  # fmt: skip
def test_the_list_lets_pass_what_is_safe(call):
    assert banned(ast.parse(call, mode="eval").body) is None
