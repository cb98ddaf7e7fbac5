"""The trained nets at hand: from a record, or the net as it starts where there is none yet, with an offer to train."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ... import files, paper
from ...analysis import interventions
from ...analysis.figures.style import EACH, Time
from ...config import Budget, Config, Task, run_id
from ...errors import MissingData, WorkbenchError
from ...models.build import build, recurrent_weights
from ...paper.reader_names import reader_names
from ...runs.asked import resolve
from ...runs.folder import Run, lookup
from ...runs.record import Record, there
from ...runs.run import run as run_experiment
from ...seeds import generator
from ...tasks import Batch, data_hashes, load, spec
from ...tasks.sequences import Sequences
from ...tasks.treebank import TreebankTask
from ...training import CLEAN_BATCHES, evaluate
from . import loaded, own_records
from .base import Job, Tell

SLOW = 128  # steps; nets over longer sequences are run off the main thread
TESTED = 360  # test examples on which every explorer scores a net: all that the 8 x 8 digits have
UNITS = {"class": "% right", "real": "mean squared error", "token": "bits a character"}


@dataclass(frozen=True)
class TrainedNet:
    """An experiment's net at a seed, or one of one's own: trained if it is recorded, else as it starts. Equal where the
    net is."""

    experiment: str
    config: Config
    seed: int
    step: int
    path: Path | None  # of its record
    goal: int = field(compare=False)  # the step that training here goes to
    budget: Budget = field(default="quick", compare=False)
    changes: Mapping[str, Any] | None = field(default=None, compare=False)
    data: own_records.Data = ()  # of other sequences under the same path it is another net

    @cached_property
    def record(self) -> Record | None:
        return None if self.path is None else Record(Run(self.path))

    @property
    def net(self) -> nn.Module:
        """With its best weights, in evaluation mode; kept in memory for the next look."""
        return _net(self)

    @property
    def fresh(self) -> TrainedNet:
        """The same net as it starts."""
        return replace(self, step=0, path=None)

    @property
    def slow(self) -> bool:
        """Say whether running it takes longer than a reader waits."""
        return spec(self.config.task).steps > SLOW

    @property
    def weights(self) -> dict[int, dict[str, Tensor]]:
        """step -> layer -> u (N,): at the start, then at each evaluation."""
        return _weights(self)

    @property
    def origin(self) -> str:
        """Origin of the weights, in words for a sentence."""
        if self.record is None:
            return f"{self.name} as it starts (nothing is recorded yet)"
        whose = "published record" if self.record.published else "your record"
        return f"{self.name}, {whose} of step {self.step:,}"

    @property
    def name(self) -> str:
        """Name of the net for a reader, with as many layers as it has."""
        layers = f"{(depth := self.config.model.depth)} layer{'s' * (depth > 1)}"
        return re.sub(r"\b\d+ layers?\b", layers, reader_names([self.experiment])[self.experiment])

    @property
    def time(self) -> Time:
        """The time of its steps."""
        task = self.config.task
        return Time(task.step, task.unit) if isinstance(task, Sequences) else EACH

    def batch(self, count: int, alike: bool = False) -> Batch:
        """The first test examples; some of one's own sequences, all of one length where they are to be `alike`."""
        return _batch(self.config.task, self.seed, self.data, count, alike)

    def example(self, index: int) -> Tensor:
        """One of the first TESTED test examples, without what pads it: (T, 1, M), of text (T, 1)."""
        batch = self.batch(TESTED)
        end = len(batch.x) if batch.lengths is None else int(batch.lengths[index])
        return batch.x[:end, index : index + 1]

    def answer(self, number: float) -> str:
        """An answer in words: the class of a number, or a number in its own unit."""
        task = self.config.task
        if isinstance(task, Sequences):
            return own_records.answer(task, self.seed, self.data, number)
        return f"{number:.0f}" if self.target == "class" else f"{number:.3f}"

    @property
    def target(self) -> str:
        return spec(self.config.task).target

    @property
    def answers(self) -> Tensor:
        """The score of each of the first TESTED test examples, see interventions.answers."""
        return _answers(self)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols that the tokens of a text stand for; () where the task is not text."""
        return loaded.symbols(self.config.task, self.seed)

    @property
    def order(self) -> Tensor:
        """Pixels of the image in the order in which the steps read them, (T,)."""
        return loaded.order(self.config.task, self.seed)

    def job(self, device: str = "auto") -> Job | None:
        """An offer to train it as far as the budget goes; none where it is there, or its data are missing."""
        if self.step >= self.goal:
            return None
        try:
            data_hashes(self.config.task)
            load(self.config.task, self.seed, self.config.train.batch)
        except MissingData:
            return None
        verb = "Train it" if self.record is None or self.published else "Go on training"
        return Job(f"{verb} ({self.goal:,} steps)", lambda tell, stop: self.train(tell, stop, device))

    def train(self, tell: Tell, stop: threading.Event, device: str = "auto", name: str = "") -> None:
        """Train it in this thread, recorded like any run: progress through `tell`, Stopped soon after `stop` is set."""
        tell(None, f"{name} training ...".strip())

        def watch(row: dict[str, Any]) -> None:
            tell(row["step"] / self.goal, f"{name} step {row['step']:,} of {self.goal:,}".strip())

        what: str | Config = self.experiment if self.experiment in paper.EXPERIMENTS else self.config
        budget, changes = (self.budget, self.changes) if isinstance(what, str) else ("quick", None)
        until = None if self.config.train.schedule == "one_cycle" else self.goal
        ways = {"changes": changes, "until": until, "device": device, "progress": False}
        run_experiment(what, budget, self.seed, watch=watch, stop=stop, **ways)  # type: ignore[arg-type]

    @property
    def published(self) -> bool:
        """Say whether its weights come with the project."""
        return self.record is not None and self.record.published


def trained_net(
    experiment: str | Config,
    budget: Budget = "quick",
    changes: Mapping[str, Any] | None = None,
    seed: int = 0,
    until: int | None = None,
) -> TrainedNet:
    """The net of an experiment, or of a config of one's own, from the furthest record, one's own or published.

    Of a cycle it is the whole one, of which a shorter budget's is no beginning.
    Or that of a record of one's own sequences, by its name among `own_records`, with its seed.
    """
    last: int | None
    if isinstance(experiment, str) and experiment not in paper.EXPERIMENTS and experiment in own_records.found():
        own = own_records.found()[experiment]
        name, config, seed, last = experiment, own.config.set(changes or {}), own.seed, None
    else:
        known = paper.EXPERIMENTS.get(experiment) if isinstance(experiment, str) else None
        budget = "paper" if known is not None and known.config.train.schedule == "one_cycle" else budget
        name, config, last = resolve(experiment, budget if isinstance(experiment, str) else "quick", changes)
    until = None if config.train.schedule == "one_cycle" else until
    record, goal = find(config, seed), until or last or config.train.steps or 0
    step, path = (0, None) if record is None else (_shown(record) or 0, record.run.path)
    data: own_records.Data = ()
    with contextlib.suppress(WorkbenchError):
        data = tuple(sorted(data_hashes(config.task).items()))
    return TrainedNet(name.removesuffix("*"), config, seed, step, path, goal, budget, changes, data)


def find(config: Config, seed: int) -> Record | None:
    """The furthest record of a config and seed that has something to show."""
    steps = {record: _shown(record) for record in _there(config, seed)}
    return max((r for r in steps if steps[r] is not None), key=lambda record: steps[record] or 0, default=None)


def evaluations(config: Config, seed: int) -> list[dict[str, Any]]:
    """The rows of the furthest record's curve, of a run under way too; none where there is no record."""
    curves = []
    for record in _there(config, seed):
        with contextlib.suppress(WorkbenchError):
            curves.append(record.evaluations)
    return max(curves, key=len, default=[])


