"""A record whose checks are right and whose rows are not: each is refused by name before anything reads on."""

import json

import pytest
import torch
from fuzz.targets import TINY, begun, path_of

from workbench.config import parse_json
from workbench.errors import ParameterError, StoreError
from workbench.runs import checkpoint, events, lock
from workbench.runs.folder import Run
from workbench.runs.record import Record, decode, encode
from workbench.training import Trainer

SPEC = {"schema": 1, "id": "0" * 16, "config": {}, "seed": 2**63 - 1, "threads": 1024, "data": {}}
EVALUATION = {"event": "evaluation", "step": 1, "lr": 0.1, "outcome": "wait", "train": {"mse": None}, "u": {}}
WHERE = {"device": "cpu", "torch": "2", "backend": "loop", "system": "x"}
RESULT = {"status": "done", "step": 3, "test": {"mse": 0.1}, "provenance": WHERE, "cost": {"wall_s": 1}}


@pytest.fixture
def run(tmp_path):
    path = tmp_path / ("0" * 16)
    path.mkdir()
    return Run(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema 2 is newer than this version's 1; update"),
        ({"schema": 0}, "not a spec of a run: schema"),
        ({"schema": "1"}, "not a spec of a run"),
        ({"seed": -1}, "not a spec of a run: seed"),
        ({"seed": 2**63}, "not a spec of a run: seed"),
        ({"threads": 0}, "not a spec of a run: threads"),
        ({"threads": 1025}, "not a spec of a run: threads"),
        ({"more": 1}, "not a spec of a run: more"),
        ({"id": "1" * 16}, "id '1111111111111111' does not match its folder"),
        ({"check": "0" * 64}, "altered"),
    ],
)
def test_a_spec_of_another_shape_is_named(run, change, said):
    (run.path / "spec.json").write_text(json.dumps(SPEC))
    assert run.spec() == SPEC
    (run.path / "spec.json").write_text(json.dumps(SPEC | change))
    with pytest.raises(StoreError, match=said):
        run.spec()


def test_a_byte_that_looks_like_the_end_of_a_line_hides_no_row(run):
    """A bit makes `-` or `M` a carriage return."""
    for step in (1, 2, 3):
        run.append({"event": "loss", "step": step, "loss": -1.5})
    path = run.path / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b"-", b"\r", 1))
    with pytest.raises(StoreError, match=r"events\.jsonl, line 1: altered"):
        run.events()


def test_rows_of_the_right_shape_are_taken_with_whatever_else_they_hold():
    assert events.misshapen("evaluation", EVALUATION | {"more": [1]}) is None
    assert events.misshapen("result", RESULT) is None
    assert events.misshapen("budget", RESULT | {"status": 7}) is None
    assert events.misshapen("of a later version", {"step": 0}) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step": -1}, "line 1: not an event: step"),
        ({"step": "1"}, "line 1: not an event: step"),
        ({"event": 3}, "line 1: altered"),
        ({"lr": "0.1"}, "evaluation of step 1: lr"),
        ({"valid": {"mse": "x"}}, "evaluation of step 1: valid.mse"),
        ({"u": [1]}, "evaluation of step 1: u"),
        ({"event": "budget"}, "budget of step 1: provenance"),
    ],
)
def test_an_event_of_another_shape_is_named(run, change, said):
    run.append(EVALUATION | change)
    with pytest.raises(StoreError, match=said):
        _ = Record(run).events


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "won"}, "status"),
        ({"cost": 3}, "cost"),
        ({"provenance": {}}, "provenance.device"),
        ({"step": 1.5}, "step"),
    ],
)
def test_a_result_of_another_shape_is_named_and_its_run_is_damaged(run, change, said):
    run.finish(RESULT | change)
    with pytest.raises(StoreError, match=f"not a result: {said}"):
        run.result()
    assert lock.status(run) == "damaged"


def test_a_trouble_of_another_shape_is_left_out(run):
    lock.note(run, "died", "its process was killed")
    run.append({"event": "died", "kind": 7, "step": 0, "said": "x"}, "troubles.jsonl")
    assert [t["said"] for t in run.troubles()] == ["its process was killed"]


