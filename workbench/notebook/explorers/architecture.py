"""Architecture: a net as a picture, from its config (Li et al. 2019, Fig. 3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ... import paper
from ...analysis.figures import INK
from ...analysis.figures.style import BLUE, GREEN, YELLOW, Picture
from ...config import Budget, Config, Model
from ...models import diagram
from ...models.diagram import Arc, Drawing
from ...paper.reader_names import reader_names
from ...tasks import spec
from .alive import living
from .base import Choice, Control, Exercise, ExplorerBase, Panel, Slider, View
from .widget import Explorer

FIRST = "seqmnist_plain6"
SAMPLED = (8, 16, 32)  # widths, from which a page makes all others; depths are 1, 2, 3
DEPTHS, WIDTHS = range(1, 25), (8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Architecture(ExplorerBase):
    """Parts of a net, the shapes that pass through it, and the places of its parameters."""

    name = "architecture"
    title = "Architecture: what is in the net"
    look = (
        "where the parameters are (in an IndRNN in the products between layers, hardly any in the recurrence: one "
        "number a neuron), what passes by a layer in residual and dense nets, and how deep and wide a net can be made "
        "for as many parameters."
    )
    exercises = (
        Exercise(
            "A residual net",
            {"experiment": "seqmnist_res"},
            "Green: what a block is given passes by it and is added to what it makes.",
        ),
        Exercise(
            "A dense net",
            {"experiment": "seqmnist_dense"},
            "Yellow: each layer of a block reads all that those before it made.",
        ),
        Exercise(
            "An LSTM",
            {"experiment": "seqmnist_lstm"},
            "No neuron has a recurrent weight of its own: every neuron reads every other's past.",
        ),
        Exercise("Twice as deep", {"depth": 12}, "Twice the six layers are about twice the parameters."),
        Exercise("Twice as wide", {"width": 256}, "Twice the 128 neurons a layer are about four times the parameters."),
    )
    sweep = ("experiment",)
    leading = ("experiment",)

    def __init__(self, budget: Budget = "quick", device: str = "auto"):
        self.experiments = reader_names(list(paper.EXPERIMENTS))

    def controls(self, values: Mapping[str, Any]) -> list[Control]:
        chosen = paper.EXPERIMENTS.get(values.get("experiment", ""), paper.EXPERIMENTS[FIRST])
        model = chosen.config.model
        depth, width = size(model)
        layers = {"dense": "layers in the first block; the others keep their share", "residual": "blocks of two layers"}
        name = "Growth k" if model.kind == "dense" else "Neurons a layer"
        deep, wide = (f"{one:,} in the experiment" for one in (depth, width))
        deep = f"{layers.get(model.kind, 'layers')}; {deep}"
        return [
            Choice("experiment", "Experiment", self.experiments, FIRST),
            Slider("depth", "Depth", sorted({*DEPTHS, depth}), None, "", deep, rest=depth),
            Slider("width", name, sorted({*WIDTHS, width}), None, "", wide, rest=width),
        ]

    def config(self, experiment: str, depth: int | None, width: int | None) -> Config:
        """The experiment's config, made deeper or wider; None leaves it as it is."""
        config = paper.experiment(experiment).config
        model, (own_depth, own_width) = config.model, size(config.model)
        changes: dict[str, Any] = {}
        if depth is not None and depth != own_depth:
            blocks = tuple(max(1, round(layers * depth / own_depth)) for layers in model.blocks)
            changes |= {"model.blocks": blocks} if model.kind == "dense" else {"model.depth": depth}
        if width is not None and width != own_width:
            changes["model.growth" if model.kind == "dense" else "model.hidden"] = width
        return config.set(changes) if changes else config

    def view(self, experiment: str, depth: int | None, width: int | None) -> View:
        config = self.config(experiment, depth, width)
        task, drawn = spec(config.task), self.drawn(experiment, depth, width)
        own = sum(part.features for part in drawn.parts if part.kind == "indrnn")
        inputs = "1 input" if task.inputs == 1 else f"{task.inputs:,} inputs"
        known = paper.experiment(experiment)
        title = known.title[0].upper() + known.title[1:] + ", changed" * (config is not known.config)
        said = (
            f"{title}: {inputs} a step over T = {task.steps:,} steps, {task.outputs:,} outputs; "
            f"{drawn.parameters:,} parameters"
        )
        said += f", {own:,} of them recurrent weights, one a neuron." if own else "."
        listed = "; ".join(f"{p.name}: {p.inside}, {p.parameters:,} parameters" for p in drawn.parts)
        picture = architecture(drawn, "From the input, below, to the output")
        panels = {
            "net": Panel(picture, f"{said} From input to output: {listed}", wide=True),
            "shares": Panel(shares(drawn), f"What the parameters do. {said}", wide=True),
        }
        return View(panels, said)

    def alive(self) -> dict[str, Any]:
        families: dict[str, dict[str, Any]] = {}
        known = {}
        for name, experiment in paper.EXPERIMENTS.items():
            task, model = spec(experiment.config.task), experiment.config.model
            dense = model.kind == "dense"
            depths = (1,) if dense else (1, 2, 3)
            least = [_text(self.drawn(name, depth, SAMPLED[0])) for depth in depths]
            family = json.dumps([dense, model.differences, least])
            if family not in families:
                rest = [[_text(self.drawn(name, depth, width)) for width in SAMPLED[1:]] for depth in depths]
                texts = [[text, *more] for text, more in zip(least, rest, strict=True)]
                words, blocks = task.target == "token", self.config(name, 1, None).model.blocks if dense else None
                families[family] = {"texts": texts, "words": words, "blocks": blocks, "each": 1 + model.differences}
            about = {"inputs": task.inputs, "steps": task.steps, "outputs": task.outputs, "size": size(model)}
            stops = self.at({"experiment": name})["depth"].positions()[:-1]
            about["blocks"] = {depth: self.config(name, depth, None).model.blocks for depth in stops} if dense else None
            known[name] = {"title": experiment.title, "family": list(families).index(family), **about}
        colours = {"fill": PAINT, "row": ROW, "ink": INK, "colours": {"sum": GREEN, "block": YELLOW}, "kinds": KINDS}
        data = {"experiments": known, "families": list(families.values()), "sampled": SAMPLED}
        return living(self, (), {**data, **colours})

    def drawn(self, experiment: str, depth: int | None, width: int | None) -> Drawing:
        """The drawing of an experiment's net, made deeper or wider."""
        config = self.config(experiment, depth, width)
        return diagram.draw(config.model, spec(config.task))


