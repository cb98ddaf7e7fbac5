"""Nothing that leaves this machine names anybody: no variable of the environment, no token, user, host or folder."""

import getpass
import json
import os
import re
import socket

from bad_inputs.case import ADDING, TINY

import workbench as wb
from workbench import files as places
from workbench.analysis.benchmark import record as bench
from workbench.runs import bundle, lock

SECRETS = {"API_TOKEN": "tok-7f3a9c51e2", "AWS_SECRET_ACCESS_KEY": "sec-8d01bb42aa", "JUPYTER_TOKEN": "jup-55e0c9d1f3"}
PLACES = re.compile(rb"(?<![A-Za-z0-9+])/(?:home|Users|root|tmp|work|mnt|var/folders)/[\w.\-]+")


def named(tmp_path):
    """Texts that must not be found: secrets, and what names this user, machine and folder."""
    names = {*SECRETS.values(), str(tmp_path), str(places.project()), os.getcwd(), os.environ["HOME"]}
    names |= {name for name in (socket.gethostname(), getpass.getuser()) if len(name) > 4}  # `root` is a word too
    return names


def test_a_record_and_a_bundle_name_nobody(store, tmp_path, monkeypatch):
    """Every file of a run that travels, its checkpoint too, and what packs them."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path / "home-of-somebody"))
    record = wb.run(ADDING, "smoke", changes=TINY, until=1, progress=False)
    done = wb.run(ADDING, "smoke", 1, changes=TINY, progress=False)
    files = [path for each in (record, done) for path in each.run.path.iterdir()]
    assert {path.suffix for path in files} >= {".json", ".jsonl", ".pt"}
    for path in [*files, *bundle.pack([record.run, done.run], tmp_path / "bundle")]:
        content = path.read_bytes()
        assert not [name for name in named(tmp_path) if name.encode() in content], path.name


def test_a_lease_names_no_user_and_is_gone_after_the_run(store):
    """While a run trains, its lease names host and process, for others who share the disk; it is never published."""
    record = wb.run(ADDING, "smoke", changes=TINY, until=1, progress=False)
    with lock.Lock(record.run):
        told = json.loads((record.run.path / "lease").read_text())
    assert set(told) == {"host", "place", "pid", "started", "owner", "beat"}
    assert not (record.run.path / "lease").exists()


def test_a_benchmark_says_which_processor_and_nothing_of_whose(tmp_path, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    bench.write(tmp_path / "bench.json", [{"table": "layer"}])
    content = (tmp_path / "bench.json").read_bytes()
    assert not [name for name in named(tmp_path) if name.encode() in content]


def test_nothing_published_names_a_folder_or_a_token():
    """All that is committed below results/ and notebooks/, as it is."""
    looked = 0
    for root in (places.project() / "results" / "published", places.paper(), places.notebooks()):
        for path in root.rglob("*"):
            if path.suffix in (".json", ".jsonl", ".csv", ".md", ".ipynb", ".pt", ".html"):
                content = path.read_bytes()
                looked += 1
                assert not PLACES.search(content), f"{path}: {PLACES.search(content)[0].decode()}"
                assert b"token=" not in content
    assert looked > 50
