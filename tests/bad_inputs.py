"""What must be refused: one table of bad inputs, each with its door, its exit code and what its one line must say.

A door is where the value comes in: `python` (a call), `cli` (a command line), `notebook` (parameters of a notebook),
`file` (something on disk). `files` lie in an empty folder, `{here}` in texts; `begun` and `done` put a small run into
the store first and `damage` harms its folder. To add a case: a line here.
"""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import math
import os
import shutil
import wave
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import torch

import workbench as wb
from workbench import adopt, analysis, batch, evaluate, execute, notebook, paper, places, store, tables, tasks
from workbench.chance import check_seed
from workbench.config import Config, Model
from workbench.tasks import download, pixels, skeletons, speech, treebank
from workbench.tasks.skeletons import archive, names
from workbench.train import Trainer

PARAMETER, DATA, STORE = 2, 3, 4  # the exit codes


@dataclass(frozen=True)
class Link:
    """A symbolic link, in `files`; its own name makes a loop."""

    to: str


@dataclass(frozen=True)
class Case:
    id: str
    section: Literal["Sizes", "Sequence", "Training", "Parameters", "Data", "Store"]
    door: Literal["python", "cli", "notebook", "file"]
    call: Callable[[Path], object] | tuple[str, ...]  # a function of the folder, or a command line
    code: int
    says: tuple[str, ...]  # fragments of the one line: the name, the value, what is allowed
    files: Mapping[str, str | bytes | Link | None] = field(default_factory=dict)  # None: a folder
    env: Mapping[str, str] = field(default_factory=dict)
    run: Literal["", "begun", "done"] = ""
    damage: Callable[[Path], object] | None = None
    skip: bool = False


ADDING = "adding_indrnn_T100"
TINY = {"task.length": 4, "model.hidden": 4, "train.batch": 2, "train.steps": 2, "train.evaluate_every": 1}
CONFIG = paper.experiment(ADDING).config
DIGITS = paper.experiment("seqdigits_plain6").at("smoke")[0]
SPEC = tasks.spec(CONFIG.task)
CUDA = torch.cuda.is_available()
NAN, INF = math.nan, math.inf
a, u, x = torch.zeros(5, 2, 3), torch.zeros(3), torch.zeros(5, 4, 2)


def layer(**options: Any) -> wb.IndRNN:
    """A layer of 2 inputs and 3 neurons, its options those of a case."""
    return wb.IndRNN(**{"input_size": 2, "hidden_size": 3, **options})


def tiny_run(_: Path) -> wb.Record:
    return wb.run(ADDING, "smoke", changes=TINY, progress=False)


def smoke(*options: str) -> tuple[str, ...]:
    return ("run", ADDING, "--budget", "smoke", *options)


def refused(section: str, door: str, code: int, *rows: tuple[Any, ...], **shared: Any) -> list[Case]:
    """Cases that share section, door and exit code; a row is id, call, fragments and, if any, more fields."""
    return [
        Case(id=r[0], section=section, door=door, call=r[1], code=code, says=r[2], **shared, **(r[3] if r[3:] else {}))
        for r in rows
    ]


# --- sizes ---

WHOLE = "a whole number from 1 to 2**31 - 1 is needed"
# fmt: off
SIZES = [
    *refused(
        "Sizes",
        "python",
        PARAMETER,
        ("hidden size 0", lambda _: layer(hidden_size=0), ("hidden_size: 0", WHOLE)),
        ("hidden size -1", lambda _: layer(hidden_size=-1), ("hidden_size: -1", WHOLE)),
        ("hidden size 2.5", lambda _: layer(hidden_size=2.5), ("hidden_size: 2.5", WHOLE)),
        ("hidden size True", lambda _: layer(hidden_size=True), ("hidden_size: True", WHOLE)),
        ("hidden size of thirty digits", lambda _: layer(hidden_size=10**30), ("hidden_size: 1000", WHOLE)),
        ("hidden size None", lambda _: layer(hidden_size=None), ("hidden_size: None", WHOLE)),
        ("input size 0", lambda _: layer(input_size=0), ("input_size: 0", WHOLE)),
        ("input size as text", lambda _: layer(input_size="2"), ("input_size: '2'", WHOLE)),
        ("depth 0", lambda _: layer(num_layers=0), ("num_layers: 0", WHOLE)),
        ("depth -1", lambda _: layer(num_layers=-1), ("num_layers: -1", WHOLE)),
        ("dropout below 0", lambda _: layer(dropout=-0.1), ("dropout: -0.1", "[0, 1)")),
        ("dropout 1", lambda _: layer(dropout=1.0), ("dropout: 1.0", "[0, 1)")),
        ("dropout NaN", lambda _: layer(dropout=NAN), ("dropout: nan", "[0, 1)")),
        ("dropout as text", lambda _: layer(dropout="0.5"), ("dropout: '0.5'", "[0, 1)")),
        ("bound 0", lambda _: layer(bound=0), ("bound: 0", "finite number above 0")),
        ("bound -1", lambda _: layer(bound=-1.0), ("bound: -1.0", "finite number above 0")),
        ("bound NaN", lambda _: layer(bound=NAN), ("bound: nan", "finite number above 0")),
        ("bound infinite", lambda _: layer(bound=INF), ("bound: inf", "finite number above 0")),
        ("bound True", lambda _: layer(bound=True), ("bound: True", "finite number above 0")),
        ("bound as text", lambda _: layer(bound="1"), ("bound: '1'", "finite number above 0")),
        ("activation of a layer unknown", lambda _: layer(activation="gelu"), ("activation: 'gelu'", "leaky_relu, relu, tanh")),
        ("activation of a layer as list", lambda _: layer(activation=["relu"]), ("activation: ['relu']", "choose one of")),
        ("engine of a layer unknown", lambda _: layer(backend="warp"), ("backend: 'warp'", "auto", "loop")),
        ("device of a layer unknown", lambda _: layer(device="tpu"), ("device: 'tpu'", "cpu, cuda")),
        ("device cuda where there is none", lambda _: layer(device="cuda"), ("device: 'cuda'", "cannot be used here"), {"skip": CUDA}),
        ("dtype of whole numbers", lambda _: layer(dtype=torch.int32), ("dtype: torch.int32", "floating-point")),
        ("dtype complex", lambda _: layer(dtype=torch.complex64), ("dtype: torch.complex64", "floating-point")),
        ("dtype as text", lambda _: layer(dtype="float32"), ("dtype: 'float32'", "torch.dtype")),
        ("activation unknown", lambda _: wb.recur(a, u, activation="gelu"), ("activation: 'gelu'", "identity")),
        ("engine unknown", lambda _: wb.recur(a, u, backend="warp"), ("backend: 'warp'", "auto, cpu, loop")),
        ("engine as list", lambda _: wb.recur(a, u, backend=[]), ("backend: []", "choose one of")),
        ("engine that cannot run here", lambda _: wb.recur(a, u, backend="triton"), ("backend: 'triton'", "no CUDA device"), {"skip": CUDA}),
        ("gradient bound 0", lambda _: wb.bound(10, 0), ("gamma: 0", "finite number above 0")),
        ("gradient bound negative", lambda _: wb.bound(10, -2.0), ("gamma: -2.0", "finite number above 0")),
        ("gradient bound NaN", lambda _: wb.bound(10, NAN), ("gamma: nan", "finite number above 0")),
        ("gradient bound infinite", lambda _: wb.bound(10, INF), ("gamma: inf", "finite number above 0")),
        ("gradient bound of 400 digits", lambda _: wb.bound(10, 10**400), ("gamma: 1000", "finite number above 0")),
        ("model as dictionary", lambda _: wb.build({"kind": "plain"}, SPEC), ("model: {'kind': 'plain'}", "a Model")),
        ("config in place of its model", lambda _: wb.build(CONFIG, SPEC), ("model: ", "a Model, such as config.model")),
        ("spec as numbers", lambda _: wb.build(CONFIG.model, (2, 1)), ("spec: (2, 1)", "a Spec")),
        ("seed in place of a generator", lambda _: wb.build(CONFIG.model, SPEC, 3), ("generator: 3", "torch.Generator")),
        ("model made with hidden 0", lambda _: Model(kind="plain", hidden=0), ("hidden: 0", "greater than or equal to 1")),
        ("model with two faults", lambda _: Model(kind="mamba", hidden=0), ("kind: 'mamba'", "plain", "lstm")),
        ("config field hidden 0", lambda _: CONFIG.set({"model.hidden": 0}), ("model.hidden: 0", "equal to 1")),
        ("config field hidden 2**31", lambda _: CONFIG.set({"model.hidden": 2**31}), ("model.hidden: 2147483648", "2147483647")),
        ("config field hidden True", lambda _: CONFIG.set({"model.hidden": True}), ("model.hidden: True", "integer")),
        ("config field hidden 2.5", lambda _: CONFIG.set({"model.hidden": 2.5}), ("model.hidden: 2.5", "integer")),
        ("config field depth -1", lambda _: CONFIG.set({"model.depth": -1}), ("model.depth: -1", "equal to 1")),
        ("config field depth 1001", lambda _: CONFIG.set({"model.depth": 1001}), ("model.depth: 1001", "1000")),
        ("config field dropout 1", lambda _: CONFIG.set({"model.dropout": 1.0}), ("model.dropout: 1.0", "less than 1")),
        ("config field dropout NaN", lambda _: CONFIG.set({"model.dropout": NAN}), ("model.dropout: nan", "finite")),
        ("config field gamma 0.5", lambda _: CONFIG.set({"model.gamma": 0.5}), ("model.gamma: 0.5", "equal to 1")),
        ("config field gamma infinite", lambda _: CONFIG.set({"model.gamma": INF}), ("model.gamma: inf", "finite")),
        ("heads that do not divide the width", lambda _: Model(kind="transformer", hidden=10), ("heads: 4", "a divisor of hidden 10")),
        ("gamma for a net without u", lambda _: CONFIG.set({"model.kind": "lstm"}), ("model.gamma has no meaning", "'lstm'", "leave it out")),
    ),
    *refused(
        "Sizes",
        "cli",
        PARAMETER,
        ("hidden 0 on the command line", smoke("--set", "model.hidden=0"), ("model.hidden: 0", "equal to 1")),
        ("hidden 2.5 on the command line", smoke("--set", "model.hidden=2.5"), ("model.hidden: 2.5", "integer")),
        ("hidden true on the command line", smoke("--set", "model.hidden=true"), ("model.hidden: True", "integer")),
        ("depth -1 on the command line", smoke("--set", "model.depth=-1"), ("model.depth: -1", "equal to 1")),
        ("dropout 1 on the command line", smoke("--set", "model.dropout=1"), ("model.dropout: 1", "less than 1")),
        ("activation unknown on the command line", smoke("--set", "model.activation=gelu"), ("model.activation: 'gelu'", "'relu'")),
        ("model unknown on the command line", smoke("--set", "model.kind=mamba"), ("model.kind: 'mamba'", "'plain'")),
        ("engine unknown on the command line", smoke("--backend", "warp"), ("backend: 'warp'", "auto")),
        ("device unknown on the command line", smoke("--device", "tpu"), ("device: 'tpu'", "auto, cpu, cuda")),
        ("cuda on the command line where there is none", smoke("--device", "cuda"), ("device: 'cuda'", "cpu"), {"skip": CUDA}),
        ("threads 0", smoke("--threads", "0"), ("threads: 0", "1 to 1024")),
        ("threads that are no number", smoke("--threads", "two"), ("threads: 'two'", "1 to 1024")),
    ),
]
# fmt: on

