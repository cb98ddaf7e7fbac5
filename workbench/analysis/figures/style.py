"""The one style of all figures: colours, a blank figure, and figures as plain data.

An explorer draws a Picture at every move of a slider, forty times faster than plotly's objects: `json()` is what a
browser draws, `figure()` the same as a plotly figure, checked by plotly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import plotly.graph_objects as go

INK, GRID = "#808080", "rgba(128,128,128,0.25)"
TITLE, TEXT, SMALL = 15, 13, 12  # pixels of a figure's words: its title; axes and notes; ticks and legend
COLOURS = {"IndRNN": "#0096e0", "LSTM": "#d55e00", "IRNN": "#009e73", "RNN-tanh": "#cc79a7", "second": "#e69f00"}
PAPER = {"dash": "dot", "width": 2}
EARLIER = {"width": 1.6, "dash": "dashdot"}  # ours of an earlier numerics, which decide nothing


def layout(x: str, y: str, title: str = "") -> dict[str, Any]:
    """The one layout of all figures, with labelled axes, as a plain dictionary."""
    lines = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "tickcolor": GRID}
    axis = {**lines, "showline": True, "ticks": "outside", "tickfont": {"size": SMALL}}
    return {
        "title": {"text": title, "x": 0, "xref": "paper", "font": {"size": TITLE}},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK, "size": TEXT},
        "xaxis": {"title": {"text": x, "font": {"size": TEXT}}, **axis},
        "yaxis": {"title": {"text": y, "font": {"size": TEXT}}, **axis},
        "legend": {"orientation": "h", "y": -0.22, "x": 0, "font": {"size": SMALL}},
        "margin": {"l": 70, "r": 20, "t": 50 if title else 20, "b": 60},
        "height": 430,
        "autosize": True,
        "showlegend": True,
        "hovermode": "x unified",
    }


def blank(x: str, y: str, title: str = "") -> go.Figure:
    """An empty figure in the house style with labelled axes."""
    return go.Figure(layout=layout(x, y, title))


def legend_below(figure: go.Figure, width: int = 600) -> go.Figure:
    """A figure with room for its legend below the axis' title: the lines that its names need in so many pixels.

    Where one line does not hold all, plotly sets them in columns as wide as the longest.
    """
    drawn = (t for t in figure.data if t.name and t.showlegend is not False and (t.x is None or len(t.x)))
    wide = [45 + 7 * len(trace.name) for trace in drawn]
    lines = 1 if sum(wide) <= width else math.ceil(len(wide) / max(1, width // max(wide)))
    below, height = 76 + 19 * lines, 411 + 19 * lines
    legend = {"yref": "container", "y": (below - 60) / height, "yanchor": "top", "tracegroupgap": 0}
    return figure.update_layout(legend=legend, margin_b=below, height=height)


def add_line(
    figure: go.Figure,
    x: Any,
    y: Any,
    name: str,
    colour: str,
    form: str = ".4g",
    *,
    hover: str = "",
    line: Mapping[str, Any] | None = None,
    **more: Any,
) -> None:
    """Add a line, which says `hover`, its name unless given, and y in a format where one points at it.

    `line` are properties of the line (width, dash), `more` of the trace.
    """
    said = f"{hover or name}: %{{y:{form}}}<extra></extra>"
    figure.add_scatter(x=x, y=y, name=name, line={"color": colour, **(line or {})}, hovertemplate=said, **more)


def field_name(path: str) -> str:
    """A field of a config, or a column, as a reader is shown it: `train.weight_decay` -> weight decay."""
    return (path.partition(".")[2] or path).replace("_", " ")


def hued(index: int) -> str:
    """The colour of a line by its place among others."""
    return list(COLOURS.values())[index % len(COLOURS)]


BLUE, ORANGE, GREEN, PINK, YELLOW = COLOURS.values()
SKY = "#56b4e9"  # the sixth, where five do not tell apart
SHADE = "rgba(0,150,224,0.16)"
LEVELS = "Cividis"  # one hue for the colour-blind and for grey prints, dark to light
SIGNED = [[0.0, "#b35806"], [0.5, "rgba(128,128,128,0.12)"], [1.0, "#0072b2"]]  # against, nothing, for


class Time(NamedTuple):
    """The time of one step and its unit; a step itself where nobody gave another."""

    step: float = 1.0
    unit: str = "steps"

    def words(self, steps: float) -> str:
        """So many steps in words; without end where there are infinitely many."""
        return "without end" if math.isinf(steps) else f"{steps * self.step:.3g} {self.unit}"


EACH = Time()  # in steps


class Picture:
    """Traces and a layout, both plain lists and dictionaries; every method gives the picture itself."""

    def __init__(self, x: str, y: str, title: str = "", height: int = 340):
        self.data: list[dict[str, Any]] = []
        self.layout = _small(x, y, title, height)

    def line(self, x: Iterable[float], y: Iterable[float], name: str, colour: str, **style: Any) -> Picture:
        """A line; `style` are the line's properties (width, dash)."""
        return self.trace(
            x=list(x), y=_drawable(y), name=name, mode="lines", line={"color": colour, "width": 2.5, **style}
        )

    def dots(
        self, x: Iterable[float], y: Iterable[float], name: str, colour: str, size: float = 7, **more: Any
    ) -> Picture:
        """Single points; `more` are properties of the trace."""
        marker = {"color": colour, "size": size, **more.pop("marker", {})}
        return self.trace(x=list(x), y=_drawable(y), name=name, mode="markers", marker=marker, **more)

    def trace(self, type: str = "scatter", **trace: Any) -> Picture:
        """Any trace of plotly's."""
        self.data.append({"type": type, **trace})
        return self

    def band(self, low: float, high: float, colour: str = SHADE, edge: str | None = None, axis: str = "y") -> Picture:
        """A shaded range of the y axis (or the x axis) behind everything."""
        whole = {"layer": "below", "type": "rect", "fillcolor": colour}
        line = {"width": 1 if edge else 0, "color": edge or INK}
        if axis == "y":
            where = {"xref": "paper", "x0": 0, "x1": 1, "y0": low, "y1": high}
        else:
            where = {"yref": "paper", "y0": 0, "y1": 1, "x0": low, "x1": high}
        self.layout["shapes"].append({**whole, "line": line, **where})
        return self

    def level(
        self, y: float, text: str = "", colour: str = INK, below: bool = False, log: bool = False, legend: str = ""
    ) -> Picture:
        """A dashed line at a height, its name at the left end, or in the legend where lines would cross it."""
        line = {"color": colour, "dash": "dash", "width": 1.5}
        shape = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}
        self.layout["shapes"].append(shape | ({"name": legend, "showlegend": True} if legend else {}))
        if text:
            place = {"xref": "paper", "x": 0.01, "y": math.log10(y) if log else y, "xanchor": "left"}
            self.note(text, yanchor="top" if below else "bottom", **place)
        return self

    def upright(self, x: float, dash: str = "dot") -> Picture:
        """A line up the whole figure at an x."""
        line = {"color": INK, "dash": dash, "width": 1.5}
        shape = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x, "line": line}
        self.layout["shapes"].append(shape)
        return self

    def note(self, text: str, **place: Any) -> Picture:
        """Words in the figure, without an arrow."""
        self.layout["annotations"].append({"text": text, "showarrow": False, "font": {"color": INK}, **place})
        return self

    def axis(self, name: str, **properties: Any) -> Picture:
        """Properties of `xaxis` or `yaxis`."""
        if properties.get("exponentformat") == "power":
            properties["tickfont"] = {"size": 10}  # plotly writes powers a quarter larger
        self.layout[name].update(properties)
        return self

    def set(self, **layout: Any) -> Picture:
        """Properties of the layout."""
        self.layout.update(layout)
        return self

    def timed(self, axis: str, title: str, time: Time, first: float = 0) -> Picture:
        """Its axes `x` or `y`, which count steps, in a unit of time: 0 at step `first`. As it is where that is a step.

        Linked steps are times then, too, 0 at step 1.
        """
        if time == EACH:
            return self

        def at(step: float) -> float:
            return (step - first) * time.step

        for trace in self.data:
            trace[axis] = [None if step is None else at(step) for step in trace[axis]]
            if "hovertemplate" in trace:
                trace["hovertemplate"] = trace["hovertemplate"].replace("step %{x}", f"%{{x:.4g}} {time.unit}")
            link = trace.get("meta", {}).get("link", {})
            if isinstance(link.get("step"), int):
                link["step"] = at(link["step"] - 1)
        for shape in self.layout["shapes"]:
            if shape.get(f"{axis}ref") != "paper":
                shape |= {end: at(shape[end]) for end in (f"{axis}0", f"{axis}1")}
        for name, found in self.layout.items():
            if name.startswith(f"{axis}axis"):
                text = f"{title}, {time.unit}" if found["title"]["text"] else ""
                found |= {"title": {**found["title"], "text": text}}
                if found.get("type") != "log":
                    found.pop("dtick", None)
                elif "range" in found:
                    found["range"] = [end + math.log10(time.step) for end in found["range"]]
        return self

    def narrow(self, **layout: Any) -> Picture:
        """Properties of the layout where an explorer has little room for the figure."""
        self.layout.setdefault("meta", {}).setdefault("narrow", {}).update(layout)
        return self

    def unnamed(self, top: int = 42) -> Picture:
        """Without a legend, and without the room for one."""
        self.layout["margin"]["t"] = top
        return self.set(showlegend=False)

    def linked(self, **where: Any) -> Picture:
        """Say where the last trace's points hold what an explorer's other figures show too: `step`, `neuron`.

        "x", "y" or "customdata"; a number T for an x that counts back from step T; for an image the steps at which its
        pixels are read, row by row.
        """
        self.data[-1].setdefault("meta", {})["link"] = where
        return self

    def json(self) -> str:
        """Return the figure as JSON for a browser to draw."""
        data = [_short(trace) for trace in self.data]
        return json.dumps({"data": data, "layout": self.layout}, separators=(",", ":"), allow_nan=False)

    def figure(self) -> go.Figure:
        """The same as a plotly figure; ValueError where plotly knows no such property."""
        return go.Figure(self.data, self.layout)


