"""Places where data are looked for, and that nothing falls through."""

import gzip
import hashlib
import http.server
import io
import json
import lzma
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from workbench import doctor, progress
from workbench.__main__ import main
from workbench.analysis import listing
from workbench.errors import DataError, MissingData
from workbench.runs.asked import substitute
from workbench.tasks import download

CACHE = download.cache


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


@pytest.mark.parametrize("pack", [gzip, lzma])
def test_the_same_bytes_packed_anew_are_the_same_data(tiny, monkeypatch, pack):
    root, content = tiny
    file = "a.gz" if pack is gzip else "a.xz"
    known = download.DataSet(
        "tiny",
        "a test",
        "https://data.invalid/",
        "MIT",
        "nobody",
        {file: hashlib.sha256(pack.compress(content)).hexdigest()},
        contents={file: hashlib.sha256(content).hexdigest()},
    )
    monkeypatch.setitem(download.SETS, "tiny", known)
    (root / "tiny").mkdir()
    anew = gzip.compress(content, 1, mtime=3) if pack is gzip else lzma.compress(content, check=lzma.CHECK_CRC32)
    assert hashlib.sha256(anew).hexdigest() not in known.files.values()
    (root / "tiny" / file).write_bytes(anew)
    assert download.locate("tiny") == root / "tiny"
    assert download.hashes("tiny") == known.files  # which name the runs, as before
    for other in (pack.compress(content + b"!"), content, anew[:-9]):
        (root / "tiny" / file).write_bytes(other)
        with pytest.raises(DataError, match="altered: SHA-256"):
            download.locate("tiny")
    (root / "tiny" / file).write_bytes(anew)
    monkeypatch.setattr(download, "LARGEST", len(content) - 1)
    with pytest.raises(DataError, match="altered: SHA-256"):
        download.locate("tiny")


@pytest.mark.parametrize("name", [name for name, known in download.SETS.items() if known.contents])
def test_what_a_packed_file_unpacks_to_is_known(name):
    known = download.SETS[name]
    assert known.contents.keys() == {file for file in known.files if file.endswith((".gz", ".xz"))}
    if not listing.data_sets([name])[0]["here"]:
        pytest.skip(f"{name} is not here")
    folder = download.locate(name)
    assert {file: download._unpacked(folder / file) for file in known.contents} == known.contents


def test_a_folder_that_lacks_a_file_is_an_error(tiny):
    (tiny[0] / "tiny").mkdir()
    with pytest.raises(DataError, match=r"a\.bin: missing; get it from https://data\.invalid/a\.bin"):
        download.locate("tiny")


