"""An explorer as one static page, for those without a kernel: the frames of its sliders are drawn beforehand.

A page is one file that needs no network. It draws with the same panel.js as the notebook, from a model of frames.
"""

from __future__ import annotations

import base64
import gzip
import html
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...runs.run import pinned_threads
from ..explorers.base import HERE, Exercise, ExplorerBase, code, panels, parameters, plotly_library, script

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0 auto; max-width: 1400px; padding: 14px; background: Canvas; color: CanvasText; }}
{style}
</style>
</head>
<body>
<main id="explorer"></main>
<script type="module">
{program}
show("{frames}", "{library}", document.getElementById("explorer"));
</script>
</body>
</html>
"""


def page(content: ExplorerBase, values: Mapping[str, Any]) -> bytes:
    """An explorer as one HTML file: `sweep` may be turned, everything else stands at the given values."""
    text = PAGE.format(
        title=html.escape(content.title),
        style=style(),
        program=program(),
        frames=frames(content, values),
        library=base64.b64encode(plotly_library()).decode(),
    )
    return text.encode()


def style() -> str:
    """The style sheet of explorers."""
    return (HERE / "panel.css").read_text(encoding="utf-8")


def program() -> str:
    """The script that shows frames as an explorer: `show(frames, library, element)`."""
    return script().replace("export default { render };", "") + Path(__file__).with_name("static_page.js").read_text(
        encoding="utf-8"
    )


def frames(content: ExplorerBase, values: Mapping[str, Any]) -> str:
    """What `show` draws, compressed, as a text: a frame for each place of the controls in `sweep`."""
    start = content.settle(values)
    turned = [control for control in content.at(start).values() if control.name in content.sweep]
    names = [control.name for control in turned]
    places = itertools.product(*(control.positions() for control in turned))
    figures: dict[str, int] = {}
    made = []
    with pinned_threads(1):
        for place in places:
            at = content.settle({**start, **dict(zip(names, place, strict=True))})
            view = content.view(**at)
            drawn = [{**s, "figure": figures.setdefault(s["figure"], len(figures))} for s in panels(view)]
            words = {"said": view.said, "code": code(content, at), "parameters": parameters(content, at)}
            made.append({"values": at, "panels": drawn, **words})
    held = {
        "title": content.title,
        "look": content.look,
        "controls": [control.spec() for control in turned],
        "figures": list(figures),
        "frames": made,
        "start": start,
        "exercises": _within(content, content.exercises, names, start),
        "presets": _within(content, content.presets, names, start),
    }
    return _packed(json.dumps(held, separators=(",", ":")).encode())


def _within(
    content: ExplorerBase, tried: Sequence[Exercise], names: Sequence[str], start: Mapping[str, Any]
) -> dict[str, Any]:
    """Those exercises by label that a page can show: all that they change are controls which may be turned there."""
    settled = {one.label: (content.settle(one.values), one.see) for one in tried}
    return {
        label: {"values": values, "see": see}
        for label, (values, see) in settled.items()
        if all(values[name] == start[name] for name in start if name not in names)
    }


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()
