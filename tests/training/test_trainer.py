"""Training: the schedules exactly as the official code runs them, resume bit by bit, nothing non-finite applied."""

import copy
import math

import pytest
import torch
from torch import nn

import workbench as wb
from workbench import paper
from workbench.config import Config, Model, Train
from workbench.errors import DataError, ParameterError
from workbench.models.build import recurrent_weights
from workbench.training import Diverged, Interrupted, Trainer, evaluate, weights_sha256
from workbench.training.optimizer import optimizer
from workbench.training.schedule import Schedule

ADDING = paper.experiment("adding_indrnn_T100").at("smoke")[0]
DIGITS = paper.experiment("seqdigits_plain6").at("smoke")[0].set({"train.evaluate_every": 3, "train.steps": 12})


def drops(patience, evaluations=500):
    """After how many evaluations in a row without a new best the rate drops, for each drop."""
    schedule = Schedule(Train(patience=patience))
    assert schedule.evaluation(1.0, 0) == "best"
    found, waited = [], 0
    for step in range(evaluations):
        waited += 1
        if schedule.evaluation(1.0, step) == "restore":
            found.append(waited)
            waited = 0
            if schedule.ended:
                break
    return found


def test_patience_halves_and_drops_where_the_official_logs_do():
    assert drops(100) == [102, 52, 27]
    assert drops(200) == [202, 102, 52]
    assert drops(5) == [7, 5, 3]  # 2.5 counts as 3


def test_the_rate_falls_by_the_factor_and_a_new_best_resets_the_wait():
    schedule = Schedule(Train(patience=2, lr=1e-3, factor=0.1))
    losses = iter([1.0, 2, 2, 0.5, 2, 2, 2, 2])
    outcomes = [schedule.evaluation(loss, i) for i, loss in enumerate(losses)]
    assert outcomes == ["best", "wait", "wait", "best", "wait", "wait", "wait", "restore"]
    assert schedule.lr == pytest.approx(1e-4)
    assert schedule.best_step == 3


def test_a_schedule_by_steps_ends_where_the_official_one_does():
    schedule = Schedule(paper.experiment("adding_indrnn_T100").config.train)
    rates = {}
    for step in range(1, 60_301):
        schedule.step(step)
        rates.setdefault(round(schedule.lr, 12), step)
    assert rates == {2e-4: 1, 2e-5: 20_100, 2e-6: 40_200}
    assert schedule.ended


def run(config, stops=(), seed=3):
    """Train to the end, going through a saved state at each stop."""
    trainer = Trainer(config, seed)
    rows = []
    while not trainer.ended:
        if trainer.step in stops:
            state = trainer.state()
            trainer = Trainer(config, seed)
            trainer.load(state)
        trainer.advance()
        if trainer.due:
            row = trainer.evaluation()
            row["u"] = {k: v.tolist() for k, v in row["u"].items()}
            rows.append(row)
    return rows, weights_sha256(trainer.net), trainer.test()


@pytest.mark.parametrize("stops", [[1], [4, 5], [2, 3, 6, 11]])
def test_resume_is_bitwise_also_in_mid_epoch(stops):
    assert run(DIGITS, stops) == run(DIGITS)


def test_a_state_may_be_taken_up_more_than_once():
    """Each run once trained on in the moments of the state itself, and so in those of all others."""
    trainer, ends = Trainer(DIGITS, 3), []
    trainer.advance()
    state = trainer.state()
    kept = copy.deepcopy(state["optimizer"]["state"])
    for _ in range(2):
        again = Trainer(DIGITS, 3)
        again.load(state)
        again.advance()
        ends.append(weights_sha256(again.net))
    trainer.advance()
    assert ends == [weights_sha256(trainer.net)] * 2
    assert all(torch.equal(v, kept[i][k]) for i, one in state["optimizer"]["state"].items() for k, v in one.items())