# --- sequences ---

STEPS = "a whole number of at least 1 is needed"


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


def norm_of_one_value(_: Path) -> object:
    model = Model(kind="plain", norm="after", hidden=2)
    return wb.build(model, SPEC).train()(torch.zeros(1, 1, 2))


# fmt: off
SEQUENCES = [
    *refused(
        "Sequence",
        "python",
        PARAMETER,
        ("no time step", lambda _: wb.recur(a[:0], u), ("a: shape (0, 2, 3)", "T must be at least 1")),
        ("no time step in a layer", lambda _: layer()(x[:0]), ("x: 0 steps", "at least 1 of each")),
        ("an empty batch", lambda _: layer()(x[:, :0]), ("x: 5 steps of 0 sequences", "at least 1 of each")),
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
        ("a first state of a layer as list", lambda _: layer()(x, [0]), ("h0: list", "a tensor, or None")),
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
        ("an impulse of 0 steps", lambda _: analysis.impulse_response(0.9, 0), ("steps: 0", STEPS)),
        ("a batch norm that sees one value", norm_of_one_value, ("batch: ", "(1, 1, 2)", "at least 2")),
        ("a task of length 0", lambda _: CONFIG.set({"task.length": 0}), ("task.length: 0", "equal to 2")),
        ("a task of length -5", lambda _: CONFIG.set({"task.length": -5}), ("task.length: -5", "equal to 2")),
        ("a task of length 10**9", lambda _: CONFIG.set({"task.length": 10**9}), ("task.length: 1000000000", "100000000")),
    ),
    *refused("Sequence", "python", DATA, ("a NaN in a training batch", train_on_a_nan, ("batch 3, row 7, step 12", "non-finite")), ("an empty split", lambda _: evaluate.score(layer(), [], "class"), ("score: no examples", "split is empty"))),
    *refused("Sequence", "cli", PARAMETER, ("a length of 1 on the command line", smoke("--set", "task.length=1"), ("task.length: 1", "equal to 2"))),
]
# fmt: on

# --- training ---

SEED = "a whole number from 0 to 2**63 - 1 is needed"


def run(**options: Any) -> Callable[[Path], object]:
    return lambda _: wb.run(**{"experiment": ADDING, "budget": "smoke", "changes": TINY, "progress": False, **options})


def reproduce(*targets: str, **options: Any) -> Callable[[Path], object]:
    return lambda _: batch.reproduce(targets or (ADDING,), **{"budget": "smoke", "say": print, **options})


# fmt: off
TRAINING = [
    *refused(
        "Training",
        "python",
        PARAMETER,
        ("learning rate 0", lambda _: CONFIG.set({"train.lr": 0.0}), ("train.lr: 0.0", "greater than 0")),
        ("learning rate negative", lambda _: CONFIG.set({"train.lr": -1e-3}), ("train.lr: -0.001", "greater than 0")),
        ("learning rate NaN", lambda _: CONFIG.set({"train.lr": NAN}), ("train.lr: nan", "finite")),
        ("learning rate 11", lambda _: CONFIG.set({"train.lr": 11.0}), ("train.lr: 11.0", "10")),
        ("batch 0", lambda _: CONFIG.set({"train.batch": 0}), ("train.batch: 0", "equal to 1")),
        ("clip -0.5", lambda _: CONFIG.set({"train.clip": -0.5}), ("train.clip: -0.5", "greater than 0")),
        ("factor 1", lambda _: CONFIG.set({"train.factor": 1.0}), ("train.factor: 1.0", "less than 1")),
        ("two schedules", lambda _: CONFIG.set({"train.patience": 3}), ("train.patience and drop_every", "give one")),
        ("seed -1", lambda _: check_seed(-1), ("seed: -1", SEED)),
        ("seed 2**63", lambda _: check_seed(2**63), ("seed: 9223372036854775808", SEED)),
        ("seed 2**64", run(seed=2**64), ("seed: 18446744073709551616", SEED)),
        ("seed 1.7", run(seed=1.7), ("seed: 1.7", SEED)),
        ("seed True", run(seed=True), ("seed: True", SEED)),
        ("seed None", run(seed=None), ("seed: None", SEED)),
        ("seed of 5,000 digits", run(seed=10**5000), ("seed: ", SEED)),
        ("threads -1", run(threads=-1), ("threads: -1", "1 to 1024")),
        ("threads True", run(threads=True), ("threads: True", "1 to 1024")),
        ("time limit negative", run(time_limit=-1), ("time_limit: -1", "above 0")),
        ("time limit NaN", run(time_limit=NAN), ("time_limit: nan", "above 0")),
        ("time limit as text", run(time_limit="8m"), ("time_limit: '8m'", "above 0")),
        ("a last step of 0", run(until=0), ("until: 0", "at least 1")),
        ("a watcher that is no function", run(watch=3), ("watch: 3", "a function")),
        ("a device unknown", run(device="tpu"), ("device: 'tpu'", "auto, cpu, cuda")),
        ("a device as list", run(device=["cpu"]), ("device: ['cpu']", "auto, cpu, cuda")),
        ("an engine as list", run(backend=["cpu"]), ("backend: ['cpu']", "auto")),
        ("smoke of a config of one's own", run(experiment=CONFIG), ("budget: smoke", "named experiment")),
    ),
    *refused(
        "Training",
        "cli",
        PARAMETER,
        ("steps 0", smoke("--set", "train.steps=0"), ("train.steps: 0", "equal to 1")),
        ("steps -5", smoke("--set", "train.steps=-5"), ("train.steps: -5", "equal to 1")),
        ("clip 0", smoke("--set", "train.clip=0"), ("train.clip: 0", "greater than 0")),
        ("batch larger than the split", ("run", "seqdigits_plain6", "--set", "train.batch=5000"), ("train.batch: 5000", "1293 training examples")),
        ("batch larger than a limited split", ("run", "seqdigits_plain6", "--budget", "smoke", "--set", "train.batch=65"), ("train.batch: 65", "64 training examples")),
        ("seed -1 on the command line", smoke("--seed", "-1"), ("seed: -1", SEED)),
        ("seed 2**64 on the command line", smoke("--seed", str(2**64)), ("seed: 18446744073709551616", SEED)),
        ("seed 1.7 on the command line", smoke("--seed", "1.7"), ("seed: 1.7", SEED)),
        ("seed true on the command line", smoke("--seed", "true"), ("seed: True", SEED)),
        ("seed of 5,000 digits on the command line", smoke("--seed", "9" * 5000), ("seed: '999", SEED)),
        ("time limit abc", smoke("--time-limit", "abc"), ("time-limit: 'abc'", "90s, 8m or 2h")),
        ("time limit empty", smoke("--time-limit", ""), ("time-limit: ''", "90s, 8m or 2h")),
        ("time limit 0", smoke("--time-limit", "0"), ("time-limit: '0'", "90s, 8m or 2h")),
        ("time limit nan", smoke("--time-limit", "nan"), ("time-limit: 'nan'", "90s, 8m or 2h")),
        ("time limit 1_0m", smoke("--time-limit", "1_0m"), ("time-limit: '1_0m'", "90s, 8m or 2h")),
        ("time limit of 400 digits", smoke("--time-limit", "9" * 400), ("time-limit: '999", "90s, 8m or 2h")),
        ("seeds 0", ("reproduce", ADDING, "--seeds", "0"), ("seeds: 0", "1 to 1000")),
        ("seeds that are no number", ("reproduce", ADDING, "--seeds", "x"), ("--seeds", "integer")),
        ("workers 0", ("reproduce", ADDING, "--workers", "0"), ("workers: 0", "1 to 1024")),
        ("workers -1", ("reproduce", ADDING, "--workers", "-1"), ("workers: -1", "1 to 1024")),
        ("device unknown for many runs", ("reproduce", ADDING, "--device", "tpu"), ("device: 'tpu'", "auto, cpu, cuda")),
        ("cuda for many runs where there is none", ("reproduce", ADDING, "--device", "cuda"), ("device: 'cuda'", "choose cpu"), {"skip": CUDA}),
    ),
]
# fmt: on

