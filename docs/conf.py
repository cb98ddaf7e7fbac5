"""Settings of the site for Sphinx, which `scripts/build_site.py` runs on the pages that it has gathered."""

from __future__ import annotations

import itertools
import re
from typing import Any

from docutils import nodes
from docutils.utils.math import math2html

project = "IndRNN Workbench"
author = "IndRNN Workbench contributors"
copyright = f"{author}, MIT licence"
extensions = ["myst_nb", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = "IndRNN Workbench"
html_static_path = ["static"]
html_css_files = ["math.css", "site.css"]
html_js_files = ["site.js"]
html_show_search_summary = False  # it would be fetched, which a browser refuses for files
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "html"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#00639c", "color-brand-content": "#00639c"},
    "dark_css_variables": {"color-brand-primary": "#56b4e9", "color-brand-content": "#56b4e9"},
}
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
nb_execution_mode = "off"  # they were executed when they were published
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_dmath_allow_digits = False
myst_heading_anchors = 3
myst_url_schemes = {"http": None, "https": None, "mailto": None, "page": "{{path}}", "state": "{{path}}#{{fragment}}"}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
python_use_unqualified_type_names = True
add_module_names = False
# pages whose headings begin where another page's end, and code that is no program
suppress_warnings = ["myst.header", "misc.highlighting_failure"]


def formula(self: Any, node: nodes.math | nodes.math_block) -> None:
    """A formula as text with its indices, which needs no font of its own and no script."""
    block = isinstance(node, nodes.math_block)
    math2html.DocumentParameters.displaymode = block
    tag = "div" if block else "span"
    self.body.append(f'<{tag} class="formula">{math2html.math2html(node.astext())}</{tag}>')
    raise nodes.SkipNode


def docstring(app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """A docstring of ours as reStructuredText: indented lines are set as they stand, marks of its own mean nothing."""
    written: list[str] = []
    for indented, group in itertools.groupby(lines, lambda line: line.startswith("    ") if line.strip() else None):
        part = list(group)
        if indented:
            written += ["", ".. code-block:: text", "", *part, ""]
        else:
            written += plain("\n".join(part)).split("\n")
    lines[:] = written


def plain(text: str) -> str:
    """Words: `names` as code, and no mark that reStructuredText would take for its own."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"``{part}``" if i % 2 else re.sub(r"([|*_\\])", r"\\\1", part) for i, part in enumerate(parts))


def setup(app: Any) -> None:
    app.add_html_math_renderer("html", inline_renderers=(formula, None), block_renderers=(formula, None))
    app.connect("autodoc-process-docstring", docstring)
