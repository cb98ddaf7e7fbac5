"""The array of all clips: made once, goes on where it stopped, another one for other files, altered never used."""

import json
import threading
import zipfile

import numpy as np
import pytest
import torch
from skeleton_files import clip, skeleton_file, walk

from workbench import progress
from workbench.errors import DataError, MissingData
from workbench.tasks import download, skeletons
from workbench.tasks.skeletons import ntu_archive
from workbench.tasks.skeletons.ntu_file import actors
from workbench.tasks.skeletons.ntu_names import Name

WANTED = [Name(1, camera, 1, 1, action) for camera in (1, 2, 3) for action in (1, 2)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of six recordings, and a cache of the test's own."""
    monkeypatch.setattr(download, "cache", lambda: tmp_path / "cache")
    recordings = tmp_path / "ntu" / "nturgb+d_skeletons"
    recordings.mkdir(parents=True)
    for seed, name in enumerate(WANTED):
        (recordings / f"{name}.skeleton").write_text(clip(5 + seed, seed))
    return tmp_path / "ntu"


@pytest.fixture
def parsed(monkeypatch):
    """The names of the recordings that are read from now on."""
    seen, read = [], ntu_archive._clip

    def watch(name, recording):
        seen.append(name)
        return read(name, recording)

    monkeypatch.setattr(ntu_archive, "_clip", watch)
    return seen


def open_(folder, wanted=WANTED):
    return ntu_archive.clips("ntu60", folder, wanted, ntu_archive.recordings(folder))


def made(folder):
    """The one array in the cache."""
    (made,) = (folder.parent / "cache" / "skeletons").iterdir()
    return made


def test_every_clip_is_what_its_file_holds(folder):
    clips = open_(folder)
    assert clips.names == list(map(str, WANTED))
    assert clips.label.tolist() == [0, 1] * 3
    for row, name in enumerate(WANTED):
        wanted = actors(skeletons.read(folder / "nturgb+d_skeletons" / f"{name}.skeleton"))
        np.testing.assert_array_equal(clips.clip(row), wanted)
    assert isinstance(clips.frames.base, np.memmap)
    assert {p.name for p in made(folder).iterdir()} == {"frames.f32", "index.json", "lock"}


def test_files_are_read_once(folder, parsed):
    open_(folder)
    assert parsed == WANTED
    open_(folder)
    assert parsed == WANTED


def test_an_interrupted_reading_goes_on_where_it_stopped(folder, parsed, monkeypatch):
    whole = open_(folder).frames.copy()
    for path in sorted(made(folder).iterdir()):
        path.unlink()
    parsed.clear()
    read = ntu_archive._clip

    def stop_at_the_fourth(name, recording):
        if name == WANTED[3] and len(parsed) == 3:
            raise KeyboardInterrupt
        return read(name, recording)

    monkeypatch.setattr(ntu_archive, "_clip", stop_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        open_(folder)
    assert not (made(folder) / "index.json").exists()
    monkeypatch.setattr(ntu_archive, "_clip", read)
    np.testing.assert_array_equal(open_(folder).frames, whole)
    assert parsed == WANTED  # each once


@pytest.mark.parametrize("harm", ["half a frame", "half a line", "altered", "another clip", "no list"])
def test_an_unfinished_reading_that_was_harmed_goes_on_before_the_harm(folder, parsed, harm):
    whole = open_(folder).frames.copy()
    place = made(folder)
    rows = json.loads((place / "index.json").read_bytes())
    (place / "index.json").unlink()
    frames = (place / "frames.f32").read_bytes()[: sum(r[1] for r in rows[:4]) * ntu_archive._FRAME]
    lines = [json.dumps(row) + "\n" for row in rows[:4]]
    if harm == "half a frame":
        frames = frames[:-300]
    elif harm == "half a line":
        lines[3] = lines[3][:9]
    elif harm == "altered":
        at = sum(r[1] for r in rows[:3]) * ntu_archive._FRAME + 100
        frames = frames[:at] + b"x" + frames[at + 1 :]
    elif harm == "another clip":
        lines[3] = lines[3].replace(str(WANTED[3]), str(WANTED[5]))
    else:
        lines[3] = "{}\n"
    (place / "frames.part").write_bytes(frames)
    (place / "index.part").write_text("".join(lines))
    parsed.clear()
    np.testing.assert_array_equal(open_(folder).frames, whole)
    assert parsed == WANTED[3:]


def test_other_files_make_another_array(folder, parsed):
    before = open_(folder)
    path = folder / "nturgb+d_skeletons" / f"{WANTED[0]}.skeleton"
    path.write_text(clip(9, 77))
    after = open_(folder)
    assert after.origin != before.origin
    assert after.length.tolist() == [9, *before.length[1:]]


def test_a_zip_gives_the_same_clips_as_its_files(folder, tmp_path):
    loose = open_(folder)
    (tmp_path / "other").mkdir()
    with zipfile.ZipFile(tmp_path / "other" / "nturgbd_skeletons.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted((folder / "nturgb+d_skeletons").iterdir()):
            packed.write(path, f"nturgb+d_skeletons/{path.name}")
    zipped = open_(tmp_path / "other")
    assert zipped.origin != loose.origin
    np.testing.assert_array_equal(zipped.frames, loose.frames)
    assert zipped.names == loose.names


def test_an_altered_array_is_found_when_the_clip_is_read(folder):
    open_(folder)
    path = made(folder) / "frames.f32"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    clips = open_(folder)
    assert len(clips.clip(0)) == 5
    with pytest.raises(DataError, match=r"S001C003P001R001A002: altered; delete that folder"):
        clips.pick(torch.tensor([5]), torch.zeros(1, 1, dtype=torch.int64))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"[[1]]", b"[]]", b'[["x", 1, 1]]', None])
def test_an_altered_index_is_refused(folder, content):
    open_(folder)
    place = made(folder)
    if content is None:
        (place / "frames.f32").write_bytes(b"1234567")
    else:
        (place / "index.json").write_bytes(content)
    with pytest.raises(DataError, match=r"ntu60-.*: altered .*; delete that folder"):
        open_(folder)


def test_recordings_that_are_missing_are_named(folder):
    (folder / "nturgb+d_skeletons" / f"{WANTED[2]}.skeleton").unlink()
    with pytest.raises(MissingData, match=r"1 of 6 recordings are missing, S001C002P001R001A001\.skeleton first; ask"):
        open_(folder)
    with pytest.raises(MissingData, match="0 of 0 recordings are missing; ask"):
        open_(folder, [])


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("<html>", "line 1: '<html>' found"),
        (clip(3)[:900], "expected"),
        (skeleton_file([{}, {}]), "no body in any frame; S001C001P001R001A001 is not on the list"),
    ],
)
def test_a_recording_that_cannot_be_read_is_named(folder, text, fragment):
    path = folder / "nturgb+d_skeletons" / f"{WANTED[0]}.skeleton"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        open_(folder)
    assert str(caught.value).startswith(str(path))
    assert fragment in str(caught.value)
    path.write_text(clip(5))
    assert len(open_(folder).names) == 6


