"""One cycle: its rates, AdamW's decay, the rate of u, the gradient's norm; what is scored, and with which weights."""

import math

import pytest
import torch

from workbench import paper
from workbench.config import Train
from workbench.errors import ParameterError
from workbench.models.build import recurrent_weights
from workbench.training import Trainer, evaluate, weights_sha256
from workbench.training.schedule import Schedule
from workbench.training.scored import CLEAN_BATCHES

CYCLE = paper.experiment("seqdigits_plain6_cycle").at("smoke")[0].set({"train.steps": 12, "train.evaluate_every": 4})


def test_the_rate_rises_in_a_line_and_falls_along_half_a_cosine_to_nothing():
    train = Train(schedule="one_cycle", steps=100, warmup=0.2, lr=0.5)
    schedule, rates = Schedule(train), []
    for step in range(1, 101):
        rates.append(schedule.lr)
        schedule.step(step)
    assert rates[:20] == pytest.approx([0.5 * (k + 1) / 20 for k in range(20)])
    assert rates[20:] == pytest.approx([0.25 * (1 + math.cos(math.pi * k / 80)) for k in range(80)])
    assert rates[60] == pytest.approx(0.25)  # half way down
    assert schedule.lr == 0.0
    only_rising = Schedule(Train(schedule="one_cycle", steps=1, warmup=0.9, lr=0.5))
    only_rising.step(1)
    assert only_rising.lr == 0.5


def test_the_first_step_of_a_cycle_has_the_first_rate_and_u_its_share_of_it():
    trainer = Trainer(CYCLE.set({"train.warmup": 0.3, "train.u_lr": 0.25}), 0)
    matrices, rest, of_u = trainer.optimizer.param_groups
    assert matrices["lr"] == rest["lr"] == torch.tensor(4e-3 / 4).item()  # it rises for 3.6 steps, rounded
    assert of_u["lr"] == torch.tensor(4e-3 / 16).item()
    assert [id(p) for p in of_u["params"]] == [id(layer.u) for layer in trainer.net.layers]
    assert not {id(p) for p in of_u["params"]} & {id(p) for p in (*matrices["params"], *rest["params"])}


def test_adamw_shrinks_matrices_by_rate_times_decay_and_nothing_else():
    def stepped(optimizer, decay):
        changes = {"train.optimizer": optimizer, "train.weight_decay": decay, "train.warmup": 0.0}
        trainer = Trainer(CYCLE.set(changes), 0)
        first = {name: p.detach().clone() for name, p in trainer.net.named_parameters()}
        trainer.advance()
        return first, dict(trainer.net.named_parameters())

    first, plain = stepped("adamw", 0.0)
    _, decayed = stepped("adamw", 0.5)
    for name, value in plain.items():
        moved = decayed[name] - value
        wanted = -0.5 * 4e-3 * first[name] if "fc.weight" in name or name == "readout.weight" else 0 * value
        torch.testing.assert_close(moved, wanted, atol=1e-7, rtol=1e-4)
    _, added = stepped("adam", 0.5)  # decay in the gradient is lost in Adam's division
    assert not torch.equal(added["readout.weight"], decayed["readout.weight"])


def test_the_whole_gradient_is_scaled_down_to_the_norm_and_never_up():
    def norm(limit):
        trainer = Trainer(CYCLE.set({"train.clip_norm": limit}), 0)
        trainer.advance()
        return torch.cat([p.grad.flatten() for p in trainer.net.parameters()])

    free = norm(None)
    assert norm(0.01).norm().item() == pytest.approx(0.01, rel=1e-5)
    torch.testing.assert_close(norm(0.01) / 0.01, free / free.norm())
    assert torch.equal(norm(1e6), free)


@pytest.mark.parametrize("stops", [[3], [4, 9]])
def test_a_cycle_is_resumed_bit_by_bit(stops):
    def end(stops):
        trainer = Trainer(CYCLE, 1)
        while not trainer.ended:
            if trainer.step in stops:
                state = trainer.state()
                trainer = Trainer(CYCLE, 1)
                trainer.load(state)
            trainer.advance()
            if trainer.due:
                trainer.evaluation()
        return weights_sha256(trainer.net), trainer.test()

    assert end(stops) == end([])


