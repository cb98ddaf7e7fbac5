"""Records, one's own and published ones: of a run that is in both, the one that is further."""

import json
import shutil

import pytest

import workbench as wb
from workbench import files
from workbench.errors import StoreError
from workbench.runs import record as reading
from workbench.runs.events import sealed
from workbench.runs.record import find, find_id, records
from workbench.runs.status import overview

NAME = "adding_rnn_tanh_T100"
CHANGES = {"train.steps": 60, "train.evaluate_every": 20, "task.length": 4, "model.hidden": 4}


@pytest.fixture
def begun(store):
    return wb.run(NAME, "smoke", changes=CHANGES, until=20, progress=False)


def publish(record):
    """Publish a record as it is now."""
    return shutil.copytree(record.run.path, files.published() / "runs" / record.id)


def test_one_finds_the_furthest_record_by_its_id_and_in_every_list(begun):
    publish(begun)
    assert [r.published for r in records()] == [False]  # as far: one's own
    assert not find_id(begun.id).published
    further = wb.run(NAME, "smoke", changes=CHANGES, progress=False)
    assert [r.step for r in records()] == [60]
    shutil.rmtree(files.published() / "runs")
    publish(further)
    shutil.rmtree(further.run.path)
    wb.run(NAME, "smoke", changes=CHANGES, until=20, progress=False)
    (best,) = records()
    assert (best.published, best.step) == (True, 60)
    assert [row["step"] for row in overview()] == [60]
    assert find_id(begun.id).step == 60
    (own,) = records(own=True)
    assert (own.published, own.step) == (False, 20)
    assert [row["step"] for row in overview(own=True)] == [20]
    assert find_id("0" * 16) is None


def test_an_experiment_is_found_at_its_budget_one_s_own_or_published(store):
    smoke = wb.run(NAME, "smoke", progress=False)
    assert find(NAME, 0, smoke=True).id == smoke.id
    assert find(NAME, 0) is None
    assert find(NAME, 1, smoke=True) is None
    publish(smoke)
    shutil.rmtree(smoke.run.path)
    assert find(NAME, 0, smoke=True).published
    assert find(NAME, 0, smoke=True, own=True) is None


def test_a_further_record_of_other_numerics_comes_after_one_of_the_present_everywhere(begun):
    theirs = publish(wb.run(NAME, "smoke", changes=CHANGES, progress=False))
    spec = {k: v for k, v in json.loads((theirs / "spec.json").read_text()).items() if k not in ("check", "numerics")}
    (theirs / "spec.json").write_text(json.dumps(sealed(spec)))
    shutil.rmtree(begun.run.path)
    wb.run(NAME, "smoke", changes=CHANGES, until=20, progress=False)
    assert [r.step for r in records()] == [20]
    assert [row["step"] for row in overview()] == [20]
    assert find_id(begun.id).step == 20


def test_a_damaged_record_of_ones_own_stays_in_the_list_and_says_so_where_it_is_also_published(begun):
    publish(begun)
    path = begun.run.path / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"step":20', b'"step":21'))
    (row,) = [r for r in records() if r.id == begun.id]
    assert row.status == "damaged"
    with pytest.raises(StoreError, match=r"events\.jsonl, line 6: altered"):
        row.verify()
    assert [row["status"] for row in overview()] == ["damaged"]


def test_a_record_whose_config_is_not_the_one_of_its_id_is_refused(begun):
    spec = json.loads((begun.run.path / "spec.json").read_text())
    spec["config"]["train"]["lr"] = 0.5
    spec.pop("check")
    (begun.run.path / "spec.json").write_text(json.dumps(sealed(spec)))
    (found,) = records()
    with pytest.raises(StoreError, match=r"spec\.json: its content does not give its id"):
        found.verify()
    assert reading.Record(begun.run).status == "resumable"


def test_a_cycle_at_its_end_where_the_rate_is_0_verifies_and_gives_its_net(store):
    changes = {"train.steps": 6, "train.evaluate_every": 3, "task.length": 4, "model.hidden": 4}
    cycle = {"train.schedule": "one_cycle", "train.drop_every": None}
    record = wb.run("adding_indrnn_T100", "smoke", changes=changes | cycle, progress=False)
    assert record.status == "done"
    record.verify()
    assert not record.net().training


def test_a_score_that_was_not_finite_is_no_number_in_the_curve(store):
    """Also where a column has no other: figures and comparisons calculate with it."""
    record = wb.run("seqdigits_lstm", "smoke", progress=False)
    vars(record)["evaluations"] = [{**e, "train": {"loss": None, "n": 9}} for e in record.evaluations]
    assert record.curve["train_loss"].dtype == float
    assert record.curve["train_loss"].isna().all()


@pytest.mark.parametrize(
    ("name", "changes", "layers"),
    [
        ("seqdigits_plain6", {"model.depth": 11}, [f"layers.{i}" for i in range(11)]),  # 10 comes after 9, not after 1
        (
            "seqdigits_dense",
            {"model.blocks": [1], "model.growth": 2},
            ["first", "blocks.0.layers.0.bottleneck", "blocks.0.layers.0.growth", "blocks.0.transition"],
        ),
    ],
)
def test_the_layers_of_a_record_come_in_the_order_of_use(store, name, changes, layers):
    small = {"model.hidden": 4} if "dense" not in name else {}
    steps = {"train.steps": 2, "train.evaluate_every": 2}
    record = wb.run(name, "smoke", changes={**changes, **small, **steps}, progress=False)
    assert [list(weights) for weights in record.recurrent_weights().values()] == [layers]
