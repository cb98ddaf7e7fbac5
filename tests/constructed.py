"""Records that were never trained: what the table reads of one, without a net or a file."""

from types import SimpleNamespace

import pandas as pd
import torch

from workbench import paper
from workbench.paper import claims as claims_table
from workbench.runs.provenance import NUMERICS
from workbench.tasks import data_hashes

PRESENT = claims_table.table_hash(claims_table.present())
UNDER_WAY = object()  # a value: of a seed that has no result yet


class Constructed:
    """A record of an experiment: what `claims` reads of one, without a net or a file."""

    smoke, published = False, True

    def __init__(self, experiment, seed, value, metric="accuracy", **other):
        known = paper.experiment(experiment.removesuffix("*"))
        self.experiment, self.seed = experiment, seed
        self.config = known.config.set(other.pop("changes", {}))
        self.spec = {"data": other.pop("data", data_hashes(known.config.task))}
        self.numerics, self.claims = other.pop("numerics", NUMERICS), other.pop("claims", PRESENT)
        self.step = other.pop("step", 1_000)
        self.curve = pd.DataFrame(other.pop("curve", {"step": []}))
        self.weights = other.pop("u", {})  # step -> layer -> u, of the evaluations
        self.evaluations = [{"step": step} for step in self.weights]
        diverged = value is None
        self.status = "diverged" if diverged else "resumable" if value is UNDER_WAY else "done"
        test = {metric: value, "n": 10_000} if self.status == "done" else {metric: 0.1, "n": 10_000}
        row = {"step": self.step, "test": test, "provenance": {"device": "CPU"}, "cost": {"wall_s": 360.0}}
        row["best_step"] = other.pop("best_step", self.step)
        self.budgets = [row]
        self.run = SimpleNamespace(result=lambda: None if value is UNDER_WAY else row)
        assert not other

    def recurrent_weights(self):
        return self.weights


def of(experiment, *values, **other):
    """Records of seeds 0, 1, ... of an experiment; test errors in per cent, None diverged."""
    given = [1 - v / 100 if isinstance(v, float) else v for v in values]
    return [Constructed(experiment, seed, value, **other) for seed, value in enumerate(given)]


def with_u(name, seed, *u, value=0.5, **more):
    """A record of two evaluations, whose u are these at the last one and 9 at the one before."""
    layers = {f"layers.{i}": torch.tensor(values, dtype=torch.float64) for i, values in enumerate(u)}
    return Constructed(name, seed, value, u={500: {k: 9 + 0 * v for k, v in layers.items()}, 1_000: layers}, **more)


def curve(name, *errors):
    """A record whose validation errors are these: shares, or bits a character."""
    column = "valid_bpc" if name.startswith("ptb") else "valid_accuracy"
    values = [e if column == "valid_bpc" else 1 - e for e in errors]
    return Constructed(name, 0, 0.99, curve={"step": range(len(errors)), column: values})