def test_without_data_and_network_the_message_says_which_file_goes_where(tiny, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("pooch.retrieve", refuse)
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


FILES = {f"{name}.bin": name.encode() * 300_000 for name in "abcd"}


class Web:
    """A server of FILES on this machine: what it was asked for, and how many of the next requests break off."""

    def __init__(self):
        self.asked, self.broken, self.wrong = [], {}, set()
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.rpartition("/")[2]
                web.asked.append(name)
                content = b"<html>a login page</html>" if name in web.wrong else FILES[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if web.broken.get(name, 0) > 0:
                    web.broken[name] -= 1
                    self.wfile.write(content[: len(content) // 2])
                    self.wfile.flush()
                    self.connection.close()
                    return
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def web(monkeypatch, tmp_path):
    """MNIST as four files of such a server, a cache of the test's own, no WORKBENCH_DATA, and no pauses."""
    found = Web()
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    known = download.DataSet("mnist", "a test", found.address, "MIT", "nobody", hashes)
    monkeypatch.setattr(download, "SETS", {"mnist": known})
    monkeypatch.setattr(download, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))
    monkeypatch.delenv("WORKBENCH_DATA", raising=False)
    yield found
    found.server.shutdown()
    found.server.server_close()


def cached(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache" / "mnist").iterdir())


def test_a_transfer_that_broke_off_is_tried_again(web, capsys):
    web.broken = {"b.bin": 2}
    assert main(["data", "mnist"]) == 0
    assert web.asked == ["a.bin", "b.bin", "b.bin", "b.bin", "c.bin", "d.bin"]
    assert capsys.readouterr().err.count("mnist: b.bin: ") == 2


def test_the_same_command_completes_what_was_interrupted(web, tmp_path, capsys):
    """The connection is lost in the third file of four; what came is kept, and only the rest is asked for."""
    web.broken = {"c.bin": 3}
    assert main(["data", "mnist"]) == 3
    said = capsys.readouterr().err
    assert "mnist: c.bin is not on this machine and could not be fetched" in said
    assert cached(tmp_path) == ["a.bin", "b.bin"]  # and nothing half-written beside them
    web.asked.clear()
    assert main(["data", "mnist"]) == 0
    assert web.asked == ["c.bin", "d.bin"]
    assert "(2 of 4 files are here)" in capsys.readouterr().err
    assert cached(tmp_path) == sorted(FILES)


def test_ctrl_c_during_a_download_leaves_what_the_next_call_completes(web, tmp_path, monkeypatch, capsys):
    retrieve = download._transfer

    def interrupted(wanted, file, folder):
        if file == "c.bin":
            raise KeyboardInterrupt
        retrieve(wanted, file, folder)

    monkeypatch.setattr(download, "_transfer", interrupted)
    assert main(["data", "mnist"]) == 5
    monkeypatch.setattr(download, "_transfer", retrieve)
    (tmp_path / "cache" / "mnist" / "tmp0abc").write_bytes(b"what a killed process leaves")
    assert main(["data", "mnist", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["here"] is True
    assert web.asked == sorted(FILES)


def test_with_half_a_set_and_no_network_its_substitute_is_taken_and_every_page_says_what_is_missing(
    web, tmp_path, capsys
):
    web.broken = {"c.bin": 99}
    main(["data", "mnist"])
    web.server.shutdown()
    web.server.server_close()
    said = []
    assert substitute(["seqmnist_plain6"], said.append) == ["seqdigits_plain6"]
    assert "seqdigits_plain6 takes its place" in said[0]
    capsys.readouterr()
    assert main(["list", "data", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["state"], row["here"]) == ("missing", False)
    assert (
        f"c.bin, d.bin are not in {tmp_path / 'cache' / 'mnist'}; put the files of {web.address} there" in row["detail"]
    )
    (row,) = doctor._data()
    assert row["state"] == "missing"
    assert "c.bin, d.bin are not in" in row["detail"]
    assert "remove" not in doctor.line(row)


def test_what_came_and_was_altered_since_is_an_error_and_not_fetched_over(web, tmp_path):
    web.broken = {"c.bin": 3}
    main(["data", "mnist"])
    (tmp_path / "cache" / "mnist" / "a.bin").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.bin: altered: .*remove that file, then `workbench data mnist`"):
        download.locate("mnist")


def test_a_part_of_a_set_where_the_user_said_is_an_error_that_names_all_that_is_missing(web, tmp_path, monkeypatch):
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    (tmp_path / "data" / "mnist" / "b.bin").write_bytes(FILES["b.bin"])
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError, match=r"mnist: a\.bin, c\.bin, d\.bin: missing; get them from http.* put them there"):
        download.locate("mnist")
    assert not web.asked
    (row,) = doctor._data()
    assert row["state"] == "broken"
    assert "remove that file" not in doctor.line(row)


def test_a_page_that_came_in_a_files_place_is_never_kept(web, tmp_path, capsys):
    web.wrong = {"a.bin"}
    assert main(["data", "mnist"]) == 3
    assert "SHA256 hash of downloaded file" in capsys.readouterr().err
    assert cached(tmp_path) == []


def test_the_reason_of_a_failure_is_whole(web, monkeypatch):
    """A name that nobody has, and a proxy that refuses, read alike when cut at 120 letters."""
    far = download.DataSet("mnist", "", "https://data.invalid/", "", "", {"a.bin": "0" * 64})
    monkeypatch.setattr(download, "SETS", {"mnist": far})
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingData, match=r"resolve 'data\.invalid'"):
        download.locate("mnist")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(MissingData, match=r"proxy.*Connection refused") as caught:
        download.locate("mnist")
    assert "\n" not in str(caught.value)


def test_pooch_is_needed_only_to_fetch(web, tmp_path, monkeypatch):
    """A node with torch and little else, to which every file was carried."""
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingData, match="pooch"):
        download.locate("mnist")
    for root in ("data", "cache"):
        (tmp_path / root / "mnist").mkdir(parents=True)
        for name, content in FILES.items():
            (tmp_path / root / "mnist" / name).write_bytes(content)
    assert download.locate("mnist") == tmp_path / "cache" / "mnist"
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    assert download.locate("mnist") == tmp_path / "data" / "mnist"


def test_the_users_cache_is_found_without_pooch():
    code = "import sys; sys.modules['pooch'] = None; from workbench.tasks import download; print(download.cache())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    import pooch

    assert done.stdout.strip() == str(pooch.os_cache("indrnn-workbench") / "data")


def test_a_home_is_a_home_in_workbench_data(tiny, tmp_path, monkeypatch):
    put(tmp_path / "home" / "data" / "tiny", tiny[1])
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WORKBENCH_DATA", "~/data")
    assert download.locate("tiny") == tmp_path / "home" / "data" / "tiny"


def test_an_archive_of_which_a_part_came_is_not_said_to_be_here(tmp_path, monkeypatch, capsys):
    known = download.SETS["utd_mhad"]
    path = tmp_path / "utd_mhad" / known.original
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a1_s1_t1_skeleton.mat", bytes(1000))
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert download.locate("utd_mhad") == path.parent
    path.write_bytes(path.read_bytes()[:-50])
    assert main(["data", "utd_mhad", "--check"]) == 3
    assert "Skeleton.zip: cannot be read: not a zip file, or not all of it" in capsys.readouterr().err


def homeless():
    raise RuntimeError("Could not determine home directory.")


def test_without_a_home_only_what_lies_in_the_cache_is_missing(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "cache", CACHE)
    monkeypatch.setattr(Path, "home", homeless)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "WORKBENCH_DATA"):
        monkeypatch.delenv(name, raising=False)
    assert not download.obtainable("tiny")
    with pytest.raises(MissingData, match=r"cache: .* HOME or XDG_CACHE_HOME names a folder"):
        download.locate("tiny")
    put(tmp_path / "data" / "tiny", tiny[1])
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    assert download.locate("tiny") == tmp_path / "data" / "tiny"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_download_shows_how_far_it_is(web, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", Terminal())
    download.locate("mnist")
    assert "mnist: a.bin: 100%" in sys.stderr.getvalue()
    assert "300k/300k" in sys.stderr.getvalue()


def test_elsewhere_a_download_is_a_line_now_and_then(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(progress, "notices", lambda: stream)
    monkeypatch.setattr(progress, "PLAIN_EVERY", -1.0)
    transfer = progress.Transfer("mnist: a.bin")
    transfer.total = 3_000_000
    transfer.update(1_500_000)
    transfer.close()
    assert stream.getvalue() == "mnist: a.bin: 1.5 of 3.0 MB\n"


@pytest.fixture
def two(web, tmp_path, monkeypatch):
    """Two sets of which one cannot be had without asking."""
    asked = download.DataSet("ask", "", "https://data.invalid/", "", "", {"x": "0" * 64}, ask="ask nobody and put it")
    monkeypatch.setitem(download.SETS, "ask", asked)
    monkeypatch.setattr(download, "SETS", dict(sorted(download.SETS.items())))
    return web


def test_every_set_has_a_row_and_what_was_not_asked_for_by_name_is_no_failure(two, capsys):
    assert main(["data"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["name", "state"], ["ask", "missing"], ["mnist", "here"]]
    assert "ask nobody and put it there" in lines[1]
    assert main(["data", "ask", "mnist", "--json"]) == 3
    said = capsys.readouterr()
    assert [row["state"] for row in json.loads(said.out)] == ["missing", "here"]
    assert "ask nobody and put it there" in said.err
    assert main(["data", "mnist"]) == 0


def test_a_damaged_set_is_a_failure_whoever_asked(two, tmp_path, capsys):
    main(["data"])
    (tmp_path / "cache" / "mnist" / "a.bin").write_bytes(b"x")
    capsys.readouterr()
    assert main(["data", "--json"]) == 3
    said = capsys.readouterr()
    assert [row["state"] for row in json.loads(said.out)] == ["missing", "damaged"]
    assert "a.bin: altered" in said.err
    two.asked.clear()
    assert main(["data", "mnist", "nothing"]) == 2
    assert not two.asked
