"""The files that a training step and a move of each explorer's first slider enter: how far one must read to follow it.

`python scripts/entered.py` prints a number each; `--names` the files too. `tests/test_entered.py` bounds them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import workbench
from workbench import paper

ROOT = Path(workbench.__file__).parent


def entered(call: Callable[[], object]) -> list[str]:
    """The files of the package in which a function is called, or resumed, while `call` runs."""
    seen: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            seen.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return sorted(str(Path(name).relative_to(ROOT)) for name in seen if name.startswith(f"{ROOT}/"))


def training_step(experiment: str = "seqdigits_plain6") -> list[str]:
    """Files of a step of a net that has begun to train."""
    from workbench.training import Trainer

    trainer = Trainer(paper.experiment(experiment).at("smoke")[0], 0)
    trainer.advance()
    return entered(trainer.advance)


def moves() -> Iterator[tuple[str, list[str]]]:
    """Explorer -> files of a move of its first slider, to a value that it has not shown."""
    from workbench.notebook.explorers import EXPLORERS, Explorer
    from workbench.notebook.explorers.base import Slider

    for name, content in EXPLORERS.items():
        shown = Explorer(content())
        slider = next(c for c in shown.content.controls(shown.values) if isinstance(c, Slider))
        places = [stop for stop in slider.stops if stop != shown.values[slider.name]]
        shown.set(**{slider.name: places[0]})
        shown.reset()

        def move(shown: Explorer = shown, name: str = slider.name, place: float = places[1]) -> None:
            shown.set(**{name: place})

        yield name, entered(move)


def main() -> None:
    parser = argparse.ArgumentParser(description="Files that a training step and a slider's move enter.")
    parser.add_argument("--names", action="store_true", help="the files too")
    given = parser.parse_args()
    for name, files in (("a training step", training_step()), *((f"a move of {n}", f) for n, f in moves())):
        print(f"{name}: {len(files)}", *(files if given.names else ()), sep="\n  ")


if __name__ == "__main__":
    main()
