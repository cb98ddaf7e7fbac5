"""`python -m workbench.notebook.app`: Voila on the explorers, with an index, light or dark as the reader's system is.

Takes Voila's own options (`--port=8866 --token`); serves this machine alone unless told otherwise.
"""

from __future__ import annotations

import base64
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from ... import files
from ...errors import ended
from ..explorers import EXPLORERS

HERE = Path(__file__).parent


def index(page_config: dict[str, Any], *, notebook_path: str = "", **_: Any) -> dict[str, Any]:
    """Add what the index shows of each explorer to a page's settings: Voila calls this before every page."""
    if not notebook_path.endswith(".ipynb"):
        about = ({"name": name, "title": known.title, "look": known.look} for name, known in EXPLORERS.items())
        page_config["explorers"] = [
            {**one, "light": _picture(one, "light"), "dark": _picture(one, "dark")} for one in about
        ]
    return page_config


def _picture(one: dict[str, str], theme: str) -> str:
    """A published picture as an address of its own; "" where an installed copy has none."""
    path = files.published() / "pictures" / f"explore_{one['name']}_{theme}.png"
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" if path.exists() else ""


def main(arguments: list[str]) -> None:
    """Serve until stopped."""
    from traitlets.config import Config
    from voila.app import Voila

    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (str(HERE), os.environ.get("JUPYTER_PATH"))))
    settings = {"template": "workbench", "page_config_hook": index}
    config = Config({"VoilaConfiguration": settings, "Voila": {"ip": "127.0.0.1"}})
    Voila.launch_instance([str(files.notebooks()), *arguments], config=config)


if __name__ == "__main__":
    sys.exit(ended(partial(main, sys.argv[1:])))
