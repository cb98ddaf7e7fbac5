"""Archives made to do harm: nothing leaves its folder, and no more is unpacked than a data set or a bundle can hold."""

import gzip
import hashlib
import io
import json
import lzma
import tarfile
import tracemalloc
import zipfile

import pytest
from bad_inputs.skeleton import TEXT
from bad_inputs.speech import WAV, index_of, wav

from workbench.errors import DataError, StoreError
from workbench.runs import bundle, pack
from workbench.runs.bundle import adopt
from workbench.tasks import npy_xz, pixels, speech
from workbench.tasks.skeletons import ntu_archive, ntu_file

ID = "0123456789abcdef"


def member(name, content=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for info, content in members:
            made.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return buffer.getvalue()


def claims(size):
    """A tar whose member says that it is larger than the file."""
    info, _ = member(f"runs/{ID}/spec.json")
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


LINK, HARD, DEVICE, PIPE = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE
BUNDLES = {
    "a path that climbs": lambda: tar(member("../../climbed", b"x")),
    "a path that climbs from within": lambda: tar(member(f"runs/{ID}/../../../climbed", b"x")),
    "an absolute path": lambda: tar(member("/tmp/climbed-absolute", b"x")),
    "a link out": lambda: tar(member(f"runs/{ID}", type=LINK, linkname="/etc")),
    "a link out, then a file through it": lambda: tar(
        member("runs", type=LINK, linkname="../.."), member("runs/climbed", b"x")
    ),
    "a link within": lambda: tar(member(f"runs/{ID}/a", b"x"), member(f"runs/{ID}/spec.json", type=LINK, linkname="a")),
    "a hard link out": lambda: tar(member(f"runs/{ID}/spec.json", type=HARD, linkname="../../../../etc/passwd")),
    "a device": lambda: tar(member(f"runs/{ID}/spec.json", type=DEVICE, devmajor=1, devminor=5)),
    "a pipe": lambda: tar(member(f"runs/{ID}/spec.json", type=PIPE)),
    "a gigabyte in a megabyte": lambda: gzip.compress(tar(member("runs/a", bytes(150_000_000))), 1),
    "a terabyte claimed": lambda: claims(10**12),
    "more files than a bundle may hold": lambda: b"".join(member(f"runs/{n}")[0].tobuf() for n in range(2_000)),
    "a tar of nothing": lambda: tar(),
    "no tar": lambda: b"<!DOCTYPE html>" * 100,
}


def a_bundle(folder, content, name="campaign.tar.1", **about):
    folder.mkdir()
    (folder / name).write_bytes(content)
    parts = {name: hashlib.sha256(content).hexdigest()}
    (folder / bundle.NAME).write_text(json.dumps({"parts": parts, "runs": [], **about}))
    return folder


@pytest.mark.parametrize("name", BUNDLES)
def test_a_hostile_bundle_is_refused_and_leaves_nothing(name, store, tmp_path, monkeypatch):
    home = tmp_path / "unpacked" / "here"  # where it is unpacked, so that what leaves it is found
    home.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(home))
    monkeypatch.setattr(bundle, "FILES", 1_000)
    made = a_bundle(tmp_path / "bundle", BUNDLES[name]())
    before = sorted(tmp_path.rglob("*"))
    tracemalloc.start()
    try:
        with pytest.raises(StoreError) as caught:
            adopt(made)
        assert tracemalloc.get_traced_memory()[1] < 120_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert not [place for place in ("/tmp/climbed-absolute", "/climbed") if (tmp_path / place).exists()]


def test_a_bundle_that_is_small_because_it_has_holes_is_refused(tmp_path):
    info, _ = member(f"runs/{ID}/spec.json")
    limit = bundle.PART * bundle.PARTS
    info.pax_headers = {"GNU.sparse.size": str(limit + 1), "GNU.sparse.map": "0,0"}
    made = a_bundle(tmp_path / "bundle", info.tobuf(tarfile.PAX_FORMAT) + bytes(1024))
    with pytest.raises(StoreError, match=f"holds more than {limit:,} bytes"):
        adopt(made)


@pytest.mark.parametrize("name", ["../campaign.tar.1", "campaign.tar.1/../../x", "/etc/passwd", "campaign.json"])
def test_a_part_is_a_file_of_its_bundle(name, tmp_path):
    made = a_bundle(tmp_path / "bundle", tar())
    (made / bundle.NAME).write_text(json.dumps({"parts": {name: "0" * 64}, "runs": []}))
    with pytest.raises(StoreError, match="not a bundle"):
        adopt(made)


def test_a_part_that_is_too_large_is_not_read(tmp_path):
    made = a_bundle(tmp_path / "bundle", tar())
    with (made / "campaign.tar.1").open("ab") as part:
        part.truncate(10**12)  # a hole: it takes no room on the disk
    with pytest.raises(StoreError, match="larger than the 15,000,000 bytes"):
        adopt(made)