def test_a_vector_comes_back_exactly_and_no_other_text_is_one():
    u = torch.tensor([0.1, -1.5, 3e-8])
    assert torch.equal(decode(encode(u)), u)
    for text in ("AAA=", "AA", "????", "ä"):
        with pytest.raises(StoreError, match="is not a vector"):
            decode(text)


def test_half_of_a_surrogate_pair_is_no_text():
    assert parse_json('{"a": "\\ud83d\\ude00"}', "here") == {"a": "\U0001f600"}
    with pytest.raises(ParameterError, match="here: not JSON"):
        parse_json('{"a": "\\ud800"}', "here")


def state():
    return checkpoint.unpack(begun(), path_of(begun()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s["trainer"]["schedule"].update(lr="x"), "trainer.schedule.lr"),
        (lambda s: s["trainer"]["schedule"].update(ended=True), "trainer.schedule.ended"),
        (lambda s: s["trainer"]["net"].update(u=1), "trainer.net.u"),
        (lambda s: s["trainer"].update(step=-1), "trainer.step"),
        (lambda s: s.pop("events"), "events"),
        (lambda s: s["trainer"].update(carried=[torch.zeros(2).to_sparse()]), "another kind than plain numbers"),
        (lambda s: s["trainer"].update(carried=[torch.empty(2, device="meta")]), "another kind than plain numbers"),
    ],
)
def test_a_checkpoint_of_another_shape_is_named(change, said):
    forged = state()
    change(forged)
    content, _ = checkpoint.pack(forged)
    with pytest.raises(StoreError, match=said):
        checkpoint.unpack(content, path_of(content))


def test_a_checkpoint_that_claims_more_numbers_than_it_holds_is_damaged():
    """One number seen as many; in bytes they are twice the whole file."""
    forged = state()
    forged["trainer"]["carried"] = [torch.zeros(()).expand(len(begun()) // 2)]
    content, _ = checkpoint.pack(forged)
    with pytest.raises(checkpoint.Damaged):
        checkpoint.unpack(content, path_of(content))


@pytest.mark.parametrize(
    ("moments", "said"),
    [
        ({"exp_avg": torch.zeros(1)}, r"exp_avg of parameter 0 .* of shape \(2, 2\) is needed"),
        ({"exp_avg_sq": torch.zeros(2, 2, dtype=torch.int64)}, "exp_avg_sq of parameter 0 is torch.int64"),
        ({"step": torch.zeros(2)}, r"step of parameter 0 .* of shape \(\) is needed"),
        ({"more": torch.zeros(2)}, "is none of Adam's here"),
    ],
)
def test_moments_that_would_crash_the_optimizer_are_refused(moments, said):
    """Of torch's fused Adam they end the process."""
    forged = state()["trainer"]
    forged["optimizer"]["state"][0] |= moments
    with pytest.raises(StoreError, match=said):
        Trainer(TINY, 0).load(forged)


@pytest.mark.parametrize("index", [-1, 7])
def test_moments_of_a_parameter_that_is_not_there_are_refused(index):
    forged = state()["trainer"]
    trainer = Trainer(TINY, 0)
    assert len(trainer.weights) == 7
    forged["optimizer"]["state"][index] = forged["optimizer"]["state"][0]
    with pytest.raises(StoreError, match=f"parameter {index} .* is none of Adam's here"):
        trainer.load(forged)


def test_the_settings_of_the_optimizer_are_the_config_s_and_not_the_file_s():
    forged = state()["trainer"]
    for group in forged["optimizer"]["param_groups"]:
        group |= {"betas": (0.0, 0.0), "maximize": True, "weight_decay": 7.0}
    trainer = Trainer(TINY, 0)
    before = [{k: v for k, v in g.items() if k != "params"} for g in trainer.optimizer.param_groups]
    trainer.load(forged)
    assert [{k: v for k, v in g.items() if k != "params"} for g in trainer.optimizer.param_groups] == before