# --- many runs ---

ADDRESS = "tls://HOST:PORT or tcp://127.0.0.1:PORT is needed"


def grid(*pairs: str, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A sweep over these fields."""
    return ("sweep", ADDING, *(part for pair in pairs for part in ("--grid", pair)), "--budget", "smoke", *more)


def placed(*options: str) -> tuple[str, ...]:
    return ("reproduce", ADDING, "--budget", "smoke", *options)


# fmt: off
MANY = [
    *refused(
        "Parameters",
        "cli",
        PARAMETER,
        ("sweep of an unknown experiment", ("sweep", "ading", "--grid", "depth=2"), ("experiment: 'ading'", "choose one of")),
        ("grid without values", grid("depth"), ("grid: 'depth'", "key=a,b,c is needed")),
        ("grid with an empty value", grid("depth=2,"), ("grid: 'depth=2,'", "key=a,b,c is needed")),
        ("grid without a name", grid("=2,4"), ("grid: '=2,4'", "key=a,b,c is needed")),
        ("grid with a value twice", grid("depth=2,2"), ("grid: 'depth=2,2'", "twice")),
        ("grid with a field twice", grid("depth=2", "model.depth=4"), ("grid: model.depth given twice",)),
        ("grid over an unknown field", grid("dept=2"), ("grid: 'dept'", "no such field", "model.depth")),
        ("grid over the name of the task", grid("name=2"), ("task.name: no such field",)),
        ("grid with a depth of 0", grid("depth=2,0"), ("model.depth: 0", "equal to 1")),
        ("grid with a word for a number", grid("depth=deep"), ("model.depth: 'deep'", "integer")),
        ("grid of a million runs", grid(f"depth={','.join(map(str, range(1, 1001)))}", more=("--seeds", "1000")), ("grid: 1,000,000 runs", "at most 100,000")),
        ("sweep with seeds 0", grid("depth=2", more=("--seeds", "0")), ("seeds: 0", "1 to 1000")),
        ("sweep at an unknown budget", ("sweep", ADDING, "--grid", "depth=2", "--budget", "long"), ("budget: 'long'", "smoke")),
        ("sweep without a grid", ("sweep", ADDING), ("--grid",)),
        ("sweep with workers 0", grid("depth=2", more=("--workers", "0")), ("workers: 0", "1 to 1024")),
        ("sweep with a time limit of no time", grid("depth=2", more=("--time-limit", "8x")), ("time-limit: '8x'", "90s, 8m or 2h")),
        ("many runs in a negative time", placed("--time-limit", "-8m"), ("time-limit: '-8m'", "90s, 8m or 2h")),
        ("scheduler without a scheme", placed("--scheduler", "127.0.0.1:8786"), ("scheduler: '127.0.0.1:8786'", ADDRESS)),
        ("scheduler empty", placed("--scheduler", ""), ("scheduler: ''", ADDRESS)),
        ("scheduler without a port", placed("--scheduler", "tls://cluster.example"), ("scheduler: 'tls://cluster.example'", ADDRESS)),
        ("scheduler with a port of no number", placed("--scheduler", "tls://cluster.example:x"), ("scheduler: 'tls://cluster.example:x'", ADDRESS)),
        ("scheduler over http", placed("--scheduler", "http://127.0.0.1:8786"), ("scheduler: 'http://127.0.0.1:8786'", ADDRESS)),
        ("scheduler elsewhere, not encrypted", placed("--scheduler", "tcp://10.0.0.1:8786"), ("scheduler: 'tcp://10.0.0.1:8786'", "start it with TLS")),
        ("scheduler of a sweep, not encrypted", grid("depth=2", more=("--scheduler", "tcp://10.0.0.1:8786")), ("scheduler: 'tcp://10.0.0.1:8786'", "start it with TLS")),
        ("scheduler beside slurm", placed("--scheduler", "tls://cluster.example:8786", "--slurm"), ("scheduler: given beside slurm", "choose one")),
        ("slurm with a value", placed("--slurm=yes"), ("--slurm",)),
        ("out that is a file", placed("--out", "{here}/taken"), ("out: '", "taken", "is no folder"), {"files": {"taken": "x"}}),
        ("out below a file", placed("--out", "{here}/taken/bundle"), ("out: '", "taken/bundle", "is no folder"), {"files": {"taken": "x"}}),
        ("out of a sweep that is a file", grid("depth=2", more=("--out", "{here}/taken")), ("out: '", "taken", "is no folder"), {"files": {"taken": "x"}}),
    ),
]
# fmt: on

# --- parameters ---


def cells(*sources: str) -> str:
    """A notebook whose code cells are all tagged `parameters`."""
    made = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": [s]} for s in sources]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def check(**given: Any) -> Callable[[Path], object]:
    """The parameters of a notebook in the folder, checked."""
    return lambda here: notebook.check(here / "book.ipynb", given)


BOOK = {"book.ipynb": cells("width: float = 1.0\ncount: int = 2")}
# fmt: off
JSON_CASES = {  # of a CONFIG.json: id -> content, fragments
    "empty config": ("", ("config.json", "not JSON")),
    "truncated config": ('{"task": {"name": "add', ("config.json", "not JSON", "char")),
    "config of one list": ("[]", ("config.json: []", "task, model and train are needed")),
    "config null": ("null", ("config.json: None", "task, model and train are needed")),
    "config without a task": ("{}", ("task: a value is needed",)),
    "config with a key twice": ('{"task": 1, "task": 2}', ("config.json", "'task' stands twice")),
    "config with NaN": ('{"task": NaN}', ("config.json", "NaN is not a number that JSON has")),
    "config of 100,000 brackets": ("[" * 100_000, ("config.json", "not JSON")),
    "config with a number of 5,000 digits": ("9" * 5000, ("config.json", "not JSON")),
    "config in UTF-16": ("{}".encode("utf-16"), ("config.json", "cannot be read", "utf-8")),
    "config with a byte order mark": ("{}".encode("utf-8-sig"), ("config.json", "not JSON", "BOM")),
    "config of bytes that are no text": (b"\xff\xfe\x00", ("config.json", "cannot be read")),
    "config with a control sequence for a key": ('{"a\\nb\\u001b[2J": 1}', ("task: a value is needed",)),
    "config with an unknown task": ('{"task": {"name": "copying"}, "model": {"kind": "plain"}, "train": {"steps": 1}}', ("task: ", "'copying'", "'adding', 'pixels'")),
    "config with a misspelt field": ('{"task": {"name": "adding"}, "model": {"kind": "plain", "hiden": 3}, "train": {"steps": 1}}', ("model.hiden: no such field", "did you mean hidden?")),
    "config that never ends": ('{"task": {"name": "adding"}, "model": {"kind": "plain"}, "train": {}}', ("train.steps is needed",)),
    "config with a rate of 1e400": ('{"task": {"name": "adding"}, "model": {"kind": "plain"}, "train": {"steps": 1, "lr": 1e400}}', ("train.lr: inf", "finite")),
    "config that is a folder": (None, ("config.json", "cannot be read", "directory")),
    "config that is a link to itself": (Link("config.json"), ("config.json", "cannot be read")),
}
PARAMETERS = [
    *refused(
        "Parameters",
        "python",
        PARAMETER,
        ("an experiment misspelt", run(experiment="addig_indrnn_T100"), ("experiment: 'addig_indrnn_T100'", "did you mean adding_indrnn_T100")),
        ("an experiment as list", run(experiment=["a"]), ("experiment: ['a']", "choose one of")),
        ("an experiment None", run(experiment=None), ("experiment: None", "choose one of")),
        ("an experiment of 300 characters", run(experiment="x" * 300), ("experiment: 'xxx", "choose one of")),
        ("an experiment that climbs", run(experiment="../../etc/passwd"), ("experiment: '../../etc/passwd'", "choose")),
        ("a budget unknown", run(budget="huge"), ("budget: 'huge'", "paper, quick, smoke")),
        ("a budget None", run(budget=None), ("budget: None", "paper, quick, smoke")),
        ("changes that are text", run(changes="model.hidden=3"), ("changes: 'model.hidden=3'", "{'model.hidden': 64}")),
        ("a field misspelt", run(changes={"model.hiden": 3}), ("model.hiden: no such field", "did you mean model.hidden?")),
        ("a field without its section", run(changes={"size": 3}), ("size: no such field", "choose one of", "task.length")),
        ("a field that is no text", run(changes={1: 2}), ("1: no such field", "choose one of")),
        ("a section in place of a field", run(changes={"train": {}}), ("train: no such field",)),
        ("a field null", lambda _: CONFIG.set({"model.hidden": None}), ("model.hidden: None", "integer")),
        ("a config of nothing", lambda _: Config.parse(None), ("config: None", "task, model and train")),
        ("a config with a key that is no text", lambda _: Config.parse({1: 2}), ("config: ", "strings")),
        ("a config made with a wrong task", lambda _: wb.Config(task=3), ("task: 3", "dictionary")),
        ("a table of an unknown experiment", lambda _: wb.results_table(["nope"]), ("experiment: 'nope'", "choose one of")),
        ("a table in an unknown format", lambda _: tables.render(None, "xml"), ("format: 'xml'", "csv, html, json")),
        ("a run id that climbs", lambda here: store.open_run(here, "../../etc"), ("run: '../../etc'", "16 hex digits")),
        ("a run id with a NUL", lambda here: store.open_run(here, "abc\0"), ("run: 'abc\\x00'", "16 hex digits")),
        ("a run id of 300 characters", lambda here: store.open_run(here, "a" * 300), ("run: 'aaa", "16 hex digits")),
        ("a run id None", lambda here: store.open_run(here, None), ("run: None", "16 hex digits")),
        ("a data set unknown", lambda _: download.locate("imagenet"), ("data set: 'imagenet'", "mnist")),
        ("many runs: budget unknown", reproduce(budget="huge"), ("budget: 'huge'", "paper, quick, smoke")),
        ("many runs: seeds 0", reproduce(seeds=0), ("seeds: 0", "1 to 1000")),
        ("many runs: seeds True", reproduce(seeds=True), ("seeds: True", "type int")),
        ("many runs: workers 0", reproduce(workers=0), ("workers: 0", "1 to 1024")),
        ("many runs: time limit 0", reproduce(time_limit=0), ("time_limit: 0", "above 0")),
        ("many runs: a target as list", lambda _: batch.reproduce([["a"]], "smoke"), ("['a']: no notebook or experiment",)),
    ),
    *refused(
        "Parameters",
        "cli",
        PARAMETER,
        ("no verb of that name", ("frobnicate",), ("frobnicate", "No such command")),
        ("no experiment given", ("run",), ("Missing argument", "experiment")),
        ("an argument too many", ("run", ADDING, "again"), ("unexpected extra argument", "again")),
        ("an option misspelt", ("run", ADDING, "--seeed", "1"), ("No such option", "--seeed")),
        ("an experiment misspelt on the command line", ("run", "seqmnist_plane6"), ("experiment: 'seqmnist_plane6'", "seqmnist_plain6")),
        ("a budget unknown on the command line", ("run", ADDING, "--budget", "huge"), ("budget: 'huge'", "paper, quick, smoke")),
        ("hidden 007", smoke("--set", "model.hidden=007"), ("model.hidden: '007'", "integer")),
        ("a rate of 1e400", smoke("--set", "train.lr=1e400"), ("train.lr: inf", "finite")),
        ("a rate NaN", smoke("--set", "train.lr=NaN"), ("train.lr: nan", "finite")),
        ("a rate null", smoke("--set", "train.lr=null"), ("train.lr: None", "number")),
        ("a rate of 5,000 digits", smoke("--set", "train.lr=" + "9" * 5000), ("train.lr: '999", "number")),
        ("a rate of 100,000 brackets", smoke("--set", "train.lr=" + "[" * 100_000), ("train.lr: '[[[", "number")),
        ("a field misspelt on the command line", smoke("--set", "model.hiden=3"), ("model.hiden", "did you mean model.hidden?")),
        ("a change without a value", smoke("--set", "model.hidden"), ("'model.hidden'", "name=value")),
        ("a change without a name", smoke("--set", "=5"), ("'=5'", "name=value", "identifier")),
        ("a change whose name is code", smoke("--set", "__import__('os')=1"), ("__import__", "identifier")),
        ("a change whose name has two lines", smoke("--set", "x\ny=1"), ("'x\\ny=1'", "identifier")),
        ("a change given twice", smoke("--set", "model.hidden=3", "--set", "model.hidden=4"), ("model.hidden: given twice",)),
        ("a config that is not there", ("run", "{here}/config.json"), ("config.json", "No such file")),
        ("a config whose name has a NUL", ("run", "a\0.json"), ("config: a", "null byte")),
        ("a config whose name has 300 characters", ("run", "a" * 300 + ".json"), ("config: aaa", "too long")),
        ("a list of nothing known", ("list", "wishes"), ("list: 'wishes'", "data, experiments, runs")),
        ("a table format unknown", ("tables", "--format", "xml"), ("format: 'xml'", "csv, html, json")),
        ("a data set unknown on the command line", ("data", "imagenet"), ("data set: 'imagenet'", "mnist")),
        ("port 0", ("lab", "--port", "0"), ("port: 0", "1 to 65535")),
        ("a notebook misspelt", ("reproduce", "fig4_ading"), ("'fig4_ading'", "did you mean fig4_adding")),
        ("a notebook that climbs", ("reproduce", "../notebooks/fig4_adding"), ("../notebooks/fig4_adding", "no notebook")),
        ("a parameter misspelt", ("reproduce", "fig4_adding", "-p", "sedes=1"), ("sedes: ", "did you mean seeds?")),
        ("a parameter of the wrong type", ("reproduce", "fig4_adding", "-p", "seeds=2.0"), ("seeds: 2.0", "type int")),
        ("a parameter whose name is code", ("reproduce", "fig4_adding", "-p", "import os;x=1"), ("import os;x=1", "identifier")),
        ("a parameter for an experiment", ("reproduce", ADDING, "-p", "seeds=1"), ("seeds: ", "takes no -p")),
    ),
    *[Case(name, "Parameters", "cli", ("run", "{here}/config.json"), PARAMETER, says, files={"config.json": content}) for name, (content, says) in JSON_CASES.items()],
    *refused(
        "Parameters",
        "notebook",
        PARAMETER,
        ("a notebook without parameters", check(), ("book.ipynb: 0 cells", "exactly one"), {"files": {"book.ipynb": cells()}}),
        ("a notebook with two parameters cells", check(), ("book.ipynb: 2 cells", "exactly one"), {"files": {"book.ipynb": cells("a: int = 1", "b: int = 2")}}),
        ("a truncated notebook", check(), ("book.ipynb: not a notebook",), {"files": {"book.ipynb": '{"cells": [{"cell_'}}),
        ("an empty notebook", check(), ("book.ipynb: not a notebook",), {"files": {"book.ipynb": ""}}),
        ("a notebook of another shape", check(), ("book.ipynb: not a notebook",), {"files": {"book.ipynb": '{"cells": [1]}'}}),
        ("a notebook whose cell lacks its source", check(), ("book.ipynb: not a notebook", "source"), {"files": {"book.ipynb": '{"cells": [{"metadata": {"tags": ["parameters"]}}]}'}}),
        ("a notebook of 100,000 brackets", check(), ("book.ipynb: not a notebook",), {"files": {"book.ipynb": "[" * 100_000}}),
        ("a notebook that is a folder", check(), ("book.ipynb: not a notebook", "directory"), {"files": {"book.ipynb": None}}),
        ("a notebook that is not there", check(), ("book.ipynb: not a notebook", "No such file")),
        ("parameters that are no Python", check(), ("book.ipynb", "cannot be read", "name: type = value"), {"files": {"book.ipynb": cells("a: int = = 1")}}),
        ("a parameter of an unknown type", check(), ("book.ipynb", "complex", "bool, float, int"), {"files": {"book.ipynb": cells("a: complex = 1")}}),
        ("a parameter that is computed", check(), ("book.ipynb", "cannot be read"), {"files": {"book.ipynb": cells("a: int = len([])")}}),
        ("a parameter with a wrong default", check(), ("a: 'x'", "type int"), {"files": {"book.ipynb": cells("a: int = 'x'")}}),
        ("an unknown parameter", check(cuont=1), ("cuont: ", "did you mean count?"), {"files": BOOK}),
        ("a parameter that is no number", check(width=NAN), ("width: nan", "finite"), {"files": BOOK}),
        ("a parameter too large for a float", check(width=10**400), ("width: 1000", "type float"), {"files": BOOK}),
        ("a parameter True for a number", check(width=True), ("width: True", "type float"), {"files": BOOK}),
        ("a parameter None", check(count=None), ("count: None", "type int"), {"files": BOOK}),
        ("a study that does not name itself", lambda _: notebook.Study({}), ("notebook: ", "run that cell first")),
        ("a study of an unknown notebook", lambda _: notebook.Study({"notebook": "../x"}), ("'../x'", "fig4_adding")),
        ("a study with a misspelt parameter", lambda _: notebook.Study({"notebook": "fig4_adding", "seed": 3}), ("seed: ", "did you mean seeds?")),
        ("a study with text for a number", lambda _: notebook.Study({"notebook": "fig4_adding", "seeds": "3"}), ("seeds: '3'", "type int")),
        ("many notebooks: seeds 0", reproduce("fig4_adding", values={"seeds": 0}), ("seeds: 0", "1 to 1000")),
        ("many notebooks: an unknown experiment", reproduce("fig4_adding", values={"experiments": ["nope"]}), ("experiment: 'nope'", "choose one of")),
        ("many notebooks: experiments in a list too many", reproduce("fig4_adding", values={"experiments": [["a"]]}), ("experiment: ['a']",)),
        ("many notebooks: a name that is code", reproduce("fig4_adding", values={"import os": 1}), ("import os: ", "no such parameter")),
        ("many notebooks: a name that is no text", reproduce("fig4_adding", values={1: 1}), ("1: fig4_adding has no such parameter",)),
        ("a device that is not there, in a notebook", reproduce("fig4_adding", values={"device": "tpu"}), ("device: 'tpu'", "auto, cpu, cuda")),
        ("output over its own source", lambda here: execute.execute(here / "book.ipynb", {}, here / "." / "book.ipynb"), ("book.ipynb", "overwrite"), {"files": BOOK}),
        ("output over its source through a link", lambda here: execute.execute(here / "book.ipynb", {}, here / "out.ipynb"), ("out.ipynb", "overwrite"), {"files": {**BOOK, "out.ipynb": Link("book.ipynb")}}),
        ("a notebook to execute that is not there", lambda here: execute.execute(here / "book.ipynb", {}, here / "out.ipynb"), ("book.ipynb", "no such notebook")),
    ),
]
# fmt: on

# --- data ---


def idx(shape: tuple[int, ...], body: bytes | None = None, magic: bytes = b"\0\0\x08") -> bytes:
    """An IDX file of unsigned bytes; its body all zeros unless given."""
    header = magic + bytes([len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    return header + (bytes(math.prod(shape)) if body is None else body)


def read(here: Path) -> object:
    return pixels.read_idx(here / "images", dims=3, cap=1000)


def images_without_labels(here: Path) -> object:
    """MNIST's four files under their names, the labels one short."""
    for part in ("train", "t10k"):
        (here / f"{part}-images-idx3-ubyte.gz").write_bytes(idx((3, 28, 28)))
        (here / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx((2,)))
    with patch.object(download, "locate", lambda _: here):
        return pixels.mnist()


def label_out_of_range(_: Path) -> object:
    return pixels._paired(np.zeros((2, 64), np.uint8), np.array([3, 10]), "images")


PACKED = gzip.compress(idx((2, 3, 3)), mtime=0)
# fmt: off
IDX_CASES: dict[str, tuple[bytes | Link | None, tuple[str, ...]]] = {  # id -> content, fragments
    "an empty IDX file": (b"", ("images: byte 0", "0 bytes found", "header of 16")),
    "an IDX file of another type": (idx((2, 3, 3), magic=b"\0\0\x0d"), ("byte 0", "00000d03", "00000803 expected")),
    "an IDX file of another magic": (idx((2, 3, 3), magic=b"\1\0\x08"), ("byte 0", "01000803", "00000803 expected")),
    "labels in place of images": (idx((16,)), ("byte 0", "00000801", "00000803 expected")),
    "an IDX file with a dimension 0": (idx((0, 3, 3)), ("byte 4", "(0, 3, 3)", "none 0")),
    "an IDX file with a dimension 2**31": (idx((2**31, 2**31, 2**31), b"x"), ("byte 4", "2147483648", "at most 984 bytes")),
    "an IDX file short by one byte": (idx((2, 3, 3))[:-1], ("byte 16", "17 bytes of data found", "18 expected")),
    "an IDX file with a byte too many": (idx((2, 3, 3)) + b"x", ("byte 16", "19 bytes of data found", "18 expected")),
    "a gzip stream cut short": (PACKED[:-9], ("images", "cannot be read")),
    "a gzip stream with junk behind": (PACKED + b"junk", ("images", "cannot be read")),
    "a gzip stream with a changed byte": (PACKED[:12] + bytes([PACKED[12] ^ 255]) + PACKED[13:], ("images", "cannot be read")),
    "a gzip header and no more": (PACKED[:4], ("images", "cannot be read")),
    "a web page saved as data": (b"<!DOCTYPE html><html><body>404</body></html>", ("byte 0", "3c21444f", "00000803")),
    "a folder in place of data": (None, ("images", "cannot be read", "directory")),
    "a link to itself in place of data": (Link("images"), ("images", "cannot be read")),
}
# fmt: on


def words(here: Path) -> object:
    return treebank.read(here, "word")


def characters(here: Path) -> object:
    return treebank.read(here, "char")


def treebank_of(**changed: bytes | None) -> dict[str, bytes | None]:
    """The three texts of a treebank, some of them changed."""
    texts: dict[str, bytes | None] = dict.fromkeys(("train", "valid", "test"), b" a bb \n c \n")
    return {f"ptb.{split}.txt": text for split, text in (texts | changed).items()}


# fmt: off
TREEBANK_CASES: dict[str, tuple[Callable[[Path], object], Mapping[str, bytes | None], tuple[str, ...]]] = {
    "a treebank with a byte order mark": (words, treebank_of(train=b"\xef\xbb\xbfa b\n"), ("ptb.train.txt: byte 0", "byte order mark found", "without a byte order mark expected")),
    "a treebank in UTF-16": (words, treebank_of(valid="a b\n".encode("utf-16")), ("ptb.valid.txt: byte 0", "UTF-16 found", "UTF-8")),
    "a treebank in UTF-16 without a mark": (words, treebank_of(train=b" a \n" + "b\n".encode("utf-16-le")), ("ptb.train.txt: line 2", "zero byte", "UTF-8")),
    "a treebank that is no UTF-8": (words, treebank_of(test=b" a bb \n \xe9t\xe9 \n"), ("ptb.test.txt: byte 8", "0xe9 found", "UTF-8 expected")),
    "a treebank cut inside a character": (characters, treebank_of(train="é".encode()[:1]), ("ptb.train.txt: byte 0", "0xc3 found", "UTF-8 expected")),
    "a treebank with CRLF": (words, treebank_of(train=b" a \n bb \r\n"), ("ptb.train.txt: line 2", "carriage return found", "newlines alone")),
    "an empty treebank": (words, treebank_of(train=b""), ("ptb.train.txt: byte 0", "empty file found", "text expected")),
    "an empty test text": (characters, treebank_of(test=b""), ("ptb.test.txt: byte 0", "empty file found")),
    "a treebank with an empty vocabulary": (words, treebank_of(train=b"\n \n"), ("ptb.train.txt: line 1", "2 empty lines found", "text expected")),
    "a validation text of empty lines": (words, treebank_of(valid=b"\n"), ("ptb.valid.txt: line 1", "1 empty lines found")),
    "a word that training lacks": (words, treebank_of(valid=b" a \n a dog \n"), ("ptb.valid.txt: line 2", "'dog' found", "one of the 4 words of ptb.train.txt")),
    "a character that training lacks": (characters, treebank_of(test=b" a Z \n"), ("ptb.test.txt: line 1", "'Z' found", "one of the 5 characters of ptb.train.txt")),
    "a folder in place of a treebank": (words, treebank_of(train=None), ("ptb.train.txt: cannot be read", "directory")),
    "a treebank without its test text": (words, {k: v for k, v in treebank_of().items() if "test" not in k}, ("ptb.test.txt: cannot be read", "No such file")),
}
# fmt: on


def recordings(here: Path) -> object:
    return speech.read(here)


def packed(array: np.ndarray | bytes, **index: str | bytes) -> dict[str, bytes]:
    """The two files of spoken digits; `index` replaces the table, `extra` follows the compressed array."""
    if not isinstance(array, bytes):
        buffer = io.BytesIO()
        np.save(buffer, array)
        array = buffer.getvalue()
    table = index.get("index", "")
    return {"recordings.npy.xz": lzma.compress(array), "index.csv": table.encode() if isinstance(table, str) else table}


def index_of(*lines: str) -> str:
    return "\n".join([",".join(speech.COLUMNS), *lines]) + "\n"


def digits_archive(here: Path) -> object:
    return speech.read_original(here / "digits.zip")


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def wav(rate: int = 8000, channels: int = 1, samples: int = 4) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(2 * channels * samples))
    return buffer.getvalue()


