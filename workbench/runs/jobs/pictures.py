"""A picture beside each plotly figure of an executed notebook, for readers that draw none: GitHub, nbconvert.

Kaleido draws them in a Chromium of this machine, all in one process, after the notebooks were executed. They are PNGs,
which every such reader shows, as transparent as the figures, and of 256 colours, which lines need no more than (a fifth
of the bytes). For notebooks by hand: `python -m workbench.runs.jobs.pictures NOTEBOOK ...`.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...files import publish

PLOTLY, PNG = "application/vnd.plotly.v1+json", "image/png"
PACKAGES = {"kaleido": "kaleido", "PIL": "pillow"}  # module -> package
WIDTH, HEIGHT = 900, 500  # of a figure that names no size
SCALES = (1.0, 0.75, 0.5)  # the first that is small enough
COLOURS = 256
SHADED = {"heatmap", "contour", "image"}  # kinds of traces that show steps where they have few colours
START, EACH = 60.0, 30.0  # seconds to wait for a browser, and for the figures of one notebook
NONE = "no pictures beside the figures: "  # and why
MOST = 100_000  # bytes of a picture as it stands in a notebook


def missing() -> str | None:
    """Reason why no pictures can be drawn here, or None."""
    for module, package in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            return f"{package} is not installed; `pip install {package}` adds it"
    from choreographer.browsers.chromium import Chromium

    if Chromium.find_browser(skip_local=False) is None:
        how = "apt-get install chromium" if sys.platform == "linux" else "any Chromium will do, Chrome and Edge too"
        return f"no Chromium found; install one ({how})"
    return None


def draw(paths: Sequence[Path]) -> str:
    """Add pictures in a process of its own, so that a browser that fails or hangs harms nothing; a line on it."""
    if (reason := missing()) is not None:
        return NONE + reason
    add_to = f"from {__package__}.pictures import add"
    code = f"import sys; from pathlib import Path; {add_to}; print(add(list(map(Path, sys.argv[1:]))))"
    command = [sys.executable, "-c", code, *map(str, paths)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=START + EACH * len(paths)
        )
    except subprocess.TimeoutExpired:
        return f"{NONE}the browser does not answer"
    if done.returncode != 0:
        return NONE + (done.stderr.strip().splitlines() or ["the browser cannot be used"])[-1][:300]
    return f"{done.stdout.split()[-1]} pictures beside the figures"


def add(paths: Sequence[Path]) -> int:
    """Put a PNG beside each figure of these notebooks that has none; how many were drawn."""
    import kaleido

    books = {path: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    bare = {path: list(_without(book)) for path, book in books.items()}
    if not any(bare.values()):
        return 0
    kaleido.start_sync_server(n=1)
    try:
        for path, bundles in bare.items():
            for bundle in bundles:
                bundle[PNG] = _drawn(kaleido, bundle[PLOTLY])
            if bundles:
                text = json.dumps(books[path], indent=1, ensure_ascii=False) + "\n"
                publish(path, text.encode(), replace=True)
    finally:
        kaleido.stop_sync_server()
    return sum(map(len, bare.values()))


def _without(book: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The data of each output that has a figure and no picture."""
    for cell in book["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if PLOTLY in data and PNG not in data:
                yield data


def _drawn(kaleido: Any, figure: dict[str, Any]) -> str:
    """A figure as a PNG in base64, on a scale on which it is small enough, or the smallest."""
    layout = figure.get("layout", {})
    size = {"width": layout.get("width") or WIDTH, "height": layout.get("height") or HEIGHT}
    shown = {"data": figure["data"], "layout": layout}
    shaded = any(trace.get("type") in SHADED for trace in figure["data"])
    for scale in SCALES:
        drawn: bytes = kaleido.calc_fig_sync(shown, opts={"format": "png", "scale": scale, **size})
        text = base64.b64encode(drawn if shaded else _few_colours(drawn)).decode()
        if len(text) < MOST:
            break
    return text


def _few_colours(png: bytes) -> bytes:
    """The same picture with a table of colours, its transparency among them."""
    from PIL import Image

    made = io.BytesIO()
    method = Image.Quantize.FASTOCTREE  # the one that keeps transparency
    table = Image.open(io.BytesIO(png)).convert("RGBA").quantize(COLOURS, method=method, dither=Image.Dither.NONE)
    table.save(made, "PNG", optimize=True)
    return made.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", type=Path, nargs="+", metavar="NOTEBOOK")
    told = draw(parser.parse_args().notebooks)
    print(told)
    sys.exit(told.startswith(NONE))
