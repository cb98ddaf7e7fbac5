"""Links of a site's pages that lead nowhere, and what its pages load from other hosts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Links(HTMLParser):
    """The links of a page, what it loads, and the places that others can link to."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is not None and name in ("href", "src"):
                (self.links if tag == "a" else self.loads).append(value)
            if value is not None and name in ("id", "name"):
                self.places.add(value)


def broken(site: Path) -> Iterator[str]:
    """Links of all pages to files or places that are not there, and whatever a page loads from another host."""
    read = {path: Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    for path, page in read.items():
        for target in (*page.links, *page.loads):
            address = urlsplit(target)
            if address.scheme or address.netloc:
                if target in page.loads and address.scheme != "data":
                    yield f"{path.relative_to(site)}: {target} is loaded"
                continue
            there = (path.parent / unquote(address.path)).resolve() if address.path else path
            place = unquote(address.fragment)
            lost = place and there in read and "=" not in place and place not in read[there].places
            if not there.exists() or lost:
                yield f"{path.relative_to(site)}: {target}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the site")
    if not (folder := parser.parse_args().folder).is_dir():
        parser.error(f"folder: {folder} is none")
    found = sorted(broken(folder))
    print("\n".join(found) or "every link leads somewhere")
    sys.exit(1 if found else 0)
