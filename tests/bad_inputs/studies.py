"""Comparisons of studies: variants in a notebook's parameter `sweeps`, and the fields that their experiments set."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

import workbench as wb
from workbench import paper
from workbench.analysis import components
from workbench.config import Model, Pixels
from workbench.runs import variants

from .case import ADDING, CONFIG, DIGITS, NAN, PARAMETER, refused, smoke, tiny_run


def lines(*lines: object) -> tuple[str, ...]:
    return ("reproduce", "study_bound", "--budget", "smoke", "-p", f"sweeps={json.dumps(list(lines))}")


def digits(*options: str, kind: str = "plain6") -> tuple[str, ...]:
    return ("run", f"seqdigits_{kind}", "--budget", "smoke", *options)


def one_variant(here: Path) -> wb.Variants:
    """A study of one variant with one run, which is done."""
    (only,) = variants.read([f"a | b | {ADDING} | gamma: 2"])
    return wb.Variants({}, {only: [tiny_run(here)]})


PERMUTED = {"name": "pixels", "permuted": True}
TEXT = paper.experiment("ptbchar_small").config
KINDS = ("kind: 'linear_rnn'", "'plain'", "'lru'", "'mingru'")
# fmt: off
CASES = [
    *refused("Parameters", "notebook", PARAMETER,
        ("a variant of two parts", lines("a | b"), ("sweeps: 'a | b'", "group | name | experiment")),
        ("a variant that is a number", lines(7), ("sweeps: 7", "group | name | experiment")),
        ("a variant without a name", lines("a | | seqdigits_plain6 | gamma: 2"), ("sweeps: ", "a name is needed")),
        ("a variant of a misspelt experiment", lines("a | b | seqdigits_plan6"), ("'seqdigits_plan6'", "did you mean seqdigits_plain6")),
        ("a variant with a misspelt field", lines("a | b | seqdigits_plain6 | depht: 2"), ("'depht': no such field",)),
        ("a variant of no layer", lines("a | b | seqdigits_plain6 | depth: 0"), ("depth: 0", "equal to 1")),
        ("a variant twice", lines("a | b | seqdigits_plain6", "a | b | seqdigits_lstm"), ("group 'a' has a variant 'b' already",)),
        ("no variants", lines(), ("sweeps: []", "at least one line is needed")),
        ("variants that are a number", ("reproduce", "study_bound", "-p", "sweeps=3"), ("sweeps: 3", "type list")),
        ("variants that are one text", ("reproduce", "study_bound", "-p", "sweeps=a | b | seqdigits_plain6"), ("sweeps: ", "type list")),
    ),
    *refused("Parameters", "python", PARAMETER,
        ("a group of variants that is none", lambda here: one_variant(here)["x"], ("group: 'x'", "choose one of a"), {"run": "done"}),
        ("a reference that is no variant", lambda here: one_variant(here).against("c", "test MSE"), ("reference: no variant 'c'", "choose one of b"), {"run": "done"}),
        ("a measure that is none", lambda here: one_variant(here).table("accuracy"), ("measure: 'accuracy'", "last, highest or lowest COLUMN"), {"run": "done"}),
        ("a measure of no column", lambda here: one_variant(here).table("last accuracy"), ("measure: 'accuracy' is no column", "choose one of"), {"run": "done"}),
        ("a measure against no number", lambda here: one_variant(here).table("first step valid_mse < ..1"), ("measure: 'first step valid_mse < ..1'", "first step COLUMN < number"), {"run": "done"}),
        ("a spread of one row", lambda _: components.components(pd.DataFrame([[1.0, 2.0, 3.0]]), "a", "b"), ("table: shape (1, 3)", "at least 2 rows and 2 columns")),
        ("a spread with a gap", lambda _: components.components(pd.DataFrame([[1.0, 2.0], [NAN, 3.0]]), "a", "b"), ("table: shape (2, 2)", "without gaps")),
    ),
    *refused("Training", "python", PARAMETER,
        ("a kind of net that is not known", lambda _: Model(kind="linear_rnn"), KINDS),
        ("a linear unit with batch norm", lambda _: Model(kind="lru", norm="after"), ("norm has no meaning for kind 'lru'", "leave it out")),
        ("a linear unit with a bound", lambda _: Model(kind="lru", gamma=2.0), ("gamma has no meaning for kind 'lru'", "leave it out")),
        ("a linear unit with heads", lambda _: Model(kind="lru", heads=2), ("heads has no meaning for kind 'lru'", "leave it out")),
        ("a linear unit with an activation", lambda _: Model(kind="lru", activation="tanh"), ("activation has no meaning for kind 'lru'",)),
        ("a linear unit of no state", lambda _: Model(kind="lru", hidden=0), ("hidden: 0", "equal to 1")),
        ("a minimal unit that grows", lambda _: Model(kind="mingru", growth=4), ("growth has no meaning for kind 'mingru'",)),
        ("a minimal unit of no layer", lambda _: Model(kind="mingru", depth=0), ("depth: 0", "equal to 1")),
        ("an order of pixels that is not permuted", lambda _: DIGITS.set({"task.permutation": 3}), ("permutation has no meaning where nothing is permuted", "leave it out")),
        ("an order of pixels of seed -1", lambda _: Pixels(**PERMUTED, permutation=-1), ("permutation: -1", "greater than or equal to 0")),
        ("an order of pixels of seed 1.5", lambda _: Pixels(**PERMUTED, permutation=1.5), ("permutation: 1.5", "integer")),
        ("an order of pixels of seed True", lambda _: Pixels(**PERMUTED, permutation=True), ("permutation: True", "integer")),
        ("an order of pixels of seed 2**63", lambda _: Pixels(**PERMUTED, permutation=2**63), ("permutation: 9223372036854775808", "less than")),
        ("sums filled up with the first images", lambda _: CONFIG.set({"train.wrap_test": True}), ("train.wrap_test has no meaning for task 'adding'", "leave it out")),
        ("a text filled up with the first images", lambda _: TEXT.set({"train.wrap_test": True}), ("train.wrap_test has no meaning for task 'treebank'",)),
        ("a fault switched on by a word", lambda _: DIGITS.set({"train.wrap_test": "yes"}), ("train.wrap_test: 'yes'", "boolean")),
        ("layers watched by a number", lambda _: DIGITS.set({"train.watch_layers": 1}), ("train.watch_layers: 1", "boolean")),
    ),
    *refused("Training", "cli", PARAMETER,
        ("a start of u that is none", digits("--set", "model.start=zero"), ("model.start: 'zero'", "'uniform'", "'near_one'")),
        ("a start of u for a net without u", digits("--set", "model.start=mixed", kind="lstm"), ("start has no meaning for kind 'lstm'", "leave it out")),
        ("a mask over another thing", digits("--set", "model.dropout_over=time"), ("model.dropout_over: 'time'", "'sequence' or 'step'")),
        ("a mask where nothing is dropped", smoke("--set", "model.dropout_over=step"), ("dropout_over has no meaning where nothing is dropped",)),
        ("gradients watched by a number", digits("--set", "train.watch_gradient=1"), ("train.watch_gradient: 1", "boolean")),
        ("an order of pixels of seed -1, on the command line", ("run", "permdigits_plain6", "--budget", "smoke", "--set", "task.permutation=-1"), ("task.permutation: -1", "equal to 0")),
        ("a linear unit with batch norm, on the command line", digits("--set", "model.norm=after", kind="lru"), ("norm has no meaning for kind 'lru'",)),
    ),
]
# fmt: on
