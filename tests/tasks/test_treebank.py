"""The treebank: derived exactly, read in order, every token scored once, and a stream that any step can be found in."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench import tasks
from workbench.config import Config, Model, Train, Treebank
from workbench.errors import DataError, ParameterError
from workbench.tasks import download, treebank
from workbench.training import Trainer, weights_sha256

LINES = {"train": " a bb c \n bb d \n", "valid": " c a \n", "test": " d \n bb \n"}


def made(n=20_000, valid=503, test=97, vocabulary=30):
    """Token numbers drawn at random, all of them known to training."""
    rng = torch.Generator().manual_seed(0)
    sizes = {"train": n, "valid": valid, "test": test}
    tokens = {s: torch.randint(0, vocabulary, (k,), generator=rng) for s, k in sizes.items()}
    return treebank.Text(tokens, ("<eos>", *map(str, range(vocabulary - 1))))


def reader(text=None, seed=0, batch=8, **settings):
    config = Treebank(name="treebank", **{"length": 10, **settings})
    return treebank.TreebankTask(text or made(), config, seed, batch)


@pytest.fixture
def folder(tmp_path):
    for split, lines in LINES.items():
        (tmp_path / f"ptb.{split}.txt").write_text(lines)
    treebank.read.cache_clear()
    return tmp_path


def test_a_word_text_is_its_words_and_the_ends_of_its_lines(folder):
    text = treebank.read(folder, "word")
    said = {s: [text.vocabulary[i] for i in t] for s, t in text.tokens.items()}
    assert said["train"] == ["a", "bb", "c", "<eos>", "bb", "d", "<eos>"]
    assert said["valid"] == ["c", "a", "<eos>"]
    assert text.vocabulary == ("a", "bb", "c", "<eos>", "d")  # by first occurrence in the training text


def test_a_character_text_is_its_lines_with_blanks_as_underscores(folder):
    text = treebank.read(folder, "char")
    assert "".join(text.vocabulary[i] for i in text.tokens["train"]) == "a_bb_c\nbb_d\n"
    assert "".join(text.vocabulary[i] for i in text.tokens["test"]) == "d\nbb\n"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(list(LINES)), st.integers(0, 20), st.integers(0, 20), st.binary(max_size=6))
@pytest.mark.parametrize("unit", ["word", "char"])
def test_changed_bytes_give_a_text_or_our_error(folder, unit, split, first, last, inserted):
    path, content = folder / f"ptb.{split}.txt", LINES[split].encode()
    path.write_bytes(content[:first] + inserted + content[last:])
    treebank.read.cache_clear()
    try:
        tokens, vocabulary = treebank.read(folder, unit)
    except DataError as error:
        complaint = str(error)
    else:
        complaint = str(folder)
        assert all(0 <= int(t.min()) <= int(t.max()) < len(vocabulary) for t in tokens.values())
    assert complaint.startswith(str(folder))
    path.write_bytes(content)


@pytest.mark.parametrize("chunks", ["random", "fixed"])
def test_an_epoch_reads_equal_columns_of_running_text_in_order(chunks):
    text = made()
    task = reader(text, chunks=chunks)
    epoch = task.epoch(0)
    batches = [task.batch(step) for step in range(len(epoch.at))]
    x, y = torch.cat([b.x for b in batches]), torch.cat([b.y for b in batches])
    columns = text.tokens["train"][epoch.offset : epoch.offset + 8 * epoch.height].view(8, epoch.height).T
    assert torch.equal(x, columns[: len(x)])
    assert torch.equal(y, columns[1 : len(y) + 1])
    left = epoch.height - 1 - len(x)
    assert left in (0, 1) if chunks == "random" else 0 <= left < 10  # what the official loops leave
    assert task.batch(len(epoch.at)).start == 0
    assert task.epoch(1).offset != epoch.offset


def test_the_start_of_a_chunk_counts_tokens_since_the_state_was_zero():
    task = reader()
    since = zeroed = 0
    for step in range(500):
        batch = task.batch(step)
        if batch.start == 0:
            since, zeroed = 0, zeroed + 1
        assert batch.start == since
        since += len(batch.x)
    per_epoch = 500 / task.batches_per_epoch
    assert 0.07 * 500 < zeroed - per_epoch < 0.13 * 500


def test_fixed_chunks_always_carry_the_state_within_an_epoch():
    task = reader(chunks="fixed", length=7)
    epoch = task.epoch(3)
    assert epoch.start == epoch.at == list(range(0, 7 * len(epoch.at), 7))
    assert set(epoch.length) == {7}


def test_random_lengths_follow_the_published_rule():
    """Drawn again with NumPy as the official code draws them: base 50 or 25, int(normal(base, 5)), from 5 to 60."""
    task = reader(made(2_000_000), length=50)
    ours = np.array([n for e in range(8) for n in task.epoch(e).length[:-1]])
    rng = np.random.default_rng(0)
    base = np.where(rng.random(400_000) < 0.95, 50, 25.0)
    theirs = np.clip(rng.normal(base, 5).astype(int), 5, 60)
    assert abs(ours.mean() - theirs.mean()) < 4 * ours.std() / len(ours) ** 0.5
    assert treebank._mean_length(50) == pytest.approx(theirs.mean(), abs=0.05)
    for k in (30, 45, 50, 55, 60):
        share = (theirs <= k).mean()
        assert abs((ours <= k).mean() - share) < 4 * (share * (1 - share) / len(ours)) ** 0.5 + 1e-9
    assert 5 <= ours.min() <= ours.max() == 60


def test_offsets_lie_below_five_chunks_of_the_batch_or_of_a_column():
    for chunks, below in (("random", 5 * 10 * 8), ("fixed", 5 * 10)):
        offsets = [reader(chunks=chunks).epoch(n).offset for n in range(200)]
        assert min(offsets) >= 0
        assert 0.9 * below < max(offsets) < below


@pytest.mark.parametrize(("chunks", "length"), [("random", 10), ("random", 50), ("fixed", 10), ("fixed", 33)])
def test_the_mean_number_of_batches_is_the_one_that_epochs_have(chunks, length):
    task = reader(made(200_000), chunks=chunks, length=length)
    found = np.mean([len(task.epoch(n).at) for n in range(60)])
    assert task.batches_per_epoch == pytest.approx(found, rel=0.005)


@pytest.mark.parametrize("chunks", ["random", "fixed"])
def test_a_batch_is_a_function_of_the_seed_and_its_step(chunks):
    walked, text = reader(chunks=chunks), made()
    for step in range(700):
        last = walked.batch(step)
    jumped = reader(text, chunks=chunks)
    assert jumped.batch(699).start == last.start
    assert torch.equal(jumped.batch(699).x, last.x)
    assert torch.equal(jumped.batch(0).x, walked.batch(0).x)  # and backwards
    other = reader(text, seed=1, chunks=chunks).batch(699)
    assert other.x.shape != last.x.shape or not torch.equal(other.x, last.x)


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("size", [1, 4, 250])
def test_every_token_of_a_split_is_predicted_once_from_the_one_before(split, size):
    text = made()
    batches = list(reader(text).examples(split, size))
    x, y = torch.cat([b.x for b in batches]).T.flatten(), torch.cat([b.y for b in batches]).T.flatten()
    assert torch.equal(y[y >= 0], text.tokens[split])
    assert x[0] == text.vocabulary.index("<eos>")
    assert torch.equal(x[1:][y[1:] >= 0], text.tokens[split][:-1])
    assert [b.start for b in batches] == [10 * k for k in range(len(batches))]
    assert batches[0].x.shape[1] == min(size, {"valid": 10, "test": 1}[split])


def test_more_columns_than_tokens_leave_no_empty_one():
    task = reader(made(test=11))
    (batch,) = task.segments("test", 7, 10)  # columns of two, the sixth half empty
    assert batch.y.shape == (2, 6)
    assert int((batch.y >= 0).sum()) == 11


def test_clean_chunks_are_running_text_read_from_the_zero_state():
    text = made()
    batch = reader(text).clean(3)
    assert (batch.x.shape, batch.start) == ((10, 8), 0)
    assert torch.equal(batch.x[1:], batch.y[:-1])
    windows = text.tokens["train"].unfold(0, 11, 1)
    for column in torch.cat([batch.x, batch.y[-1:]]).T:
        assert bool((windows == column).all(1).any())
    assert not torch.equal(batch.x, reader(text).clean(4).x)


def test_a_limit_keeps_the_first_tokens_and_the_whole_vocabulary():
    text = made()
    task = reader(text, limit=450)
    assert [t.tolist() for t in task.text.tokens.values()] == [t[:450].tolist() for t in text.tokens.values()]
    assert task.spec.outputs == 30
    assert all(task.batch(step).x.shape[1] == 8 for step in range(50))


def test_batches_are_cut_where_the_training_text_lies():
    """Meta tensors stand in for a device: they have shapes alone, so no value was made elsewhere."""
    task = reader()
    there = tasks.laid(task, torch.device("meta"))
    pairs = [(there.batch(step), task.batch(step)) for step in (0, 3, 250)] + [(there.clean(0), task.clean(0))]
    for ours, theirs in pairs:
        assert (ours.x.is_meta, ours.y.is_meta) == (True, True)
        assert (ours.x.shape, ours.y.shape, ours.start) == (theirs.x.shape, theirs.y.shape, theirs.start)
    assert next(there.examples("valid", 8)).x.is_cpu  # read once in a while
    assert tasks.laid(task, torch.device("cpu")) is task
    assert torch.equal(task.laid(torch.device("cpu")).batch(3).x, task.batch(3).x)


def test_columns_too_short_for_a_chunk_are_refused():
    with pytest.raises(ParameterError, match=r"train.batch: 64 columns are too many for 100 training tokens"):
        reader(limit=100, batch=64)
    with pytest.raises(ParameterError, match="each needs 11 or more"):
        reader(limit=100, batch=8, chunks="fixed")


@pytest.mark.parametrize("kind", ["plain", "lstm"])
def test_a_run_stopped_in_mid_text_goes_on_bit_by_bit_with_its_state(kind, folder, monkeypatch):
    (folder / "ptb.train.txt").write_text(" ".join("a bb c d".split() * 150) + "\n")
    monkeypatch.setattr(download, "locate", lambda name: folder)
    norm = {"norm": "before", "norm_over": "step", "u_max": 0.99} if kind == "plain" else {}
    config = Config(
        task=Treebank(name="treebank", length=10),
        model=Model.model_validate({"kind": kind, "hidden": 6, "embedding": 6, "dropout": 0.2, **norm}),
        train=Train(batch=4, steps=12, evaluate_every=6, bn_statistics="running", clamp="after"),
    )
    whole = Trainer(config, 0)
    for _ in range(7):
        whole.advance()
    assert whole.task.batch(7).start > 0
    resumed = Trainer(config, 0)
    resumed.load(whole.state())
    for _ in range(5):
        whole.advance()
        resumed.advance()
    assert weights_sha256(resumed.net) == weights_sha256(whole.net)
    assert 0 < whole.evaluation()["valid"]["perplexity"] < 10


@pytest.mark.data
@pytest.mark.usefixtures("real_data")
class TestRealTreebank:
    @pytest.mark.parametrize(
        ("unit", "counts"), [("word", (929_589, 73_760, 82_430)), ("char", (5_017_482, 393_042, 442_423))]
    )
    def test_its_tokens_and_types_are_as_many_as_published(self, unit, counts):
        task = tasks.load(Treebank(name="treebank", unit=unit), 0, 128)
        assert tuple(len(t) for t in task.text.tokens.values()) == counts
        assert task.spec == tasks.spec(Treebank(name="treebank", unit=unit))
        types = [len(t.unique()) for t in task.text.tokens.values()]
        assert types == ([10_000, 6_022, 6_049] if unit == "word" else [50, 50, 48])

    @pytest.mark.parametrize(
        ("split", "size", "md5"),
        [
            ("train", 10_034_964, "874909f99060142f6b88cc74c34baaa2"),
            ("valid", 786_084, "9e0fe5bec2a8bf43fd686dc23d5ab8bb"),
            ("test", 884_846, "1f9a2d1afe00f76e8bfbe09a65439681"),
        ],
    )
    def test_the_characters_are_those_of_the_ptb_char_files(self, real_data, split, size, md5):
        lines = treebank.read_lines(real_data / "ptb" / f"ptb.{split}.txt")
        content = "".join(f"{c} " for c in treebank.symbols_of(lines, "char")).encode()
        assert (len(content), hashlib.md5(content).hexdigest()) == (size, md5)

    def test_an_epoch_has_as_many_batches_as_the_official_one(self):
        word = tasks.load(Treebank(name="treebank"), 0, 128)
        assert word.batches_per_epoch == pytest.approx(148, abs=1)  # 48.2 tokens a chunk on average
        char = tasks.load(Treebank(name="treebank", unit="char", chunks="fixed"), 0, 128)
        assert char.batches_per_epoch == 783  # (5,017,482 // 128 - 1) // 50


def test_the_last_token_is_counted_where_it_is_read():
    text = treebank.Text(
        {"train": torch.tensor([0, 1, 2, 2]), "valid": torch.tensor([2]), "test": torch.tensor([0])}, ("a", "b", "c")
    )
    row = treebank.last_token(text)
    assert row == {
        "token": "c",
        "train": 2,
        "train tokens": 4,
        "valid": 1,
        "valid tokens": 1,
        "test": 0,
        "test tokens": 1,
    }