def _text(drawing: Drawing) -> tuple[str, str]:
    """A drawing as site/alive_architecture.js reads it: parts, and ways past them."""
    parts = [f"{p.name}\t{p.inside}\t{p.features:,}\t{p.parameters:,}\t{p.kind}" for p in drawing.parts]
    return "\n".join(parts), "\n".join(f"{arc.start}\t{arc.end}\t{arc.kind}" for arc in drawing.arcs)


def size(model: Model) -> tuple[int, int]:
    """Depth and width of a net as the sliders turn them: of a dense one its first block's layers, and its growth."""
    return (model.blocks[0], model.growth) if model.kind == "dense" else (model.depth, model.hidden)


def explore_architecture(*, budget: Budget = "quick", device: str = "auto", **values: Any) -> Explorer:
    """Open the drawing of a net, its controls at the given values (`experiment="seqmnist_dense"`)."""
    return Explorer(Architecture(budget, device), **values)


# --- its figures: data in, a picture out ---

PAINT = {
    "input": "rgba(128,128,128,0.20)",
    "fc": "rgba(230,159,0,0.28)",
    "indrnn": "rgba(0,150,224,0.26)",
    "other": "rgba(213,94,0,0.26)",
    "readout": "rgba(0,158,115,0.30)",
}
KINDS = {"fc": "FC alone", "indrnn": "IndRNN layers: products, norm", "other": "other layers", "readout": "readout"}
ROW = 27  # pixels
BARS: dict[str, Any] = {"orientation": "h", "name": "parameters", "marker": {"color": BLUE}}
BARS |= {"textposition": "outside", "cliponaxis": False}
# Of what is drawn and is no data; a trace costs a tenth of as many shapes.
UNHEARD: dict[str, Any] = {"hoverinfo": "skip", "showlegend": False}


