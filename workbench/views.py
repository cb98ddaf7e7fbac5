"""From data to the explorers' pictures: pure, one function a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from .drawing import Arc, Drawing
from .figures import INK
from .models.bounds import half_life
from .picture import BLUE, GREEN, LEVELS, ORANGE, PINK, SHADE, SIGNED, YELLOW, Picture, thinned

SMALLEST = 1e-30  # a gradient below is drawn there
LONGEST = 1e6  # steps; so is a half-life above


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


def fading(half: float) -> str:
    """What becomes of a memory with this half-life, in words."""
    return "never fades" if math.isinf(half) else f"halves in {half:.3g} steps"


def span(steps: float) -> str:
    """A half-life in words."""
    return "without end" if math.isinf(steps) else f"{steps:.3g} steps"


# --- depth ---

NETS = {"plain": BLUE, "residual": GREEN, "dense": YELLOW, "lstm": ORANGE, "rnn_tanh": PINK}
NAMES = {
    "plain": "IndRNN, plain",
    "residual": "IndRNN, residual",
    "dense": "IndRNN, dense",
    "lstm": "LSTM",
    "rnn_tanh": "RNN-tanh",
    "irnn": "IRNN",
    "gru": "GRU",
}
FAINTEST = -8.0  # powers of ten below the strongest gradient


def gradient_maps(maps: Mapping[str, Tensor]) -> Picture:
    """Each net's gradient at every layer and step, side by side: brightness is its power of ten below the strongest."""
    picture = Picture("", "layer", "The gradient at every layer and time step", height=330)
    gap, n = 0.025, max(len(maps), 1)
    width = (1 - gap * (n - 1)) / n
    axis = {**picture.layout["xaxis"]}
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
            yaxis=f"y{number}",
            coloraxis="coloraxis",
            hovertemplate="layer %{y}, step %{x}: 10^%{z}<extra>" + NAMES[kind] + "</extra>",
        )
        ticks = {
            "dtick": max(1, round(len(gradient) / 6)),
            "title": {"text": "layer" if index == 0 else "", "font": {"size": 13}},
        }
        picture.layout[f"xaxis{number}"] = {
            **axis,
            "domain": [low, low + width],
            "title": {"text": "time step", "font": {"size": 13}},
        }
        picture.layout[f"xaxis{number}"]["anchor"] = f"y{number}"
        picture.layout[f"yaxis{number}"] = {**picture.layout["yaxis"], **ticks, "anchor": f"x{number}"}
        picture.note(NAMES[kind], x=low, xref="paper", y=1.01, yref="paper", xanchor="left", yanchor="bottom")
    bar = {"title": {"text": "power of ten", "side": "right", "font": {"size": 12}}, "thickness": 14, "len": 1}
    return picture.set(coloraxis={"colorscale": LEVELS, "cmin": FAINTEST, "cmax": 0, "colorbar": bar}, showlegend=False)


def by_layer(maps: Mapping[str, Tensor]) -> Picture:
    """The gradient that reaches each layer, all steps together, relative to the last layer's."""
    picture = Picture("layer, 1 reads the input", "gradient norm, last layer = 1", "Down through the layers")
    for kind, gradient in maps.items():
        norms = gradient.double().norm(dim=1)
        picture.line(range(1, len(norms) + 1), _relative(norms, norms[-1]), NAMES[kind], NETS[kind])
        picture.data[-1] |= {"mode": "lines+markers"}
    return picture.axis("yaxis", type="log", exponentformat="power", dtick=_decades(picture))


def by_step(maps: Mapping[str, Tensor]) -> Picture:
    """The gradient that reaches each step of the lowest layer, relative to its last step's."""
    picture = Picture("steps before the end", "gradient norm, last step = 1", "Back through time, in the lowest layer")
    for kind, gradient in maps.items():
        norms = gradient[0].double().flip(0)
        picture.line(range(len(norms)), _relative(norms, norms[0]), NAMES[kind], NETS[kind])
    return picture.axis("yaxis", type="log", exponentformat="power", dtick=_decades(picture))


def costs(rows: Mapping[str, tuple[int, float, float | None]]) -> Picture:
    """What each net costs and reaches: (parameters, milliseconds a step, accuracy in per cent or None)."""
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
    return picture.unnamed().axis("yaxis", autorange="reversed", automargin=True)


def _relative(values: Tensor, one: Tensor) -> list[float]:
    """Infinity, which is not drawn, where nothing is left in float32."""
    return [v if v > 0 else math.inf for v in (values / one.clamp_min(1e-300)).tolist()]


def _decades(picture: Picture) -> int:
    """How many powers of ten a tick of a logarithmic axis spans, so that there are about six."""
    values = [v for trace in picture.data for v in trace["y"] if v]
    reach = math.log10(max(values) / min(values)) if values else 1.0
    return max(1, round(reach / 6))


