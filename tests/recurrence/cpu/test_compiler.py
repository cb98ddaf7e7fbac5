"""Compiling on first use, and a cache that loads only what is its own."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench import files
from workbench.errors import ParameterError
from workbench.recurrence.cpu import compiler

from ..drawn import ROOT, python

pytestmark = pytest.mark.skipif(compiler.missing() is not None, reason=str(compiler.missing()))


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A small program, and a cache of its own that this process has loaded nothing from."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "_loaded", {})
    path = tmp_path / "answer.c"
    path.write_text("int answer(void) { return ANSWER; }")
    return path


def cached():
    return list(files.cache().glob("answer-*"))


def forget():
    compiler._loaded.clear()


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has one place for caches")
def test_libraries_are_kept_where_the_user_keeps_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, cache in ((str(tmp_path / "mine"), "mine"), ("", ".cache"), ("relative", ".cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert files.cache() == tmp_path / cache / "indrnn-workbench"


def test_a_library_is_compiled_once_for_each_source_and_flags(source):
    assert compiler.library(source, "-DANSWER=1").answer() == 1
    (first,) = cached()
    written = first.stat().st_mtime_ns
    forget()
    assert compiler.library(source, "-DANSWER=1").answer() == 1
    assert first.stat().st_mtime_ns == written
    assert compiler.library(source, "-DANSWER=2").answer() == 2
    forget()
    source.write_text("int answer(void) { return ANSWER + 1; }")
    assert compiler.library(source, "-DANSWER=1").answer() == 2
    assert len(cached()) == 3
    assert stat.S_IMODE(files.cache().stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_can_write_is_not_used(source, mode):
    compiler.library(source, "-DANSWER=1")
    (planted,) = cached()
    kept = planted.read_bytes()
    forget()
    files.cache().chmod(mode)
    assert compiler.library(source, "-DANSWER=2").answer() == 2  # compiled into a private folder
    assert [p.read_bytes() for p in cached()] == [kept]


def test_a_file_that_others_can_write_is_not_loaded(source):
    compiler.library(source, "-DANSWER=1")
    (planted,) = cached()
    planted.chmod(0o722)
    before = planted.stat().st_ino
    forget()
    assert compiler.library(source, "-DANSWER=1").answer() == 1
    (fresh,) = cached()
    assert fresh.stat().st_ino != before
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700


def test_a_link_in_the_cache_is_not_followed(source, tmp_path):
    compiler.library(source, "-DANSWER=1")
    (planted,) = cached()
    elsewhere = tmp_path / "elsewhere"
    planted.rename(elsewhere)
    planted.symlink_to(elsewhere)
    forget()
    assert compiler.library(source, "-DANSWER=1").answer() == 1
    (fresh,) = cached()
    assert not fresh.is_symlink()


@pytest.mark.parametrize("damage", [b"", b"\x7fELF and nothing more"])
def test_a_damaged_library_is_compiled_again(source, damage):
    compiler.library(source, "-DANSWER=1")
    (kept,) = cached()
    whole = kept.read_bytes()
    kept.unlink()  # not written over: this process has it mapped
    kept.write_bytes(damage)
    kept.chmod(0o700)
    forget()
    assert compiler.library(source, "-DANSWER=1").answer() == 1
    assert [p.stat().st_size for p in cached()] == [len(whole)]


def test_without_a_place_to_write_it_compiles_into_a_private_folder(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiler.library(source, "-DANSWER=7").answer() == 7


def test_a_failing_compiler_is_quoted_and_not_tried_twice(source, tmp_path, monkeypatch):
    with pytest.raises(ParameterError, match=r"cannot run here: .*failed: .*ANSWER"):
        compiler.library(source)  # ANSWER is not defined
    tries = tmp_path / "tries"
    stub = tmp_path / "stub"
    stub.write_text(f"#!/bin/sh\necho >> {tries}\necho 'fatal error: out of luck' >&2\nexit 1\n")
    stub.chmod(0o755)
    monkeypatch.setenv("CC", str(stub))
    forget()
    count = []
    for _ in range(2):
        with pytest.raises(ParameterError, match="fatal error: out of luck"):
            compiler.library(source)
        count.append(tries.read_text())
    assert count[0] == count[1]
    assert "out of luck" in compiler.failure(Path(*source.parts))
    assert compiler.failure(source.with_name("another.c")) is compiler.failure(source.with_name("zero.c")) is None


def test_an_unknown_cc_is_named(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    assert "no-such-compiler" in compiler.missing()
    assert "apt install gcc" in compiler.missing()


FALLS_BACK = """
import torch, workbench.recurrence as r
from workbench import files
from workbench.errors import ParameterError
a, u = torch.ones(3, 1, 2), torch.ones(2, requires_grad=True)
r.recur(a, u).sum().backward()
try:
    r.recur(a, u, backend="cpu")