def test_the_last_weights_of_a_cycle_count_with_statistics_taken_again_from_training_images():
    trainer = Trainer(CYCLE, 0)
    while not trainer.ended:
        trainer.advance()
        if trainer.due:
            row = trainer.evaluation()
    assert trainer.best is None
    assert trainer.test()["best_step"] == 12
    net = trainer.best_net()
    for name, u in recurrent_weights(net).items():
        assert torch.equal(u, recurrent_weights(trainer.net)[name])
    assert row["valid"] == trainer.test()["valid"]
    stored = evaluate.score(trainer.net, trainer.task.examples("valid", 250), "class")
    assert row["valid"]["loss"] != stored["loss"]
    evaluate.reestimate_(trainer.net, (trainer.task.clean(i) for i in range(CLEAN_BATCHES)))
    assert row["valid"] == evaluate.score(trainer.net, trainer.task.examples("valid", 250), "class")


def test_a_search_leaves_the_test_set_closed(monkeypatch):
    trainer = Trainer(CYCLE.set({"train.score_test": False}), 100)
    examples = trainer.task.examples
    monkeypatch.setattr(
        trainer.task, "examples", lambda split, size: pytest.fail("read") if split == "test" else examples(split, size)
    )
    trainer.advance()
    assert "test" not in trainer.test()
    assert trainer.test()["valid"]["n"] == 64


def test_reduced_precision_is_refused_where_there_is_no_device_for_it():
    with pytest.raises(ParameterError, match=r"train\.precision: 'tf32' received; device 'cpu' has fp32 alone"):
        Trainer(CYCLE.set({"train.precision": "tf32"}), 0)


def test_a_quick_cycle_is_a_whole_cycle_of_its_own():
    known = paper.experiment("seqmnist_plain6_cycle")
    quick, until = known.at("quick")
    assert (quick.train.steps, until) == (known.quick, None)
    assert known.at("paper") == (known.config, None)


@pytest.mark.parametrize("name", [n for n, e in paper.EXPERIMENTS.items() if e.parent])
def test_a_cycle_has_the_net_and_data_of_its_parent(name):
    known = paper.experiment(name)
    parent = paper.experiment(known.parent)
    assert name == f"{parent.id}_cycle"
    assert known.config.task == parent.config.task
    ours, theirs = known.config.model.model_dump(), parent.config.model.model_dump()
    assert {k for k in ours if ours[k] != theirs[k]} <= {"last_near_one"} | {k for k in ours if "dropout" in k}
    images = known.config.train.steps * known.config.train.batch
    if parent.id == "seqmnist_plain6":
        assert images <= 702_100 * 32 / 20
    if parent.id == "permmnist_plain6":
        assert images <= 1_193_400 * 32 / 20


def test_an_early_stop_takes_the_weights_of_the_lowest_validation_loss():
    trainer = Trainer(CYCLE.set({"train.early_stop": 2, "train.steps": 60, "train.evaluate_every": 2}), 0)
    rows, weights = [], []
    losses = iter([3.0, 1.0, 2.0, 4.0])
    trainer.task.examples = lambda *_: iter(())

    def scored(net, *_, **__):
        weights.append(weights_sha256(net))
        return {"loss": next(losses), "accuracy": 0.5, "n": 1}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "score", scored)
        while not trainer.ended:
            trainer.advance()
            if trainer.due:
                rows.append(trainer.evaluation())
    assert [row["outcome"] for row in rows] == [
        "best" if loss in (3.0, 1.0) else "wait" for loss in (3.0, 1.0, 2.0, 4.0)
    ]
    assert trainer.step == 8 < 60
    assert trainer.schedule.best_step == 4
    assert weights_sha256(trainer.best_net()) == weights[1], "each is scored as it is, the second one is taken"
    assert len(set(weights)) == 4


def test_an_early_stop_needs_a_cycle():
    with pytest.raises(ParameterError, match="early_stop has no meaning without schedule 'one_cycle'"):
        Train(steps=5, early_stop=2)
