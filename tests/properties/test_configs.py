"""Any config that the schema lets through trains a step to finite numbers, or is refused by an error of ours."""

import math
from collections import Counter
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from properties.drawn import changes, many

from workbench import tasks
from workbench.config import Adding, Config, Kind, Pixels, Skeletons, Speech, Treebank, run_id
from workbench.errors import WorkbenchError
from workbench.models.build import build, count, count_of
from workbench.tasks import treebank
from workbench.training import Trainer

KINDS = st.sampled_from(get_args(Kind))
SMALL = {"depth": 2, "hidden": 4}
TRAINED = {"adding": Adding, "pixels": Pixels, "treebank": Treebank}
BASE = {
    "adding": {"name": "adding", "length": 5},
    "pixels": {"name": "pixels", "source": "digits", "limit": 12},
    "treebank": {"name": "treebank", "length": 5},
    "skeletons": {"name": "skeletons"},
    "speech": {"name": "speech"},
}


def drawn(task, kind, changed):
    """A small config with some fields changed, or None where it is refused."""
    model = {"kind": kind} | ({"blocks": (1, 1), "growth": 2} if kind == "dense" else SMALL)
    model |= {"embedding": 3} if task == "treebank" else {}
    train = {"batch": 3, "steps": 3} | ({"bn_statistics": "running"} if task == "treebank" else {})
    try:
        return Config.parse({"task": BASE[task], "model": model, "train": train}).set(changed)
    except WorkbenchError:
        return None


@pytest.mark.parametrize("task", TRAINED)
def test_any_config_trains_a_step_to_finite_numbers_or_is_refused(task, monkeypatch, record_property):
    rng = torch.Generator().manual_seed(0)
    tokens = {s: torch.randint(0, 9, (n,), generator=rng) for s, n in (("train", 400), ("valid", 40), ("test", 40))}
    text = treebank.Text(tokens, ("<eos>", "\n", *map(str, range(7))))
    monkeypatch.setattr(treebank, "read", lambda folder, unit: text)
    monkeypatch.setattr(treebank.download, "locate", lambda name: None)
    monkeypatch.setattr("workbench.tasks.pixels.mnist", lambda: tasks.pixels.digits())
    ended = Counter()

    @many(40)
    @given(KINDS, changes(TRAINED[task]), st.integers(0, 2**63 - 1))
    def holds(kind, changed, seed):
        config = drawn(task, kind, changed)
        if config is None or (task == "pixels" and config.task.source == "mnist"):
            ended["refused"] += 1
            return
        try:
            trainer = Trainer(config, seed)
            loss = trainer.advance()
        except WorkbenchError:
            ended["refused"] += 1
            return
        ended["trained"] += 1
        assert math.isfinite(loss)
        assert trainer.step == 1
        assert all(bool(torch.isfinite(w).all()) for w in trainer.net.state_dict().values())

    holds()
    record_property("examples", sum(ended.values()))
    assert ended["trained"] > ended["refused"] / 9


def test_any_config_has_one_name_and_one_text(record_property):
    """It comes back out of its own JSON, its id does not change on the way, and its net's size is what is announced."""
    ended = Counter()

    @many(60)
    @given(st.data(), st.sampled_from(sorted(BASE)), KINDS)
    def holds(data, task, kind):
        section = {**TRAINED, "skeletons": Skeletons, "speech": Speech}[task]
        config = drawn(task, kind, data.draw(changes(section)))
        ended["refused" if config is None else "taken"] += 1
        if config is None:
            return
        again = Config.parse(config.model_dump_json())
        assert again == config
        assert run_id(again, 3, {}) == run_id(config, 3, {})
        assert again.set({}) == config
        spec = tasks.spec(config.task)
        announced = count_of(config.model, spec)
        assert announced > 0
        if announced < 100_000:
            assert count(build(config.model, spec, torch.Generator().manual_seed(0))) == announced

    holds()
    record_property("examples", sum(ended.values()))
    assert ended["taken"] > 10
