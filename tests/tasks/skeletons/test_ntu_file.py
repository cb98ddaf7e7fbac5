"""The .skeleton format to the letter: what it holds is read, whatever else is refused with its line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skeleton_files import FIRST_ID, clip, skeleton_file, walk

from workbench.errors import DataError
from workbench.tasks import skeletons
from workbench.tasks.skeletons import ntu_file


@pytest.fixture
def read(tmp_path):
    """Read a text or bytes as a file."""

    def of(content):
        path = tmp_path / "S001C002P003R002A013.skeleton"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return skeletons.read(path)

    return of


def test_coordinates_are_read_as_written(read):
    body = walk(3)
    assert read(clip(3)).shape == (3, 1, 25, 3)
    assert read(clip(3)).dtype == np.float32
    np.testing.assert_allclose(read(clip(3))[:, 0], body, rtol=1e-6)


def test_a_line_of_a_real_file_gives_its_first_three_numbers(read):
    joint = (
        "0.2181153 0.1725972 3.785547 277.419 191.8218 1036.233 519.1677 -0.2059419 0.05349901 0.9692109 -0.1239193 2"
    )
    content = "\n".join(["1", "1", f"{FIRST_ID} 0 1 1 1 1 0 0.02764709 0.05745083 2", "25", *[joint] * 25])
    np.testing.assert_array_equal(read(content)[0, 0], np.float32([[0.2181153, 0.1725972, 3.785547]] * 25))


def test_bodies_keep_their_place_by_id_in_order_of_appearance(read):
    a, b, c = walk(3, 0), walk(3, 1), walk(3, 2)
    first, second, third = FIRST_ID, FIRST_ID + 1, FIRST_ID + 2  # one number as float64
    got = read(skeleton_file([{second: b[0]}, {first: a[1], third: c[1], second: b[1]}, {third: c[2]}]))
    assert got.shape == (3, 3, 25, 3)
    np.testing.assert_allclose(got[:, 0], [b[0], b[1], 0 * b[2]], rtol=1e-6)
    np.testing.assert_allclose(got[:, 1], [0 * a[0], a[1], 0 * a[2]], rtol=1e-6)
    np.testing.assert_allclose(got[:, 2], [0 * c[0], c[1], c[2]], rtol=1e-6)


def test_frames_without_a_body_stay_as_zeros(read):
    joints = walk(1)[0]
    got = read(skeleton_file([{}, {FIRST_ID: joints}, {}]))
    assert got.shape == (3, 1, 25, 3)
    assert got.any((1, 2, 3)).tolist() == [False, True, False]
    assert read(skeleton_file([{}, {}])).shape == (2, 0, 25, 3)


def test_an_id_that_stands_twice_in_a_frame_is_two_bodies(read):
    a, b = walk(1, 0)[0], walk(1, 1)[0]
    content = skeleton_file([{FIRST_ID: a, FIRST_ID + 1: b}]).replace(str(FIRST_ID + 1), str(FIRST_ID))
    np.testing.assert_allclose(read(content)[0], [a, b], rtol=1e-6)


def test_more_than_two_bodies_parse(read):
    assert read(skeleton_file([{FIRST_ID + i: walk(1, i)[0] for i in range(6)}])).shape == (1, 6, 25, 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", " \n"),
        lambda text: text.replace(" ", "  ").replace("25\n", "  25\n"),
        lambda text: text.removesuffix("\n"),
        lambda text: text + "\n",
        lambda text: text + "\r\n \n\n",
        lambda text: text.replace(" 2\n", "\t2\n"),
    ],
    ids=["CRLF", "blanks after", "two blanks", "no last newline", "a blank line", "blank lines", "tabs"],
)
def test_what_real_files_may_have_changes_nothing(read, change):
    np.testing.assert_array_equal(read(change(clip(2))), read(clip(2)))


def test_a_file_that_is_not_there_or_a_folder_or_too_large_is_refused(tmp_path, monkeypatch):
    for path in (tmp_path / "none.skeleton", tmp_path, "a\0b"):
        with pytest.raises(DataError, match="cannot be read"):
            skeletons.read(path)
    monkeypatch.setattr(ntu_file, "LARGEST", 1000)
    with pytest.raises(DataError, match="more than 1,000 bytes"):
        ntu_file.parse(clip(1).encode(), "x")


def test_a_few_bytes_cannot_ask_for_much_memory(read):
    body = "1\n" + "\n".join(clip(1).split("\n")[2:29])
    with pytest.raises(DataError, match="bodies in 999999999 frames"):
        read("999999999\n" + body)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_bytes_give_an_array_or_a_data_error(data):
    content = bytearray(clip(2).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(
            [b"", b"\n", b" ", b"-", b"9", b"25", b"e", b".", b"nan", b"\xff", b"1_0", b"\r", b"\t0 0"]
        ))  # fmt: skip
    try:
        got = ntu_file.parse(bytes(content), "mutated")
    except DataError:
        return
    assert got.shape[2:] == (25, 3)
    assert np.isfinite(got).all()
