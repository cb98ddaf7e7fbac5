"""A text is read back as it was written; what is typed is a value or an error of ours."""

import json
import math
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from properties.drawn import many
from skeleton_files import FIRST_ID, skeleton_file

from workbench.__main__ import main
from workbench.config import parse_json
from workbench.errors import ParameterError, StoreError
from workbench.runs import folder as store
from workbench.runs import record
from workbench.tasks import pixels
from workbench.tasks.skeletons import ntu_file

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
SCORES = st.dictionaries(st.sampled_from(["loss", "accuracy", "n"]), st.none() | NUMBERS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_json_comes_back_as_it_was_unless_json_cannot_hold_it(record_property):
    ended = Counter()

    @many(200)
    @given(JSON | st.text(), st.booleans())
    def holds(value, as_text):
        text = value if as_text and isinstance(value, str) else json.dumps(value)
        try:
            found = parse_json(text, "here")
        except ParameterError:
            ended["refused"] += 1
            return
        ended["read"] += 1
        assert found == json.loads(text)
        assert all(math.isfinite(n) for n in _floats(found))

    holds()
    record_property("examples", sum(ended.values()))
    assert min(ended["refused"], ended["read"]) > 10


def _floats(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [n for part in inner for n in _floats(part)] + ([value] if isinstance(value, float) else [])


def test_any_idx_array_is_read_as_it_was_written(tmp_path, record_property):
    tried = Counter()

    @many(60)
    @given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(0, 99))
    def holds(shape, seed):
        array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
        (tmp_path / "idx").write_bytes(header + array.tobytes())
        tried["read"] += 1
        np.testing.assert_array_equal(pixels.read_idx(tmp_path / "idx", len(shape), 10_000), array)

    holds()
    record_property("examples", tried["read"])


def test_any_bodies_in_any_frames_are_read_as_they_were_written(record_property):
    tried = Counter()

    @many(60)
    @given(st.lists(st.sets(st.integers(0, 3)), min_size=1, max_size=5), st.integers(0, 99))
    def holds(there, seed):
        rng = np.random.default_rng(seed)
        frames = [{FIRST_ID + i: rng.normal(0, 1, (25, 3)).astype(np.float32) for i in sorted(ids)} for ids in there]
        order = list(dict.fromkeys(body for frame in frames for body in frame))
        found = ntu_file.parse(skeleton_file(frames).encode(), "here")
        tried["read"] += 1
        assert found.shape == (len(frames), len(order), 25, 3)
        for number, frame in enumerate(frames):
            for place, body in enumerate(order):
                np.testing.assert_allclose(found[number, place], frame.get(body, np.zeros((25, 3))), rtol=1e-6)

    holds()
    record_property("examples", tried["read"])


def test_the_events_of_a_run_are_read_in_the_order_of_their_steps_each_once(tmp_path, record_property):
    tried = Counter()
    evaluation = st.fixed_dictionaries(
        {
            "step": st.integers(0, 9),
            "lr": NUMBERS,
            "outcome": st.text(),
            "train": SCORES,
            "valid": SCORES,
            "u": st.just({}),
        }
    )

    @many(40)
    @given(st.lists(evaluation, max_size=5))
    def holds(rows):
        tried["read"] += 1
        run = store.Run(tmp_path / f"{tried['read']:016x}")
        run.path.mkdir()
        for row in rows:
            try:
                run.append({"event": "evaluation", **row})
            except UnicodeEncodeError:  # half of a surrogate pair: no text that a run could write
                return
        first = {row["step"]: row for row in reversed(rows)}
        found = record.Record(run).evaluations
        assert [{k: v for k, v in e.items() if k != "event"} for e in found] == [first[s] for s in sorted(first)]

    holds()
    record_property("examples", tried["read"])


def test_a_changed_byte_in_the_events_is_an_error_or_changes_nothing(tmp_path, record_property):
    tried = Counter()
    run = store.Run(tmp_path / ("0" * 16))
    run.path.mkdir()
    for step in (1, 2, 3):
        run.append({"event": "evaluation", "step": step, "lr": 0.1, "outcome": "wait", "u": {}})
    path, before = run.path / "events.jsonl", run.events()
    whole = path.read_bytes()

    @many(150)
    @given(st.integers(0, len(whole) - 2), st.integers(1, 255))
    def holds(at, flip):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
        tried["read"] += 1
        try:
            found = run.events()
        except StoreError:
            return
        assert found == before[: len(found)]

    holds()
    record_property("examples", tried["read"])


def test_anything_typed_behind_set_ends_in_an_exit_code_of_ours(store, capsys, record_property):
    tried = Counter()

    @many(60)
    @given(st.text(max_size=12) | st.sampled_from(["model.hidden=", "task.length=", "train.lr="]), st.text(max_size=8))
    def holds(key, value):
        tried["ended"] += 1
        code = main(["run", "adding_indrnn_T100", "--budget", "smoke", "--until", "1", "--set", f"{key}{value}"])
        out, err = capsys.readouterr()
        assert code in (0, 2), (out, err)
        assert (code == 2) == err.startswith("workbench: ")
        assert "Traceback" not in err

    holds()
    record_property("examples", tried["ended"])
