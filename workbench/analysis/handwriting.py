"""A drawing of one's own as an image of pixels: strokes of a pen, and the squares they cover."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import ParameterError, quoted

SIZE = 100  # a drawing is so many units wide and high
MOST = 2000  # points of a drawing
PEN = 9.0  # width of the line where it is drawn, units
LINES = 112  # a drawing is looked at through so many rows and columns, or a few more
POINT = re.compile(r"(\d{1,3}),(\d{1,3})")
Stroke = Sequence[tuple[float, float]]


class Frame(NamedTuple):
    """The way of a data set to put a digit into its picture: side * side pixels, of which the digit takes the part
    `fill` in its longer direction, drawn with a `pen` of so many units, around its ink (`mass`) or its box."""

    side: int
    fill: float
    pen: float
    mass: bool


FRAMES = {"digits": Frame(8, 1.0, 15.0, False), "mnist": Frame(28, 20 / 28, 9.0, True)}


def strokes(text: str) -> list[Stroke]:
    """`"30,20 70,20; 50,20 50,80"`: points x,y from 0 to 100, the left upper corner first; `;` lifts the pen."""
    found: list[Stroke] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        points = [POINT.fullmatch(word) for word in part.split()]
        stroke = [(int(p[1]), int(p[2])) for p in points if p]
        if len(stroke) < len(points) or any(max(point) > SIZE for point in stroke):
            raise ParameterError(f"strokes: {quoted(part)} received; points x,y from 0 to {SIZE} are needed")
        found.append(stroke)
    if sum(map(len, found)) > MOST:
        raise ParameterError(f"strokes: {sum(map(len, found)):,} points received; at most {MOST:,} are allowed")
    return found


def image(drawn: Sequence[Stroke], frame: Frame, fit: bool = True) -> Tensor:
    """The share of each pixel that the pen covers, 0 to 1, (side, side); `fit`: in the frame's size and place."""
    side = frame.side
    part = -(-LINES // side)
    fine = side * part
    at = (torch.arange(fine, dtype=torch.float64) + 0.5) * SIZE / fine
    covered = torch.zeros(fine, fine, dtype=torch.bool)
    for stroke in fitted(drawn, frame) if fit else drawn:
        for (x0, y0), (x1, y1) in zip(stroke, [*stroke[1:], stroke[-1]], strict=True):
            dx, dy = x1 - x0, y1 - y0
            along = ((at - x0) * dx + (at[:, None] - y0) * dy) / max(dx * dx + dy * dy, 1e-9)
            along = along.clamp(0, 1)
            away = (at - x0 - along * dx).square() + (at[:, None] - y0 - along * dy).square()
            covered |= away <= (frame.pen / 2) ** 2
    seen = covered.float().view(side, part, side, part).mean((1, 3))
    return centred(seen) if fit and frame.mass else seen


def fitted(drawn: Sequence[Stroke], frame: Frame) -> list[Stroke]:
    """Strokes moved and scaled so that their box, the pen's width included, fills a frame's part around its middle."""
    points = torch.tensor([point for stroke in drawn for point in stroke], dtype=torch.float64).view(-1, 2)
    if not len(points):
        return []
    low, high = points.amin(0), points.amax(0)
    extent = float((high - low).max())
    scale = (frame.fill * SIZE - frame.pen) / extent if extent else 1.0
    moved = ((points - (low + high) / 2) * scale + SIZE / 2).tolist()
    return [[(x, y) for x, y in (moved.pop(0) for _ in stroke)] for stroke in drawn]


def centred(seen: Tensor) -> Tensor:
    """An image moved by whole pixels so that its ink's middle is the picture's; what leaves at one side is lost."""
    side, ink = len(seen), float(seen.sum())
    if not ink:
        return seen
    moved = seen
    for axis in (0, 1):
        middle = float((seen.sum(1 - axis) * torch.arange(side)).sum()) / ink
        shift = round((side - 1) / 2 - middle)
        moved = moved.roll(shift, axis)
        gone = slice(0, shift) if shift > 0 else slice(side + shift, side)
        moved.index_fill_(axis, torch.arange(side)[gone], 0.0)
    return moved
