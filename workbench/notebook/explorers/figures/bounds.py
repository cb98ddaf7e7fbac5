"""Pictures of recurrent weights and their bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from ....analysis.figures.style import BLUE, GREEN, ORANGE, SHADE, Picture, thinned
from ....models.bounds import half_life
from ..wording import LONGEST, SMALLEST, span


def funnel(steps: int, gamma: float, epsilon: float, lengths: Sequence[int]) -> Picture:
    """Table 1 as a picture: over how many steps which |u| keeps the gradient between epsilon and gamma."""
    picture = Picture("sequence length T, steps", "recurrent weight |u|", "Where |u| may lie")
    picture.line(lengths, [gamma ** (1 / T) for T in lengths], "explodes above", ORANGE)
    picture.line(lengths, [epsilon ** (1 / T) for T in lengths], "vanishes below", BLUE)
    picture.data[-1] |= {"fill": "tonexty", "fillcolor": SHADE}
    ends = (epsilon ** (1 / steps), gamma ** (1 / steps))
    picture.line([steps, steps], ends, f"at T = {steps:,}", GREEN, width=5)
    picture.data[-1] |= {"mode": "lines+markers", "marker": {"size": 9}}
    return picture.axis("xaxis", type="log", dtick=1).axis("yaxis", range=[0.6, 1.4])


def survival(gradient: Tensor, us: Sequence[float], gamma: float, epsilon: float) -> Picture:
    """The gradient k steps back for five u around the range, (k, n), with the largest and the smallest wanted."""
    picture = Picture("steps back k", "gradient through k steps", "The gradient through time, differentiated")
    shown = thinned(len(gradient))
    styles = ((BLUE, "dot"), (BLUE, "solid"), (GREEN, "solid"), (ORANGE, "solid"), (ORANGE, "dot"))
    for column, (u, (colour, dash)) in enumerate(zip(us, styles, strict=True)):
        values = gradient[shown, column].clamp(SMALLEST, 1 / SMALLEST).tolist()
        picture.line(shown, values, f"|u| = {u:.6g}", colour, dash=dash)
    picture.level(gamma, "the largest wanted", log=True)
    picture.level(epsilon, "the smallest wanted", below=True, log=True)
    reach = 2.2 * max(math.log10(gamma), -math.log10(epsilon), 0.2)
    return picture.axis(
        "yaxis", type="log", exponentformat="power", dtick=max(1, round(reach / 3)), range=[-reach, reach]
    )


def neurons_by_layer(
    weights: Mapping[str, Tensor], low: float, high: float, cut: float | None = None, memory: bool = False
) -> Picture:
    """Every neuron's u, or its half-life, in its layer; the admissible range shaded, a tighter cut as a line."""
    what = "half-life, steps" if memory else "recurrent weight u"
    picture = Picture("layer", what, "How long each neuron remembers" if memory else "Recurrent weights by layer")
    for index, u in enumerate(weights.values(), 1):
        values = sorted(u.tolist())
        n = len(values)
        half = [half_life(v) for v in values]
        words = [f"u = {v:.5f}, half-life {span(h)}" for v, h in zip(values, half, strict=True)]
        heights = [min(max(h, 0.1), LONGEST) for h in half] if memory else values
        places = [index - 0.36 + 0.72 * (i + 0.5) / n for i in range(n)]
        marker = {"opacity": 0.75}
        more = {"text": words, "hovertemplate": "%{text}<extra>layer " + f"{index}</extra>", "showlegend": False}
        picture.dots(places, heights, f"layer {index}", BLUE, 6 if n <= 64 else 4, marker=marker, **more)
    if memory:
        picture.band(min(half_life(low), LONGEST), LONGEST * 3)
        picture.axis("yaxis", type="log", range=[-1.1, 6.3], exponentformat="power")
    else:
        picture.band(low, high, edge=BLUE).band(-high, -low, edge=BLUE)
        for sign in (1, -1) if cut is not None else ():
            picture.level(sign * (cut or 0.0), colour=ORANGE)
    return picture.unnamed().axis("xaxis", dtick=1, range=[0.5, max(len(weights), 1) + 0.5])


def tightening(cuts: Sequence[float], heights: Sequence[float], unit: str, cut: float, height: float) -> Picture:
    """A trained net's score as every |u| is cut to less and less, nothing retrained; the present cut marked."""
    picture = Picture("every |u| cut to at most", unit, "The trained net with its memory cut")
    picture.line(cuts, heights, "not retrained", BLUE)
    picture.dots([cut], [height], f"|u| ≤ {cut:.4g}: {height:.4g}", ORANGE, 13)
    return picture.axis("yaxis", **({"range": [0, 100]} if unit.endswith("%") else {"rangemode": "tozero"}))
