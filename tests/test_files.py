"""Places of things: in a checkout, in an installed copy, and where the user says."""

import os
import sys
from pathlib import Path

import pytest

from workbench import files
from workbench.errors import StoreError


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A copy installed from a wheel, which carries notebooks and results of its own; the user's home is elsewhere."""
    monkeypatch.delenv("WORKBENCH_RESULTS", raising=False)
    monkeypatch.setattr(files, "_PACKAGE", tmp_path / "site" / "workbench")
    (tmp_path / "site" / "workbench" / "_project").mkdir(parents=True)
    for name in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_checkout_holds_its_own_results(monkeypatch, tmp_path):
    monkeypatch.delenv("WORKBENCH_RESULTS", raising=False)
    monkeypatch.setattr(files, "_PACKAGE", tmp_path / "workbench")
    assert files.project() == tmp_path
    assert files.runs() == tmp_path / "results" / "runs"
    assert files.notebooks() == tmp_path / "notebooks"


def test_an_installed_copy_reads_what_it_carries_and_writes_into_the_users_folder(installed, monkeypatch):
    carried = installed / "site" / "workbench" / "_project"
    assert files.published() == carried / "results" / "published"
    assert files.paper() == carried / "results" / "paper"
    user = {"linux": Path(".local", "share"), "darwin": Path("Library", "Application Support")}
    for system, folder in user.items():
        monkeypatch.setattr(sys, "platform", system)
        assert files.results() == installed / "home" / folder / "indrnn-workbench" / "results"
    monkeypatch.setattr(sys, "platform", "win32")
    assert files.results() == installed / "home" / "AppData" / "Local" / "indrnn-workbench" / "results"
    monkeypatch.setenv("LOCALAPPDATA", str(installed / "local"))
    assert files.results() == installed / "local" / "indrnn-workbench" / "results"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(installed / "data"))
    assert files.results() == installed / "data" / "indrnn-workbench" / "results"


def test_a_user_without_a_home_is_asked_for_a_folder_unless_one_is_named(installed, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(sys, "platform", "linux")
    for relative in ("", "data"):
        monkeypatch.setenv("XDG_DATA_HOME", relative)
        with pytest.raises(StoreError, match=r"results: .* HOME or WORKBENCH_RESULTS names a folder"):
            files.results()
    monkeypatch.setenv("XDG_DATA_HOME", str(installed / "data"))
    assert files.results() == installed / "data" / "indrnn-workbench" / "results"


def test_what_the_user_names_comes_first_and_stays_when_the_folder_changes(installed, monkeypatch):
    monkeypatch.chdir(installed)
    monkeypatch.setenv("WORKBENCH_RESULTS", "mine")
    monkeypatch.delenv("WORKBENCH_DATA", raising=False)
    files.make_absolute()
    monkeypatch.chdir(installed / "site")
    assert files.results() == installed / "mine"


def test_a_name_that_no_folder_can_have_is_refused(installed, monkeypatch):
    (installed / "file").write_text("")
    (installed / "link").symlink_to(installed / "nowhere")
    for wrong in ("", "  ", str(installed / "file"), str(installed / "link")):
        monkeypatch.setenv("WORKBENCH_RESULTS", wrong)
        with pytest.raises(StoreError, match=r"WORKBENCH_RESULTS: .* is not a folder; name one, or unset it"):
            files.results()
    monkeypatch.setenv("WORKBENCH_RESULTS", str(installed / "file" / "below"))
    with pytest.raises(StoreError, match=r"WORKBENCH_RESULTS: .* cannot be used: .*Not a directory"):
        files.results()


@pytest.mark.skipif(os.name != "posix", reason="there is no descriptor of a folder")
def test_a_folder_that_can_be_written_and_not_read_is_one_error_of_ours(monkeypatch, tmp_path):
    real = os.open

    def refusing(path, *given, **more):
        if path == tmp_path:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *given, **more)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(StoreError, match="Permission denied"):
        files.publish(tmp_path / "a", b"a")


def test_rows_are_written_whole_or_not_at_all(tmp_path):
    table = tmp_path / "a.csv"
    files.publish_rows(table, ("a", "b"), [{"a": "1,5", "b": "\u00e4"}])
    assert table.read_bytes() == 'a,b\n"1,5",\u00e4\n'.encode()
    with pytest.raises(ValueError, match="'c'"):
        files.publish_rows(table, ("a", "b"), [{"a": 2}, {"c": 3}])
    assert table.read_bytes() == 'a,b\n"1,5",\u00e4\n'.encode()
    assert list(tmp_path.iterdir()) == [table]
