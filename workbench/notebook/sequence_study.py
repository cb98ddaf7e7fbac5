"""Sequences of one's own in a notebook: several kinds of net trained alike on them, and what they learnt."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from torch import Tensor

from .. import files, tasks
from ..analysis import interventions, memory
from ..analysis import sequences as of_sequences
from ..analysis.figures import blank
from ..analysis.figures import sequences as drawn
from ..analysis.statistics import wilson
from ..config import Config
from ..errors import ParameterError, choices, quoted
from ..models import count_of
from ..models.layer import recurrences
from ..runs import export, recipe
from ..runs.record import Record
from ..runs.run import run
from ..tasks.sequences.task import SequencesTask
from ..training import evaluate
from .ready_sequences import ready

FIELDS = ("test_path", "target", "group", "split", "sequence", "time", "columns", "longest", "limit")  # empty: left out
GIVEN = ("answer", "missing", "step", "unit")
SMOKE, FEW = 2, 60  # passes through the training sequences, and sequences of each part, at the smoke budget
WIDTHS = range(4, 1025, 4)  # neurons a layer, among which as many parameters are looked for
NAMES = {
    "plain": "IndRNN",
    "bidirectional": "IndRNN, both ways",
    "lstm": "LSTM",
    "gru": "GRU",
    "mingru": "minGRU",
    "convolution": "convolution",
    "linear": "linear",
}


class SequenceStudy:
    """Study of sequences of one's own: `wb.SequenceStudy(study.values)` right after `study`.

    Parameter `model` is the kind of net that is looked into, `against` those beside it: all have about as many
    parameters (but `linear`), the recipe's schedule, and the same batches. `records` trains what is not recorded yet.
    """

    def __init__(self, values: Mapping[str, Any]):
        self.values = values = {**values, **ready(values["path"])}
        self.kinds = list(dict.fromkeys([values["model"], *values["against"]]))
        if strange := [kind for kind in self.kinds if kind not in NAMES]:
            raise ParameterError(f"model: {quoted(strange[0])} received; choose among {choices(NAMES)}")
        self.configs: dict[str, Config] = {}
        self._changes: dict[str, dict[str, Any]] = {}
        for kind in self.kinds:  # the one that is looked into comes first
            self._changes[kind] = self._settings(kind)
            self.configs[kind] = recipe.of_file(values["path"], self._changes[kind])

    @property
    def config(self) -> Config:
        """The config of `model`."""
        return self.configs[self.values["model"]]

    @cached_property
    def task(self) -> SequencesTask:
        """The data under seed 0, read, split and checked."""
        return cast(SequencesTask, tasks.load(self.config.task, 0, self.config.train.batch))

    @cached_property
    def records(self) -> dict[str, list[Record]]:
        """Kind -> its runs, a seed each; trains those that are not recorded."""
        seeds, device = range(self.values["seeds"]), self.values["device"]
        path = self.values["path"]
        return {
            kind: [run(path, seed=seed, device=device, changes=changes) for seed in seeds]
            for kind, changes in self._changes.items()
        }

    def data(self) -> pd.DataFrame:
        """Describe the data, a row a part."""
        return of_sequences.described(self.task)

    def leaks(self) -> pd.DataFrame:
        """List what may give the answers away, a row a way."""
        return of_sequences.leaks(self.task)

    def lengths(self) -> go.Figure:
        """Draw how long the sequences are, in the unit of `unit`."""
        lengths, step = self.task.lengths, self.values["step"]
        ends = {str(part): (lengths[rows] * step).tolist() for part, rows in self.task.rows.items()}
        return drawn.lengths(ends, self.values["unit"])

    def table(self) -> pd.DataFrame:
        """A row a kind: parameters, the score on test over all seeds, its interval over examples, validation, cost."""
        rows = []
        for kind, records in self.records.items():
            scores = [record.budgets[-1] for record in records]
            row: dict[str, Any] = {"net": NAMES[kind], "parameters": count_of(self.configs[kind].model, self.task.spec)}
            row |= {"hidden": self.configs[kind].model.hidden if kind != "linear" else None, "seeds": len(records)}
            row |= self._score([score["test"] for score in scores])
            row["validation"] = self._score([score["valid"] for score in scores])["test"]
            row["steps"] = max(record.step for record in records)
            row["wall seconds a run"] = round(sum(score["cost"]["wall_s"] for score in scores) / len(scores), 1)
            rows.append(row)
        return pd.DataFrame(rows).astype({"hidden": "Int64"}).set_index("net")

    def scores(self) -> go.Figure:
        """The scores on test with their intervals."""
        return drawn.scores(self.table(), "test accuracy, %" if self.task.classes else "test mean squared error")

    def curves(self) -> go.Figure:
        """The score on validation over passes through the training data, a line a run."""
        each = {kind: -(-len(self.task.rows["train"]) // config.train.batch) for kind, config in self.configs.items()}
        measure = "accuracy" if self.task.classes else "mse"
        lines = [
            (NAMES[kind], [row["step"] / each[kind] for row in rows], [row["valid"][measure] for row in rows])
            for kind, records in self.records.items()
            for rows in (record.evaluations for record in records)
        ]
        return drawn.curves(lines, percent=measure == "accuracy")

    def confusion(self) -> go.Figure:
        """Answers of the first run of `model` on test: which classes it takes for which; of numbers it says so."""
        if not self.task.classes:
            return _told("The answers are numbers: there are no classes to take for one another.")
        return drawn.confusion(of_sequences.confusion(self.net, self.task))

    @cached_property
    def net(self) -> torch.nn.Module:
        """The trained net that is looked into: `model`, seed 0, in evaluation mode, with its card."""
        kind = self.values["model"]
        return export.of_record(self.records[kind][0], f"{Path(self.task.config.path).stem}_{kind}")

    def weights(self) -> go.Figure:
        """Draw how long each neuron of each layer remembers, in the unit of `unit`; where none has a u it says so."""
        layers = [found.u.detach() for found in recurrences(self.net).values()]
        if not layers:
            return _told(f"model: {NAMES[self.values['model']]}. Its neurons have no recurrent weight of their own.")
        return drawn.memories(layers, self.values["step"], self.values["unit"], self.task.spec.steps)

    def memory(self) -> go.Figure:
        """Draw how far back each kind's answer reaches: its gradient at each step before the end, on test sequences."""
        lines, rows = {}, self.task.rows["test"]
        for kind, records in self.records.items():
            if kind in ("linear", "convolution"):
                continue  # read at once: a gradient through time says nothing of a memory
            net = self.net if kind == self.values["model"] else records[0].net()
            batch = self.task.read(rows[:: -(-len(rows) // 64)])
            lines[NAMES[kind]] = memory.gradient_through_time(net, batch.x, batch.lengths)
        return drawn.reach(lines, self.values["step"], self.values["unit"])

    def contributions(self, example: int) -> go.Figure:
        """Draw what each step of a test sequence adds to the net's answer, against the mean sequence."""
        x, answered, words = self.example(example)
        found = interventions.contributions(self.net, x, 0.0, answered)
        return drawn.contributions(found, x[:, 0], self.values["step"], self.values["unit"], words)

    def example(self, index: int) -> tuple[Tensor, int, str]:
        """A test sequence x (T, 1, channels), the number of the answer that is looked at, and both answers in words."""
        rows = self.task.rows["test"]
        if not 0 <= index < len(rows):
            raise ParameterError(f"example: {index} received; the test has sequences 0 to {len(rows) - 1}")
        batch = self.task.read(rows[index : index + 1])
        with torch.no_grad():
            output, _ = evaluate.answer(self.net, batch, self.task.spec.target)
        if not self.task.classes:
            return batch.x, 0, f"answer {float(output):.3g}, true {float(batch.y):.3g}, both scaled"
        answered = int(output.argmax())
        true = self.task.classes[int(batch.y)]
        return batch.x, answered, f"test sequence {index}: answered {self.task.classes[answered]}, is {true}"

    def export(self, to: str = "safetensors") -> str:
        """Write the net that was looked into, its scaler with it, to results/nets -> the file."""
        return str(export.written(self.net, to, files.results() / "nets"))

    def _settings(self, kind: str) -> dict[str, Any]:
        """The fields of a kind that differ from the recipe's, as wide as gives about as many parameters as `model`."""
        values = self.values
        smoke = values["budget"] == "smoke"
        changes: dict[str, Any] = {f"task.{name}": values[name] for name in FIELDS if values[name]}
        changes |= {f"task.{name}": values[name] for name in GIVEN} | {"model.kind": kind}
        if smoke:
            changes["task.limit"] = min(values["limit"] or FEW, FEW)
        config = recipe.of_file(values["path"], changes)
        each = (config.train.steps or 0) // recipe.EPOCHS  # steps of a pass
        changes["train.steps"] = (min(values["epochs"], SMOKE) if smoke else values["epochs"]) * each
        if kind in (values["model"], "linear"):
            return changes
        spec = tasks.spec(config.task)
        wanted = count_of(self.config.model, spec)
        found = {width: config.set({"model.hidden": width}).model for width in _about(WIDTHS, wanted, config, spec)}
        width = min(found, key=lambda width: abs(count_of(found[width], spec) - wanted))
        return changes | {"model.hidden": width}

    def _score(self, scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """The mean of some runs' scores, an accuracy in per cent with its interval over examples."""
        if not self.task.classes:
            return {"test": float(np.mean([score["mse"] for score in scores]))}
        share = float(np.mean([score["accuracy"] for score in scores]))
        low, high = wilson(share, int(scores[0]["n"]))
        return {"test": 100 * share, "low": 100 * low, "high": 100 * high}


def _told(words: str) -> go.Figure:
    """Words in place of a figure, so that the cells below are run."""
    figure = blank("", "").add_annotation(text=words, x=0, y=0.5, xref="paper", yref="paper", showarrow=False)
    return figure.update_xaxes(visible=False).update_yaxes(visible=False).update_layout(height=100, margin={"b": 10})


def _about(widths: range, wanted: int, config: Config, spec: tasks.Spec) -> range:
    """The two widths between whose numbers of parameters the wanted one lies."""
    at = bisect.bisect_left(widths, wanted, key=lambda width: count_of(config.set({"model.hidden": width}).model, spec))
    return widths[max(0, at - 1) : at + 1]
