"""An explorer apart from any screen: its controls, its view as a function of their values, and what a page takes.

A `ExplorerBase` can be asked for a view without a browser or a kernel: the tests do, and so does the static page.
"""

from __future__ import annotations

import gzip
import math
import re
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...analysis.figures.style import BLUE, GREEN, ORANGE, PINK, SKY, YELLOW, Picture
from ...errors import ParameterError, choices, quoted
from .written import Drawing, Text

HERE = Path(__file__).parent  # where the browser's part lies
SMALLEST = 1e-30  # a gradient below is drawn there
LONGEST = 1e6  # steps; so is a half-life above
NETS = {"plain": BLUE, "residual": GREEN, "dense": YELLOW, "lstm": ORANGE, "rnn_tanh": PINK, "irnn": GREEN}
NETS |= {"bidirectional": SKY}
NAMES = {
    "plain": "IndRNN, plain",
    "residual": "IndRNN, residual",
    "dense": "IndRNN, dense",
    "lstm": "LSTM",
    "rnn_tanh": "RNN-tanh",
    "irnn": "IRNN",
    "gru": "GRU",
    "bidirectional": "IndRNN, both ways",
}


@dataclass(frozen=True)
class Slider:
    """A number between the first and the last of its `stops`; one in between may be typed."""

    name: str
    label: str
    stops: Sequence[float]
    start: float | None
    unit: str = ""
    help: str = ""
    play: bool = False  # with buttons that play, pause and step through its stops
    rest: float | None = None  # where it stands while its value is None, which it starts with

    def check(self, value: object) -> float | None:
        """The value if it fits, whole where all stops are; else a ParameterError."""
        if value is None and self.rest is not None:
            return None
        low, high = self.stops[0], self.stops[-1]
        number = value
        if isinstance(value, str):
            try:
                number = float(re.sub(r",(?=\d{3}(\D|$))", "", value))  # commas between thousands alone
            except ValueError:
                raise ParameterError(f"{self.name}: {quoted(value)} is not a number") from None
        if isinstance(number, bool) or not isinstance(number, int | float) or not low <= number <= high:
            raise ParameterError(f"{self.name}: {quoted(value)} received; {low:g} to {high:g} is allowed")
        if not all(isinstance(stop, int) for stop in self.stops):
            return float(number)
        if number != int(number):
            raise ParameterError(f"{self.name}: {quoted(value)} received; a whole number is needed")
        return int(number)

    def positions(self) -> list[Any]:
        """The values that a page without a kernel offers."""
        return list(self.stops) if self.rest is None else [*self.stops, None]

    def spec(self) -> dict[str, Any]:
        """Return what the screen needs to draw it."""
        stops = [float(f"{stop:.10g}") if isinstance(stop, float) else stop for stop in self.stops]
        about = {"unit": self.unit, "play": self.play, "rest": self.rest, **_named(self)}
        return {"kind": "slider", "stops": stops, **about}