# --- neurons ---


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
    """What is left of an impulse after k steps, in the neuron as trained and as edited."""
    from .analysis import impulse_response

    picture = Picture("steps since the impulse", "what is left of it", "Its answer to an impulse", height=300)
    picture.line(range(steps), impulse_response(u, steps).tolist(), f"as trained, u = {u:.4f}", ORANGE)
    if silent:
        picture.line(range(steps), [0.0] * steps, "silent", PINK, dash="dot")
    elif now != u:
        picture.line(range(steps), impulse_response(now, steps).tolist(), f"edited, u = {now:.4f}", PINK, dash="dot")
    return picture


def trace(before: Tensor, after: Tensor | None, given: Tensor) -> Picture:
    """A neuron's state over one example, (T,), as trained and as edited, and what it is given at each step."""
    picture = Picture("time step", "state h", "What it does over this example", height=300)
    steps = thinned(len(before), 800)
    picture.line([s + 1 for s in steps], given[steps].tolist(), "given to it", INK, width=1)
    picture.line([s + 1 for s in steps], before[steps].tolist(), "as trained", ORANGE)
    if after is not None:
        picture.line([s + 1 for s in steps], after[steps].tolist(), "edited", PINK, dash="dot")
    return picture


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
    """The adding problem's input (T, 2) and what each step adds to the answer."""
    picture = Picture("time step", "what the step adds", "Which steps the answer came from", height=300)
    steps = range(1, len(parts) + 1)
    picture.trace("bar", x=list(steps), y=parts.tolist(), marker={"color": BLUE}, name="adds to the answer")
    marks = [t for t in range(len(x)) if x[t, 1] > 0]
    values = [float(x[t, 0]) for t in marks]
    return picture.dots([t + 1 for t in marks], values, "marked number", ORANGE, 11)


def votes(before: Tensor, after: Tensor | None, label: int) -> Picture:
    """How likely the net finds each class, (10,), as trained and as edited; the right one is marked."""
    picture = Picture("class", "probability, %", f"Its answer (right: {label})", height=300)
    classes = list(range(len(before)))
    picture.trace("bar", x=classes, y=(100 * before).tolist(), name="as trained", marker={"color": ORANGE})
    if after is not None:
        picture.trace("bar", x=classes, y=(100 * after).tolist(), name="edited", marker={"color": PINK})
    return picture.axis("xaxis", dtick=1).axis("yaxis", range=[0, 100])


# --- length ---


def learning(curves: Mapping[str, Sequence[tuple[int, float | None]]], unit: str, goal: int) -> Picture:
    """Validation scores while nets train, (step, score), with what guessing reaches."""
    picture = Picture("training step", unit, "Learning, live", height=360)
    for kind, points in curves.items():
        shown = [(step, value) for step, value in points if value is not None]
        picture.line([s for s, _ in shown], [v for _, v in shown], NAMES[kind], NET_COLOURS[kind])
        picture.data[-1] |= {"mode": "lines+markers", "marker": {"size": 5}}
    if unit.endswith("%"):
        picture.level(10, "guessing: 10 %").axis("yaxis", range=[0, 100])
    else:
        picture.level(1 / 6, "always answering 1: 1/6").axis("yaxis", range=[0, 0.25])
    return picture.axis("xaxis", range=[0, goal * 1.02])


def step_costs(measured: Mapping[str, Sequence[tuple[int, float]]], here: Mapping[str, float], steps: int) -> Picture:
    """Milliseconds of a pass against T: measured once (lines), and now, here (points)."""
    picture = Picture(
        "sequence length T, steps", "ms, forward and backward", "What one pass costs: here (points), as published"
    )
    for kind, points in measured.items():
        picture.line([T for T, _ in points], [ms for _, ms in points], f"{NAMES[kind]}, published", NET_COLOURS[kind])
        picture.data[-1]["showlegend"] = False
    for kind, ms in here.items():
        picture.dots([steps], [ms], f"{NAMES[kind]} {ms:.3g} ms", NET_COLOURS[kind], 12)
    return picture.axis("xaxis", type="log", dtick=1, range=[0.9, 3.8]).axis("yaxis", type="log", dtick=1)


def remembered(gradients: Mapping[str, Tensor]) -> Picture:
    """How strongly a net's answer depends on the input k steps before the end, relative to the last step's."""
    picture = Picture("steps before the end", "dependence, last step = 1", "What it still remembers")
    for kind, gradient in gradients.items():
        shown = thinned(len(gradient), 300)
        values = [v if v > 0 else math.inf for v in gradient[shown].tolist()]
        picture.line(shown, values, NAMES[kind], NET_COLOURS[kind])
    return picture.axis("yaxis", type="log", exponentformat="power", dtick=_decades(picture))


NET_COLOURS = {"plain": BLUE, "lstm": ORANGE, "irnn": GREEN}


# --- architecture ---

PAINT = {
    "input": "rgba(128,128,128,0.20)",
    "fc": "rgba(230,159,0,0.28)",
    "indrnn": "rgba(0,150,224,0.26)",
    "other": "rgba(213,94,0,0.26)",
    "readout": "rgba(0,158,115,0.30)",
}
ROW = 27  # pixels


