"""Figures of what a net reads and what it says: an image, steps, a text; votes. Data in, a picture out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from torch import Tensor

from ...analysis.figures import INK
from ...analysis.figures.style import BLUE, ORANGE, PINK, SIGNED, Picture, thinned


def percent(p: float) -> str:
    """A probability in per cent; 100 % is said of what float32 can hardly tell from 1, 0 % of nothing that is more."""
    if 0 < p < 0.0005:
        return "<0.1 %"
    if 0.9995 <= p < 1 - 1e-6:
        return ">99.9 %"
    return f"{round(100 * p, 1):g} %"


def trace(
    before: Tensor, after: Tensor | None, given: Tensor, text: Sequence[str] | None = None, back: bool = False
) -> Picture:
    """A neuron's state over one example, (T,), as trained and as edited, and what it is given at each step; `back`
    where it reads from the end."""
    x = "time step, read from the end" if back else "time step"
    picture = Picture(x, "state h", "What it does over this example", height=300)
    steps = thinned(len(before), 800)
    picture.line([s + 1 for s in steps], given[steps].tolist(), "given to it", INK, width=1)
    picture.line([s + 1 for s in steps], before[steps].tolist(), "as trained", ORANGE)
    picture.linked(step=len(before) + 1 if back else "x")
    if after is not None:
        picture.line([s + 1 for s in steps], after[steps].tolist(), "edited", PINK, dash="dot")
    return picture if text is None else spelled(picture, text, "character read")


def painted_image(image: Tensor, parts: Tensor, answer: str, order: Sequence[int]) -> Picture:
    """A digit, (side, side) from -1 to 1, and beside it what each pixel adds to the answer (blue) or takes (brown).

    `order`: the step at which each pixel is read, row by row.
    """
    side = len(image)
    picture = Picture("column", "row", f"Which pixels say {answer}?", height=300)
    largest = max(float(parts.abs().max()), 1e-9)
    cells = {"x": list(range(1, side + 1)), "y": list(range(1, side + 1)), "xgap": 1, "ygap": 1}
    ink = {"colorscale": SEEN, "zmin": -1, "zmax": 1, "showscale": False, "name": "the digit"}
    picture.trace("heatmap", z=image.tolist(), **ink, **cells).linked(step=list(order))
    bar = {"title": {"text": "adds to the answer", "side": "right", "font": {"size": 12}}, "thickness": 12, "len": 1}
    scale = {"colorscale": SIGNED, "zmin": -largest, "zmax": largest, "colorbar": bar}
    z = [[float(f"{v:.4g}") for v in row] for row in parts.tolist()]
    picture.trace("heatmap", z=z, name="what each pixel adds", xaxis="x2", yaxis="y2", **scale, **cells)
    picture.linked(step=list(order))
    across, down = square(picture, side)
    picture.set(xaxis={**across, "domain": [0, 0.48]}, xaxis2={**across, "domain": [0.52, 1], "anchor": "y2"})
    picture.set(yaxis={**down, "scaleanchor": "x"}, yaxis2={**down, "anchor": "x2", "scaleanchor": "x2", "title": {}})
    return picture.unnamed()


SEEN = [[0, "rgba(128,128,128,0.10)"], [1, INK]]  # paper to ink


def square(picture: Picture, side: int) -> tuple[dict[str, object], dict[str, object]]:
    """The axes of an image of side * side pixels: across, and down from row 1."""
    plain = {"showgrid": False, "zeroline": False, "showline": False, "dtick": max(1, side // 4), "constrain": "domain"}
    across = {**picture.layout["xaxis"], **plain, "range": [0.5, side + 0.5]}
    return across, {**picture.layout["yaxis"], **plain, "range": [side + 0.5, 0.5]}


def painted_steps(x: Tensor, parts: Tensor, marked: Tensor | None = None) -> Picture:
    """The part of each step of an input (T, M) in the answer, and the first number of the steps that are marked."""
    picture = Picture("time step", "what the step adds", "Which steps the answer came from", height=300)
    steps = range(1, len(parts) + 1)
    picture.trace("bar", x=list(steps), y=parts.tolist(), marker={"color": BLUE}, name="adds to the answer")
    picture.linked(step="x")
    marks = [] if marked is None else marked.nonzero()[:, 0].tolist()
    values = [float(x[t, 0]) for t in marks]
    return picture if not marks else picture.dots([t + 1 for t in marks], values, "marked number", ORANGE, 11)


def painted_text(text: Sequence[str], parts: Tensor, answer: str) -> Picture:
    """Draw what each character adds to the score of the one expected next, (T,)."""
    title = f"Which characters say that {escape(spoken(answer), quote=False)} comes next?"
    picture = Picture("", "what the character adds", title, height=260)
    picture.trace("bar", x=list(range(1, len(parts) + 1)), y=parts.tolist(), marker={"color": BLUE}, name="adds")
    return spelled(picture.linked(step="x"), text, "character read").unnamed()


def surprise(text: Sequence[str], before: Tensor, after: Tensor | None) -> Picture:
    """Draw how unlikely a language net found each character that came, in bits, (T,), as trained and as edited."""
    picture = Picture("", "surprise, bits", "How much each character surprises it", height=260)
    steps = list(range(1, len(text) + 1))
    picture.trace("bar", x=steps, y=before.tolist(), name="as trained", marker={"color": ORANGE}).linked(step="x")
    if after is not None:
        picture.trace("bar", x=steps, y=after.tolist(), name="edited", marker={"color": PINK})
    return spelled(picture, text, "character that came")


def spelled(picture: Picture, text: Sequence[str], title: str) -> Picture:
    """The time axis with a character at each step."""
    picture.layout["xaxis"]["title"]["text"] = f"{title} (_ blank, ¶ line end)"
    ticks = {"tickvals": list(range(1, len(text) + 1)), "ticktext": [sign(c) for c in text], "tickangle": 0}
    return picture.axis("xaxis", **ticks).set(hovermode="x")  # a character is met wherever its column is


def spoken(character: str) -> str:
    """A character as a sentence names it."""
    return {"\n": "the end of the line", "_": "a blank"}.get(character, f"“{character}”")


def sign(character: str) -> str:
    """A character as a figure shows it, whose words are marked up."""
    return escape({"\n": "¶", " ": "_"}.get(character, character), quote=False)


def votes(before: Tensor, after: Tensor | None, title: str, names: Sequence[str] = ()) -> Picture:
    """Draw how likely the net finds each class, (classes,), as trained and as edited; their `names`, if known."""
    picture = Picture("class", "probability, %", title, height=300)
    classes = list(range(len(before)))
    picture.trace("bar", x=classes, y=(100 * before).tolist(), name="as trained", marker={"color": ORANGE})
    if after is not None:
        picture.trace("bar", x=classes, y=(100 * after).tolist(), name="edited", marker={"color": PINK})
    ticks = {"tickvals": classes, "ticktext": list(names)} if names else {"dtick": 1}
    return picture.axis("xaxis", **ticks).axis("yaxis", range=[0, 100])
