"""No bytes get more out of a reader than data or one of our own errors: the kept seeds, and changes of them."""

import random
import shutil
import time
import warnings
from pathlib import Path

import pytest
from fuzz import targets

CHANGES = {
    "idx": 3000,
    "skeleton": 4000,
    "text": 1500,
    "sequences": 300,
    "record": 250,
    "checkpoint": 60,
}  # about four seconds each
TOKENS = [b"", b"\0", b"\xff", b"\n", b" ", b"-", b"9", b"25", b"1e999", b"nan", b"1_0", b"null", b'"', b"{}", b"[", b"seal", b"\\ud800"]  # fmt: skip  # noqa: E501
SLOWEST = 20  # processor seconds of one input


def changed(content, rng):
    """The bytes after one to four cuts, copies, flips or insertions; or, where they are edits, other edits."""
    if content[:1] == b"E":
        return b"E" + rng.randbytes(3 * rng.randint(1, 4))
    out = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, width = rng.randint(0, len(out)), rng.choice([0, 1, 1, 2, 4, 16])
        there = bytes(out[at : at + width])
        flipped = bytes(b ^ 1 << rng.randrange(8) for b in there)
        out[at : at + width] = rng.choice([flipped, there * 2, rng.choice(TOKENS), rng.randbytes(width)])
    return bytes(out)


@pytest.mark.parametrize("target", targets.TARGETS)
def test_seeds_and_changes_of_them_give_data_or_our_own_errors(target, tmp_path, record_property):
    read, seeds = targets.TARGETS[target], targets.seeds(target)
    rng = random.Random(target)
    tried = [*seeds.values()]
    edits = [seed for seed in tried if seed[:1] == b"E"] or tried  # half of what is tried is edits of something whole
    tried += [changed(rng.choice(rng.choice([tried, edits])), rng) for _ in range(CHANGES[target])]
    for content in tried:
        began = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                read(content, tmp_path)
        except Exception as error:
            raise AssertionError(f"{target}: {content!r}") from error
        assert time.process_time() - began < SLOWEST, content
    record_property("tried", len(tried))


def test_the_seeds_are_few_and_some_of_them_are_whole(tmp_path):
    for target in targets.TARGETS:
        found = targets.seeds(target)
        assert len(found) >= 3
        assert sum(map(len, found.values())) < 50_000
    run = targets.laid_out(targets.seeds("record")[targets.WHOLE], tmp_path)
    assert targets.record.Record(targets.Run(run)).status == "done"
    state = targets.checkpoint.unpack(targets.begun(), targets.path_of(targets.begun()))
    trainer = targets.Trainer(targets.TINY, 0)
    trainer.load(state["trainer"])
    assert trainer.step == 1


def test_an_input_that_is_kept_leaves_the_others_as_they_are(tmp_path, monkeypatch):
    before = targets.seeds("idx")
    shutil.copy(targets.CORPUS / "idx.zip", tmp_path)
    monkeypatch.setattr(targets, "CORPUS", tmp_path)
    targets.keep("idx", {})
    assert (tmp_path / "idx.zip").read_bytes() == (Path(targets.__file__).parent / "corpus" / "idx.zip").read_bytes()
    targets.keep("idx", {"new": b"\0\n"})
    assert targets.seeds("idx") == before | {"new": b"\0\n"}
    targets.seeds.cache_clear()
