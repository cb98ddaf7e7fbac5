"""The way back to the first picture, after Run All has left the reader at the last cell; and the ink of figures."""

from __future__ import annotations

from pathlib import Path

import anywidget
from IPython.display import display

from ..analysis.figures.style import INK

_GREY = tuple(int(INK[i : i + 2], 16) for i in (1, 3, 5))
# Plotly writes a figure's words in the grey that fits every page; here they take the page's own ink.
STYLE = (
    f'<style>.js-plotly-plot text[style*="rgb{_GREY}"]'
    "{fill:var(--jp-content-font-color1,currentColor)!important}</style>"
)


class FirstPicture(anywidget.AnyWidget):
    """An invisible widget that scrolls to the first picture once it is drawn, unless the reader has moved since."""

    _esm = Path(__file__).with_suffix(".js")

    def show(self) -> None:
        """Put it on the page, and the ink of its figures."""
        display({"text/html": STYLE, "text/plain": ""}, raw=True)
        display(self)
