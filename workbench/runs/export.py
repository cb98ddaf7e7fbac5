"""Trained nets taken away: as safetensors, which `wb.pretrained` opens, or as an ONNX model, which needs no Python.

The model reads raw values: the scaler of its data is its first operation. Its inputs are `x` (T, B, inputs) and the
states, zeros to begin with; its outputs `answers` (T, B, outputs), the answer to all read up to each step, and the
states to give it next time. A sequence may be cut anywhere, down to one step. A bidirectional net, which reads from the
end too, has no states, and one answer `answers` (B, outputs) to whole sequences of one length.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from .. import paper
from ..errors import ParameterError, StoreError, quoted
from ..files import check_place, make_folder, publish
from ..models.build import weights_sha256
from ..models.sequence import Streaming
from ..recurrence import onnx
from ..tasks import Scaler, download, spec
from ..training import evaluate
from . import pretrained
from .pretrained import Card, card_of
from .record import Record, records, there

To = Literal["safetensors", "onnx"]
GENERATED, UNKNOWN = "none: the task makes its own data", "that of the data, which the project does not know"
DIGITS = "CC BY 4.0 (UCI optical digits, as scikit-learn has them)"


def exported(names: Sequence[str], to: str, folder: Path, seed: int | None = None) -> Iterator[Path]:
    """Write the trained nets of several names, see `taken` -> their files, each when it is written; none if a name is
    wrong, or if two of them would be one file."""
    if not names:
        raise ParameterError("names: none received; with --to, an experiment of `workbench list` is needed")
    if to not in get_args(To):
        raise ParameterError(f"to: {quoted(to)} received; choose one of {', '.join(get_args(To))}")
    check_place("out", folder)
    nets = [taken(name, seed) for name in names]
    called = [card_of(net).name for net in nets]
    if again := next((name for name in called if called.count(name) > 1), None):
        raise ParameterError(f"names: two nets received that are called {again}; write each into a folder of its own")
    for net in nets:
        yield written(net, to, folder)


def written(net: nn.Module, to: str, folder: Path) -> Path:
    """Write a net into a folder under the name in its card -> the file."""
    path = folder / f"{card_of(net).name}.{to}"
    content = pretrained.packed(net) if to == "safetensors" else onnx_bytes(net)
    make_folder(folder)
    publish(path, content, replace=True)
    return path


def taken(name: str, seed: int | None = None) -> nn.Module:
    """The trained net of a name, with its card, in evaluation mode.

    An id names a run, a *.safetensors file itself, an experiment its record with the best validation score: of one's
    own records, or, where none has weights, what comes with the project. `seed` asks for the record of that seed of an
    experiment.
    """
    by_id = re.fullmatch("[0-9a-f]{16}", name)
    if seed is not None and (by_id or name.endswith(pretrained.SUFFIX)):
        raise ParameterError(f"seed: {seed} received; {quoted(name)} is one net whatever its seed; leave it out")
    if name.endswith(pretrained.SUFFIX):
        return pretrained.pretrained(name)
    if by_id:
        begun = sorted(there(name), key=lambda record: not record.run.checkpoints())
        if not begun:
            raise ParameterError(f"name: there is no run {name}; `workbench list runs` shows them")
        return of_record(begun[0])
    found = _trained(name, seed, own=True)
    if name in pretrained.names() and seed is None and not found:
        return pretrained.pretrained(name)
    found = found or _trained(name, seed, own=False)
    if not found:
        paper.experiment(name)  # or an error that offers the nearest
        of_seed = "" if seed is None else f" under seed {seed}"
        raise StoreError(f"{name}: no trained net of it is here{of_seed}; `workbench run {name}` trains one")
    return of_record(best(found))


def _trained(name: str, seed: int | None, *, own: bool) -> list[Record]:
    """The records of an experiment, and of a seed if one is asked for, that have weights."""
    known = [record for record in records(own=own, of={name}) if record.experiment == name and not record.smoke]
    return [record for record in known if seed in (None, record.seed) and record.run.checkpoints()]


def best(found: Iterable[Record]) -> Record:
    """The record whose newest score on validation is best; one without a score comes last."""

    def error(record: Record) -> float:
        scores = [reached["valid"] for reached in record.budgets if "valid" in reached]
        return evaluate.selection(scores[-1], spec(record.config.task).target) if scores else float("inf")

    return min(found, key=error)


def of_record(record: Record, name: str = "") -> nn.Module:
    """The net of a record that has a checkpoint, with its best weights and its card; StoreError if it has none.

    `name`: by which the card calls it; the experiment's unless given.
    """
    trainer = record.trainer()
    net, task, config = trainer.best_net().eval(), trainer.task, record.config
    scored: dict[str, Any] = next((b for b in record.budgets if b["step"] == trainer.step), {})
    net.card = Card(  # type: ignore[assignment]
        format=1,
        name=re.sub(r"^\W|[^\w .-]", "_", name or record.experiment.removesuffix("*"))[:80],
        model=config.model,
        spec=task.spec,
        scaler=getattr(task, "scaler", None),
        task={  # of a path the file's name alone
            field: Path(value).name if isinstance(value, str) and os.path.isabs(value) else value
            for field, value in config.task.model_dump(mode="json").items()
        },
        train=config.train.model_dump(mode="json", exclude_defaults=True),
        run=record.id,
        seed=record.seed,
        step=trainer.step,
        numerics=record.numerics,
        test=scored.get("test"),
        valid=scored.get("valid"),
        data=record.spec["data"],
        licence=licence(record),
        weights_sha256=weights_sha256(net),
        classes=getattr(task, "classes", ()),
        answer=getattr(task, "answer_scaler", None),
    )
    return net


def licence(record: Record) -> str:
    """The licence of the data that a run learnt from, whatever the run is called."""
    data = record.spec["data"]
    if not data:
        return GENERATED
    if "digits" in data:
        return DIGITS
    known = (known for known in download.SETS.values() if known.name in data or known.files.items() & data.items())
    return next((known.licence for known in known), UNKNOWN)


class Carrying(nn.Module):
    """A net as its ONNX model: raw x (T, B, inputs), the states before -> answers (T, B, outputs), the states after.

    Answers that are numbers are in their own unit. A bidirectional net has no states and answers once, (B, outputs).
    """

    mean: Tensor
    rest: Tensor  # of the mean, what its float32 leaves out: without it raw values far from 0 lose their digits
    scale: Tensor

    def __init__(self, net: Streaming):
        super().__init__()
        self.net = net
        inputs = card_of(net).spec.inputs
        scaler = card_of(net).scaler or Scaler((1.0,) * inputs, (0.0,) * inputs, "")
        scale, shift = (torch.tensor(part, dtype=torch.float64) for part in (scaler.scale, scaler.shift))
        mean = -shift / scale
        for name, part in {"mean": mean, "rest": mean - mean.float(), "scale": scale}.items():
            self.register_buffer(name, part.float())

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        left: list[Tensor] = []
        x = ((x - self.mean) - self.rest) * self.scale
        if self.net.streams:
            h, left = self.net.features(x, list(states), 0)
            out: Tensor = self.net.readout(h)
        else:
            out = self.net(x)
        answer = card_of(self.net).answer
        if answer is not None:
            out = (out - answer.shift[0]) / answer.scale[0]
        return out, *left

    @torch.no_grad()
    def zeros(self, B: int) -> tuple[Tensor, ...]:
        """The states before the first step, none of a net that reads from the end too."""
        if not self.net.streams:
            return ()
        x = torch.zeros(1, B, card_of(self.net).spec.inputs)
        return tuple(map(torch.zeros_like, self.net.features(x, None, 0)[1]))


def onnx_bytes(net: nn.Module) -> bytes:
    """A net with its card as an ONNX model, for any T and B; ParameterError for a kind that the exporter cannot write.

    The card is the model's property `workbench`. Needs the packages onnx and onnxscript.
    """
    card = card_of(net)
    if not isinstance(net, Streaming) or not card.model.has_u or card.spec.target == "token":
        raise ParameterError(
            f"to: 'onnx' received; nets of IndRNN layers that answer once can be written so, {card.name} is "
            f"{card.model.kind!r}, target {card.spec.target!r}; safetensors takes every net"
        )
    carrying = Carrying(net).eval()
    states = carrying.zeros(2)
    count = torch.export.Dim.DYNAMIC
    program = onnx.export(
        carrying,
        (torch.zeros(3, 2, card.spec.inputs), *states),
        input_names=["x", *(f"state_{k}" for k in range(len(states)))],
        output_names=["answers", *(f"next_{k}" for k in range(len(states)))],
        dynamic_shapes={"x": {0: count, 1: count}} | ({"states": tuple({0: count} for _ in states)} if states else {}),
    )
    program.model.metadata_props[pretrained.KEY] = card.text()
    content: bytes = program.model_proto.SerializeToString()
    return content