def test_a_checkpoint_with_u_as_far_over_its_bound_as_a_step_can_bring_it_is_taken_up():
    """Adam's longest step is sqrt(10) rates for its decays of 0.9 and 0.999, and u has a rate of its own."""
    trainer = Trainer(DIGITS.set({"train.u_lr": 10.0}), 0)
    state, u = trainer.state(), trainer.net.layers[0].u
    state["net"]["layers.0.u"].fill_(trainer.net.layers[0].bound + 10**0.5 * 10 * DIGITS.train.lr)
    trainer.load(state)
    assert torch.equal(u, state["net"]["layers.0.u"])


def test_a_run_ends_after_its_steps():
    trainer = Trainer(DIGITS.set({"train.steps": 2}), 0)
    ended = []
    for _ in range(4):
        ended.append(trainer.ended)
        trainer.advance()
    assert ended == [False, False, True, True]


@pytest.mark.parametrize(("every", "expected"), [(1, [1, 2, 3, 4]), (2, [2, 4]), (3, [3])])
def test_an_evaluation_is_due_once_after_every_so_many_steps(every, expected):
    trainer, due = Trainer(ADDING.set({"train.evaluate_every": every}), 0), []
    assert not trainer.due
    for step in range(1, 5):
        trainer.advance()
        if trainer.due:
            due.append(step)
            assert trainer.evaluation()["step"] == step
        assert not trainer.due
    assert due == expected


def test_another_seed_gives_another_net():
    assert run(DIGITS, seed=4)[1] != run(DIGITS)[1]


def test_training_touches_no_global_generator():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run(DIGITS)
    assert torch.equal(torch.rand(1), expected)


def test_restoring_the_best_brings_back_weights_and_optimizer():
    config = DIGITS.set({"train.patience": 1, "train.steps": None, "train.evaluate_every": 1, "train.lr": 0.5})
    trainer, best = Trainer(config, 0), {}
    for _ in range(60):
        trainer.advance()
        row = trainer.evaluation()
        if row["outcome"] == "best":
            best = {k: v.clone() for k, v in trainer.net.state_dict().items()}
            moments = copy.deepcopy(trainer.optimizer.state_dict()["state"])
        if row["outcome"] == "restore":
            assert all(torch.equal(v, best[k]) for k, v in trainer.net.state_dict().items())
            there = trainer.optimizer.state_dict()["state"]
            assert there.keys() == moments.keys()
            assert all(torch.equal(v, moments[i][k]) for i, state in there.items() for k, v in state.items())
            assert float(there[0]["step"]) < trainer.step
            assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
            return
    pytest.fail("patience never ended")


def test_u_is_clamped_before_each_forward_pass():
    config = ADDING.set({"train.lr": 0.5})
    trainer = Trainer(config, 0)
    bound = 2 ** (1 / 20)
    seen = []
    trainer.net.layers[0].register_forward_pre_hook(lambda m, _: seen.append(m.u.abs().max().item()))
    for _ in range(5):
        trainer.advance()
    assert len(seen) == 5
    assert max(seen) <= bound * (1 + 1e-6)
    assert trainer.net.layers[0].u.abs().max() > bound


def test_a_step_that_is_not_finite_is_not_applied_and_three_end_the_run():
    trainer = Trainer(DIGITS, 0)
    trainer.advance()
    with torch.no_grad():
        trainer.net.readout.bias[0] = math.inf
    before = {k: v.clone() for k, v in trainer.net.state_dict().items()}
    for _ in range(2):
        trainer.advance()
    with pytest.raises(Diverged, match="diverged at step 3"):
        trainer.advance()
    for name, value in trainer.net.state_dict().items():
        if "u" not in name.split(".") and "num_batches" not in name:  # the clamp comes before the forward pass
            assert torch.equal(value, before[name]), name


def test_a_run_that_diverged_stands_before_the_step_that_ended_it():
    """Its rate too, which would have dropped behind that step."""
    trainer = Trainer(DIGITS.set({"train.patience": None, "train.drop_every": 4}), 0)
    trainer.advance()
    with torch.no_grad():
        trainer.net.readout.bias[0] = math.inf
    trainer.advance()
    trainer.advance()
    with pytest.raises(Diverged, match="diverged at step 3"):
        trainer.advance()
    assert (trainer.step, trainer.schedule.lr, trainer.schedule.dropped) == (3, DIGITS.train.lr, 0)
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(DIGITS.train.lr)