def unpacked_at_most(size, read):
    """The bytes that Python takes while a reader refuses."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            read()
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()
    return str(caught.value)


def test_a_bomb_in_place_of_images_is_cut_short(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + (2**31).to_bytes(4, "big") * 3 + bytes(150_000_000), 1))
    said = unpacked_at_most(10_000_000, lambda: pixels.read_idx(path, dims=3, cap=1_000_000))
    assert "images.gz" in said


def test_a_bomb_in_place_of_recordings_is_cut_short(tmp_path):
    path = tmp_path / "recordings.npy.xz"
    path.write_bytes(lzma.compress(bytes(150_000_000), preset=0))
    said = unpacked_at_most(10_000_000, lambda: npy_xz.read(path, "<i2", (None,), cap=1_000_000))
    assert "more than 1000000 bytes unpacked" in said
    (tmp_path / "index.csv").write_text(index_of("3_ann_0,3,ann,0,0,5,test"))
    assert "recordings.npy.xz" in unpacked_at_most(80_000_000, lambda: speech.read(tmp_path))


def zipped(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content)
    return path


def test_a_zip_of_recordings_writes_nothing_and_reads_no_bomb(tmp_path):
    climbing = zipped(tmp_path / "digits.zip", (f"../../{WAV}", b"x"), ("/etc/passwd", b"x"), (WAV, wav()))
    before = sorted(tmp_path.parent.rglob("*"))
    assert len(speech.read_original(climbing).lengths) == 1  # read where it lies; a name is never a place
    assert sorted(tmp_path.parent.rglob("*")) == before
    bomb = zipped(tmp_path / "bomb.zip", (WAV, bytes(150_000_000)))
    assert "at most 1048576" in unpacked_at_most(10_000_000, lambda: speech.read_original(bomb))


SPEC = f"{ID}/spec.json"
PACKS = {
    "a path that climbs": ("../../climbed", b"x"),
    "a path that climbs from within": (f"{ID}/../../climbed", b"x"),
    "an absolute path": ("/tmp/climbed-absolute", b"x"),
    "a file that no record has": (f"{ID}/lease", b"x"),
    "a checkpoint among the records": (f"{ID}/ck-1-{ID}.pt", b"x"),
    "a folder": (f"{ID}/", b""),
    "a folder in a run": (f"{ID}/spec.json/spec.json", b"x"),
    "150 MB in 150 kB": (SPEC, bytes(150_000_000)),
}


@pytest.mark.parametrize("name", PACKS)
def test_a_hostile_pack_is_refused_and_leaves_nothing(name, store, tmp_path):
    made = zipped(tmp_path / "records.zip", PACKS[name])
    before = sorted(tmp_path.rglob("*"))
    tracemalloc.start()
    try:
        with pytest.raises(StoreError) as caught:
            adopt(made)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{made}: ")
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def patched(content, at, value):
    """A zip with two bytes changed in its file's local header, and in the list at its end, where they lie 2 further."""
    content, listed = bytearray(content), content.index(b"PK\1\2")
    for place in (at, listed + at + 2):
        content[place : place + 2] = value.to_bytes(2, "little")
    return bytes(content)


MALFORMED = {
    "no zip": (lambda _: b"<!DOCTYPE html>" * 100, "not a pack of records"),
    "cut short": (lambda whole: whole[:-30], "not a pack of records"),
    "encrypted": (lambda whole: patched(whole, 6, 1), "or encrypted"),
    "packed by LZMA": (lambda whole: patched(whole, 8, zipfile.ZIP_LZMA), "otherwise than by deflate"),
    "of more lines than files are allowed": (lambda whole: b"PK\1\2" * 20_001 + whole, "at most 20,000 files"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_pack_that_is_none_is_refused_by_name(name, store, tmp_path):
    made = zipped(tmp_path / "records.zip", (SPEC, b"{}"))
    spoil, says = MALFORMED[name]
    made.write_bytes(spoil(made.read_bytes()))
    with pytest.raises(StoreError, match=f"records.zip: .*{says}"):
        adopt(made)


def test_a_pack_is_not_read_where_it_is_too_large_and_a_file_stands_in_it_once(store, tmp_path):
    made = zipped(tmp_path / "records.zip", (SPEC, b"{}"))
    with pytest.warns(UserWarning, match="Duplicate"):
        zipped(tmp_path / "twice.zip", (SPEC, b"{}"), (SPEC, b"[]"))
    with pytest.raises(StoreError, match="stands in it twice"):
        adopt(tmp_path / "twice.zip")
    with made.open("ab") as file:
        file.truncate(10**12)  # a hole: it takes no room on the disk
    with pytest.raises(StoreError, match=f"more than the {pack.LARGEST:,}"):
        adopt(made)


def test_a_link_to_a_pack_is_not_followed(store, tmp_path):
    made = zipped(tmp_path / "records.zip", (SPEC, b"{}"))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked.zip").symlink_to(made)
    with pytest.raises(StoreError, match="no runs there"):
        adopt(tmp_path)


def test_a_zip_of_skeletons_writes_nothing_and_reads_no_bomb(tmp_path):
    zipped(tmp_path / "clips.zip", ("../../S001C001P001R001A001.skeleton", TEXT))
    (recording,) = ntu_archive.recordings(tmp_path).values()
    assert recording.content() == TEXT
    assert [path.name for path in tmp_path.iterdir()] == ["clips.zip"]
    zipped(tmp_path / "clips.zip", ("S001C001P001R001A001.skeleton", bytes(ntu_file.LARGEST + 2)))
    (bomb,) = ntu_archive.recordings(tmp_path).values()
    assert len(bomb.content()) == ntu_file.LARGEST + 1
