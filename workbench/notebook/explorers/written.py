"""Controls that a reader writes into: a drawing, and a line of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...analysis import handwriting
from ...errors import ParameterError, quoted


@dataclass(frozen=True)
class Drawing:
    """A square to draw in, by mouse, finger or arrow keys; its value are strokes, see `handwriting.strokes`."""

    name: str
    label: str
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

    def spec(self) -> dict[str, Any]:
        about = {"name": self.name, "label": self.label, "help": self.help}
        return {"kind": "drawing", "pen": handwriting.PEN, "ready": list(self.ready.items()), **about}


@dataclass(frozen=True)
class Text:
    """A line of text of at most `most` characters, all of which are among `letters`."""

    name: str
    label: str
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

    def spec(self) -> dict[str, Any]:
        about = {"name": self.name, "label": self.label, "help": self.help}
        return {"kind": "writing", "most": self.most, **about}
