"""Compile a C source into a library on first use and keep it in the user's cache.

A cached library runs with the user's rights, so it is loaded only from a folder and a file that nobody else owns or can
write, and only if its content has the digest its name promises. Its name also holds a digest of all it was made of
(source, flags, compiler, processor): a change of any makes another file, and no file is ever rewritten in place.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from pathlib import Path

import torch

from ... import files
from ...errors import ParameterError
from ...progress import notices

DTYPES = {torch.float32: (), torch.float64: ("-DFLOAT64",), torch.bfloat16: ("-DBFLOAT16",)}  # one library each
POINTER, COUNT, REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
# without -fno-trapping-math GCC does not vectorise a choice between two values: 12 times slower
FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math")
NATIVE = ("-march=native",), ()  # this machine's vector instructions; some compilers do not know the flag
_PATIENCE = 120  # seconds for a compilation that takes half of one
_lock = threading.Lock()
_loaded: dict[tuple[str, tuple[str, ...]], Future[ctypes.CDLL | str]] = {}  # a library, or why there is none
_said: list[str] = []  # why another engine was used: the first reason is told, once a process


class BuildError(ParameterError):
    """A library cannot be made here; `reason` is one line that says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"backend: 'cpu' cannot run here: {reason}")
        self.reason = reason


def missing() -> str | None:
    """Reason why nothing can be compiled on this machine, or None; it only looks for the compiler, starts nothing."""
    if sys.platform == "win32":
        return "it is compiled with GCC or Clang on Linux and macOS; not supported on Windows (WSL is)"
    if _compiler(*_chosen()) is None:
        sought = "$CC, " + os.environ["CC"] if os.environ.get("CC") else "cc, gcc, clang"
        return f"no C compiler found ({sought}); install one (apt install gcc, conda install gcc)"
    return None


def library(source: Path, *flags: str) -> ctypes.CDLL:
    """The library compiled from `source`: from memory, else from the cache, else compiled now. Raises BuildError."""
    key = (str(source), flags)
    with _lock:
        ours = key not in _loaded
        promised = _loaded.setdefault(key, Future())
    if ours:
        try:
            promised.set_result(_find_or_compile(source, flags))
        except BuildError as error:
            promised.set_result(error.reason)  # remembered: a compiler that failed once is not tried at each call
        except BaseException as error:
            del _loaded[key]
            promised.set_exception(error)
    found = promised.result()
    if isinstance(found, str):
        raise BuildError(found)
    return found


def defines(dtype: torch.dtype, activation: str) -> tuple[str, ...]:
    """The flags that choose them in activation.h."""
    return *DTYPES[dtype], f"-D{activation.upper()}"


def start(compile_: Callable[..., ctypes.CDLL], *kind: object) -> None:
    """Compile it, if need be, while the caller goes on: what is soon wanted together need not wait in a row."""
    threading.Thread(target=works, args=(compile_, *kind), name="compiler").start()


def works(compile_: Callable[..., ctypes.CDLL], *kind: object) -> bool:
    """Can it be compiled for this dtype and activation? Compiles it if need be; says once why not."""
    try:
        compile_(*kind)
    except BuildError as error:
        _say_once(error.reason)
        return False
    return True


def _say_once(reason: str) -> None:
    with _lock:
        first = not _said
        _said.append(reason)
    if first:
        print(f"engine cpu cannot run here, a slower one takes its place, equal in results: {reason}", file=notices())


def failure(source: Path) -> str | None:
    """Reason why `source` could not be compiled, if that was tried and failed; None otherwise."""
    known = [it.result() for (path, _), it in list(_loaded.items()) if path == str(source) and it.done()]
    return next((it for it in known if isinstance(it, str)), None)


def _chosen() -> tuple[str, str]:
    return os.environ.get("CC", "").strip(), os.environ.get("PATH", "")


