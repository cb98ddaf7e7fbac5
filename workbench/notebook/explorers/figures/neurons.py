"""Pictures of single neurons."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ....analysis.figures import INK
from ....analysis.figures.style import BLUE, ORANGE, PINK, SIGNED, Picture, thinned
from ....models.bounds import half_life
from ..wording import span


def roll(us: Sequence[float], chosen: int, edited: float | None, sort: bool) -> Picture:
    """The neurons of a layer, by memory or in their own order; the chosen one, and where its u is put."""
    order = sorted(range(len(us)), key=lambda i: us[i]) if sort else list(range(len(us)))
    x = "neurons of the layer, the shortest memory first" if sort else "neuron"
    picture = Picture(x, "recurrent weight u", "Choose a neuron: click one", height=300)
    words = [f"neuron {i}: u = {us[i]:.4f}, half-life {span(half_life(us[i]))}" for i in order]
    more = {"text": words, "customdata": order, "hovertemplate": "%{text}<extra></extra>"}
    picture.dots(range(len(us)), [us[i] for i in order], "all", BLUE, 8, **more)
    at = order.index(chosen)
    picture.dots([at], [us[chosen]], f"neuron {chosen}", ORANGE, 14)
    if edited is not None:
        picture.dots([at], [edited], "as edited", PINK, 14, marker={"symbol": "diamond"})
    return picture.level(1.0).level(0.0)


def responses(u: float, now: float, silent: bool, steps: int) -> Picture:
    """Draw what is left of an impulse after k steps, in the neuron as trained and as edited."""
    from ....analysis.memory import impulse_response

    picture = Picture("steps since the impulse", "what is left of it", "Its answer to an impulse", height=300)
    picture.line(range(steps), impulse_response(u, steps).tolist(), f"as trained, u = {u:.4f}", ORANGE)
    if silent:
        picture.line(range(steps), [0.0] * steps, "silent", PINK, dash="dot")
    elif now != u:
        picture.line(range(steps), impulse_response(now, steps).tolist(), f"edited, u = {now:.4f}", PINK, dash="dot")
    return picture


def trace(before: Tensor, after: Tensor | None, given: Tensor, text: Sequence[str] | None = None) -> Picture:
    """A neuron's state over one example, (T,), as trained and as edited, and what it is given at each step."""
    picture = Picture("time step", "state h", "What it does over this example", height=300)
    steps = thinned(len(before), 800)
    picture.line([s + 1 for s in steps], given[steps].tolist(), "given to it", INK, width=1)
    picture.line([s + 1 for s in steps], before[steps].tolist(), "as trained", ORANGE)
    if after is not None:
        picture.line([s + 1 for s in steps], after[steps].tolist(), "edited", PINK, dash="dot")
    return picture if text is None else _spelled(picture, text, "character read")


def painted(image: Tensor, parts: Tensor, answer: str) -> Picture:
    """A digit, (side, side) from -1 to 1, and beside it what each pixel adds to the answer (blue) or takes (brown)."""
    side = len(image)
    picture = Picture("column", "row", f"Which pixels say {answer}?", height=300)
    largest = max(float(parts.abs().max()), 1e-9)
    grey = [[0, "rgba(128,128,128,0.10)"], [1, INK]]
    cells = {"x": list(range(1, side + 1)), "y": list(range(1, side + 1)), "xgap": 1, "ygap": 1}
    picture.trace(
        "heatmap", z=image.tolist(), colorscale=grey, zmin=-1, zmax=1, showscale=False, name="the digit", **cells
    )
    bar = {"title": {"text": "adds to the answer", "side": "right", "font": {"size": 12}}, "thickness": 12, "len": 1}
    scale = {"colorscale": SIGNED, "zmin": -largest, "zmax": largest, "colorbar": bar}
    z = [[float(f"{v:.4g}") for v in row] for row in parts.tolist()]
    picture.trace("heatmap", z=z, name="what each pixel adds", xaxis="x2", yaxis="y2", **scale, **cells)
    plain = {"showgrid": False, "zeroline": False, "showline": False, "dtick": max(1, side // 4), "constrain": "domain"}
    axis = {**picture.layout["yaxis"], **plain, "range": [side + 0.5, 0.5]}
    across = {**picture.layout["xaxis"], **plain, "range": [0.5, side + 0.5]}
    picture.set(xaxis={**across, "domain": [0, 0.48]}, xaxis2={**across, "domain": [0.52, 1], "anchor": "y2"})
    picture.set(yaxis={**axis, "scaleanchor": "x"}, yaxis2={**axis, "anchor": "x2", "scaleanchor": "x2", "title": {}})
    return picture.unnamed()


def painted_steps(x: Tensor, parts: Tensor) -> Picture:
    """What each step of an input (T, M) adds to the answer, and the marked numbers of the adding problem."""
    picture = Picture("time step", "what the step adds", "Which steps the answer came from", height=300)
    steps = range(1, len(parts) + 1)
    picture.trace("bar", x=list(steps), y=parts.tolist(), marker={"color": BLUE}, name="adds to the answer")
    marks = [t for t in range(len(x)) if x.shape[1] == 2 and x[t, 1] > 0]
    values = [float(x[t, 0]) for t in marks]
    return picture if not marks else picture.dots([t + 1 for t in marks], values, "marked number", ORANGE, 11)


def painted_text(text: Sequence[str], parts: Tensor, answer: str) -> Picture:
    """Draw what each character adds to the score of the one expected next, (T,)."""
    picture = Picture("", "what the character adds", f"Which characters say “{_sign(answer)}” comes next?", height=260)
    picture.trace("bar", x=list(range(1, len(parts) + 1)), y=parts.tolist(), marker={"color": BLUE}, name="adds")
    return _spelled(picture, text, "character read").unnamed()


def surprise(text: Sequence[str], before: Tensor, after: Tensor | None) -> Picture:
    """Draw how unlikely a language net found each character that came, in bits, (T,), as trained and as edited."""
    picture = Picture("", "surprise, bits", "How much each character surprises it", height=260)
    steps = list(range(1, len(text) + 1))
    picture.trace("bar", x=steps, y=before.tolist(), name="as trained", marker={"color": ORANGE})
    if after is not None:
        picture.trace("bar", x=steps, y=after.tolist(), name="edited", marker={"color": PINK})
    return _spelled(picture, text, "character that came")


def _spelled(picture: Picture, text: Sequence[str], title: str) -> Picture:
    """The time axis with a character at each step."""
    picture.layout["xaxis"]["title"]["text"] = f"{title} (_ a blank, ¶ the end of a line)"
    ticks = {"tickvals": list(range(1, len(text) + 1)), "ticktext": [_sign(c) for c in text], "tickangle": 0}
    return picture.axis("xaxis", **ticks)


def _sign(character: str) -> str:
    return {"\n": "¶", "<": "&lt;", "&": "&amp;"}.get(character, character)


def votes(before: Tensor, after: Tensor | None, label: int) -> Picture:
    """Draw how likely the net finds each class, (10,), as trained and as edited; the right one is marked."""
    picture = Picture("class", "probability, %", f"Its answer (right: {label})", height=300)
    classes = list(range(len(before)))
    picture.trace("bar", x=classes, y=(100 * before).tolist(), name="as trained", marker={"color": ORANGE})
    if after is not None:
        picture.trace("bar", x=classes, y=(100 * after).tolist(), name="edited", marker={"color": PINK})
    return picture.axis("xaxis", dtick=1).axis("yaxis", range=[0, 100])
