"""Words of the glossary: those it does not use name no file, class or function, and no docstring begins as a riddle."""

import ast
import json
import re
from pathlib import Path

import pytest

import workbench

ROOT = Path(__file__).parent.parent
PACKAGE = sorted(Path(workbench.__file__).parent.rglob("*.py"))
FILES = [*PACKAGE, *sorted((ROOT / "scripts").glob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))]
UNUSED = set("arm arms crew chance spread shelf lesson sight kept attempt trial room turns twins prose".split())
LEFT = {"imports.py room", "run.py _in_turns"}  # of the package; two words
PROSE = {"chance", "kept", "room", "sight", "spread", "turns"}  # which sentences may use, as the glossary says
SPOKEN = re.compile(rf"\b({'|'.join(sorted(UNUSED - PROSE - {'arms'}))})s?\b", re.IGNORECASE)
KEYS = {"provenance.py attempts", "train_and_record.py attempts"}  # on disk
COLUMN = re.compile(r"[\w.-]+")  # or a key: one word
ON_DISK = {"chance.json", "spread", "kept"}  # a run's file; two columns of former benchmarks, which are read as the new
BESIDE_A_LINE = {"chance"}  # of a figure: what guessing reaches
RIDDLE = re.compile(r"(What|Whether|Where|Why|How)\b")


def named(text):
    """The classes, functions, arguments, fields and attributes that a text makes."""
    made, nodes = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef), list(ast.walk(ast.parse(text)))
    fields = [
        line.target.id
        for n in nodes
        if isinstance(n, ast.ClassDef)
        for line in n.body
        if isinstance(line, ast.AnnAssign)
    ]
    attributes = [node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
    arguments = [node.arg for node in nodes if isinstance(node, ast.arg | ast.keyword) and node.arg]
    return [*(node.name for node in nodes if isinstance(node, made)), *fields, *attributes, *arguments]


def parameters(path):
    """The names in a notebook's parameters cell."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    (source,) = ("".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", []))
    return [line.target.id for line in ast.parse(source).body if isinstance(line, ast.AnnAssign)]


def parts(name):
    """The words of a name: `silenced_neurons`, `RunBoard`."""
    return set(re.sub(r"([A-Z]+)", r"_\1", name).lower().split("_"))


def riddles(text):
    """The first lines of docstrings that begin with a question."""
    made = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    said = (ast.get_docstring(node) for node in ast.walk(ast.parse(text)) if isinstance(node, made))
    return [words.splitlines()[0] for words in said if words and RIDDLE.match(words)]


def test_no_name_is_a_word_that_the_glossary_leaves_out():
    ours = [path for path in FILES if "tests" not in path.parts]
    found = [(path.name, name) for path in ours for name in (path.stem, *named(path.read_text("utf-8")))]
    found += [(path.name, name) for path in sorted((ROOT / "notebooks").glob("*.ipynb")) for name in parameters(path)]
    assert {f"{file} {name}" for file, name in found if parts(name) & UNUSED} == LEFT
    assert parts("TwoArms") & UNUSED
    assert parts("kept_ones") & UNUSED


@pytest.mark.parametrize("text", ["def f(a, spread): ...", "f(kept=1)", "x.chance = 1", "class A:\n    room: int"])
def test_a_word_that_the_glossary_leaves_out_is_seen_wherever_a_name_is_made(text):
    assert len([name for name in named(text) if parts(name) & UNUSED]) == 1


def strings(path):
    """The texts of a file's code: messages, columns, keys; no docstring."""
    tree = ast.parse(path.read_text("utf-8"))
    plain = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in plain)
    return [node.value for node in texts if isinstance(node.value, str)]


def test_no_message_has_a_word_that_the_glossary_leaves_out_and_no_new_column_is_one():
    texts = [(path, text) for path in PACKAGE for text in strings(path)]
    assert {f"{path.name} {text}" for path, text in texts if SPOKEN.search(text)} == KEYS
    columns = {text for _, text in texts if COLUMN.fullmatch(text) and set(re.split(r"[\W_]", text.lower())) & UNUSED}
    assert columns == ON_DISK | BESIDE_A_LINE
    assert SPOKEN.search("two arms of a study")
    assert not SPOKEN.search("an alarm, attempted")


def test_docstrings_begin_with_a_noun_phrase_or_a_verb():
    assert {str(path.name): lines for path in FILES if (lines := riddles(path.read_text("utf-8")))} == {}


@pytest.mark.parametrize("text", ['"""What a net is."""', 'def f():\n    """Whether it is."""', 'class A:\n    "How."'])
def test_a_riddle_is_seen(text):
    assert len(riddles(text)) == 1