def _there(config: Config, seed: int) -> list[Record]:
    try:
        name = run_id(config, seed, data_hashes(config.task))
    except WorkbenchError:
        return []
    found = there(name)
    if any(not record.published for record in found):
        return found
    shipped = lookup(_shipped(), name)  # to look at until there is one's own
    return found if shipped is None else [Record(shipped), *found]


def _shipped() -> Path:
    """The nets made for the explorers, whose batch norm has its clean statistics already."""
    return files.published() / "explorers" / "runs"


def _shown(record: Record) -> int | None:
    """The step of the weights that a record has to show; None without an evaluation or a checkpoint."""
    folder = record.run.path
    try:
        changed = (folder / "events.jsonl").stat().st_mtime_ns, folder.stat().st_mtime_ns
        return _step(folder, changed) if record.run.checkpoints() else None
    except (OSError, WorkbenchError):
        return None


@lru_cache(maxsize=1024)
def _step(folder: Path, changed: tuple[int, int]) -> int | None:
    """Read once for every state of the record's files: an explorer asks at each move."""
    record = Record(Run(folder))
    return record.step if record.evaluations else None


def score(answers: Tensor, target: str) -> float:
    """The mean of answers in `UNITS`."""
    return float(answers.mean()) * (100 if target == "class" else 1)


def scored(answers: Tensor, target: str) -> str:
    """`score` in words, with the examples that it is of."""
    joined = "of" if target == "class" else "on"
    return f"{score(answers, target):.3g} {UNITS[target]} {joined} {len(answers):,} test examples"


@lru_cache(maxsize=64)
def _answers(of: TrainedNet) -> Tensor:
    return interventions.answers(of.net, of.batch(TESTED), of.target)


@lru_cache(maxsize=40)
def _net(of: TrainedNet) -> nn.Module:
    """Record.net without an optimiser, whose import alone costs seconds."""
    net = build(of.config.model, spec(of.config.task), generator(of.seed, "init"))
    state = of.record.run.load_checkpoint() if of.record else None
    if state is not None:
        trained = state["trainer"]
        net.load_state_dict((trained["best"] or trained)["net"])
        running = of.config.train.bn_statistics == "running"
        if running or (of.path is not None and _shipped() in of.path.parents):
            return net.eval()
        with contextlib.suppress(MissingData):  # where data cannot be had, batch norm keeps the statistics of training
            task = load(of.config.task, of.seed, of.config.train.batch)
            evaluate.reestimate_(net, (task.clean(index) for index in range(CLEAN_BATCHES)))
    return net.eval()


@lru_cache(maxsize=16)
def _weights(of: TrainedNet) -> dict[int, dict[str, Tensor]]:
    start = build(of.config.model, spec(of.config.task), generator(of.seed, "init"))
    return {0: recurrent_weights(start), **(of.record.recurrent_weights() if of.record else {})}


@lru_cache(maxsize=8)
def _batch(task: Task, seed: int, data: own_records.Data, count: int, alike: bool) -> Batch:
    if isinstance(task, Sequences):
        return own_records.loaded(task, seed, data).sample("test", count, alike)
    known = load(task, seed, 1)
    if not isinstance(known, TreebankTask):
        return next(iter(known.examples("test", count)))
    text, T = known.text.tokens["test"], known.spec.steps  # the first lines, each read from its beginning
    ends = (text[: len(text) - T] == known.end).nonzero()[:count, 0]
    at = ends + torch.arange(T)[:, None]
    return Batch(text[at], text[at + 1])
