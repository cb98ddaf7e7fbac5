"""An explorer as one static page, for those without a kernel: the frames of its sliders are drawn beforehand.

A page is one file that needs no network. It draws with the same panel.js as the notebook, from a model of frames.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...runs.asked import pinned_threads
from ..explorers.alive import places
from ..explorers.base import HERE, Exercise, ExplorerBase, code, panels, parameters, plotly_library, script

SITE = Path(__file__).parent
_ALIVE = ("alive.js", "alive_nets.js", "alive_neurons.js", "alive_digit.js", "alive_architecture.js")
COMPUTING = ("playground/net.js", "playground/reading.js", *_ALIVE)
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
    """The script that shows frames as an explorer, `show(frames, library, element)`; in it, as a text, a worker's."""
    panel = script().replace("export default { render };", "")
    show, *computing = ((SITE / name).read_text(encoding="utf-8") for name in ("static_page.js", *COMPUTING))
    text = json.dumps("\n".join(computing)).replace("</", "<\\/")
    return f"{panel}\n{show}\nconst COMPUTING = {text};\n"


def frames(content: ExplorerBase, values: Mapping[str, Any]) -> str:
    """Frames as `show` draws them, compressed, as a text: one for each place of the controls in `sweep`."""
    start, living = content.settle(values), content.alive()
    if living is not None and ",".join(str(start[name]) for name in living["leading"]) not in living["controls"]:
        living = None  # a net that no page can run, or a record of one's own
    sweep = content.sweep if living is None else living["sweep"]
    if living is not None:  # its frames show everything that can be shown, and no edit
        start = {**content.settle({}), **dict.fromkeys(living["data"].get("names", ()), True)}
    turned = [control for control in content.at(start).values() if control.name in sweep]
    names = [control.name for control in turned]
    figures: dict[str, int] = {}
    made = []
    with pinned_threads(1):
        for at in places(content, names, start):
            view = content.view(**at)
            drawn = [{**s, "figure": figures.setdefault(s["figure"], len(figures))} for s in panels(view)]
            words = {"said": view.said, "code": code(content, at), "parameters": parameters(content, at)}
            made.append({"values": at, "panels": drawn, **words})
    held = {
        "title": content.title,
        "look": content.look
        + ("" if living else " Of the controls this page has those drawn beforehand; a kernel has all."),
        "controls": [control.spec() for control in turned],
        "figures": list(figures),
        "frames": made,
        "start": content.settle(values),
        "alive": living,
        "exercises": _within(content, content.exercises, start if living else names, content.settle(values)),
        "presets": _within(content, content.presets, start if living else names, content.settle(values)),
    }
    text = json.dumps(held, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(text, 6, mtime=0)).decode()


def _within(
    content: ExplorerBase, tried: Sequence[Exercise], names: Collection[str], start: Mapping[str, Any]
) -> dict[str, Any]:
    """Those exercises by label that a page can show: all that they change are controls which may be turned there."""
    settled = [(one, content.settle(one.values)) for one in tried]
    return {
        one.label: {"values": values, "see": one.see and one.seen(content.view(**values))}
        for one, values in settled
        if all(values[name] == start[name] for name in start if name not in names)
    }
