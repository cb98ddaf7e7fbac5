"""Costs of a pass, forward and backward: timed here, and as published. Data in, a picture out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import median
from typing import NamedTuple

import pandas as pd

from ... import files
from ...analysis.figures import INK
from ...analysis.figures.style import Picture, timed, whiskers
from .base import NAMES, NETS

ROW = 56  # pixels of a net


class Row(NamedTuple):
    """Costs and reach of a net: milliseconds of some passes, parameters, and how right it is, in words."""

    times: list[float]
    parameters: int
    reached: str


def costs(rows: Mapping[str, Row]) -> Picture:
    """Draw what a pass of each net costs, the median with the fastest and the slowest, and what it reaches."""
    title = "What a pass cost when this was drawn; what training reaches in validation"
    picture = Picture("ms a pass, median and range", "", title)
    for kind, (times, parameters, reached) in rows.items():
        middle, words = median(times), f"{parameters:,} parameters, {reached}"
        bars = whiskers([middle], [min(times)], [max(times)]) if len(times) > 1 else {}
        more = {"marker": {"color": NETS[kind]}, "error_x": bars, "text": [f"{timed(times)}, {words}"]}
        more |= {"orientation": "h", "textposition": "none", "hovertemplate": "%{text}<extra></extra>"}
        picture.trace("bar", x=[middle], y=[NAMES[kind]], name=NAMES[kind], **more)
        place = {"xanchor": "left", "align": "left", "xshift": 6, "yshift": -25, "font": {"size": 11, "color": INK}}
        picture.note(f"{timed(times)}<br>{words}", x=0, y=NAMES[kind], **place)
    picture.set(bargap=0.7, height=80 + ROW * len(rows))
    return picture.unnamed().axis("yaxis", range=[len(rows) - 0.15, -0.6], automargin=True)


@lru_cache(maxsize=1)
def published_costs() -> dict[str, list[tuple[int, float]]]:
    """Milliseconds against T as measured once on two cores, kind -> (T, ms); empty where the file is not."""
    path = files.published() / "explorers" / "step_cost.csv"
    if not path.exists():
        return {}
    table = pd.read_csv(path)
    return {str(kind): list(zip(rows["T"], rows["ms"], strict=True)) for kind, rows in table.groupby("kind")}


def step_costs(
    measured: Mapping[str, Sequence[tuple[int, float]]], here: Mapping[str, Sequence[float]], steps: int
) -> Picture:
    """Milliseconds of a pass against T: measured once (lines), and now, here: the median, from fastest to slowest."""
    picture = Picture("length T, steps", "ms, forward and backward", "What a pass costs; points: timed as drawn")
    for kind, points in measured.items():
        picture.line([T for T, _ in points], [ms for _, ms in points], f"{NAMES[kind]}, published", NETS[kind])
        picture.data[-1]["showlegend"] = kind not in here
    for kind, ms in here.items():
        middle = median(ms)
        bars = whiskers([middle], [min(ms)], [max(ms)])
        marker = {"symbol": "circle" if len(ms) > 1 else "circle-open", "line": {"width": 2}}
        more = {"error_y": bars, "marker": marker, "text": [timed(ms)], "hovertemplate": "%{text}<extra></extra>"}
        picture.dots([steps], [middle], f"{NAMES[kind]} {middle:.3g} ms", NETS[kind], 10, **more)
    at = math.log10(steps)
    across = {"type": "log", "dtick": 1, "range": [min(0.9, at - 0.3), max(3.8, at + 0.3)]}
    return picture.axis("xaxis", **across).axis("yaxis", type="log", dtick=1)
