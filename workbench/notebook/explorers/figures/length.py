"""Pictures of learning, cost and memory against sequence length."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from ....analysis.figures import INK
from ....analysis.figures.style import Picture, thinned
from ..wording import NAMES, NETS, decades


def learning(curves: Mapping[str, Sequence[tuple[int, float | None]]], unit: str, goal: int) -> Picture:
    """Validation scores while nets train, (step, score), with what guessing reaches, and where training here ends."""
    picture = Picture("training step", unit, "Learning, live", height=360)
    for kind, points in curves.items():
        shown = [(step, value) for step, value in points if value is not None]
        picture.line([s for s, _ in shown], [v for _, v in shown], NAMES[kind], NETS[kind])
        picture.data[-1] |= {"mode": "lines+markers", "marker": {"size": 5}}
    if unit.endswith("%"):
        picture.level(10, "guessing: 10 %").axis("yaxis", range=[0, 100])
    else:
        picture.level(1 / 6, "always answering 1: 1/6").axis("yaxis", range=[0, 0.25])
    last = max([goal, *(points[-1][0] for points in curves.values() if points)])
    line = {"color": INK, "dash": "dot", "width": 1.5}
    end = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": goal, "x1": goal, "line": line}
    picture.layout["shapes"].append(end)
    side = {"xanchor": "right", "xshift": -4} if goal > last / 2 else {"xanchor": "left", "xshift": 4}
    picture.note("Train live stops here", x=goal, y=1, yref="paper", yanchor="top", **side)
    return picture.axis("xaxis", range=[0, last * 1.02])


def step_costs(measured: Mapping[str, Sequence[tuple[int, float]]], here: Mapping[str, float], steps: int) -> Picture:
    """Milliseconds of a pass against T: measured once (lines), and now, here (points)."""
    picture = Picture(
        "sequence length T, steps", "ms, forward and backward", "What one pass costs: here (points), as published"
    )
    for kind, points in measured.items():
        picture.line([T for T, _ in points], [ms for _, ms in points], f"{NAMES[kind]}, published", NETS[kind])
        picture.data[-1]["showlegend"] = kind not in here
    for kind, ms in here.items():
        picture.dots([steps], [ms], f"{NAMES[kind]} {ms:.3g} ms", NETS[kind], 12)
    return picture.axis("xaxis", type="log", dtick=1, range=[0.9, 3.8]).axis("yaxis", type="log", dtick=1)


def remembered(gradients: Mapping[str, Tensor]) -> Picture:
    """Draw how strongly a net's answer depends on the input k steps before the end, relative to the last step's."""
    picture = Picture("steps before the end", "dependence, last step = 1", "What it still remembers")
    for kind, gradient in gradients.items():
        shown = thinned(len(gradient), 300)
        values = [v if v > 0 else math.inf for v in gradient[shown].tolist()]
        picture.line(shown, values, NAMES[kind], NETS[kind])
    return picture.axis("yaxis", type="log", exponentformat="power", dtick=decades(picture))
