"""The nets among which an explorer lets its reader choose."""

from __future__ import annotations

from typing import get_args

from ... import paper
from ...config import Config, Kind
from ...models.build import without_values
from ...models.layer import Unit, recurrences
from ...tasks import spec
from . import own_records
from .trained_nets import find

MNIST = ("seqmnist_plain6_cycle", "seqmnist_plain6")  # the better net first


def experiments(*kinds: str, steps: int = 1000, opened: bool = False) -> dict[str, str]:
    """Name -> title of experiments with these kinds of net whose records have weights, those always at hand first.

    Kinds that were added to those of the paper are among them if they have u; `opened`, if all of it is in our layers.
    Behind them those of one's own sequences.
    """
    first = ["seqdigits_plain6", "adding_indrnn_T100", *MNIST]
    names = [*first, *(name for name in paper.EXPERIMENTS if name not in first)]
    shown = {}
    for name in names:
        known = paper.EXPERIMENTS[name]
        task = known.config.task
        model, seen = known.config.model, spec(task)
        fits = model.kind in kinds
        if model.kind not in get_args(Kind) and model.has_u:
            fits = not opened or _opened(known.config)
        fits = fits and seen.target != "token" and task.name != "skeletons" and seen.steps <= steps
        if fits and (name == first[0] or find(known.config, 0) is not None):
            shown[name] = known.title
    own = own_records.look_again()
    return shown | {n: title for n, title in own_records.titles().items() if not opened or _opened(own[n].config)}


def _opened(config: Config) -> bool:
    layers = [found.layer for found in recurrences(without_values(config.model, spec(config.task))).values()]
    return all(isinstance(layer, Unit) for layer in layers)
