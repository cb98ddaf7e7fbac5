"""The rooms of the package and what they import of each other: numbers, and a picture.

`python scripts/imports.py --out rooms.svg` draws every room and every arrow, read from the code itself. Rooms stand in
their order, left to right; an arrow against it is red. `tests/test_imports.py` holds the package to that order.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parent.parent / "workbench"
ORDER = [  # a room imports only from rooms in earlier lines, and from itself
    ["errors", "files", "seeds", "progress"],
    ["config"],
    ["paper"],
    ["tasks", "recurrence"],
    ["models"],
    ["training"],
    ["runs"],
    ["analysis"],
    ["notebook"],
    ["__init__", "doctor", "__main__"],
]


class Arrow(NamedTuple):
    """One import: module -> module; `when` is "loading", "late" (in a function) or "typing" (never)."""

    source: str
    target: str
    when: str


def modules(package: Path) -> dict[str, Path]:
    """Every module of a package: name below it (`runs.jobs.plan`, `__init__`) -> file."""
    files = (path.relative_to(package) for path in sorted(package.rglob("*.py")))
    return {".".join(f.with_suffix("").parts).removesuffix(".__init__"): package / f for f in files}


def arrows(package: Path) -> list[Arrow]:
    """All imports between the modules of a package, each once; `__version__` and what the interpreter adds left out."""
    known = modules(package)
    found = {Arrow(name, *seen) for name, path in known.items() for seen in imports(name, path, known)}
    return sorted(arrow for arrow in found if arrow.source != arrow.target)


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[str, str]]:
    """(module, when) of every import of our own in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = path.parent.name if name == "__init__" else str(path.parents[len(name.split(".")) - 1].name)
    inside = [part for part in name.split(".") if part != "__init__"]
    folder = inside if path.name == "__init__.py" else inside[:-1]
    loading = set(map(id, tree.body))
    typing = {
        id(n)
        for b in ast.walk(tree)
        if isinstance(b, ast.If) and "TYPE_CHECKING" in ast.unparse(b.test)
        for n in ast.walk(b)
    }
    for node in ast.walk(tree):
        when = "typing" if id(node) in typing else "loading" if id(node) in loading else "late"
        if isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            if node.level:
                parts = [*folder[: len(folder) - node.level + 1], *parts]
            elif parts[:1] == [own]:
                parts = parts[1:]
            else:
                continue
            for alias in node.names:
                if alias.name != "__version__":
                    yield found(".".join([*parts, alias.name]), known), when
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == own:
                    yield found(".".join(alias.name.split(".")[1:]), known), when


def found(name: str, known: dict[str, Path]) -> str:
    """The module that a dotted name belongs to."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or "__init__"


def room(module: str) -> str:
    """The folder, or the file at the top, that a module stands in."""
    return module.split(".")[0]


def backward(found: Iterable[Arrow], order: list[list[str]]) -> list[Arrow]:
    """The arrows against the order; files on the first line may import each other."""
    rank = {name: floor for floor, names in enumerate(order) for name in names}
    wrong = []
    for arrow in found:
        here, there = room(arrow.source), room(arrow.target)
        if here != there and not rank[there] < rank[here] and not (rank[there] == rank[here] in (0, len(order) - 1)):
            wrong.append(arrow)
    return wrong


def circles(found: Iterable[Arrow]) -> list[list[str]]:
    """Groups of modules that import each other, by whatever way, late imports among them (Tarjan 1972)."""
    onward: dict[str, list[str]] = {}
    for arrow in found:
        if arrow.when != "typing":
            onward.setdefault(arrow.source, []).append(arrow.target)
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for target in onward.get(module, []):
            if target not in number:
                visit(target)
                lowest[module] = min(lowest[module], lowest[target])
            elif target in stack:
                lowest[module] = min(lowest[module], number[target])
        if lowest[module] == number[module]:
            group = [stack.pop()]
            while group[-1] != module:
                group.append(stack.pop())
            if len(group) > 1:
                groups.append(sorted(group))

    for module in list(onward):
        if module not in number:
            visit(module)
    return groups


def between(found: Iterable[Arrow]) -> Counter[tuple[str, str]]:
    """(room, room) -> how many imports; those for types alone left out."""
    return Counter(
        (room(a.source), room(a.target)) for a in found if a.when != "typing" and room(a.source) != room(a.target)
    )


def picture(found: list[Arrow], order: list[list[str]]) -> str:
    """The rooms in their order, left to right, and the arrows between them, as SVG."""
    wide, high, gap, tall = 104, 30, 34, 460
    place = {}
    for column, names in enumerate(order):
        top = (tall - len(names) * (high + 40)) / 2
        for row, name in enumerate(names):
            place[name] = (20 + column * (wide + gap), top + row * (high + 40) + 20)
    wrong = {(room(a.source), room(a.target)) for a in backward(found, order) if a.when != "typing"}
    lines = []
    for (source, target), count in sorted(between(found).items()):
        (x, y), (x2, y2) = place[source], place[target]
        x, y, x2, y2 = x, y + high / 2, x2 + wide, y2 + high / 2
        bend = 0.25 * abs(x - x2) + 20
        up = -1 if (y + y2) / 2 <= tall / 2 else 1
        colour = "#c0392b" if (source, target) in wrong else "#7f8c8d"
        path = (
            f"M{x:.0f},{y:.0f} C{x - 20:.0f},{y + up * bend:.0f} {x2 + 20:.0f},{y2 + up * bend:.0f} {x2:.0f},{y2:.0f}"
        )
        title = escape(f"{source} imports {target}: {count}")
        lines.append(
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{0.6 + 0.25 * min(count, 12):.2f}" '
            f'marker-end="url(#head)"><title>{title}</title></path>'
        )
    for name, (x, y) in place.items():
        lines.append(
            f'<rect x="{x}" y="{y}" width="{wide}" height="{high}" rx="6" fill="#ecf0f1" stroke="#2c3e50"/>'
            f'<text x="{x + wide / 2}" y="{y + 20}" text-anchor="middle">{name}</text>'
        )
    width = 20 + len(order) * (wide + gap)
    head = '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
    box = f'viewBox="0 0 {width} {tall}" font-family="sans-serif" font-size="13"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n'
        "<title>What the rooms of the package import of each other</title>\n"
        f'<defs>{head}<path d="M0,0 L8,4 L0,8 z" fill="#7f8c8d"/></marker></defs>\n' + "\n".join(lines) + "\n</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="What the rooms of the package import of each other.")
    parser.add_argument("--package", type=Path, default=PACKAGE)
    parser.add_argument("--out", type=Path, help="a picture, SVG")
    given = parser.parse_args()
    seen = arrows(given.package)
    rooms = {room(name) for name in modules(given.package)}
    ordered = bool(rooms) and rooms <= {name for names in ORDER for name in names}
    if given.out and not ordered:
        parser.error(f"--out: {given.package} has other rooms than the order; no picture is drawn")
    sizes = [len(path.read_text(encoding="utf-8").splitlines()) for path in modules(given.package).values()]
    print(f"{len(sizes)} files, {sum(sizes):,} lines, {len(rooms)} rooms, {len(between(seen))} arrows between them")
    print(f"circles: {len(circles(seen))}", *circles(seen), sep="\n  ")
    if ordered:
        wrong = backward(seen, ORDER)
        print(f"arrows against the order: {len(wrong)}", *wrong, sep="\n  ")
        if given.out:
            given.out.write_text(picture(seen, ORDER), encoding="utf-8")


if __name__ == "__main__":
    main()