def test_only_bad_steps_in_a_row_end_a_run():
    trainer = Trainer(DIGITS, 0)
    for value in (math.inf, math.inf, 0.0, math.inf, math.inf):
        with torch.no_grad():
            trainer.net.readout.bias[0] = value
        trainer.advance()
    assert trainer.bad_steps == 2


def test_a_nan_in_the_input_is_named_and_leaves_batch_norm_alone():
    trainer = Trainer(DIGITS, 0)
    batch = trainer.task.batch(0)
    batch.x[12, 7, 0] = math.nan
    trainer.task.batch = lambda step: batch
    before = [b.clone() for b in trainer.statistics]
    with pytest.raises(DataError, match="batch 0, row 7, step 12"):
        trainer.advance()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.statistics, strict=True))


def test_gradients_are_clamped_element_by_element():
    trainer = Trainer(ADDING.set({"train.clip": 1e-4}), 0)
    trainer.advance()
    largest = max(p.grad.abs().max().item() for p in trainer.net.parameters())
    assert largest == pytest.approx(1e-4)


def test_the_whole_gradient_is_scaled_before_its_elements_are_clamped():
    free = Trainer(DIGITS.set({"train.clip": None}), 0)
    free.advance()
    norm = torch.cat([w.grad.flatten() for w in free.weights]).norm().item()
    trainer = Trainer(DIGITS.set({"train.clip_norm": norm / 2, "train.clip": norm / 50}), 0)
    trainer.advance()
    assert any((w.grad.abs() > norm / 50).any() for w in free.weights)
    for w, unclipped in zip(trainer.weights, free.weights, strict=True):
        torch.testing.assert_close(w.grad, (unclipped.grad / 2).clamp(-norm / 50, norm / 50))


def test_the_optimizer_is_the_official_one():
    trainer = Trainer(DIGITS.set({"train.weight_decay": 1e-4, "train.lr": 2e-4}), 0)
    matrices, rest = trainer.optimizer.param_groups
    assert (matrices["weight_decay"], rest["weight_decay"]) == (1e-4, 0.0)
    for group in (matrices, rest):
        assert (group["betas"], group["eps"], group["amsgrad"], group["capturable"]) == (
            (0.9, 0.999),
            1e-8,
            False,
            False,
        )
        assert isinstance(group["lr"], float)  # a tensor only where a device reads it from a recording
        assert group["lr"] == torch.tensor(2e-4).item()
    names = {id(p): name for name, p in trainer.net.named_parameters()}
    decayed, others = ({names[id(p)] for p in group["params"]} for group in (matrices, rest))
    assert decayed == {name for name in names.values() if name.endswith("weight")}  # with the gains of batch norm
    assert others == {name for name in names.values() if name.endswith((".u", "bias"))}


def test_weight_decay_reaches_the_matrices_of_layers_for_code_of_your_own():
    layers = {"rnn": wb.IndRNN(2, 3, 2, bidirectional=True), "conv": wb.ConvIndRNN(1, 2, 3), "readout": nn.Linear(3, 1)}
    net = nn.ModuleDict({**layers, "lstm": nn.LSTM(2, 3, 2), "embedding": nn.Embedding(4, 3)})
    decayed, rest, of_u = (
        group["params"] for group in optimizer(net, Train(steps=1, weight_decay=0.1, u_lr=0.5)).param_groups
    )
    for parameters, part in ((decayed, "weight"), (rest, "bias"), (of_u, "u")):
        names = {name for name, p in net.named_parameters() if any(p is one for one in parameters)}
        assert names == {name for name, _ in net.named_parameters() if part in name.split(".")[-1].split("_")}


def test_a_tied_matrix_is_trained_once_a_step():
    net = nn.ModuleDict({"embedding": nn.Embedding(3, 3), "decoder": nn.Linear(3, 3)})
    net["decoder"].weight = net["embedding"].weight
    before = net["decoder"].weight.detach().clone()
    net["decoder"].weight.grad = torch.ones(3, 3)
    optimizer(net, Train(steps=1, lr=0.125)).step()
    torch.testing.assert_close(net["decoder"].weight.detach(), before - 0.125)


