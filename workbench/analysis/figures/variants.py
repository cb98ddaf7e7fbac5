"""The variants of a study or a sweep: their curves over training, their scores with intervals, a sweep's by field.

A variant has one look in curves and scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from .style import COLOURS, GRID, TEXT, blank, field_name, legend_below, whiskers

DASHES = ("solid", "dash", "dot")
MARKS = ("circle", "diamond", "square")
GAP = 0.15  # between panels, of the figure's width


def looks(names: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Name -> colour, dash, mark: five colours in turn, then the same with dashes."""
    palette = list(COLOURS.values())
    return {
        name: (palette[i % len(palette)], DASHES[i // len(palette) % 3], MARKS[i // len(palette) % 3])
        for i, name in enumerate(dict.fromkeys(names))
    }


def variant_curves(curves: pd.DataFrame, unit: str, title: str = "", *, log: bool = False) -> go.Figure:
    """Variants over training steps: the mean over seeds a line, each seed a thin one, a cross where a seed diverged.

    `curves`: columns variant, seed, diverged, step, and last the value (`Variants.curves`). The mean goes as far as all
    seeds.
    """
    return variant_panels([curves], [unit], title, log=[unit] if log else [])


def variant_panels(
    curves: Sequence[pd.DataFrame], units: Sequence[str], title: str = "", *, log: Sequence[str] = ()
) -> go.Figure:
    """`variant_curves` side by side, a panel a frame; `units` are their labels, those in `log` have logarithmic
    axes."""
    figure = blank("training step", units[0], title)
    style = {name: getattr(figure.layout, f"{name}axis").to_plotly_json() for name in "xy"}
    width = (1 - GAP * (len(curves) - 1)) / len(curves)
    for index, (frame, unit) in enumerate(zip(curves, units, strict=True)):
        tag, left = str(index + 1) if index else "", index * (width + GAP)
        scale = _decades(frame.iloc[:, -1]) if unit in log else {"rangemode": "nonnegative"}
        words = {"text": unit, "font": {"size": TEXT}}
        figure.layout[f"xaxis{tag}"] = {**style["x"], "domain": [left, left + width], "anchor": f"y{tag}"}
        figure.layout[f"yaxis{tag}"] = {**style["y"], "anchor": f"x{tag}", "title": words, **scale}
        for trace in _traces(frame):
            trace.update(xaxis=f"x{tag}", yaxis=f"y{tag}")
            if index:
                trace.showlegend = False
            figure.add_trace(trace)
    return legend_below(figure)


def _decades(values: pd.Series[Any]) -> dict[str, Any]:
    """A logarithmic axis: a mark a decade, or at 1, 2 and 5 where there are few."""
    seen = values[values > 0].dropna()
    wide = len(seen) > 0 and np.log10(seen.max() / seen.min()) > 2
    return {"type": "log", "dtick": 1, "exponentformat": "power"} if wide else {"type": "log", "dtick": "D2"}


def _traces(curves: pd.DataFrame) -> Iterator[go.Scatter]:
    column = curves.columns[-1]
    for name, (colour, dash, _) in looks(list(curves["variant"])).items():
        mine = curves[curves["variant"] == name]
        table = mine.pivot(index="step", columns="seed", values=column).astype(float)
        line = {"color": colour, "dash": dash}
        for seed in table:
            thin = {"line": {**line, "width": 0.8}, "opacity": 0.55, "showlegend": False, "hoverinfo": "skip"}
            yield go.Scatter(x=table.index, y=table[seed], mode="lines", legendgroup=name, **thin)
        hover = f"{name}: %{{y:.4g}}<extra></extra>"
        means = table.mean(axis=1, skipna=False)
        thick = {"line": {**line, "width": 2.5}, "mode": "lines", "hovertemplate": hover}
        yield go.Scatter(x=table.index, y=means, name=name, legendgroup=name, **thick)
        lost = mine[mine["diverged"]].dropna(subset=[column]).groupby("seed").last()
        if len(lost):
            cross = {"symbol": "x", "color": colour, "size": 9}
            where = {"x": lost["step"], "y": lost[column], "mode": "markers", "marker": cross, "hoverinfo": "skip"}
            yield go.Scatter(**where, name=f"{name}: diverged", legendgroup=name)


def variant_scores(scores: pd.DataFrame, table: pd.DataFrame, title: str = "") -> go.Figure:
    """Variants one below the other: every seed a small mark, the mean with its 95 % interval beside.

    `scores` and `table`: `Variants.scores` and `Variants.table` of one measure. What diverged is written at the
    variant.
    """
    measure = scores.columns[-1]
    figure = blank(measure, "", title)
    several = table["group"].nunique() > 1
    look = looks(list(table["variant"]))
    for row in table.to_dict("records"):
        lost = [f"{row['diverged']} of {row['seeds']} diverged"] if row["diverged"] else []
        lacking = row["seeds"] - row["with a value"]
        lost += [f"{lacking} of {row['seeds']} without a value"] if lacking else []
        label = ", ".join([row["group"]] * several + [row["variant"]]) + "".join(f"<br>({text})" for text in lost)
        mine = scores[(scores["group"] == row["group"]) & (scores["variant"] == row["variant"])]
        colour, _, mark = look[row["variant"]]
        dots = {"symbol": f"{mark}-open", "color": colour, "size": 7}
        hover = "seed %{customdata}: %{x:.5g}<extra></extra>"
        known = mine.dropna(subset=[measure])
        figure.add_scatter(x=known[measure], y=[label] * len(known), customdata=known["seed"], mode="markers",
                           marker=dots, opacity=0.75, hovertemplate=hover)  # fmt: skip
        if row["low"] is not None and row["low"] == row["low"]:
            bar = whiskers([row[measure]], [row["low"]], [row["high"]]) | {"color": colour, "thickness": 2.5}
            hover = f"mean {row[measure]:.4g} [{row['low']:.4g}, {row['high']:.4g}]<extra></extra>"
            point = {"symbol": mark, "color": colour, "size": 11}
            figure.add_scatter(x=[row[measure]], y=[label], mode="markers", marker=point, error_x=bar,
                               hovertemplate=hover)  # fmt: skip
        else:
            figure.add_scatter(x=[row[measure]], y=[label], mode="markers", marker=dots, hoverinfo="skip")
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_layout(
        showlegend=False, hovermode="closest", height=130 + 48 * len(table), margin={"l": 210, "b": 70}
    )
    return figure


def variant_differences(against: pd.DataFrame, unit: str, title: str = "") -> go.Figure:
    """Each variant's mean difference from the reference with its 95 % interval (`Variants.against`); 0 is no
    difference."""
    figure = blank(unit, "", title)
    several = against["group"].nunique() > 1
    look = looks(list(against["variant"]))
    for row in against[against["note"] == ""].to_dict("records"):
        colour, _, mark = look[row["variant"]]
        figure.add_scatter(
            x=[row["difference"]],
            y=[", ".join([row["group"]] * several + [row["variant"]])],
            mode="markers",
            marker={"symbol": mark, "color": colour, "size": 11},
            error_x=whiskers([row["difference"]], [row["low"]], [row["high"]]) | {"color": colour, "thickness": 2.5},
            hovertemplate=f"%{{x:+.4g}} [{row['low']:+.4g}, {row['high']:+.4g}]<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GRID, "width": 2})
    figure.update_yaxes(autorange="reversed", type="category")
    height = 130 + 44 * int((against["note"] == "").sum())
    return figure.update_layout(showlegend=False, hovermode="closest", height=height, margin={"l": 210, "b": 70})


def over_depth(table: pd.DataFrame, value: str, unit: str, title: str = "", *, log: bool = False) -> go.Figure:
    """A line a net over its recurrent layers: columns `variant`, `layers`, `value`, and its interval where `low` and
    `high` stand beside; a `moment`, if there is one, is a dash of its own."""
    figure = blank("recurrent layers", unit, title)
    several = "moment" in table
    moments = list(dict.fromkeys(table["moment"])) if several else [""]
    for name, (colour, _, mark) in looks(list(table["variant"])).items():
        for moment, dash in zip(moments, ("dot", "solid") if several else ("solid",), strict=False):
            mine = table[(table["variant"] == name) & ((table["moment"] == moment) if several else True)]
            mine = mine.dropna(subset=[value]).sort_values("layers")
            label = f"{name}, {moment}" if several else name
            bars = None
            if "low" in mine and mine["low"].notna().all():
                look = {"color": colour, "thickness": 1.5, "width": 4}
                bars = whiskers(mine[value], mine["low"], mine["high"]) | look
            hover = f"{label}, %{{x}} layers: %{{y:.4g}}<extra></extra>"
            figure.add_scatter(
                x=mine["layers"],
                y=mine[value],
                name=label,
                mode="lines+markers",
                error_y=bars,
                line={"color": colour, "width": 2, "dash": dash},
                marker={"symbol": mark, "size": 8},
                hovertemplate=hover,
            )
    figure.update_layout(hovermode="closest")
    if log:
        figure.update_yaxes(type="log", exponentformat="power")
    return legend_below(figure)


# --- a sweep over the fields of its grid ---


def sweep_map(results: pd.DataFrame, fields: Sequence[str], score: str) -> go.Figure:
    """A sweep's scores, the mean over seeds: a line with every seed over one field, a map over the first two.

    `results`: columns of `fields`, `seed` and `score`. Over further fields the best is shown: it is written beside. A
    mean of fewer seeds than there are, since others failed or are not run, says of how many.
    """
    title, results = _readable(results, score)
    better, names = max if score.endswith("accuracy") else min, [field_name(field) for field in fields]
    if len(fields) == 1:
        figure = blank(names[0], title, "Every seed, and their mean")
        means = results.groupby(fields[0], dropna=False)[score].mean().reset_index()
        for table, name, look in (
            (results, "a seed", {"mode": "markers", "marker": {"color": COLOURS["second"]}}),
            (means, "mean", {"mode": "lines+markers", "line": {"color": COLOURS["IndRNN"]}}),
        ):
            figure.add_scatter(x=table[fields[0]].astype(str), y=table[score], name=name, **look)
        return figure
    means = results.groupby(list(fields), dropna=False)[score].agg(["mean", "count", "size"]).reset_index()
    means["text"] = [
        "" if n == 0 else f"{mean:.4g}" + f"<br>{n} of {size} seeds" * (n < size)
        for mean, n, size in means[["mean", "count", "size"]].itertuples(index=False)
    ]
    ranked = means.sort_values("mean", ascending=better is min).groupby(list(fields[:2]), dropna=False).first()
    best, text = ranked["mean"].unstack(), ranked["text"].unstack()
    rest = f"; the best over {', '.join(names[2:])}" if fields[2:] else ""
    figure = blank(names[1], names[0], f"{title}: mean over seeds{rest}")
    figure.add_heatmap(
        x=[str(v) for v in best.columns],
        y=[str(v) for v in best.index],
        z=best.to_numpy(),
        colorscale="Viridis",
        reversescale=better is min,
        text=text.to_numpy(),
        texttemplate="%{text}",
        hovertemplate=f"{names[1]} %{{x}}, {names[0]} %{{y}}: %{{z:.5g}}<extra></extra>",
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category")
    figure.update_layout(hovermode="closest")
    return figure


def parallel(results: pd.DataFrame, fields: Sequence[str], score: str) -> go.Figure:
    """A sweep as parallel coordinates: an axis a field, then seed and score, a line a run, coloured by its score."""
    title, results = _readable(results, score)
    shown = results.dropna(subset=[score])
    figure = blank("", "", "")
    figure.update_layout(margin={"l": 90, "r": 90, "t": 60, "b": 30})
    figure.add_parcoords(
        line={"color": shown[score], "colorscale": "Viridis", "reversescale": not score.endswith("accuracy")},
        dimensions=[*(_axis(shown[f]) for f in [*fields, "seed"]), {"label": title, "values": shown[score]}],
        labelfont={"size": TEXT},
    )
    return figure


def _axis(values: pd.Series[Any]) -> dict[str, Any]:
    """One axis of parallel coordinates: numbers as they are, each that occurs written; else places among the values."""
    label = field_name(str(values.name))
    if values.dtype.kind in "if" and not values.isna().any():
        marks = sorted(set(values))
        return {"label": label, "values": values, "tickvals": marks, "ticktext": [f"{mark:g}" for mark in marks]}
    texts = [str(v) for v in values]
    names = sorted(set(texts))
    places = [names.index(t) for t in texts]
    return {"label": label, "values": places, "tickvals": [*range(len(names))], "ticktext": names}


def _readable(results: pd.DataFrame, score: str) -> tuple[str, pd.DataFrame]:
    """A score's name as a reader is shown it, and the results in its unit."""
    title = score.replace("valid_", "validation ").replace("_", " ")
    if not score.endswith("accuracy"):
        return title, results
    return f"{title}, %", results.assign(**{score: 100 * results[score]})
