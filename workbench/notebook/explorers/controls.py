"""Controls of an explorer: what a reader turns, chooses, draws or writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ...analysis import handwriting
from ...errors import ParameterError, quoted


@dataclass(frozen=True)
class _Control:
    """Base of the controls: `check` gives a value that fits, else a ParameterError."""

    kind: ClassVar[str]
    name: str
    label: str

    def positions(self) -> list[Any]:
        """The values that a page without a kernel offers."""
        raise NotImplementedError

    def spec(self, **more: Any) -> dict[str, Any]:
        """Return what the screen needs to draw it."""
        about = {name: getattr(self, name) for name in ("kind", "name", "label", "help")}
        return about | more


@dataclass(frozen=True)
class Slider(_Control):
    """A number between the first and the last of its `stops`; one in between may be typed."""

    kind = "slider"
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
                number = float(value.replace(",", ""))
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
        return list(self.stops) if self.rest is None else [*self.stops, None]

    def spec(self, **more: Any) -> dict[str, Any]:
        stops = [float(f"{stop:.10g}") if isinstance(stop, float) else stop for stop in self.stops]
        return super().spec(stops=stops, unit=self.unit, play=self.play, rest=self.rest)


@dataclass(frozen=True)
class Choice(_Control):
    """One of some options: value -> what the reader sees."""

    kind = "choice"
    options: Mapping[str, str]
    start: str
    help: str = ""

    def check(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.options:
            raise ParameterError(f"{self.name}: {quoted(value)} received; choose one of {', '.join(self.options)}")
        return value

    def positions(self) -> list[Any]:
        return list(self.options)

    def spec(self, **more: Any) -> dict[str, Any]:
        return super().spec(options=list(self.options.items()))


@dataclass(frozen=True)
class Switch(_Control):
    """On or off."""

    kind = "switch"
    start: bool = False
    help: str = ""

    def check(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ParameterError(f"{self.name}: {quoted(value)} received; true or false is needed")
        return value

    def positions(self) -> list[Any]:
        return [False, True]


@dataclass(frozen=True)
class Drawing(_Control):
    """A square to draw in, by mouse, finger or arrow keys; its value are strokes, see `handwriting.strokes`."""

    kind = "drawing"
    start: str
    help: str = ""
    ready: Mapping[str, str] = field(default_factory=dict)  # drawings to begin with: what the button says -> strokes

    def check(self, value: object) -> str:
        if not isinstance(value, str):
            raise ParameterError(f"{self.name}: {quoted(value)} received; strokes are needed, like '30,20 70,20'")
        handwriting.strokes(value)
        return value

    def positions(self) -> list[Any]:
        return list(self.ready.values())

    def spec(self, **more: Any) -> dict[str, Any]:
        return super().spec(pen=handwriting.PEN, ready=list(self.ready.items()))


@dataclass(frozen=True)
class Text(_Control):
    """A line of text of at most `most` characters, all of which are among `letters`."""

    kind = "writing"
    start: str
    letters: str
    most: int
    help: str = ""
    ready: tuple[str, ...] = ()  # lines to begin with

    def check(self, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ParameterError(f"{self.name}: {quoted(value)} received; a line of text is needed")
        if len(value) > self.most:
            raise ParameterError(f"{self.name}: {len(value)} characters received; at most {self.most} are allowed")
        if strange := sorted(set(value) - set(self.letters)):
            said = f"{self.name}: {quoted(strange[0])} received, which the net has never read"
            raise ParameterError(f"{said}; choose among {quoted(self.letters)}")
        return value

    def positions(self) -> list[Any]:
        return list(self.ready)

    def spec(self, **more: Any) -> dict[str, Any]:
        return super().spec(most=self.most)


Control = Slider | Choice | Switch | Drawing | Text