def test_each_protocol_of_batch_norm_scores_with_its_own_statistics():
    scores = {}
    for protocol in ("clean", "running", "validation", "test"):
        trainer = Trainer(DIGITS.set({"train.bn_statistics": protocol}), 3)
        for _ in range(6):
            trainer.advance()
        scores[protocol] = trainer.test()["test"]["loss"]
    assert len(set(scores.values())) == 4
    examples = trainer.task.examples("test", 250)
    assert scores["test"] == evaluate.score(trainer.best_net(), examples, "class", batch_statistics=True)["loss"]


def test_the_test_alone_is_wrapped_at_the_batch_of_training():
    trainer = Trainer(DIGITS.set({"train.wrap_test": True, "train.batch": 25, "train.bn_statistics": "running"}), 0)
    sizes = {s: sum(len(b.y) for b in trainer.task.examples(s, 25)) for s in ("test", "valid")}
    assert all(n % 25 for n in sizes.values())
    found = trainer.test()
    assert (found["test"]["n"], found["valid"]["n"]) == (25 * math.ceil(sizes["test"] / 25), sizes["valid"])


@pytest.mark.parametrize("protocol", ["clean", "validation"])
def test_statistics_are_those_of_the_batches_of_their_protocol(protocol):
    trainer = Trainer(DIGITS.set({"train.bn_statistics": protocol}), 3)
    trainer.advance()
    by_hand = copy.deepcopy(trainer.net)
    if protocol == "clean":
        evaluate.reestimate_(by_hand, (trainer.task.clean(i) for i in range(50)))
    else:
        evaluate.reestimate_(by_hand, trainer.task.examples("valid", DIGITS.train.batch), momentum=0.1)
    found = dict(trainer.best_net().named_buffers())
    assert any(name.endswith("running_var") for name in found)
    assert all(torch.equal(found[name], value) for name, value in by_hand.named_buffers())


def test_the_best_weights_are_chosen_by_the_stored_statistics_whatever_those_of_the_batch_say(monkeypatch):
    stored, batch = iter([0.5, 0.7, 0.6]), iter([0.9, 0.1, 0.95])

    def score(net, batches, target, *, batch_statistics=False):
        return {"loss": 1.0, "accuracy": next(batch if batch_statistics else stored), "n": 1}

    monkeypatch.setattr(evaluate, "score", score)
    trainer, outcomes = Trainer(DIGITS, 0), []
    for _ in range(3):
        trainer.advance()
        outcomes.append(trainer.evaluation()["outcome"])
        if trainer.step == 2:
            second = {k: v.clone() for k, v in trainer.net.state_dict().items()}
    assert outcomes == ["best", "best", "wait"]
    assert trainer.schedule.best_step == 2
    assert all(torch.equal(v, second[k]) for k, v in trainer.best["net"].items())


@pytest.mark.parametrize(("clamp", "over"), [("before", True), ("after", False)])
def test_u_may_leave_its_bound_by_one_step_only_where_the_clamp_comes_first(clamp, over):
    trainer = Trainer(ADDING.set({"train.clamp": clamp, "train.lr": 0.5}), 0)
    for _ in range(3):
        trainer.advance()
    bound = trainer.net.layers[0].bound
    assert any(bool((u.abs() > bound).any()) for u in recurrent_weights(trainer.net).values()) is over


def test_watched_gradients_are_those_that_training_sees_and_survive_a_stop():
    config = DIGITS.set({"train.watch_gradient": True, "train.clip": None})
    trainer, norms = Trainer(config, 3), []
    for _ in range(3):
        trainer.advance()
        norms.append(math.sqrt(sum(float(p.grad.double().square().sum()) for p in trainer.weights)))
    row = trainer.evaluation()["train"]
    assert row["gradient"] == pytest.approx(sum(norms) / 3, rel=1e-5)
    assert row["gradient_max"] == pytest.approx(max(norms), rel=1e-5)
    assert row["skipped"] == 0
    halves = Trainer(config, 3)
    halves.advance()
    again = Trainer(config, 3)
    again.load(halves.state())
    again.advance()
    again.advance()
    assert again.evaluation()["train"] == row


