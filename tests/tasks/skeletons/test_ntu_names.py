"""Consequences of names alone: the counts of every protocol, as published."""

import os
from collections import Counter
from pathlib import Path

import pytest

from workbench.errors import DataError
from workbench.tasks.skeletons import ntu_names
from workbench.tasks.skeletons.ntu_names import Name


@pytest.fixture
def lists():
    """The folder of the two published lists; the test is skipped where there is none."""
    folder = Path(os.environ.get("WORKBENCH_DATA", "")) / "ntu"
    if not (folder / ntu_names.LISTS["ntu60"][0]).is_file():
        pytest.skip("WORKBENCH_DATA names no folder with ntu/")
    return folder


def counts(clips, source, protocol):
    trained = Counter(name.is_trained(source, protocol) for name in clips)
    return trained[True], trained[False]


def test_a_name_is_taken_apart_and_put_together():
    assert ntu_names.parse("S001C002P003R002A013.skeleton") == Name(1, 2, 3, 2, 13)
    assert str(Name(1, 2, 3, 2, 13)) == "S001C002P003R002A013"


@pytest.mark.parametrize(
    "bad",
    ["S001C002P003R002", "S01C002P003R002A013", "s001c002p003r002a013", "", "S001C002P003R002A013.txt",
     "S001C002P003R002A0131", "S\u0660\u0660\u0661C002P003R002A013", "xS001C002P003R002A013", "S001C002P003R002A01_"],
)  # fmt: skip
def test_another_name_is_refused(bad):
    with pytest.raises(DataError, match=r"folder: '.*' found, a name like S001C002P003R002A013 expected"):
        ntu_names.parse(bad, "folder")


def test_every_clip_is_counted_once():
    for source, count in (("ntu60", 56_880), ("ntu120", 114_480)):
        every = ntu_names.every(source)
        assert len(every) == len(set(every)) == count
        assert every == sorted(every)
        assert max(name.action for name in every) == ntu_names.ACTIONS[source]
    assert ntu_names.every("ntu120")[:56_880] == ntu_names.every("ntu60")


def test_ntu_60_has_forty_performers_and_ntu_120_has_106():
    for source, count in (("ntu60", 40), ("ntu120", 106)):
        assert {name.performer for name in ntu_names.every(source)} == set(range(1, count + 1))


def test_the_protocols_split_all_clips_as_published():
    assert counts(ntu_names.every("ntu60"), "ntu60", "subject") == (40_320, 16_560)
    assert counts(ntu_names.every("ntu60"), "ntu60", "view") == (37_920, 18_960)
    assert (len(ntu_names.TRAINED["ntu60"]), len(ntu_names.TRAINED["ntu120"])) == (20, 53)
    assert {name.setup % 2 for name in ntu_names.every("ntu120") if name.is_trained("ntu120", "setup")} == {0}


@pytest.mark.data
def test_the_protocols_split_the_usable_clips_as_published(lists):
    assert counts(ntu_names.usable("ntu60", lists), "ntu60", "subject") == (40_091, 16_487)
    assert counts(ntu_names.usable("ntu60", lists), "ntu60", "view") == (37_646, 18_932)
    assert counts(ntu_names.usable("ntu120", lists), "ntu120", "subject") == (63_026, 50_919)
    assert counts(ntu_names.usable("ntu120", lists), "ntu120", "setup") == (54_468, 59_477)


@pytest.mark.data
def test_every_unusable_clip_is_a_clip(lists):
    for source, (file, count) in ntu_names.LISTS.items():
        left_out = ntu_names.unusable(lists / file, count)
        assert len(left_out) == count
        assert left_out <= set(ntu_names.every(source))


def listed(path, lines):
    path.write_text("prose\nmore prose\n\n" + "\n".join(lines) + "\n")
    return path


def test_a_list_that_is_not_there_or_not_whole_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"list\.txt: missing; it lists 302 clips"):
        ntu_names.unusable(tmp_path / "list.txt", 302)
    path = listed(tmp_path / "list.txt", ["S001C001P001R001A001", "S001C001P001R001A002"])
    assert ntu_names.unusable(path, 2) == {Name(1, 1, 1, 1, 1), Name(1, 1, 1, 1, 2)}
    with pytest.raises(DataError, match="2 names found, 3 expected"):
        ntu_names.unusable(path, 3)
    with pytest.raises(DataError, match="line 5: 'S001' found"):
        ntu_names.unusable(listed(path, ["S001C001P001R001A001", "S001"]), 2)
    path.write_bytes("prose".encode("utf-16"))
    with pytest.raises(DataError, match="cannot be read"):
        ntu_names.unusable(path, 2)