except ParameterError as error:
    print(float(u.grad.sum()), "cpu" in r.available(), "{said}" in str(error), "{said}" in r.unavailable("cpu"))
"""


def test_without_a_compiler_everything_works_on_the_torch_engine(tmp_path):
    script = FALLS_BACK.format(said="no C compiler found")
    assert python(script, PATH="", CC="", XDG_CACHE_HOME=str(tmp_path)) == ["8.0", "False", "True", "True"]
    assert list(tmp_path.iterdir()) == []


def test_with_a_compiler_that_fails_everything_works_on_the_torch_engine(tmp_path):
    script = FALLS_BACK.format(said="failed: no message")
    assert python(script, CC="false", XDG_CACHE_HOME=str(tmp_path)) == ["8.0", "False", "True", "True"]


def test_two_processes_may_compile_at_once_and_importing_compiles_nothing(tmp_path):
    script = """
import os, sys, torch, workbench.recurrence as r
assert r.unavailable("cpu") is None and not os.listdir(os.environ["XDG_CACHE_HOME"])
torch.manual_seed(0)
print("ready", flush=True)
sys.stdin.readline()
print(float(r.layer(torch.ones(3, 2, 4), torch.ones(5, 4), None, torch.ones(5), backend="cpu").sum()))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, stdin=-1, stdout=-1, text=True)
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in both] == ["240.0\n"] * 2
    names = sorted(p.name.split("-")[0] for p in (tmp_path / "indrnn-workbench").iterdir())
    assert set(names) == {"batchnorm", "layer_fused", "layer_narrow", "states"}  # nothing half-made is left


def test_two_threads_that_want_a_library_get_the_same_one(source):
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: compiler.library(source, "-DANSWER=3"), range(8)))
    assert len(set(map(id, found))) == 1
    assert found[0].answer() == 3


def test_what_is_started_is_compiled_while_the_caller_goes_on(source):
    compiler.start(compiler.library, source, "-DANSWER=4")
    assert compiler.library(source, "-DANSWER=4").answer() == 4
    assert len(cached()) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python's own, about forking beside threads
def test_a_child_does_not_wait_for_a_compilation_that_its_parent_began(source):
    compiler._loaded[str(source), ("-DANSWER=5",)] = Future()
    child = os.fork()
    if child == 0:
        os._exit(0 if compiler.library(source, "-DANSWER=5").answer() == 5 else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_does_not_wait_for_a_lock_that_another_thread_of_its_parent_held(source):
    with ThreadPoolExecutor(1) as thread:
        thread.submit(compiler._lock.acquire).result()
        held, child = compiler._lock, os.fork()
        if child == 0:
            signal.alarm(60)
            os._exit(0 if compiler.library(source, "-DANSWER=6").answer() == 6 else 1)
        held.release()
    assert os.waitpid(child, 0)[1] == 0


def test_on_windows_it_is_said_what_works_there(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert "not supported on Windows (WSL is)" in compiler.missing()


def test_a_cc_with_an_open_quote_is_no_compiler(source, monkeypatch):
    monkeypatch.setenv("CC", "gcc '-O2")
    assert "no C compiler found ($CC, gcc '-O2)" in compiler.missing()
    with pytest.raises(ParameterError, match="'cpu' cannot run here: no C compiler found"):
        compiler.library(source, "-DANSWER=1")


def test_an_interrupted_compilation_is_not_remembered_as_a_failure(source, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(compiler, "_find_or_compile", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compiler.library(source, "-DANSWER=6")
    assert compiler.library(source, "-DANSWER=6").answer() == 6


@pytest.mark.parametrize("slow", ["--version", "-o"])
def test_a_compiler_that_does_not_come_back_is_given_up(source, tmp_path, monkeypatch, slow):
    stub = tmp_path / "stub"
    stub.write_text(f'#!/bin/sh\ncase "$*" in *{slow}*) exec sleep 60;; esac\necho a compiler\n')
    stub.chmod(0o755)
    monkeypatch.setenv("CC", str(stub))
    monkeypatch.setattr(compiler, "_PATIENCE", 0.3)
    with pytest.raises(ParameterError, match=r"stub cannot be run: .*timed out"):
        compiler.library(source, "-DANSWER=1")


def test_where_macos_keeps_what_can_be_made_again(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.cache() == tmp_path / "Library" / "Caches" / "indrnn-workbench"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert files.cache() == tmp_path / ".cache" / "indrnn-workbench"
