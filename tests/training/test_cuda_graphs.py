"""Recorded training steps: on the CPU a tape of torch's operators stands in for the graph; on a device, the graph."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from workbench import paper, tasks
from workbench.config import Config, Model, Train, Treebank
from workbench.errors import ParameterError, RunError
from workbench.models import build
from workbench.models.build import draw_masks
from workbench.tasks import treebank
from workbench.training import Diverged, Trainer, cuda_graphs, weights_sha256

CHANGES = {"model.depth": 2, "model.hidden": 8, "model.dropout": 0.3, "train.evaluate_every": 3, "train.steps": 9}
DIGITS = paper.experiment("seqdigits_plain6").at("smoke")[0].set(CHANGES)
ADDING = paper.experiment("adding_indrnn_T100").at("smoke")[0].set({"train.steps": 6, "task.length": 20})
CONFIGS = {
    "batch norm, dropout": DIGITS,
    "adding": ADDING,
    "one cycle": DIGITS.set(
        {
            "train.schedule": "one_cycle",
            "train.patience": None,
            "train.optimizer": "adamw",
            "train.weight_decay": 0.1,
            "train.u_lr": 0.3,
            "train.clip_norm": 0.5,
            "train.clip": None,
        }
    ),
    "clipped, clamped after": DIGITS.set({"train.clamp": "after", "train.clip": 1e-3}),
    "patience": DIGITS.set(
        {"train.patience": 1, "train.steps": None, "train.evaluate_every": 1, "train.lr": 0.5, "train.drops": 2}
    ),
}


class Tape(TorchDispatchMode):
    """A graph: the operators of a call, done again on the same memory, blind to Python; no value is read."""

    def __init__(self):
        super().__init__()
        self.done = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "_local_scalar_dense" in func.name() or "nonzero" in func.name():
            raise RuntimeError("operation not permitted when stream is capturing")
        found = func(*args, **(kwargs or {}))
        self.done.append((func, args, kwargs or {}, found))
        return found

    def replay(self):
        for func, args, kwargs, found in self.done:
            again = func(*args, **kwargs)
            for old, new in zip(tree_flatten(found)[0], tree_flatten(again)[0], strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.fixture
def tapes(monkeypatch):
    """Recordings on the CPU; the list of tapes that were made."""
    made = []

    def record(call, rng=None, stream=None):
        with Tape() as tape:
            call()
        made.append(tape)
        return lambda: torch.no_grad()(tape.replay)()

    monkeypatch.setattr("workbench.recurrence.observers._modes", lambda: 0)  # a graph is recorded below what observes
    monkeypatch.setattr(cuda_graphs, "record", record)
    monkeypatch.setattr(cuda_graphs, "warm", lambda call, stream: [call() for _ in range(cuda_graphs.WARM)])
    monkeypatch.setattr("workbench.training.trainer.wanted", lambda choice, *_: choice != "off")
    return made


def run(choice, config=DIGITS, stops=(), change=None, seed=3):
    """Train to the end, through a saved state at each stop -> (weights and hashes at the end, rows)."""
    trainer, rows = made(choice, config, change, seed), []
    while not trainer.ended:
        if trainer.step in stops:
            state = trainer.state()
            trainer = made("on" if choice == "both" and trainer.recorded is None else choice, config, change)
            trainer.load(state)
        trainer.advance()
        if trainer.due:
            row = trainer.evaluation()
            rows.append(row | {"u": {name: u.tolist() for name, u in row["u"].items()}})
    return weights_sha256(trainer.net), rows


def made(choice, config, change, seed=3):
    trainer = Trainer(config, seed, graphs="off" if choice == "both" else choice, backend="torch")
    if change is not None:
        batch, trainer.resident = trainer.task.batch, None
        trainer.task.batch = lambda step: change(batch(step), step)
    return trainer


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_recorded_run_is_the_run_bit_by_bit(tapes, config):
    assert run("on", config) == run("off", config)
    assert len(tapes) >= 1


@pytest.mark.parametrize("choice", ["on", "both"])
def test_a_state_is_taken_up_by_recorded_and_unrecorded_runs_alike(tapes, choice):
    assert run(choice, stops=(2, 4, 7)) == run("off")


def narrower(batch, step):
    """Every third batch has two examples less."""
    return batch if step % 3 else batch._replace(x=batch.x[:, 2:].contiguous(), y=batch.y[2:])


@pytest.mark.parametrize(("shapes", "recordings"), [(4, 2), (1, 1)])
def test_each_shape_has_a_recording_as_long_as_there_is_room(tapes, monkeypatch, shapes, recordings):
    monkeypatch.setattr(cuda_graphs, "SHAPES", shapes)
    assert run("on", change=narrower) == run("off", change=narrower)
    assert len(tapes) == recordings


def test_padded_batches_are_trained_on_without(tapes):
    def padded(batch, step):
        return batch._replace(lengths=torch.arange(64 - len(batch.y), 64) + 1)

    assert run("on", change=padded) == run("off", change=padded)
    assert not tapes


def test_a_recorded_step_that_is_not_finite_is_not_applied(tapes):
    trainer = Trainer(DIGITS, 0, graphs="on", backend="torch")
    trainer.advance()
    with torch.no_grad():
        trainer.net.readout.bias[0] = math.inf
    before = {k: v.clone() for k, v in trainer.net.state_dict().items()}
    for _ in range(2):
        trainer.advance()
    with pytest.raises(Diverged, match="diverged at step 3"):
        trainer.advance()
    for name, value in trainer.net.state_dict().items():
        if not name.endswith(".u"):  # the clamp comes before the forward pass
            assert torch.equal(value, before[name]), name


LONG = DIGITS.set({"train.steps": 45, "train.evaluate_every": 40, "train.watch_gradient": True})


def overflowing(*steps):
    """A change of batches: in these steps they are too large for what is made of them."""
    return lambda batch, step: batch._replace(x=batch.x * 3e38) if step in steps else batch


def test_findings_are_read_many_at_a_time_and_counted_as_if_one_by_one(tapes, monkeypatch):
    change = overflowing(0, 7, 8, 11, 31)
    expected = run("off", LONG, change=change)
    assert expected[1][0]["train"]["skipped"] == 5
    reads, tolist = [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda t: (t.shape[1:] == (3,) and reads.append(len(t))) or tolist(t))
    assert run("on", LONG, change=change) == expected
    assert reads == [1] * 5 + [32, 3, 5]
    assert run("on", LONG, stops=(8, 20), change=change) == expected  # two bad ones in a row before a stop


def flat(state):
    return [value.tolist() if isinstance(value, torch.Tensor) else value for value in tree_flatten(state)[0]]


def until_diverged(choice, change, stop):
    """The words of the error, the state then and the steps that were over, through a saved state after so many."""
    trainer, over = made(choice, LONG, change), 0
    try:
        while True:
            if over == stop:
                state, trainer = trainer.state(), made(choice, LONG, change)
                trainer.load(state)
            trainer.advance()
            over += 1
    except Diverged as error:
        return str(error), flat(trainer.state()), over


@pytest.mark.parametrize(("stop", "over"), [(None, 36), (8, 9), (9, 9)])
def test_three_bad_steps_in_a_row_end_a_run_there_however_late_they_are_read(tapes, stop, over):
    change = overflowing(5, 7, 8, 9)
    *expected, there = until_diverged("off", change, stop)
    *found, later = until_diverged("on", change, stop)
    assert found == expected  # what came after changed nothing
    assert expected[0] == "diverged at step 9: loss nan, 3 non-finite steps in a row"
    assert (there, later) == (9, over)


def test_a_language_net_never_waits_where_the_device_decides(rng, monkeypatch):
    """It carries its state past steps that are not applied, and nothing is read in between."""
    monkeypatch.setattr("workbench.recurrence.observers._modes", lambda: 0)
    tokens = {split: torch.randint(12, (900,), generator=rng) for split in treebank.SPLITS}
    text = treebank.Text(tokens, (*"abcdefghijk", "<eos>"))
    net = {"kind": "plain", "hidden": 6, "embedding": 6, "dropout": 0.2, "norm": "before", "norm_over": "step"}
    config = Config(
        task=Treebank(name="treebank", length=10),
        model=Model.model_validate(net),
        train=Train(batch=4, steps=40, evaluate_every=40, bn_statistics="running"),
    )
    ends = []
    for decides in (False, True):
        trainer = Trainer(config, 0, task=treebank.TreebankTask(text, config.task, 0, 4), backend="torch")
        trainer.decides, bias, decided = decides, trainer.net.decoder.bias, trainer._decided

        def unread(given, decided=decided):
            with Tape():
                return decided(given)

        trainer._decided = unread
        for step in range(40):
            kept = bias.detach().clone()
            if step in (7, 8, 20):
                torch.no_grad()(bias.fill_)(math.inf)
            trainer.advance()
            if step in (7, 8, 20):
                torch.no_grad()(bias.copy_)(kept)
        ends.append(flat(trainer.state()))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("permuted", [False, True])
def test_a_batch_gathered_from_resident_pixels_is_the_batch(permuted):
    task = tasks.load(DIGITS.task.model_copy(update={"permuted": permuted, "repeats": 2}), 3, 32)
    resident = tasks.resident(task, torch.device("cpu"))
    for step in (0, 1, 44, 45, 90):  # over an epoch's seam too
        ours, theirs = resident.batch(resident.rows(step)), task.batch(step)
        assert torch.equal(ours.x, theirs.x)
        assert torch.equal(ours.y, theirs.y)
        assert ours.x.dtype == theirs.x.dtype
    assert tasks.resident(tasks.load(ADDING.task, 3, 8), torch.device("cpu")) is None


def test_the_next_batch_is_drawn_while_a_device_is_busy_and_never_used_for_another_step(tapes):
    trainer = Trainer(ADDING, 3, graphs="on", backend="torch")
    trainer.advance()
    state = trainer.state()
    assert trainer._ahead[0] == 1
    assert torch.equal(trainer._ahead[1].x, trainer.task.batch(1).x)
    trainer.advance()
    losses = [trainer.advance() for _ in range(2)]
    trainer.load(state)
    trainer.advance()
    assert [trainer.advance() for _ in range(2)] == losses


def test_a_step_is_read_once_and_rates_are_written_only_where_they_change(tapes, monkeypatch):
    trainer = Trainer(DIGITS, 0, graphs="on", backend="torch")
    trainer.advance()
    reads, tolist = [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: reads.append(self.shape) or tolist(self))
    monkeypatch.setattr(trainer.net, "train", lambda *_: pytest.fail("train() again"))
    written = [group["lr"]._version for group in trainer.optimizer.param_groups]
    trainer.advance()
    assert reads == [(1, 3)]
    assert [group["lr"]._version for group in trainer.optimizer.param_groups] == written


def test_a_step_ends_only_where_one_was_begun():
    with pytest.raises(ParameterError, match="finish: no step was begun"):
        Trainer(DIGITS, 0).finish()


def test_a_run_that_is_over_has_no_recordings(tapes):
    trainer = Trainer(DIGITS, 0, graphs="on", backend="torch")
    trainer.advance()
    assert trainer.recorded.made
    trainer.close()
    assert not trainer.recorded.made


def test_each_trainer_records_on_a_stream_of_its_own(tapes, monkeypatch):
    seen, record = [], cuda_graphs.record
    monkeypatch.setattr(cuda_graphs, "record", lambda call, chance, stream: seen.append(stream) or record(call))
    for name in "ab":
        trainer = Trainer(ADDING, 0, graphs="on", backend="torch")
        trainer.recorded.stream = name  # on a device, a stream of torch's
        trainer.advance()
    assert seen == ["a", "b"]


@pytest.mark.parametrize("config", [DIGITS, ADDING], ids=["resident", "drawn"])
def test_trainers_in_turns_each_with_its_own_recording_are_the_single_runs(tapes, config):
    """Begun by all before any is finished, as seeds are on a device."""
    expected = [run("off", config.set({"train.evaluate_every": 100}), seed=seed) for seed in (3, 4, 5)]
    together = [Trainer(config, seed, graphs="on", backend="torch") for seed in (3, 4, 5)]
    for _ in range(config.train.steps):
        for trainer in together:
            trainer.begin()
        for trainer in together:
            trainer.finish()
    assert [weights_sha256(trainer.net) for trainer in together] == [weights for weights, _ in expected]
    assert len({weights for weights, _ in expected}) == len(tapes) == 3


def test_buffers_side_by_side_keep_their_values_and_are_kept_and_restored_as_one(rng):
    values = [torch.randn(5, generator=rng), torch.tensor(7), torch.randn(3, generator=rng)]
    before = [value.clone() for value in values]
    whole = cuda_graphs.side_by_side(values)
    kept = whole.clone()
    assert all(torch.equal(*pair) for pair in zip(values, before, strict=True))
    for value in values:
        value.add_(1)
    assert not any(torch.equal(*pair) for pair in zip(values, before, strict=True))
    whole.copy_(kept)
    assert all(torch.equal(*pair) for pair in zip(values, before, strict=True))


def test_masks_drawn_together_are_those_of_their_rates_and_used_once(rng):
    net = build(DIGITS.model, tasks.spec(DIGITS.task), rng)
    draw_masks(net, 4000, rng)
    x = torch.zeros(1, 4000, 8)
    masks = [layer.dropout.mask(x, 8) for layer in net.layers]
    assert [sorted(mask.unique().tolist()) for mask in masks] == [[0.0, pytest.approx(1 / 0.7)]] * 2
    assert all(float((mask > 0).float().mean()) == pytest.approx(0.7, abs=0.01) for mask in masks)
    assert not torch.equal(*masks)
    assert not torch.equal(net.layers[0].dropout.mask(x, 8), masks[0])


def refuse(call, rng=None, stream=None):
    raise RuntimeError("operation not permitted when stream is capturing\nmore")


def test_a_step_that_cannot_be_recorded_is_trained_without_unless_asked_for(tapes, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "record", refuse)
    with pytest.warns(UserWarning, match="graphs are off: operation not permitted when stream is capturing$"):
        assert run("auto") == run("off")
    with pytest.raises(RunError, match="graphs: 'on' received, but this step cannot be recorded: operation not"):
        run("on")


CUDA = torch.device("cuda")
TRANSFORMER = paper.experiment("seqdigits_transformer").config
WORDS = paper.experiment("ptbchar_small").config


def wanted(choice="auto", config=DIGITS, device=CUDA, processes=1):
    return cuda_graphs.wanted(choice, config, tasks.spec(config.task), device, processes)


def test_auto_records_small_nets_on_a_device():
    large = DIGITS.set({"model.hidden": 512, "train.batch": 512})  # 64 * 512 * 512 = 2^24
    assert wanted()
    assert not wanted("off")
    assert (wanted(config=large), wanted("on", large)) == (False, True)
    others = ({"config": WORDS}, {"config": TRANSFORMER}, {"device": torch.device("cpu")}, {"processes": 2})
    assert not any(wanted(**other) for other in others)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"device": torch.device("cpu")}, "'on' received, but the device is cpu; a CUDA device is needed"),
        ({"processes": 2}, "'on' received, but it cannot be done by 2 processes; start one"),
        ({"config": WORDS}, "'on' received, but a language net carries its state"),
        ({"config": TRANSFORMER}, "kind 'transformer' cannot be recorded; dense, plain, residual can"),
        ({"choice": "yes"}, "graphs: 'yes' is unknown; choose one of auto, off, on"),
    ],
)
def test_what_cannot_be_recorded_is_refused_where_it_is_asked_for(given, said):
    with pytest.raises(ParameterError, match=said):
        wanted(**{"choice": "on", **given})


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["batch norm, dropout", "adding", "clipped, clamped after"])
def test_on_the_device_a_recorded_run_is_the_run(name):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    found = []
    for choice in ("on", "off"):
        trainer = Trainer(CONFIGS[name], 3, device="cuda", graphs=choice)
        losses = [trainer.advance() for _ in range(9)]
        found.append([losses, trainer.net.state_dict()])
        assert (trainer.recorded is not None) == (choice == "on")
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-8)