@dataclass(frozen=True)
class Choice:
    """One of some options: value -> what the reader sees."""

    name: str
    label: str
    options: Mapping[str, str]
    start: str
    help: str = ""

    def check(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.options:
            raise ParameterError(f"{self.name}: {quoted(value)} received; choose one of {', '.join(self.options)}")
        return value

    def positions(self) -> list[Any]:
        return list(self.options)

    def spec(self) -> dict[str, Any]:
        return {"kind": "choice", "options": list(self.options.items()), **_named(self)}


@dataclass(frozen=True)
class Switch:
    """On or off."""

    name: str
    label: str
    start: bool = False
    help: str = ""

    def check(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ParameterError(f"{self.name}: {quoted(value)} received; true or false is needed")
        return value

    def positions(self) -> list[Any]:
        return [False, True]

    def spec(self) -> dict[str, Any]:
        return {"kind": "switch", **_named(self)}


Control = Slider | Choice | Switch | Drawing | Text


@dataclass(frozen=True)
class Exercise:
    """Something to try: what its button says, the values that it sets (all others as they start), what to see there.

    `see` is shown while these values hold, so that it can be tested against the view; "" where there is nothing to say
    (a preset). One `of_nets` speaks of the published nets and is shown of no others.
    """

    label: str
    values: Mapping[str, Any]
    see: str = ""
    of_nets: bool = False

    def seen(self, view: View) -> str:
        """Words on what to see in this view, which holds its values."""
        return self.see if view.published or not self.of_nets else ""


Tell = Callable[[float | None, str], None]  # the share done (None: unknown), and a sentence


@dataclass(frozen=True)
class Job:
    """Long work that an explorer offers: what its button says, and what to call, off the main thread.

    `run(tell, stop)` reports through `tell` and returns, or raises errors.Stopped, soon after `stop` is set.
    """

    label: str
    run: Callable[[Tell, threading.Event], None]


@dataclass(frozen=True)
class Panel:
    """A figure, and the same in words for those who cannot see it. `wide` takes the whole row."""

    picture: Picture
    alt: str
    wide: bool = False


@dataclass(frozen=True)
class View:
    """View of an explorer at some values: figures by name, a sentence on what they say now, work that is offered."""

    panels: Mapping[str, Panel]
    said: str
    job: Job | None = None
    published: bool = True  # whether its trained nets, if any, are those that come with the project
    sets: Mapping[str, Any] = field(default_factory=dict)  # values that follow from the others


class ExplorerBase:
    """One thing to understand. `view(**values)` is what is seen; `controls(values)` what can be turned there."""

    name = ""  # the public function is explore_NAME, the notebook too
    title = ""
    look = ""  # what to look for
    exercises: Sequence[Exercise] = ()  # what to try, as buttons in this order
    presets: Sequence[Exercise] = ()  # states worth a look, behind one list
    sweep: tuple[str, ...] = ()  # the controls whose frames a static page holds
    leading: tuple[str, ...] = ()  # the controls whose values change what those behind them allow
    view: Callable[..., View]

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        """The controls, always the same names; what one allows may depend on the values of those before it."""
        raise NotImplementedError

    def clicked(self, figure: str, point: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that change where a point of a figure is clicked: x, y, name of the trace, customdata."""
        return {}

    def alive(self) -> dict[str, Any] | None:
        """Everything that a page of this explorer needs for all its controls; None for one that has frames alone."""
        return None

    def exercise(self, label: str) -> Exercise:
        """The exercise or preset of this label."""
        known = {one.label: one for one in (*self.exercises, *self.presets)}
        if label not in known:
            raise ParameterError(f"label: {quoted(label)} received; choose one of {choices(known)}")
        return known[label]

    def settle(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A value for every control: the given one where it fits, else the one that it starts with."""
        values: dict[str, Any] = {}
        for name in self.at({}):
            control = self.at(values)[name]
            try:
                values[name] = control.check(given.get(name, control.start))
            except ParameterError:
                values[name] = control.start
        return values

    def check(self, given: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Given values beside those that hold -> (those accepted, a complaint for each of the others)."""
        names = self.at({})
        accepted: dict[str, Any] = {}
        complaints = {n: f"{n}: no such control; choose one of {', '.join(names)}" for n in given if n not in names}
        for name in names:
            if name in given:
                try:
                    accepted[name] = self.at({**values, **accepted})[name].check(given[name])
                except ParameterError as error:
                    complaints[name] = str(error)
        return accepted, complaints

    def at(self, values: Mapping[str, Any]) -> dict[str, Control]:
        """The controls by name where the leading ones have these values, made once a move: see `forget`."""
        made: dict[tuple[Any, ...], dict[str, Control]] = self.__dict__.setdefault("_made", {})
        key = tuple(values.get(name) for name in self.leading)
        if key not in made:
            made[key] = {control.name: control for control in self.controls(values)}
        return made[key]

    def forget(self) -> None:
        """Make the controls anew at the next move: what was trained meanwhile may change them."""
        self.__dict__.pop("_made", None)


def _named(control: Control) -> dict[str, Any]:
    return {"name": control.name, "label": control.label, "help": control.help}


def script() -> str:
    """The browser's part of an explorer, one module made of its files."""
    files = ("elements", "controls", "canvas", "marks", "figures", "panel")
    return "\n".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in files)


def panels(view: View) -> list[dict[str, Any]]:
    """The figures of a view as the browser takes them."""
    return [
        {"name": name, "figure": panel.picture.json(), "alt": panel.alt, "wide": panel.wide}
        for name, panel in view.panels.items()
    ]


def code(content: ExplorerBase, values: Mapping[str, Any]) -> str:
    """`wb.explore_NAME(...)`: what opens an explorer at these values."""
    return f"wb.explore_{content.name}({', '.join(f'{name}={value!r}' for name, value in values.items())})"


def parameters(content: ExplorerBase, values: Mapping[str, Any]) -> str:
    """`papermill NOTEBOOK OUTPUT -p ...`: what executes an explorer's notebook at these values."""
    book = f"explore_{content.name}"
    given = " ".join(f"-p {name} {shlex.quote(str(value))}" for name, value in values.items())
    return f"papermill {book}.ipynb {book}_out.ipynb {given}"


@lru_cache(maxsize=1)
def plotly_library() -> bytes:
    """The plotting library, compressed: 1.5 MB."""
    from plotly.offline import get_plotlyjs

    return gzip.compress(get_plotlyjs().encode(), 6)


def decades(picture: Picture) -> int:
    """Count the powers of ten that a tick of a logarithmic axis spans, so that there are about six."""
    values = [v for trace in picture.data for v in trace["y"] if v]
    reach = math.log10(max(values) / min(values)) if values else 1.0
    return max(1, round(reach / 6))
