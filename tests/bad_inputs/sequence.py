"""Lengths, batches and tensors."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import torch

import workbench as wb
from workbench.analysis import memory
from workbench.config import Model
from workbench.training import Trainer, evaluate

from .case import CONFIG, DATA, DIGITS, INF, NAN, PARAMETER, SPEC, a, layer, refused, smoke, u, x

STEPS = "a whole number from 1 to 2**63 - 1 is needed"


def packed_twice(_: Path) -> object:
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [5, 4, 3, 2])
    return layer()(packed, lengths=[5, 4, 3, 2])


def train_on_a_nan(_: Path) -> None:
    """Three good batches, then one whose row 7 is NaN at step 12."""
    trainer = Trainer(DIGITS, 0)
    for _step in range(3):
        trainer.advance()
    bad = trainer.task.batch(3)
    bad.x[12, 7, 0] = NAN
    with patch.object(trainer.task, "batch", lambda _step: bad):
        trainer.advance()


def train_on_infinity(_: Path) -> None:
    trainer = Trainer(DIGITS, 0)
    bad = trainer.task.batch(0)
    bad.x[3, 1, 0] = -INF
    with patch.object(trainer.task, "batch", lambda _step: bad):
        trainer.advance()


def norm_of_one_value_a_step(_: Path) -> object:
    model = Model(kind="plain", norm="after", norm_over="step", hidden=2)
    return wb.build(model, SPEC).train()(torch.zeros(5, 1, 2))


def norm_of_one_value(_: Path) -> object:
    model = Model(kind="plain", norm="after", hidden=2)
    return wb.build(model, SPEC).train()(torch.zeros(1, 1, 2))


# fmt: off
CASES = [
    *refused("Sequence", "python", PARAMETER,
        ("no time step", lambda _: wb.recur(a[:0], u), ("a: shape (0, 2, 3)", "T must be at least 1")),
        ("no time step in a layer", lambda _: layer()(x[:0]), ("x: 0 steps", "at least 1")),
        ("a first state of another batch", lambda _: layer()(x, torch.zeros(1, 3, 3)), ("h0: shape (1, 3, 3)", "(1, 4, 3)")),
        ("four dimensions", lambda _: wb.recur(a[None], u), ("a: shape (1, 5, 2, 3)", "(T, B, N)")),
        ("four dimensions in a layer", lambda _: layer()(x[None]), ("x: shape (1, 5, 4, 2)", "(T, B, 2) or (T, 2)")),
        ("one dimension in a layer", lambda _: layer()(x[0, 0]), ("x: shape (2,)", "(T, B, 2) or (T, 2)")),
        ("a list in place of a tensor", lambda _: layer()([[0.0, 1.0]]), ("x: list", "(T, B, 2)")),
        ("an array in place of a tensor", lambda _: wb.recur(a.numpy(), u), ("a: ndarray", "tensor of shape (T, B, N)")),
        ("whole numbers", lambda _: wb.recur(a.int(), u.int()), ("a: dtype torch.int32", "floating-point")),
        ("whole numbers in a layer", lambda _: layer()(x.int()), ("x: dtype torch.int32", "torch.float32")),
        ("float64 in a float32 layer", lambda _: layer()(x.double()), ("x: dtype torch.float64", "torch.float32")),
        ("float64 beside float32", lambda _: wb.recur(a, u.double()), ("u: torch.float64", "torch.float32")),
        ("another device", lambda _: wb.recur(a, u.to("meta")), ("u: ", "meta", "cpu", "agree")),
        ("another device than the layer's", lambda _: layer()(x.to("meta")), ("x: on meta", "the layer is on cpu")),
        ("a wrong feature size", lambda _: layer()(torch.zeros(5, 4, 7)), ("x: 7 features", "input_size is 2")),
        ("a u of the wrong size", lambda _: wb.recur(a, u[:2]), ("u: shape (2,)", "(3,) is needed")),
        ("no u", lambda _: wb.recur(a, None), ("u: NoneType", "(3,) is needed")),
        ("a first state of the wrong size", lambda _: wb.recur(a, u, a[0, :1]), ("h0: shape (1, 3)", "(2, 3) is needed")),
        ("a first state of a layer as list", lambda _: layer()(x, [0]), ("h0: list", "a tensor of shape (1, 4, 3), or None")),
        ("a first state of the wrong depth", lambda _: layer()(x, torch.zeros(2, 4, 3)), ("h0: shape (2, 4, 3)", "(1, 4, 3)")),
        ("a length of 0", lambda _: layer()(x, lengths=[0, 1, 2, 3]), ("lengths: 0", "1...5")),
        ("a length of -1", lambda _: layer()(x, lengths=[1, -1, 2, 3]), ("lengths: -1", "1...5")),
        ("a length over T", lambda _: layer()(x, lengths=[6, 1, 2, 3]), ("lengths: 6", "1...5")),
        ("too few lengths", lambda _: layer()(x, lengths=[1, 2]), ("lengths: ", "(2,)", "4 whole numbers")),
        ("a length of 1.5", lambda _: layer()(x, lengths=[1.5, 1, 2, 3]), ("lengths: torch.float32", "4 whole numbers")),
        ("a length of thirty digits", lambda _: layer()(x, lengths=[10**30, 1, 2, 3]), ("lengths: [1000", "4 whole numbers")),
        ("lengths as text", lambda _: layer()(x, lengths="5432"), ("lengths: '5432'", "4 whole numbers")),
        ("lengths of unequal shape", lambda _: layer()(x, lengths=[[1], [1, 2]]), ("lengths: [[1], [1, 2]]", "4 whole")),
        ("lengths beside a packed sequence", packed_twice, ("lengths: ", "PackedSequence", "one or the other")),
        ("a bound over 0 steps", lambda _: wb.bound(0), ("steps: 0", STEPS)),
        ("a bound over -1 steps", lambda _: wb.bound(-1), ("steps: -1", STEPS)),
        ("a bound over 2.5 steps", lambda _: wb.bound(2.5), ("steps: 2.5", STEPS)),
        ("a bound over True steps", lambda _: wb.bound(True), ("steps: True", STEPS)),
        ("a bound over 10**400 steps", lambda _: wb.bound(10**400), ("steps: 1000", STEPS)),
        ("an impulse of 0 steps", lambda _: memory.impulse_response(0.9, 0), ("steps: 0", STEPS)),
        ("a batch norm over single steps that sees one value", norm_of_one_value_a_step, ("batch: 1 sequence", "at least 2")),
        ("a batch norm that sees one value", norm_of_one_value, ("batch: ", "(1, 1, 2)", "at least 2")),
        ("a task of length 0", lambda _: CONFIG.set({"task.length": 0}), ("task.length: 0", "equal to 2")),
        ("a task of length -5", lambda _: CONFIG.set({"task.length": -5}), ("task.length: -5", "equal to 2")),
        ("a task of length 10**9", lambda _: CONFIG.set({"task.length": 10**9}), ("task.length: 1000000000", "100000000")),
    ),
    *refused("Sequence", "python", DATA,
        ("a NaN in a training batch", train_on_a_nan, ("batch 3, row 7, step 12", "non-finite")),
        ("an infinity in a training batch", train_on_infinity, ("batch 0, row 1, step 3", "non-finite")),
        ("an empty split", lambda _: evaluate.score(layer(), [], "class"), ("score: no examples", "split is empty"))),
    *refused("Sequence", "cli", PARAMETER,
        ("a length of 1 on the command line", smoke("--set", "task.length=1"), ("task.length: 1", "equal to 2")),
        ("a length of 10**9 on the command line", smoke("--set", "task.length=1000000000"), ("task.length: 1000000000", "100000000")),
    ),
]
# fmt: on