def architecture(drawing: Drawing, title: str) -> Picture:
    """A net from input (below) to output, as boxes with what is in them and the shape they give; beside them, as bars,
    where the parameters are."""
    parts, last = drawing.parts, len(drawing.parts) - 1
    picture = Picture("", "", title, height=max(300, 90 + ROW * len(parts)))
    for kind in dict.fromkeys(part.kind for part in parts):
        rows = [row for row, part in enumerate(parts) if part.kind == kind]  # a box at each, as one trace
        box: dict[str, Any] = {"fill": "toself", "fillcolor": PAINT[kind], "line": {"color": INK, "width": 1}}
        box["x"] = [at for _ in rows for at in (0, 10, 10, 0, 0, None)]
        box["y"] = [at for row in rows for at in (row - 0.38, row - 0.38, row + 0.38, row + 0.38, row - 0.38, None)]
        picture.trace(mode="lines", name="", **box, **UNHEARD)
    ways = [y for row in range(1, len(parts)) for y in (row - 0.62, row - 0.38, None)]
    picture.trace(x=[5] * len(ways), y=ways, mode="lines", line={"color": INK, "width": 1}, name="", **UNHEARD)
    names = [f"<b>{part.name}</b>  {part.inside}" for part in parts]
    given = [f"(T, B, {part.features:,})" for part in parts]
    if not drawing.words:
        given[-1] = f"(B, {parts[-1].features:,})"
    short = [f"<b>{part.name}</b>  {part.inside.split(', ')[0]}" for part in parts]
    sizes = [f"{part.parameters:,}" if part.parameters else "" for part in parts]
    for x, text, little, place in ((0.15, names, short, "middle right"), (9.85, given, sizes, "middle left")):
        meta = {"narrow": {"text": little}}
        style = {"mode": "text", "text": text, "textposition": place, "cliponaxis": False, "meta": meta, **UNHEARD}
        picture.trace(x=[x] * len(parts), y=list(range(len(parts))), name="", **style)
    for arc in drawing.arcs:
        _arc(picture, arc)
    words = [f"{part.name}: {part.inside}; {part.parameters:,} parameters" for part in parts]
    hover = {"hovertext": words, "hovertemplate": "%{hovertext}<extra></extra>"}
    rows = list(range(len(parts)))
    picture.dots([5] * len(parts), rows, "parts", BLUE, ROW, opacity=0, **hover)
    bars = {"xaxis": "x2", "text": sizes, "meta": {"narrow": {"visible": False}}, **hover}
    picture.trace("bar", x=[part.parameters for part in parts], y=rows, **BARS, **bars)
    bare = {"visible": False, "fixedrange": True}
    most = max(part.parameters for part in parts) or 1
    across = {**picture.layout["xaxis"], "domain": [0.74, 0.97], "range": [0, 1.18 * most], "nticks": 4}
    across["title"] = {"text": "parameters", "font": {"size": 13}}
    left = -2.6 if drawing.arcs else -0.1
    picture.set(xaxis={**bare, "domain": [0, 0.72], "range": [left, 10.1]}, xaxis2={**across, "anchor": "y"})
    picture.axis("yaxis", visible=False, range=[-0.6, last + 0.6], fixedrange=True).unnamed(46)
    picture.layout["margin"]["l"] = 10
    alone = {"xaxis": {**picture.layout["xaxis"], "domain": [0, 1]}, "xaxis2": {"visible": False, "domain": [0, 1]}}
    picture.narrow(**alone, title={**picture.layout["title"], "text": f"{title}, with parameters"})
    picture.narrow(margin={**picture.layout["margin"], "b": 8}, height=picture.layout["height"] - 40)
    return picture.set(bargap=0.35)


def shares(drawing: Drawing) -> Picture:
    """Draw the shares of a net's parameters by what they do."""
    sums = {words: sum(p.parameters for p in drawing.parts if p.kind == kind) for kind, words in KINDS.items()}
    own = sum(part.features for part in drawing.parts if part.kind == "indrnn")
    sums[KINDS["indrnn"]] -= own
    sums["IndRNN layers: recurrent weights u"] = own
    shown = {words: n for words, n in sums.items() if n}
    picture = Picture("parameters", "", "What the parameters do", height=110 + 34 * len(shown))
    text = [f"{n:,} ({100 * n / drawing.parameters:.1f} %)" for n in shown.values()]
    more = {"text": text, "meta": {"narrow": {"text": [f"{n:,}" for n in shown.values()]}}}
    hover = "%{y}: %{x:,}<extra></extra>"
    picture.trace("bar", x=list(shown.values()), y=list(shown), hovertemplate=hover, **BARS, **more)
    picture.axis("xaxis", range=[0, 1.25 * max(shown.values())])
    picture.narrow(xaxis={**picture.layout["xaxis"], "range": [0, 4 * max(shown.values())], "nticks": 3})
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
