"""Where data are looked for, and that nothing falls through."""

import hashlib

import pytest

from workbench.errors import DataError, MissingData
from workbench.tasks import download


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A data set of one file, a cache of the test's own, and no network."""
    content = b"real data"
    known = download.DataSet(
        "tiny", "a test", "https://data.invalid/", "MIT", "nobody", {"a.bin": hashlib.sha256(content).hexdigest()}
    )
    monkeypatch.setitem(download.SETS, "tiny", known)
    monkeypatch.setattr(download, "cache", lambda: tmp_path / "cache")
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.setenv("WORKBENCH_DATA", str(root))
    return root, content


def put(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.bin").write_bytes(content)


def test_workbench_data_comes_first(tiny, tmp_path):
    root, content = tiny
    put(root / "tiny", content)
    put(tmp_path / "cache" / "tiny", content)
    assert download.locate("tiny") == root / "tiny"


def test_the_cache_is_second(tiny, tmp_path):
    put(tmp_path / "cache" / "tiny", tiny[1])
    assert download.locate("tiny") == tmp_path / "cache" / "tiny"


def test_an_altered_file_is_an_error_even_if_the_cache_has_a_good_one(tiny, tmp_path):
    root, content = tiny
    put(root / "tiny", b"other data")
    put(tmp_path / "cache" / "tiny", content)
    with pytest.raises(DataError, match="altered: SHA-256"):
        download.locate("tiny")


def test_a_folder_that_lacks_a_file_is_an_error(tiny):
    (tiny[0] / "tiny").mkdir()
    with pytest.raises(DataError, match=r"a\.bin: missing; get it from https://data\.invalid/a\.bin"):
        download.locate("tiny")


def test_without_data_and_network_the_message_says_which_file_goes_where(tiny, tmp_path, monkeypatch):
    import pooch

    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    with pytest.raises(MissingData, match=r"a\.bin is not on this machine .*put it into .*cache/tiny"):
        download.locate("tiny")
    assert not download.obtainable("tiny")


def test_a_data_root_that_does_not_exist_is_an_error(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"WORKBENCH_DATA: .*nowhere.? is not a folder"):
        download.locate("tiny")


def test_every_address_is_encrypted():
    assert all(known.url.startswith("https://") for known in download.SETS.values())


def test_a_file_that_cannot_be_read_is_named(tiny):
    root, _ = tiny
    (root / "tiny" / "a.bin").mkdir(parents=True)
    with pytest.raises(DataError, match=r"a\.bin: cannot be read: Is a directory"):
        download.verify("tiny", root / "tiny")
