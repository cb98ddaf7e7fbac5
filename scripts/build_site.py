"""Build the site: executed notebooks as they were published, results, reference, how-tos, explorers and playground.

Pages are gathered in a folder, laid out as in the project so that links between its documents hold, and given to Sphinx
with docs/conf.py; a warning ends the build. Nothing is trained or executed, and no page asks another host.
`make site` writes results/site/, which opens from a disk too; `--repository OWNER/NAME` (on a code host, for its pages)
adds links to the source and badges that open a notebook on a server of mybinder.org.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from check_links import broken
from docutils.writers import html5_polyglot
from plotly.offline import get_plotlyjs

import workbench
from workbench.errors import MissingData
from workbench.notebook.explorers import EXPLORERS, ExplorerBase
from workbench.notebook.site import static_page
from workbench.notebook.site.playground import write_playground

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = ROOT / "results" / "published"
PLOTLY = "application/vnd.plotly.v1+json"
MODULES = ("analysis", "dynamic", "figures")
DOCUMENTS = ("CONTRIBUTING", "CHANGELOG", "MIGRATION", "SECURITY", "SYSTEMS", "LICENSES", "SEQUENCES")
LINK = re.compile(r"(?<![!`])\[([^\[\]]*)\]\(([^)\s]+)\)")


def gather(folder: Path, repository: str) -> None:
    """Lay out what Sphinx reads: docs/, the project's documents, results, notebooks, at their places in the project."""
    shutil.copytree(ROOT / "docs", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    pages = [ROOT / f"{name}.md" for name in DOCUMENTS] + sorted((ROOT / "results").glob("*.md"))
    pages = [path for path in pages if path.exists()]
    books = {path.name.rpartition("_")[0]: path for path in sorted((PUBLISHED / "notebooks").glob("*.ipynb"))}
    known = {path.relative_to(ROOT).as_posix() for path in pages}
    for path in pages:
        place = folder / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(linked(path.read_text(encoding="utf-8"), path.parent, known, books, repository), "utf-8")
    (folder / "notebooks").mkdir()
    for name, path in books.items():
        book = json.loads(path.read_text(encoding="utf-8"))
        for cell in book["cells"]:
            if cell["cell_type"] == "markdown":
                text = "".join(cell["source"])
                cell["source"] = linked(text, ROOT / "notebooks", known, books, repository)
            cell["outputs"] = [drawn(output) for output in cell.get("outputs", [])]
            tags = cell["metadata"].setdefault("tags", [])
            if {"parameters", "injected-parameters"} & set(tags):
                tags.append("hide-input")
            if cell["cell_type"] == "markdown":
                del cell["outputs"]
        book["cells"].insert(1, about(name, path, repository))
        (folder / "notebooks" / f"{name}.ipynb").write_text(json.dumps(book), "utf-8")
    (folder / "notebooks" / "index.md").write_text(listing(books), "utf-8")
    (folder / "abstract.txt").write_text(between(ROOT / "README.md", "holds"), "utf-8")
    named(folder / "reference.md")
    if (folder / "SEQUENCES.md").exists():
        told = "Files of sequences need no code: [sequences](SEQUENCES.md).\n\n"
        for page, mark, words in (("index", "own_data\n", "SEQUENCES\n"), ("own_data", "\n\n", told)):
            place = folder / f"{page}.md"
            place.write_text(place.read_text(encoding="utf-8").replace(mark, f"{mark}{words}", 1), "utf-8")
    static = folder / "static"
    for path in sorted((PUBLISHED / "pictures").glob("*.png")):
        shutil.copy(path, static)
    shutil.copy(Path(html5_polyglot.__file__).with_name("math.css"), static)
    (static / "plotly.min.js").write_text(get_plotlyjs(), "utf-8")
    (static / "explorer.css").write_text(static_page.style(), "utf-8")
    (static / "explorer.js").write_text(
        f"(() => {{\n{static_page.program()}\nglobalThis.openExplorer = show;\n}})();\n", "utf-8"
    )
    shown = []
    for name in EXPLORERS:
        say(f"explorer {name}")
        try:
            made = static_page.frames(EXPLORERS[name](), {})
        except MissingData as error:
            say(f"explorer {name} is left out: {error}")
            continue
        shown.append(f"explore_{name}\n")
        (static / f"{name}.js").write_text(f'globalThis.explorerFrames = "{made}";\n', "utf-8")
        (folder / f"explore_{name}.md").write_text(explorer(name, known, books, repository), "utf-8")
    index = (folder / "index.md").read_text(encoding="utf-8")
    (folder / "index.md").write_text(index.replace("tour\n", f"tour\n{''.join(shown)}", 1), "utf-8")


WITHHELD = {  # why an explorer's page does not run its net
    "sentence": "Its net learnt from the Penn Treebank, whose licence gives no clear right to hand on what was learnt "
    "from it: the page has drawings of what the net says, not the net."
}
EXPLORER = """
```{{raw}} html
<link rel="stylesheet" href="_static/explorer.css">
<div id="explorer"></div>
<script src="_static/plotly.min.js"></script>
<script src="_static/explorer.js"></script>
<script src="_static/{name}.js"></script>
<script>
globalThis.workbenchPlotly = Promise.resolve(Plotly);
openExplorer(explorerFrames, "", document.getElementById("explorer"));
</script>
```
"""


def explorer(name: str, known: set[str], books: dict[str, Path], repository: str) -> str:
    """An explorer's page: what its notebook says, and the explorer, drawn from frames, under the title."""
    cells = json.loads((ROOT / "notebooks" / f"explore_{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    text = linked("".join(cells[0]["source"]), ROOT, known, books, repository)
    title, _, words = text.partition("\n")
    kernel = f"With a kernel (`workbench lab`, notebook `explore_{name}`) every control answers, and nets are trained."
    kernel += " Times in the figures were measured where this page was made."
    return f"{title}\n{words}\n\n*{answering(EXPLORERS[name]())}*\n{EXPLORER.format(name=name)}\n{kernel}\n"


def answering(content: ExplorerBase) -> str:
    """Controls of an explorer that answer on its page, in words."""
    if type(content).alive is not ExplorerBase.alive:
        return "On this page all controls answer; training needs a kernel, or the [playground](page:playground.html)."
    there = [control.label for control in content.at({}).values() if control.name in content.sweep]
    return (
        f"On this page answers: {', '.join(there)}; a kernel answers to all controls. {WITHHELD.get(content.name, '')}"
    )


def named(page: Path) -> None:
    """Public names that the reference does not place stand at its end."""
    text = page.read_text(encoding="utf-8")
    rest = [name for name in workbench.__all__ if f"workbench.{name}\n" not in text and name not in MODULES]
    kinds = {name: "class" if isinstance(getattr(workbench, name), type) else "function" for name in rest}
    more = "".join(f".. auto{kind}:: workbench.{name}\n" for name, kind in kinds.items())
    page.write_text(f"{text}\n## More\n\n```{{eval-rst}}\n{more}```\n" if more else text, "utf-8")


def say(what: str) -> None:
    print(f"site: {what}", flush=True)


def linked(text: str, at: Path, known: set[str], books: dict[str, Path], repository: str) -> str:
    """A document with links that hold on the site: to its pages, else to the code host if there is one, else words."""

    def turned(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        address = urlsplit(target)
        if address.scheme or not address.path:
            return found[0]
        path = (at / unquote(address.path)).resolve()
        name = path.stem if path.parent == ROOT / "notebooks" else path.stem.rpartition("_")[0]
        up = "../" * len(at.relative_to(ROOT).parts)
        if path.suffix == ".ipynb" and name in books:
            return f"[{words}]({up}notebooks/{name}.ipynb)"
        if path.suffix == ".ipynb" and name.removeprefix("explore_") in EXPLORERS:
            return f"[{words}]({up}{name}.md)"
        if not path.is_relative_to(ROOT) or not path.exists():
            return words
        inside = path.relative_to(ROOT).as_posix()
        if inside in known:
            return found[0]
        return f"[{words}](https://github.com/{repository}/blob/HEAD/{inside})" if repository else words

    return LINK.sub(turned, text)


def drawn(output: dict[str, Any]) -> dict[str, Any]:
    """An output with its figure, if it has one, as a place that plots.js draws into, and what it draws."""
    data = output.get("data", {})
    if PLOTLY not in data:
        return output
    figure = {part: data[PLOTLY].get(part) for part in ("data", "layout")}
    title = figure["layout"].get("title", {}).get("text", "") or "Figure"
    words = html.escape(re.sub(r"<[^>]+>", " ", title))
    height = figure["layout"].get("height", 430)
    text = json.dumps(figure, separators=(",", ":")).replace("</", "<\\/")
    shown = f'<div class="plot" role="img" aria-label="{words}" style="height:{height}px"></div>'
    shown += f'<script type="application/json">{text}</script>'
    return {**output, "data": {"text/html": shown}}


def about(name: str, path: Path, repository: str) -> dict[str, Any]:
    """A cell behind a notebook's title: how its numbers came about, and where to run it."""
    budget = path.stem.rpartition("_")[2]
    said = f"*Executed at the {budget} budget and published; `workbench reproduce {name}` executes it anew.*"
    if repository:
        said += f"\n\n{badge(repository, name)}"
    return {"cell_type": "markdown", "id": "about-this-page", "metadata": {}, "source": said}


def badge(repository: str, name: str) -> str:
    """A badge that opens a notebook on a server, after .binder/."""
    address = f"https://mybinder.org/v2/gh/{repository}/HEAD?labpath=notebooks%2F{name}.ipynb"
    return f'<a class="badge" href="{address}">Open on mybinder.org</a>'


def listing(books: dict[str, Path]) -> str:
    """The page of all published notebooks: their titles and first sentences."""
    lines = ["# Notebooks, executed\n", "Each was executed by `workbench reproduce` and published with its outputs.\n"]
    for name, path in books.items():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        first = "".join(next(cell for cell in cells if cell["cell_type"] == "markdown")["source"]).strip().split("\n\n")
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", first[1] if len(first) > 1 else "")
        sentence = re.split(r"(?<=[.?!])\s", words, maxsplit=1)[0]
        lines.append(f"- [{first[0].lstrip('# ')}]({name}.ipynb) (`{name}`): {sentence}")
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", "", *books, "```", ""])


def between(path: Path, mark: str) -> str:
    """The part of a document between its marks."""
    return path.read_text(encoding="utf-8").partition(f"<!-- {mark} -->")[2].partition(f"<!-- /{mark} -->")[0].strip()


def build(out: Path, repository: str = "") -> None:
    """The whole site into a folder, which must not be there or be a site."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not (out / "searchindex.js").exists():
        sys.exit(f"site: {out} is there and is no site; choose another folder")
    with tempfile.TemporaryDirectory() as made:
        folder, fresh = Path(made) / "pages", Path(made) / "site"
        gather(folder, repository)
        command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-j", "auto"]
        command += ["-d", str(Path(made) / "doctrees"), str(folder), str(fresh)]
        if subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode != 0:
            sys.exit("site: Sphinx found faults, named above")
        shutil.rmtree(fresh / "_sources", ignore_errors=True)
        for path in fresh.rglob("*.html"):
            path.write_text(mended(path.read_text(encoding="utf-8")), "utf-8")
        write_playground(fresh, home="index.html")
        if wrong := sorted(broken(fresh)):
            sys.exit("site: links that lead nowhere:\n" + "\n".join(wrong))
        put(fresh, out)


def put(fresh: Path, out: Path) -> None:
    """Move a built site into its place: what stands there is whole, the one before or this one."""
    beside = out.with_name(f".{out.name}.new")
    shutil.rmtree(beside, ignore_errors=True)  # of a call that was killed
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(fresh, beside)  # a copy, where the temporary folder is on another disk
    shutil.rmtree(out, ignore_errors=True)
    beside.rename(out)


def mended(text: str) -> str:
    """A page with what a reader of the screen misses in the theme's pages and in pandas' tables."""
    for was, is_ in (
        ('class="caption" role="heading"', 'class="caption" role="heading" aria-level="2"'),
        ('<aside class="sidebar-drawer"', '<aside class="sidebar-drawer" aria-label="All pages"'),
        ('<aside class="toc-drawer', '<aside aria-label="On this page" class="toc-drawer'),
        ('<div id="search-results">', '<h1>Search</h1><div id="search-results">'),
    ):
        text = text.replace(was, is_)
    return re.sub(r"<th( [^>]*)?>(?:<p></p>)?</th>", lambda found: f"<td{unscoped(found[1] or '')}></td>", text)


def unscoped(attributes: str) -> str:
    """The attributes of a cell that heads nothing."""
    return attributes.replace(' scope="row"', "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "site")
    parser.add_argument("--repository", default=os.environ.get("GITHUB_REPOSITORY", ""), help="OWNER/NAME")
    options = parser.parse_args()
    build(options.out.resolve(), options.repository)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"site: {options.out / 'index.html'}, {size / 1e6:.1f} MB in all")


if __name__ == "__main__":
    main()