def test_a_file_of_another_name_and_a_broken_zip_are_refused(folder):
    stranger = folder / "S001.skeleton"
    stranger.write_text(clip(2))
    with pytest.raises(DataError, match=r"'S001\.skeleton' found, a name like"):
        open_(folder)
    stranger.unlink()
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(DataError, match=r"broken\.zip: cannot be read"):
        open_(folder)


def test_a_zip_with_a_member_that_is_altered_is_refused(folder, tmp_path):
    (tmp_path / "other").mkdir()
    path = tmp_path / "other" / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(f"{WANTED[0]}.skeleton", clip(3))
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip/S001C001P001R001A001\.skeleton: cannot be read: Bad CRC-32"):
        open_(tmp_path / "other", WANTED[:1])


def test_picked_frames_are_the_chosen_ones_and_zero_where_there_is_none(folder):
    clips = open_(folder)
    got = clips.pick(torch.tensor([1, 4]), torch.tensor([[0, -1, 5], [8, 2, -1]]))
    assert got.shape == (3, 2, 2, 25, 3)
    np.testing.assert_array_equal(got[:, 0], np.stack([clips.clip(1)[0], 0 * clips.clip(1)[0], clips.clip(1)[5]]))
    np.testing.assert_array_equal(got[:, 1], np.stack([clips.clip(4)[8], clips.clip(4)[2], 0 * clips.clip(1)[0]]))
    assert not got[:, :, 1].any()


def test_two_bodies_fill_two_slots(folder):
    name = WANTED[0]
    a, b = walk(4, 1, speed=0.1), walk(4, 2, at=(1, 0, 3))
    path = folder / "nturgb+d_skeletons" / f"{name}.skeleton"
    path.write_text(skeleton_file([{8: b[t], 7: a[t]} for t in range(4)]))
    np.testing.assert_allclose(open_(folder).clip(0), np.stack([a, b], 1), rtol=1e-6)


def test_reading_says_how_far_it_is(folder, monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN_EVERY", -1.0)
    open_(folder)
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "reading" in line] == [f"ntu60: reading: clip {i} of 6" for i in range(6)]


def test_while_one_makes_the_array_another_waits_and_uses_it(folder, parsed):
    open_(folder)
    place = made(folder)
    (place / "index.json").unlink()
    parsed.clear()
    found = []
    with ntu_archive._alone(place):
        other = threading.Thread(target=lambda: found.append(open_(folder)))
        other.start()
        other.join(0.3)
        assert other.is_alive()
        assert parsed == []
    other.join(30)
    assert found[0].names == list(map(str, WANTED))
    open_(folder)
    assert parsed == WANTED
