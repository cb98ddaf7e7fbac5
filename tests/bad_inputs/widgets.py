"""Messages of a page to an explorer: each is said in one line, and neither values nor pictures change."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import ParameterError
from workbench.notebook.explorers import EXPLORERS, Explorer

from .case import INF, NAN, PARAMETER, refused


def opened(name: str, **values: Any) -> Callable[[Path], object]:
    """An explorer opened at these values."""
    return lambda _: Explorer(EXPLORERS[name]("smoke"), **values)


def sent(message: Any, name: str = "bounds") -> Callable[[Path], object]:
    """The complaints of an explorer when this comes from a page; nothing else of it may change."""

    def call(_: Path) -> None:
        explorer = Explorer(EXPLORERS[name]("smoke"))
        before = dict(explorer.values), list(explorer.panels), explorer.work
        explorer._received(None, message, [])
        assert (explorer.values, explorer.panels, explorer.work) == before
        (complaint,) = explorer.complaints.values()
        raise ParameterError(complaint)

    return call


def turned(name: str = "bounds", /, **values: Any) -> Callable[[Path], object]:
    return sent({"do": "set", "values": values, "page": "p", "turn": 1}, name)


# fmt: off
CASES = [
    *refused("Parameters", "widget", PARAMETER,
        ("a slider at a word", turned(gamma="large"), ("gamma: 'large' is not a number",)),
        ("a slider beyond its end", turned(gamma=1e9), ("gamma: 1000000000.0 received", "is allowed")),
        ("a slider at NaN", turned(gamma=NAN), ("gamma: nan received", "is allowed")),
        ("a slider at the word NaN", turned(gamma="nan"), ("gamma: 'nan' received", "is allowed")),
        ("a slider at infinity", turned(gamma=INF), ("gamma: inf received", "is allowed")),
        ("a slider at 1e400", turned(gamma="1e400"), ("gamma: '1e400' received", "is allowed")),
        ("a slider at 5,000 digits", turned(gamma="9" * 5000), ("gamma: '999", "is allowed")),
        ("a slider at a huge whole number", turned(gamma=10**400), ("gamma: 1000", "is allowed")),
        ("a slider at nothing", turned(gamma=None), ("gamma: None received",)),
        ("a slider switched on", turned(gamma=True), ("gamma: True received",)),
        ("a slider at a list", turned(gamma=[2.0]), ("gamma: [2.0] received",)),
        ("a slider of whole numbers at a half", turned(steps=10.5), ("steps: 10.5 received", "a whole number")),
        ("a slider at markup", turned(gamma="<img src=x onerror=alert(1)>"), ("gamma: '<img src=x onerror=alert(1)>'", "not a number")),
        ("a switch at a word", turned(clamp="yes"), ("clamp: 'yes' received", "true or false")),
        ("a switch at 1", turned(clamp=1), ("clamp: 1 received", "true or false")),
        ("a choice that is not offered", turned("length", task="copying"), ("task: 'copying' received", "choose one of")),
        ("a choice that is a list", turned("length", task=["adding"]), ("task: ['adding'] received", "choose one of")),
        ("a control that is none", turned(gama=2.0), ("gama: no such control", "gamma")),
        ("a control whose name is code", turned(__class__=1), ("__class__: no such control", "gamma")),
        ("values that are a list", sent({"do": "set", "values": [1]}), ("set: values [1] received",)),
        ("values that are missing", sent({"do": "set"}), ("set: values None received",)),
        ("a message to do what is not offered", sent({"do": "exec", "code": "1"}), ("do: 'exec' received", "click, code")),
        ("a message to do a list", sent({"do": ["set"]}), ("do: ['set'] received", "choose one of")),
        ("a message of nothing", sent({}), ("do: None received", "choose one of")),
        ("a message that is no message", sent(3), ("do: 3 received", "choose one of")),
        ("a click without a figure", sent({"do": "click", "point": {}}, "neurons"), ("click: figure None received",)),
        ("a click on no point", sent({"do": "click", "figure": "roll", "point": 3}, "neurons"), ("click: point 3 received",)),
        ("an exercise that there is none of", sent({"do": "exercise", "label": "none"}), ("label: 'none' received", "choose one of")),
        ("an exercise that is a list", sent({"do": "exercise", "label": []}), ("exercise: label [] received",)),
        ("a text for no page", sent({"do": "code"}), ("code: page None received",)),
        ("an explorer opened at a word", opened("bounds", gamma="large"), ("gamma: 'large' is not a number",)),
        ("an explorer opened beyond its end", opened("depth", depth=10**6), ("depth: 1000000 received", "is allowed")),
        ("an explorer opened with a control that is none", opened("depth", deep=3), ("deep: no such control", "depth")),
    ),
]
# fmt: on
