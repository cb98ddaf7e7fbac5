"""Records computed again: which come out alike, which do not, and which nothing can be said of."""

import json
import shutil

import pytest

import workbench as wb
from workbench import files
from workbench.runs import record as reading
from workbench.runs import train_and_record, verify
from workbench.runs.events import sealed
from workbench.runs.folder import Run
from workbench.runs.provenance import NUMERICS
from workbench.runs.record import Record

TINY = {"task.length": 4, "model.hidden": 4, "train.batch": 2, "train.steps": 20, "train.evaluate_every": 10}


def go(seed=0, **more):
    return wb.run("adding_indrnn_T100", "quick", seed, changes=TINY, progress=False, device="cpu", **more)


def rewrite(record, *, numerics=NUMERICS, losses=lambda loss: loss, where=None, evaluation=lambda row: row):
    """The record as another computation might have left it, its checks right."""
    path = record.run.path
    spec = {k: v for k, v in json.loads((path / "spec.json").read_text()).items() if k != "check"}
    (path / "spec.json").write_text(json.dumps(sealed(spec | {"numerics": numerics})))
    events, result = record.run.events(), record.run.result()
    for old in (path / "events.jsonl", *record.run.checkpoints()):
        old.unlink()
    (path / "result.json").unlink()
    for event in events:
        if event["event"] == "loss":
            event |= {"loss": losses(event["loss"])}
        Run(path).append(evaluation(event) if event["event"] == "evaluation" else event)
    result["provenance"] |= where or {}
    Run(path).finish(result)
    return Record(Run(path))


def verdict():
    """(lines of what came out different, what was said)"""
    said = []
    return verify.repeat(say=said.append), said


OTHER = {"arithmetic": "0" * 12}


@pytest.mark.parametrize(
    ("change", "alike", "says"),
    [
        ({}, True, "bit for bit"),
        ({"losses": lambda loss: loss * (1 + 1e-7)}, False, "other bits under the same numerics and arithmetic"),
        ({"evaluation": lambda e: e | {"lr": e["lr"] * 2}}, False, "in its first evaluation"),
        ({"losses": lambda loss: loss * (1 + 5e-5), "where": OTHER}, True, "within 0.0001; of another arithmetic"),
        ({"evaluation": lambda e: e | {"lr": e["lr"] * 2}, "where": OTHER}, True, "of another arithmetic"),
        ({"losses": lambda loss: loss * (1 + 3e-4), "where": OTHER}, False, "not within 0.0001"),
        ({"losses": lambda loss: None, "where": OTHER}, False, "not within 0.0001"),
        ({"losses": lambda loss: loss * (1 + 1e-7), "where": {"torch": "2.0.0"}}, True, "within 0.0001"),
        ({"losses": lambda loss: loss * (1 + 1e-7), "where": {"earlier": [OTHER]}}, True, "within 0.0001"),
    ],
)
def test_a_record_is_held_to_bits_where_numerics_and_arithmetic_agree_and_to_its_first_losses_elsewhere(
    change, alike, says, store
):
    record = rewrite(go(), **change)
    record.verify()
    different, said = verdict()
    assert (different == []) is alike
    assert says in said[0]
    assert said[0].startswith(f"adding_indrnn_T100* seed 0 ({record.id}): ")
    assert said[-1].startswith(f"{int(alike)} of 1 records computed again came out alike, of 1")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"numerics": 1}, f"1 records: of numerics 1, and this version computes under {NUMERICS}"),
        ({"numerics": NUMERICS + 1}, f"of numerics {NUMERICS + 1}"),
        ({"where": {"device": "NVIDIA Z9"}}, "computed on NVIDIA Z9, which is not here"),
        ({"where": {"ranks": 2}}, "computed by several processes"),
    ],
)
def test_what_cannot_come_out_alike_is_named_and_no_mismatch(change, says, store):
    rewrite(go(), losses=lambda loss: loss * 2, **change)
    different, said = verdict()
    assert different == []
    assert says in said[0]
    assert said[1] == "0 of 0 records computed again came out alike, of 0 that can"