def test_steps_that_are_not_applied_are_counted(monkeypatch):
    trainer = Trainer(DIGITS.set({"train.watch_gradient": True}), 3)
    trainer.advance()
    with torch.no_grad():
        trainer.net.readout.weight.fill_(math.inf)
    trainer.advance()
    row = trainer._mean()
    assert (row["skipped"], row["gradient"] == row["gradient_max"]) == (1, True)


def test_a_mean_over_no_step_is_no_number():
    trainer = Trainer(DIGITS, 3)
    with torch.no_grad():
        trainer.net.readout.weight.fill_(math.inf)
    trainer.advance()
    row = trainer._mean()
    assert (math.isnan(row["loss"]), math.isnan(row["accuracy"]), row["n"]) == (True, True, 0)


def test_an_evaluation_that_is_stopped_anywhere_is_undone():
    """Between the scores and the layers it was once left half done: without a row, for ever."""
    trainer, row = Trainer(DIGITS.set({"train.watch_layers": True, "train.evaluate_every": 1}), 0), None
    trainer.advance()
    for asked in range(1, 100):
        answers = iter([False] * asked + [True])
        trainer.interrupted = lambda answers=answers: next(answers)
        try:
            row = trainer.evaluation()
            break
        except Interrupted:
            assert (trainer.due, trainer.schedule.best, trainer.best) == (True, math.inf, None)
    assert asked > 1
    assert len(row["layers"]) == len(trainer.net.layers)


def test_layers_are_watched_only_where_there_are_some():
    config = Config(task=DIGITS.task, model=Model(kind="transformer", hidden=8), train=DIGITS.train)
    with pytest.raises(ParameterError, match=r"watch_layers: True received; a transformer has no recurrent"):
        Trainer(config.set({"train.watch_layers": True}), 0)


def test_a_row_of_the_curve_holds_the_means_over_the_steps_since_the_last_one():
    trainer, found = Trainer(DIGITS, 3), []
    learn = trainer._learn
    trainer._learn = lambda batch: found.append(learn(batch)) or found[-1]
    for steps in (3, 2):
        found.clear()
        for _ in range(steps):
            trainer.advance()
        n = steps * DIGITS.train.batch
        loss, right = torch.stack([tried.told for tried in found]).sum(0)[:2].tolist()
        assert 0 < right < n
        row = trainer.evaluation()["train"]
        assert row == {"loss": pytest.approx(loss / steps), "accuracy": right / n, "n": n}


def test_scores_with_the_statistics_of_the_batch_are_those_of_nets_with_batch_norm():
    for config, normed in ((DIGITS, True), (ADDING, False)):
        trainer = Trainer(config, 0)
        trainer.advance()
        row = trainer.evaluation()
        assert ("valid_batch" in row) == normed
        if normed:
            batches = trainer.task.examples("valid", config.train.batch)
            assert row["valid_batch"] == evaluate.score(trainer.net, batches, "class", batch_statistics=True)
        assert set(row) - {"valid_batch"} == {"step", "lr", "train", "valid", "outcome", "u"}


def test_a_row_keeps_the_recurrent_weights_of_its_step():
    trainer = Trainer(DIGITS, 3)
    trainer.advance()
    found = trainer.evaluation()["u"]
    kept = {name: u.clone() for name, u in found.items()}
    trainer.advance()
    assert all(torch.equal(u, kept[name]) for name, u in found.items())
    assert not torch.equal(found["layers.0"], trainer.net.layers[0].u)


def test_watching_changes_nothing_of_the_training():
    ends = []
    for watch in (False, True):
        trainer = Trainer(DIGITS.set({"train.watch_gradient": watch}), 3)
        for _ in range(4):
            trainer.advance()
        ends.append(weights_sha256(trainer.net))
    assert ends[0] == ends[1]