TEN = np.arange(10, dtype="<i2")  # two recordings of five samples
FIRST, SECOND = "3_ann_0,3,ann,0,0,5,test", "4_bob_7,4,bob,7,5,5,train"
WHOLE_XZ = packed(TEN)["recordings.npy.xz"]
HUGE = (
    b"\x93NUMPY\x01\x00v\x00"
    + b"{'descr': '<i2', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117)
    + b"\n"
)
WAV = "d/recordings/3_ann_0.wav"
# fmt: off
ARCHIVE_CASES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "an archive that is no archive": (b"<!DOCTYPE html>", ("digits.zip: cannot be read", "not a zip file")),
    "an archive without recordings": (zipped(("README.md", b"x")), ("digits.zip: no recordings/0_george_0.wav or the like found",)),
    "an archive with a text for a recording": (zipped((WAV, b"hello")), (f"digits.zip: {WAV}: not a .wav file",)),
    "an archive with an empty recording": (zipped((WAV, b"")), (f"digits.zip: {WAV}: not a .wav file",)),
    "an archive with a recording of no sample": (zipped((WAV, wav(samples=0))), (f"{WAV}: 1 channels of 16 bits at 8000 Hz, 0 bytes found",)),
    "an archive with a recording at 16 kHz": (zipped((WAV, wav(16_000))), (f"{WAV}: 1 channels of 16 bits at 16000 Hz", "at 8000 Hz expected")),
    "an archive with a recording in stereo": (zipped((WAV, wav(channels=2))), (f"{WAV}: 2 channels of 16 bits",)),
    "an archive with a huge recording": (zipped((WAV, bytes(speech.LARGEST + 1))), (f"{WAV}: 1048577 bytes found, at most 1048576 expected",)),
}
SPEECH_CASES: dict[str, tuple[dict[str, bytes], tuple[str, ...]]] = {
    "recordings cut short": ({**packed(TEN), "recordings.npy.xz": WHOLE_XZ[:-9]}, ("recordings.npy.xz: no end of its xz stream found",)),
    "recordings with junk behind": ({**packed(TEN), "recordings.npy.xz": WHOLE_XZ + b"junk"}, ("recordings.npy.xz: bytes behind the end of its xz stream found",)),
    "recordings with a changed byte": ({**packed(TEN), "recordings.npy.xz": WHOLE_XZ[:40] + bytes([WHOLE_XZ[40] ^ 255]) + WHOLE_XZ[41:]}, ("recordings.npy.xz: cannot be read", "orrupt")),
    "empty recordings": ({**packed(TEN), "recordings.npy.xz": b""}, ("recordings.npy.xz: no end of its xz stream",)),
    "a web page in place of recordings": ({**packed(TEN), "recordings.npy.xz": b"<!DOCTYPE html>"}, ("recordings.npy.xz: cannot be read", "format")),
    "recordings that are no array": (packed(b"RIFF....WAVE"), ("recordings.npy.xz: byte 0: not an .npy array",)),
    "recordings of floats": (packed(TEN.astype(np.float32)), ("byte 0: (10,) of <f4 found, (any) of <i2 expected",)),
    "recordings of big-endian numbers": (packed(TEN.astype(">i2")), ("(10,) of >i2 found, (any) of <i2 expected",)),
    "recordings of two dimensions": (packed(TEN.reshape(2, 5)), ("(2, 5) of <i2 found, (any) of <i2 expected",)),
    "recordings of no sample": (packed(TEN[:0]), ("(0,) of <i2 found, (any) of <i2 expected",)),
    "recordings of objects": (packed(b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n" + b"\x80\x04N."), ("(1,) of |O found, (any) of <i2 expected",)),
    "recordings that claim two terabytes": (packed(HUGE), ("byte 128: 0 bytes of data found, 2000000000000 expected",)),
    "an empty index": (packed(TEN), ("index.csv: line 1: 'an empty file' found, 'name,digit,speaker",)),
    "an index of other columns": (packed(TEN, index="name,digit\n"), ("line 1: 'name,digit' found", "start,samples,split' expected")),
    "an index that is no text": (packed(TEN, index=b"\xff\xfe"), ("index.csv: cannot be read", "ascii")),
    "an index with an open quote": (packed(TEN, index=index_of('"')), ("index.csv: cannot be read", "unexpected end")),
    "an index line of three values": (packed(TEN, index=index_of(FIRST, "a,b,c")), ("index.csv: line 3: 3 values found, 7 expected",)),
    "an index with a length of 1_0": (packed(TEN, index=index_of("3_ann_0,3,ann,0,0,1_0,test")), ("line 2: samples '1_0' found, a whole number expected",)),
    "an index with a negative start": (packed(TEN, index=index_of("3_ann_0,3,ann,0,-1,5,test")), ("line 2: start '-1' found, a whole number",)),
    "an index with a digit 10": (packed(TEN, index=index_of("10_ann_0,10,ann,0,0,5,test")), ("line 2: digit 10 and index 0 found, 0...9 and 0...49 expected",)),
    "an index with another digit than its name": (packed(TEN, index=index_of("3_ann_0,8,ann,0,0,5,test")), ("line 2: name '3_ann_0' found, '8_ann_0' expected",)),
    "an index with a take in the wrong split": (packed(TEN, index=index_of("3_ann_0,3,ann,0,0,5,train")), ("line 2: split 'train' found, 'test' expected for index 0",)),
    "an index with a name twice": (packed(TEN, index=index_of(FIRST, FIRST)), ("line 3: 3_ann_0 found a second time",)),
    "an index with a gap": (packed(TEN, index=index_of(FIRST, SECOND.replace(",5,5,", ",6,4,"))), ("line 3: start 6 and 4 samples found, start 5 and 1 to 5 samples expected",)),
    "an index that leaves the recordings": (packed(TEN, index=index_of(FIRST, SECOND.replace(",5,5,", ",5,6,"))), ("line 3: start 5 and 6 samples found, start 5 and 1 to 5",)),
    "an index that stops early": (packed(TEN, index=index_of(FIRST)), ("line 2: the recordings end at 5, 10 samples expected",)),
    "recordings without their index": ({"recordings.npy.xz": WHOLE_XZ}, ("index.csv: cannot be read", "No such file")),
}
# fmt: on


def skeleton(here: Path) -> object:
    return skeletons.read(here / "S001C001P001R001A001.skeleton")


def unusable(here: Path) -> object:
    return names.unusable(here / "list.txt", 2)


SKELETON = [b"2"]  # two frames, each with one body; line 1 counts them, then a frame has 28
for _ in range(2):
    SKELETON += [b"1", b"72057594037931101 0 1 1 1 1 0 0.02764709 0.05745083 2", b"25"]
    SKELETON += [b"0.2181153 0.1725972 3.785547 277.419 191.8218 1036.233 519.1677 -0.2 0.05 0.97 -0.12 2"] * 25


def line(number: int, *changed: bytes) -> bytes:
    """A .skeleton file with other lines in place of one."""
    return b"\n".join([*SKELETON[: number - 1], *changed, *SKELETON[number:]]) + b"\n"


def joint(number: int, x: str) -> bytes:
    """A .skeleton file with another x in a line."""
    return line(number, x.encode() + SKELETON[number - 1][9:])


TEXT = line(1, b"2")
WORDS = "found, plain numbers expected"
# fmt: off
SKELETON_CASES: dict[str, tuple[bytes | None, tuple[str, ...]]] = {
    "a skeleton file of nothing": (b"", ("line 1: the end of the file found, the number of frames expected",)),
    "a skeleton file of blanks": (b" \n", ("line 1: '' found, the number of frames, a whole number from 0, expected",)),
    "a skeleton file of more frames than it has": (line(1, b"3"), ("line 58: the end of the file found, the number of bodies in frame 3 of 3 expected",)),
    "a skeleton file of fewer frames than it has": (line(1, b"1"), ("line 30: '1' found, the end of the file after 1 frames expected",)),
    "a skeleton file of -2 frames": (line(1, b"-2"), ("line 1: '-2' found, the number of frames, a whole number from 0, expected",)),
    "a skeleton file of 2.0 frames": (line(1, b"2.0"), ("line 1: '2.0' found, the number of frames",)),
    "a skeleton file of ten digits of frames": (line(1, b"9999999999"), ("line 1: '9999999999' found, the number of frames",)),
    "a skeleton file of a thousand million frames": (line(1, b"999999999"), ("1 bodies in 999999999 frames found, at most 1,000,000 in all expected",)),
    "a skeleton file of -1 bodies": (line(2, b"-1"), ("line 2: '-1' found, the number of bodies in frame 1 of 2",)),
    "a skeleton file of 1.5 bodies": (line(2, b"1.5"), ("line 2: '1.5' found, the number of bodies",)),
    "a skeleton file of more bodies than it has": (line(2, b"2"), ("line 30: 1 values found, 10 values of a body expected",)),
    "a skeleton file of fewer bodies than it has": (line(2, b"0"), ("line 3: '72057594037931101 0 1 1 1 1 0 0.02764709 0.05745083 2' found, the number of bodies in frame 2 of 2",)),
    "a skeleton file without a number of bodies": (line(2, b""), ("line 2: '' found, the number of bodies",)),
    "a skeleton file of 24 joints": (line(4, b"24"), ("line 4: 24 joints found, 25 expected",)),
    "a skeleton file of 26 joints": (line(4, b"26"), ("line 4: 26 joints found, 25 expected",)),
    "a skeleton file of -25 joints": (line(4, b"-25"), ("line 4: '-25' found, the number of joints",)),
    "a skeleton file with 24 lines of joints": (line(9), ("line 29: 1 values found, 12 values of joint 25 expected",)),
    "a body of nine values": (line(3, SKELETON[2][:-2]), ("line 3: 9 values found, 10 values of a body expected",)),
    "a body whose ID is 1.5": (line(3, SKELETON[2].replace(b" ", b".5 ", 1)), ("line 3: '72057594037931101.5' found, a bodyID, a whole number, expected",)),
    "a body with a value that is no number": (line(3, SKELETON[2].replace(b"0.05745083", b"e")), ("line 3: 'e' found, a number expected",)),
    "a joint of 11 values": (line(5, SKELETON[4][:-2]), ("line 5: 11 values found, 12 values of joint 1 expected",)),
    "a joint of 13 values": (line(29, SKELETON[28] + b" 2"), ("line 29: 13 values found, 12 values of joint 25 expected",)),
    "a joint at NaN": (joint(6, "NaN"), (f"line 6: 'NaN' {WORDS}",)),
    "a joint at Microsoft's NaN": (joint(6, "-1.#IND"), (f"line 6: '-1.#IND' {WORDS}",)),
    "a joint at infinity": (joint(6, "-inf"), (f"line 6: '-inf' {WORDS}",)),
    "a joint at 1e999": (joint(6, "1e999"), ("line 6: '1e999' found, a finite number expected",)),
    "a joint at 1e39": (joint(6, "1e39"), ("line 6: '1e39' found, a finite number expected",)),
    "a joint at 1_0": (joint(6, "1_0"), (f"line 6: '1_0' {WORDS}",)),
    "a joint at 0x1": (joint(6, "0x1"), (f"line 6: '0x1' {WORDS}",)),
    "a joint at 1.2.3": (joint(6, "1.2.3"), ("line 6: '1.2.3' found, a number expected",)),
    "a joint at 0,2": (joint(6, "0,2"), (f"line 6: '0,2' {WORDS}",)),
    "a joint at a sign": (joint(6, "-"), ("line 6: '-' found, a number expected",)),
    "a joint at digits of another script": (joint(6, "\u0662"), ("line 6: b'\\xd9\\xa2", WORDS)),
    "a joint at a word": (joint(6, "left"), (f"line 6: 'left' {WORDS}",)),
    "a skeleton file cut inside a line": (TEXT[:800], ("found, 12 values of joint", "expected")),
    "a skeleton file cut behind a line": (b"\n".join(SKELETON[:40]), ("line 40: the end of the file found, 12 values of joint 9 expected",)),
    "a skeleton file with a number behind": (TEXT + b"7\n", ("line 58: '7' found, the end of the file after 2 frames expected",)),
    "a skeleton file with another behind": (TEXT + TEXT, ("line 58: '2' found, the end of the file after 2 frames",)),
    "a skeleton file with a blank line inside": (line(5, b"", SKELETON[4]), ("line 5: 0 values found, 12 values of joint 1 expected",)),
    "a web page in place of a skeleton file": (b"<!DOCTYPE html>\n<html></html>", (f"line 1: '<!DOCTYPE' {WORDS}",)),
    "a skeleton file in UTF-16": (TEXT.decode().encode("utf-16"), ("line 1: ", WORDS)),
    "a skeleton file in UTF-16 without a mark": (TEXT.decode().encode("utf-16-le"), ("line 1: ", WORDS)),
    "a skeleton file with a byte order mark": (TEXT.decode().encode("utf-8-sig"), ("line 1: ", WORDS)),
    "a zip in place of a skeleton file": (b"PK\x03\x04" + bytes(40), ("line 1: ", WORDS)),
    "a folder in place of a skeleton file": (None, ("cannot be read", "directory")),
}
# fmt: on
MNIST = {f"data/mnist/{name}": b"<html>404</html>" for name in download.SETS["mnist"].files}
LOCATE = ("data", "mnist", "--check")
_LISTS = Path(os.environ.get("WORKBENCH_DATA", "")) / "ntu"
NTU_LISTS = {
    f"data/ntu/{name}": (_LISTS / name).read_bytes() for name in download.SETS["ntu"].files if (_LISTS / name).is_file()
}
# fmt: off
DATA_CASES = [
    *[Case(n, "Data", "file", read, DATA, says, files={"images": content}) for n, (content, says) in IDX_CASES.items()],
    *[Case(n, "Data", "file", call, DATA, says, files=files) for n, (call, files, says) in TREEBANK_CASES.items()],
    *[Case(n, "Data", "file", recordings, DATA, says, files=files) for n, (files, says) in SPEECH_CASES.items()],
    *[Case(n, "Data", "file", digits_archive, DATA, says, files={"digits.zip": content}) for n, (content, says) in ARCHIVE_CASES.items()],
    *[Case(n, "Data", "file", skeleton, DATA, says, files={"S001C001P001R001A001.skeleton": content}) for n, (content, says) in SKELETON_CASES.items()],
    *refused(
        "Data",
        "file",
        DATA,
        ("a skeleton file without an action in its name", archive.recordings, ("'S001C001P001R001.skeleton' found", "a name like S001C002P003R002A013 expected"), {"files": {"S001C001P001R001.skeleton": TEXT}}),
        ("a .zip of skeleton files that is none", archive.recordings, ("clips.zip: cannot be read", "not a zip file"), {"files": {"clips.zip": TEXT}}),
        ("a list of unusable clips that is absent", unusable, ("list.txt: missing", "2 clips without usable skeletons")),
        ("a list of unusable clips that is short", unusable, ("list.txt: 1 names found, 2 expected",), {"files": {"list.txt": "\n\n\nS001C001P001R001A001\n"}}),
        ("a list of unusable clips with half a name", unusable, ("list.txt: line 5: 'S001C001' found", "a name like"), {"files": {"list.txt": "\n\n\nS001C001P001R001A001\nS001C001\n"}}),
        ("a list of unusable clips in UTF-16", unusable, ("list.txt: cannot be read", "ascii"), {"files": {"list.txt": "\n".encode("utf-16")}}),
    ),
    *refused("Data", "file", DATA, ("no file at all", read, ("images", "cannot be read", "No such file")), ("images and labels of different counts", images_without_labels, ("3 images but 2 labels", "must agree")), ("a label out of range", label_out_of_range, ("images: labels outside 0...9",))),
    *refused(
        "Data",
        "cli",
        DATA,
        ("web pages in MNIST's folder", LOCATE, ("mnist/train-images", "altered", "SHA-256", "440fcabf73cc546f"), {"files": MNIST, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("a run on altered data", ("run", "seqmnist_plain6", "--budget", "smoke"), ("mnist/train-images", "altered"), {"files": MNIST, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("an archive of other spoken digits", ("run", "speech_plain", "--budget", "smoke"), ("data/fsdd: samples of SHA-256", "found", speech.CONTENT[:16]), {"files": {f"data/fsdd/{download.SETS['fsdd'].original}": zipped((WAV, wav()))}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("no spoken digits anywhere", ("data", "fsdd", "--check"), ("fsdd: recordings.npy.xz is not in", "get https://github.com/", "there"), {"files": {"data": None}, "env": {"WORKBENCH_DATA": "{here}/data", "XDG_CACHE_HOME": "{here}"}}),
        ("spoken digits that were altered", ("data", "fsdd", "--check"), ("fsdd/recordings.npy.xz: altered", "SHA-256", "44d90893995fddb6"), {"files": {f"data/fsdd/{name}": b"x" for name in download.SETS["fsdd"].files}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        *[("NTU without its recordings", ("run", "ntu_cs_plain6", "--budget", "smoke"), ("ntu: no *.skeleton in ", "nturgbd_skeletons_s001_to_s017.zip", "put it"), {"files": NTU_LISTS, "env": {"WORKBENCH_DATA": "{here}/data"}})][: len(NTU_LISTS)],
        ("NTU without its lists", ("data", "ntu", "--check"), ("NTU_RGBD_samples_with_missing_skeletons.txt: missing", "get it from https://", "put it there"), {"files": {"data/ntu/S001C001P001R001A001.skeleton": TEXT}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("NTU with a list that was altered", ("data", "ntu", "--check"), ("NTU_RGBD_samples_with_missing_skeletons.txt: altered",), {"files": {f"data/ntu/{name}": b"x" for name in download.SETS["ntu"].files}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("UTD-MHAD that was altered", ("data", "utd_mhad", "--check"), ("utd_mhad/skeletons.npy.xz: altered", "a8420161c753beeb"), {"files": {f"data/utd_mhad/{name}": b"x" for name in download.SETS["utd_mhad"].files}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("no UTD-MHAD anywhere", ("run", "utd_plain6", "--budget", "smoke"), ("utd_mhad: skeletons.npy.xz is not in", "Skeleton.zip and put it there"), {"files": {"data": None}, "env": {"WORKBENCH_DATA": "{here}/data", "XDG_CACHE_HOME": "{here}"}}),
        ("a treebank that was altered", ("data", "ptb", "--check"), ("ptb/ptb.train.txt: altered", "SHA-256", "fcea919f6cf83f35"), {"files": {f"data/ptb/{name}": b" a \n" for name in download.SETS["ptb"].files}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("MNIST's folder without its files", LOCATE, ("train-images-idx3-ubyte.gz: missing", "put it there"), {"files": {"data/mnist": None}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("no MNIST anywhere", LOCATE, ("mnist: train-images-idx3-ubyte.gz is not in", "put the files"), {"files": {"data": None}, "env": {"WORKBENCH_DATA": "{here}/data", "XDG_CACHE_HOME": "{here}"}}),
        ("a data folder that does not exist", LOCATE, ("WORKBENCH_DATA: ", "nowhere", "is not a folder"), {"env": {"WORKBENCH_DATA": "{here}/nowhere"}}),
        ("a data folder that is a file", LOCATE, ("WORKBENCH_DATA: ", "is not a folder"), {"files": {"data": "x"}, "env": {"WORKBENCH_DATA": "{here}/data"}}),
        ("a data folder without a name", LOCATE, ("WORKBENCH_DATA: ''", "is not a folder"), {"env": {"WORKBENCH_DATA": ""}}),
        ("a data folder of blanks", LOCATE, ("WORKBENCH_DATA: '  '", "is not a folder"), {"env": {"WORKBENCH_DATA": "  "}}),
    ),
]
# fmt: on

# --- the store ---


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def spec_with(**changes: Any) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        spec = json.loads((folder / "spec.json").read_text())
        (folder / "spec.json").write_text(json.dumps({**spec, **changes}))

    return damage


def checkpoint(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """The newest checkpoint changed, and named by its new hash: what a forger would do. Bytes replace all of it."""

    def damage(folder: Path) -> None:
        (path,) = folder.glob("ck-*.pt")
        state = torch.load(path, weights_only=True)
        content = change(state)
        if not isinstance(content, bytes):
            buffer = io.BytesIO()
            torch.save(state, buffer)
            content = buffer.getvalue()
        path.unlink()
        (folder / f"ck-1-{hashlib.sha256(content).hexdigest()[:16]}.pt").write_bytes(content)

    return damage


def of_another_run(state: dict[str, Any]) -> None:
    state["id"] = "0" * 16
    state["config"]["model"]["hidden"] = 8


def free_of_its_bound(state: dict[str, Any]) -> None:
    state["trainer"]["net"]["layers.1.u"].fill_(1.25)  # the bound is 2^(1/4) = 1.1892, ten learning rates 0.002


def of_another_shape(state: dict[str, Any]) -> None:
    state["trainer"]["net"]["layers.0.u"] = torch.zeros(7)


def claims_a_terabyte(state: dict[str, Any]) -> None:
    state["trainer"]["net"]["layers.0.u"] = torch.zeros(1).expand(10**12)


def without_a_weight(state: dict[str, Any]) -> None:
    del state["trainer"]["net"]["layers.0.u"]


def without_optimizer(state: dict[str, Any]) -> None:
    state["trainer"]["optimizer"] = {}


def linked_elsewhere(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def linked_to_itself(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder)


def link_inside(folder: Path) -> None:
    (folder / "notes.txt").symlink_to("/etc/hostname")


def read_only(_: Path) -> object:
    """A run where the disk takes nothing (permission bits do not bind an administrator)."""
    with patch.object(Path, "mkdir", side_effect=OSError(30, "Read-only file system")):
        return tiny_run(_)


def bundle(here: Path) -> object:
    """The prepared store, imported into another: whatever is wrong with it must be found before anything is copied."""
    with patch.object(places, "runs", lambda: here / "other" / "runs"):
        return adopt.adopt(here / "results")


def verify_all(_: Path) -> None:
    """`tables --verify`: the first complaint, as the error it would be."""
    for line in adopt.verify():
        raise store.StoreError(line)


# fmt: off
DAMAGES: dict[str, tuple[str, Callable[[Path], object], tuple[str, ...]]] = {  # id -> run, damage, fragments
    "a spec {}": ("begun", write("spec.json", "{}"), ("spec.json", "not a spec")),
    "an empty spec": ("begun", write("spec.json", ""), ("spec.json", "not JSON")),
    "a spec of one list": ("begun", write("spec.json", "[]"), ("spec.json", "not a spec")),
    "a spec of a newer schema": ("begun", spec_with(schema=99), ("spec.json", "schema 99 is newer", "update")),
    "a spec whose schema is text": ("begun", spec_with(schema="1"), ("spec.json", "not a spec")),
    "a spec with a wrong seed": ("begun", spec_with(seed=-1), ("spec.json", "seed", "greater than or equal to 0")),
    "a spec with wrong data": ("begun", spec_with(data=3), ("spec.json", "data", "dictionary")),
    "a spec with wrong threads": ("begun", spec_with(threads=0), ("spec.json", "threads", "greater than or equal to 1")),
    "a spec with another id": ("begun", spec_with(id="0" * 16), ("spec.json", "'0000000000000000'", "folder")),
    "a spec with a wrong config": ("begun", spec_with(config={"task": 1}, check=None), ("spec.json", "task: 1")),
    "a result {}": ("done", write("result.json", "{}"), ("result.json", "altered or not a result")),
    "an empty result": ("done", write("result.json", ""), ("result.json", "not JSON")),
    "a result of one list": ("done", write("result.json", "[]"), ("result.json", "altered or not a result")),
    "a result with half a character": ("done", write("result.json", '{"a": "\\ud800", "check": "x"}'), ("result.json", "altered")),
    "an event {}": ("begun", write("events.jsonl", "{}\n"), ("events.jsonl", "altered")),
    "an event of one list": ("begun", write("events.jsonl", "[]\n"), ("events.jsonl", "altered")),
    "an event with NaN": ("begun", write("events.jsonl", '{"a": NaN, "check": "x"}\n'), ("events.jsonl", "altered")),
    "an event of 100,000 brackets": ("begun", write("events.jsonl", "[" * 100_000 + "\n"), ("events.jsonl", "altered")),
    "a checkpoint of another run": ("begun", checkpoint(of_another_run), ("ck-1-", "a checkpoint of run 0000000000000000", "model.hidden 8, here 4")),
    "a checkpoint that torch cannot read": ("begun", checkpoint(lambda _: b"junk"), ("ck-1-", "cannot read it", torch.__version__)),
}
UNFIT = {  # checkpoints that are whole, but not of such a net: found when they are loaded
    "a checkpoint with u over its bound": (free_of_its_bound, ("step 1", "layers.1.u reaches 1.25", "0.002", "1.189")),
    "a checkpoint of another shape": (of_another_shape, ("step 1", "layers.0.u", "(7,)", "(4,) is needed")),
    "a checkpoint that lacks a weight": (without_a_weight, ("step 1", "layers.0.u is missing")),
    "a checkpoint without optimizer": (without_optimizer, ("not the state of such a run", "--fresh")),
}
STORES = [
    *[Case(f"{n}, read by a run", "Store", "file", tiny_run, STORE, says, run=r, damage=d) for n, (r, d, says) in DAMAGES.items()],
    *[Case(f"{n}, imported", "Store", "file", bundle, STORE, says, run=r, damage=d) for n, (r, d, says) in DAMAGES.items()],
    *[Case(f"{n}, verified", "Store", "file", verify_all, STORE, says, run=r, damage=d) for n, (r, d, says) in DAMAGES.items()],
    *[Case(n, "Store", "file", tiny_run, STORE, says, run="begun", damage=checkpoint(c)) for n, (c, says) in UNFIT.items()],
    *refused(
        "Store",
        "file",
        STORE,
        ("weights that are NaN, imported", bundle, ("ck-1-", "not finite"), {"run": "begun", "damage": checkpoint(lambda s: s["trainer"]["net"]["layers.0.u"].fill_(NAN))}),
        ("a checkpoint that claims a terabyte", bundle, ("ck-1-", "not finite"), {"run": "begun", "damage": checkpoint(claims_a_terabyte)}),
        ("a run's folder that is a link", tiny_run, ("a link", "never one"), {"run": "begun", "damage": linked_elsewhere}),
        ("a run's folder that is a link to itself", tiny_run, ("a link", "never one"), {"run": "begun", "damage": linked_to_itself}),
        ("a bundle with a link inside", bundle, ("notes.txt", "not a plain file"), {"run": "done", "damage": link_inside}),
        ("a bundle whose spec was rewritten", bundle, ("spec.json", "altered"), {"run": "done", "damage": spec_with(seed=5)}),
        ("results that are read-only", read_only, ("Read-only file system",)),
    ),
    *refused(
        "Store",
        "cli",
        STORE,
        ("results that are a file", smoke(), ("WORKBENCH_RESULTS: ", "is not a folder"), {"files": {"taken": "x"}, "env": {"WORKBENCH_RESULTS": "{here}/taken"}}),
        ("results below a file", ("list",), ("WORKBENCH_RESULTS: ", "Not a directory"), {"files": {"taken": "x"}, "env": {"WORKBENCH_RESULTS": "{here}/taken/runs"}}),
        ("results that are a link to themselves", ("list", "runs"), ("WORKBENCH_RESULTS: ", "symbolic links"), {"files": {"loop": Link("loop")}, "env": {"WORKBENCH_RESULTS": "{here}/loop"}}),
        ("results that are a link to nothing", ("tables",), ("WORKBENCH_RESULTS: ", "is not a folder"), {"files": {"gone": Link("nothing")}, "env": {"WORKBENCH_RESULTS": "{here}/gone"}}),
        ("results whose name is too long", ("status",), ("WORKBENCH_RESULTS: ", "too long"), {"env": {"WORKBENCH_RESULTS": "{here}/" + "x" * 300}}),
        ("results without a name", ("list",), ("WORKBENCH_RESULTS: ''", "is not a folder"), {"env": {"WORKBENCH_RESULTS": ""}}),
        ("results of blanks", ("list",), ("WORKBENCH_RESULTS: '  '", "is not a folder"), {"env": {"WORKBENCH_RESULTS": "  "}}),
        ("results that are a file, for many runs", ("reproduce", ADDING), ("WORKBENCH_RESULTS: ", "is not a folder"), {"files": {"taken": "x"}, "env": {"WORKBENCH_RESULTS": "{here}/taken"}}),
        ("a file in the place of runs", smoke(), ("runs/", "Not a directory"), {"files": {"own/runs": "x"}, "env": {"WORKBENCH_RESULTS": "{here}/own"}}),
        ("a bundle that is not there", ("import", "{here}/nowhere"), ("nowhere: no runs there", "is needed")),
        ("a bundle that is a file", ("import", "{here}/bundle"), ("bundle", "cannot be read"), {"files": {"bundle": "x"}}),
        ("a bundle without runs", ("import", "{here}/bundle"), ("bundle: no runs there",), {"files": {"bundle/0123456789abcdeg/spec.json": "{}"}}),
        ("a bundle with an empty run", ("import", "{here}/bundle"), ("0123456789abcdef/spec.json", "not JSON"), {"files": {"bundle/0123456789abcdef/spec.json": ""}}),
        ("a bundle with a run of nothing", ("import", "{here}/bundle"), ("0123456789abcdef/spec.json", "missing"), {"files": {"bundle/0123456789abcdef": None}}),
        ("a bundle whose name has 300 characters", ("import", "b" * 300), ("bbb", "too long")),
    ),
    Case("a bundle whose name has a NUL", "Store", "cli", ("import", "a\0b"), PARAMETER, ("folder", "null byte")),
]
# fmt: on

CASES = [*SIZES, *SEQUENCES, *TRAINING, *MANY, *PARAMETERS, *DATA_CASES, *STORES]