def architecture(drawing: Drawing, title: str) -> Picture:
    """A net from input (below) to output, as boxes with what is in them and the shape they give; beside them, as bars,
    where the parameters are."""
    parts, last = drawing.parts, len(drawing.parts) - 1
    picture = Picture("", "", title, height=max(300, 90 + ROW * len(parts)))
    for row, part in enumerate(parts):
        box = {"type": "rect", "x0": 0, "x1": 10, "y0": row - 0.38, "y1": row + 0.38, "layer": "below"}
        picture.layout["shapes"].append({**box, "fillcolor": PAINT[part.kind], "line": {"color": INK, "width": 1}})
        shape = f"(B, {part.features:,})" if row == last and not drawing.words else f"(T, B, {part.features:,})"
        picture.note(f"<b>{part.name}</b>  {part.inside}", x=0.15, y=row, xanchor="left")
        picture.note(shape, x=9.85, y=row, xanchor="right")
        if row:
            line = {
                "type": "line",
                "x0": 5,
                "x1": 5,
                "y0": row - 0.62,
                "y1": row - 0.38,
                "line": {"color": INK, "width": 1},
            }
            picture.layout["shapes"].append(line)
    for arc in drawing.arcs:
        _arc(picture, arc)
    words = [f"{part.name}: {part.inside}; {part.parameters:,} parameters" for part in parts]
    hover = {"hovertext": words, "hovertemplate": "%{hovertext}<extra></extra>"}
    rows = list(range(len(parts)))
    picture.dots([5] * len(parts), rows, "parts", BLUE, ROW, opacity=0, **hover)
    picture.trace(
        "bar",
        x=[part.parameters for part in parts],
        y=rows,
        orientation="h",
        xaxis="x2",
        name="parameters",
        marker={"color": BLUE},
        text=[f"{part.parameters:,}" if part.parameters else "" for part in parts],
        textposition="outside",
        cliponaxis=False,
        **hover,
    )
    bare = {"visible": False, "fixedrange": True}
    most = max(part.parameters for part in parts) or 1
    across = {**picture.layout["xaxis"], "domain": [0.74, 0.97], "range": [0, 1.18 * most], "nticks": 4}
    across["title"] = {"text": "parameters", "font": {"size": 13}}
    left = -2.6 if drawing.arcs else -0.1
    picture.set(xaxis={**bare, "domain": [0, 0.72], "range": [left, 10.1]}, xaxis2={**across, "anchor": "y"})
    picture.axis("yaxis", visible=False, range=[-0.6, last + 0.6], fixedrange=True).unnamed(46)
    picture.layout["margin"]["l"] = 10
    return picture.set(bargap=0.35)


def shares(drawing: Drawing) -> Picture:
    """Where a net's parameters are, by what they do."""
    kinds = {"fc": "FC alone", "indrnn": "IndRNN layers: products, norm", "other": "other layers", "readout": "readout"}
    sums = {words: sum(p.parameters for p in drawing.parts if p.kind == kind) for kind, words in kinds.items()}
    own = sum(part.features for part in drawing.parts if part.kind == "indrnn")
    sums[kinds["indrnn"]] -= own
    sums["IndRNN layers: recurrent weights u"] = own
    shown = {words: n for words, n in sums.items() if n}
    picture = Picture("parameters", "", "What the parameters do", height=110 + 34 * len(shown))
    picture.trace(
        "bar",
        x=list(shown.values()),
        y=list(shown),
        orientation="h",
        name="parameters",
        marker={"color": BLUE},
        text=[f"{n:,} ({n / drawing.parameters:.1%})" for n in shown.values()],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:,}<extra></extra>",
    )
    picture.axis("xaxis", range=[0, 1.25 * max(shown.values())])
    return picture.set(bargap=0.4).unnamed().axis("yaxis", autorange="reversed", automargin=True)


def _arc(picture: Picture, arc: Arc) -> None:
    """A way past the boxes on their left: a sum with its plus, or the bracket of a dense block."""
    x = -0.9 if arc.kind == "sum" else -0.5
    low, high = arc.start + (0 if arc.kind == "sum" else 0.62), arc.end + (0 if arc.kind == "sum" else 0.38)
    path = f"M 0 {low} L {x} {low} L {x} {high} L 0 {high}"
    colour = GREEN if arc.kind == "sum" else YELLOW
    picture.layout["shapes"].append({"type": "path", "path": path, "line": {"color": colour, "width": 2.5}})
    if arc.kind == "sum":
        picture.note("+", x=x, y=high, font={"size": 18, "color": INK}, xanchor="right")
    else:
        words = arc.words.replace(", each", ",<br>each").replace(": ", ":<br>")
        picture.note(
            words, x=x - 0.1, y=(low + high) / 2, textangle=-90, xanchor="right", font={"size": 11, "color": INK}
        )
