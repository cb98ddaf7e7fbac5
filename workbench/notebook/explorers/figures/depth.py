"""Pictures of gradients in deep nets."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from ....analysis.figures import INK
from ....analysis.figures.style import LEVELS, Picture
from ..wording import NAMES, NETS, decades

FAINTEST = -8.0  # powers of ten below the strongest gradient


def gradient_maps(maps: Mapping[str, Tensor]) -> Picture:
    """Each net's gradient at every layer and step, side by side: brightness is its power of ten below the strongest."""
    picture = Picture("", "layer", "The gradient at every layer and time step", height=330)
    gap, n = 0.012, max(len(maps), 1)
    width = (1 - gap * (n - 1)) / n
    axis = {**picture.layout["xaxis"], "title": {"text": "time step", "font": {"size": 13}}}
    for index, (kind, gradient) in enumerate(maps.items()):
        number = "" if index == 0 else str(index + 1)
        low = index * (width + gap)
        levels = (gradient.double() / gradient.max().clamp_min(1e-300)).clamp_min(1e-300).log10()
        picture.trace(
            "heatmap",
            z=[[round(v, 2) for v in row] for row in levels.clamp_min(FAINTEST).tolist()],
            x=list(range(1, gradient.shape[1] + 1)),
            y=list(range(1, len(gradient) + 1)),
            name=NAMES[kind],
            xaxis=f"x{number}",
            coloraxis="coloraxis",
            hovertemplate="layer %{y}, step %{x}: 10^%{z}<extra>" + NAMES[kind] + "</extra>",
        )
        picture.layout[f"xaxis{number}"] = {**axis, "domain": [low, low + width], "anchor": "y"}
        picture.note(NAMES[kind], x=low, xref="paper", y=1.01, yref="paper", xanchor="left", yanchor="bottom")
    most = max((len(gradient) for gradient in maps.values()), default=1)
    picture.axis("yaxis", dtick=max(1, round(most / 6)), range=[0.5, most + 0.5])
    bar = {"title": {"text": "power of ten", "side": "right", "font": {"size": 12}}, "thickness": 14, "len": 1}
    return picture.set(coloraxis={"colorscale": LEVELS, "cmin": FAINTEST, "cmax": 0, "colorbar": bar}, showlegend=False)


def by_layer(maps: Mapping[str, Tensor]) -> Picture:
    """The gradient that reaches each layer, all steps together, relative to the last layer's."""
    picture = Picture("layer, 1 reads the input", "gradient norm, last layer = 1", "Down through the layers")
    for kind, gradient in maps.items():
        norms = gradient.double().norm(dim=1)
        picture.line(range(1, len(norms) + 1), _relative(norms, norms[-1]), NAMES[kind], NETS[kind])
        picture.data[-1] |= {"mode": "lines+markers"}
    picture.layout["margin"]["t"] = 92  # five names are three lines where the page is narrow
    return picture.axis("yaxis", type="log", exponentformat="power", dtick=decades(picture))


def by_step(maps: Mapping[str, Tensor]) -> Picture:
    """The gradient that reaches each step of the lowest layer, relative to its last step's."""
    picture = Picture("steps before the end", "gradient norm, last step = 1", "Back through time, in the lowest layer")
    for kind, gradient in maps.items():
        norms = gradient[0].double().flip(0)
        picture.line(range(len(norms)), _relative(norms, norms[0]), NAMES[kind], NETS[kind])
    picture.layout["margin"]["t"] = 92
    return picture.axis("yaxis", type="log", exponentformat="power", dtick=decades(picture))


def costs(rows: Mapping[str, tuple[int, float, float | None]]) -> Picture:
    """Draw what each net costs and reaches: (parameters, milliseconds a step, accuracy in per cent or None)."""
    picture = Picture("milliseconds a training step", "", "What it costs, and what it reaches")
    for kind, (parameters, milliseconds, accuracy) in rows.items():
        reached = "not trained yet" if accuracy is None else f"{accuracy:.1f} % right"
        picture.trace(
            "bar",
            x=[milliseconds],
            y=[NAMES[kind]],
            orientation="h",
            name=NAMES[kind],
            marker={"color": NETS[kind]},
            text=[f"{milliseconds:.3g} ms, {parameters:,} parameters, {reached}"],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )
        picture.note(
            f"{parameters:,} parameters, {reached}",
            x=0,
            y=NAMES[kind],
            xanchor="left",
            xshift=6,
            yshift=-17,
            font={"size": 11, "color": INK},
        )
    picture.set(bargap=0.62, height=80 + 42 * len(rows))
    return picture.unnamed().axis("yaxis", range=[len(rows) - 0.25, -0.6], automargin=True)


def _relative(values: Tensor, one: Tensor) -> list[float]:
    """Infinity, which is not drawn, where nothing is left in float32."""
    return [v if v > 0 else math.inf for v in (values / one.clamp_min(1e-300)).tolist()]
