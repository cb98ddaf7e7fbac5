"""The recipe for sequences of one's own: a net, and its training by one cycle, from what the data are.

Its numbers were chosen on the training part of Japanese Vowels alone, in results/japanese_vowels_choice.csv.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import Config, Model, Train
from ..config.model import FIELDS
from ..errors import ParameterError, quoted, whole
from ..tasks import sequences
from ..tasks.sequences import Sequences, split

BATCH, EPOCHS = 16, 20  # passes through the training sequences
PATIENCE: int | None = None  # in passes; with 20 of 40, 5 more of 270 sequences were wrong
NET: dict[str, Any] = {"hidden": 64, "depth": 2, "dropout": 0.3, "gamma": 2.0, "norm": "after"}  # what a kind has of it
KIND, LR = "bidirectional", 4e-3
CYCLE: dict[str, Any] = {
    "schedule": "one_cycle",
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "clip_norm": 1.0,
    "clip": None,
}
U_LR = 0.1  # a recurrent weight near 1 is the most sensitive of all


def recipe(
    task: Sequences,
    learnt: int,
    held: int,
    fewest: int,
    *,
    kind: str = KIND,
    net: Mapping[str, Any] | None = None,
    lr: float = LR,
    batch: int = BATCH,
    epochs: int = EPOCHS,
    patience: int | None = PATIENCE,
) -> Config:
    """The config of a task with `learnt` training sequences and `held` ones held out to choose by.

    No batch is more than `fewest`, which a seed that draws whole groups may leave to learn from (`split.counts`).
    `net` has the fields of the model that differ from `NET`. `patience`: passes through the data in a row without a
    lower loss on what is held out, after which training ends and the weights of the lowest loss count; None: the last
    weights of the whole cycle.
    """
    for name, value in (("epochs", epochs), ("batch", batch), ("patience", 1 if patience is None else patience)):
        whole(name, value)
    if patience is not None and not held:
        raise ParameterError(f"patience: {patience} received; nothing is held out to watch, valid is {task.valid}")
    known = {*FIELDS[Model(kind=kind).kind], "dropout"}
    model = Model(kind=kind, **{name: value for name, value in NET.items() if name in known} | dict(net or {}))
    batch = min(batch, fewest)
    each = -(-learnt // batch)
    steps = epochs * each
    train = CYCLE | {"lr": lr, "batch": batch, "steps": steps, "bn_statistics": "running"}
    train |= {"u_lr": U_LR} if model.has_u else {}
    train |= {"evaluate_every": each, "early_stop": patience} if held else {"evaluate_every": steps + 1}
    return Config(task=task, model=model, train=Train(**train))


def of_file(path: str, changes: Mapping[str, Any]) -> Config:
    """The recipe for a file or folder of sequences, with fields changed by path."""
    if "task.path" in changes:
        raise ParameterError(f"task.path: {quoted(changes['task.path'])} received; {quoted(path)} is run; leave it out")
    own = {name.removeprefix("task."): value for name, value in changes.items() if name.startswith("task.")}
    try:
        task = Sequences(**{"name": "sequences", "path": path, **own})
    except ParameterError as error:
        raise ParameterError(f"task.{error}") from None
    kind = changes.get("model.kind", KIND)
    made = recipe(task, *split.counts(sequences.found(task), task), kind=kind)
    return made.set(
        {name: value for name, value in changes.items() if not name.startswith("task.") and name != "model.kind"}
    )