@cache
def _compiler(cc: str, path: str) -> tuple[str, ...] | None:
    """The command that starts the compiler: $CC as the user set it, else the first of the usual names on $PATH."""
    for name in [cc] if cc else ["cc", "gcc", "clang"]:
        try:
            command = shlex.split(name)
        except ValueError:  # an open quote
            return None
        found = shutil.which(command[0], path=path)
        if found is not None:
            return (found, *command[1:])
    return None


def _find_or_compile(source: Path, flags: tuple[str, ...]) -> ctypes.CDLL:
    reason, command = missing(), _compiler(*_chosen())
    if reason is not None or command is None:
        raise BuildError(reason or "no C compiler found")
    texts = [path.read_text() for path in (source, *sorted(source.parent.glob("*.h")))]
    made_of = [*texts, *FLAGS, *flags, *command, _version(command), _processor()]
    stem = f"{source.stem}-{_digest(chr(0).join(made_of).encode())}-"
    try:
        home = files.cache()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _only_ours(home.stat(), stat.S_ISDIR):
            return _from_cache(home, stem) or _compile(command, source, flags, home, stem)
    except (OSError, RuntimeError):  # no home, read-only, full, or mounted without the right to execute
        pass
    with tempfile.TemporaryDirectory(prefix="indrnn-workbench-") as private:  # once loaded, a library needs no file
        try:
            return _compile(command, source, flags, Path(private), stem)
        except OSError as error:
            raise BuildError(f"the compiled library cannot be stored or loaded: {error}") from None


def _from_cache(home: Path, stem: str) -> ctypes.CDLL | None:
    for path in sorted(home.glob(f"{stem}*.so")):
        if not _only_ours(path.lstat(), stat.S_ISREG):
            continue
        if path.name == f"{stem}{_digest(path.read_bytes())}.so":
            return ctypes.CDLL(str(path))
        path.unlink(missing_ok=True)  # damaged: a full disk, a crash
    return None


def _compile(command: tuple[str, ...], source: Path, flags: tuple[str, ...], home: Path, stem: str) -> ctypes.CDLL:
    """Compile beside the final place, then move there in one step: another process sees all of it or nothing."""
    with tempfile.TemporaryDirectory(prefix="building-", dir=home) as building:
        target = Path(building) / "library.so"
        complaint = ""
        for native in NATIVE:
            run = [*command, *FLAGS, *native, *flags, str(source), "-o", str(target), "-lm"]
            try:
                done = subprocess.run(run, capture_output=True, text=True, errors="replace", timeout=_PATIENCE)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise BuildError(f"{command[0]} cannot be run: {error}") from None
            if done.returncode == 0:
                break
            complaint = complaint or _first_error(done.stderr)
        else:
            raise BuildError(f"{command[0]} failed: {complaint}")
        target.chmod(0o700)
        final = home / f"{stem}{_digest(target.read_bytes())}.so"
        os.replace(target, final)
    return ctypes.CDLL(str(final))


def _forget() -> None:
    """A forked child has none of the threads that were compiling, or held the lock."""
    global _lock
    _lock = threading.Lock()
    for key in [key for key, promised in _loaded.items() if not promised.done()]:
        del _loaded[key]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _only_ours(status: os.stat_result, is_kind: object) -> bool:
    """The right kind of thing, ours, and neither group nor others can write it."""
    return bool(is_kind(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022)  # type: ignore[operator]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _first_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[0] if lines else "no message")


@cache
def _version(command: tuple[str, ...]) -> str:
    try:
        return subprocess.run(
            [*command, "--version"], capture_output=True, text=True, errors="replace", timeout=_PATIENCE
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{command[0]} cannot be run: {error}") from None


@cache
def _processor() -> str:
    """The processor and its instruction sets: home folders are shared between machines, -march=native is not."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        told = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part", "cpu\t"))]
    except OSError:
        told = []
    return "\n".join([platform.machine(), *told])
