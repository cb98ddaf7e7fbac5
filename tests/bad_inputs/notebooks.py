"""Notebooks, and the parameters they are given."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.notebook.study import Study
from workbench.runs.jobs import notebook_parameters, papermill

from .case import NAN, PARAMETER, Link, refused, reproduce


def cells(*sources: str, **metadata: Any) -> str:
    """A notebook whose code cells are all tagged `parameters`."""
    made = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": [s]} for s in sources]
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def check(**given: Any) -> Callable[[Path], object]:
    """The parameters of a notebook in the folder, checked."""
    return lambda here: notebook_parameters.check(here / "book.ipynb", given)


BOOK = {"book.ipynb": cells("width: float = 1.0\ncount: int = 2")}

# fmt: off
CASES = [
    *refused("Parameters", "notebook", PARAMETER,
        ("a notebook without parameters", check(), ("book.ipynb: 0 cells", "exactly one"), {"files": {"book.ipynb": cells()}}),
        ("a notebook with two parameters cells", check(), ("book.ipynb: 2 cells", "exactly one"), {"files": {"book.ipynb": cells("a: int = 1", "b: int = 2")}}),
        ("a truncated notebook", check(), ("book.ipynb: not a notebook",), {"files": {"book.ipynb": '{"cells": [{"cell_'}}),
        ("an empty notebook", check(), ("book.ipynb: not a notebook",), {"files": {"book.ipynb": ""}}),
        ("a notebook of another shape", check(), ("book.ipynb: not a notebook",), {"files": {"book.ipynb": '{"cells": [1]}'}}),
        ("a notebook whose cell lacks its source", check(), ("book.ipynb: not a notebook", "source"), {"files": {"book.ipynb": '{"cells": [{"metadata": {"tags": ["parameters"]}}]}'}}),
        ("a notebook of 100,000 brackets", check(), ("book.ipynb: not a notebook",), {"files": {"book.ipynb": "[" * 100_000}}),
        ("a notebook that is a folder", check(), ("book.ipynb: not a notebook", "directory"), {"files": {"book.ipynb": None}}),
        ("a notebook that is not there", check(), ("book.ipynb: not a notebook", "No such file")),
        ("a notebook of an unknown kernel", check(), ("kernel: 'ir' runs 'R'", "choose python3"), {"files": {"book.ipynb": cells("a: int = 1", kernelspec={"name": "ir", "language": "R"})}}),
        ("a notebook whose kernel is no object", check(), ("book.ipynb: not a notebook",), {"files": {"book.ipynb": cells("a: int = 1", kernelspec=["ir"])}}),
        ("parameters that are no Python", check(), ("book.ipynb", "cannot be read", "name: type = value"), {"files": {"book.ipynb": cells("a: int = = 1")}}),
        ("a parameter of an unknown type", check(), ("book.ipynb", "complex", "bool, float, int"), {"files": {"book.ipynb": cells("a: complex = 1")}}),
        ("a parameter that is computed", check(), ("book.ipynb", "cannot be read"), {"files": {"book.ipynb": cells("a: int = len([])")}}),
        ("a parameter with a wrong default", check(), ("a: 'x'", "type int"), {"files": {"book.ipynb": cells("a: int = 'x'")}}),
        ("an unknown parameter", check(cuont=1), ("cuont: ", "did you mean count?"), {"files": BOOK}),
        ("a parameter that is no number", check(width=NAN), ("width: nan", "finite"), {"files": BOOK}),
        ("a parameter too large for a float", check(width=10**400), ("width: 1000", "type float"), {"files": BOOK}),
        ("a parameter True for a number", check(width=True), ("width: True", "type float"), {"files": BOOK}),
        ("a parameter None", check(count=None), ("count: None", "type int"), {"files": BOOK}),
        ("a study that does not name itself", lambda _: Study({}), ("notebook: ", "run that cell first")),
        ("a study of an unknown notebook", lambda _: Study({"notebook": "../x"}), ("'../x'", "fig4_adding")),
        ("a study with a misspelt parameter", lambda _: Study({"notebook": "fig4_adding", "seed": 3}), ("seed: ", "did you mean seeds?")),
        ("a study with text for a number", lambda _: Study({"notebook": "fig4_adding", "seeds": "3"}), ("seeds: '3'", "type int")),
        ("many notebooks: seeds 0", reproduce("fig4_adding", values={"seeds": 0}), ("seeds: 0", "1 to 1000")),
        ("many notebooks: an unknown experiment", reproduce("fig4_adding", values={"experiments": ["nope"]}), ("experiment: 'nope'", "choose one of")),
        ("many notebooks: experiments in a list too many", reproduce("fig4_adding", values={"experiments": [["a"]]}), ("experiment: ['a']",)),
        ("many notebooks: a name that is code", reproduce("fig4_adding", values={"import os": 1}), ("import os: ", "no such parameter")),
        ("many notebooks: a name that is no text", reproduce("fig4_adding", values={1: 1}), ("1: fig4_adding has no such parameter",)),
        ("a device that is not there, in a notebook", reproduce("fig4_adding", values={"device": "tpu"}), ("device: 'tpu'", "auto, cpu, cuda")),
        ("output over its own source", lambda here: papermill.execute(here / "book.ipynb", {}, here / "." / "book.ipynb"), ("book.ipynb", "overwrite"), {"files": BOOK}),
        ("output over its source through a link", lambda here: papermill.execute(here / "book.ipynb", {}, here / "out.ipynb"), ("out.ipynb", "overwrite"), {"files": {**BOOK, "out.ipynb": Link("book.ipynb")}}),
        ("a notebook to execute that is not there", lambda here: papermill.execute(here / "book.ipynb", {}, here / "out.ipynb"), ("book.ipynb", "no such notebook")),
    ),
]
# fmt: on