def _drawable(values: Iterable[float]) -> list[float | None]:
    """JSON has no infinity and no NaN: a gap instead."""
    return [v if v is not None and math.isfinite(v) else None for v in values]


def _short(trace: dict[str, Any]) -> dict[str, Any]:
    """Its numbers to eight digits, more than float32 has: half the message."""
    return trace | {axis: [_eight(v) for v in trace[axis]] for axis in ("x", "y") if axis in trace}


def _eight(value: Any) -> Any:
    return float(f"{value:.8g}") if isinstance(value, float) else value


def thinned(count: int, most: int = 200) -> Sequence[int]:
    """At most about so many of the indices 0 .. count - 1, evenly spread, the last always among them."""
    step = max(1, math.ceil((count - 1) / most)) if count > 1 else 1
    return sorted({*range(0, count, step), count - 1})


def whiskers(middles: Iterable[float], lows: Iterable[float], highs: Iterable[float]) -> dict[str, Any]:
    """Error bars of a trace: from a low to a high around each of its values."""
    above = [high - middle for high, middle in zip(highs, middles, strict=True)]
    below = [middle - low for low, middle in zip(lows, middles, strict=True)]
    look = {"thickness": 2, "width": 6, "color": INK}
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, **look}


def timed(milliseconds: Sequence[float]) -> str:
    """Times in words: their median, the fastest and the slowest, and how many they are."""
    if len(milliseconds) == 1:
        return f"{milliseconds[0]:.3g} ms in one pass"
    low, high = min(milliseconds), max(milliseconds)
    return f"{median(milliseconds):.3g} ms ({low:.3g} to {high:.3g} in {len(milliseconds)} passes)"


def _small(x: str, y: str, title: str, height: int) -> dict[str, Any]:
    """The layout of a figure beside others, its legend above."""
    small = layout(x, y, title)
    small["title"] |= {"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 8}}
    small["legend"] |= {"y": 1.01, "yanchor": "bottom"}
    for axis in ("xaxis", "yaxis"):
        small[axis]["ticklabeloverflow"] = "allow"  # to measure every label is a fifth of the drawing
    small["margin"] = {"l": 64, "r": 14, "t": 74, "b": 48}
    return small | {"height": height, "hovermode": "closest", "shapes": [], "annotations": []}
