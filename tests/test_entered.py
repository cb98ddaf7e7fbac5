"""Files that a training step and a slider's move enter: so far one must read to follow them."""

import runpy
from pathlib import Path

import pytest

from workbench.notebook.explorers import EXPLORERS

ENTERED = runpy.run_path(str(Path(__file__).parent.parent / "scripts" / "entered.py"))
MOVES = {"bounds": 31, "depth": 42, "length": 36, "neurons": 44, "digit": 26, "sentence": 26, "architecture": 21}


def test_a_training_step_enters_few_files():
    files = ENTERED["training_step"]()
    assert {"training/trainer.py", "models/layer.py", "tasks/pixels.py"} <= set(files)
    assert len(files) <= 25


def test_a_move_of_an_explorer_enters_few_files(store):
    found = dict(ENTERED["moves"]())
    assert found.keys() == MOVES.keys() == EXPLORERS.keys()
    assert {name: len(files) for name, files in found.items() if len(files) > MOVES[name]} == {}


def test_a_file_is_counted_where_a_function_of_it_runs():
    from workbench import errors

    assert ENTERED["entered"](lambda: errors.printable("a")) == ["errors.py"]
    with pytest.raises(ZeroDivisionError):
        ENTERED["entered"](lambda: 1 / 0)