def test_a_record_without_an_evaluation_or_its_data_is_left_out(store, monkeypatch):
    go(until=5)
    assert "not evaluated yet" in verdict()[1][0]
    record = go(seed=1)

    def missing(_):
        raise wb.errors.MissingData("adding: gone")

    monkeypatch.setattr(verify, "data_hashes", missing)
    assert verify.unlike(record) == "the data of adding are not here"
    monkeypatch.setattr(verify, "data_hashes", lambda _: {"numbers": "of another edition"})
    assert verify.unlike(record) == "other data of adding are here"


def test_the_place_of_the_first_evaluation_is_that_of_the_scores_after_it(store, monkeypatch):
    """It went elsewhere between its first scores and its first evaluation."""
    go(until=5)
    monkeypatch.setattr(train_and_record, "arithmetic", lambda: "0" * 12)
    record = rewrite(go(), evaluation=lambda e: e | {"lr": e["lr"] * 2})
    assert verify.compare(record) == (
        True,
        f"first losses within {verify.NEAR:g}; of another arithmetic, torch or device, so no more is promised",
    )


def test_every_record_is_checked_a_published_one_behind_ones_own_too(store):
    record = go()
    theirs = shutil.copytree(record.run.path, files.published() / "runs" / record.id)
    assert verify.damaged() == []
    (theirs / "events.jsonl").write_bytes(b"{}\n")
    assert len(verify.damaged()) == 1


def test_twelve_cheap_ones_are_drawn_and_all_where_it_is_asked_for(store, monkeypatch):
    monkeypatch.setattr(verify, "SAMPLE", 2)
    monkeypatch.setattr(verify, "compare", lambda record: (True, "bit for bit"))
    found = [go(seed) for seed in range(4)]
    monkeypatch.setattr(verify, "_cost", lambda record: 61.0 if record.id == found[0].id else 59.0)
    drawn = {line.partition("(")[2][:16] for _ in range(12) for line in verdict()[1] if "bit for bit" in line}
    assert drawn == {record.id for record in found[1:]}
    said = verdict()[1]
    assert said[0] == "not computed again: 1 records: takes longer than a minute (--all)"
    assert said[-1] == "2 of 2 records computed again came out alike, of 4 that can"
    said.clear()
    assert verify.repeat(True, said.append) == []
    assert said[-1] == "4 of 4 records computed again came out alike, of 4 that can"


def test_one_that_cannot_be_computed_is_a_line(store, monkeypatch):
    record = go()

    def starved(_):
        raise wb.errors.StoreError("the disk caught fire")

    monkeypatch.setattr(verify, "again", starved)
    name = f"adding_indrnn_T100* seed 0 ({record.id})"
    assert verdict()[0] == [f"{name}: cannot be computed again: the disk caught fire"]


def test_an_evaluation_may_come_before_the_last_of_the_first_losses(store):
    record = wb.run("seqdigits_lstm", "smoke", progress=False, device="cpu")
    assert record.evaluations[0]["step"] < len(record.losses)
    assert verify.compare(record) == (True, "bit for bit")


def test_losses_that_are_not_finite_are_near_such_ones_alone():
    assert verify.near([1.0, None], [1.0, None])
    assert not verify.near([1.0, None], [1.0, 2.0])
    assert not verify.near([1.0], [1.0, 1.0])


def test_the_cheapest_published_record_of_the_present_numerics_comes_out_again(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RESULTS", str(tmp_path))
    cheapest = min((r for r in reading.records() if verify.unlike(r) is None), key=verify._cost)
    assert files.published() in cheapest.run.path.parents
    assert verify._cost(cheapest) > 0
    alike, said = verify.compare(cheapest)
    assert alike, said
